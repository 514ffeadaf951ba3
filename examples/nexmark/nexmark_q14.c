/* nexmark_q14: calculation: bids of some size, with a function of one's own.
 *
 *     SELECT auction, bidder, price * 0.908 AS price,
 *            CASE WHEN HOUR(date_time) BETWEEN 8 AND 18 THEN 'dayTime'
 *                 WHEN HOUR(date_time) <= 6 OR HOUR(date_time) >= 20 THEN 'nightTime'
 *                 ELSE 'otherTime' END AS bid_time_type,
 *            date_time, count_char(extra, 'c') AS c_counts
 *     FROM bid WHERE price * 0.908 > 1000000 AND price * 0.908 < 50000000
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "examples/nexmark/nexmark.h"

static bool is_selected(const weir_record *in, void *arg)
{
    (void)arg;
    int64_t price = nexmark_event(in->value).bid.price;
    bool fits = price > 0 && price < INT64_MAX / 908;
    return fits && price * 908 > 1000000000 && price * 908 < 50000000000;
}

static const char *time_type(int64_t time_ms)
{
    int64_t hour = nexmark_minute(time_ms) / 60;
    if (hour >= 8 && hour <= 18) {
        return "dayTime";
    }
    return hour <= 6 || hour >= 20 ? "nightTime" : "otherTime";
}

static int64_t count_char(weir_bytes text, char wanted)
{
    const char *at = text.data;
    int64_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        count += at[i] == wanted;
    }
    return count;
}

static weir_bytes row_of(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct nexmark_event bid = nexmark_event(in->value);
    struct nexmark_row row = nexmark_row(ctx);
    nexmark_i64(&row, "auction", bid.bid.auction);
    nexmark_i64(&row, "bidder", bid.bid.bidder);
    nexmark_euros(&row, "price", bid.bid.price);
    nexmark_text(&row, "bid_time_type", weir_text(time_type(bid.date_time)));
    nexmark_i64(&row, "date_time", bid.date_time);
    nexmark_i64(&row, "c_counts", count_char(bid.extra, 'c'));
    return nexmark_row_end(&row);
}

WEIR_JOB(job)
{
    weir_stream *bids = nexmark_events(job, NEXMARK_BID);
    bids = weir_filter(bids, "selected", is_selected, NULL);
    weir_into(weir_map_values(bids, "rows", row_of, NULL), "results", "log:results");
}
