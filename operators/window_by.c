/* window_by.c: see weir_window_by in weir_ops.h. Checks what the author gives, picks the function
 * of the kind of windows, and does what they have in common; see windows.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operators/windows.h"

enum { HOPS_MAX = 10000, COUNT_MAX = 1000000 };

/* ---- Building -------------------------------------------------------------------------------- */

/* What is wrong with these windows; NULL: nothing. */
static const char *wrong_with(const weir_windows *windows)
{
    int64_t size = windows->size, advance = windows->advance;
    if (windows->grace_ms < 0) {
        return "the grace period is negative; give 0 milliseconds or more";
    }
    if ((windows->emit != WEIR_EMIT_UPDATES && windows->emit != WEIR_EMIT_CLOSED) ||
        (windows->late != WEIR_LATE_REJECT && windows->late != WEIR_LATE_SIDE)) {
        return "emit and late are each one of the two that weir_ops.h has";
    }
    switch (windows->kind) {
    case WEIR_WINDOW_HOPPING:
        if (size < 1 || size > WR_WINDOW_MS_MAX || advance < 1 || advance > size) {
            return "a window's size is 1 millisecond or more, and it advances by 1 to its size";
        }
        return (size - 1) / advance >= HOPS_MAX
                   ? "a record is in at most 10000 windows; advance by more"
                   : NULL;
    case WEIR_WINDOW_SLIDING:
        return size < 0 || size > WR_WINDOW_MS_MAX
                   ? "records' difference is negative or too large; give 0 milliseconds or more"
                   : NULL;
    case WEIR_WINDOW_SESSION:
        return size < 1 || size > WR_WINDOW_MS_MAX ? "a session's gap is 1 millisecond or more"
                                                   : NULL;
    case WEIR_WINDOW_COUNT:
        return size < 1 || size > COUNT_MAX || advance < 1
                   ? "a count window has 1 to 1000000 records and advances by 1 or more"
                   : NULL;
    default:
        return "there is no such kind of windows; use weir_tumbling and so on";
    }
}

static weir_fn function_of(weir_window_kind kind)
{
    switch (kind) {
    case WEIR_WINDOW_SLIDING:
        return wr_window_sliding;
    case WEIR_WINDOW_SESSION:
        return wr_window_session;
    case WEIR_WINDOW_COUNT:
        return wr_window_count;
    default:
        return wr_window_hopping;
    }
}

weir_stream *weir_window_by(weir_stream *in, const char *name, weir_windows windows,
                            weir_aggregation aggregation)
{
    weir_job *job = weir_job_of(in);
    struct wr_window_by *by = weir_alloc(job, sizeof *by);
    bool sessions = windows.kind == WEIR_WINDOW_SESSION;
    wr_aggregation_check(job, name, &aggregation, sessions ? WR_USE_SESSIONS : WR_USE_WINDOWS);
    const char *wrong = wrong_with(&windows);
    if (wrong) {
        weir_refuse(job, "%s: %s", name ? name : "weir_window_by", wrong);
    }
    if (windows.grace_ms > WR_WINDOW_MS_MAX) {
        windows.grace_ms = WR_WINDOW_MS_MAX; /* for ever either way */
    }
    by->windows = windows;
    by->aggregation = aggregation;
    weir_stream *node = weir_through(in, name, function_of(windows.kind), by);
    weir_state(node, 1, NULL, NULL);
    return node;
}

/* ---- Records --------------------------------------------------------------------------------- */

bool wr_window_takes(weir_ctx *ctx, const weir_record *in)
{
    const char *why = NULL;
    if (!in->key.data) {
        why = "no key: windows are by key";
    } else if (in->old.data) {
        why = "a table's change: windows are of records that stand for themselves";
    } else if (!in->value.data) {
        why = "no value: a window has nothing to add";
    } else if (in->time_ms < -WR_WINDOW_MS_MAX || in->time_ms > WR_WINDOW_MS_MAX) {
        why = "its time is more than 73 million years from 1970: no window is there";
    }
    if (why) {
        weir_reject(ctx, why);
    }
    return !why;
}

void wr_window_late(weir_ctx *ctx, const struct wr_window_by *by, const weir_record *in)
{
    if (by->windows.late == WEIR_LATE_SIDE) {
        weir_emit_to(ctx, 1, in);
    } else {
        weir_reject(ctx, "late: all windows that it would be in have closed");
    }
}
