/* kafka_forward.c: see kafka_forward.h, which has the phases.
 *
 * Every call is given a short time and called again later, so that a cluster that is away holds up
 * neither other sinks nor a stop. Librdkafka resumes init, commit and abort where an earlier call
 * left off, so calling again is not doing it twice.
 *
 * From the first call of commit_transaction on, only its own answer, or a new producer that has
 * settled and read the marker, says what became of the transaction: no other call is made on this
 * client. (Its request to end the transaction may still be on its way when librdkafka gives up, and
 * would end a later transaction of the same producer in the middle.)
 *
 * Long because the phases are one state machine, read as one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/outlets/kafka_forward.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "txn/base/assert.h"

enum {
    AGAIN_MS = 50, /* between two tries of a call that failed */
    STARTS_MAX = 20, /* producers without a transaction that was acknowledged */
    ABORTS_MAX = 10, /* transactions given up in a row */
    HURRY_MS = 60, /* and so long for the first answers of a start */
    HURRIES_MAX = 5,
    BLOCK_MS = 5000, /* send_offsets_to_transaction cannot be resumed */
    DURING_MS = 1, /* a commit that is to be interrupted for a test */
};
#define SAY_US (10LL * 1000 * 1000)
#define SAY_AGAIN_US (60LL * 1000 * 1000)
#define RENEW_US (3600LL * 1000 * 1000) /* offsets.retention.minutes is 7 days by default */
#define LOOK_US (60LL * 1000 * 1000) /* between looks at the topics */
#define STARTS_US (120LL * 1000 * 1000)

void wr_kafka_forward_call(struct wr_kafka_forward *forward, int timeout_ms)
{
    int64_t longest_us = 2000LL * (timeout_ms + WR_KAFKA_SOCKET_MS);
    atomic_store_explicit(forward->overdue_us, wr_kafka_now_us(forward) + longest_us,
                          memory_order_relaxed);
}

void wr_kafka_forward_came_back(struct wr_kafka_forward *forward)
{
    atomic_store_explicit(forward->overdue_us, 0, memory_order_relaxed);
}

/* ---- What fails ------------------------------------------------------------------------------ */

/* Not now: the error is kept for who waits in vain, and said when it lasts. */
weir_status wr_kafka_again(struct wr_kafka_forward *forward, struct wr_error *error)
{
    int64_t now = wr_kafka_now_us(forward);
    forward->last = *error;
    wr_error_clear(error);
    forward->again_us = now + AGAIN_MS * 1000LL;
    forward->since_us = forward->since_us ? forward->since_us : now;
    if (forward->client) {
        wr_kafka_link_check(forward->client);
    }
    if (!atomic_load(&forward->link.down) && now - forward->since_us > SAY_US &&
        (forward->said_us == 0 || now - forward->said_us > SAY_AGAIN_US)) {
        forward->said_us = now;
        wr_log(forward->env, WR_LOG_WARN,
               "%s: it is tried again; what is decided stays in the store", forward->last.text);
    }
    return WEIR_RETRY;
}

/* Something went as it should. */
void wr_kafka_progress(struct wr_kafka_forward *forward)
{
    if (forward->said_us != 0) {
        wr_log(forward->env, WR_LOG_NOTICE, "%s: goes on", forward->what);
    }
    forward->since_us = forward->said_us = 0;
    forward->hurries = 0;
    forward->starts = forward->aborts = 0;
}

void wr_kafka_let_go(struct wr_kafka_forward *forward)
{
    wr_kafka_readers_free(forward);
    for (struct wr_kafka_outlet *at = forward->outlets; at; at = at->next) {
        if (at->handle) {
            rd_kafka_topic_destroy(at->handle);
            at->handle = NULL;
        }
    }
    if (forward->client) {
        /* What is in its queues is in the log as well. */
        rd_kafka_purge(forward->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                            RD_KAFKA_PURGE_F_NON_BLOCKING);
        wr_kafka_forward_call(forward, WR_KAFKA_SOCKET_MS);
        wr_kafka_client_free(forward->client);
        wr_kafka_forward_came_back(forward);
        forward->client = NULL;
    }
    forward->phase = WR_KAFKA_DOWN;
}

/* The client is of no more use; another one settles and reads the markers. What was sent since the
 * last acknowledged transaction is found by them to be outside, or is sent again. */
static weir_status start_over(struct wr_kafka_forward *forward, struct wr_error *error)
{
    int64_t now = wr_kafka_now_us(forward);
    forward->starts++;
    if (forward->starts > STARTS_MAX && forward->since_us && now - forward->since_us > STARTS_US) {
        struct wr_error cause = *error;
        wr_error_clear(error);
        return wr_fail(error, WEIR_FATAL, WR_EXIT_AGAIN,
                       "%.700s; %d producers in a row came to nothing; start again", cause.text,
                       forward->starts);
    }
    wr_log(forward->env, WR_LOG_DEBUG, "%s; a new producer goes on", error->text);
    wr_kafka_let_go(forward);
    return wr_kafka_again(forward, error);
}

bool wr_kafka_is_final(rd_kafka_resp_err_t cause)
{
    struct wr_error error = {.status = WEIR_OK};
    weir_status status = wr_kafka_fail(&error, cause, " ");
    return status == WEIR_FATAL && !wr_kafka_is_fenced(cause) &&
           error.exit_code != WR_EXIT_UNAVAILABLE;
}

/* An error of a call other than commit and abort. */
static weir_status failed(struct wr_kafka_forward *forward, rd_kafka_error_t *cause,
                          const char *doing, struct wr_error *error)
{
    rd_kafka_resp_err_t code = rd_kafka_error_code(cause);
    weir_status status = wr_kafka_fail_error(error, cause, "%s: cannot %s", forward->what, doing);
    if (status == WEIR_RETRY) {
        return wr_kafka_again(forward, error);
    }
    if (wr_kafka_is_final(code)) {
        error->status = WEIR_FATAL;
        return WEIR_FATAL;
    }
    if (status == WEIR_ABORT && forward->phase == WR_KAFKA_OPEN) {
        forward->phase = WR_KAFKA_ABORTING;
        return wr_kafka_again(forward, error);
    }
    return start_over(forward, error);
}

/* The same for what has no rd_kafka_error_t, whose text is there already. */
weir_status wr_kafka_failed_text(struct wr_kafka_forward *forward, weir_status status,
                                 struct wr_error *error)
{
    return status == WEIR_RETRY ? wr_kafka_again(forward, error) : status;
}

/* ---- Delivery reports ------------------------------------------------------------------------ */

static void take_delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct wr_kafka_forward *forward = opaque;
    struct wr_kafka_outlet *outlet = message->_private;
    (void)client;
    if (message->err) {
        if (message->err != RD_KAFKA_RESP_ERR__PURGE_QUEUE &&
            message->err != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT) {
            forward->failed = forward->failed ? forward->failed : message->err;
        }
        forward->failed_messages++;
        return;
    }
    int32_t partition = message->partition;
    if (message->offset < 0 || partition < 0 || partition >= outlet->partitions) {
        return; /* the broker had it already, and does not say where */
    }
    if (message->offset >= outlet->ends[partition]) {
        outlet->ends[partition] = message->offset + 1;
    } else if (outlet->fallen < 0) {
        outlet->fallen = partition;
        outlet->fallen_to = message->offset;
    }
}

void wr_kafka_forward_poll(struct wr_kafka_forward *forward, int timeout_ms)
{
    forward->unpolled = 0;
    if (forward->client) {
        rd_kafka_poll(forward->client, timeout_ms);
    }
}

weir_status wr_kafka_check_fallen(struct wr_kafka_forward *forward, struct wr_error *error)
{
    for (struct wr_kafka_outlet *at = forward->outlets; at; at = at->next) {
        if (at->fallen >= 0) {
            return wr_kafka_ends_fallen(at, error);
        }
    }
    return WEIR_OK;
}

/* ---- Starting -------------------------------------------------------------------------------- */

weir_status wr_kafka_make_client(struct wr_kafka_forward *forward, struct wr_error *error)
{
    struct wr_kafka_client_options options = {.role = forward->direct ? WR_KAFKA_DIRECT
                                                                      : WR_KAFKA_TRANSACTIONS,
                                              .endpoint = forward->outlets->name,
                                              .brokers = forward->brokers,
                                              .id = forward->id,
                                              .properties = forward->properties,
                                              .link = &forward->link,
                                              .delivered = take_delivered,
                                              .opaque = forward};
    WR_TRY(wr_kafka_client_new(&options, &forward->client, error));
    forward->failed = RD_KAFKA_RESP_ERR_NO_ERROR;
    forward->failed_messages = 0;
    for (struct wr_kafka_outlet *at = forward->outlets; at; at = at->next) {
        at->handle = rd_kafka_topic_new(forward->client, at->topic, NULL);
        if (!at->handle) {
            return wr_kafka_fail(error, rd_kafka_last_error(), "sink %s: topic %s", at->name,
                                 at->topic);
        }
    }
    forward->phase = WR_KAFKA_SETTLING;
    return WEIR_OK;
}

/* Two spellings of one cluster would be two producers of one name, which fence each other. */
weir_status wr_kafka_check_cluster(struct wr_kafka_forward *forward, struct wr_error *error)
{
    for (const struct wr_kafka_forward *at = *forward->list; at; at = at->next) {
        if (at != forward && *at->cluster && strcmp(at->cluster, forward->cluster) == 0 &&
            strcmp(at->id, forward->id) == 0) {
            return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                           "sinks %s and %s name the same cluster (%s) in two ways, %.200s and "
                           "%.200s; write it the same way in both",
                           at->outlets->name, forward->outlets->name, forward->cluster, at->brokers,
                           forward->brokers);
        }
    }
    return WEIR_OK;
}

static weir_status settle(struct wr_kafka_forward *forward, struct wr_error *error)
{
    wr_kafka_forward_call(forward, WR_KAFKA_CALL_MS);
    bool hurries = forward->hurries < HURRIES_MAX;
    rd_kafka_error_t *cause =
        rd_kafka_init_transactions(forward->client, hurries ? HURRY_MS : WR_KAFKA_CALL_MS);
    wr_kafka_forward_came_back(forward);
    forward->hurries++;
    if (cause && hurries &&
        rd_kafka_error_code(cause) == RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS) {
        /* The broker aborts what an older producer left, which takes some milliseconds. This client
         * would ask again in half a second, a new one does at once. */
        rd_kafka_error_destroy(cause);
        wr_kafka_let_go(forward);
        return WEIR_OK;
    }
    if (cause) {
        return failed(forward, cause, "settle what an earlier producer left", error);
    }
    WR_FAULT(&forward->env->fault, kafka_after_settle, error);
    forward->phase = WR_KAFKA_READING;
    return WEIR_OK;
}

weir_status wr_kafka_look_up(struct wr_kafka_forward *forward, struct wr_error *error)
{
    wr_kafka_forward_call(forward, WR_KAFKA_CALL_MS);
    weir_status status = wr_kafka_ends_look(forward, error);
    wr_kafka_forward_came_back(forward);
    forward->looked_us = wr_kafka_now_us(forward);
    return wr_kafka_failed_text(forward, status, error);
}

static weir_status read_markers(struct wr_kafka_forward *forward, struct wr_error *error)
{
    WR_TRY(wr_kafka_look_up(forward, error));
    WR_TRY(wr_kafka_check_cluster(forward, error));
    wr_kafka_forward_call(forward, WR_KAFKA_CALL_MS);
    weir_status status = wr_kafka_markers_read(forward, WR_KAFKA_CALL_MS, error);
    wr_kafka_forward_came_back(forward);
    WR_TRY(wr_kafka_failed_text(forward, status, error));
    WR_FAULT(&forward->env->fault, kafka_after_read, error);
    WR_TRY(wr_kafka_markers_check(forward, forward->claimed, error));
    for (struct wr_kafka_outlet *at = forward->outlets; at; at = at->next) {
        at->marked = at->settled;
        at->settled_ends = wr_kafka_ends_sum(at);
        at->sent = at->settled.next;
        at->fallen = -1;
        wr_log(forward->env, WR_LOG_DEBUG, "sink %s: %s topic %s from record %" PRId64, at->name,
               forward->claimed ? "resumes" : "goes on with", at->topic, at->settled.next);
    }
    forward->phase = WR_KAFKA_IDLE;
    return WEIR_OK;
}

/* The first transaction says who sends from now on. */
static weir_status claim(struct wr_kafka_forward *forward, struct wr_error *error)
{
    if (forward->phase == WR_KAFKA_IDLE) {
        WR_TRY(wr_kafka_forward_begin(forward, error));
    }
    WR_TRY(wr_kafka_forward_end(forward, error));
    if (forward->phase == WR_KAFKA_IDLE && forward->aborts == 0) {
        WR_FAULT(&forward->env->fault, kafka_after_claim, error);
        forward->claimed = true;
        wr_log(forward->env, WR_LOG_DEBUG, "%s: claimed, incarnation %016" PRIx64, forward->what,
               forward->incarnation);
    }
    return WEIR_OK;
}

static weir_status advance(struct wr_kafka_forward *forward, struct wr_error *error)
{
    switch (forward->phase) {
    case WR_KAFKA_DOWN:
        return wr_kafka_make_client(forward, error);
    case WR_KAFKA_SETTLING:
        return settle(forward, error);
    case WR_KAFKA_READING:
        return read_markers(forward, error);
    case WR_KAFKA_IDLE:
    case WR_KAFKA_OPEN:
        return claim(forward, error);
    case WR_KAFKA_ENDING:
    case WR_KAFKA_ABORTING:
        return forward->claimed ? wr_kafka_forward_end(forward, error) : claim(forward, error);
    }
    return WEIR_OK;
}

static bool is_ready(const struct wr_kafka_forward *forward)
{
    return forward->claimed && (forward->phase == WR_KAFKA_IDLE || forward->phase == WR_KAFKA_OPEN);
}

weir_status wr_kafka_forward_ready(struct wr_kafka_forward *forward, struct wr_error *error)
{
    wr_kafka_forward_poll(forward, 0);
    if (!is_ready(forward) && wr_kafka_now_us(forward) < forward->again_us) {
        return WEIR_RETRY;
    }
    while (!is_ready(forward)) {
        WR_TRY(advance(forward, error));
    }
    if (forward->phase == WR_KAFKA_IDLE &&
        wr_kafka_now_us(forward) - forward->looked_us > LOOK_US) {
        WR_TRY(wr_kafka_look_up(forward, error));
    }
    if (forward->phase == WR_KAFKA_IDLE &&
        wr_kafka_now_us(forward) - forward->ended_us > RENEW_US) {
        WR_TRY(wr_kafka_forward_begin(forward, error)); /* its markers alone, so that they last */
    }
    return WEIR_OK;
}

/* ---- Transactions ---------------------------------------------------------------------------- */

weir_status wr_kafka_forward_begin(struct wr_kafka_forward *forward, struct wr_error *error)
{
    wr_assert_that(forward->phase, ==, WR_KAFKA_IDLE);
    wr_kafka_forward_call(forward, WR_KAFKA_CALL_MS);
    rd_kafka_error_t *cause = rd_kafka_begin_transaction(forward->client);
    wr_kafka_forward_came_back(forward);
    if (cause) {
        return failed(forward, cause, "begin a transaction", error);
    }
    forward->phase = WR_KAFKA_OPEN;
    forward->failed = RD_KAFKA_RESP_ERR_NO_ERROR;
    forward->failed_messages = 0;
    if (forward->claimed) {
        WR_FAULT(&forward->env->fault, kafka_after_begin, error);
    }
    return WEIR_OK;
}

weir_status wr_kafka_forward_refused(struct wr_kafka_forward *forward, rd_kafka_resp_err_t cause,
                                     const char *topic, struct wr_error *error)
{
    (void)wr_kafka_fail(error, cause, "%s: cannot send to topic %s", forward->what, topic);
    if (wr_kafka_is_final(cause)) {
        error->status = WEIR_FATAL;
        return WEIR_FATAL;
    }
    forward->phase = WR_KAFKA_ABORTING;
    return wr_kafka_again(forward, error);
}

/* A message that failed spoils its transaction. */
static weir_status check_messages(struct wr_kafka_forward *forward, struct wr_error *error)
{
    WR_TRY(wr_kafka_check_fallen(forward, error));
    if (forward->failed_messages == 0) {
        return WEIR_OK;
    }
    rd_kafka_resp_err_t cause = forward->failed ? forward->failed : RD_KAFKA_RESP_ERR__PURGE_QUEUE;
    return wr_kafka_forward_refused(forward, cause, forward->outlets->topic, error);
}

/* What was sent is between two batches everywhere, else its marker would not say what it holds. */
static bool may_end(const struct wr_kafka_forward *forward)
{
    for (const struct wr_kafka_outlet *at = forward->outlets; at; at = at->next) {
        if (at->sent != at->marked.next) {
            return false;
        }
    }
    return true;
}

/* An abort would be enough for the records. But a request with an older marker may still be on its
 * way, and would take the marker back within a later transaction of this producer. */
static weir_status markers_failed(struct wr_kafka_forward *forward, rd_kafka_error_t *cause,
                                  struct wr_error *error)
{
    rd_kafka_resp_err_t code = rd_kafka_error_code(cause);
    (void)wr_kafka_fail_error(error, cause, "%s: cannot send the marker along", forward->what);
    if (wr_kafka_is_final(code)) {
        error->status = WEIR_FATAL;
        return WEIR_FATAL;
    }
    return start_over(forward, error);
}

static weir_status send_markers(struct wr_kafka_forward *forward, struct wr_error *error)
{
    for (struct wr_kafka_outlet *at = forward->outlets; at; at = at->next) {
        wr_kafka_forward_call(forward, BLOCK_MS);
        rd_kafka_error_t *cause = wr_kafka_marker_send(at, BLOCK_MS);
        wr_kafka_forward_came_back(forward);
        if (cause) {
            return markers_failed(forward, cause, error);
        }
    }
    return WEIR_OK;
}

/* Everything up to the commit, where an abort is still enough. The markers come after the reports:
 * they say where the partitions end, and a topic that was made anew must be seen before. */
static weir_status finish(struct wr_kafka_forward *forward, struct wr_error *error)
{
    struct wr_fault *fault = &forward->env->fault;
    if (!may_end(forward)) {
        return WEIR_RETRY;
    }
    wr_kafka_forward_call(forward, WR_KAFKA_CALL_MS);
    rd_kafka_resp_err_t cause = rd_kafka_flush(forward->client, WR_KAFKA_CALL_MS);
    wr_kafka_forward_came_back(forward);
    WR_TRY(check_messages(forward, error));
    if (cause) {
        return wr_kafka_failed_text(
            forward, wr_kafka_fail(error, cause, "%s: cannot send records", forward->what), error);
    }
    if (forward->claimed) {
        WR_FAULT(fault, kafka_after_produce, error);
    }
    WR_TRY(send_markers(forward, error));
    if (forward->claimed) {
        WR_FAULT(fault, kafka_after_markers, error);
    }
    forward->phase = WR_KAFKA_ENDING;
    return WEIR_OK;
}

static weir_status conclude(struct wr_kafka_forward *forward, struct wr_error *error)
{
    struct wr_fault *fault = &forward->env->fault;
    bool during = fault->point == WR_FAULT_kafka_during_end && forward->claimed;
    int timeout_ms = during && fault->countdown <= 1 ? DURING_MS : WR_KAFKA_CALL_MS;
    if (forward->claimed) {
        WR_FAULT(fault, kafka_before_end, error);
    }
    wr_kafka_forward_call(forward, timeout_ms);
    rd_kafka_error_t *cause = rd_kafka_commit_transaction(forward->client, timeout_ms);
    wr_kafka_forward_came_back(forward);
    if (during) {
        WR_FAULT(fault, kafka_during_end, error);
    }
    if (cause) {
        weir_status status =
            wr_kafka_fail_error(error, cause, "%s: cannot end its transaction", forward->what);
        return status == WEIR_RETRY ? wr_kafka_again(forward, error) : start_over(forward, error);
    }
    if (forward->claimed) {
        WR_FAULT(fault, kafka_after_end, error);
    }
    for (struct wr_kafka_outlet *at = forward->outlets; at; at = at->next) {
        at->settled = at->marked;
        at->settled_ends = wr_kafka_ends_sum(at);
    }
    forward->phase = WR_KAFKA_IDLE;
    forward->ended_us = wr_kafka_now_us(forward);
    wr_kafka_progress(forward);
    return WEIR_OK;
}

static weir_status give_up(struct wr_kafka_forward *forward, struct wr_error *error)
{
    wr_kafka_forward_call(forward, WR_KAFKA_CALL_MS);
    rd_kafka_error_t *cause = rd_kafka_abort_transaction(forward->client, WR_KAFKA_CALL_MS);
    wr_kafka_forward_came_back(forward);
    if (cause) {
        weir_status status =
            wr_kafka_fail_error(error, cause, "%s: cannot abort its transaction", forward->what);
        return status == WEIR_RETRY ? wr_kafka_again(forward, error) : start_over(forward, error);
    }
    WR_FAULT(&forward->env->fault, kafka_after_abort, error);
    for (struct wr_kafka_outlet *at = forward->outlets; at; at = at->next) {
        at->marked = at->settled;
        at->sent = at->settled.next;
    }
    forward->phase = WR_KAFKA_IDLE;
    if (++forward->aborts > ABORTS_MAX) { /* it may be this client */
        *error = forward->last;
        return start_over(forward, error);
    }
    return WEIR_OK;
}

weir_status wr_kafka_forward_end(struct wr_kafka_forward *forward, struct wr_error *error)
{
    if (wr_kafka_now_us(forward) < forward->again_us && forward->phase != WR_KAFKA_IDLE) {
        return WEIR_RETRY;
    }
    if (forward->phase == WR_KAFKA_OPEN) {
        WR_TRY(finish(forward, error));
    }
    if (forward->phase == WR_KAFKA_ENDING) {
        return conclude(forward, error);
    }
    if (forward->phase == WR_KAFKA_ABORTING) {
        return give_up(forward, error);
    }
    return forward->phase == WR_KAFKA_IDLE ? WEIR_OK : WEIR_RETRY;
}
