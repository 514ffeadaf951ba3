/* outputs.c: what a finished store's embedded topics hold, batch by batch, and how that compares
 * with what was expected. See kills.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "engine/bench/kills.h"
#include "txn/log.h"

struct reading {
    struct wr_reader *reader;
    const char *store;
    bool expected;
    struct wr_compare *compare;
    struct wr_arena arena; /* of one batch */
    struct wr_error *error;
};

static weir_status feed_batch(struct reading *reading, weir_bytes bytes, uint32_t stream,
                              int64_t *next)
{
    struct wr_batch_reader batch;
    weir_record record;
    int64_t offset = 0;
    WR_TRY(wr_batch_open(bytes, &batch, reading->error));
    for (bool more = true;;) {
        WR_TRY(wr_batch_next(&batch, &reading->arena, &record, &offset, &more, reading->error));
        if (!more) {
            return WEIR_OK;
        }
        if (offset < *next) {
            return wr_fail(reading->error, WEIR_FATAL, WR_EXIT_DATA,
                           "offset %" PRId64 " comes after %" PRId64, offset, *next - 1);
        }
        struct wr_compared output = {stream, record.time_ms, record.key, record.value};
        WR_TRY(reading->expected ? wr_compare_expect(reading->compare, &output, reading->error)
                                 : wr_compare_find(reading->compare, &output, reading->error));
        *next = offset + 1;
    }
}

/* What is missing, also because a batch does, is found to be lost. */
static weir_status feed_partition(struct reading *reading, const struct wr_topic *topic,
                                  int32_t partition)
{
    struct wr_extent extent;
    uint32_t stream = 0;
    WR_TRY(wr_compare_stream(reading->compare, topic->name, partition, &stream, reading->error));
    WR_TRY(wr_reader_extent(reading->reader, topic->id, partition, &extent, reading->error));
    for (int64_t next = extent.first; next < extent.next;) {
        weir_bytes bytes;
        wr_arena_reset(&reading->arena);
        WR_TRY(wr_reader_batch(reading->reader, topic->id, partition, next, &reading->arena, &bytes,
                               reading->error));
        if (!bytes.data) {
            break;
        }
        weir_status status = feed_batch(reading, bytes, stream, &next);
        if (status != WEIR_OK && reading->error->exit_code == WR_EXIT_DATA) {
            struct wr_error inner = *reading->error;
            wr_error_clear(reading->error);
            return wr_fail(reading->error, WEIR_FATAL, WR_EXIT_DATA,
                           "%.500s, topic %s, partition %d, the batch at offset %" PRId64
                           " is damaged: %.300s",
                           reading->store, topic->name, (int)partition, next, inner.text);
        }
        WR_TRY(status);
    }
    return WEIR_OK;
}

static weir_status feed_topics(struct reading *reading, struct wr_arena *arena)
{
    struct wr_topic *topics = NULL;
    size_t count = 0;
    WR_TRY(wr_reader_topics(reading->reader, NULL, false, arena, &topics, &count, reading->error));
    for (size_t i = 0; i < count; i++) {
        for (int32_t p = 0; !topics[i].outbox && p < topics[i].partitions; p++) {
            WR_TRY(feed_partition(reading, &topics[i], p));
        }
    }
    return WEIR_OK;
}

weir_status wr_bench_outputs(struct wr_env *env, const char *store, bool expected,
                             struct wr_compare *compare, struct wr_error *error)
{
    struct reading reading = {
        .store = store, .expected = expected, .compare = compare, .error = error};
    struct wr_arena arena;
    wr_arena_init(&arena, 0);
    wr_arena_init(&reading.arena, (size_t)2 * WR_BATCH_BYTES_MAX);
    weir_status status = wr_reader_open(env, store, &reading.reader, error);
    if (status == WEIR_OK) {
        status = feed_topics(&reading, &arena);
    }
    wr_reader_close(reading.reader);
    wr_arena_fini(&reading.arena);
    wr_arena_fini(&arena);
    return status;
}

/* ---- Judging --------------------------------------------------------------------------------- */

static weir_status keeps_state(struct wr_env *env, const char *path, bool *stateful_out,
                               struct wr_error *error)
{
    const struct wr_store_options options = {
        .path = path, .sync = WR_SYNC_OFF, .wal_bytes_max = WR_WAL_BYTES_MAX_DEFAULT};
    struct wr_store *store = NULL;
    struct wr_catalog catalog;
    struct wr_arena arena;
    wr_arena_init(&arena, 0);
    weir_status status = wr_store_open(env, &options, &store, error);
    if (status == WEIR_OK) {
        status = wr_store_catalog(store, &arena, &catalog, error);
    }
    *stateful_out = false;
    for (size_t i = 0; status == WEIR_OK && i < catalog.node_count; i++) {
        *stateful_out = *stateful_out || catalog.nodes[i].stateful;
    }
    wr_store_close(store);
    wr_arena_fini(&arena);
    return status;
}

weir_status wr_bench_compare(struct wr_env *env, const struct wr_bench_job *job, const char *input,
                             const char *reference, const char *store,
                             struct wr_difference *difference_out, struct wr_error *error)
{
    struct wr_compare *compare = NULL;
    bool stateful = false;
    if (reference) {
        WR_TRY(keeps_state(env, reference, &stateful, error));
    } else {
        stateful = wr_bench_is_stateful(job);
    }
    WR_TRY(wr_compare_new(stateful, WR_COMPARE_RECORDS_MAX, &compare, error));
    weir_status status = reference ? wr_bench_outputs(env, reference, true, compare, error)
                                   : wr_bench_imply(env, job, input, compare, error);
    if (status == WEIR_OK) {
        status = wr_bench_outputs(env, store, false, compare, error);
    }
    if (status == WEIR_OK) {
        wr_compare_end(compare, difference_out);
    }
    wr_compare_free(compare);
    return status;
}
