/* nexmark_q13: bounded side input join: bids with what a small file says of their auction.
 *
 *     SELECT B.auction, B.bidder, B.price, B.date_time, S.value
 *     FROM bid B JOIN side S ON MOD(B.auction, 10000) = S.key
 *
 * Lines of the source `side` are KEY,VALUE: a number and any text. It is read to its end first, the
 * last line of a key counts, and a line without a comma is a dead letter.
 *
 *     weir run build/examples/nexmark_q13.so -i side=file:side.csv
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "examples/nexmark/nexmark.h"

enum { KEYS = 10000 };

static weir_record side_row(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_record out = *in;
    const char *line = in->value.data;
    const char *comma = in->value.size > 0 ? memchr(line, ',', in->value.size) : NULL;
    if (!comma) {
        weir_reject(ctx, "the line is not KEY,VALUE");
        return out;
    }
    out.key = (weir_bytes){line, (size_t)(comma - line)};
    out.value = (weir_bytes){comma + 1, in->value.size - out.key.size - 1};
    return out;
}

static weir_bytes side_key(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    return nexmark_key(ctx, nexmark_event(in->value).bid.auction % KEYS);
}

static weir_bytes row_of(weir_ctx *ctx, const weir_record *left, const weir_record *right,
                         void *arg)
{
    (void)arg;
    struct nexmark_event bid = nexmark_event(left->value);
    struct nexmark_row row = nexmark_row(ctx);
    nexmark_bid_fields(&row, &bid);
    nexmark_raw(&row, "value", weir_json_quote(ctx, right->value)); /* any bytes */
    return nexmark_row_end(&row);
}

WEIR_JOB(job)
{
    weir_stream *side = weir_from(job, "side", "file:side.csv");
    side = weir_map(side, "side_rows", side_row, NULL);
    weir_stream *bids = nexmark_events(job, NEXMARK_BID);
    bids = weir_key_by(bids, "by_side_key", side_key, NULL);
    weir_stream *rows = weir_lookup(bids, "side_join", side, WEIR_INNER, row_of, NULL);
    weir_into(rows, "results", "log:results");
}
