/* map.h: an open-addressing hash table of pointers, linear probing, the hash kept beside each
 * pointer so that a miss touches few cache lines. The caller compares the items. Removal shifts
 * back, so there are no tombstones.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_MAP_H
#define WR_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wr_map_slot {
    uint64_t hash;
    void *item; /* NULL: free */
};

struct wr_map {
    struct wr_map_slot *slots;
    size_t capacity; /* a power of two, 0 before the first insert */
    size_t count;
};

/* Walks the items with this hash: for (size_t at = wr_map_first(m, h); (i = wr_map_at(m, h, &at));
 * at++). */
static inline size_t wr_map_first(const struct wr_map *map, uint64_t hash)
{
    return map->capacity ? (size_t)hash & (map->capacity - 1) : 0;
}
static inline void *wr_map_at(const struct wr_map *map, uint64_t hash, size_t *at)
{
    if (map->count == 0) {
        return NULL;
    }
    for (;;) {
        const struct wr_map_slot *slot = &map->slots[*at & (map->capacity - 1)];
        if (!slot->item) {
            return NULL;
        }
        if (slot->hash == hash) {
            return slot->item;
        }
        ++*at;
    }
}

/* Begins to fetch what the first step of a lookup reads. */
static inline void wr_map_prefetch(const struct wr_map *map, uint64_t hash)
{
    if (map->capacity) {
        __builtin_prefetch(&map->slots[hash & (map->capacity - 1)]);
    }
}

/* Lookups of a long list: what some of the next ones will read is fetched meanwhile, first the slot
 * and then the item; each would be a miss of the processor's caches. Zeroed: none. */
enum { WR_AHEAD = 16 };
struct wr_ahead {
    uint64_t hashes[WR_AHEAD];
    size_t from, to;
};
static inline bool wr_ahead_has_room(const struct wr_ahead *ahead)
{
    return ahead->to - ahead->from < WR_AHEAD;
}
static inline void wr_ahead_put(struct wr_ahead *ahead, const struct wr_map *map, uint64_t hash)
{
    ahead->hashes[ahead->to++ % WR_AHEAD] = hash;
    wr_map_prefetch(map, hash);
}
/* The hash that was put first, of those not taken yet; there is one. */
static inline uint64_t wr_ahead_take(struct wr_ahead *ahead, const struct wr_map *map)
{
    size_t middle = ahead->from + WR_AHEAD / 2;
    if (middle < ahead->to && map->capacity) {
        uint64_t hash = ahead->hashes[middle % WR_AHEAD];
        __builtin_prefetch(map->slots[hash & (map->capacity - 1)].item);
    }
    return ahead->hashes[ahead->from++ % WR_AHEAD];
}

/* Room for one more; false when memory ran out. Call before wr_map_insert. */
bool wr_map_reserve(struct wr_map *map);
/* The item must not be in the map. */
void wr_map_insert(struct wr_map *map, uint64_t hash, void *item);
/* The item must be in the map. */
void wr_map_remove(struct wr_map *map, uint64_t hash, const void *item);
/* Empties the map; keeps its memory up to `keep` slots. */
void wr_map_clear(struct wr_map *map, size_t keep);
void wr_map_fini(struct wr_map *map);

#endif
