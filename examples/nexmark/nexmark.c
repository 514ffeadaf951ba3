/* nexmark.c: Nexmark's events: JSON lines into structs. A line must have every field that some
 * query reads, whatever this one does, so that dead letters and watermarks are the same in all
 * jobs.
 *
 * As a record's value, an event is struct nexmark_event as it lies in memory, with its texts behind
 * it one after the other (their pointers are set when it is read).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "examples/nexmark/nexmark.h"

/* Years 1 to 9999: what can be a day's name. Also, no watermark runs away because of one line. */
static const int64_t time_ms_min = -62135596800000, time_ms_max = 253402300799999;
enum { TEXTS = 3 };

/* The fields of one object; the first that is not what it should be stays. */
struct fields {
    const weir_json *object;
    const char *wrong, *lacks;
};

static int64_t whole(struct fields *fields, const char *name)
{
    int64_t number = 0;
    if (!weir_json_i64(weir_json_field(fields->object, name), &number) && !fields->wrong) {
        fields->wrong = name;
        fields->lacks = "whole number of 64 bits";
    }
    return number;
}

static weir_bytes text(struct fields *fields, const char *name)
{
    weir_bytes bytes = weir_json_text(weir_json_field(fields->object, name));
    if (!bytes.data && !fields->wrong) {
        fields->wrong = name;
        fields->lacks = "string";
    }
    return bytes;
}

static int64_t date(struct fields *fields)
{
    int64_t time_ms = whole(fields, "date_time");
    if (!fields->wrong && (time_ms < time_ms_min || time_ms > time_ms_max)) {
        fields->wrong = "date_time";
        fields->lacks = "time of the years 1 to 9999 in milliseconds since 1970";
    }
    return time_ms;
}

static void read_person(struct fields *fields, struct nexmark_event *event)
{
    event->kind = NEXMARK_PERSON;
    event->person.id = whole(fields, "id");
    event->name = text(fields, "name");
    event->city = text(fields, "city");
    event->state = text(fields, "state");
    event->date_time = date(fields);
}

static void read_auction(struct fields *fields, struct nexmark_event *event)
{
    event->kind = NEXMARK_AUCTION;
    event->auction.id = whole(fields, "id");
    event->date_time = date(fields);
    event->auction.expires = whole(fields, "expires");
    event->auction.seller = whole(fields, "seller");
    event->auction.category = whole(fields, "category");
}

static void read_bid(struct fields *fields, struct nexmark_event *event)
{
    event->kind = NEXMARK_BID;
    event->bid.auction = whole(fields, "auction");
    event->bid.bidder = whole(fields, "bidder");
    event->bid.price = whole(fields, "price");
    event->channel = text(fields, "channel");
    event->url = text(fields, "url");
    event->date_time = date(fields);
    event->extra = text(fields, "extra");
}

static const struct {
    const char *name;
    void (*read)(struct fields *fields, struct nexmark_event *event);
} readers[] = {{"Bid", read_bid}, {"Auction", read_auction}, {"Person", read_person}};
enum { READERS = sizeof readers / sizeof *readers };

/* False: it was rejected. */
static bool read_event(weir_ctx *ctx, weir_bytes line, struct nexmark_event *event)
{
    const weir_json *outer = weir_json_parse(ctx, line);
    if (!outer) {
        weir_reject(ctx, "the line is no JSON value");
        return false;
    }
    struct fields fields = {NULL, NULL, NULL};
    size_t kind = READERS, kinds = 0;
    for (size_t i = 0; i < READERS; i++) {
        const weir_json *object = weir_json_field(outer, readers[i].name);
        if (object) {
            fields.object = object;
            kind = i;
            kinds++;
        }
    }
    if (kinds != 1) {
        weir_reject(ctx, "the line is no object with one of Person, Auction and Bid");
        return false;
    }
    readers[kind].read(&fields, event);
    if (fields.wrong) {
        char why[128];
        snprintf(why, sizeof why, "%s: `%s` is not there or no %s", readers[kind].name,
                 fields.wrong, fields.lacks);
        weir_reject(ctx, why);
    }
    return !fields.wrong;
}

static weir_bytes pack(weir_ctx *ctx, struct nexmark_event *event)
{
    size_t size = sizeof *event;
    for (int i = 0; i < TEXTS; i++) {
        size += event->texts[i].size;
    }
    char *packed = weir_scratch(ctx, size);
    if (!packed) {
        return (weir_bytes){NULL, 0};
    }
    char *at = packed + sizeof *event;
    for (int i = 0; i < TEXTS; i++) {
        if (event->texts[i].data) {
            memcpy(at, event->texts[i].data, event->texts[i].size);
            at += event->texts[i].size;
            event->texts[i].data = NULL; /* means nothing behind this call */
        }
    }
    memcpy(packed, event, sizeof *event);
    return (weir_bytes){packed, size};
}

struct nexmark_event nexmark_event(weir_bytes value)
{
    struct nexmark_event event;
    memcpy(&event, value.data, sizeof event);
    const char *at = (const char *)value.data + sizeof event;
    for (int i = 0; i < TEXTS; i++) {
        event.texts[i].data = at;
        at += event.texts[i].size;
    }
    return event;
}

static weir_record parse(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_record out = *in;
    struct nexmark_event event;
    memset(&event, 0, sizeof event);
    if (read_event(ctx, in->value, &event)) {
        out.value = pack(ctx, &event);
        out.time_ms = event.date_time;
    }
    return out;
}

static bool is_wanted(const weir_record *in, void *arg)
{
    const unsigned *kinds = arg;
    enum nexmark_kind kind;
    memcpy(&kind, in->value.data, sizeof kind);
    return (kind & *kinds) != 0;
}

weir_stream *nexmark_events(weir_job *job, unsigned kinds)
{
    unsigned *wanted = weir_alloc(job, sizeof *wanted);
    *wanted = kinds;
    int64_t out_of_order_ms = weir_option_i64(job, "out_of_order_ms", 4000, 0, INT32_MAX);
    weir_stream *events = weir_from(job, "events", "file:events.json");
    events = weir_map(events, "parse", parse, NULL);
    events = weir_times(events, "times", NULL, NULL, out_of_order_ms, 0);
    return weir_filter(events, "kinds", is_wanted, wanted);
}
