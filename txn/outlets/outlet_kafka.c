/* outlet_kafka.c: kafka://BROKERS/TOPIC, each record of a sink's log to a topic. Exactly once by
 * the transactions of kafka_forward.c, whose phases are drawn in its header; at-least-once by an
 * idempotent producer without any.
 *
 * Key, value, headers and time arrive as they are, absent apart from empty; but a time of 0 or
 * before, which Kafka's client takes for none, arrives as the time of sending.
 *
 * Librdkafka copies what it is given: its own record of a message is as large as most values, so
 * holding batches until they are acknowledged would save little.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"
#include "txn/base/bytes.h"
#include "txn/outlets/kafka_forward.h"

enum {
    POLL_RECORDS = 1000, /* sent between two looks at delivery reports */
    FULL_WAIT_MS = 100,
    FULL_WAITS_MAX = 10, /* with transactions; then another time */
};

static struct wr_kafka_outlet *kafka_of(struct wr_outlet *outlet)
{
    return (struct wr_kafka_outlet *)outlet;
}

/* ---- Sending --------------------------------------------------------------------------------- */

/* The partition of the source that a record says it came from, as its last header (sink.c put it
 * there, and it goes no further); -1: it does not say. */
static int32_t take_source(const weir_record *record, size_t *header_count)
{
    size_t count = record->header_count;
    *header_count = count;
    if (count == 0) {
        return -1;
    }
    const weir_header *last = &record->headers[count - 1];
    if (strcmp(last->name, WR_HEADER_SOURCE) != 0 || last->value.size != 4) {
        return -1;
    }
    *header_count = count - 1;
    return (int32_t)(wr_u32_get(last->value.data) & INT32_MAX);
}

static int32_t place(const struct wr_kafka_outlet *kafka, const weir_record *record, int32_t source)
{
    wr_assert_that(kafka->partitions, >, 0);
    if (kafka->place == WR_KAFKA_FIXED) {
        return kafka->partition;
    }
    if (kafka->place == WR_KAFKA_BY_KEY && record->key.data) {
        return wr_partition_of(record->key, kafka->partitions);
    }
    return source > 0 ? source % kafka->partitions : 0;
}

static weir_status copy_headers(const weir_record *record, size_t count,
                                rd_kafka_headers_t **headers_out, struct wr_error *error)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(count);
    for (size_t i = 0; i < count; i++) {
        const weir_header *header = &record->headers[i];
        rd_kafka_resp_err_t cause =
            rd_kafka_header_add(headers, header->name, -1, header->value.data,
                                header->value.data ? (ssize_t)header->value.size : -1);
        if (cause) {
            rd_kafka_headers_destroy(headers);
            return wr_fail_memory(error);
        }
    }
    *headers_out = headers;
    return WEIR_OK;
}

/* Hands a record to librdkafka; the code is 0 or its own. */
static rd_kafka_resp_err_t produce(const struct wr_kafka_outlet *kafka, const weir_record *record,
                                   int32_t partition, rd_kafka_headers_t *headers)
{
    void *key = (void *)(uintptr_t)record->key.data, *value = (void *)(uintptr_t)record->value.data;
    int64_t time_ms = record->time_ms > 0 ? record->time_ms : 0;
    if (headers) {
        return rd_kafka_producev(
            kafka->forward->client, RD_KAFKA_V_RKT(kafka->handle), RD_KAFKA_V_PARTITION(partition),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, record->key.size),
            RD_KAFKA_V_VALUE(value, record->value.size), RD_KAFKA_V_TIMESTAMP(time_ms),
            RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE((void *)(uintptr_t)kafka),
            RD_KAFKA_V_END);
    }
    return rd_kafka_producev(
        kafka->forward->client, RD_KAFKA_V_RKT(kafka->handle), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, record->key.size),
        RD_KAFKA_V_VALUE(value, record->value.size), RD_KAFKA_V_TIMESTAMP(time_ms),
        RD_KAFKA_V_OPAQUE((void *)(uintptr_t)kafka), RD_KAFKA_V_END);
}

static weir_status fail_record(struct wr_kafka_outlet *kafka, rd_kafka_resp_err_t cause,
                               int64_t offset, struct wr_error *error)
{
    struct wr_error why;
    wr_error_clear(&why);
    (void)wr_kafka_fail(&why, cause,
                        "sink %s: cannot send record %" PRId64 " of its log to topic %s",
                        kafka->name, offset, kafka->topic);
    return wr_fail_native(error, WEIR_FATAL, why.exit_code, cause, "%s", why.text);
}

/* A full queue is waited for: its records are on their way. */
static weir_status produce_waiting(struct wr_kafka_outlet *kafka, const weir_record *record,
                                   int32_t partition, rd_kafka_headers_t *headers, int64_t offset,
                                   struct wr_error *error)
{
    struct wr_kafka_forward *forward = kafka->forward;
    for (int waits = 0;; waits++) {
        rd_kafka_resp_err_t cause = produce(kafka, record, partition, headers);
        if (cause == RD_KAFKA_RESP_ERR_NO_ERROR) {
            return WEIR_OK;
        }
        if (cause != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            if (headers) {
                rd_kafka_headers_destroy(headers);
            }
            bool spoilt = !forward->direct && !wr_kafka_is_final(cause);
            return spoilt ? wr_kafka_forward_refused(forward, cause, kafka->topic, error)
                          : fail_record(kafka, cause, offset, error);
        }
        wr_kafka_forward_poll(forward, FULL_WAIT_MS);
        bool failed = forward->direct && forward->failed_messages > 0;
        if (failed || (!forward->direct && waits >= FULL_WAITS_MAX)) {
            if (headers) {
                rd_kafka_headers_destroy(headers);
            }
            return failed ? wr_kafka_forward_flush(forward, error) : WEIR_RETRY;
        }
    }
}

static weir_status send_record(struct wr_kafka_outlet *kafka, const weir_record *record,
                               int64_t offset, struct wr_error *error)
{
    size_t count;
    int32_t source = take_source(record, &count);
    rd_kafka_headers_t *headers = NULL;
    if (count > 0) {
        WR_TRY(copy_headers(record, count, &headers, error));
    }
    WR_TRY(produce_waiting(kafka, record, place(kafka, record, source), headers, offset, error));
    if (++kafka->forward->unpolled >= POLL_RECORDS) {
        wr_kafka_forward_poll(kafka->forward, 0);
    }
    return WEIR_OK;
}

static weir_status kafka_send(struct wr_outlet *outlet, const weir_record *record, int64_t offset,
                              struct wr_error *error)
{
    struct wr_kafka_outlet *kafka = kafka_of(outlet);
    struct wr_kafka_forward *forward = kafka->forward;
    if (outlet->direct) {
        if (!forward->direct || forward->phase != WR_KAFKA_IDLE) {
            WR_TRY(wr_kafka_forward_wait(kafka, wr_kafka_forward_direct, error));
        }
        return send_record(kafka, record, offset, error);
    }
    if (forward->phase == WR_KAFKA_IDLE && forward->claimed) {
        WR_TRY(wr_kafka_forward_begin(forward, error));
    }
    if (forward->phase != WR_KAFKA_OPEN || !forward->claimed) {
        return WEIR_RETRY; /* its transaction has not ended yet */
    }
    wr_assert_that(offset, ==, kafka->sent);
    WR_TRY(send_record(kafka, record, offset, error));
    kafka->sent = offset + 1;
    return WEIR_OK;
}

static void kafka_mark(struct wr_outlet *outlet, weir_bytes batch, int64_t next)
{
    struct wr_kafka_outlet *kafka = kafka_of(outlet);
    wr_assert_that(next, ==, kafka->sent);
    kafka->marked.crc = wr_batch_running_crc(kafka->marked.crc, batch.data);
    kafka->marked.next = next;
}

static weir_status kafka_flush(struct wr_outlet *outlet, struct wr_error *error)
{
    /* Nothing waits for an answer here: positions are stored after settle alone. */
    (void)error;
    wr_kafka_forward_poll(kafka_of(outlet)->forward, 0);
    return WEIR_OK;
}

/* ---- Settling -------------------------------------------------------------------------------- */

static weir_status wait_or_call(struct wr_kafka_outlet *kafka,
                                weir_status (*call)(struct wr_kafka_forward *forward,
                                                    struct wr_error *error),
                                struct wr_error *error)
{
    return kafka->base.waits ? wr_kafka_forward_wait(kafka, call, error)
                             : call(kafka->forward, error);
}

static void tell(const struct wr_kafka_outlet *kafka, struct wr_marker *marker)
{
    marker->next = kafka->settled.next;
    marker->crc = kafka->settled.crc;
    marker->length = kafka->settled_ends; /* not those of a transaction that is open */
    marker->identity = kafka->identity;
}

/* At-least-once: all of it is acknowledged; until then the caller waits, as for a disk. */
static weir_status settle_direct(struct wr_kafka_outlet *kafka, struct wr_marker *marker,
                                 struct wr_error *error)
{
    struct wr_kafka_forward *forward = kafka->forward;
    weir_status status = WEIR_OK;
    if (!forward->direct || forward->phase != WR_KAFKA_IDLE) {
        WR_TRY(wr_kafka_forward_wait(kafka, wr_kafka_forward_direct, error));
    }
    while ((status = wr_kafka_forward_flush(forward, error)) == WEIR_RETRY) {
    }
    WR_TRY(status);
    wr_kafka_identify(kafka);
    marker->identity = kafka->identity;
    return WEIR_OK;
}

/* At-least-once: what an exactly-once run left in a log goes out in transactions first, for all
 * sinks of the producer; then none of them has any. */
static void choose(struct wr_kafka_outlet *kafka)
{
    bool direct = kafka->wants_direct;
    for (const struct wr_kafka_outlet *at = kafka->forward->outlets; at; at = at->next) {
        direct = direct && at->row.next == at->log_end;
    }
    kafka->base.direct = kafka->base.direct || direct;
}

static weir_status kafka_settle(struct wr_outlet *outlet, struct wr_marker *marker,
                                struct wr_error *error)
{
    struct wr_kafka_outlet *kafka = kafka_of(outlet);
    choose(kafka);
    if (outlet->direct) {
        return settle_direct(kafka, marker, error);
    }
    if (!kafka->forward->claimed) {
        WR_TRY(wait_or_call(kafka, wr_kafka_forward_ready, error));
    }
    WR_TRY(wait_or_call(kafka, wr_kafka_forward_end, error));
    tell(kafka, marker);
    return WEIR_OK;
}

static weir_status kafka_prepare(struct wr_outlet *outlet, struct wr_marker *settled,
                                 int64_t *next_out, struct wr_error *error)
{
    struct wr_kafka_outlet *kafka = kafka_of(outlet);
    if (outlet->direct) {
        return WEIR_OK; /* in the log there is nothing */
    }
    WR_TRY(wait_or_call(kafka, wr_kafka_forward_ready, error));
    tell(kafka, settled);
    *next_out = kafka->sent;
    return WEIR_OK;
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* Two sinks of one name outside would take each other's marker for their own. */
static weir_status check_alone(const struct wr_kafka_outlet *kafka, struct wr_error *error)
{
    for (const struct wr_kafka_outlet *at = kafka->forward->outlets; at; at = at->next) {
        if (at != kafka && strcmp(at->group, kafka->group) == 0 &&
            strcmp(at->topic, kafka->topic) == 0) {
            return wr_fail(
                error, WEIR_FATAL, WR_EXIT_CONFIG,
                "sinks %s and %s keep their markers in one group, %s; rename one of them",
                kafka->name, at->name, kafka->group);
        }
    }
    return WEIR_OK;
}

/* What the store knows; the outside is looked at by the first settle. A sink that was renamed keeps
 * the group that it began with, which its identity has. */
static weir_status kafka_check(struct wr_outlet *outlet, const struct wr_marker *marker,
                               struct wr_error *error)
{
    struct wr_kafka_outlet *kafka = kafka_of(outlet);
    kafka->row = *marker;
    kafka->log_end = *outlet->log->next;
    kafka->forward->overdue_us = outlet->overdue_us;
    if (marker->identity) {
        kafka->row_identity = strdup(marker->identity);
        const char *group = strstr(marker->identity, ";group:");
        char *copy = group ? strdup(group + strlen(";group:")) : NULL;
        if (!kafka->row_identity || (group && !copy)) {
            free(copy);
            return wr_fail_memory(error);
        }
        kafka->row.identity = kafka->row_identity;
        if (copy) {
            free(kafka->group);
            kafka->group = copy;
        }
    }
    return check_alone(kafka, error);
}

static void kafka_close(struct wr_outlet *outlet)
{
    struct wr_kafka_outlet *kafka = kafka_of(outlet);
    wr_kafka_forward_leave(kafka);
    free(kafka->row_identity);
    free(kafka->ends);
    free(kafka->name);
    free(kafka->topic);
    free(kafka->group);
    free(kafka);
}

const char *wr_outlet_kafka_guarantee(enum wr_sync sync)
{
    switch (sync) {
    case WR_SYNC_FULL:
        break;
    case WR_SYNC_NORMAL:
    case WR_SYNC_OFF:
        return "exactly-once: in Kafka's transactions, with its marker; read it with "
               "isolation.level=read_committed; after a power cut the run may stop, because the "
               "store may have lost what was sent (--sync full does not)";
    }
    return "exactly-once: in Kafka's transactions, with its marker; read it with "
           "isolation.level=read_committed";
}

static const char *kafka_guarantee(const struct wr_outlet *outlet)
{
    return wr_outlet_kafka_guarantee(((const struct wr_kafka_outlet *)outlet)->sync);
}

static const struct wr_outlet_ops kafka_ops = {
    .scheme = "kafka",
    .prepare = kafka_prepare,
    .send = kafka_send,
    .mark = kafka_mark,
    .flush = kafka_flush,
    .settle = kafka_settle,
    .check = kafka_check,
    .close = kafka_close,
    .guarantee = kafka_guarantee,
};

weir_status wr_outlet_kafka_open(struct wr_env *env, const struct wr_outlet_kafka_options *options,
                                 struct wr_outlet **outlet_out, struct wr_error *error)
{
    struct wr_kafka_outlet *kafka = calloc(1, sizeof *kafka);
    if (!kafka) {
        return wr_fail_memory(error);
    }
    kafka->base = (struct wr_outlet){.ops = &kafka_ops,
                                     .env = env,
                                     .sink = options->sink,
                                     .backlog_max = options->direct ? 0 : options->backlog_max};
    kafka->place = options->place;
    kafka->partition = options->partition;
    kafka->sync = options->sync;
    kafka->wants_direct = options->direct;
    kafka->forget = options->forget;
    kafka->fallen = -1;
    kafka->name = strdup(options->sink);
    kafka->topic = strdup(options->topic);
    size_t size = strlen(options->id_prefix) + strlen(options->store->id) + strlen(options->sink) +
                  sizeof "weir..";
    kafka->group = malloc(size);
    if (!kafka->name || !kafka->topic || !kafka->group) {
        kafka_close(&kafka->base);
        return wr_fail_memory(error);
    }
    snprintf(kafka->group, size, "%sweir.%s.%s", options->id_prefix, options->store->id,
             options->sink);
    weir_status status = wr_kafka_forward_join(kafka, options, error);
    if (status != WEIR_OK) {
        kafka_close(&kafka->base);
        return status;
    }
    *outlet_out = &kafka->base;
    return WEIR_OK;
}
