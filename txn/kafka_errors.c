/* kafka_errors.c: what an error of librdkafka asks for, and what a topic is. See kafka_client.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "txn/base/error.h"
#include "txn/kafka_client.h"

enum { STEP_MS = 100, DOING_MAX = 400, CAUSE_MAX = 300 };

/* ---- What an error asks for ------------------------------------------------------------------ */

enum group { AGAIN, ABORTS, FENCED, NO_TOPIC, TOO_LARGE, FORBIDDEN, REFUSED, NO_ROOM, OTHER };

static const struct {
    weir_status status;
    enum wr_exit exit_code;
    const char *advice;
} groups[] = {
    [AGAIN] = {WEIR_RETRY, WR_EXIT_UNAVAILABLE,
               "see that the brokers run and can be reached from here"},
    [ABORTS] = {WEIR_ABORT, WR_EXIT_UNAVAILABLE, "its records are sent again"},
    [FENCED] = {WEIR_FATAL, WR_EXIT_CONFIG,
                "another producer of the same name took over, or the brokers were away for longer "
                "than transaction.timeout.ms"},
    [NO_TOPIC] = {WEIR_FATAL, WR_EXIT_CONFIG, "create the topic, or correct its name"},
    [TOO_LARGE] = {WEIR_FATAL, WR_EXIT_CONFIG,
                   "raise max.message.bytes of the topic, or make records smaller"},
    [FORBIDDEN] = {WEIR_FATAL, WR_EXIT_PERMISSION,
                   "give weir's user the right (OPERATIONS.md lists those it needs), or correct "
                   "its name and password (-X sasl.username, sasl.password)"},
    [REFUSED] = {WEIR_FATAL, WR_EXIT_CONFIG, "correct the configuration of the brokers or -X"},
    [NO_ROOM] = {WEIR_FATAL, WR_EXIT_AGAIN, "free memory or threads and start again"},
    [OTHER] = {WEIR_FATAL, WR_EXIT_UNAVAILABLE, "start again; nothing decided is lost"},
};

static const struct {
    rd_kafka_resp_err_t code;
    enum group group;
} codes[] = {
    {RD_KAFKA_RESP_ERR__TRANSPORT, AGAIN},
    {RD_KAFKA_RESP_ERR__RESOLVE, AGAIN},
    {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, AGAIN},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, AGAIN},
    {RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, AGAIN},
    {RD_KAFKA_RESP_ERR__QUEUE_FULL, AGAIN},
    {RD_KAFKA_RESP_ERR__WAIT_COORD, AGAIN},
    {RD_KAFKA_RESP_ERR__WAIT_CACHE, AGAIN},
    {RD_KAFKA_RESP_ERR__IN_PROGRESS, AGAIN},
    {RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS, AGAIN},
    {RD_KAFKA_RESP_ERR__RETRY, AGAIN},
    {RD_KAFKA_RESP_ERR__INTR, AGAIN},
    {RD_KAFKA_RESP_ERR__BAD_MSG, AGAIN}, /* a response cut off in the middle */
    {RD_KAFKA_RESP_ERR__OUTDATED, AGAIN},
    {RD_KAFKA_RESP_ERR__NOENT, AGAIN},
    {RD_KAFKA_RESP_ERR__UNKNOWN_BROKER, AGAIN},
    {RD_KAFKA_RESP_ERR_INVALID_MSG, AGAIN}, /* a broken checksum: it is fetched again */
    {RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, AGAIN},
    {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, AGAIN},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, AGAIN},
    {RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, AGAIN},
    {RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, AGAIN},
    {RD_KAFKA_RESP_ERR_STALE_CTRL_EPOCH, AGAIN},
    {RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, AGAIN},
    {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, AGAIN},
    {RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, AGAIN},
    {RD_KAFKA_RESP_ERR_NOT_COORDINATOR, AGAIN},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, AGAIN},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, AGAIN},
    {RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, AGAIN},
    {RD_KAFKA_RESP_ERR_NOT_CONTROLLER, AGAIN},
    {RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, AGAIN},
    {RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, AGAIN},
    {RD_KAFKA_RESP_ERR_FETCH_SESSION_ID_NOT_FOUND, AGAIN},
    {RD_KAFKA_RESP_ERR_INVALID_FETCH_SESSION_EPOCH, AGAIN},
    {RD_KAFKA_RESP_ERR_LISTENER_NOT_FOUND, AGAIN},
    {RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, AGAIN},
    {RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, AGAIN},
    {RD_KAFKA_RESP_ERR_STALE_BROKER_EPOCH, AGAIN},
    {RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE, AGAIN},
    {RD_KAFKA_RESP_ERR_PREFERRED_LEADER_NOT_AVAILABLE, AGAIN},
    {RD_KAFKA_RESP_ERR_ELIGIBLE_LEADERS_NOT_AVAILABLE, AGAIN},
    {RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT, AGAIN},
    {RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED, AGAIN},
    {RD_KAFKA_RESP_ERR_UNKNOWN, AGAIN}, /* a broker's own fault; what it was stands in its log */
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, ABORTS},
    {RD_KAFKA_RESP_ERR__PURGE_QUEUE, ABORTS},
    {RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, ABORTS},
    {RD_KAFKA_RESP_ERR__FENCED, FENCED},
    {RD_KAFKA_RESP_ERR_PRODUCER_FENCED, FENCED},
    {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, FENCED},
    {RD_KAFKA_RESP_ERR_TRANSACTION_COORDINATOR_FENCED, FENCED},
    {RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, FENCED},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, NO_TOPIC},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, NO_TOPIC},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, NO_TOPIC},
    {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, NO_TOPIC},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, TOO_LARGE},
    {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, TOO_LARGE},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, FORBIDDEN},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, FORBIDDEN},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, FORBIDDEN},
    {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, FORBIDDEN},
    {RD_KAFKA_RESP_ERR_DELEGATION_TOKEN_AUTHORIZATION_FAILED, FORBIDDEN},
    {RD_KAFKA_RESP_ERR_DELEGATION_TOKEN_EXPIRED, FORBIDDEN},
    {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, FORBIDDEN},
    {RD_KAFKA_RESP_ERR__AUTHENTICATION, FORBIDDEN},
    {RD_KAFKA_RESP_ERR__SSL, REFUSED},
    {RD_KAFKA_RESP_ERR__INVALID_ARG, REFUSED},
    {RD_KAFKA_RESP_ERR__NOT_CONFIGURED, REFUSED},
    {RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, REFUSED},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, REFUSED},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT, REFUSED},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, REFUSED},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE, REFUSED},
    {RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE, REFUSED},
    {RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, REFUSED},
    {RD_KAFKA_RESP_ERR_INVALID_GROUP_ID, REFUSED},
    {RD_KAFKA_RESP_ERR_INVALID_CONFIG, REFUSED},
    {RD_KAFKA_RESP_ERR_INVALID_REQUEST, REFUSED},
    {RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS, REFUSED},
    {RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, REFUSED},
    {RD_KAFKA_RESP_ERR_INVALID_RECORD, REFUSED},
    {RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, REFUSED},
    {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, REFUSED},
    {RD_KAFKA_RESP_ERR_SECURITY_DISABLED, REFUSED},
    {RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, NO_ROOM},
};

static enum group group_of(rd_kafka_resp_err_t code)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (codes[i].code == code) {
            return codes[i].group;
        }
    }
    return OTHER;
}

bool wr_kafka_is_fenced(rd_kafka_resp_err_t cause)
{
    return group_of(cause) == FENCED;
}

/* A status that the code has not: the advice of the group that has it. */
static enum group group_with(enum group group, weir_status status)
{
    if (groups[group].status == status) {
        return group;
    }
    return status == WEIR_RETRY ? AGAIN : status == WEIR_ABORT ? ABORTS : OTHER;
}

static weir_status fail(struct wr_error *error, rd_kafka_resp_err_t code, weir_status status,
                        const char *cause, const char *format, va_list args)
{
    char doing[DOING_MAX];
    vsnprintf(doing, sizeof doing, format, args);
    enum group group = group_with(group_of(code), status);
    return wr_fail_native(error, status, groups[group].exit_code, code, "%s: %.*s (%s); %s", doing,
                          CAUSE_MAX, cause, rd_kafka_err2name(code), groups[group].advice);
}

weir_status wr_kafka_fail(struct wr_error *error, rd_kafka_resp_err_t cause, const char *format,
                          ...)
{
    va_list args;
    va_start(args, format);
    weir_status status =
        fail(error, cause, groups[group_of(cause)].status, rd_kafka_err2str(cause), format, args);
    va_end(args);
    return status;
}

/* Librdkafka's flags come first, with two exceptions: it would abort and send again what no broker
 * will ever take (a record that is too large, a topic that is forbidden), where only a person can
 * help; and for some requests it would abort after a fence, where another producer has the name.
 * What it calls fatal is so for this client, whatever the code. */
static weir_status status_of(const rd_kafka_error_t *cause)
{
    enum group group = group_of(rd_kafka_error_code(cause));
    if (rd_kafka_error_is_fatal(cause) || groups[group].exit_code == WR_EXIT_CONFIG ||
        groups[group].exit_code == WR_EXIT_PERMISSION) {
        return WEIR_FATAL;
    }
    if (rd_kafka_error_txn_requires_abort(cause)) {
        return WEIR_ABORT;
    }
    if (rd_kafka_error_is_retriable(cause)) {
        return WEIR_RETRY;
    }
    return groups[group].status == WEIR_ABORT ? WEIR_FATAL : groups[group].status;
}

weir_status wr_kafka_fail_error(struct wr_error *error, rd_kafka_error_t *cause, const char *format,
                                ...)
{
    va_list args;
    va_start(args, format);
    weir_status status = fail(error, rd_kafka_error_code(cause), status_of(cause),
                              rd_kafka_error_string(cause), format, args);
    va_end(args);
    rd_kafka_error_destroy(cause);
    return status;
}

/* ---- What a topic is ------------------------------------------------------------------------- */

static void sleep_ms(int ms)
{
    struct timespec time = {ms / 1000, (ms % 1000) * 1000000L};
    while (nanosleep(&time, &time) != 0) {
    }
}

/* Asks once; the code is the call's or the topic's. */
static rd_kafka_resp_err_t ask(rd_kafka_t *client, const char *topic, int timeout_ms,
                               int32_t *partitions_out)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    if (!handle) {
        return rd_kafka_last_error();
    }
    rd_kafka_resp_err_t cause = rd_kafka_metadata(client, 0, handle, &metadata, timeout_ms);
    if (cause == RD_KAFKA_RESP_ERR_NO_ERROR) {
        bool there = metadata->topic_cnt == 1;
        cause = there ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        if (there && cause == RD_KAFKA_RESP_ERR_NO_ERROR) {
            *partitions_out = metadata->topics[0].partition_cnt;
        }
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(handle);
    return cause;
}

/* A producer's question may have made the topic, which then takes a moment to be there. */
static bool ask_again(rd_kafka_t *client, rd_kafka_resp_err_t cause, int asked)
{
    return cause == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
           (cause == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART && asked < 5 &&
            rd_kafka_type(client) == RD_KAFKA_PRODUCER);
}

static void find_cluster(rd_kafka_t *client, int timeout_ms, char *cluster_id, size_t size)
{
    char *id = rd_kafka_clusterid(client, timeout_ms);
    snprintf(cluster_id, size, "%s", id ? id : "");
    rd_kafka_mem_free(client, id);
}

weir_status wr_kafka_topic(rd_kafka_t *client, const struct wr_kafka_link *link, const char *topic,
                           int timeout_ms, int32_t *partitions_out, char *cluster_id,
                           size_t cluster_size, struct wr_error *error)
{
    struct wr_env *env = link->env;
    int64_t until_us = env->monotonic_us(env) + (int64_t)timeout_ms * 1000;
    rd_kafka_resp_err_t cause = RD_KAFKA_RESP_ERR__TIMED_OUT;
    int left_ms = timeout_ms;
    for (int asked = 1; left_ms > 0; asked++) {
        cause = ask(client, topic, left_ms, partitions_out);
        left_ms = (int)((until_us - env->monotonic_us(env)) / 1000);
        if (!ask_again(client, cause, asked) || left_ms <= STEP_MS) {
            break;
        }
        sleep_ms(STEP_MS);
        left_ms -= STEP_MS;
    }
    if (cause == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (cluster_id) {
            find_cluster(client, left_ms > 0 ? left_ms : 1, cluster_id, cluster_size);
        }
        return WEIR_OK;
    }
    weir_status status = groups[group_of(cause)].status;
    if (status == WEIR_RETRY) {
        wr_kafka_link_check(client);
        return wr_fail_native(error, status, WR_EXIT_UNAVAILABLE, cause,
                              "%s: cannot look up topic %s: no broker of %.300s answers within "
                              "%d ms%s%s (%s); see that they run and can be reached from here",
                              link->what, topic, link->brokers, timeout_ms,
                              atomic_load(&link->down) && *link->cause ? ": " : "",
                              atomic_load(&link->down) ? link->cause : "",
                              rd_kafka_err2name(cause));
    }
    if (group_of(cause) == NO_TOPIC) {
        return wr_fail_native(error, WEIR_MISUSE, WR_EXIT_CONFIG, cause,
                              "%s: there is no topic %s at %.300s (%s); create it, or correct its "
                              "name",
                              link->what, topic, link->brokers, rd_kafka_err2name(cause));
    }
    return wr_kafka_fail(error, cause, "%s: cannot look up topic %s at %.300s", link->what, topic,
                         link->brokers);
}
