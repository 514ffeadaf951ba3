/* cache.h: entries of state by (node, key, slot), so that most reads need no store. Holds decided
 * values only. A *clean* entry is as table `state` has it, and may be evicted: by CLOCK (F. J.
 * Corbato, 1968), when told to, never by itself, so that what a lookup returned stays until then. A
 * *dirty* one is newer than table `state` (its value is in the changelog): it stays until it is
 * folded into that table; see fold.h.
 *
 * Once a scan asked for it, dirty entries are also kept in order of (node, key, slot), by a skip
 * list (W. Pugh, "Skip Lists: A Probabilistic Alternative to Balanced Trees", CACM 1990).
 *
 * Thread: operator.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_CACHE_H
#define WR_CACHE_H

#include "txn/base/map.h"
#include "txn/base/slab.h"
#include "txn/epoch.h"

enum { WR_CACHE_LEVELS_MAX = 20 };

/* One block: this, then key, slot and value. Sizes UINT32_MAX: absent. A value that is absent is
 * known not to be there. */
struct wr_cached {
    uint64_t hash;
    union {
        struct wr_cached **forward; /* dirty and indexed: the skip list's, else NULL */
        struct wr_cached *held; /* stale: the next block that is held */
    };
    uint32_t node, bytes;
    uint32_t key_size, slot_size, value_size, value_capacity;
    uint32_t place; /* in the ring, or among the dirty */
    uint32_t folding; /* the epoch (its low 32 bits) that folds it as it is, 0: none */
    uint32_t sweep; /* during which it became clean */
    uint8_t levels; /* of `forward` */
    bool used; /* since the hand last passed */
    bool dirty;
    bool stale; /* taken away while a sweep may point to it */
    unsigned char data[];
};

struct wr_cache {
    size_t bytes_max, bytes, dirty_bytes;
    struct wr_map map;
    struct wr_cached **ring; /* the clean ones */
    size_t ring_count, ring_capacity, hand;
    struct wr_cached **dirty;
    size_t dirty_count, dirty_capacity;
    struct wr_cached *index; /* head of the skip list, NULL: none is kept */
    uint64_t random; /* of the skip list */
    bool sweeping; /* a sweep points to all that was dirty when it began */
    uint32_t sweep; /* its number */
    struct wr_cached *held; /* blocks that are stale, until it ends */
    struct wr_slab slab;
};

void wr_cache_init(struct wr_cache *cache, size_t bytes_max);
void wr_cache_fini(struct wr_cache *cache);

static inline weir_bytes wr_cached_key(const struct wr_cached *entry)
{
    return wr_sized(entry->data, entry->key_size);
}
static inline weir_bytes wr_cached_slot(const struct wr_cached *entry)
{
    return wr_sized(entry->data + wr_sized_bytes(entry->key_size), entry->slot_size);
}
static inline weir_bytes wr_cached_value(const struct wr_cached *entry)
{
    return wr_sized(entry->data + wr_sized_bytes(entry->key_size) +
                        wr_sized_bytes(entry->slot_size),
                    entry->value_size);
}

struct wr_cached *wr_cache_find(struct wr_cache *cache, uint32_t node, weir_bytes key,
                                weir_bytes slot, uint64_t hash);
/* Sets a value that is decided. A dirty entry stays so. When memory runs out the entry is not kept,
 * and no older clean one either. NULL then. */
struct wr_cached *wr_cache_set(struct wr_cache *cache, uint32_t node, weir_bytes key,
                               weir_bytes slot, uint64_t hash, weir_bytes value, bool dirty);
/* Table `state` has its value. Needs no memory. */
void wr_cache_clean(struct wr_cache *cache, struct wr_cached *entry);
/* Between the two, entries that were dirty at the beginning stay where they are; those that were
 * taken away meanwhile are stale. */
void wr_cache_sweep_begin(struct wr_cache *cache);
void wr_cache_sweep_end(struct wr_cache *cache);
/* Evicts clean entries down to bytes_max, as far as there are any; whether it evicted one. Between
 * units only. */
bool wr_cache_trim(struct wr_cache *cache);

/* Keeps the dirty entries in order from now on. False: memory ran out, and it does not. */
bool wr_cache_index(struct wr_cache *cache);
/* The first dirty entry that is not below; NULL: there is none. wr_cache_index was called. */
const struct wr_cached *wr_cache_first(const struct wr_cache *cache, uint32_t node, weir_bytes key,
                                       weir_bytes slot);
static inline const struct wr_cached *wr_cache_next(const struct wr_cached *entry)
{
    return entry->forward[0];
}

#endif
