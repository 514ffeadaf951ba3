/* windows.h: what the kinds of windows share. weir_window_by (window_by.c) checks what the author
 * gives and picks the node's function, one file each; they find in here what a record must have,
 * when a window closes, and what becomes of a late record.
 *
 * A window [start, end) closes once end + grace <= the node's watermark: what a record sees is the
 * watermark as its predecessors left it, and by then the timers of all windows that it closes have
 * fired. So what is in state is open; the functions ask all the same, because a timer that became a
 * dead letter leaves a closed window behind.
 *
 * Times are within +-WR_WINDOW_MS_MAX and so are sizes and grace, so no sum of three overflows.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_WINDOWS_H
#define WR_WINDOWS_H

#include "operators/aggregation.h"

#define WR_WINDOW_MS_MAX (INT64_MAX / 4) /* 73 million years */

/* A node's configuration. */
struct wr_window_by {
    weir_windows windows;
    weir_aggregation aggregation;
};

/* The node functions; arg is a struct wr_window_by. */
void wr_window_hopping(weir_ctx *ctx, const weir_record *in, void *arg);
void wr_window_sliding(weir_ctx *ctx, const weir_record *in, void *arg);
void wr_window_session(weir_ctx *ctx, const weir_record *in, void *arg);
void wr_window_count(weir_ctx *ctx, const weir_record *in, void *arg);

/* Whether the record can be in windows; rejects it otherwise. */
bool wr_window_takes(weir_ctx *ctx, const weir_record *in);
/* All its windows have closed. */
void wr_window_late(weir_ctx *ctx, const struct wr_window_by *by, const weir_record *in);

static inline bool wr_window_is_closed(const weir_ctx *ctx, const struct wr_window_by *by,
                                       int64_t end_ms)
{
    return end_ms + by->windows.grace_ms <= weir_watermark(ctx);
}

static inline bool wr_window_tells_updates(const struct wr_window_by *by)
{
    return by->windows.emit == WEIR_EMIT_UPDATES;
}

#endif
