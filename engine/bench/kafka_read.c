/* kafka_read.c: what a reader of a topic finds, against what the input implies. See kafka.h.
 *
 * The reader is a plain consumer, read_committed, of the whole output, with checksums verified;
 * what is expected is worked out from the input topic, read in the same way. Nothing of the engine
 * takes part. Key, time, order within a partition and, where the job keeps no state, the value tell
 * what was lost, repeated or reordered (compare.h).
 *
 * A job that counts is judged further: each key's counts, as they come, must be 1, 2, 3 and so on
 * up to how often the key was in the input. A key with any other count anywhere is one state error.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/bench/kafka.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "txn/base/arena.h"
#include "txn/base/bytes.h"
#include "txn/base/map.h"

enum {
    BATCH = 4096,
    LOOK_MS = 20,
    COUNT_MAX = 24, /* bytes of a count */
};

#define STABLE_US INT64_C(90000000) /* longer than a transaction may take */

struct counted {
    weir_bytes key;
    int64_t expected; /* how often it was in the input */
    int64_t found; /* its last count in the output */
    bool wrong; /* one of them was not the one before and 1 */
};

struct reading {
    struct wr_bench *bench;
    const struct wr_bench_job *job;
    const char *input, *output, *store;
    bool stateful;
    struct wr_compare *compare;
    uint32_t streams[WR_BENCH_PARTITIONS];
    struct wr_map keys; /* of struct counted */
    struct wr_arena arena;
    int64_t bad_keys;
    struct wr_error *error;
};

/* ---- Counts ---------------------------------------------------------------------------------- */

static struct counted *counted_of(struct reading *reading, weir_bytes key)
{
    uint64_t hash = wr_hash(0, key, (weir_bytes){NULL, 0});
    struct counted *counted = NULL;
    size_t at = wr_map_first(&reading->keys, hash);
    for (; (counted = wr_map_at(&reading->keys, hash, &at)); at++) {
        if (wr_bytes_equal(counted->key, key)) {
            return counted;
        }
    }
    counted = wr_arena_zalloc(&reading->arena, sizeof *counted);
    if (!counted || !wr_arena_copy(&reading->arena, key, &counted->key) ||
        !wr_map_reserve(&reading->keys)) {
        wr_fail_memory(reading->error);
        return NULL;
    }
    wr_map_insert(&reading->keys, hash, counted);
    return counted;
}

static void add_bad(struct reading *reading, bool was_bad, bool is_bad)
{
    reading->bad_keys += (int64_t)is_bad - (int64_t)was_bad;
}

/* Right so far, and complete? */
static bool is_bad(const struct counted *counted)
{
    return counted->wrong || counted->found != counted->expected;
}

static weir_status count_expected(struct reading *reading, weir_bytes key, char text[COUNT_MAX])
{
    struct counted *counted = counted_of(reading, key);
    if (!counted) {
        return reading->error->status;
    }
    bool was_bad = is_bad(counted);
    counted->expected++;
    add_bad(reading, was_bad, is_bad(counted));
    snprintf(text, COUNT_MAX, "%" PRId64, counted->expected);
    return WEIR_OK;
}

static weir_status count_found(struct reading *reading, weir_bytes key, weir_bytes value)
{
    struct counted *counted = counted_of(reading, key);
    char text[COUNT_MAX];
    if (!counted) {
        return reading->error->status;
    }
    bool was_bad = is_bad(counted);
    int size = snprintf(text, sizeof text, "%" PRId64, ++counted->found);
    counted->wrong |= !wr_bytes_equal(value, wr_bytes(text, (size_t)size));
    add_bad(reading, was_bad, is_bad(counted));
    return WEIR_OK;
}

/* ---- Records --------------------------------------------------------------------------------- */

static weir_status take(struct reading *reading, const rd_kafka_message_t *message, bool expected)
{
    char text[COUNT_MAX];
    struct wr_compared record = {
        .stream = reading->streams[message->partition],
        .time_ms = rd_kafka_message_timestamp(message, NULL),
        .key = {message->key, message->key_len},
        .value = {message->payload, message->len},
    };
    if (!expected) {
        if (reading->stateful) {
            WR_TRY(count_found(reading, record.key, record.value));
        }
        return wr_compare_find(reading->compare, &record, reading->error);
    }
    if (reading->stateful) {
        WR_TRY(count_expected(reading, record.key, text));
        record.value = weir_text(text);
    }
    return wr_compare_expect(reading->compare, &record, reading->error);
}

/* A message of a reader's queue. *ended: partitions read to their ends. */
static weir_status take_message(struct reading *reading, const char *topic,
                                const rd_kafka_message_t *message, bool expected, int *ended)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        (*ended)++;
        return WEIR_OK;
    }
    if (message->err) {
        return wr_fail(reading->error, WEIR_FATAL, WR_EXIT_UNAVAILABLE, "cannot read topic %s: %s",
                       topic, rd_kafka_message_errstr(message));
    }
    return take(reading, message, expected);
}

static weir_status read_queue(struct reading *reading, const char *topic, rd_kafka_queue_t *queue,
                              bool expected)
{
    rd_kafka_message_t *messages[BATCH];
    int ended = 0, quiet_ms = 0;
    while (ended < WR_BENCH_PARTITIONS && reading->error->status == WEIR_OK) {
        /* It returns with a full batch, or when the time is over. */
        ssize_t count = rd_kafka_consume_batch_queue(queue, LOOK_MS, messages, BATCH);
        quiet_ms = count > 0 ? 0 : quiet_ms + LOOK_MS;
        for (ssize_t i = 0; i < count; i++) {
            if (reading->error->status == WEIR_OK) {
                take_message(reading, topic, messages[i], expected, &ended);
            }
            rd_kafka_message_destroy(messages[i]);
        }
        if (count < 0 || quiet_ms > WR_BENCH_WAIT_MS) {
            return wr_fail(reading->error, WEIR_FATAL, WR_EXIT_UNAVAILABLE,
                           "nothing of topic %s came for %d s, and it was not read to its end",
                           topic, WR_BENCH_WAIT_MS / 1000);
        }
    }
    return reading->error->status;
}

static weir_status read_topic(struct reading *reading, const char *topic, bool expected)
{
    int64_t offsets[WR_BENCH_PARTITIONS];
    rd_kafka_t *client = NULL;
    for (int i = 0; i < WR_BENCH_PARTITIONS; i++) {
        offsets[i] = RD_KAFKA_OFFSET_BEGINNING;
    }
    WR_TRY(wr_bench_reader(reading->bench, topic, 0, WR_BENCH_PARTITIONS - 1, offsets, &client,
                           reading->error));
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(client);
    (void)read_queue(reading, topic, queue, expected);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
    return reading->error->status;
}

/* ---- Judging --------------------------------------------------------------------------------- */

static weir_status add_streams(struct reading *reading)
{
    for (int i = 0; i < WR_BENCH_PARTITIONS; i++) {
        WR_TRY(wr_compare_stream(reading->compare, reading->job->output, i, &reading->streams[i],
                                 reading->error));
    }
    return WEIR_OK;
}

static weir_status read_both(struct reading *reading)
{
    WR_TRY(add_streams(reading));
    WR_TRY(read_topic(reading, reading->input, true));
    if (reading->output) {
        return read_topic(reading, reading->output, false);
    }
    return wr_bench_outputs(reading->bench->env, reading->store, false, reading->compare,
                            reading->error);
}

static weir_status judge(void *data, void *result, struct wr_error *error)
{
    struct reading *reading = data;
    struct wr_difference *difference = result;
    reading->error = error;
    reading->stateful = wr_bench_is_stateful(reading->job);
    wr_arena_init(&reading->arena, 0);
    WR_TRY(wr_compare_new(reading->stateful, WR_COMPARE_RECORDS_MAX, &reading->compare, error));
    if (read_both(reading) == WEIR_OK) {
        wr_compare_end(reading->compare, difference);
        if (reading->stateful && reading->output) {
            difference->state_errors = reading->bad_keys;
        }
    }
    return error->status;
}

/* Until no transaction is open any more: the broker acknowledges one when it is sure to end it,
 * which after a kill of the broker takes a while. One that hangs is left, and shows as lost. */
static weir_status await_stable(struct wr_bench *bench, const char *topic, struct wr_error *error)
{
    int64_t decided[WR_BENCH_PARTITIONS], all[WR_BENCH_PARTITIONS];
    const struct timespec pause = {0, LOOK_MS * 1000000};
    int64_t from_us = bench->env->monotonic_us(bench->env);
    do {
        WR_TRY(wr_bench_ends(bench, topic, false, all, error));
        WR_TRY(wr_bench_ends(bench, topic, true, decided, error));
        if (memcmp(all, decided, sizeof all) == 0) {
            return WEIR_OK;
        }
        nanosleep(&pause, NULL);
    } while (bench->env->monotonic_us(bench->env) - from_us < STABLE_US);
    return WEIR_OK;
}

weir_status wr_bench_kafka_compare(struct wr_bench *bench, const struct wr_bench_job *job,
                                   const char *input, const char *output, const char *store,
                                   struct wr_difference *difference_out, struct wr_error *error)
{
    struct reading reading = {
        .bench = bench, .job = job, .input = input, .output = output, .store = store};
    if (output) {
        WR_TRY(await_stable(bench, output, error));
    }
    return wr_bench_apart(judge, &reading, difference_out, sizeof *difference_out, error);
}
