/* sliding.c: a window for each different set of records that are at most d apart, as Kafka Streams'
 * SlidingWindows have it. See weir_window_by in weir_ops.h.
 *
 * A window has the times from its start to start + d, both ends in: [start, start + d + 1). A
 * record at t makes two: its left one [t - d, t], and, when there are records in it, its right one
 * [t + 1, t + 1 + d]. As in Kafka, the left one of 0 <= t < d is [0, d]. Times below 0, which Kafka
 * refuses, have windows like all others.
 *
 * A new record is added to those open windows that it is in, and makes at most three: its left one,
 * its right one, and that which is the right one of the record before it. They begin with the
 * records that came before and are kept until the windows that could have them have closed; each
 * window gets its records in the order they came.
 *
 * State, version 1, for each key:
 *
 *     'w' start          a window that is open: a byte 1 and the total; a byte 0: it has none.
 *                        The timer of this name closes it
 *     'd' start          what its ids of `distinct` have as prefix: so they are in no scan's way
 *     'r' time number    the value of a record that is kept; the timer 'r' time forgets all with
 *                        this time. Of records that are d apart or nearer, the number says which
 *                        came first
 *
 * start, time and number as weir_i64.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "operators/windows.h"

static const weir_bytes absent = {NULL, 0};

/* A window that a record touches: it was there, or is made. */
struct slide {
    int64_t start_ms;
    weir_bytes slot, before, after; /* totals */
    bool old; /* it was there */
    weir_record out;
    struct slide *next;
};

struct kept {
    int64_t time_ms, number;
    weir_bytes value;
    struct kept *next;
};

/* What one call works on. */
struct sliding {
    const struct wr_window_by *by;
    const weir_record *in;
    weir_bytes id;
    struct slide *slides, **slides_end; /* those that are open and have the record, or are made */
    bool has_right; /* the window that starts after the record was there */
    struct kept *kept, **kept_end; /* by time, then number: those that may share a window with it */
    size_t kept_count;
    int64_t number; /* the record's own */
    struct wr_aggregation_ids ids;
    bool added; /* to any window */
};

static weir_bytes name_of(weir_ctx *ctx, char kind, int64_t time_ms)
{
    weir_bytes number = weir_i64(ctx, time_ms);
    char *name = weir_scratch(ctx, 9);
    if (!number.data || !name) {
        return absent;
    }
    name[0] = kind;
    memcpy(name + 1, number.data, 8);
    return (weir_bytes){name, 9};
}

/* The number at a place of a slot. */
static bool number_at(weir_bytes slot, size_t place, int64_t *out)
{
    return slot.data && slot.size >= place + 8 &&
           weir_to_i64((weir_bytes){(const char *)slot.data + place, 8}, out);
}

static weir_window window_at(const struct wr_window_by *by, int64_t start_ms)
{
    return (weir_window){start_ms, start_ms + by->windows.size + 1};
}

static bool is_open(const weir_ctx *ctx, const struct wr_window_by *by, int64_t start_ms)
{
    return !wr_window_is_closed(ctx, by, window_at(by, start_ms).end_ms);
}

static weir_bytes total_of(weir_bytes stored)
{
    const char *bytes = stored.data;
    return stored.size > 0 && bytes[0] ? (weir_bytes){bytes + 1, stored.size - 1} : absent;
}

/* ---- What is there --------------------------------------------------------------------------- */

static struct slide *slide_new(weir_ctx *ctx, struct sliding *sliding, int64_t start_ms)
{
    struct slide *slide = weir_scratch(ctx, sizeof *slide);
    if (slide) {
        *slide = (struct slide){.start_ms = start_ms, .slot = name_of(ctx, 'w', start_ms)};
        *sliding->slides_end = slide;
        sliding->slides_end = &slide->next;
    }
    return slide;
}

static bool see_window(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg)
{
    struct sliding *sliding = arg;
    int64_t start_ms;
    if (!number_at(slot, 1, &start_ms)) {
        return true;
    }
    if (start_ms > sliding->in->time_ms) {
        sliding->has_right = true;
    } else if (is_open(ctx, sliding->by, start_ms)) {
        struct slide *slide = slide_new(ctx, sliding, start_ms);
        if (!slide) {
            return false;
        }
        slide->before = total_of(value);
        slide->old = true;
    }
    return true;
}

static bool see_record(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg)
{
    struct sliding *sliding = arg;
    struct kept *kept = weir_scratch(ctx, sizeof *kept);
    if (!kept) {
        return false;
    }
    *kept = (struct kept){.value = value};
    if (number_at(slot, 1, &kept->time_ms) && number_at(slot, 9, &kept->number)) {
        *sliding->kept_end = kept;
        sliding->kept_end = &kept->next;
        sliding->kept_count++;
        if (kept->number >= sliding->number) {
            sliding->number = kept->number + 1;
        }
    }
    return true;
}

static void look(weir_ctx *ctx, struct sliding *sliding)
{
    int64_t time_ms = sliding->in->time_ms, difference_ms = sliding->by->windows.size;
    weir_scan(ctx, name_of(ctx, 'w', time_ms - difference_ms), name_of(ctx, 'w', time_ms + 2),
              see_window, sliding);
    weir_scan(ctx, name_of(ctx, 'r', time_ms - difference_ms - 1),
              name_of(ctx, 'r', time_ms + difference_ms + 2), see_record, sliding);
}

/* ---- Totals ---------------------------------------------------------------------------------- */

static int by_number(const void *left, const void *right)
{
    const struct kept *const *a = left, *const *b = right;
    return ((*a)->number > (*b)->number) - ((*a)->number < (*b)->number);
}

/* Adds what is kept and in the window, in the order it came. */
static bool add_kept(weir_ctx *ctx, struct sliding *sliding, struct slide *slide)
{
    const weir_aggregation *aggregation = &sliding->by->aggregation;
    weir_window window = window_at(sliding->by, slide->start_ms);
    struct kept **order = weir_scratch(ctx, (sliding->kept_count + 1) * sizeof(struct kept *));
    size_t count = 0;
    for (struct kept *at = sliding->kept; order && at; at = at->next) {
        if (at->time_ms >= window.start_ms && at->time_ms < window.end_ms) {
            order[count++] = at;
        }
    }
    if (count > 1) {
        qsort(order, count, sizeof(struct kept *), by_number);
    }
    for (size_t i = 0; i < count; i++) {
        weir_bytes id;
        weir_record record = {
            .key = sliding->in->key, .value = order[i]->value, .time_ms = order[i]->time_ms};
        if (!wr_aggregation_id(ctx, aggregation, &record, &id) ||
            !wr_aggregation_add(ctx, aggregation, &sliding->ids, &record, id, &slide->after)) {
            return false;
        }
    }
    return order != NULL;
}

/* The window's total with the record; false: the call has rejected or failed. */
static bool total_up(weir_ctx *ctx, struct sliding *sliding, struct slide *slide)
{
    const struct wr_window_by *by = sliding->by;
    const weir_record *in = sliding->in;
    weir_window window = window_at(by, slide->start_ms);
    sliding->ids.prefix = name_of(ctx, 'd', slide->start_ms);
    slide->after = slide->before;
    if (!slide->old && !add_kept(ctx, sliding, slide)) {
        return false;
    }
    if (in->time_ms >= window.start_ms) {
        sliding->added = true;
        if (!wr_aggregation_add(ctx, &by->aggregation, &sliding->ids, in, sliding->id,
                                &slide->after)) {
            return false;
        }
    }
    return !wr_window_tells_updates(by) ||
           wr_aggregation_change(ctx, &by->aggregation, slide->after, slide->before, &window,
                                 in->time_ms, &slide->out);
}

/* ---- Windows that a record makes ------------------------------------------------------------- */

/* Makes a window, unless it is there or has closed. */
static void make(weir_ctx *ctx, struct sliding *sliding, int64_t start_ms)
{
    bool there = !is_open(ctx, sliding->by, start_ms);
    for (const struct slide *at = sliding->slides; at && !there; at = at->next) {
        there = at->start_ms == start_ms;
    }
    if (!there) {
        (void)slide_new(ctx, sliding, start_ms);
    }
}

static void make_windows(weir_ctx *ctx, struct sliding *sliding)
{
    int64_t time_ms = sliding->in->time_ms, difference_ms = sliding->by->windows.size;
    int64_t before_ms = INT64_MIN;
    bool after = false;
    for (const struct kept *at = sliding->kept; at; at = at->next) {
        before_ms = at->time_ms < time_ms ? at->time_ms : before_ms;
        after = after || at->time_ms > time_ms;
    }
    if (before_ms != INT64_MIN) {
        make(ctx, sliding, before_ms + 1);
    }
    make(ctx, sliding, time_ms >= 0 && time_ms < difference_ms ? 0 : time_ms - difference_ms);
    if (after && !sliding->has_right) {
        make(ctx, sliding, time_ms + 1);
    }
}

/* ---- Records --------------------------------------------------------------------------------- */

static void keep_window(weir_ctx *ctx, const struct wr_window_by *by, const struct slide *slide)
{
    char *stored = weir_scratch(ctx, slide->after.size + 1);
    if (!stored) {
        return;
    }
    stored[0] = slide->after.data != NULL;
    if (slide->after.size) {
        memcpy(stored + 1, slide->after.data, slide->after.size);
    }
    weir_put(ctx, slide->slot, (weir_bytes){stored, slide->after.size + 1});
    if (!slide->old) {
        weir_wake(ctx, slide->slot, window_at(by, slide->start_ms).end_ms + by->windows.grace_ms);
    }
}

/* Until its right window has closed, the last that wants to know of it. */
static void keep_record(weir_ctx *ctx, const struct sliding *sliding)
{
    const weir_record *in = sliding->in;
    const struct wr_window_by *by = sliding->by;
    weir_bytes name = name_of(ctx, 'r', in->time_ms), number = weir_i64(ctx, sliding->number);
    char *slot = weir_scratch(ctx, 17);
    if (!slot || !name.data || !number.data) {
        return;
    }
    memcpy(slot, name.data, 9);
    memcpy(slot + 9, number.data, 8);
    weir_put(ctx, (weir_bytes){slot, 17}, in->value);
    bool first = true;
    for (const struct kept *at = sliding->kept; at; at = at->next) {
        first = first && at->time_ms != in->time_ms;
    }
    if (first) {
        weir_wake(ctx, name, window_at(by, in->time_ms + 1).end_ms + by->windows.grace_ms);
    }
}

static void add_record(weir_ctx *ctx, const struct wr_window_by *by, const weir_record *in)
{
    struct sliding sliding = {.by = by, .in = in, .ids = {.use = WR_USE_WINDOWS}};
    sliding.slides_end = &sliding.slides;
    sliding.kept_end = &sliding.kept;
    if (!wr_window_takes(ctx, in)) {
        return;
    }
    if (!is_open(ctx, by, in->time_ms)) { /* the last window that can have it */
        wr_window_late(ctx, by, in);
        return;
    }
    if (!wr_aggregation_id(ctx, &by->aggregation, in, &sliding.id)) {
        return;
    }
    look(ctx, &sliding);
    make_windows(ctx, &sliding);
    for (struct slide *at = sliding.slides; at; at = at->next) {
        if (!total_up(ctx, &sliding, at)) {
            return;
        }
    }
    struct wr_aggregation_ids alone = {.use = WR_USE_WINDOWS};
    weir_bytes total = absent;
    if (!sliding.added && /* what cannot be added is rejected now, not when a window is made */
        !wr_aggregation_add(ctx, &by->aggregation, &alone, in, sliding.id, &total)) {
        return;
    }
    wr_aggregation_keep(ctx, &sliding.ids);
    for (const struct slide *at = sliding.slides; at; at = at->next) {
        keep_window(ctx, by, at);
    }
    keep_record(ctx, &sliding);
    for (const struct slide *at = sliding.slides; at; at = at->next) {
        if (wr_window_tells_updates(by) && wr_aggregation_is_change(&at->out)) {
            weir_emit(ctx, &at->out);
        }
    }
}

/* ---- Timers ---------------------------------------------------------------------------------- */

static bool forget(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg)
{
    (void)value, (void)arg;
    weir_put(ctx, slot, absent);
    return true;
}

static void close_window(weir_ctx *ctx, const struct wr_window_by *by, int64_t start_ms)
{
    weir_bytes slot = weir_timer(ctx), total = total_of(weir_get(ctx, slot));
    weir_window window = window_at(by, start_ms);
    weir_record out = {.value = absent};
    if (!wr_window_tells_updates(by) && !wr_aggregation_change(ctx, &by->aggregation, total, absent,
                                                               &window, window.end_ms - 1, &out)) {
        return;
    }
    weir_put(ctx, slot, absent);
    wr_aggregation_forget(ctx, &by->aggregation, name_of(ctx, 'd', start_ms));
    if (wr_aggregation_is_change(&out)) {
        weir_emit(ctx, &out);
    }
}

void wr_window_sliding(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct wr_window_by *by = arg;
    weir_bytes timer = weir_timer(ctx);
    int64_t time_ms;
    if (in) {
        add_record(ctx, by, in);
    } else if (!number_at(timer, 1, &time_ms)) {
        return;
    } else if (*(const char *)timer.data == 'w') {
        close_window(ctx, by, time_ms);
    } else {
        weir_scan(ctx, timer, name_of(ctx, 'r', time_ms + 1), forget, NULL);
    }
}
