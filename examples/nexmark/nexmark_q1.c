/* nexmark_q1: currency conversion: every bid, its price in euros.
 *
 *     SELECT auction, bidder, price * 0.908 AS price, date_time, extra FROM bid
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "examples/nexmark/nexmark.h"

static weir_bytes row_of(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct nexmark_event bid = nexmark_event(in->value);
    struct nexmark_row row = nexmark_row(ctx);
    nexmark_i64(&row, "auction", bid.bid.auction);
    nexmark_i64(&row, "bidder", bid.bid.bidder);
    nexmark_euros(&row, "price", bid.bid.price);
    nexmark_i64(&row, "date_time", bid.date_time);
    nexmark_text(&row, "extra", bid.extra);
    return nexmark_row_end(&row);
}

WEIR_JOB(job)
{
    weir_stream *bids = nexmark_events(job, NEXMARK_BID);
    weir_into(weir_map_values(bids, "rows", row_of, NULL), "results", "log:results");
}
