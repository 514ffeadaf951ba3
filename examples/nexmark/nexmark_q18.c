/* nexmark_q18: find last bid: of each bidder and auction.
 *
 *     SELECT auction, bidder, price, date_time FROM
 *         (SELECT *, ROW_NUMBER() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC)
 *                 AS last FROM bid) WHERE last = 1
 *
 * A table: key AUCTION/BIDDER. Of two bids of one moment, the last to come is the last. Keeps for
 * ever 8 bytes for each pair.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "examples/nexmark/nexmark.h"

static const weir_bytes absent = {NULL, 0};

static weir_bytes by_both(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct nexmark_event bid = nexmark_event(in->value);
    return nexmark_key_of_two(ctx, bid.bid.auction, bid.bid.bidder);
}

/* State, version 1: the absent slot has the last bid's time, as weir_i64 writes it. */
static void last(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    int64_t last_ms = INT64_MIN;
    weir_to_i64(weir_get(ctx, absent), &last_ms);
    struct nexmark_event bid = nexmark_event(in->value);
    if (bid.date_time < last_ms) {
        return;
    }
    weir_put(ctx, absent, weir_i64(ctx, bid.date_time));
    struct nexmark_row row = nexmark_row(ctx);
    nexmark_bid_fields(&row, &bid);
    weir_record out = weir_reply(ctx, nexmark_row_end(&row));
    weir_emit(ctx, &out);
}

WEIR_JOB(job)
{
    weir_stream *bids = nexmark_events(job, NEXMARK_BID);
    bids = weir_key_by(bids, "by_auction_and_bidder", by_both, NULL);
    weir_stream *rows = weir_through(bids, "last", last, NULL);
    weir_state(rows, 1, NULL, NULL);
    weir_into(rows, "results", "log:results");
}
