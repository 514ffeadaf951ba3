/* hopping.c: windows of a size that start at every multiple of `advance` since 1970; tumbling ones
 * are those that advance by their size. See weir_window_by in weir_ops.h.
 *
 * State, version 1: for each key and open window, the slot weir_i64(start) has the total, and a
 * timer of the same name is due when the window closes. Ids of `distinct`: see aggregation.h; the
 * prefix is that slot.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operators/windows.h"

/* One window of a record. */
struct hop {
    weir_window window;
    weir_bytes slot, before, after; /* totals */
    weir_record out;
};

/* The latest multiple of `step` that is not after the time. */
static int64_t floor_to(int64_t time_ms, int64_t step)
{
    int64_t rest = time_ms % step;
    return time_ms - (rest < 0 ? rest + step : rest);
}

/* The windows of a time that are open: [*first_out, *last_out] by their starts; false: none. */
static bool open_windows(const weir_ctx *ctx, const struct wr_window_by *by, int64_t time_ms,
                         int64_t *first_out, int64_t *last_out)
{
    int64_t size = by->windows.size, advance = by->windows.advance;
    *last_out = floor_to(time_ms, advance);
    if (wr_window_is_closed(ctx, by, *last_out + size)) {
        return false;
    }
    *first_out = floor_to(time_ms - size, advance) + advance;
    if (wr_window_is_closed(ctx, by, *first_out + size)) {
        int64_t closed_ms = weir_watermark(ctx) - by->windows.grace_ms - size;
        *first_out = floor_to(closed_ms, advance) + advance;
    }
    return true;
}

/* Computes all of a record's windows; false: it was rejected, or there is no memory. */
static bool compute(weir_ctx *ctx, const struct wr_window_by *by, const weir_record *in,
                    struct wr_aggregation_ids *ids, struct hop *hops, size_t count)
{
    weir_bytes id;
    if (!wr_aggregation_id(ctx, &by->aggregation, in, &id)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct hop *hop = &hops[i];
        hop->slot = weir_i64(ctx, hop->window.start_ms);
        hop->before = weir_get(ctx, hop->slot);
        hop->after = hop->before;
        ids->prefix = hop->slot;
        if (!wr_aggregation_add(ctx, &by->aggregation, ids, in, id, &hop->after)) {
            return false;
        }
        if (wr_window_tells_updates(by) &&
            !wr_aggregation_change(ctx, &by->aggregation, hop->after, hop->before, &hop->window,
                                   in->time_ms, &hop->out)) {
            return false;
        }
    }
    return true;
}

static void add_record(weir_ctx *ctx, const struct wr_window_by *by, const weir_record *in)
{
    int64_t first_ms, last_ms, advance = by->windows.advance;
    if (!wr_window_takes(ctx, in)) {
        return;
    }
    if (!open_windows(ctx, by, in->time_ms, &first_ms, &last_ms)) {
        wr_window_late(ctx, by, in);
        return;
    }
    size_t count = (size_t)((last_ms - first_ms) / advance) + 1;
    struct hop *hops = weir_scratch(ctx, count * sizeof *hops);
    if (!hops) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        int64_t start_ms = first_ms + (int64_t)i * advance;
        hops[i].window = (weir_window){start_ms, start_ms + by->windows.size};
    }
    struct wr_aggregation_ids ids = {.use = WR_USE_WINDOWS};
    if (!compute(ctx, by, in, &ids, hops, count)) {
        return;
    }
    wr_aggregation_keep(ctx, &ids);
    for (size_t i = 0; i < count; i++) {
        const struct hop *hop = &hops[i];
        weir_put(ctx, hop->slot, hop->after);
        if (!hop->before.data) {
            weir_wake(ctx, hop->slot, hop->window.end_ms + by->windows.grace_ms);
        }
    }
    for (size_t i = 0; wr_window_tells_updates(by) && i < count; i++) {
        if (wr_aggregation_is_change(&hops[i].out)) {
            weir_emit(ctx, &hops[i].out);
        }
    }
}

static void close_window(weir_ctx *ctx, const struct wr_window_by *by)
{
    weir_bytes slot = weir_timer(ctx), total = weir_get(ctx, slot), none = {NULL, 0};
    weir_window window;
    weir_record out = {.value = none};
    if (!weir_to_i64(slot, &window.start_ms)) {
        return;
    }
    window.end_ms = window.start_ms + by->windows.size;
    if (!wr_window_tells_updates(by) && !wr_aggregation_change(ctx, &by->aggregation, total, none,
                                                               &window, window.end_ms - 1, &out)) {
        return;
    }
    weir_put(ctx, slot, none);
    wr_aggregation_forget(ctx, &by->aggregation, slot);
    if (wr_aggregation_is_change(&out)) {
        weir_emit(ctx, &out);
    }
}

void wr_window_hopping(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct wr_window_by *by = arg;
    if (in) {
        add_record(ctx, by, in);
    } else {
        close_window(ctx, by);
    }
}
