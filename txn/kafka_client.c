/* kafka_client.c: see kafka_client.h. Settings come in three layers, each over the one before:
 * weir's choices, the user's -X, and what the protocol must have (which -X refuses).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "txn/base/assert.h"
#include "txn/base/error.h"
#include "txn/kafka_client_inner.h"

enum { DETAIL_MAX = 512 }; /* of librdkafka's texts */

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
    {"queued.max.messages.kbytes", "6144"},
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
    {"isolation.level", "read_uncommitted"}, /* where partitions end, transactions or not */
    {NULL, NULL},
};
static const struct setting of_direct[] = {
    {"isolation.level", "read_uncommitted"},
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

static bool is_secret(const char *name)
{
    return strstr(name, "password") || strstr(name, "secret") || strstr(name, ".pem") ||
           strstr(name, "oauthbearer") || strstr(name, "ssl_") || strstr(name, "username");
}

/* Takes what may be secret of the user's properties out of a text. */
static void hide_values(const struct wr_kafka_properties *properties, char *text)
{
    for (size_t i = 0; properties && i < properties->count; i++) {
        const char *value = properties->items[i].value;
        size_t size = strlen(value);
        for (char *at = text;
             is_secret(properties->items[i].name) && size >= 3 && (at = strstr(at, value));
             at += 3) {
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

static bool applies(const struct wr_kafka_client_options *options,
                    const struct wr_kafka_property *item)
{
    return !item->endpoint || (options->endpoint && strcmp(item->endpoint, options->endpoint) == 0);
}

static weir_status set_users(rd_kafka_conf_t *conf, const struct wr_kafka_client_options *options,
                             struct wr_error *error)
{
    const struct wr_kafka_properties *properties = options->properties;
    for (int own = 0; own <= 1 && properties; own++) { /* an endpoint's own over the general ones */
        for (size_t i = 0; i < properties->count; i++) {
            const struct wr_kafka_property *item = &properties->items[i];
            if (applies(options, item) && (item->endpoint != NULL) == own) {
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
    if (consumer) { /* without a group there is no consumer's queue */
        return set(conf, options, "group.id", options->id ? options->id : "weir", error);
    }
    return transactional ? set(conf, options, "transactional.id", options->id, error) : WEIR_OK;
}

/* ---- Clients --------------------------------------------------------------------------------- */

static void take_delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct wr_kafka_context *context = opaque;
    context->delivered(client, message, context->opaque);
}

static struct wr_kafka_context *context_new(const struct wr_kafka_client_options *options)
{
    struct wr_kafka_context *context = calloc(1, sizeof *context);
    if (context && pthread_mutex_init(&context->lock, NULL) != 0) {
        free(context);
        return NULL;
    }
    if (context) {
        context->link = options->link;
        context->delivered = options->delivered;
        context->opaque = options->opaque;
        context->broker = -1;
        context->several = strchr(options->brokers, ',') != NULL;
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
    return wr_fail_native(error, WEIR_FATAL, WR_EXIT_CONFIG, cause,
                          "%s: Kafka's client does not take its properties (%s); correct -X", what,
                          text);
}

static rd_kafka_type_t type_of(const struct wr_kafka_client_options *options)
{
    return is_consumer(options->role) ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER;
}

/* A configuration, without brokers: they come last. NULL: see the error. */
static rd_kafka_conf_t *conf_new(const struct wr_kafka_client_options *options,
                                 struct wr_kafka_context *context, struct wr_error *error)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (!conf) {
        (void)wr_fail_memory(error);
        return NULL;
    }
    rd_kafka_conf_set_opaque(conf, context);
    rd_kafka_conf_set_log_cb(conf, wr_kafka_take_log);
    rd_kafka_conf_set_error_cb(conf, wr_kafka_take_error);
    if (!is_consumer(options->role) && options->delivered) {
        rd_kafka_conf_set_dr_msg_cb(conf, take_delivered);
    }
    if (configure(conf, options, error) != WEIR_OK) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    return conf;
}

/* Makes a client that is connected to nothing, to see whether librdkafka takes the properties
 * together, and lets it go. The real one has an interceptor, and a configuration that has one is
 * freed twice when it is refused (librdkafka 2.0.2). */
static weir_status try_properties(const struct wr_kafka_client_options *options,
                                  struct wr_kafka_context *context, struct wr_error *error)
{
    char text[DETAIL_MAX] = "";
    rd_kafka_conf_t *conf = conf_new(options, context, error);
    if (!conf) {
        return error->status;
    }
    rd_kafka_t *client = rd_kafka_new(type_of(options), conf, text, sizeof text);
    if (!client) {
        weir_status status = fail_new(options, text, error);
        rd_kafka_conf_destroy(conf); /* a client that was made would own it */
        return status;
    }
    rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return WEIR_OK;
}

/* Whether a property's file can be read: of one that cannot librdkafka says but the property. */
static weir_status check_files(const struct wr_kafka_client_options *options,
                               struct wr_error *error)
{
    const struct wr_kafka_properties *properties = options->properties;
    for (size_t i = 0; i < properties->count; i++) {
        const struct wr_kafka_property *item = &properties->items[i];
        if (applies(options, item) && strstr(item->name, ".location") && *item->value &&
            strcmp(item->value, "probe") != 0 && access(item->value, R_OK) != 0) {
            return wr_fail_errno(error, "%s: cannot read the file that -X %s names",
                                 options->link->what, item->name);
        }
    }
    return WEIR_OK;
}

static weir_status make(const struct wr_kafka_client_options *options,
                        struct wr_kafka_context *context, rd_kafka_t **client_out,
                        struct wr_error *error)
{
    char text[DETAIL_MAX] = "";
    if (options->properties && options->properties->count > 0) {
        WR_TRY(check_files(options, error));
        WR_TRY(try_properties(options, context, error));
    }
    rd_kafka_conf_t *conf = conf_new(options, context, error);
    if (!conf) {
        return error->status;
    }
    rd_kafka_conf_interceptor_add_on_new(conf, "weir", wr_kafka_watch_responses, context);
    *client_out = rd_kafka_new(type_of(options), conf, text, sizeof text);
    return *client_out ? WEIR_OK : fail_new(options, text, error); /* conf stays, see above */
}

weir_status wr_kafka_client_new(const struct wr_kafka_client_options *options,
                                rd_kafka_t **client_out, struct wr_error *error)
{
    struct wr_kafka_context *context = context_new(options);
    rd_kafka_t *client = NULL;
    if (!context) {
        return wr_fail_memory(error);
    }
    weir_status status = make(options, context, &client, error);
    if (status != WEIR_OK) {
        wr_kafka_context_free(context);
        return status;
    }
    if (is_consumer(options->role)) {
        rd_kafka_poll_set_consumer(client);
    }
    if (rd_kafka_brokers_add(client, options->brokers) == 0) {
        wr_kafka_client_free(client);
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "%s: Kafka's client takes no broker of \"%.300s\"", options->link->what,
                       options->brokers);
    }
    *client_out = client;
    return WEIR_OK;
}
