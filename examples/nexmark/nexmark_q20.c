/* nexmark_q20: expand bids by auction: bids in category 10, with what their auction says.
 *
 *     SELECT B.auction, B.bidder, B.price, B.date_time, A.seller, A.category
 *     FROM bid B JOIN auction A ON B.auction = A.id WHERE A.category = 10
 *
 * Bids that come before their auction wait for it. Key of a result: the auction. Keeps auctions for
 * ever.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "examples/nexmark/nexmark.h"

static const weir_bytes absent = {NULL, 0};

/* State, version 1: the absent slot has this; slots 0 to `waiting` the events of bids. */
struct auction {
    int64_t known; /* whether the auction came */
    int64_t waiting, seller, category;
};

static void tell(weir_ctx *ctx, const struct nexmark_event *bid, const struct auction *auction)
{
    if (auction->category != 10) {
        return;
    }
    struct nexmark_row row = nexmark_row(ctx);
    nexmark_bid_fields(&row, bid);
    nexmark_i64(&row, "seller", auction->seller);
    nexmark_i64(&row, "category", auction->category);
    weir_record out = weir_reply(ctx, nexmark_row_end(&row));
    weir_emit(ctx, &out);
}

static void open_auction(weir_ctx *ctx, const struct nexmark_event *event, struct auction *auction)
{
    if (auction->known) {
        weir_reject(ctx, "a second auction with this id");
        return;
    }
    int64_t waiting = auction->waiting;
    *auction = (struct auction){true, 0, event->auction.seller, event->auction.category};
    weir_put(ctx, absent, (weir_bytes){auction, sizeof *auction});
    for (int64_t i = 0; i < waiting; i++) {
        weir_bytes waited = nexmark_take(ctx, i);
        if (waited.data) {
            struct nexmark_event bid = nexmark_event(waited);
            tell(ctx, &bid, auction);
        }
    }
}

static void expand(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct nexmark_event event = nexmark_event(in->value);
    struct auction auction = {0, 0, 0, 0};
    weir_bytes kept = weir_get(ctx, absent);
    if (kept.data) {
        memcpy(&auction, kept.data, sizeof auction);
    }
    if (event.kind == NEXMARK_AUCTION) {
        open_auction(ctx, &event, &auction);
    } else if (auction.known) {
        tell(ctx, &event, &auction);
    } else {
        nexmark_wait(ctx, auction.waiting++, in->value);
        weir_put(ctx, absent, (weir_bytes){&auction, sizeof auction});
    }
}

WEIR_JOB(job)
{
    weir_stream *events = nexmark_events(job, NEXMARK_AUCTION | NEXMARK_BID);
    events = weir_key_by(events, "by_auction", nexmark_by_auction, NULL);
    weir_stream *rows = weir_through(events, "expand", expand, NULL);
    weir_state(rows, 1, NULL, NULL);
    weir_into(rows, "results", "log:results");
}
