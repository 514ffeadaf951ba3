/* state.h: keyed state as operators see it: through the filling epoch, the sealed epoch, the cache,
 * and the store, in this order; the first that knows the slot answers. The cache has every slot
 * whose newest value is not in table `state` yet.
 *
 * Only wr_state_drop moves values into the cache, and only after their epoch was decided; the
 * filling epoch never writes the cache, so undoing it needs no repair. Thread: operator.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_STATE_H
#define WR_STATE_H

#include "txn/fold.h"
#include "txn/store.h"

struct wr_state {
    struct wr_epoch *filling;
    const struct wr_epoch *sealed; /* NULL: none */
    struct wr_reader *reader;
    struct wr_cache cache;
    struct wr_fold fold;
    int64_t dropped; /* the last epoch whose values are in the cache */
    bool whole; /* the cache has all there is: what is not in it is nowhere */
    bool scans; /* a scan was seen: epochs keep their index from the start */
    struct wr_entry **sorted; /* of a sealed epoch without index, made by the first scan */
    uint64_t reads; /* that went to the store */
};

void wr_state_init(struct wr_state *state, struct wr_reader *reader, size_t cache_bytes);
void wr_state_fini(struct wr_state *state);
/* Takes what the changelog holds into the cache; `epoch` was the last one. */
weir_status wr_state_load(struct wr_state *state, int64_t epoch, struct wr_error *error);

/* A new filling epoch; the one before it is the sealed one (NULL: dropped already). */
weir_status wr_state_fill(struct wr_state *state, struct wr_epoch *filling,
                          const struct wr_epoch *sealed, struct wr_error *error);
/* The filling epoch is about to be sealed: it gets the slice of table `state` to bring up to date.
 */
weir_status wr_state_seal(struct wr_state *state, struct wr_error *error);
/* The sealed epoch was decided: its values move into the cache and the snapshot ends. Between units
 * only. */
weir_status wr_state_drop(struct wr_state *state, struct wr_error *error);
/* Between units: evicts what the cache holds too much. */
static inline void wr_state_trim(struct wr_state *state)
{
    if (state->cache.bytes > state->cache.bytes_max && wr_cache_trim(&state->cache)) {
        state->whole = false;
    }
}

/* Absent when there is none. The value stays valid until the end of the unit or the reset of
 * `arena`. */
weir_status wr_state_get(struct wr_state *state, uint32_t node, weir_bytes key, weir_bytes slot,
                         struct wr_arena *arena, weir_bytes *value_out, struct wr_error *error);

typedef bool (*wr_state_visit)(void *data, weir_bytes slot, weir_bytes value);
/* The slots of node and key in [from, to), as of now: what the visitor puts is not seen. */
weir_status wr_state_scan(struct wr_state *state, uint32_t node, weir_bytes key, weir_bytes from,
                          weir_bytes to, struct wr_arena *arena, wr_state_visit visit, void *data,
                          struct wr_error *error);

#endif
