/* fold.c: see fold.h.
 *
 * The pace: a sweep begins when half of what may be dirty, or logged, is; and is through by the
 * time the other half is. So a start replays at most one and a half times logged_max.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/fold.h"

#include "txn/base/assert.h"

enum {
    DIRTY_PART = 2, /* of the cache may be dirty */
    LOGGED_PART = 8, /* of the cache's size may be in the changelog, about */
    EPOCHS_MAX = 8192, /* until a sweep begins, and until it is through: a start reads their rows */
    SLICE_MIN = 256, /* fewer are not worth their pages, unless they are the last */
    SAMPLES = 64,
    AHEAD = 8, /* entries fetched while others are looked at */
};

void wr_fold_init(struct wr_fold *fold, size_t cache_bytes)
{
    *fold = (struct wr_fold){.dirty_max = cache_bytes / DIRTY_PART,
                             .logged_max = cache_bytes / LOGGED_PART};
}

void wr_fold_fini(struct wr_fold *fold)
{
    wr_sorter_fini(&fold->sorter);
    *fold = (struct wr_fold){0};
}

/* ---- Order ----------------------------------------------------------------------------------- */

static uint32_t node_of(const void *entry)
{
    return ((const struct wr_cached *)entry)->node;
}

static void parts_of(const void *entry, weir_bytes *key_out, weir_bytes *slot_out)
{
    *key_out = wr_cached_key(entry);
    *slot_out = wr_cached_slot(entry);
}

weir_status wr_fold_sort(struct wr_cache *cache, struct wr_sorter *sorter, struct wr_error *error)
{
    WR_TRY(wr_sorter_reserve(sorter, cache->dirty_count, error));
    for (size_t i = 0; i < cache->dirty_count; i++) {
        sorter->items[i].item = cache->dirty[i];
    }
    wr_sort_nodes(sorter, cache->dirty_count, node_of, parts_of);
    return WEIR_OK;
}

struct wr_folded wr_fold_of(const struct wr_cached *entry)
{
    return (struct wr_folded){.node = entry->node,
                              .key = wr_cached_key(entry),
                              .slot = wr_cached_slot(entry),
                              .value = wr_cached_value(entry)};
}

/* ---- Sweeps ---------------------------------------------------------------------------------- */

static const struct wr_cached *item(const struct wr_fold *fold, size_t at)
{
    return fold->sorter.items[at].item;
}

/* How many bytes the keys of some entries have in common. */
static size_t shared_bytes(const struct wr_cache *cache)
{
    weir_bytes first = wr_cached_key(cache->dirty[0]);
    size_t shared = first.size, step = cache->dirty_count / SAMPLES + 1;
    for (size_t i = step; i < cache->dirty_count; i += step) {
        weir_bytes other = wr_cached_key(cache->dirty[i]);
        shared = other.size < shared ? other.size : shared;
        for (size_t at = 0; at < shared; at++) {
            if (((const char *)first.data)[at] != ((const char *)other.data)[at]) {
                shared = at;
            }
        }
    }
    return shared;
}

/* Takes no look at the entries themselves, which lie anywhere in memory: many would be a pause. */
static weir_status begin(struct wr_fold *fold, struct wr_cache *cache, int64_t dropped,
                         struct wr_error *error)
{
    WR_TRY(wr_sorter_reserve(&fold->sorter, cache->dirty_count, error));
    wr_cache_sweep_begin(cache);
    for (size_t i = 0; i < cache->dirty_count; i++) {
        fold->sorter.items[i].item = cache->dirty[i];
    }
    fold->count = cache->dirty_count;
    fold->looked = fold->ordered = fold->at = 0;
    fold->skip = shared_bytes(cache);
    fold->logged = 0;
    fold->upto = dropped;
    wr_sort_lazily(&fold->lazy, fold->count);
    return WEIR_OK;
}

/* Of node and key: about what they are ordered by, which is all that a sweep needs. */
static uint64_t prefix_of(const struct wr_cached *entry, size_t skip)
{
    weir_bytes key = wr_cached_key(entry);
    unsigned char at[8] = {(unsigned char)(entry->node >> 8), (unsigned char)entry->node};
    if (key.size > skip) {
        size_t size = key.size - skip;
        memcpy(at + 2, (const unsigned char *)key.data + skip, size < 6 ? size : 6);
    }
    uint64_t number;
    memcpy(&number, at, 8);
    return __builtin_bswap64(number);
}

static void look(struct wr_fold *fold, size_t count)
{
    for (; count > 0 && fold->looked < fold->count; count--, fold->looked++) {
        if (fold->looked + AHEAD < fold->count) {
            __builtin_prefetch(item(fold, fold->looked + AHEAD));
        }
        fold->sorter.items[fold->looked].prefix = prefix_of(item(fold, fold->looked), fold->skip);
    }
}

/* ---- Slices ---------------------------------------------------------------------------------- */

/* `part` of half of `limit`, from 0 to 1. */
static double share(size_t part, size_t limit)
{
    return part >= limit / 2 ? 1 : (double)part / ((double)limit / 2);
}

/* How many entries of the sweep this epoch takes: so many that as much of it is done as the
 * changelog has grown since it began, and as what is dirty has come nearer to its limit. The first
 * half of a sweep is spent looking at its entries. */
static size_t slice_size(struct wr_fold *fold, const struct wr_cache *cache)
{
    size_t half = fold->dirty_max / 2, left = fold->count - fold->at;
    double logged = share(fold->logged, fold->logged_max);
    double dirty =
        share(cache->dirty_bytes > half ? cache->dirty_bytes - half : 0, fold->dirty_max);
    size_t due = (size_t)((logged > dirty ? logged : dirty) * 2 * (double)fold->count);
    if (due > fold->looked) {
        look(fold, due - fold->looked);
    }
    size_t size = due > fold->count + fold->at ? due - fold->count - fold->at : 0;
    return size < SLICE_MIN && size < left ? 0 : size;
}

/* Copied, because the cache goes on changing while the epoch is decided. */
bool wr_fold_add(struct wr_epoch *epoch, const struct wr_folded *folded)
{
    size_t key = folded->key.size, slot = folded->slot.size;
    struct wr_fold_copy *copy =
        wr_arena_alloc(&epoch->arena, sizeof *copy + key + slot + folded->value.size);
    if (!copy) {
        return false;
    }
    copy->next = NULL;
    copy->node = folded->node;
    copy->key_size = wr_sized_put(copy->data, folded->key);
    copy->slot_size = wr_sized_put(copy->data + key, folded->slot);
    copy->value_size = wr_sized_put(copy->data + key + slot, folded->value);
    *epoch->folds_end = copy;
    epoch->folds_end = &copy->next;
    epoch->fold_count++;
    return true;
}

struct wr_folded wr_fold_copied(const struct wr_fold_copy *copy)
{
    const unsigned char *slot = copy->data + wr_sized_bytes(copy->key_size);
    const unsigned char *value = slot + wr_sized_bytes(copy->slot_size);
    return (struct wr_folded){.node = copy->node,
                              .key = wr_sized(copy->data, copy->key_size),
                              .slot = wr_sized(slot, copy->slot_size),
                              .value = wr_sized(value, copy->value_size)};
}

/* Not 0, which is for none. */
static uint32_t mark_of(const struct wr_epoch *epoch)
{
    uint32_t low = (uint32_t)epoch->number;
    return low ? low : 1;
}

static weir_status take(struct wr_fold *fold, struct wr_cache *cache, struct wr_epoch *epoch,
                        size_t size, struct wr_error *error)
{
    for (size_t end = fold->at + size; fold->at < end; fold->at++) {
        if (fold->at == fold->ordered) {
            fold->ordered = wr_sort_more(&fold->sorter, &fold->lazy, fold->at, parts_of);
        }
        if (fold->at + AHEAD < fold->ordered) {
            __builtin_prefetch(item(fold, fold->at + AHEAD));
        }
        struct wr_cached *entry = (struct wr_cached *)(uintptr_t)item(fold, fold->at);
        if (entry->stale || !entry->dirty) {
            continue;
        }
        struct wr_folded folded = wr_fold_of(entry);
        if (!wr_fold_add(epoch, &folded)) {
            return wr_fail_memory(error);
        }
        entry->folding = mark_of(epoch);
    }
    if (fold->at == fold->count) {
        epoch->folded_upto = fold->upto;
        fold->count = 0;
        wr_cache_sweep_end(cache);
    }
    return WEIR_OK;
}

weir_status wr_fold_slice(struct wr_fold *fold, struct wr_cache *cache, struct wr_epoch *epoch,
                          int64_t dropped, struct wr_error *error)
{
    size_t least = fold->logged_max / 2 / EPOCHS_MAX; /* of logged, for an epoch */
    wr_assert_that(epoch->fold_count, ==, 0);
    if (fold->count == 0 && cache->dirty_count == 0) {
        epoch->folded_upto = dropped;
    }
    if (fold->count == 0 && cache->dirty_count > 0 &&
        (fold->logged >= fold->logged_max / 2 || cache->dirty_bytes >= fold->dirty_max / 2)) {
        WR_TRY(begin(fold, cache, dropped, error));
    }
    fold->logged += epoch->entry_bytes > least ? epoch->entry_bytes : least;
    if (fold->count == 0) {
        return WEIR_OK;
    }
    size_t size = slice_size(fold, cache);
    return size ? take(fold, cache, epoch, size, error) : WEIR_OK;
}

static uint64_t hash_of(const struct wr_fold_copy *copy)
{
    struct wr_folded folded = wr_fold_copied(copy);
    return wr_hash(folded.node, folded.key, folded.slot);
}

void wr_fold_done(struct wr_cache *cache, const struct wr_epoch *epoch)
{
    struct wr_ahead ahead = {.from = 0};
    const struct wr_fold_copy *next = epoch->folds;
    for (const struct wr_fold_copy *at = next; at; at = at->next) {
        for (; next && wr_ahead_has_room(&ahead); next = next->next) {
            wr_ahead_put(&ahead, &cache->map, hash_of(next));
        }
        struct wr_folded folded = wr_fold_copied(at);
        uint64_t hash = wr_ahead_take(&ahead, &cache->map);
        struct wr_cached *entry = wr_cache_find(cache, folded.node, folded.key, folded.slot, hash);
        if (entry && entry->dirty && entry->folding == mark_of(epoch)) {
            entry->folding = 0;
            wr_cache_clean(cache, entry);
        }
    }
}
