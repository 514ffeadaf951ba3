/* kafka_loop.c: two stream jobs between Kafka topics as one writes them by hand, with care, in an
 * afternoon: C, librdkafka, and SQLite by loop.c; nothing of weir. `weir bench --kafka` shows weir
 * beside them.
 *
 *   copy     each record as it is: key, value, headers, time, partition
 *   count    for each record its key and how often that came so far
 *
 *   to a topic, exactly once    a transaction each interval, the input's offsets in it. Counts are
 *                               in memory; the output has every one, so a start fills them from it
 *   to a topic, at least once   an idempotent producer; offsets are stored each interval, when all
 *                               that was produced is acknowledged
 *   to SQLite, exactly once     loop.c with these records: offsets are in its transaction
 *
 * Any error ends the loop, and the next run goes on from the last transaction: so nothing is
 * rewound here.
 *
 * What makes it quick, each measured on two shared cores (copy of 100-byte values, exactly once;
 * decision 0084): records are taken in batches from the consumer's queue; the limits on what is
 * fetched ahead are so high that the fetcher never pauses (it pauses a second each time); batches
 * of 10,000 records go to the broker; no delivery reports, because ending a transaction tells; the
 * topic's metadata is there before the first record (else that waits a second); 10 ms between tries
 * to end a transaction, for which the broker often asks (else 100).
 *
 * Tried and left out: rd_kafka_produce_batch is 10 % quicker, and has no place for time and
 * headers; producing out of the consumer's memory saves a copy and is not quicker; fetching more
 * bytes at a time, or lingering for 1 or 20 ms, changes nothing.
 *
 * Long because it is a program of its own, to be read in one go.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/kafka_loop.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#include "tests/bench/counts.h"

enum {
    BATCH = 10000, /* records taken at a time */
    PARTITIONS_MAX = 64,
    POLL_MS = 5, /* longest wait for records within a transaction */
    WAIT_MS = 30000, /* longest wait for a broker */
    VALUE_MAX = 24, /* a count, in decimal */
};

struct loop {
    const struct kafka_loop_options *options;
    const struct kafka_loop_watch *watch;
    rd_kafka_t *consumer, *producer;
    rd_kafka_queue_t *queue; /* of the consumer */
    rd_kafka_topic_t *output;
    rd_kafka_consumer_group_metadata_t *group;
    rd_kafka_topic_partition_list_t *positions; /* the next offset of each partition, by number */
    int64_t next[PARTITIONS_MAX]; /* the same, for loop.c */
    rd_kafka_message_t *messages[BATCH];
    struct loop_record records[BATCH];
    ssize_t held; /* messages to be destroyed */
    struct counts counts;
    int64_t taken, bytes; /* all; bytes: since the last decision */
    char *error;
    size_t error_size;
};

static bool fail(struct loop *loop, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(loop->error, loop->error_size, format, arguments);
    va_end(arguments);
    return false;
}

static bool good(struct loop *loop, rd_kafka_error_t *failed, const char *doing)
{
    if (failed) {
        fail(loop, "cannot %s: %s", doing, rd_kafka_error_string(failed));
        rd_kafka_error_destroy(failed);
    }
    return !failed;
}

static bool good_code(struct loop *loop, rd_kafka_resp_err_t code, const char *doing)
{
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           fail(loop, "cannot %s: %s", doing, rd_kafka_err2str(code));
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Clients --------------------------------------------------------------------------------- */

struct setting {
    const char *name, *value; /* value NULL: not set */
};

static bool make_client(struct loop *loop, rd_kafka_type_t type, const struct setting *settings,
                        rd_kafka_t **client_out)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (const struct setting *at = settings; at->name; at++) {
        if (at->value && rd_kafka_conf_set(conf, at->name, at->value, text, sizeof text) != 0) {
            rd_kafka_conf_destroy(conf);
            return fail(loop, "%s", text);
        }
    }
    *client_out = rd_kafka_new(type, conf, text, sizeof text);
    if (!*client_out) {
        rd_kafka_conf_destroy(conf);
        return fail(loop, "cannot make a client: %s", text);
    }
    return true;
}

static bool make_consumer(struct loop *loop, rd_kafka_t **consumer_out)
{
    const struct setting settings[] = {
        {"bootstrap.servers", loop->options->brokers},
        {"group.id", loop->options->id},
        {"isolation.level", "read_committed"},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"enable.partition.eof", "true"},
        {"auto.offset.reset", "error"},
        {"queued.min.messages", "10000000"},
        {"queued.max.messages.kbytes", "1048576"},
        {"socket.nagle.disable", "true"},
        {NULL, NULL},
    };
    if (!make_client(loop, RD_KAFKA_CONSUMER, settings, consumer_out)) {
        return false;
    }
    rd_kafka_poll_set_consumer(*consumer_out);
    return true;
}

static bool make_producer(struct loop *loop)
{
    const struct setting settings[] = {
        {"bootstrap.servers", loop->options->brokers},
        {"transactional.id", loop->options->exactly_once ? loop->options->id : NULL},
        {"enable.idempotence", "true"},
        {"linger.ms", "5"},
        {"batch.num.messages", "10000"},
        {"queue.buffering.max.messages", "1000000"},
        {"queue.buffering.max.kbytes", "1048576"},
        {"retry.backoff.ms", "10"},
        {"socket.nagle.disable", "true"},
        {NULL, NULL},
    };
    return make_client(loop, RD_KAFKA_PRODUCER, settings, &loop->producer);
}

/* The partitions of a topic, each at `offset`. */
static bool list_topic(struct loop *loop, const char *topic, int64_t offset,
                       rd_kafka_topic_partition_list_t **list_out)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(loop->consumer, topic, NULL);
    rd_kafka_resp_err_t code = rd_kafka_metadata(loop->consumer, 0, handle, &metadata, WAIT_MS);
    rd_kafka_topic_destroy(handle);
    if (!good_code(loop, code, "ask for the topics")) {
        return false;
    }
    int count = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
    rd_kafka_metadata_destroy(metadata);
    if (count < 1 || count > PARTITIONS_MAX) {
        return fail(loop, "topic %s has %d partitions", topic, count);
    }
    *list_out = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++) {
        rd_kafka_topic_partition_list_add(*list_out, topic, i)->offset = offset;
    }
    return true;
}

/* ---- Records ------------------------------------------------------------------------------- */

static void let_go(struct loop *loop)
{
    for (ssize_t i = 0; i < loop->held; i++) {
        rd_kafka_message_destroy(loop->messages[i]);
    }
    loop->held = 0;
}

/* The next records, `most` at most, which stay until the next call; 0: none for a while; -1:
 * failed. An end of a partition is none. */
static ssize_t take(struct loop *loop, int64_t most, int wait_ms)
{
    size_t room = most < BATCH ? (size_t)most : BATCH;
    let_go(loop);
    ssize_t count = rd_kafka_consume_batch_queue(loop->queue, wait_ms, loop->messages, room), kept;
    if (count < 0) {
        good_code(loop, rd_kafka_last_error(), "read the input");
        return -1;
    }
    loop->held = count;
    kept = 0;
    for (ssize_t i = 0; i < count; i++) {
        rd_kafka_message_t *message = loop->messages[i];
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            continue;
        }
        if (message->err) {
            fail(loop, "cannot read the input: %s", rd_kafka_message_errstr(message));
            return -1;
        }
        loop->positions->elems[message->partition].offset = message->offset + 1;
        loop->bytes += (int64_t)(message->key_len + message->len);
        loop->messages[i] = loop->messages[kept]; /* records come first, in order */
        loop->messages[kept++] = message;
    }
    if (kept > 0 && loop->taken == 0) {
        loop->watch->arrived(loop->watch->data);
    }
    loop->taken += kept;
    return kept;
}

/* ---- To a topic ----------------------------------------------------------------------------- */

/* Headers are given away with the record. */
static bool produce(struct loop *loop, const rd_kafka_message_t *message, const void *value,
                    size_t size)
{
    rd_kafka_headers_t *headers = NULL, *copy = NULL;
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        copy = rd_kafka_headers_copy(headers);
    }
    for (;;) {
        rd_kafka_resp_err_t code = rd_kafka_producev(
            loop->producer, RD_KAFKA_V_RKT(loop->output), RD_KAFKA_V_PARTITION(message->partition),
            RD_KAFKA_V_KEY(message->key, message->key_len), RD_KAFKA_V_VALUE((void *)value, size),
            RD_KAFKA_V_TIMESTAMP(rd_kafka_message_timestamp(message, NULL)),
            RD_KAFKA_V_HEADERS(copy), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            if (code && copy) {
                rd_kafka_headers_destroy(copy);
            }
            return good_code(loop, code, "produce");
        }
        rd_kafka_poll(loop->producer, POLL_MS);
    }
}

static bool produce_count(struct loop *loop, const rd_kafka_message_t *message)
{
    char text[VALUE_MAX];
    struct count *count =
        counts_find(&loop->counts, message->key ? message->key : "", message->key_len);
    if (!count) {
        return fail(loop, "out of memory");
    }
    int size = snprintf(text, sizeof text, "%" PRId64, ++count->value);
    return produce(loop, message, text, (size_t)size);
}

static bool produce_all(struct loop *loop, ssize_t count)
{
    bool sent = true;
    for (ssize_t i = 0; i < count && sent; i++) {
        const rd_kafka_message_t *message = loop->messages[i];
        sent = loop->options->job == LOOP_COUNT
                   ? produce_count(loop, message)
                   : produce(loop, message, message->payload, message->len);
    }
    return sent;
}

/* Records for an interval. */
static bool fill(struct loop *loop)
{
    int64_t until_ms = now_ms() + loop->options->interval_ms;
    do {
        ssize_t count = take(loop, loop->options->records - loop->taken, POLL_MS);
        if (count < 0 || !produce_all(loop, count)) {
            return false;
        }
        rd_kafka_poll(loop->producer, 0);
    } while (now_ms() < until_ms && loop->taken < loop->options->records);
    return true;
}

static bool decide(struct loop *loop)
{
    if (!loop->options->exactly_once) {
        return good_code(loop, rd_kafka_flush(loop->producer, WAIT_MS), "send the output") &&
               good_code(loop, rd_kafka_commit(loop->consumer, loop->positions, 0),
                         "store the positions");
    }
    return good(loop,
                rd_kafka_send_offsets_to_transaction(loop->producer, loop->positions, loop->group,
                                                     WAIT_MS),
                "add the positions to a transaction") &&
           good(loop, rd_kafka_commit_transaction(loop->producer, WAIT_MS), "end a transaction");
}

static bool run_interval(struct loop *loop)
{
    int64_t before = loop->taken;
    if (loop->options->exactly_once &&
        !good(loop, rd_kafka_begin_transaction(loop->producer), "begin a transaction")) {
        return false;
    }
    if (!fill(loop) || !decide(loop)) {
        return false;
    }
    if (loop->taken > before) {
        loop->watch->decided(loop->watch->data, loop->taken - before, loop->bytes);
        loop->bytes = 0;
    }
    return true;
}

/* The counts are the last ones of the output. */
static bool recover_from(struct loop *loop, rd_kafka_t *reader, int partitions)
{
    int ended = 0;
    while (ended < partitions) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, WAIT_MS);
        bool failed =
            !message || (message->err && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF);
        if (failed) {
            fail(loop, "cannot read the output's counts: %s",
                 message ? rd_kafka_message_errstr(message) : "no broker answered");
        } else if (message->err) {
            ended++;
        } else {
            struct count *count =
                counts_find(&loop->counts, message->key ? message->key : "", message->key_len);
            char text[VALUE_MAX] = "";
            size_t size = message->len < sizeof text - 1 ? message->len : sizeof text - 1;
            memcpy(text, message->payload ? message->payload : "", size);
            if (count) {
                count->value = strtoll(text, NULL, 10);
            }
            failed = !count && !fail(loop, "out of memory");
        }
        if (message) {
            rd_kafka_message_destroy(message);
        }
        if (failed) {
            return false;
        }
    }
    return true;
}

static bool recover(struct loop *loop)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    rd_kafka_t *reader = NULL;
    bool recovered = list_topic(loop, loop->options->output, RD_KAFKA_OFFSET_BEGINNING, &list) &&
                     make_consumer(loop, &reader) &&
                     good_code(loop, rd_kafka_assign(reader, list), "read the output's counts") &&
                     recover_from(loop, reader, list->cnt);
    if (list) {
        rd_kafka_topic_partition_list_destroy(list);
    }
    if (reader) {
        rd_kafka_destroy(reader);
    }
    return recovered;
}

/* Where an earlier run got to: nothing is in doubt any more once the producer is initialized. */
static bool find_positions(struct loop *loop)
{
    if (!good_code(loop, rd_kafka_committed(loop->consumer, loop->positions, WAIT_MS),
                   "read the positions")) {
        return false;
    }
    for (int i = 0; i < loop->positions->cnt; i++) {
        rd_kafka_topic_partition_t *at = &loop->positions->elems[i];
        at->offset = at->offset < 0 ? 0 : at->offset;
    }
    return true;
}

static bool open_output(struct loop *loop)
{
    const struct rd_kafka_metadata *metadata = NULL;
    if (!make_producer(loop) ||
        (loop->options->exactly_once &&
         !good(loop, rd_kafka_init_transactions(loop->producer, WAIT_MS), "settle"))) {
        return false;
    }
    loop->output = rd_kafka_topic_new(loop->producer, loop->options->output, NULL);
    if (!good_code(loop, rd_kafka_metadata(loop->producer, 0, loop->output, &metadata, WAIT_MS),
                   "ask for the output's partitions")) {
        return false;
    }
    rd_kafka_metadata_destroy(metadata);
    return loop->options->job != LOOP_COUNT || recover(loop);
}

static bool run_to_topic(struct loop *loop)
{
    if (!open_output(loop) || !find_positions(loop) ||
        !good_code(loop, rd_kafka_assign(loop->consumer, loop->positions), "read the input")) {
        return false;
    }
    while (loop->taken < loop->options->records) {
        if (!run_interval(loop)) {
            return false;
        }
    }
    return true;
}

/* ---- To SQLite ------------------------------------------------------------------------------- */

static bool sqlite_seek(void *data, int64_t next)
{
    struct loop *loop = data;
    (void)next;
    for (int i = 0; i < loop->positions->cnt; i++) {
        loop->positions->elems[i].offset = loop->next[i];
    }
    return good_code(loop, rd_kafka_assign(loop->consumer, loop->positions), "read the input");
}

static int64_t sqlite_poll(void *data, int64_t most, const struct loop_record **records_out)
{
    struct loop *loop = data;
    int64_t left = loop->options->records - loop->taken;
    ssize_t count = 0;
    while (count == 0 && left > 0) {
        count = take(loop, most < left ? most : left, WAIT_MS);
    }
    for (ssize_t i = 0; i < count; i++) {
        const rd_kafka_message_t *message = loop->messages[i];
        loop->records[i] = (struct loop_record){.key = message->key,
                                                .value = message->payload,
                                                .key_size = message->key_len,
                                                .value_size = message->len};
    }
    for (int i = 0; i < loop->positions->cnt && count > 0; i++) {
        loop->next[i] = loop->positions->elems[i].offset;
    }
    *records_out = loop->records;
    return count;
}

static void sqlite_decided(void *data, int64_t records)
{
    struct loop *loop = data;
    loop->watch->decided(loop->watch->data, records, loop->bytes);
    loop->bytes = 0;
}

static bool run_to_sqlite(struct loop *loop)
{
    const struct kafka_loop_options *options = loop->options;
    const struct loop_options sqlite = {.job = options->job,
                                        .path = options->path,
                                        .synchronous = options->synchronous,
                                        .vfs = options->vfs,
                                        .batch = options->batch};
    const struct loop_input input = {.data = loop,
                                     .seek = sqlite_seek,
                                     .poll = sqlite_poll,
                                     .decided = sqlite_decided,
                                     .positions = loop->next,
                                     .partitions = loop->positions->cnt};
    char text[256] = "";
    bool done = loop_run(&sqlite, &input, text, sizeof text);
    return done || (loop->error[0] ? false : fail(loop, "%s", text)); /* Kafka's comes first */
}

/* ---- All ------------------------------------------------------------------------------------- */

static void close_all(struct loop *loop)
{
    let_go(loop);
    counts_free(&loop->counts);
    if (loop->positions) {
        rd_kafka_topic_partition_list_destroy(loop->positions);
    }
    if (loop->group) {
        rd_kafka_consumer_group_metadata_destroy(loop->group);
    }
    if (loop->queue) {
        rd_kafka_queue_destroy(loop->queue);
    }
    if (loop->output) {
        rd_kafka_topic_destroy(loop->output);
    }
    if (loop->producer) {
        rd_kafka_destroy(loop->producer);
    }
    if (loop->consumer) {
        rd_kafka_destroy(loop->consumer);
    }
    free(loop);
}

bool kafka_loop_run(const struct kafka_loop_options *options, const struct kafka_loop_watch *watch,
                    char *error, size_t size)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop) {
        snprintf(error, size, "out of memory");
        return false;
    }
    loop->options = options;
    loop->watch = watch;
    loop->error = error;
    loop->error_size = size;
    error[0] = '\0';
    bool done = make_consumer(loop, &loop->consumer) &&
                list_topic(loop, options->input, 0, &loop->positions);
    if (done) {
        loop->queue = rd_kafka_queue_get_consumer(loop->consumer);
        loop->group = rd_kafka_consumer_group_metadata(loop->consumer);
        done = options->output ? run_to_topic(loop) : run_to_sqlite(loop);
    }
    close_all(loop);
    return done;
}
