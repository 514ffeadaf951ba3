/* nexmark_q19: auction top 10: the ten highest bids of each auction.
 *
 *     SELECT auction, bidder, price, date_time, rank_number FROM
 *         (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC, date_time)
 *                 AS rank_number FROM bid) WHERE rank_number <= 10
 *
 * A table: key AUCTION/RANK, so a row that leaves the ten is overwritten by the one that comes in.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "examples/nexmark/nexmark.h"

/* What is kept of a bid: an event is too large to be kept ten times for each auction. */
static weir_record offer(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct nexmark_event bid = nexmark_event(in->value);
    struct nexmark_score score = {bid.bid.price, bid.bid.auction, bid.bid.bidder, bid.date_time};
    weir_record out = weir_reply(ctx, nexmark_score_bytes(ctx, score));
    out.key = nexmark_key(ctx, bid.bid.auction);
    return out;
}

static bool price(const weir_record *in, void *arg, int64_t *out)
{
    (void)arg;
    *out = nexmark_score(in->value).score;
    return true;
}

static weir_record row_of(weir_ctx *ctx, const weir_record *in, int64_t rank, void *arg)
{
    (void)arg;
    struct nexmark_score bid = nexmark_score(in->value);
    struct nexmark_row row = nexmark_row(ctx);
    nexmark_i64(&row, "auction", bid.auction);
    nexmark_i64(&row, "bidder", bid.bidder);
    nexmark_i64(&row, "price", bid.score);
    nexmark_i64(&row, "date_time", bid.date_time);
    nexmark_i64(&row, "rank_number", rank);
    weir_record out = *in;
    out.key = nexmark_key_of_two(ctx, bid.auction, rank);
    out.value = nexmark_row_end(&row);
    return out;
}

WEIR_JOB(job)
{
    weir_stream *bids = nexmark_events(job, NEXMARK_BID);
    bids = weir_map(bids, "by_auction", offer, NULL);
    weir_into(weir_top(bids, "top", 10, false, price, row_of, NULL), "results", "log:results");
}
