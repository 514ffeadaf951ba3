/* nexmark_q0: pass through: every bid as it is. What reading and writing JSON costs.
 *
 *     SELECT auction, bidder, price, date_time, extra FROM bid
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
    return nexmark_row_end(&row);
}

WEIR_JOB(job)
{
    weir_stream *bids = nexmark_events(job, NEXMARK_BID);
    weir_into(weir_map_values(bids, "rows", row_of, NULL), "results", "log:results");
}
