/* nexmark_q22: get url directories: https://HOST/DIR1/DIR2/DIR3/...
 *
 *     SELECT auction, bidder, price, channel, SPLIT_INDEX(url, '/', 3) AS dir1,
 *            SPLIT_INDEX(url, '/', 4) AS dir2, SPLIT_INDEX(url, '/', 5) AS dir3 FROM bid
 *
 * A part that is not there is "".
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "examples/nexmark/nexmark.h"

/* What is before the next slash; *rest is then what is behind it. */
static weir_bytes next_part(weir_bytes *rest)
{
    const char *at = rest->data;
    const char *slash = memchr(at, '/', rest->size);
    weir_bytes part = {at, slash ? (size_t)(slash - at) : rest->size};
    size_t used = part.size + (slash != NULL);
    *rest = (weir_bytes){at + used, rest->size - used};
    return part;
}

static weir_bytes row_of(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct nexmark_event bid = nexmark_event(in->value);
    weir_bytes rest = bid.url;
    for (int i = 0; i < 3; i++) {
        (void)next_part(&rest);
    }
    struct nexmark_row row = nexmark_row(ctx);
    nexmark_i64(&row, "auction", bid.bid.auction);
    nexmark_i64(&row, "bidder", bid.bid.bidder);
    nexmark_i64(&row, "price", bid.bid.price);
    nexmark_text(&row, "channel", bid.channel);
    nexmark_text(&row, "dir1", next_part(&rest));
    nexmark_text(&row, "dir2", next_part(&rest));
    nexmark_text(&row, "dir3", next_part(&rest));
    return nexmark_row_end(&row);
}

WEIR_JOB(job)
{
    weir_stream *bids = nexmark_events(job, NEXMARK_BID);
    weir_into(weir_map_values(bids, "rows", row_of, NULL), "results", "log:results");
}
