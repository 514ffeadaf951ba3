/* kafka_client.c: see kafka_client.h. Settings come in three layers, each over the one before:
 * weir's choices, the user's -X, and what the protocol must have (which -X refuses).
 *
 * Whether a broker can be reached is seen at two places. Every response that a broker's thread
 * takes says that one can (but for those of the handshake, which a client without a right to be
 * there gets too); librdkafka's own word that all are down, or a call that timed out, says that
 * none can, unless a response came after the last failure: such words wait in a queue.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/kafka_client.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"
#include "txn/base/error.h"

enum {
    DETAIL_MAX = 512, /* of librdkafka's texts */
    LOG_LINES_MAX = 50, /* of librdkafka's log in each LOG_WINDOW_US */
};
#define LOG_WINDOW_US (10LL * 1000 * 1000)

/* Kafka's numbers of the requests with which a connection begins. */
enum { API_SASL_HANDSHAKE = 17, API_VERSIONS = 18, API_SASL_AUTHENTICATE = 36 };

/* What a client has of ours: its opaque. Written by any of librdkafka's threads. */
struct context {
    struct wr_kafka_link *link;
    void (*delivered)(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque);
    void *opaque;
    _Atomic int64_t answered_us, failed_us; /* last time that a broker did; 0: never */
    pthread_mutex_t lock; /* of what follows */
    char cause[sizeof((struct wr_kafka_link *)NULL)->cause]; /* of the last failure */
    int64_t window_us; /* when the first line of log in this window came */
    int lines; /* in this window */
};

/* ---- Is a broker there? ---------------------------------------------------------------------- */

static int64_t now_us(struct context *context)
{
    return context->link->env->monotonic_us(context->link->env);
}

static void say_down(struct context *context)
{
    struct wr_kafka_link *link = context->link;
    if (atomic_load(&context->answered_us) > atomic_load(&context->failed_us)) {
        return; /* an old word: one has answered since */
    }
    if (!atomic_load(&link->down)) {
        pthread_mutex_lock(&context->lock);
        memcpy(link->cause, context->cause, sizeof link->cause);
        pthread_mutex_unlock(&context->lock);
    }
    if (!atomic_exchange(&link->down, true)) {
        wr_log(link->env, WR_LOG_WARN,
               "%s: no broker of %.300s can be reached%s%s%s; it is tried again until one answers",
               link->what, link->brokers, *link->cause ? " (" : "", link->cause,
               *link->cause ? ")" : "");
    }
}

static void say_up(struct context *context)
{
    struct wr_kafka_link *link = context->link;
    if (atomic_load(&link->down) && atomic_exchange(&link->down, false)) {
        wr_log(link->env, WR_LOG_WARN, "%s: a broker of %.300s answers again", link->what,
               link->brokers);
    }
}

/* From "127.0.0.1:9092/bootstrap: Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after
 * 0ms in state CONNECT, 2 identical error(s) suppressed)", what a user needs. */
static void note_failure(struct context *context, const char *text)
{
    const char *start = strstr(text, ": ");
    start = start ? start + 2 : text;
    const char *failed = strncmp(start, "Connect to ", 11) == 0 ? strstr(start, "failed: ") : NULL;
    start = failed ? failed + 8 : start;
    const char *end = strstr(start, " (after ");
    size_t size = end ? (size_t)(end - start) : strlen(start);
    pthread_mutex_lock(&context->lock);
    snprintf(context->cause, sizeof context->cause, "%.*s", (int)size, start);
    pthread_mutex_unlock(&context->lock);
    atomic_store(&context->failed_us, now_us(context));
}

static rd_kafka_resp_err_t take_response(rd_kafka_t *client, int fd, const char *broker,
                                         int32_t broker_id, int16_t api, int16_t version,
                                         int32_t correlation, size_t size, int64_t rtt_us,
                                         rd_kafka_resp_err_t cause, void *opaque)
{
    (void)client, (void)fd, (void)broker, (void)broker_id, (void)version, (void)correlation;
    (void)size, (void)rtt_us;
    struct context *context = opaque;
    if (cause == RD_KAFKA_RESP_ERR_NO_ERROR && api != API_VERSIONS && api != API_SASL_HANDSHAKE &&
        api != API_SASL_AUTHENTICATE) {
        atomic_store(&context->answered_us, now_us(context));
        say_up(context);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t watch_responses(rd_kafka_t *client, const rd_kafka_conf_t *conf,
                                           void *opaque, char *text, size_t size)
{
    (void)conf, (void)text, (void)size;
    return rd_kafka_interceptor_add_on_response_received(client, "weir", take_response, opaque);
}

static void take_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    struct context *context = opaque;
    (void)client;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        say_down(context);
    } else {
        wr_log(context->link->env, WR_LOG_DEBUG, "%s: %s: %.400s", context->link->what,
               rd_kafka_err2name((rd_kafka_resp_err_t)code), reason);
    }
}

void wr_kafka_link_check(rd_kafka_t *client)
{
    struct context *context = rd_kafka_opaque(client);
    say_down(context);
}

/* ---- Librdkafka's log ------------------------------------------------------------------------ */

/* Whether one more line may be shown; the last one says that some are left out. */
static bool may_log(struct context *context, bool *last_out)
{
    int64_t now = now_us(context);
    pthread_mutex_lock(&context->lock);
    if (now - context->window_us >= LOG_WINDOW_US) {
        context->window_us = now;
        context->lines = 0;
    }
    int lines = context->lines < LOG_LINES_MAX ? ++context->lines : LOG_LINES_MAX + 1;
    pthread_mutex_unlock(&context->lock);
    *last_out = lines == LOG_LINES_MAX;
    return lines <= LOG_LINES_MAX;
}

static void take_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    struct context *context = client ? rd_kafka_opaque(client) : NULL;
    (void)level;
    if (!context) {
        return;
    }
    if (strncmp(text, "[thrd:", 6) == 0 && strstr(text, "]: ")) {
        text = strstr(text, "]: ") + 3;
    }
    if (strcmp(facility, "FAIL") == 0) {
        note_failure(context, text);
    }
    bool last = false;
    struct wr_env *env = context->link->env;
    if (env->level >= WR_LOG_DEBUG && may_log(context, &last)) {
        wr_log(env, WR_LOG_DEBUG, "%s: librdkafka: %s: %.700s%s", context->link->what, facility,
               text, last ? " (more follow, which are not shown for some seconds)" : "");
    }
}

/* ---- Settings -------------------------------------------------------------------------------- */

struct setting {
    const char *name, *value;
};

/* What suits a stream engine; -X may set it otherwise. */
static const struct setting common[] = {
    {"client.id", "weir"},
    {"log_level", "6"}, /* its lines are sorted here */
    {"socket.nagle.disable", "true"},
    {"socket.keepalive.enable", "true"},
    {"reconnect.backoff.max.ms", "2000"}, /* 10000: so long would nothing move after an outage */
    {NULL, NULL},
};
static const struct setting of_consumers[] = {
    /* A full queue stalls the fetcher for up to a second, so it is bounded by bytes alone. */
    {"queued.min.messages", "10000000"},
    {"queued.max.messages.kbytes", "16384"},
    {"fetch.error.backoff.ms", "50"},
    {"max.poll.interval.ms", "86400000"}, /* weir polls when it has room, and is in no group */
    {NULL, NULL},
};
static const struct setting of_producers[] = {
    {"linger.ms", "5"},
    {"retry.backoff.ms", "10"}, /* 100: every second transaction waits for so long */
    {"batch.num.messages", "100000"}, /* batches are bounded by batch.size, 1 MB */
    {"queue.buffering.max.messages", "400000"},
    {"queue.buffering.max.kbytes", "65536"},
    {"message.max.bytes", "1148576"}, /* WR_RECORD_BYTES_MAX, and the lengths of 1024 headers */
    {"compression.codec", "none"}, /* -X has others; CPU is what a run is short of first */
    {NULL, NULL},
};
static const struct setting of_transactions[] = {
    {"transaction.timeout.ms", "60000"},
    {NULL, NULL},
};
static const struct setting of_direct[] = {
    {"message.timeout.ms", "0"}, /* a record waits until there is a broker */
    {NULL, NULL},
};

/* What the protocol must have. */
static const struct setting consumers_must[] = {
    {"isolation.level", "read_committed"}, {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"}, {"auto.offset.reset", "error"},
    {"enable.partition.eof", "true"},      {NULL, NULL},
};
static const struct setting producers_must[] = {
    {"enable.idempotence", "true"},
    {"delivery.report.only.error", "false"},
    {NULL, NULL},
};

static bool is_consumer(enum wr_kafka_role role)
{
    return role == WR_KAFKA_CONSUMER || role == WR_KAFKA_MARKERS;
}

/* Takes values of the user's properties out of a text, so that none is shown. */
static void hide_values(const struct wr_kafka_properties *properties, char *text)
{
    for (size_t i = 0; properties && i < properties->count; i++) {
        const char *value = properties->items[i].value;
        size_t size = strlen(value);
        for (char *at = text; size >= 3 && (at = strstr(at, value)); at += 3) {
            memmove(at + 3, at + size, strlen(at + size) + 1);
            memcpy(at, "...", 3);
        }
    }
}

static weir_status set(rd_kafka_conf_t *conf, const struct wr_kafka_client_options *options,
                       const char *name, const char *value, struct wr_error *error)
{
    char text[DETAIL_MAX];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK) {
        return WEIR_OK;
    }
    hide_values(options->properties, text);
    return wr_fail(error, WEIR_MISUSE, WR_EXIT_CONFIG, "%s: Kafka's client does not take %s: %s",
                   options->link->what, name, text);
}

static weir_status set_all(rd_kafka_conf_t *conf, const struct wr_kafka_client_options *options,
                           const struct setting *settings, struct wr_error *error)
{
    for (; settings->name; settings++) {
        WR_TRY(set(conf, options, settings->name, settings->value, error));
    }
    return WEIR_OK;
}

static weir_status set_users(rd_kafka_conf_t *conf, const struct wr_kafka_client_options *options,
                             struct wr_error *error)
{
    const struct wr_kafka_properties *properties = options->properties;
    for (int own = 0; own <= 1 && properties; own++) { /* an endpoint's own over the general ones */
        for (size_t i = 0; i < properties->count; i++) {
            const struct wr_kafka_property *item = &properties->items[i];
            bool fits = item->endpoint
                            ? options->endpoint && strcmp(item->endpoint, options->endpoint) == 0
                            : true;
            if (fits && (item->endpoint != NULL) == own) {
                WR_TRY(set(conf, options, item->name, item->value, error));
            }
        }
    }
    return WEIR_OK;
}

static weir_status configure(rd_kafka_conf_t *conf, const struct wr_kafka_client_options *options,
                             struct wr_error *error)
{
    bool consumer = is_consumer(options->role);
    bool transactional = options->role == WR_KAFKA_TRANSACTIONS;
    WR_TRY(set_all(conf, options, common, error));
    WR_TRY(set_all(conf, options, consumer ? of_consumers : of_producers, error));
    if (!consumer) {
        WR_TRY(set_all(conf, options, transactional ? of_transactions : of_direct, error));
    }
    WR_TRY(set_users(conf, options, error));
    WR_TRY(set_all(conf, options, consumer ? consumers_must : producers_must, error));
    WR_TRY(set(conf, options, "bootstrap.servers", options->brokers, error));
    if (consumer) { /* without a group there is no consumer's queue */
        return set(conf, options, "group.id", options->id ? options->id : "weir", error);
    }
    return transactional ? set(conf, options, "transactional.id", options->id, error) : WEIR_OK;
}

/* ---- Clients --------------------------------------------------------------------------------- */

static void take_delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct context *context = opaque;
    context->delivered(client, message, context->opaque);
}

static void context_free(struct context *context)
{
    pthread_mutex_destroy(&context->lock);
    free(context);
}

static struct context *context_new(const struct wr_kafka_client_options *options)
{
    struct context *context = calloc(1, sizeof *context);
    if (context && pthread_mutex_init(&context->lock, NULL) != 0) {
        free(context);
        return NULL;
    }
    if (context) {
        context->link = options->link;
        context->delivered = options->delivered;
        context->opaque = options->opaque;
    }
    return context;
}

static weir_status fail_new(const struct wr_kafka_client_options *options, char *text,
                            struct wr_error *error)
{
    rd_kafka_resp_err_t cause = rd_kafka_last_error();
    const char *what = options->link->what;
    if (cause == RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE) {
        return wr_fail_native(error, WEIR_FATAL, WR_EXIT_AGAIN, cause,
                              "%s: cannot start Kafka's client (%s); free memory or threads and "
                              "start again",
                              what, text);
    }
    hide_values(options->properties, text);
    bool file = strstr(text, "Permission denied") || strstr(text, "No such file");
    return wr_fail_native(error, WEIR_FATAL, file ? WR_EXIT_PERMISSION : WR_EXIT_CONFIG, cause,
                          "%s: Kafka's client does not take its properties (%s); correct -X", what,
                          text);
}

weir_status wr_kafka_client_new(const struct wr_kafka_client_options *options,
                                rd_kafka_t **client_out, struct wr_error *error)
{
    char text[DETAIL_MAX] = "";
    struct context *context = context_new(options);
    rd_kafka_conf_t *conf = context ? rd_kafka_conf_new() : NULL;
    if (!conf) {
        free(context);
        return wr_fail_memory(error);
    }
    rd_kafka_conf_set_opaque(conf, context);
    rd_kafka_conf_set_log_cb(conf, take_log);
    rd_kafka_conf_set_error_cb(conf, take_error);
    rd_kafka_conf_interceptor_add_on_new(conf, "weir", watch_responses, context);
    if (!is_consumer(options->role) && options->delivered) {
        rd_kafka_conf_set_dr_msg_cb(conf, take_delivered);
    }
    weir_status status = configure(conf, options, error);
    rd_kafka_t *client = NULL;
    if (status == WEIR_OK) {
        rd_kafka_type_t type = is_consumer(options->role) ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER;
        client = rd_kafka_new(type, conf, text, sizeof text);
        status = client ? WEIR_OK : fail_new(options, text, error);
    }
    if (status != WEIR_OK) {
        rd_kafka_conf_destroy(conf); /* a client that was made would own it */
        context_free(context);
        return status;
    }
    if (is_consumer(options->role)) {
        rd_kafka_poll_set_consumer(client);
    }
    *client_out = client;
    return WEIR_OK;
}

void wr_kafka_client_free(rd_kafka_t *client)
{
    if (!client) {
        return;
    }
    struct context *context = rd_kafka_opaque(client);
    /* Nobody is in a group, so there is none to leave. */
    rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    context_free(context);
}
