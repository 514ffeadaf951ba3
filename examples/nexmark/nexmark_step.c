/* nexmark_step.c: steps that several queries have in common: what waits for something else, winning
 * bids, the best of a window, counts by rank.
 *
 * State, version 1: the structures below as they lie in memory, in the absent slot; what waits, in
 * slots that are numbers as weir_i64 writes them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "examples/nexmark/nexmark.h"

static const weir_bytes absent = {NULL, 0};

/* The absent slot's structure of this size; false, and *to unchanged: it has another, or none. */
static bool get_struct(weir_ctx *ctx, void *to, size_t size)
{
    weir_bytes kept = weir_get(ctx, absent);
    if (!kept.data || kept.size != size) {
        return false;
    }
    memcpy(to, kept.data, size);
    return true;
}

static void put_struct(weir_ctx *ctx, const void *from, size_t size)
{
    weir_put(ctx, absent, (weir_bytes){from, size});
}

void nexmark_wait(weir_ctx *ctx, int64_t slot, weir_bytes what)
{
    weir_put(ctx, weir_i64(ctx, slot), what);
}

weir_bytes nexmark_take(weir_ctx *ctx, int64_t slot)
{
    weir_bytes name = weir_i64(ctx, slot);
    weir_bytes what = weir_get(ctx, name);
    weir_put(ctx, name, absent);
    return what;
}

/* ---- Winning bids: key AUCTION --------------------------------------------------------------- */

struct offer {
    int64_t bidder, price, date_time;
};

/* The absent slot: this, or, while the auction is not there, how many offers wait (int64_t). */
struct auction {
    int64_t starts, expires;
    struct nexmark_sale best; /* date_time INT64_MIN: no bid */
};

static bool improve(struct auction *auction, struct offer offer)
{
    struct nexmark_sale *best = &auction->best;
    bool sold = best->date_time != INT64_MIN;
    if (offer.date_time < auction->starts || offer.date_time > auction->expires ||
        (sold && offer.price < best->price) ||
        (sold && offer.price == best->price && offer.date_time >= best->date_time)) {
        return false;
    }
    best->bidder = offer.bidder;
    best->price = offer.price;
    best->date_time = offer.date_time;
    return true;
}

static weir_bytes sale_bytes(const struct nexmark_sale *sale)
{
    bool sold = sale->date_time != INT64_MIN;
    return sold ? (weir_bytes){sale, sizeof *sale} : absent;
}

static void tell(weir_ctx *ctx, const struct nexmark_sale *now, const struct nexmark_sale *before)
{
    weir_record out = weir_reply(ctx, sale_bytes(now));
    out.old = sale_bytes(before);
    weir_emit(ctx, &out);
}

static void open_auction(weir_ctx *ctx, const struct nexmark_event *event)
{
    struct auction auction;
    int64_t waiting = 0;
    if (get_struct(ctx, &auction, sizeof auction)) {
        weir_reject(ctx, "a second auction with this id");
        return;
    }
    (void)get_struct(ctx, &waiting, sizeof waiting);
    auction.starts = event->date_time;
    auction.expires = event->auction.expires;
    auction.best = (struct nexmark_sale){.auction = event->auction.id,
                                         .seller = event->auction.seller,
                                         .category = event->auction.category,
                                         .date_time = INT64_MIN};
    struct nexmark_sale before = auction.best;
    bool sold = false;
    for (int64_t i = 0; i < waiting; i++) {
        struct offer offer;
        weir_bytes waited = nexmark_take(ctx, i);
        if (!waited.data) {
            return; /* the epoch is being undone */
        }
        memcpy(&offer, waited.data, sizeof offer);
        sold |= improve(&auction, offer);
    }
    put_struct(ctx, &auction, sizeof auction);
    if (sold) {
        tell(ctx, &auction.best, &before);
    }
}

static void bid(weir_ctx *ctx, const struct nexmark_event *event)
{
    struct offer offer = {event->bid.bidder, event->bid.price, event->date_time};
    struct auction auction;
    if (get_struct(ctx, &auction, sizeof auction)) {
        struct nexmark_sale before = auction.best;
        if (improve(&auction, offer)) {
            put_struct(ctx, &auction, sizeof auction);
            tell(ctx, &auction.best, &before);
        }
        return;
    }
    int64_t waiting = 0;
    (void)get_struct(ctx, &waiting, sizeof waiting);
    nexmark_wait(ctx, waiting++, (weir_bytes){&offer, sizeof offer});
    put_struct(ctx, &waiting, sizeof waiting);
}

static void winning(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct nexmark_event event = nexmark_event(in->value);
    if (event.kind == NEXMARK_AUCTION) {
        open_auction(ctx, &event);
    } else {
        bid(ctx, &event);
    }
}

weir_stream *nexmark_winning(weir_stream *events, const char *name)
{
    weir_stream *sales = weir_key_by(events, "by_auction", nexmark_by_auction, NULL);
    sales = weir_through(sales, name, winning, NULL);
    weir_state(sales, 1, NULL, NULL);
    return sales;
}

struct nexmark_sale nexmark_sale(weir_bytes value)
{
    struct nexmark_sale sale;
    memcpy(&sale, value.data, sizeof sale);
    return sale;
}

/* ---- The best of a window: key START --------------------------------------------------------- */

enum { WINDOW_MS = 10000 };

/* The absent slot. Slots 0 to `ties` have the scores; up to `used` are those of a lower one. */
struct best {
    int64_t score, ties, used;
};

static void close_window(weir_ctx *ctx)
{
    struct best best = {0, 0, 0};
    (void)get_struct(ctx, &best, sizeof best);
    for (int64_t i = 0; i < best.used; i++) {
        weir_record out = weir_reply(ctx, nexmark_take(ctx, i));
        if (i < best.ties && out.value.data) {
            out.time_ms--; /* the last moment of the window */
            weir_emit(ctx, &out);
        }
    }
    weir_put(ctx, absent, absent);
}

static void highest(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    if (!in) {
        close_window(ctx);
        return;
    }
    int64_t end_ms = nexmark_number(in->key) + WINDOW_MS;
    if (end_ms <= weir_watermark(ctx)) {
        return;
    }
    int64_t score = nexmark_score(in->value).score;
    struct best best = {score, 0, 0};
    if (!get_struct(ctx, &best, sizeof best)) {
        weir_wake(ctx, absent, end_ms);
    } else if (score < best.score) {
        return;
    } else if (score > best.score) {
        best.score = score;
        best.ties = 0;
    }
    nexmark_wait(ctx, best.ties++, in->value);
    best.used = best.used < best.ties ? best.ties : best.used;
    put_struct(ctx, &best, sizeof best);
}

weir_stream *nexmark_highest(weir_stream *scores, const char *name)
{
    weir_stream *best = weir_through(scores, name, highest, NULL);
    weir_state(best, 1, NULL, NULL);
    return best;
}

weir_bytes nexmark_score_bytes(weir_ctx *ctx, struct nexmark_score score)
{
    struct nexmark_score *bytes = weir_scratch(ctx, sizeof *bytes);
    if (bytes) {
        *bytes = score;
    }
    return (weir_bytes){bytes, sizeof *bytes};
}

struct nexmark_score nexmark_score(weir_bytes value)
{
    struct nexmark_score score;
    memcpy(&score, value.data, sizeof score);
    return score;
}

/* ---- Counts by rank -------------------------------------------------------------------------- */

enum { ALL, RANKS = 3, COUNTS = 1 + RANKS }; /* all, then ranks 1 to 3 */

struct counts {
    int64_t minute;
    int64_t bids[COUNTS], bidders[COUNTS], auctions[COUNTS];
};

/* Counts an id where it is new: at all, and for this rank. */
static void count_id(weir_ctx *ctx, char kind, int64_t id, int rank, int64_t counts[COUNTS])
{
    unsigned mark = 1U << rank, before = nexmark_mark(ctx, kind, counts[ALL], id, mark);
    counts[ALL] += before == 0;
    counts[1 + rank] += (before & mark) == 0;
}

static void write_counts(struct nexmark_row *row, const struct counts *counts)
{
    static const char *const names[][COUNTS] = {
        {"total_bids", "rank1_bids", "rank2_bids", "rank3_bids"},
        {"total_bidders", "rank1_bidders", "rank2_bidders", "rank3_bidders"},
        {"total_auctions", "rank1_auctions", "rank2_auctions", "rank3_auctions"}};
    const int64_t *of[] = {counts->bids, counts->bidders, counts->auctions};
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < COUNTS; j++) {
            nexmark_i64(row, names[i][j], of[i][j]);
        }
    }
}

struct count_ranks {
    nexmark_head_fn head;
};

int nexmark_rank(int64_t price)
{
    return price < 10000 ? 0 : price < 1000000 ? 1 : 2;
}

static void count_ranks(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct count_ranks *self = arg;
    struct nexmark_event event = nexmark_event(in->value);
    int rank = nexmark_rank(event.bid.price);
    int64_t minute = nexmark_minute(event.date_time);
    struct counts counts;
    memset(&counts, 0, sizeof counts);
    (void)get_struct(ctx, &counts, sizeof counts);
    counts.minute = counts.minute < minute ? minute : counts.minute;
    counts.bids[ALL]++;
    counts.bids[1 + rank]++;
    count_id(ctx, 'b', event.bid.bidder, rank, counts.bidders);
    count_id(ctx, 'a', event.bid.auction, rank, counts.auctions);
    put_struct(ctx, &counts, sizeof counts);

    struct nexmark_row row = nexmark_row(ctx);
    self->head(&row, &event, counts.minute);
    write_counts(&row, &counts);
    weir_record out = weir_reply(ctx, nexmark_row_end(&row));
    weir_emit(ctx, &out);
}

weir_stream *nexmark_count_ranks(weir_stream *bids, const char *name, nexmark_head_fn head)
{
    struct count_ranks *self = weir_alloc(weir_job_of(bids), sizeof *self);
    self->head = head;
    weir_stream *rows = weir_through(bids, name, count_ranks, self);
    weir_state(rows, 1, NULL, NULL);
    return rows;
}
