/* nexmark_q9: winning bids: of each auction, as it is now.
 *
 *     SELECT auction, bidder, price, bid_date_time FROM
 *         (SELECT A.id AS auction, B.bidder, B.price, B.date_time AS bid_date_time,
 *                 ROW_NUMBER() OVER (PARTITION BY A.id ORDER BY B.price DESC, B.date_time) AS best
 *          FROM auction A JOIN bid B
 *          ON A.id = B.auction AND B.date_time BETWEEN A.date_time AND A.expires) WHERE best = 1
 *
 * A table: key AUCTION.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "examples/nexmark/nexmark.h"

static weir_record row_of(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct nexmark_sale sale = nexmark_sale(in->value);
    struct nexmark_row row = nexmark_row(ctx);
    nexmark_i64(&row, "auction", sale.auction);
    nexmark_i64(&row, "bidder", sale.bidder);
    nexmark_i64(&row, "price", sale.price);
    nexmark_i64(&row, "bid_date_time", sale.date_time);
    return weir_reply(ctx, nexmark_row_end(&row));
}

WEIR_JOB(job)
{
    weir_stream *events = nexmark_events(job, NEXMARK_AUCTION | NEXMARK_BID);
    weir_stream *sales = nexmark_winning(events, "winning");
    weir_into(weir_map(sales, "rows", row_of, NULL), "results", "log:results");
}
