/* epoch.c: the write set. Timers and table rows are hash maps whose items live in the epoch's
 * arena, as state is (epoch_state.c); outputs are packed into batches as they come. See epoch.h for
 * the phases and invariants.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/epoch.h"

#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"

enum {
    ARENA_KEEP = WR_EPOCH_BYTES_MAX,
    MAP_KEEP = 1 << 20,
};

weir_status wr_epoch_init(struct wr_epoch *epoch, struct wr_sink *sinks, size_t sink_count,
                          struct wr_error *error)
{
    *epoch = (struct wr_epoch){.sinks = sinks, .sink_count = sink_count, .random = 1};
    wr_arena_init(&epoch->arena, ARENA_KEEP);
    epoch->sink = calloc(sink_count ? sink_count : 1, sizeof *epoch->sink);
    if (!epoch->sink) {
        return wr_fail_memory(error);
    }
    for (size_t i = 0; i < sink_count; i++) {
        size_t partitions = sinks[i].partitions > 0 ? (size_t)sinks[i].partitions : 1;
        epoch->sink[i].batches_end = &epoch->sink[i].batches;
        epoch->sink[i].open = calloc(partitions, sizeof *epoch->sink[i].open);
        epoch->sink[i].appended = calloc(partitions, sizeof *epoch->sink[i].appended);
        if (!epoch->sink[i].open || !epoch->sink[i].appended) {
            return wr_fail_memory(error); /* wr_epoch_fini frees */
        }
    }
    epoch->rejects_end = &epoch->rejects;
    epoch->told_end = &epoch->told;
    epoch->folds_end = &epoch->folds;
    return WEIR_OK;
}

static void free_batches(struct wr_batch *batch)
{
    while (batch) {
        struct wr_batch *next = batch->next;
        wr_batch_fini(batch);
        free(batch);
        batch = next;
    }
}

void wr_epoch_fini(struct wr_epoch *epoch)
{
    for (size_t i = 0; epoch->sink && i < epoch->sink_count; i++) {
        free_batches(epoch->sink[i].batches);
        wr_map_fini(&epoch->sink[i].rows);
        free(epoch->sink[i].open);
        free(epoch->sink[i].appended);
    }
    free(epoch->sink);
    free_batches(epoch->spare);
    wr_map_fini(&epoch->state);
    wr_map_fini(&epoch->timers);
    wr_arena_fini(&epoch->arena);
    *epoch = (struct wr_epoch){.phase = WR_EPOCH_EMPTY};
}

/* Puts the batches of a sink aside for the next use. */
static void recycle_batches(struct wr_epoch *epoch, struct wr_epoch_sink *sink)
{
    for (struct wr_batch *batch = sink->batches; batch; batch = batch->next) {
        sink->open[batch->partition] = NULL;
        sink->appended[batch->partition] = 0;
    }
    if (sink->batches) {
        *sink->batches_end = epoch->spare;
        epoch->spare = sink->batches;
    }
    sink->batches = NULL;
    sink->batches_end = &sink->batches;
}

static void clear(struct wr_epoch *epoch)
{
    for (size_t i = 0; i < epoch->sink_count; i++) {
        struct wr_epoch_sink *sink = &epoch->sink[i];
        recycle_batches(epoch, sink);
        wr_map_clear(&sink->rows, MAP_KEEP);
        sink->row_list = NULL;
        sink->row_count = 0;
        sink->told = NULL;
    }
    wr_map_clear(&epoch->state, MAP_KEEP);
    wr_map_clear(&epoch->timers, MAP_KEEP);
    wr_arena_reset(&epoch->arena);
    epoch->entries = NULL;
    epoch->entry_count = 0;
    epoch->entry_bytes = 0;
    epoch->index = NULL;
    epoch->timer_list = NULL;
    epoch->timer_count = 0;
    epoch->batch_bytes = 0;
    epoch->batch_records = 0;
    epoch->rejects = NULL;
    epoch->rejects_end = &epoch->rejects;
    epoch->reject_count = 0;
    epoch->told = NULL;
    epoch->told_end = &epoch->told;
    epoch->told_count = 0;
    epoch->progress = (struct wr_progress){0};
    epoch->folds = NULL;
    epoch->folds_end = &epoch->folds;
    epoch->fold_count = 0;
    epoch->folded_upto = 0;
    epoch->records_in = 0;
}

void wr_epoch_begin(struct wr_epoch *epoch, int64_t number)
{
    wr_assert(epoch->phase == WR_EPOCH_EMPTY || epoch->phase == WR_EPOCH_DECIDED);
    clear(epoch);
    epoch->phase = WR_EPOCH_FILLING;
    epoch->number = number;
}

void wr_epoch_undo(struct wr_epoch *epoch)
{
    wr_assert_that(epoch->phase, ==, WR_EPOCH_FILLING);
    clear(epoch);
}

void wr_epoch_seal(struct wr_epoch *epoch)
{
    wr_assert_that(epoch->phase, ==, WR_EPOCH_FILLING);
    for (size_t i = 0; i < epoch->sink_count; i++) {
        for (struct wr_batch *batch = epoch->sink[i].batches; batch; batch = batch->next) {
            int64_t *next = &epoch->sinks[i].next[batch->partition];
            wr_assert_that(batch->first_offset, ==, *next);
            wr_assert_that(batch->count, >, 0);
            wr_batch_finish(batch);
            *next += batch->count;
        }
    }
    epoch->phase = WR_EPOCH_SEALED;
}

bool wr_epoch_is_empty(const struct wr_epoch *epoch)
{
    if (epoch->records_in || epoch->entry_count || epoch->timer_count || epoch->reject_count ||
        epoch->told_count || epoch->progress.position_count || epoch->progress.node_count ||
        epoch->progress.watermark_count || epoch->progress.retried_count) {
        return false;
    }
    for (size_t i = 0; i < epoch->sink_count; i++) {
        if (epoch->sink[i].batches || epoch->sink[i].row_count) {
            return false;
        }
    }
    return true;
}

/* ---- Timers ---------------------------------------------------------------------------------- */

struct wr_timer *wr_epoch_timer_find(const struct wr_epoch *epoch, uint32_t node, weir_bytes key,
                                     weir_bytes name, uint64_t hash)
{
    struct wr_timer *timer;
    for (size_t at = wr_map_first(&epoch->timers, hash);
         (timer = wr_map_at(&epoch->timers, hash, &at)); at++) {
        if (timer->node == node && wr_bytes_equal(timer->key, key) &&
            wr_bytes_equal(timer->name, name)) {
            return timer;
        }
    }
    return NULL;
}

weir_status wr_epoch_timer(struct wr_epoch *epoch, uint32_t node, weir_bytes key, weir_bytes name,
                           uint64_t hash, bool clock, int64_t time_ms, struct wr_error *error)
{
    wr_assert_that(epoch->phase, ==, WR_EPOCH_FILLING);
    struct wr_timer *timer = wr_epoch_timer_find(epoch, node, key, name, hash);
    if (!timer) {
        timer =
            wr_map_reserve(&epoch->timers) ? wr_arena_zalloc(&epoch->arena, sizeof *timer) : NULL;
        if (!timer || !wr_arena_copy(&epoch->arena, key, &timer->key) ||
            !wr_arena_copy(&epoch->arena, name, &timer->name)) {
            return wr_fail_memory(error);
        }
        timer->hash = hash;
        timer->node = node;
        timer->next = epoch->timer_list;
        epoch->timer_list = timer;
        epoch->timer_count++;
        wr_map_insert(&epoch->timers, hash, timer);
    }
    timer->clock = clock;
    timer->time_ms = time_ms;
    return WEIR_OK;
}

/* ---- Outputs --------------------------------------------------------------------------------- */

static struct wr_row *row_find(const struct wr_epoch_sink *sink, weir_bytes key, uint64_t hash)
{
    struct wr_row *row;
    for (size_t at = wr_map_first(&sink->rows, hash); (row = wr_map_at(&sink->rows, hash, &at));
         at++) {
        if (wr_bytes_equal(row->key, key)) {
            return row;
        }
    }
    return NULL;
}

weir_status wr_epoch_row(struct wr_epoch *epoch, size_t sink_index, weir_bytes key,
                         weir_bytes value, struct wr_error *error)
{
    wr_assert_that(epoch->phase, ==, WR_EPOCH_FILLING);
    wr_assert(key.data);
    struct wr_epoch_sink *sink = &epoch->sink[sink_index];
    uint64_t hash = wr_hash(0, key, (weir_bytes){NULL, 0});
    struct wr_row *row = row_find(sink, key, hash);
    if (!row) {
        row = wr_map_reserve(&sink->rows) ? wr_arena_zalloc(&epoch->arena, sizeof *row) : NULL;
        if (!row || !wr_arena_copy(&epoch->arena, key, &row->key)) {
            return wr_fail_memory(error);
        }
        row->hash = hash;
        row->next = sink->row_list;
        sink->row_list = row;
        sink->row_count++;
        wr_map_insert(&sink->rows, hash, row);
    }
    void *buffer = (void *)(uintptr_t)row->value.data;
    if (!wr_epoch_value(&epoch->arena, value, buffer, &row->value_capacity, &row->value)) {
        return wr_fail_memory(error);
    }
    if (!value.data) {
        row->value_capacity = 0;
    }
    return WEIR_OK;
}

/* The batch to append to; a new one when there is none or it is full. */
static struct wr_batch *batch_for(struct wr_epoch *epoch, size_t sink_index, int32_t partition)
{
    struct wr_epoch_sink *sink = &epoch->sink[sink_index];
    struct wr_batch *batch = sink->open[partition];
    if (batch && batch->bytes.size < WR_BATCH_BYTES_MAX) {
        return batch;
    }
    batch = epoch->spare;
    if (batch) {
        epoch->spare = batch->next;
    } else {
        batch = calloc(1, sizeof *batch);
        if (!batch) {
            return NULL;
        }
    }
    wr_batch_begin(batch, partition,
                   epoch->sinks[sink_index].next[partition] + sink->appended[partition]);
    batch->next = NULL;
    return batch;
}

weir_status wr_epoch_append(struct wr_epoch *epoch, size_t sink_index, int32_t partition,
                            const weir_record *record, struct wr_error *error)
{
    wr_assert_that(epoch->phase, ==, WR_EPOCH_FILLING);
    wr_assert_that(partition, <, epoch->sinks[sink_index].partitions);
    struct wr_epoch_sink *sink = &epoch->sink[sink_index];
    struct wr_batch *batch = batch_for(epoch, sink_index, partition);
    if (!batch) {
        return wr_fail_memory(error);
    }
    bool fresh = batch != sink->open[partition];
    size_t before = fresh ? 0 : batch->bytes.size;
    weir_status status = wr_batch_append(batch, record, error);
    if (status != WEIR_OK) {
        if (fresh) { /* an empty batch never joins the epoch */
            batch->next = epoch->spare;
            epoch->spare = batch;
        }
        return status;
    }
    if (fresh) {
        sink->open[partition] = batch;
        *sink->batches_end = batch;
        sink->batches_end = &batch->next;
    }
    epoch->batch_bytes += batch->bytes.size - before;
    epoch->batch_records++;
    sink->appended[partition]++;
    return WEIR_OK;
}

static bool copy_record(struct wr_arena *arena, const weir_record *from, weir_record *to)
{
    size_t headers = from->header_count;
    weir_header *header = headers ? wr_arena_alloc(arena, headers * sizeof *header) : NULL;
    *to = (weir_record){.time_ms = from->time_ms, .headers = header, .header_count = headers};
    if ((headers && !header) || !wr_arena_copy(arena, from->key, &to->key) ||
        !wr_arena_copy(arena, from->value, &to->value)) {
        return false;
    }
    for (size_t i = 0; i < headers; i++) {
        header[i].name = wr_arena_string(arena, from->headers[i].name);
        if (!header[i].name || !wr_arena_copy(arena, from->headers[i].value, &header[i].value)) {
            return false;
        }
    }
    return true;
}

weir_status wr_epoch_tell(struct wr_epoch *epoch, size_t sink_index, const struct wr_from *from,
                          uint64_t unit, const weir_record *record, struct wr_error *error)
{
    wr_assert_that(epoch->phase, ==, WR_EPOCH_FILLING);
    struct wr_epoch_sink *sink = &epoch->sink[sink_index];
    struct wr_told *told = wr_arena_zalloc(&epoch->arena, sizeof *told);
    if (!told || !copy_record(&epoch->arena, record, &told->record)) {
        return wr_fail_memory(error);
    }
    told->sink = sink_index;
    told->unit = unit;
    told->seq = sink->told && sink->told->unit == unit ? sink->told->seq + 1 : 0;
    told->from = *from;
    sink->told = told;
    *epoch->told_end = told;
    epoch->told_end = &told->next;
    epoch->told_count++;
    return WEIR_OK;
}

weir_status wr_epoch_reject(struct wr_epoch *epoch, const struct wr_reject *reject,
                            struct wr_error *error)
{
    wr_assert_that(epoch->phase, ==, WR_EPOCH_FILLING);
    struct wr_arena *arena = &epoch->arena;
    struct wr_reject *copy = wr_arena_alloc(arena, sizeof *copy);
    if (!copy) {
        return wr_fail_memory(error);
    }
    *copy = *reject;
    copy->next = NULL;
    copy->reason = wr_arena_string(arena, reject->reason);
    if (!copy->reason || !copy_record(arena, &reject->record, &copy->record) ||
        !wr_arena_copy(arena, reject->timer, &copy->timer)) {
        return wr_fail_memory(error);
    }
    *epoch->rejects_end = copy;
    epoch->rejects_end = &copy->next;
    epoch->reject_count++;
    return WEIR_OK;
}
