/* nexmark_q10: log to files: every bid, with the day and the minute that it is filed under.
 *
 *     SELECT auction, bidder, price, date_time, extra, DATE(date_time) AS dt,
 *            MINUTE(date_time) AS hm FROM bid
 *
 *     weir run build/examples/nexmark_q10.so -o results=file:bids.json
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "examples/nexmark/nexmark.h"

static weir_bytes row_of(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct nexmark_event bid = nexmark_event(in->value);
    struct nexmark_row row = nexmark_row(ctx);
    nexmark_bid_fields(&row, &bid);
    nexmark_text(&row, "extra", bid.extra);
    nexmark_text(&row, "dt", nexmark_day(ctx, bid.date_time));
    nexmark_minute_text(&row, "hm", nexmark_minute(bid.date_time));
    return nexmark_row_end(&row);
}

WEIR_JOB(job)
{
    weir_stream *bids = nexmark_events(job, NEXMARK_BID);
    weir_into(weir_map_values(bids, "rows", row_of, NULL), "results", "log:results");
}
