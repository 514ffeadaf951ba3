/* cache.c: see cache.h. An entry is one block: struct, key, slot, value; blocks come from free
 * lists by size.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/cache.h"

#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"

enum { SLOT_BYTES = 32 }; /* of the map and the ring, for each entry */

void wr_cache_init(struct wr_cache *cache, size_t bytes_max)
{
    *cache = (struct wr_cache){.bytes_max = bytes_max};
    wr_slab_init(&cache->slab);
}

void wr_cache_fini(struct wr_cache *cache)
{
    for (size_t i = 0; i < cache->map.count; i++) {
        if (wr_slab_is_large(cache->ring[i]->bytes)) {
            wr_slab_free(&cache->slab, cache->ring[i], cache->ring[i]->bytes);
        }
    }
    free(cache->ring);
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
        if (entry->node == node && wr_bytes_equal(entry->key, key) &&
            wr_bytes_equal(entry->slot, slot)) {
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

static void remove_entry(struct wr_cache *cache, struct wr_cached *entry)
{
    wr_map_remove(&cache->map, entry->hash, entry);
    struct wr_cached *last = cache->ring[cache->map.count];
    cache->ring[entry->place] = last;
    last->place = entry->place;
    cache->bytes -= entry->bytes + SLOT_BYTES;
    wr_slab_free(&cache->slab, entry, entry->bytes);
}

static bool ring_reserve(struct wr_cache *cache)
{
    if (cache->map.count < cache->ring_capacity) {
        return true;
    }
    size_t capacity = cache->ring_capacity ? cache->ring_capacity * 2 : 64;
    struct wr_cached **ring = realloc(cache->ring, capacity * sizeof *ring);
    if (!ring) {
        return false;
    }
    cache->ring = ring;
    cache->ring_capacity = capacity;
    return true;
}

static weir_bytes place_bytes(unsigned char **at, weir_bytes from, size_t capacity)
{
    weir_bytes to = {from.data ? *at : NULL, from.size};
    if (from.size) {
        memcpy(*at, from.data, from.size);
    }
    *at += capacity;
    return to;
}

struct wr_cached *wr_cache_set(struct wr_cache *cache, uint32_t node, weir_bytes key,
                               weir_bytes slot, uint64_t hash, weir_bytes value)
{
    struct wr_cached *entry = find(cache, node, key, slot, hash);
    if (entry && value.size <= entry->value_capacity) {
        unsigned char *at = (unsigned char *)(entry + 1) + key.size + slot.size;
        entry->value = place_bytes(&at, value, 0);
        entry->used = true;
        return entry;
    }
    if (entry) {
        remove_entry(cache, entry);
    }
    size_t capacity = value.size < 16 ? 16 : (value.size + 7) & ~(size_t)7; /* counts grow */
    size_t bytes = sizeof *entry + key.size + slot.size + capacity;
    if (bytes > UINT32_MAX || !ring_reserve(cache) || !wr_map_reserve(&cache->map)) {
        return NULL;
    }
    entry = wr_slab_alloc(&cache->slab, bytes);
    if (!entry) {
        return NULL;
    }
    unsigned char *at = (unsigned char *)(entry + 1);
    *entry = (struct wr_cached){.hash = hash,
                                .node = node,
                                .bytes = (uint32_t)bytes,
                                .value_capacity = (uint32_t)capacity,
                                .place = cache->map.count};
    entry->key = place_bytes(&at, key, key.size);
    entry->slot = place_bytes(&at, slot, slot.size);
    entry->value = place_bytes(&at, value, capacity);
    cache->ring[entry->place] = entry;
    wr_map_insert(&cache->map, hash, entry);
    cache->bytes += bytes + SLOT_BYTES;
    return entry;
}

void wr_cache_trim(struct wr_cache *cache)
{
    while (cache->bytes > cache->bytes_max && cache->map.count > 0) {
        if (cache->hand >= cache->map.count) {
            cache->hand = 0;
        }
        struct wr_cached *entry = cache->ring[cache->hand];
        if (entry->used) {
            entry->used = false;
            cache->hand++;
        } else {
            remove_entry(cache, entry); /* the last one takes its place under the hand */
        }
    }
}
