/* nexmark_row.c: rows as JSON, keys and days as text. Written by hand, because printf is what a
 * query would spend most of its time in.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "examples/nexmark/nexmark.h"

enum { NUMBER_MAX = 32, DAY_MS = 86400000, MINUTE_MS = 60000 };

/* ---- Numbers --------------------------------------------------------------------------------- */

static char *write_u64(char *to, uint64_t number)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char digits[20];
    size_t at = sizeof digits;
    for (; number >= 100; number /= 100) {
        at -= 2;
        memcpy(digits + at, pairs + number % 100 * 2, 2);
    }
    if (number >= 10) {
        at -= 2;
        memcpy(digits + at, pairs + number * 2, 2);
    } else {
        digits[--at] = (char)('0' + number);
    }
    memcpy(to, digits + at, sizeof digits - at);
    return to + (sizeof digits - at);
}

static char *write_i64(char *to, int64_t number)
{
    if (number < 0) {
        *to++ = '-';
        return write_u64(to, 0 - (uint64_t)number);
    }
    return write_u64(to, (uint64_t)number);
}

/* Steele and White's free-format printing of a fraction in fixed point: digits, until what is left
 * is within half a unit of the double's last place. For numbers from 1 to 2^53, whose fraction is
 * exact in 52 bits. */
static char *write_fraction(char *to, uint64_t whole, double fraction)
{
    const uint64_t one = 1ULL << 53;
    uint64_t rest = (uint64_t)(fraction * (double)one);
    uint64_t margin = 1ULL << (63 - __builtin_clzll(whole)); /* that half, times `one` */
    *to++ = '.';
    for (;;) {
        rest *= 10;
        margin *= 10;
        char digit = (char)('0' + rest / one);
        rest %= one;
        if (rest < margin || rest > one - margin) {
            *to++ = (char)(digit + (rest > one / 2));
            return to;
        }
        *to++ = digit;
    }
}

static char *write_double(char *to, double value)
{
    if (value < 1 || value >= 0x1p53) {
        return to + snprintf(to, NUMBER_MAX, "%.17g", value);
    }
    uint64_t whole = (uint64_t)value;
    double fraction = value - (double)whole;
    to = write_u64(to, whole);
    return fraction > 0 ? write_fraction(to, whole, fraction) : to;
}

/* ---- A row ----------------------------------------------------------------------------------- */

struct nexmark_row nexmark_row(weir_ctx *ctx)
{
    struct nexmark_row row = {ctx, weir_scratch(ctx, 512), 0, 512};
    return row;
}

/* Room for so many bytes more; NULL: no memory. */
static char *room_for(struct nexmark_row *row, size_t size)
{
    if (row->text && row->room - row->size < size) {
        row->room = 2 * row->room + size;
        char *text = weir_scratch(row->ctx, row->room);
        if (text) {
            memcpy(text, row->text, row->size);
        }
        row->text = text;
    }
    return row->text ? row->text + row->size : NULL;
}

static void append(struct nexmark_row *row, const void *data, size_t size)
{
    char *to = room_for(row, size);
    if (to && size > 0) {
        memcpy(to, data, size);
        row->size += size;
    }
}

/* ,"NAME": and room for a number. */
static char *begin_field(struct nexmark_row *row, const char *name)
{
    size_t size = strlen(name);
    char *to = room_for(row, size + 4 + NUMBER_MAX);
    if (to) {
        *to++ = row->size ? ',' : '{';
        *to++ = '"';
        memcpy(to, name, size);
        to += size;
        *to++ = '"';
        *to++ = ':';
        row->size += size + 4;
    }
    return to;
}

static void end_field(struct nexmark_row *row, const char *end)
{
    row->size = (size_t)(end - row->text);
}

void nexmark_i64(struct nexmark_row *row, const char *name, int64_t value)
{
    char *to = begin_field(row, name);
    if (to) {
        end_field(row, write_i64(to, value));
    }
}

void nexmark_double(struct nexmark_row *row, const char *name, double value)
{
    char *to = begin_field(row, name);
    if (to) {
        end_field(row, write_double(to, value));
    }
}

void nexmark_euros(struct nexmark_row *row, const char *name, int64_t price)
{
    char *to = begin_field(row, name);
    if (!to) {
        return;
    }
    uint64_t size = price < 0 ? 0 - (uint64_t)price : (uint64_t)price;
    uint64_t rest = size % 1000 * 908; /* size * 908 might leave 64 bits */
    if (price < 0) {
        *to++ = '-';
    }
    to = write_u64(to, size / 1000 * 908 + rest / 1000);
    to[0] = '.';
    to[1] = (char)('0' + rest % 1000 / 100);
    to[2] = (char)('0' + rest % 100 / 10);
    to[3] = (char)('0' + rest % 10);
    end_field(row, to + 4);
}

/* Whether JSON has this text as it is: no control, quote or backslash. Eight bytes at a time: a
 * byte of `found` has its high bit set for one of them. */
static bool is_plain(const char *text, size_t size)
{
    const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
    for (; size >= 8; text += 8, size -= 8) {
        uint64_t eight;
        memcpy(&eight, text, 8);
        uint64_t quote = eight ^ ones * '"', backslash = eight ^ ones * '\\';
        uint64_t found = ((eight - ones * 0x20) & ~eight) | ((quote - ones) & ~quote) |
                         ((backslash - ones) & ~backslash);
        if (found & highs) {
            return false;
        }
    }
    for (; size > 0; text++, size--) {
        if ((unsigned char)*text < 0x20 || *text == '"' || *text == '\\') {
            return false;
        }
    }
    return true;
}

void nexmark_text(struct nexmark_row *row, const char *name, weir_bytes text)
{
    if (!text.data || !is_plain(text.data, text.size)) {
        nexmark_raw(row, name, weir_json_quote(row->ctx, text));
        return;
    }
    char *to = begin_field(row, name);
    to = to ? room_for(row, text.size + 2) : NULL;
    if (to) {
        *to++ = '"';
        memcpy(to, text.data, text.size);
        to[text.size] = '"';
        end_field(row, to + text.size + 1);
    }
}

void nexmark_minute_text(struct nexmark_row *row, const char *name, int64_t minute)
{
    char text[] = {(char)('0' + minute / 600), (char)('0' + minute / 60 % 10), ':',
                   (char)('0' + minute % 60 / 10), (char)('0' + minute % 10)};
    nexmark_text(row, name, (weir_bytes){text, sizeof text});
}

void nexmark_raw(struct nexmark_row *row, const char *name, weir_bytes json)
{
    if (begin_field(row, name)) {
        append(row, json.data, json.size);
    }
}

weir_bytes nexmark_row_end(struct nexmark_row *row)
{
    append(row, "}", 1);
    return (weir_bytes){row->text, row->text ? row->size : 0};
}

void nexmark_bid_fields(struct nexmark_row *row, const struct nexmark_event *event)
{
    nexmark_i64(row, "auction", event->bid.auction);
    nexmark_i64(row, "bidder", event->bid.bidder);
    nexmark_i64(row, "price", event->bid.price);
    nexmark_i64(row, "date_time", event->date_time);
}

/* ---- Keys and days --------------------------------------------------------------------------- */

weir_bytes nexmark_key(weir_ctx *ctx, int64_t number)
{
    char *text = weir_scratch(ctx, NUMBER_MAX);
    return (weir_bytes){text, text ? (size_t)(write_i64(text, number) - text) : 0};
}

weir_bytes nexmark_key_of_two(weir_ctx *ctx, int64_t left, int64_t right)
{
    char *text = weir_scratch(ctx, (size_t)2 * NUMBER_MAX);
    if (!text) {
        return (weir_bytes){NULL, 0};
    }
    char *at = write_i64(text, left);
    *at++ = '/';
    return (weir_bytes){text, (size_t)(write_i64(at, right) - text)};
}

int64_t nexmark_number(weir_bytes key)
{
    const char *text = key.data;
    bool minus = key.size > 0 && text[0] == '-';
    uint64_t number = 0;
    for (size_t i = minus; i < key.size; i++) {
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    return (int64_t)(minus ? 0 - number : number);
}

int64_t nexmark_floor(int64_t time_ms, int64_t size_ms)
{
    int64_t rest = time_ms % size_ms;
    return time_ms - rest - (rest < 0 ? size_ms : 0);
}

int64_t nexmark_minute(int64_t time_ms)
{
    return (time_ms - nexmark_floor(time_ms, DAY_MS)) / MINUTE_MS;
}

/* Howard Hinnant's civil_from_days: years that begin in March, in eras of 400 years. */
weir_bytes nexmark_day(weir_ctx *ctx, int64_t time_ms)
{
    int64_t days = nexmark_floor(time_ms, DAY_MS) / DAY_MS + 719468;
    int64_t era = nexmark_floor(days, 146097) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t march = (5 * of_year + 2) / 153; /* months since March */
    int64_t day = of_year - (153 * march + 2) / 5 + 1;
    int64_t month = march < 10 ? march + 3 : march - 9;
    year += era * 400 + (month <= 2);
    char *text = weir_scratch(ctx, 10);
    if (!text) {
        return (weir_bytes){NULL, 0};
    }
    const int64_t parts[] = {year / 100, year % 100, month, day};
    static const int at[] = {0, 2, 5, 8};
    for (int i = 0; i < 4; i++) {
        text[at[i]] = (char)('0' + parts[i] / 10);
        text[at[i] + 1] = (char)('0' + parts[i] % 10);
    }
    text[4] = text[7] = '-';
    return (weir_bytes){text, 10};
}

weir_bytes nexmark_by_auction(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct nexmark_event event = nexmark_event(in->value);
    bool bid = event.kind == NEXMARK_BID;
    return nexmark_key(ctx, bid ? event.bid.auction : event.auction.id);
}

weir_bytes nexmark_by_bidder(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    return nexmark_key(ctx, nexmark_event(in->value).bid.bidder);
}

weir_bytes nexmark_by_person(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct nexmark_event event = nexmark_event(in->value);
    bool person = event.kind == NEXMARK_PERSON;
    return nexmark_key(ctx, person ? event.person.id : event.auction.seller);
}
