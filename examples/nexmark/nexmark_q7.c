/* nexmark_q7: highest bid: of each ten seconds, all that tie.
 *
 *     SELECT B.window_start, B.auction, B.bidder, B.price, B.date_time FROM TUMBLE(bid, 10 s) B
 *     JOIN (SELECT window_start, MAX(price) AS price FROM TUMBLE(bid, 10 s)
 *           GROUP BY window_start) M
 *     ON B.window_start = M.window_start AND B.price = M.price
 *
 * Key of a result: WINDOW_START.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "examples/nexmark/nexmark.h"

enum { WINDOW_MS = 10000 };

static weir_record score_of(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct nexmark_event bid = nexmark_event(in->value);
    struct nexmark_score score = {bid.bid.price, bid.bid.auction, bid.bid.bidder, bid.date_time};
    weir_record out = weir_reply(ctx, nexmark_score_bytes(ctx, score));
    out.key = nexmark_key(ctx, nexmark_floor(bid.date_time, WINDOW_MS));
    return out;
}

static weir_bytes row_of(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct nexmark_score highest = nexmark_score(in->value);
    struct nexmark_row row = nexmark_row(ctx);
    nexmark_raw(&row, "window_start", in->key);
    nexmark_i64(&row, "auction", highest.auction);
    nexmark_i64(&row, "bidder", highest.bidder);
    nexmark_i64(&row, "price", highest.score);
    nexmark_i64(&row, "date_time", highest.date_time);
    return nexmark_row_end(&row);
}

WEIR_JOB(job)
{
    weir_stream *bids = nexmark_events(job, NEXMARK_BID);
    weir_stream *scores = weir_map(bids, "scores", score_of, NULL);
    weir_stream *highest = nexmark_highest(scores, "highest");
    weir_into(weir_map_values(highest, "rows", row_of, NULL), "results", "log:results");
}
