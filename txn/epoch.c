/* epoch.c: the write set. State, timers and table rows are hash maps whose items live in the
 * epoch's arena; outputs are packed into batches as they come. See epoch.h for the phases and
 * invariants.
 *
 * The order of state entries (for scans) is a skip list, W. Pugh, "Skip Lists: A Probabilistic
 * Alternative to Balanced Trees", CACM 1990; it is kept only once a scan asked for it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/epoch.h"

#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"

enum {
    ARENA_KEEP = WR_EPOCH_BYTES_MAX,
    MAP_KEEP = 1 << 20,
    LEVELS_MAX = 20,
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
    }
    wr_map_clear(&epoch->state, MAP_KEEP);
    wr_map_clear(&epoch->timers, MAP_KEEP);
    wr_arena_reset(&epoch->arena);
    epoch->entries = NULL;
    epoch->entry_count = 0;
    epoch->index = NULL;
    epoch->timer_list = NULL;
    epoch->timer_count = 0;
    epoch->batch_bytes = 0;
    epoch->batch_records = 0;
    epoch->rejects = NULL;
    epoch->rejects_end = &epoch->rejects;
    epoch->reject_count = 0;
    epoch->positions = NULL;
    epoch->position_count = 0;
    epoch->watermarks = NULL;
    epoch->watermark_count = 0;
    epoch->nodes = NULL;
    epoch->node_count = 0;
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
        epoch->position_count || epoch->node_count || epoch->watermark_count) {
        return false;
    }
    for (size_t i = 0; i < epoch->sink_count; i++) {
        if (epoch->sink[i].batches || epoch->sink[i].row_count) {
            return false;
        }
    }
    return true;
}

/* ---- State ----------------------------------------------------------------------------------- */

struct wr_entry *wr_epoch_find(const struct wr_epoch *epoch, uint32_t node, weir_bytes key,
                               weir_bytes slot, uint64_t hash)
{
    struct wr_entry *entry;
    for (size_t at = wr_map_first(&epoch->state, hash);
         (entry = wr_map_at(&epoch->state, hash, &at)); at++) {
        if (entry->node == node && wr_bytes_equal(entry->key, key) &&
            wr_bytes_equal(entry->slot, slot)) {
            return entry;
        }
    }
    return NULL;
}

static int entry_compare(const struct wr_entry *entry, uint32_t node, weir_bytes key,
                         weir_bytes slot)
{
    if (entry->node != node) {
        return entry->node < node ? -1 : 1;
    }
    int order = wr_bytes_compare(entry->key, key);
    return order ? order : wr_bytes_compare(entry->slot, slot);
}

static uint64_t next_random(struct wr_epoch *epoch) /* xorshift64, G. Marsaglia 2003 */
{
    epoch->random ^= epoch->random << 13;
    epoch->random ^= epoch->random >> 7;
    epoch->random ^= epoch->random << 17;
    return epoch->random;
}

static bool index_insert(struct wr_epoch *epoch, struct wr_entry *entry)
{
    uint64_t bits = next_random(epoch);
    uint32_t levels = 1;
    while (levels < LEVELS_MAX && (bits & 3) == 0) {
        bits >>= 2;
        levels++;
    }
    entry->forward = wr_arena_alloc(&epoch->arena, levels * sizeof *entry->forward);
    if (!entry->forward) {
        return false;
    }
    entry->levels = levels;
    struct wr_entry *at = epoch->index;
    for (uint32_t level = LEVELS_MAX; level-- > 0;) {
        struct wr_entry *next;
        while ((next = at->forward[level]) &&
               entry_compare(next, entry->node, entry->key, entry->slot) < 0) {
            at = next;
        }
        if (level < levels) {
            entry->forward[level] = next;
            at->forward[level] = entry;
        }
    }
    return true;
}

weir_status wr_epoch_index(struct wr_epoch *epoch, struct wr_error *error)
{
    if (epoch->index) {
        return WEIR_OK;
    }
    wr_assert_that(epoch->phase, ==, WR_EPOCH_FILLING);
    struct wr_entry *head = wr_arena_zalloc(&epoch->arena, sizeof *head);
    if (!head) {
        return wr_fail_memory(error);
    }
    head->forward = wr_arena_zalloc(&epoch->arena, LEVELS_MAX * sizeof *head->forward);
    if (!head->forward) {
        return wr_fail_memory(error);
    }
    head->levels = LEVELS_MAX;
    epoch->index = head;
    for (struct wr_entry *entry = epoch->entries; entry; entry = entry->next) {
        if (!index_insert(epoch, entry)) {
            epoch->index = NULL;
            return wr_fail_memory(error);
        }
    }
    return WEIR_OK;
}

const struct wr_entry *wr_epoch_first(const struct wr_epoch *epoch, uint32_t node, weir_bytes key,
                                      weir_bytes from)
{
    if (!epoch->index) {
        wr_assert_that(epoch->entry_count, ==, 0);
        return NULL;
    }
    const struct wr_entry *at = epoch->index;
    for (uint32_t level = LEVELS_MAX; level-- > 0;) {
        const struct wr_entry *next;
        while ((next = at->forward[level]) && entry_compare(next, node, key, from) < 0) {
            at = next;
        }
    }
    return at->forward[0];
}

const struct wr_entry *wr_epoch_next(const struct wr_entry *entry)
{
    return entry->forward[0];
}

/* Writes a value into a buffer of the arena that is used again when it is large enough. */
static bool store_value(struct wr_arena *arena, weir_bytes value, void *buffer, uint32_t *capacity,
                        weir_bytes *value_out)
{
    if (!value.data) {
        *value_out = (weir_bytes){NULL, 0};
        return true;
    }
    if (!buffer || value.size > *capacity) {
        size_t rounded = (value.size + 8) & ~(size_t)7;
        buffer = wr_arena_alloc(arena, rounded);
        if (!buffer) {
            return false;
        }
        *capacity = (uint32_t)rounded;
    }
    if (value.size) {
        memcpy(buffer, value.data, value.size);
    }
    *value_out = (weir_bytes){buffer, value.size};
    return true;
}

/* Overwrites an entry. The value that was there may have been handed out in this unit, so it is
 * kept as the spare and used again no earlier than in the next unit. */
static bool overwrite(struct wr_epoch *epoch, struct wr_entry *entry, weir_bytes value,
                      uint64_t unit)
{
    void *held = (void *)(uintptr_t)entry->value.data;
    uint32_t held_capacity = entry->value_capacity;
    bool reusable = entry->unit != unit;
    void *buffer = reusable ? entry->spare : NULL;
    uint32_t capacity = reusable ? entry->spare_capacity : 0;
    if (!store_value(&epoch->arena, value, buffer, &capacity, &entry->value)) {
        return false;
    }
    entry->value_capacity = value.data ? capacity : 0;
    if (entry->value.data == entry->spare) { /* in use from now on */
        entry->spare = NULL;
        entry->spare_capacity = 0;
    }
    if (held) {
        entry->spare = held;
        entry->spare_capacity = held_capacity;
    }
    entry->unit = unit;
    return true;
}

static struct wr_entry *entry_new(struct wr_epoch *epoch, weir_bytes key, weir_bytes slot)
{
    struct wr_entry *entry = wr_arena_alloc(&epoch->arena, sizeof *entry);
    if (!entry) {
        return NULL;
    }
    *entry = (struct wr_entry){.next = epoch->entries};
    if (!wr_arena_copy(&epoch->arena, key, &entry->key) ||
        !wr_arena_copy(&epoch->arena, slot, &entry->slot)) {
        return NULL;
    }
    return entry;
}

weir_status wr_epoch_put(struct wr_epoch *epoch, uint32_t node, weir_bytes key, weir_bytes slot,
                         uint64_t hash, weir_bytes value, uint64_t unit, struct wr_error *error)
{
    wr_assert_that(epoch->phase, ==, WR_EPOCH_FILLING);
    struct wr_entry *entry = wr_epoch_find(epoch, node, key, slot, hash);
    if (entry) {
        return overwrite(epoch, entry, value, unit) ? WEIR_OK : wr_fail_memory(error);
    }
    entry = wr_map_reserve(&epoch->state) ? entry_new(epoch, key, slot) : NULL;
    if (!entry) {
        return wr_fail_memory(error);
    }
    entry->hash = hash;
    entry->node = node;
    entry->unit = unit;
    if (!store_value(&epoch->arena, value, NULL, &entry->value_capacity, &entry->value) ||
        (epoch->index && !index_insert(epoch, entry))) {
        return wr_fail_memory(error);
    }
    wr_map_insert(&epoch->state, hash, entry);
    epoch->entries = entry;
    epoch->entry_count++;
    return WEIR_OK;
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
    if (!store_value(&epoch->arena, value, buffer, &row->value_capacity, &row->value)) {
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
    size_t headers = reject->record.header_count;
    weir_header *header = headers ? wr_arena_alloc(arena, headers * sizeof *header) : NULL;
    copy->reason = wr_arena_string(arena, reject->reason);
    if (!copy->reason || (headers && !header) ||
        !wr_arena_copy(arena, reject->record.key, &copy->record.key) ||
        !wr_arena_copy(arena, reject->record.value, &copy->record.value) ||
        !wr_arena_copy(arena, reject->timer, &copy->timer)) {
        return wr_fail_memory(error);
    }
    for (size_t i = 0; i < headers; i++) {
        header[i].name = wr_arena_string(arena, reject->record.headers[i].name);
        if (!header[i].name ||
            !wr_arena_copy(arena, reject->record.headers[i].value, &header[i].value)) {
            return wr_fail_memory(error);
        }
    }
    copy->record.headers = header;
    *epoch->rejects_end = copy;
    epoch->rejects_end = &copy->next;
    epoch->reject_count++;
    return WEIR_OK;
}
