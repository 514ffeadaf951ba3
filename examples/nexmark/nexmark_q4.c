/* nexmark_q4: average price for a category: of the winning bids of its auctions, as they are now.
 *
 *     SELECT category, AVG(final) AS avg_price FROM
 *         (SELECT A.id, A.category, MAX(B.price) AS final FROM auction A JOIN bid B
 *          ON A.id = B.auction AND B.date_time BETWEEN A.date_time AND A.expires
 *          GROUP BY A.id, A.category) GROUP BY category
 *
 * A table: key CATEGORY. When an auction's winning bid is another one, its price is taken out of
 * the average and the new one added. weir_average would do the same; its text has the exact
 * quotient in 17 digits, this one reads back as the double that SQL's AVG is.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "examples/nexmark/nexmark.h"

static weir_bytes category(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    return nexmark_key(ctx, nexmark_sale(in->value).category);
}

/* The total: of how many auctions, and what they sold for. */
struct mean {
    int64_t count, sum;
};

static weir_bytes add_times(weir_ctx *ctx, weir_bytes so_far, const weir_record *in, int64_t times)
{
    struct mean *mean = weir_scratch(ctx, sizeof *mean);
    if (!mean) {
        return (weir_bytes){NULL, 0};
    }
    *mean = (struct mean){0, 0};
    if (so_far.data) {
        memcpy(mean, so_far.data, sizeof *mean);
    }
    int64_t price;
    if (__builtin_mul_overflow(nexmark_sale(in->value).price, times, &price) ||
        __builtin_add_overflow(mean->sum, price, &mean->sum)) {
        weir_reject(ctx, "the sum of this category's prices leaves 64 bits");
    }
    mean->count += times;
    return (weir_bytes){mean, sizeof *mean};
}

static weir_bytes add(weir_ctx *ctx, weir_bytes so_far, const weir_record *in,
                      const weir_aggregation *self)
{
    (void)self;
    return add_times(ctx, so_far, in, 1);
}

static weir_bytes subtract(weir_ctx *ctx, weir_bytes so_far, const weir_record *in,
                           const weir_aggregation *self)
{
    (void)self;
    return add_times(ctx, so_far, in, -1);
}

static weir_record row_of(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct mean mean;
    memcpy(&mean, in->value.data, sizeof mean);
    struct nexmark_row row = nexmark_row(ctx);
    nexmark_raw(&row, "category", in->key);
    nexmark_double(&row, "avg_price", (double)mean.sum / (double)mean.count);
    return weir_reply(ctx, nexmark_row_end(&row));
}

WEIR_JOB(job)
{
    weir_aggregation average = {.add = add, .subtract = subtract};
    weir_stream *events = nexmark_events(job, NEXMARK_AUCTION | NEXMARK_BID);
    weir_stream *sales = nexmark_winning(events, "winning");
    sales = weir_key_by(sales, "by_category", category, NULL);
    weir_stream *averages = weir_aggregate(sales, "average", average);
    weir_into(weir_map(averages, "rows", row_of, NULL), "results", "log:results");
}
