/* gen_nexmark.c: gen:nexmark, the events of an auction house: people, the auctions that they open
 * and the bids that they make, one JSON object a record. See source_gen.h.
 *
 * The proportions, the references and the distributions are those of the generator of the Nexmark
 * benchmark (Tucker, Tufte, Papadimos, Maier: NEXMark, 2002; Apache Beam's and Nexmark's Java
 * generators), so that queries meet what they meet there; the bytes are this file's own:
 *
 *   kinds      of each 50 events the first is a person, the next 3 are auctions, 46 are bids; ids
 *              count from 1000, in the order of events
 *   time       10,000 events a second from 2025-12-31T23:59:50Z on, so that a day ends in between;
 *              one event in 8 is up to 4 s older, and none more: that is how far out of order they
 *              are
 *   bids       every second one on the hot auction, the first of the last 100; others on one of
 *              the last 101 or of the 10 that come next. 3 of 4 by the hot bidder, the second of
 *              the last 100 people; others by one of the last 1000 people or of the 10 next
 *   auctions   3 of 4 of the hot seller, the first of the last 100 people; open for up to 333 ms,
 *              which on average is until 100 more have come; category 10 to 14
 *   prices     log-uniform from 100 to 100,000,000
 *   channels   every second one of four hot ones; else channel-0 to channel-9999, whose URL is
 *              always the same, for 9 of 10 with a channel_id
 *   extra      letters, so that people have about 200 bytes, auctions 500, bids 100, as that
 *              generator counts them
 *
 * Event k follows from k and the seed alone, by integer arithmetic: the same bytes on every
 * machine.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/sources/source_gen.h"
#include "txn/base/assert.h"
#include "txn/base/random.h"

enum {
    ROUND = 50, /* events: a person, auctions, bids */
    AUCTIONS = 3,
    FIRST_ID = 1000, /* of people and of auctions */
    FIRST_CATEGORY = 10,
    CATEGORIES = 5,
    HOT = 100, /* the first of so many is hot */
    ACTIVE_PEOPLE = 1000,
    OPEN_AUCTIONS = 100,
    AHEAD = 10, /* ids that come next and are referred to already */
    EVENTS_PER_MS = 10,
    DELAYED = 8, /* one event in so many */
    DELAY_MS_MAX = 4000,
    OPEN_MS_MAX = 333,
    CHANNELS = 10000,
    PRICE_STEPS = 256,
    PRICE_BITS = 24, /* of fraction */
    TEXT_BYTES = 8192, /* of which fillers are pieces */
    TEXT_MORE = 1024, /* the longest piece, and more */
    SHORT_BYTES = 15,
};
#define BASE_MS INT64_C(1767225590000)
/* 10^(6 / PRICE_STEPS), with RATIO_BITS of fraction. */
#define PRICE_RATIO UINT64_C(1216850541881655094)
#define RATIO_BITS 60

struct wr_nexmark {
    uint64_t seed;
    uint64_t prices[PRICE_STEPS + 1]; /* 100 * 10^(6 i / PRICE_STEPS), with PRICE_BITS */
    unsigned char letters[TEXT_BYTES + TEXT_MORE];
    unsigned char words[TEXT_BYTES + TEXT_MORE]; /* the same with spaces */
};

/* One event in the making. */
struct event {
    const struct wr_nexmark *nexmark;
    uint64_t random;
    uint64_t time_ms;
    uint64_t people, auctions; /* how many there are, this one included */
    unsigned char *at;
};

struct name {
    unsigned char size;
    char text[SHORT_BYTES];
};
#define NAME(text)                                                                                 \
    {                                                                                              \
        sizeof text - 1, text                                                                      \
    }

static const struct name first_names[] = {
    NAME("Ada"),   NAME("Ben"),   NAME("Clara"), NAME("David"), NAME("Emma"),  NAME("Frank"),
    NAME("Grace"), NAME("Henry"), NAME("Iris"),  NAME("Jack"),  NAME("Karen"),
};
static const struct name last_names[] = {
    NAME("Baker"),  NAME("Carter"), NAME("Evans"),  NAME("Foster"), NAME("Hughes"),
    NAME("Morgan"), NAME("Parker"), NAME("Turner"), NAME("Walker"),
};
static const struct name cities[] = {
    NAME("Phoenix"), NAME("Tucson"),   NAME("Los Angeles"), NAME("San Francisco"), NAME("Boise"),
    NAME("Bend"),    NAME("Portland"), NAME("Seattle"),     NAME("Spokane"),       NAME("Cheyenne"),
};
static const struct name states[] = {NAME("az"), NAME("ca"), NAME("id"),
                                     NAME("or"), NAME("wa"), NAME("wy")};
static const struct name hot_channels[] = {NAME("Google"), NAME("Facebook"), NAME("Baidu"),
                                           NAME("Apple")};
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- Chance ---------------------------------------------------------------------------------- */

/* From 0 to count - 1. */
static uint64_t draw(uint64_t *random, uint64_t count)
{
    return (uint64_t)(((unsigned __int128)wr_random_next(random) * count) >> 64);
}

static uint64_t below(struct event *event, uint64_t count)
{
    return draw(&event->random, count);
}

static uint64_t draw_price(struct event *event)
{
    uint64_t random = wr_random_next(&event->random);
    const uint64_t *step = &event->nexmark->prices[random >> 56];
    uint64_t part = (random >> 24) & UINT32_MAX;
    uint64_t price = step[0] + (uint64_t)(((unsigned __int128)(step[1] - step[0]) * part) >> 32);
    return (price + (UINT64_C(1) << (PRICE_BITS - 1))) >> PRICE_BITS;
}

/* The hot one is the first of its hundred, `place` behind it. */
static uint64_t hot(uint64_t last, uint64_t place)
{
    return last / HOT * HOT + place + FIRST_ID;
}

static uint64_t draw_person(struct event *event, uint64_t hot_place)
{
    uint64_t people = event->people;
    if (below(event, 4) > 0) {
        return hot(people - 1, hot_place);
    }
    uint64_t active = people < ACTIVE_PEOPLE ? people : ACTIVE_PEOPLE;
    return people - active + below(event, active + AHEAD) + FIRST_ID;
}

static uint64_t draw_auction(struct event *event)
{
    uint64_t last = event->auctions - 1;
    if (below(event, 2) > 0) {
        return hot(last, 0);
    }
    uint64_t open = last < OPEN_AUCTIONS ? last : OPEN_AUCTIONS;
    return last - open + below(event, open + 1 + AHEAD) + FIRST_ID;
}

/* ---- Text ------------------------------------------------------------------------------------ */

#define PUT(event, text)                                                                           \
    (memcpy((event)->at, text, sizeof text - 1), (event)->at += sizeof text - 1)

static void put_decimal(struct event *event, uint64_t value)
{
    unsigned char text[WR_DIGITS];
    const unsigned char *first = wr_put_number(text + WR_DIGITS, value);
    size_t size = (size_t)(text + WR_DIGITS - first);
    memcpy(event->at, first, size);
    event->at += size;
}

static void put_name(struct event *event, const struct name *name)
{
    memcpy(event->at, name->text, sizeof name->text);
    event->at += name->size;
}

#define PUT_ONE(event, names) put_name(event, &(names)[below(event, COUNT(names))])

/* A piece of a text of letters. */
static void put_piece(struct event *event, uint64_t *random, size_t size)
{
    memcpy(event->at, event->nexmark->letters + draw(random, TEXT_BYTES), size);
    event->at += size;
}

/* From 3 to max - 1 letters and spaces, without the spaces at either end. */
static void put_words(struct event *event, size_t max)
{
    size_t size = 3 + below(event, max - 3);
    const unsigned char *from = event->nexmark->words + below(event, TEXT_BYTES);
    while (size > 0 && from[size - 1] == ' ') {
        size--;
    }
    while (size > 0 && *from == ' ') {
        from++;
        size--;
    }
    memcpy(event->at, from, size);
    event->at += size;
}

/* Letters, so that `size` bytes and these are `average` on average. */
static void put_extra(struct event *event, size_t size, size_t average)
{
    size_t wanted = average - size, delta = wanted / 5;
    PUT(event, "\"extra\":\"");
    put_piece(event, &event->random, wanted - delta + below(event, 2 * delta));
    PUT(event, "\"}}");
}

static void put_time(struct event *event)
{
    PUT(event, "\"date_time\":");
    put_decimal(event, event->time_ms);
    PUT(event, ",");
}

/* ---- Events ---------------------------------------------------------------------------------- */

static void put_email(struct event *event)
{
    PUT(event, "\",\"email_address\":\"");
    put_piece(event, &event->random, 3 + below(event, 4));
    PUT(event, "@");
    put_piece(event, &event->random, 3 + below(event, 2));
    PUT(event, ".com");
}

static void put_credit_card(struct event *event)
{
    PUT(event, "\",\"credit_card\":\"");
    for (int i = 0; i < 4; i++) {
        uint64_t number = below(event, 10000);
        memcpy(event->at, wr_two_digits + number / 100 * 2, 2);
        memcpy(event->at + 2, wr_two_digits + number % 100 * 2, 2);
        event->at[4] = i < 3 ? ' ' : '"';
        event->at += 5;
    }
}

static void make_person(struct event *event)
{
    PUT(event, "{\"Person\":{\"id\":");
    put_decimal(event, event->people - 1 + FIRST_ID);
    PUT(event, ",\"name\":\"");
    const unsigned char *from = event->at;
    PUT_ONE(event, first_names);
    PUT(event, " ");
    PUT_ONE(event, last_names);
    put_email(event);
    put_credit_card(event);
    PUT(event, ",\"city\":\"");
    PUT_ONE(event, cities);
    PUT(event, "\",\"state\":\"");
    PUT_ONE(event, states);
    size_t names = strlen("\",\"email_address\":\"\",\"credit_card\":\"\","
                          "\"city\":\"\",\"state\":\"");
    size_t size = 8 + (size_t)(event->at - from) - names;
    PUT(event, "\",");
    put_time(event);
    put_extra(event, size, 200);
}

static void make_auction(struct event *event)
{
    PUT(event, "{\"Auction\":{\"id\":");
    put_decimal(event, event->auctions - 1 + FIRST_ID);
    PUT(event, ",\"item_name\":\"");
    const unsigned char *from = event->at;
    put_words(event, 20);
    PUT(event, "\",\"description\":\"");
    put_words(event, 100);
    size_t size = 48 + (size_t)(event->at - from) - strlen("\",\"description\":\"");
    uint64_t initial = draw_price(event);
    PUT(event, "\",\"initial_bid\":");
    put_decimal(event, initial);
    PUT(event, ",\"reserve\":");
    put_decimal(event, initial + draw_price(event));
    PUT(event, ",");
    put_time(event);
    PUT(event, "\"expires\":");
    put_decimal(event, event->time_ms + 1 + below(event, OPEN_MS_MAX));
    PUT(event, ",\"seller\":");
    put_decimal(event, draw_person(event, 0));
    PUT(event, ",\"category\":");
    put_decimal(event, FIRST_CATEGORY + below(event, CATEGORIES));
    PUT(event, ",");
    put_extra(event, size, 500);
}

/* Three folders and a file; of the same `random` always the same. */
static void put_url(struct event *event, uint64_t *random)
{
    PUT(event, "https://www.nexmark.com/");
    for (int i = 0; i < 3; i++) {
        put_piece(event, random, 3 + draw(random, 2));
        PUT(event, "/");
    }
    PUT(event, "item.htm?query=1");
}

static void put_channel(struct event *event)
{
    if (below(event, 2) > 0) {
        uint64_t channel = below(event, COUNT(hot_channels));
        uint64_t random = ~channel;
        put_name(event, &hot_channels[channel]);
        PUT(event, "\",\"url\":\"");
        put_url(event, &random);
        return;
    }
    uint64_t channel = below(event, CHANNELS), random = channel;
    PUT(event, "channel-");
    put_decimal(event, channel);
    PUT(event, "\",\"url\":\"");
    put_url(event, &random);
    if (draw(&random, 10) > 0) {
        PUT(event, "&channel_id=");
        put_decimal(event, draw(&random, UINT64_C(1) << 31));
    }
}

static void make_bid(struct event *event)
{
    PUT(event, "{\"Bid\":{\"auction\":");
    put_decimal(event, draw_auction(event));
    PUT(event, ",\"bidder\":");
    put_decimal(event, draw_person(event, 1));
    PUT(event, ",\"price\":");
    put_decimal(event, draw_price(event));
    PUT(event, ",\"channel\":\"");
    put_channel(event);
    PUT(event, "\",");
    put_time(event);
    put_extra(event, 32, 100);
}

void wr_nexmark_make(const struct wr_nexmark *nexmark, uint64_t k, unsigned char *at,
                     weir_record *record)
{
    uint64_t round = k / ROUND, place = k % ROUND;
    struct event event = {
        .nexmark = nexmark,
        .random = k * UINT64_C(0xd1342543de82ef95) ^ nexmark->seed,
        .time_ms = (uint64_t)BASE_MS + k / EVENTS_PER_MS,
        .people = round + 1,
        .auctions = round * AUCTIONS + (place < AUCTIONS ? place : AUCTIONS),
        .at = at,
    };
    if (below(&event, DELAYED) == 0) {
        event.time_ms -= below(&event, DELAY_MS_MAX + 1);
    }
    if (place == 0) {
        make_person(&event);
    } else if (place <= AUCTIONS) {
        make_auction(&event);
    } else {
        make_bid(&event);
    }
    size_t size = (size_t)(event.at - at);
    wr_assert_that(size, <, WR_NEXMARK_BYTES_MAX - SHORT_BYTES);
    record->key = (weir_bytes){NULL, 0};
    record->value = (weir_bytes){at, size};
    record->time_ms = (int64_t)event.time_ms;
}

/* ---- Tables ---------------------------------------------------------------------------------- */

const struct wr_nexmark *wr_nexmark_new(uint64_t seed, struct wr_arena *arena)
{
    struct wr_nexmark *nexmark = wr_arena_alloc(arena, sizeof *nexmark);
    uint64_t random = 0;
    if (!nexmark) {
        return NULL;
    }
    nexmark->seed = wr_random_next(&seed);
    nexmark->prices[0] = (uint64_t)100 << PRICE_BITS;
    for (size_t i = 0; i < PRICE_STEPS; i++) {
        unsigned __int128 next = (unsigned __int128)nexmark->prices[i] * PRICE_RATIO;
        nexmark->prices[i + 1] = (uint64_t)(next >> RATIO_BITS);
    }
    for (size_t i = 0; i < sizeof nexmark->letters; i++) {
        nexmark->letters[i] = (unsigned char)('a' + draw(&random, 26));
        nexmark->words[i] = draw(&random, 13) ? nexmark->letters[i] : ' ';
    }
    return nexmark;
}
