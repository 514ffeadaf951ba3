/* nexmark.h: what the jobs of Nexmark's queries share: events read from JSON, rows written as JSON,
 * keys, and the steps that several queries have in common. README.md says what the queries are.
 *
 * Everything returned is in this call's memory. When that ran out, bytes are absent and the epoch
 * is undone, so no caller has to look.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef NEXMARK_H
#define NEXMARK_H

#include <weir_ops.h>

/* ---- Events (nexmark.c) ---------------------------------------------------------------------- */

enum nexmark_kind { NEXMARK_PERSON = 1, NEXMARK_AUCTION = 2, NEXMARK_BID = 4 };

/* An event, with what some query reads of it. Times are milliseconds since 1970 UTC. */
struct nexmark_event {
    enum nexmark_kind kind;
    int64_t date_time;
    union {
        struct {
            int64_t id;
        } person;
        struct {
            int64_t id, seller, category, expires;
        } auction;
        struct {
            int64_t auction, bidder, price;
        } bid;
    };
    union {
        struct {
            weir_bytes name, city, state; /* of a person */
        };
        struct {
            weir_bytes channel, url, extra; /* of a bid */
        };
        weir_bytes texts[3]; /* an auction has none: empty */
    };
};

/* The job's input: source `events`, node `parse` (a line that is no event is a dead letter, and
 * moves no watermark), node `times` (-D out_of_order_ms=4000), node `kinds`. Emits events of these
 * kinds (NEXMARK_BID | ...), to be read with nexmark_event; of the others only the time counts. */
weir_stream *nexmark_events(weir_job *job, unsigned kinds);

/* The event in a record's value: whole and self-contained, so it may be kept and rejected like any
 * other. The texts point into the value. */
struct nexmark_event nexmark_event(weir_bytes value);

/* ---- Rows (nexmark_row.c) -------------------------------------------------------------------- */

/* A JSON object that is being written. */
struct nexmark_row {
    weir_ctx *ctx;
    char *text; /* NULL: no memory */
    size_t size, room;
};

struct nexmark_row nexmark_row(weir_ctx *ctx);
void nexmark_i64(struct nexmark_row *row, const char *name, int64_t value);
/* So that it reads back as the same double, in as few digits as that takes. */
void nexmark_double(struct nexmark_row *row, const char *name, double value);
/* A price in dollars as one in euros, exactly: * 908 / 1000, three decimals. */
void nexmark_euros(struct nexmark_row *row, const char *name, int64_t price);
void nexmark_text(struct nexmark_row *row, const char *name, weir_bytes text); /* UTF-8 */
void nexmark_minute_text(struct nexmark_row *row, const char *name, int64_t minute); /* HH:MM */
void nexmark_raw(struct nexmark_row *row, const char *name, weir_bytes json);
weir_bytes nexmark_row_end(struct nexmark_row *row);

/* auction, bidder, price, date_time: what most rows begin with. */
void nexmark_bid_fields(struct nexmark_row *row, const struct nexmark_event *event);

/* Keys: a number, and two with a slash between, as decimal text. */
weir_bytes nexmark_key(weir_ctx *ctx, int64_t number);
weir_bytes nexmark_key_of_two(weir_ctx *ctx, int64_t left, int64_t right);
/* The opposite of nexmark_key. */
int64_t nexmark_number(weir_bytes key);

/* YYYY-MM-DD in UTC, and the minute of the day. */
weir_bytes nexmark_day(weir_ctx *ctx, int64_t time_ms);
int64_t nexmark_minute(int64_t time_ms);
/* The start of the window of this size that the time is in. */
int64_t nexmark_floor(int64_t time_ms, int64_t size_ms);

/* For weir_key_by. */
weir_bytes nexmark_by_auction(weir_ctx *ctx, const weir_record *in,
                              void *arg); /* its id, a bid's */
weir_bytes nexmark_by_bidder(weir_ctx *ctx, const weir_record *in, void *arg);
weir_bytes nexmark_by_person(weir_ctx *ctx, const weir_record *in, void *arg); /* its id; seller */

/* ---- Steps (nexmark_step.c, nexmark_ids.c) --------------------------------------------------- */

/* Adds a mark (a bit, up to 128) to an id in the set `kind` of the key at hand, and returns which
 * it had before; 0: the id was not there. `count` is how many ids are there: the caller keeps that.
 */
unsigned nexmark_mark(weir_ctx *ctx, char kind, int64_t count, int64_t id, unsigned mark);

/* What waits at a key, in the order it came: slots 0, 1, ... as weir_i64 writes them, whose number
 * the caller keeps. take returns and forgets. */
void nexmark_wait(weir_ctx *ctx, int64_t slot, weir_bytes what);
weir_bytes nexmark_take(weir_ctx *ctx, int64_t slot);

/* A sold auction and its winning bid: the highest between date_time and expires, both ends in; of
 * several the earliest, of these the first to come. */
struct nexmark_sale {
    int64_t auction, seller, category, bidder, price, date_time;
};

/* Of auctions and bids: a table of sales, so it emits changes; key AUCTION, value and old struct
 * nexmark_sale. Bids that come before their auction wait for it. Keeps auctions for ever. */
weir_stream *nexmark_winning(weir_stream *events, const char *name);
struct nexmark_sale nexmark_sale(weir_bytes value);

/* What a row of a window is worth, and the rest of the row. */
struct nexmark_score {
    int64_t score, auction, bidder, date_time;
};

/* Of records with key START of a window of 10 s, a time in it, and a struct nexmark_score: when the
 * window closes, all that have its highest score. Those that are late are left out. */
weir_stream *nexmark_highest(weir_stream *scores, const char *name);
weir_bytes nexmark_score_bytes(weir_ctx *ctx, struct nexmark_score score);
struct nexmark_score nexmark_score(weir_bytes value);

/* Of bids with any key: for each key a row of counts by rank of price (under 10,000, under
 * 1,000,000, the rest), of bids, different bidders and different auctions; a table, emitted at each
 * bid. `head` writes the fields before the counts; `minute` is the latest. Keeps for ever a few
 * bytes for each bidder and each auction of a key. */
typedef void (*nexmark_head_fn)(struct nexmark_row *row, const struct nexmark_event *event,
                                int64_t minute);
weir_stream *nexmark_count_ranks(weir_stream *bids, const char *name, nexmark_head_fn head);
/* 0, 1, 2: by price. */
int nexmark_rank(int64_t price);

#endif
