/* state.c: see state.h.
 *
 * A scan is a merge of four ordered runs: the filling epoch's entries (copied at its start, since
 * the visitor may put), the sealed epoch's, the cache's dirty ones, and the store's, read in steps
 * of WR_SCAN_ROWS so that no cursor is open while the visitor runs.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/state.h"

#include <stdlib.h>

#include "txn/base/assert.h"

void wr_state_init(struct wr_state *state, struct wr_reader *reader, size_t cache_bytes)
{
    *state = (struct wr_state){.reader = reader};
    wr_cache_init(&state->cache, cache_bytes);
    wr_fold_init(&state->fold, cache_bytes);
}

static void forget_sorted(struct wr_state *state)
{
    free(state->sorted);
    state->sorted = NULL;
}

void wr_state_fini(struct wr_state *state)
{
    forget_sorted(state);
    wr_fold_fini(&state->fold);
    wr_cache_fini(&state->cache);
    *state = (struct wr_state){0};
}

weir_status wr_state_fill(struct wr_state *state, struct wr_epoch *filling,
                          const struct wr_epoch *sealed, struct wr_error *error)
{
    wr_assert_that(filling->phase, ==, WR_EPOCH_FILLING);
    wr_assert(!sealed || sealed->phase != WR_EPOCH_FILLING);
    state->filling = filling;
    state->sealed = sealed;
    forget_sorted(state);
    return state->scans ? wr_epoch_index(filling, error) : WEIR_OK;
}

/* ---- Changes that are not in table `state` yet ----------------------------------------------- */

static weir_status replay(struct wr_state *state, struct wr_arena *arena, struct wr_error *error)
{
    for (int64_t epoch = 0;;) {
        weir_bytes changes;
        struct wr_error inner = {.status = WEIR_OK};
        wr_arena_reset(arena);
        WR_TRY(wr_reader_changelog(state->reader, &epoch, arena, &changes, error));
        if (!changes.data) {
            return WEIR_OK;
        }
        if (wr_changelog_replay(changes, &state->cache, &inner) != WEIR_OK) {
            return wr_reader_fail_changelog(state->reader, epoch, &inner, error);
        }
    }
}

weir_status wr_state_load(struct wr_state *state, int64_t epoch, struct wr_error *error)
{
    struct wr_arena arena;
    bool any = true;
    wr_arena_init(&arena, 0);
    weir_status status = replay(state, &arena, error);
    wr_arena_fini(&arena);
    WR_TRY(status);
    WR_TRY(wr_reader_has_state(state->reader, &any, error));
    wr_reader_end(state->reader);
    state->whole = !any;
    state->dropped = epoch;
    return WEIR_OK;
}

weir_status wr_state_seal(struct wr_state *state, struct wr_error *error)
{
    return wr_fold_slice(&state->fold, &state->cache, state->filling, state->dropped, error);
}

static weir_status keep_values(struct wr_cache *cache, const struct wr_epoch *epoch,
                               struct wr_error *error)
{
    struct wr_ahead ahead = {.from = 0};
    const struct wr_entry *next = epoch->entries;
    for (const struct wr_entry *entry = next; entry; entry = entry->next) {
        for (; next && wr_ahead_has_room(&ahead); next = next->next) {
            uint64_t hash = wr_hash(next->node, wr_entry_key(next), wr_entry_slot(next));
            wr_ahead_put(&ahead, &cache->map, hash);
        }
        uint64_t hash = wr_ahead_take(&ahead, &cache->map);
        if (!wr_cache_set(cache, entry->node, wr_entry_key(entry), wr_entry_slot(entry), hash,
                          wr_entry_value(entry), true)) {
            return wr_fail_memory(error);
        }
    }
    return WEIR_OK;
}

weir_status wr_state_drop(struct wr_state *state, struct wr_error *error)
{
    const struct wr_epoch *epoch = state->sealed;
    wr_assert(epoch && epoch->phase == WR_EPOCH_DECIDED);
    wr_reader_end(state->reader);
    wr_fold_done(&state->cache, epoch);
    WR_TRY(keep_values(&state->cache, epoch, error));
    state->dropped = epoch->number;
    wr_state_trim(state);
    forget_sorted(state);
    state->sealed = NULL;
    return WEIR_OK;
}

static uint64_t hash_of(uint32_t node, weir_bytes key, weir_bytes slot)
{
    return wr_hash(node, key, slot);
}

weir_status wr_state_get(struct wr_state *state, uint32_t node, weir_bytes key, weir_bytes slot,
                         struct wr_arena *arena, weir_bytes *value_out, struct wr_error *error)
{
    uint64_t hash = hash_of(node, key, slot);
    wr_map_prefetch(&state->cache.map, hash);
    if (state->sealed) {
        wr_map_prefetch(&state->sealed->state, hash);
    }
    const struct wr_entry *entry = wr_epoch_find(state->filling, node, key, slot, hash);
    if (!entry && state->sealed) {
        entry = wr_epoch_find(state->sealed, node, key, slot, hash);
    }
    if (entry) {
        *value_out = wr_entry_value(entry);
        return WEIR_OK;
    }
    const struct wr_cached *cached = wr_cache_find(&state->cache, node, key, slot, hash);
    if (cached || state->whole) {
        *value_out = cached ? wr_cached_value(cached) : (weir_bytes){NULL, 0};
        return WEIR_OK;
    }
    state->reads++;
    WR_TRY(wr_reader_get(state->reader, node, key, slot, arena, value_out, error));
    if (state->cache.bytes <= 2 * state->cache.bytes_max) { /* trimmed between units */
        (void)wr_cache_set(&state->cache, node, key, slot, hash, *value_out, false);
    }
    return WEIR_OK;
}

/* ---- Scan ------------------------------------------------------------------------------------ */

struct run { /* one of the four, its next slot at hand */
    weir_bytes slot, value;
    bool more;
};

struct scan {
    struct wr_state *state;
    uint32_t node;
    weir_bytes key, from, to;
    struct wr_arena *arena;
    struct wr_error *error;
    struct run filling, sealed, dirty, store;
    struct wr_slot *copied; /* the filling epoch's, as of the start */
    size_t copied_count, copied_at;
    const struct wr_entry *sealed_at;
    size_t sorted_at;
    const struct wr_cached *dirty_at;
    struct wr_slot *rows; /* the store's, one step */
    size_t row_count, row_at;
    bool rows_end;
};

static bool in_range(const struct scan *scan, const struct wr_entry *entry)
{
    return entry && entry->node == scan->node && wr_bytes_equal(wr_entry_key(entry), scan->key) &&
           (!scan->to.data || wr_bytes_compare(wr_entry_slot(entry), scan->to) < 0);
}

static weir_status copy_filling(struct scan *scan)
{
    scan->state->scans = true;
    WR_TRY(wr_epoch_index(scan->state->filling, scan->error));
    const struct wr_entry *first =
        wr_epoch_first(scan->state->filling, scan->node, scan->key, scan->from);
    size_t count = 0;
    for (const struct wr_entry *at = first; in_range(scan, at); at = wr_epoch_next(at)) {
        count++;
    }
    scan->copied = wr_arena_alloc(scan->arena, count * sizeof *scan->copied);
    if (!scan->copied) {
        return wr_fail_memory(scan->error);
    }
    for (const struct wr_entry *at = first; in_range(scan, at); at = wr_epoch_next(at)) {
        scan->copied[scan->copied_count++] =
            (struct wr_slot){wr_entry_slot(at), wr_entry_value(at)};
    }
    return WEIR_OK;
}

static int by_order(const void *left, const void *right)
{
    const struct wr_entry *const *a = left, *const *b = right;
    return wr_entry_compare(*a, (*b)->node, wr_entry_key(*b), wr_entry_slot(*b));
}

/* The first scan of a run may meet a sealed epoch that keeps no index, and may not touch it: its
 * entries are sorted once, aside. */
static weir_status sort_sealed(struct scan *scan)
{
    const struct wr_epoch *sealed = scan->state->sealed;
    struct wr_entry **sorted = malloc((sealed->entry_count + 1) * sizeof *sorted);
    if (!sorted) {
        return wr_fail_memory(scan->error);
    }
    size_t count = 0;
    for (struct wr_entry *entry = sealed->entries; entry; entry = entry->next) {
        sorted[count++] = entry;
    }
    sorted[count] = NULL;
    qsort(sorted, count, sizeof(struct wr_entry *), by_order);
    scan->state->sorted = sorted;
    return WEIR_OK;
}

static weir_status start_sealed(struct scan *scan)
{
    struct wr_state *state = scan->state;
    if (!state->sealed || state->sealed->entry_count == 0) {
        return WEIR_OK;
    }
    if (state->sealed->index) {
        scan->sealed_at = wr_epoch_first(state->sealed, scan->node, scan->key, scan->from);
        return WEIR_OK;
    }
    if (!state->sorted) {
        WR_TRY(sort_sealed(scan));
    }
    size_t low = 0, high = state->sealed->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (wr_entry_compare(state->sorted[middle], scan->node, scan->key, scan->from) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    scan->sorted_at = low;
    scan->sealed_at = state->sorted[low];
    return WEIR_OK;
}

static void next_filling(struct scan *scan)
{
    scan->filling.more = scan->copied_at < scan->copied_count;
    if (scan->filling.more) {
        scan->filling.slot = scan->copied[scan->copied_at].slot;
        scan->filling.value = scan->copied[scan->copied_at].value;
        scan->copied_at++;
    }
}

static void next_sealed(struct scan *scan)
{
    const struct wr_entry *entry = scan->sealed_at;
    scan->sealed.more = in_range(scan, entry);
    if (scan->sealed.more) {
        scan->sealed.slot = wr_entry_slot(entry);
        scan->sealed.value = wr_entry_value(entry);
        scan->sealed_at = scan->state->sealed->index ? wr_epoch_next(entry)
                                                     : scan->state->sorted[++scan->sorted_at];
    }
}

static weir_status start_dirty(struct scan *scan)
{
    struct wr_cache *cache = &scan->state->cache;
    if (!wr_cache_index(cache)) {
        return wr_fail_memory(scan->error);
    }
    scan->dirty_at = wr_cache_first(cache, scan->node, scan->key, scan->from);
    return WEIR_OK;
}

static void next_dirty(struct scan *scan)
{
    const struct wr_cached *entry = scan->dirty_at;
    scan->dirty.more = entry && entry->node == scan->node &&
                       wr_bytes_equal(wr_cached_key(entry), scan->key) &&
                       (!scan->to.data || wr_bytes_compare(wr_cached_slot(entry), scan->to) < 0);
    if (scan->dirty.more) {
        scan->dirty.slot = wr_cached_slot(entry);
        scan->dirty.value = wr_cached_value(entry);
        scan->dirty_at = wr_cache_next(entry);
    }
}

static weir_status next_store(struct scan *scan)
{
    if (scan->row_at == scan->row_count && !scan->rows_end) {
        struct wr_range range = {
            scan->node, scan->key, scan->from, scan->to, scan->from.data != NULL, false};
        if (scan->rows) {
            range.from = scan->rows[scan->row_count - 1].slot;
            range.from_set = true;
            range.after = true;
        }
        struct wr_slot *rows = wr_arena_alloc(scan->arena, WR_SCAN_ROWS * sizeof *rows);
        if (!rows) {
            return wr_fail_memory(scan->error);
        }
        WR_TRY(wr_reader_scan(scan->state->reader, &range, WR_SCAN_ROWS, scan->arena, rows,
                              &scan->row_count, scan->error));
        scan->rows = rows;
        scan->rows_end = scan->row_count < WR_SCAN_ROWS;
        scan->row_at = 0;
    }
    scan->store.more = scan->row_at < scan->row_count;
    if (scan->store.more) {
        scan->store.slot = scan->rows[scan->row_at].slot;
        scan->store.value = scan->rows[scan->row_at].value;
        scan->row_at++;
    }
    return WEIR_OK;
}

static const struct run *lowest(const struct scan *scan)
{
    const struct run *runs[] = {&scan->filling, &scan->sealed, &scan->dirty, &scan->store};
    const struct run *best = NULL;
    for (size_t i = 0; i < sizeof runs / sizeof *runs;
         i++) { /* on a tie the newer one, which comes first, stays */
        if (runs[i]->more && (!best || wr_bytes_compare(runs[i]->slot, best->slot) < 0)) {
            best = runs[i];
        }
    }
    return best;
}

/* Moves every run that stands on this slot. */
static weir_status step_over(struct scan *scan, weir_bytes slot)
{
    if (scan->filling.more && wr_bytes_equal(scan->filling.slot, slot)) {
        next_filling(scan);
    }
    if (scan->sealed.more && wr_bytes_equal(scan->sealed.slot, slot)) {
        next_sealed(scan);
    }
    if (scan->dirty.more && wr_bytes_equal(scan->dirty.slot, slot)) {
        next_dirty(scan);
    }
    if (scan->store.more && wr_bytes_equal(scan->store.slot, slot)) {
        WR_TRY(next_store(scan));
    }
    return WEIR_OK;
}

weir_status wr_state_scan(struct wr_state *state, uint32_t node, weir_bytes key, weir_bytes from,
                          weir_bytes to, struct wr_arena *arena, wr_state_visit visit, void *data,
                          struct wr_error *error)
{
    struct scan scan = {.state = state,
                        .node = node,
                        .key = key,
                        .from = from,
                        .to = to,
                        .arena = arena,
                        .error = error};
    WR_TRY(copy_filling(&scan));
    WR_TRY(start_sealed(&scan));
    WR_TRY(start_dirty(&scan));
    next_filling(&scan);
    next_sealed(&scan);
    next_dirty(&scan);
    WR_TRY(next_store(&scan));
    const struct run *at;
    while ((at = lowest(&scan))) {
        weir_bytes slot = at->slot, value = at->value;
        if (value.data && !visit(data, slot, value)) {
            break;
        }
        WR_TRY(step_over(&scan, slot));
    }
    return WEIR_OK;
}
