/* cache.h: clean entries of state, so that most reads need no store. Holds decided values only;
 * evicts by CLOCK (F. J. Corbato, 1968) when told to, never by itself, so that what a lookup
 * returned stays until then.
 *
 * Thread: operator.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_CACHE_H
#define WR_CACHE_H

#include "txn/base/map.h"
#include "txn/base/slab.h"
#include "txn/epoch.h"

struct wr_cached {
    uint64_t hash;
    weir_bytes key, slot, value; /* value absent: known not to be there */
    size_t place; /* in the ring */
    uint32_t node, bytes, value_capacity;
    bool used; /* since the hand last passed */
};

struct wr_cache {
    size_t bytes_max, bytes;
    struct wr_map map;
    struct wr_cached **ring;
    size_t ring_capacity, hand;
    struct wr_slab slab;
};

void wr_cache_init(struct wr_cache *cache, size_t bytes_max);
void wr_cache_fini(struct wr_cache *cache);
struct wr_cached *wr_cache_find(struct wr_cache *cache, uint32_t node, weir_bytes key,
                                weir_bytes slot, uint64_t hash);
/* Sets a value that is decided. When memory runs out the entry is not kept, and no older one
 * either. NULL then. */
struct wr_cached *wr_cache_set(struct wr_cache *cache, uint32_t node, weir_bytes key,
                               weir_bytes slot, uint64_t hash, weir_bytes value);
/* Evicts down to bytes_max. Between units only. */
void wr_cache_trim(struct wr_cache *cache);

#endif
