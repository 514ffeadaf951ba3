/* map.c: see map.h. Removal is Knuth's algorithm R (The Art of Computer Programming 3, 6.4).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/base/map.h"

#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"

enum { CAPACITY_FIRST = 64 };

bool wr_map_reserve(struct wr_map *map)
{
    if (map->count + 1 <= map->capacity / 4 * 3) {
        return true;
    }
    size_t capacity = map->capacity ? map->capacity * 2 : CAPACITY_FIRST;
    struct wr_map_slot *slots = calloc(capacity, sizeof *slots);
    if (!slots) {
        return false;
    }
    struct wr_map old = *map;
    *map = (struct wr_map){slots, capacity, 0};
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.slots[i].item) {
            wr_map_insert(map, old.slots[i].hash, old.slots[i].item);
        }
    }
    free(old.slots);
    return true;
}

void wr_map_insert(struct wr_map *map, uint64_t hash, void *item)
{
    wr_assert_that(map->count, <, map->capacity);
    size_t at = (size_t)hash & (map->capacity - 1);
    while (map->slots[at].item) {
        at = (at + 1) & (map->capacity - 1);
    }
    map->slots[at] = (struct wr_map_slot){hash, item};
    map->count++;
}

void wr_map_remove(struct wr_map *map, uint64_t hash, const void *item)
{
    size_t mask = map->capacity - 1;
    size_t at = (size_t)hash & mask;
    while (map->slots[at].item != item) {
        wr_assert(map->slots[at].item);
        at = (at + 1) & mask;
    }
    size_t hole = at;
    for (;;) {
        at = (at + 1) & mask;
        if (!map->slots[at].item) {
            break;
        }
        size_t home = (size_t)map->slots[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole].item = NULL;
    map->count--;
}

void wr_map_clear(struct wr_map *map, size_t keep)
{
    if (map->capacity > keep) {
        wr_map_fini(map);
    } else if (map->count > 0) {
        memset(map->slots, 0, map->capacity * sizeof *map->slots);
        map->count = 0;
    }
}

void wr_map_fini(struct wr_map *map)
{
    free(map->slots);
    *map = (struct wr_map){NULL, 0, 0};
}
