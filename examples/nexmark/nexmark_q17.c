/* nexmark_q17: statistics of an auction and day: how many bids of which rank, and their prices.
 *
 *     SELECT auction, DATE(date_time) AS day, COUNT(*) AS total_bids,
 *            COUNT(*) FILTER (WHERE price < 10000) AS rank1_bids, ..., MIN(price) AS min_price,
 *            MAX(price) AS max_price, AVG(price) AS avg_price, SUM(price) AS sum_price
 *     FROM bid GROUP BY auction, day
 *
 * A table: key DAY/AUCTION. A bid whose price would take the sum out of 64 bits is a dead letter.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "examples/nexmark/nexmark.h"

struct total {
    int64_t auction, day_ms; /* what the key says, so that a row can be written of it */
    int64_t bids, ranks[3];
    int64_t price_min, price_max, price_sum;
};

static weir_bytes by_day(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct nexmark_event bid = nexmark_event(in->value);
    weir_bytes day = nexmark_day(ctx, bid.date_time);
    weir_bytes auction = nexmark_key(ctx, bid.bid.auction);
    char *key = weir_scratch(ctx, day.size + 1 + auction.size);
    if (!key || !day.data || !auction.data) {
        return (weir_bytes){NULL, 0};
    }
    memcpy(key, day.data, day.size);
    key[day.size] = '/';
    memcpy(key + day.size + 1, auction.data, auction.size);
    return (weir_bytes){key, day.size + 1 + auction.size};
}

static weir_bytes add(weir_ctx *ctx, weir_bytes so_far, const weir_record *in,
                      const weir_aggregation *self)
{
    (void)self;
    struct nexmark_event bid = nexmark_event(in->value);
    int64_t price = bid.bid.price;
    struct total *total = weir_scratch(ctx, sizeof *total);
    if (!total) {
        return (weir_bytes){NULL, 0};
    }
    *total = (struct total){.auction = bid.bid.auction,
                            .day_ms = bid.date_time,
                            .price_min = price,
                            .price_max = price};
    if (so_far.data) {
        memcpy(total, so_far.data, sizeof *total);
    }
    if (__builtin_add_overflow(total->price_sum, price, &total->price_sum)) {
        weir_reject(ctx, "the sum of this auction's prices leaves 64 bits");
        return (weir_bytes){NULL, 0};
    }
    total->bids++;
    total->ranks[nexmark_rank(price)]++;
    total->price_min = price < total->price_min ? price : total->price_min;
    total->price_max = price > total->price_max ? price : total->price_max;
    return (weir_bytes){total, sizeof *total};
}

static weir_record row_of(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct total total;
    memcpy(&total, in->value.data, sizeof total);
    struct nexmark_row row = nexmark_row(ctx);
    nexmark_i64(&row, "auction", total.auction);
    nexmark_text(&row, "day", nexmark_day(ctx, total.day_ms));
    nexmark_i64(&row, "total_bids", total.bids);
    nexmark_i64(&row, "rank1_bids", total.ranks[0]);
    nexmark_i64(&row, "rank2_bids", total.ranks[1]);
    nexmark_i64(&row, "rank3_bids", total.ranks[2]);
    nexmark_i64(&row, "min_price", total.price_min);
    nexmark_i64(&row, "max_price", total.price_max);
    nexmark_double(&row, "avg_price", (double)total.price_sum / (double)total.bids);
    nexmark_i64(&row, "sum_price", total.price_sum);
    return weir_reply(ctx, nexmark_row_end(&row));
}

WEIR_JOB(job)
{
    weir_aggregation totals = {.add = add};
    weir_stream *bids = nexmark_events(job, NEXMARK_BID);
    bids = weir_key_by(bids, "by_day", by_day, NULL);
    weir_stream *days = weir_aggregate(bids, "totals", totals);
    weir_into(weir_map(days, "rows", row_of, NULL), "results", "log:results");
}
