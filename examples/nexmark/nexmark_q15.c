/* nexmark_q15: bidding statistics of a day: bids, different bidders and different auctions, by how
 * much was bid.
 *
 *     SELECT DATE(date_time) AS day, COUNT(*) AS total_bids,
 *            COUNT(*) FILTER (WHERE price < 10000) AS rank1_bids, ...
 *            COUNT(DISTINCT bidder) AS total_bidders, ..., COUNT(DISTINCT auction) AS ...
 *     FROM bid GROUP BY day
 *
 * A table: key DAY.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "examples/nexmark/nexmark.h"

static weir_bytes by_day(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    return nexmark_day(ctx, nexmark_event(in->value).date_time);
}

static void head(struct nexmark_row *row, const struct nexmark_event *event, int64_t minute)
{
    (void)event;
    (void)minute;
    nexmark_text(row, "day", weir_key(row->ctx));
}

WEIR_JOB(job)
{
    weir_stream *bids = nexmark_events(job, NEXMARK_BID);
    bids = weir_key_by(bids, "by_day", by_day, NULL);
    weir_into(nexmark_count_ranks(bids, "count", head), "results", "log:results");
}
