/* nexmark_q11: user sessions: how many bids a bidder made without a pause of more than ten seconds.
 *
 *     SELECT bidder, COUNT(*) AS bid_count, window_start, window_end
 *     FROM SESSION(bid, bidder, 10 s) GROUP BY bidder, window_start, window_end
 *
 * A session ends ten seconds after its last bid. Key of a result: the bidder.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "examples/nexmark/nexmark.h"

static weir_record row_of(weir_ctx *ctx, weir_bytes total, const weir_window *window,
                          const weir_aggregation *self)
{
    (void)self;
    struct nexmark_row row = nexmark_row(ctx);
    nexmark_raw(&row, "bidder", weir_key(ctx));
    nexmark_raw(&row, "bid_count", total);
    nexmark_i64(&row, "window_start", window->start_ms);
    nexmark_i64(&row, "window_end", window->end_ms);
    return weir_reply(ctx, nexmark_row_end(&row));
}

WEIR_JOB(job)
{
    weir_windows sessions = weir_session(10000);
    sessions.emit = WEIR_EMIT_CLOSED;
    sessions.late = WEIR_LATE_SIDE;
    weir_aggregation count = weir_count();
    count.result = row_of;

    weir_stream *bids = nexmark_events(job, NEXMARK_BID);
    bids = weir_key_by(bids, "by_bidder", nexmark_by_bidder, NULL);
    weir_into(weir_window_by(bids, "sessions", sessions, count), "results", "log:results");
}
