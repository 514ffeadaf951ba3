/* nexmark_q2: selection: bids on some auctions.
 *
 *     SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "examples/nexmark/nexmark.h"

static bool is_selected(const weir_record *in, void *arg)
{
    (void)arg;
    return nexmark_event(in->value).bid.auction % 123 == 0;
}

static weir_bytes row_of(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct nexmark_event bid = nexmark_event(in->value);
    struct nexmark_row row = nexmark_row(ctx);
    nexmark_i64(&row, "auction", bid.bid.auction);
    nexmark_i64(&row, "price", bid.bid.price);
    return nexmark_row_end(&row);
}

WEIR_JOB(job)
{
    weir_stream *bids = nexmark_events(job, NEXMARK_BID);
    bids = weir_filter(bids, "selected", is_selected, NULL);
    weir_into(weir_map_values(bids, "rows", row_of, NULL), "results", "log:results");
}
