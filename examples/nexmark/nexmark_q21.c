/* nexmark_q21: add channel id: from the channel's name, or else from the url.
 *
 *     SELECT auction, bidder, price, channel,
 *            CASE WHEN LOWER(channel) = 'apple' THEN '0' WHEN LOWER(channel) = 'google' THEN '1'
 *                 WHEN LOWER(channel) = 'facebook' THEN '2' WHEN LOWER(channel) = 'baidu' THEN '3'
 *                 ELSE REGEXP_EXTRACT(url, 'channel_id=([^&]*)', 1) END AS channel_id
 *     FROM bid WHERE LOWER(channel) IN ('apple', 'google', 'facebook', 'baidu')
 *            OR url LIKE '%channel_id=%'
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <strings.h>

#include "examples/nexmark/nexmark.h"

static weir_bytes in_url(weir_bytes url)
{
    static const char mark[] = "channel_id=";
    const size_t size = sizeof mark - 1;
    const char *at = url.data, *end = at + url.size;
    while ((at = memchr(at, mark[0], (size_t)(end - at))) && (size_t)(end - at) >= size) {
        if (memcmp(at, mark, size) == 0) {
            at += size;
            const char *next = memchr(at, '&', (size_t)(end - at));
            return (weir_bytes){at, (size_t)((next ? next : end) - at)};
        }
        at++;
    }
    return (weir_bytes){NULL, 0};
}

/* Absent: it has none. */
static weir_bytes channel_id(const struct nexmark_event *bid)
{
    static const char *const names[] = {"apple", "google", "facebook", "baidu"};
    static const char digits[] = "0123";
    for (int i = 0; i < 4; i++) {
        if (bid->channel.size == strlen(names[i]) &&
            strncasecmp(bid->channel.data, names[i], bid->channel.size) == 0) {
            return (weir_bytes){digits + i, 1};
        }
    }
    return in_url(bid->url);
}

static void add_id(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct nexmark_event bid = nexmark_event(in->value);
    weir_bytes id = channel_id(&bid);
    if (!id.data) {
        return;
    }
    struct nexmark_row row = nexmark_row(ctx);
    nexmark_i64(&row, "auction", bid.bid.auction);
    nexmark_i64(&row, "bidder", bid.bid.bidder);
    nexmark_i64(&row, "price", bid.bid.price);
    nexmark_text(&row, "channel", bid.channel);
    nexmark_text(&row, "channel_id", id);
    weir_record out = weir_reply(ctx, nexmark_row_end(&row));
    weir_emit(ctx, &out);
}

WEIR_JOB(job)
{
    weir_stream *bids = nexmark_events(job, NEXMARK_BID);
    weir_into(weir_flat_map(bids, "channel_id", add_id, NULL), "results", "log:results");
}
