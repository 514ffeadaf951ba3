/* cache.c: see cache.h. Blocks come from free lists by size. Each entry has a place either in the
 * ring, where the hand of CLOCK goes round, or among the dirty ones.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/cache.h"

#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"

enum { SLOT_BYTES = 32 }; /* of the map and the ring, for each entry */

void wr_cache_init(struct wr_cache *cache, size_t bytes_max)
{
    *cache = (struct wr_cache){.bytes_max = bytes_max, .random = 1};
    wr_slab_init(&cache->slab);
}

static void free_all(struct wr_cache *cache, struct wr_cached **entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (wr_slab_is_large(entries[i]->bytes)) {
            wr_slab_free(&cache->slab, entries[i], entries[i]->bytes);
        }
    }
    free(entries);
}

void wr_cache_sweep_begin(struct wr_cache *cache)
{
    wr_assert(!cache->sweeping && !cache->held);
    cache->sweeping = true;
    cache->sweep++;
}

void wr_cache_sweep_end(struct wr_cache *cache)
{
    while (cache->held) {
        struct wr_cached *entry = cache->held;
        cache->held = entry->held;
        wr_slab_free(&cache->slab, entry, entry->bytes);
    }
    cache->sweeping = false;
}

void wr_cache_fini(struct wr_cache *cache)
{
    wr_cache_sweep_end(cache);
    free_all(cache, cache->ring, cache->ring_count);
    free_all(cache, cache->dirty, cache->dirty_count);
    wr_map_fini(&cache->map);
    wr_slab_fini(&cache->slab);
    *cache = (struct wr_cache){0};
}

static struct wr_cached *find(const struct wr_cache *cache, uint32_t node, weir_bytes key,
                              weir_bytes slot, uint64_t hash)
{
    struct wr_cached *entry;
    for (size_t at = wr_map_first(&cache->map, hash); (entry = wr_map_at(&cache->map, hash, &at));
         at++) {
        if (entry->node == node && wr_bytes_equal(wr_cached_key(entry), key) &&
            wr_bytes_equal(wr_cached_slot(entry), slot)) {
            return entry;
        }
    }
    return NULL;
}

struct wr_cached *wr_cache_find(struct wr_cache *cache, uint32_t node, weir_bytes key,
                                weir_bytes slot, uint64_t hash)
{
    struct wr_cached *entry = find(cache, node, key, slot, hash);
    if (entry) {
        entry->used = true;
    }
    return entry;
}

/* ---- Order of the dirty entries -------------------------------------------------------------- */

static int compare(const struct wr_cached *entry, uint32_t node, weir_bytes key, weir_bytes slot)
{
    if (entry->node != node) {
        return entry->node < node ? -1 : 1;
    }
    int order = wr_bytes_compare(wr_cached_key(entry), key);
    return order ? order : wr_bytes_compare(wr_cached_slot(entry), slot);
}

static uint64_t next_random(struct wr_cache *cache) /* xorshift64, G. Marsaglia 2003 */
{
    cache->random ^= cache->random << 13;
    cache->random ^= cache->random >> 7;
    cache->random ^= cache->random << 17;
    return cache->random;
}

/* The last entry of each level that is below. */
static void find_before(const struct wr_cache *cache, uint32_t node, weir_bytes key,
                        weir_bytes slot, struct wr_cached *before[WR_CACHE_LEVELS_MAX])
{
    struct wr_cached *at = cache->index;
    for (int level = WR_CACHE_LEVELS_MAX; level-- > 0;) {
        struct wr_cached *next;
        while ((next = at->forward[level]) && compare(next, node, key, slot) < 0) {
            at = next;
        }
        before[level] = at;
    }
}

static bool index_insert(struct wr_cache *cache, struct wr_cached *entry)
{
    struct wr_cached *before[WR_CACHE_LEVELS_MAX];
    uint64_t bits = next_random(cache);
    uint8_t levels = 1;
    while (levels < WR_CACHE_LEVELS_MAX && (bits & 3) == 0) {
        bits >>= 2;
        levels++;
    }
    entry->forward = wr_slab_alloc(&cache->slab, levels * sizeof *entry->forward);
    if (!entry->forward) {
        return false;
    }
    entry->levels = levels;
    find_before(cache, entry->node, wr_cached_key(entry), wr_cached_slot(entry), before);
    for (int level = 0; level < levels; level++) {
        entry->forward[level] = before[level]->forward[level];
        before[level]->forward[level] = entry;
    }
    return true;
}

static void index_remove(struct wr_cache *cache, struct wr_cached *entry)
{
    struct wr_cached *before[WR_CACHE_LEVELS_MAX];
    if (!entry->forward) {
        return;
    }
    find_before(cache, entry->node, wr_cached_key(entry), wr_cached_slot(entry), before);
    for (int level = 0; level < entry->levels; level++) {
        wr_assert(before[level]->forward[level] == entry);
        before[level]->forward[level] = entry->forward[level];
    }
    wr_slab_free(&cache->slab, entry->forward, entry->levels * sizeof *entry->forward);
    entry->forward = NULL;
}

static void index_drop(struct wr_cache *cache)
{
    for (size_t i = 0; i < cache->dirty_count; i++) {
        struct wr_cached *entry = cache->dirty[i];
        if (entry->forward) {
            wr_slab_free(&cache->slab, entry->forward, entry->levels * sizeof *entry->forward);
            entry->forward = NULL;
        }
    }
    cache->index = NULL; /* its memory is the slab's, until the end */
}

bool wr_cache_index(struct wr_cache *cache)
{
    if (cache->index) {
        return true;
    }
    struct wr_cached *head = wr_arena_zalloc(&cache->slab.arena, sizeof *head);
    struct wr_cached **forward =
        wr_arena_zalloc(&cache->slab.arena, WR_CACHE_LEVELS_MAX * sizeof *forward);
    if (!head || !forward) {
        return false;
    }
    head->forward = forward;
    head->levels = WR_CACHE_LEVELS_MAX;
    cache->index = head;
    for (size_t i = 0; i < cache->dirty_count; i++) {
        if (!index_insert(cache, cache->dirty[i])) {
            index_drop(cache);
            return false;
        }
    }
    return true;
}

const struct wr_cached *wr_cache_first(const struct wr_cache *cache, uint32_t node, weir_bytes key,
                                       weir_bytes slot)
{
    struct wr_cached *before[WR_CACHE_LEVELS_MAX];
    find_before(cache, node, key, slot, before);
    return before[0]->forward[0];
}

/* ---- Places ---------------------------------------------------------------------------------- */

static bool reserve(struct wr_cached ***entries, size_t count, size_t *capacity)
{
    if (count < *capacity) {
        return true;
    }
    size_t larger = *capacity ? *capacity * 2 : 64;
    struct wr_cached **grown =
        larger <= UINT32_MAX ? realloc(*entries, larger * sizeof *grown) : NULL;
    if (!grown) {
        return false;
    }
    *entries = grown;
    *capacity = larger;
    return true;
}

static void append(struct wr_cached **entries, size_t *count, struct wr_cached *entry)
{
    entry->place = (uint32_t)*count;
    entries[(*count)++] = entry;
}

static void take(struct wr_cached **entries, size_t *count, struct wr_cached *entry)
{
    struct wr_cached *last = entries[--*count];
    entries[entry->place] = last;
    last->place = entry->place;
}

static size_t counted(const struct wr_cached *entry)
{
    return entry->bytes + SLOT_BYTES;
}

static void make_clean(struct wr_cache *cache, struct wr_cached *entry)
{
    index_remove(cache, entry);
    take(cache->dirty, &cache->dirty_count, entry);
    cache->dirty_bytes -= counted(entry);
    entry->dirty = false;
    entry->sweep = cache->sweep;
}

static bool make_dirty(struct wr_cache *cache, struct wr_cached *entry)
{
    if (!reserve(&cache->dirty, cache->dirty_count, &cache->dirty_capacity) ||
        (cache->index && !index_insert(cache, entry))) {
        return false;
    }
    take(cache->ring, &cache->ring_count, entry);
    append(cache->dirty, &cache->dirty_count, entry);
    cache->dirty_bytes += counted(entry);
    entry->dirty = true;
    return true;
}

/* Takes an entry away. Its block stays for as long as a sweep may point to it. */
static void remove_entry(struct wr_cache *cache, struct wr_cached *entry)
{
    bool hold = cache->sweeping && (entry->dirty || entry->sweep == cache->sweep);
    if (entry->dirty) {
        make_clean(cache, entry);
    } else {
        take(cache->ring, &cache->ring_count, entry);
    }
    wr_map_remove(&cache->map, entry->hash, entry);
    cache->bytes -= counted(entry);
    if (hold) {
        entry->stale = true;
        entry->held = cache->held;
        cache->held = entry;
    } else {
        wr_slab_free(&cache->slab, entry, entry->bytes);
    }
}

void wr_cache_clean(struct wr_cache *cache, struct wr_cached *entry)
{
    wr_assert(entry->dirty);
    wr_assert_that(cache->ring_count, <, cache->ring_capacity); /* entry_new saw to it */
    make_clean(cache, entry);
    append(cache->ring, &cache->ring_count, entry);
}

/* ---- Setting --------------------------------------------------------------------------------- */

/* There is room in the ring also for the dirty ones, so that becoming clean needs no memory: where
 * the cache is all there is, no entry may get lost. */
static struct wr_cached *entry_new(struct wr_cache *cache, uint32_t node, weir_bytes key,
                                   weir_bytes slot, uint64_t hash, weir_bytes value)
{
    size_t capacity = value.size < 8 ? 8 : (value.size + 7) & ~(size_t)7; /* counts grow */
    size_t bytes = sizeof(struct wr_cached) + key.size + slot.size + capacity;
    if (bytes >= UINT32_MAX || !wr_map_reserve(&cache->map) ||
        !reserve(&cache->ring, cache->ring_count + cache->dirty_count, &cache->ring_capacity)) {
        return NULL;
    }
    struct wr_cached *entry = wr_slab_alloc(&cache->slab, bytes);
    if (!entry) {
        return NULL;
    }
    *entry = (struct wr_cached){
        .hash = hash, .node = node, .bytes = (uint32_t)bytes, .value_capacity = (uint32_t)capacity};
    entry->key_size = wr_sized_put(entry->data, key);
    entry->slot_size = wr_sized_put(entry->data + key.size, slot);
    entry->value_size = wr_sized_put(entry->data + key.size + slot.size, value);
    append(cache->ring, &cache->ring_count, entry);
    wr_map_insert(&cache->map, hash, entry);
    cache->bytes += counted(entry);
    return entry;
}

struct wr_cached *wr_cache_set(struct wr_cache *cache, uint32_t node, weir_bytes key,
                               weir_bytes slot, uint64_t hash, weir_bytes value, bool dirty)
{
    struct wr_cached *entry = find(cache, node, key, slot, hash);
    if (entry && value.size <= entry->value_capacity) {
        entry->value_size = wr_sized_put(entry->data + key.size + slot.size, value);
        entry->used = true;
        entry->folding = 0;
    } else {
        struct wr_cached *old = entry;
        entry = entry_new(cache, node, key, slot, hash, value);
        if (old && (entry || !old->dirty)) {
            dirty = dirty || old->dirty;
            remove_entry(cache, old);
        }
    }
    if (entry && dirty && !entry->dirty && !make_dirty(cache, entry)) {
        remove_entry(cache, entry);
        return NULL;
    }
    return entry;
}

bool wr_cache_trim(struct wr_cache *cache)
{
    bool evicted = false;
    while (cache->bytes > cache->bytes_max && cache->ring_count > 0) {
        if (cache->hand >= cache->ring_count) {
            cache->hand = 0;
        }
        struct wr_cached *entry = cache->ring[cache->hand];
        if (entry->used) {
            entry->used = false;
            cache->hand++;
        } else {
            remove_entry(cache, entry); /* the last one takes its place under the hand */
            evicted = true;
        }
    }
    return evicted;
}
