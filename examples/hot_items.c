/* hot_items: which auction got the most bids in the last ten seconds, asked every two: query 5 of
 * the Nexmark benchmark, by hand. Lines of `bids` are TIME_MS,AUCTION; each window gives one record
 * for its hottest auction, or one for each of several that tie:
 * key WINDOW_START, value WINDOW_START,AUCTION,BIDS.
 *
 *     weir run build/examples/hot_items.so -i bids=file:bids.csv --drain
 *     weir consume hot_items.weir hot_items
 *
 *     -D out_of_order_ms=N   how much earlier than its predecessors a bid may be   (0)
 *
 * Windows [start, start + 10 s) begin at every multiple of 2 s since 1970, so a bid is in five.
 *
 *     times      gives a bid its event time
 *     windows    a record for each window of a bid           key START,AUCTION
 *     count      bids, told at the end of the window         key START
 *     hottest    the best so far, told at the same moment
 *
 * Both keyed nodes wait for the end of the window with a timer of the same time. That is enough,
 * because nodes advance in graph order: `count` fires all its due timers before `hottest` sees the
 * watermark move. So every count of a window is there when `hottest` closes it.
 *
 * Late bids: a bid is counted in those of its windows that are still open. One that finds none
 * open, and a line that is not TIME_MS,AUCTION, are dead letters; `weir rejects` lists them.
 *
 * nexmark/nexmark_q5.c is the same query made of operators.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>

enum { SIZE_MS = 10000, ADVANCE_MS = 2000 };
static const weir_bytes absent = {NULL, 0}; /* as slot: the one where a key has one value */

/* TIME_MS,AUCTION: digits, a comma, something. */
static bool parse(weir_bytes line, int64_t *time_ms_out, weir_bytes *auction_out)
{
    const char *text = line.data;
    size_t at = 0;
    *time_ms_out = 0;
    for (; at < line.size && at < 15 && text[at] >= '0' && text[at] <= '9'; at++) {
        *time_ms_out = *time_ms_out * 10 + (text[at] - '0');
    }
    if (at == 0 || at + 1 >= line.size || text[at] != ',') {
        return false;
    }
    *auction_out = (weir_bytes){text + at + 1, line.size - at - 1};
    return true;
}

static int64_t time_of(const weir_record *in, void *arg)
{
    (void)arg;
    int64_t time_ms;
    weir_bytes auction;
    return parse(in->value, &time_ms, &auction) ? time_ms : 0; /* 0 moves no watermark */
}

/* The bytes of all parts, one after the other. */
static weir_bytes glue(weir_ctx *ctx, const weir_bytes *parts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += parts[i].size;
    }
    char *text = weir_scratch(ctx, size);
    char *end = text;
    for (size_t i = 0; text && i < count; i++) {
        memcpy(end, parts[i].data, parts[i].size);
        end += parts[i].size;
    }
    return (weir_bytes){text, text ? size : 0};
}

/* NUMBER,TEXT: the opposite of parse. */
static weir_bytes number_and_text(weir_ctx *ctx, int64_t number, weir_bytes text)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64 ",", number);
    return glue(ctx, (weir_bytes[]){weir_text(digits), text}, 2);
}

static void windows(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    int64_t time_ms;
    weir_bytes auction;
    if (!parse(in->value, &time_ms, &auction)) {
        weir_reject(ctx, "the line is not TIME_MS,AUCTION");
        return;
    }
    int64_t last_start = time_ms - time_ms % ADVANCE_MS;
    if (last_start + SIZE_MS <= weir_watermark(ctx)) {
        weir_reject(ctx, "late: all windows of this bid are closed");
        return;
    }
    for (int64_t start = last_start; start > time_ms - SIZE_MS; start -= ADVANCE_MS) {
        if (start + SIZE_MS > weir_watermark(ctx)) {
            weir_record out = *in;
            out.key = number_and_text(ctx, start, auction);
            out.value = weir_i64(ctx, start + SIZE_MS);
            weir_emit(ctx, &out);
        }
    }
}

/* Key START,AUCTION. On a record: counts, value being the window's end. At that end: tells the
 * window, key START, what it counted, value BIDS,AUCTION. */
static void count(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    int64_t bids = 0;
    weir_to_i64(weir_get(ctx, absent), &bids);
    if (in) {
        int64_t end_ms = 0;
        weir_to_i64(in->value, &end_ms);
        weir_put(ctx, absent, weir_i64(ctx, bids + 1));
        weir_wake(ctx, absent, end_ms);
        return;
    }
    weir_bytes key = weir_key(ctx);
    const char *comma = memchr(key.data, ',', key.size);
    size_t start_size = (size_t)(comma - (const char *)key.data);
    weir_bytes auction = {comma + 1, key.size - start_size - 1};
    weir_record out = weir_reply(ctx, number_and_text(ctx, bids, auction));
    out.key = (weir_bytes){key.data, start_size};
    weir_emit(ctx, &out);
    weir_put(ctx, absent, absent);
}

static bool forget(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg)
{
    (void)value, (void)arg;
    weir_put(ctx, slot, absent);
    return true;
}

/* Key START. Keeps the highest count in the absent slot, and a slot for each auction that has
 * it. */
static void compare(weir_ctx *ctx, const weir_record *in)
{
    int64_t bids = 0, most = 0;
    weir_bytes auction;
    parse(in->value, &bids, &auction);
    weir_to_i64(weir_get(ctx, absent), &most);
    if (bids > most) {
        weir_scan(ctx, absent, absent, forget, NULL);
        weir_put(ctx, absent, weir_i64(ctx, bids));
    }
    if (bids >= most) {
        weir_put(ctx, auction, weir_text(""));
    }
    weir_wake(ctx, absent, in->time_ms); /* `count` told it when the window ended */
}

/* One of the slots of a window that closes: an auction that has the highest count `arg`. */
static bool tell(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg)
{
    (void)value;
    if (slot.data) {
        const int64_t *most = arg;
        char bids[24];
        snprintf(bids, sizeof bids, ",%" PRId64, *most);
        weir_bytes parts[] = {weir_key(ctx), weir_text(","), slot, weir_text(bids)};
        weir_record out = weir_reply(ctx, glue(ctx, parts, 4));
        weir_emit(ctx, &out);
    }
    weir_put(ctx, slot, absent);
    return true;
}

static void hottest(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    if (in) {
        compare(ctx, in);
        return;
    }
    int64_t most = 0;
    weir_to_i64(weir_get(ctx, absent), &most);
    weir_scan(ctx, absent, absent, tell, &most);
}

/* -D name=N, a number of milliseconds. */
static int64_t option_ms(weir_job *job, const char *name, const char *fallback)
{
    const char *text = weir_option(job, name, fallback);
    char *end;
    int64_t ms = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || ms < 0 || ms > INT32_MAX) {
        weir_refuse(job, "-D %s=%s is no number of milliseconds", name, text);
        return 0;
    }
    return ms;
}

WEIR_JOB(job)
{
    weir_name(job, "hot_items");
    int64_t out_of_order_ms = option_ms(job, "out_of_order_ms", "0");

    weir_stream *bids = weir_from(job, "bids", "file:bids.csv");
    bids = weir_times(bids, "times", time_of, NULL, out_of_order_ms, 0);
    bids = weir_through(bids, "windows", windows, NULL);
    bids = weir_through(bids, "count", count, NULL);
    bids = weir_through(bids, "hottest", hottest, NULL);
    weir_into(bids, "hot_items", "log:hot_items");
}
