/* nexmark_q5: hot items: the auctions with the most bids of the last ten seconds, every two.
 *
 *     SELECT window_start, auction, num FROM
 *         (SELECT window_start, auction, COUNT(*) AS num,
 *                 RANK() OVER (PARTITION BY window_start ORDER BY COUNT(*) DESC) AS best
 *          FROM HOP(bid, 10 s by 2 s) GROUP BY window_start, auction) WHERE best = 1
 *
 * Counts are told when their window closes, and `hottest` waits for that moment too: nodes advance
 * in graph order, so it has heard them all by then. Key of a result: WINDOW_START.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "examples/nexmark/nexmark.h"

static weir_record count_of(weir_ctx *ctx, weir_bytes total, const weir_window *window,
                            const weir_aggregation *self)
{
    (void)self;
    weir_record out = {.key = nexmark_key(ctx, window->start_ms)};
    out.value =
        nexmark_score_bytes(ctx, (struct nexmark_score){.score = nexmark_number(total),
                                                        .auction = nexmark_number(weir_key(ctx))});
    return out;
}

static weir_bytes row_of(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct nexmark_score hottest = nexmark_score(in->value);
    struct nexmark_row row = nexmark_row(ctx);
    nexmark_raw(&row, "window_start", in->key);
    nexmark_i64(&row, "auction", hottest.auction);
    nexmark_i64(&row, "num", hottest.score);
    return nexmark_row_end(&row);
}

WEIR_JOB(job)
{
    weir_windows windows = weir_hopping(10000, 2000);
    windows.emit = WEIR_EMIT_CLOSED;
    windows.late = WEIR_LATE_SIDE;
    weir_aggregation count = weir_count();
    count.result = count_of;

    weir_stream *bids = nexmark_events(job, NEXMARK_BID);
    bids = weir_key_by(bids, "by_auction", nexmark_by_auction, NULL);
    weir_stream *counts = weir_window_by(bids, "count", windows, count);
    weir_stream *hottest = nexmark_highest(counts, "hottest");
    weir_into(weir_map_values(hottest, "rows", row_of, NULL), "results", "log:results");
}
