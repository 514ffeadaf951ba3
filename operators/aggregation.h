/* aggregation.h: how a weir_aggregation is applied: by weir_aggregate to one total a key, by
 * windows to one total each.
 *
 * A call has two halves, because what was put can no longer be rejected. First everything that asks
 * the author's functions: id, add, subtract, merge, change; each says false once the call has
 * rejected or is out of memory, and then it returns and does nothing else. They change no state:
 * what is to become of the ids gathers in a struct wr_aggregation_ids. Then wr_aggregation_keep,
 * and the caller's own weir_put of totals, and then weir_emit.
 *
 *     struct wr_aggregation_ids ids = {.prefix = start, .use = WR_USE_WINDOWS};
 *     weir_bytes id, total = so_far;
 *     weir_record out;
 *     if (!wr_aggregation_id(ctx, aggregation, in, &id) ||
 *         !wr_aggregation_add(ctx, aggregation, &ids, in, id, &total) ||
 *         !wr_aggregation_change(ctx, aggregation, total, so_far, &window, in->time_ms, &out)) {
 *         return;
 *     }
 *     wr_aggregation_keep(ctx, &ids);
 *     weir_put(ctx, slot, total);
 *     if (wr_aggregation_is_change(&out)) {
 *         weir_emit(ctx, &out);
 *     }
 *
 * Ids of `distinct` are slots of the key at hand: the caller's prefix (a window's start; absent:
 * none), the byte 'i', the id. No slot of the caller may begin so. With them is kept
 *
 *   WR_USE_KEYS      how many records have it, as decimal text; nothing, where `subtract` is NULL
 *   WR_USE_WINDOWS   nothing (0 bytes)
 *   WR_USE_SESSIONS  the record that counted: its time as weir_i64 does, then its value. So two
 *                    sessions become one exactly: what only the other one has is added again.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_AGGREGATION_H
#define WR_AGGREGATION_H

#include "operators/number.h"

enum wr_aggregation_use {
    WR_USE_KEYS, /* add and subtract */
    WR_USE_WINDOWS, /* add only, ids are forgotten with their window */
    WR_USE_SESSIONS, /* add and merge */
};

/* One id's slot as it is to be. */
struct wr_aggregation_id {
    weir_bytes slot, value;
    uint32_t hash;
    struct wr_aggregation_id *next, *same; /* all of them; those of one bucket */
};

/* What one call does to ids; zeroed but for prefix and use. The prefix may be set anew between two
 * steps, for a record that is in several windows. There may be tens of thousands, of sessions that
 * become one and of windows that overlap, so they are found by hash. */
struct wr_aggregation_ids {
    weir_bytes prefix;
    enum wr_aggregation_use use;
    struct wr_aggregation_id *first;
    struct wr_aggregation_id **buckets;
    size_t count, bucket_count; /* bucket_count: a power of 2 */
};

/* Refuses the job when this is no aggregation for this use; `what` is the node's name. */
void wr_aggregation_check(weir_job *job, const char *what, const weir_aggregation *aggregation,
                          enum wr_aggregation_use use);

/* The record's id, absent where all records count. Once for a record, whatever its windows. */
bool wr_aggregation_id(weir_ctx *ctx, const weir_aggregation *aggregation, const weir_record *in,
                       weir_bytes *id_out);

/* *total, absent where there is none, with `in` added: unchanged when its id was there. */
bool wr_aggregation_add(weir_ctx *ctx, const weir_aggregation *aggregation,
                        struct wr_aggregation_ids *ids, const weir_record *in, weir_bytes id,
                        weir_bytes *total);

/* *total with `in` taken out, whose value is a change's `old`. Rejects what was never added. */
bool wr_aggregation_subtract(weir_ctx *ctx, const weir_aggregation *aggregation,
                             struct wr_aggregation_ids *ids, const weir_record *in, weir_bytes id,
                             weir_bytes *total);

/* *total, whose ids are at ids->prefix, with `other`, whose ids are at `prefix`, made a part of it:
 * those ids move. Either total may be absent. The two prefixes must differ. */
bool wr_aggregation_merge(weir_ctx *ctx, const weir_aggregation *aggregation,
                          struct wr_aggregation_ids *ids, weir_bytes other, weir_bytes prefix,
                          weir_bytes *total);

/* The record that says: `total` is what `old_total` was, each absent where there is none. It has
 * the time time_ms, whatever `result` says. */
bool wr_aggregation_change(weir_ctx *ctx, const weir_aggregation *aggregation, weir_bytes total,
                           weir_bytes old_total, const weir_window *window, int64_t time_ms,
                           weir_record *out);
/* Whether there is anything to emit: a value, or the end of one. */
static inline bool wr_aggregation_is_change(const weir_record *out)
{
    return out->value.data || out->old.data;
}

/* The key at hand, this value, and the window's headers; without a window, the input's. */
weir_record wr_aggregation_reply(weir_ctx *ctx, weir_bytes value, const weir_window *window);

/* Puts the ids. */
void wr_aggregation_keep(weir_ctx *ctx, const struct wr_aggregation_ids *ids);
/* Removes all ids at a prefix: the window is closed. Puts, so it comes after author's functions. */
void wr_aggregation_forget(weir_ctx *ctx, const weir_aggregation *aggregation, weir_bytes prefix);

#endif
