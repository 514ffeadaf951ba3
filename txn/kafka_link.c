/* kafka_link.c: whether a broker can be reached, and librdkafka's log, told to the user. See
 * kafka_client.h.
 *
 * It is seen at two places. Every response that a broker's thread takes says that one can (with
 * SASL but for those of the handshake, which a client that is not let in gets too); librdkafka's
 * own word that all are down, or a call that timed out, says that none can, unless a response came
 * after the last failure: such words wait in a queue. Of a single broker that word does not always
 * come (librdkafka 2.0.2, when it goes right after the first connection): there a connection that
 * fails to be made says it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "txn/kafka_client_inner.h"

enum {
    LOG_LINES_MAX = 50, /* of librdkafka's log in each LOG_WINDOW_US */
};
#define LOG_WINDOW_US (10LL * 1000 * 1000)

/* Kafka's numbers of the requests with which a connection begins. */
enum { API_SASL_HANDSHAKE = 17, API_VERSIONS = 18, API_SASL_AUTHENTICATE = 36 };

/* ---- Is a broker there? ---------------------------------------------------------------------- */

static int64_t now_us(struct wr_kafka_context *context)
{
    return context->link->env->monotonic_us(context->link->env);
}

/* Every function from here to wr_kafka_watch_responses is called with the lock, and a link. */

static void say_down(struct wr_kafka_context *context)
{
    struct wr_kafka_link *link = context->link;
    if (context->answered_us > context->failed_us || atomic_load(&link->down)) {
        return; /* said already, or an old word: one has answered since */
    }
    memcpy(link->cause, context->cause, sizeof link->cause);
    atomic_store(&link->down, true);
    wr_log(link->env, WR_LOG_WARN,
           "%s: no broker of %.300s can be reached%s%s%s; it is tried again until one answers",
           link->what, link->brokers, *link->cause ? " (" : "", link->cause,
           *link->cause ? ")" : "");
}

static void say_up(struct wr_kafka_context *context)
{
    struct wr_kafka_link *link = context->link;
    if (atomic_exchange(&link->down, false)) {
        wr_log(link->env, WR_LOG_WARN, "%s: a broker of %.300s answers again", link->what,
               link->brokers);
    }
}

/* From "127.0.0.1:9092/bootstrap: Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after
 * 0ms in state CONNECT, 2 identical error(s) suppressed)", what a user needs. */
static void note_failure(struct wr_kafka_context *context, const char *text)
{
    if (strstr(text, "ipv6#[::1]") && !strstr(context->link->brokers, "[::1]")) {
        return; /* of localhost, and 127.0.0.1 is tried next */
    }
    const char *logical = strstr(text, "Coordinator: "); /* then the broker's name comes too */
    text = logical ? logical + strlen("Coordinator: ") : text;
    const char *start = strstr(text, ": ");
    start = start ? start + 2 : text;
    const char *failed = strstr(start, "Connect to ") ? strstr(start, "failed: ") : NULL;
    start = failed ? failed + 8 : start;
    const char *end = strstr(start, " (after ");
    size_t size = end ? (size_t)(end - start) : strlen(start);
    snprintf(context->cause, sizeof context->cause, "%.*s", (int)size, start);
    context->failed_us = now_us(context);
    if (!context->several && !strstr(text, "in state UP")) {
        say_down(context);
    }
}

static void note_answer(struct wr_kafka_context *context, int32_t broker)
{
    if (broker >= 0) {
        context->several |= context->broker >= 0 && context->broker != broker;
        context->broker = broker;
    }
    context->answered_us = now_us(context);
    say_up(context);
}

static rd_kafka_resp_err_t take_response(rd_kafka_t *client, int fd, const char *broker,
                                         int32_t broker_id, int16_t api, int16_t version,
                                         int32_t correlation, size_t size, int64_t rtt_us,
                                         rd_kafka_resp_err_t cause, void *opaque)
{
    (void)client, (void)fd, (void)broker, (void)version, (void)correlation;
    (void)size, (void)rtt_us;
    struct wr_kafka_context *context = opaque;
    bool handshake =
        api == API_VERSIONS || api == API_SASL_HANDSHAKE || api == API_SASL_AUTHENTICATE;
    pthread_mutex_lock(&context->lock);
    if (context->link && cause == RD_KAFKA_RESP_ERR_NO_ERROR && !(context->sasl && handshake)) {
        note_answer(context, broker_id);
    }
    pthread_mutex_unlock(&context->lock);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t wr_kafka_watch_responses(rd_kafka_t *client, const rd_kafka_conf_t *conf,
                                             void *opaque, char *text, size_t size)
{
    struct wr_kafka_context *context = opaque;
    char protocol[32] = "";
    size_t protocol_size = sizeof protocol;
    (void)text, (void)size;
    rd_kafka_conf_get(conf, "security.protocol", protocol, &protocol_size);
    context->sasl = strncmp(protocol, "sasl", 4) == 0;
    return rd_kafka_interceptor_add_on_response_received(client, "weir", take_response, opaque);
}

void wr_kafka_take_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    struct wr_kafka_context *context = opaque;
    (void)client;
    pthread_mutex_lock(&context->lock);
    if (context->link && code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        wr_log(context->link->env, WR_LOG_DEBUG, "%s: %s: %.400s", context->link->what,
               rd_kafka_err2name((rd_kafka_resp_err_t)code), reason);
    } else if (context->link && context->failed_us > 0) {
        say_down(context);
    }
    pthread_mutex_unlock(&context->lock);
}

void wr_kafka_link_check(rd_kafka_t *client)
{
    struct wr_kafka_context *context = rd_kafka_opaque(client);
    pthread_mutex_lock(&context->lock);
    if (context->link) {
        say_down(context);
    }
    pthread_mutex_unlock(&context->lock);
}

/* ---- Librdkafka's log ------------------------------------------------------------------------ */

/* Whether one more line may be shown; the last one says that some are left out. */
static bool may_log(struct wr_kafka_context *context, bool *last_out)
{
    int64_t now = now_us(context);
    if (now - context->window_us >= LOG_WINDOW_US) {
        context->window_us = now;
        context->lines = 0;
    }
    if (context->lines >= LOG_LINES_MAX) {
        return false;
    }
    *last_out = ++context->lines == LOG_LINES_MAX;
    return true;
}

static void take_line(struct wr_kafka_context *context, int level, const char *facility,
                      const char *text)
{
    if (strncmp(text, "[thrd:", 6) == 0 && strstr(text, "]: ")) {
        text = strstr(text, "]: ") + 3;
    }
    if (strcmp(facility, "FAIL") == 0 && level < LOG_DEBUG) { /* that: a client is closed */
        note_failure(context, text);
    }
    bool last = false;
    bool false_alarm = strstr(text, "No `bootstrap.servers` configured"); /* they are added later */
    struct wr_env *env = context->link->env;
    if (env->level >= WR_LOG_DEBUG && !false_alarm && may_log(context, &last)) {
        wr_log(env, WR_LOG_DEBUG, "%s: librdkafka: %s: %.700s%s", context->link->what, facility,
               text, last ? " (more follow, which are not shown for some seconds)" : "");
    }
}

void wr_kafka_take_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    struct wr_kafka_context *context = client ? rd_kafka_opaque(client) : NULL;
    if (context) {
        pthread_mutex_lock(&context->lock);
        if (context->link) {
            take_line(context, level, facility, text);
        }
        pthread_mutex_unlock(&context->lock);
    }
}
