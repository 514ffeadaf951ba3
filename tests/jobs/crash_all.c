/* crash_all.c: what a crash could break, in one job: state with several slots, timers that keyed
 * windows need, two keyed stages, late records, side outputs, headers, absent and empty keys and
 * values, dead letters of records, timers and sinks, and two sinks of each kind.
 *
 * Values begin with a decimal number n. -D fail=N fails at calls N, 2N, 4N, 8N, ... of the first
 * operator, so that epochs are undone; -D late=MS is how far out of order times may be;
 * -D partitions=several leaves out what depends on the order between partitions.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>

enum { WINDOW_MS = 200 };

static const weir_bytes only = {NULL, 0};

struct options {
    uint64_t fail, calls; /* calls only chooses when to fail: no result depends on it */
    bool one_partition;
};

static int64_t number(weir_bytes value)
{
    const unsigned char *at = value.data;
    int64_t n = 0;
    for (size_t i = 0; i < value.size && i < 18 + 2 && at[i] >= '0' && at[i] <= '9'; i++) {
        n = n * 10 + (at[i] - '0');
    }
    return n;
}

/* About in order: ten milliseconds a record, and up to 60 more that depend on all bytes. */
static int64_t time_of(const weir_record *in, void *arg)
{
    const unsigned char *at = in->value.data;
    uint32_t mixed = 2166136261u;
    (void)arg;
    for (size_t i = 0; i < in->value.size; i++) {
        mixed = (mixed ^ at[i]) * 16777619u;
    }
    return number(in->value) * 10 + (mixed >> 8) % 60;
}

static int64_t stored(weir_ctx *ctx, weir_bytes slot)
{
    int64_t value = 0;
    weir_to_i64(weir_get(ctx, slot), &value);
    return value;
}

/* Counts each key; every 17th record is a dead letter. Side 1 is for a table of integers. */
static void tally(weir_ctx *ctx, const weir_record *in, void *arg)
{
    struct options *options = arg;
    int64_t n = number(in->value);
    if (options->fail && ++options->calls == options->fail) {
        options->fail *= 2;
        weir_fail(ctx, WEIR_ABORT, "as asked for by -D fail");
        return;
    }
    if (n % 17 == 3) {
        weir_reject(ctx, "unlucky");
        return;
    }
    int64_t seen = stored(ctx, only) + 1;
    weir_put(ctx, only, weir_i64(ctx, seen));
    weir_put(ctx, weir_text("last"), n % 11 ? in->value : only);

    char count[24], text[160];
    int size = snprintf(text, sizeof text, "%" PRId64 " %.*s", seen, (int)in->value.size % 120,
                        (const char *)in->value.data);
    snprintf(count, sizeof count, "%" PRId64, seen);
    weir_header headers[] = {
        {"count", weir_text(count)}, {"empty", weir_text("")}, {"absent", only}};
    weir_record out = *in;
    out.value = n % 19 == 4 ? only : (weir_bytes){text, n % 19 == 5 ? 0 : (size_t)size};
    if (n % 13 == 5 || n % 13 == 6) {
        out.key = n % 13 == 5 || !options->one_partition ? only : weir_text("");
    }
    out.headers = n % 3 ? NULL : headers;
    out.header_count = n % 3 ? 0 : 3;
    weir_emit(ctx, &out);

    out.key = in->key;
    out.value = weir_text(n % 23 == 7 ? "no number" : count);
    weir_emit_to(ctx, 1, &out);
}

static bool count_slots(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg)
{
    (void)ctx, (void)slot, (void)value;
    ++*(int *)arg;
    return true;
}

/* Records of each key in windows; what comes after its window was given out goes to side 1. */
static void window(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct options *options = arg;
    if (in) {
        int64_t start = in->time_ms - in->time_ms % WINDOW_MS;
        weir_bytes slot = weir_i64(ctx, start);
        if (start + WINDOW_MS <= weir_watermark(ctx)) {
            weir_emit_to(ctx, 1, in);
            return;
        }
        weir_put(ctx, slot, weir_i64(ctx, stored(ctx, slot) + 1));
        weir_wake(ctx, slot, start + WINDOW_MS);
        return;
    }
    int64_t start = 0;
    int open = 0;
    weir_bytes slot = weir_timer(ctx), key = weir_key(ctx);
    weir_to_i64(slot, &start);
    if (options->one_partition) {
        weir_scan(ctx, only, only, count_slots, &open);
    }
    char text[96], window_key[24];
    snprintf(text, sizeof text, "%" PRId64 " %.*s %d open", stored(ctx, slot), (int)key.size,
             key.data ? (const char *)key.data : "", open);
    snprintf(window_key, sizeof window_key, "%" PRId64, start);
    weir_put(ctx, slot, only);
    weir_record out = weir_reply(ctx, weir_text(text));
    out.key = weir_text(window_key);
    weir_emit(ctx, &out);
}

/* The records of all keys in a window, given out with the window; every fifth is a dead letter. */
static void total(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    if (in) {
        weir_put(ctx, only, weir_i64(ctx, stored(ctx, only) + number(in->value)));
        weir_wake(ctx, weir_text("end"), in->time_ms);
        return;
    }
    int64_t sum = stored(ctx, only);
    if (sum % 5 == 0) {
        weir_reject(ctx, "a total that five divides");
        return;
    }
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, sum);
    weir_put(ctx, only, only);
    weir_record out = weir_reply(ctx, weir_text(text));
    weir_emit(ctx, &out);
}

WEIR_JOB(job)
{
    weir_name(job, "crash_all");
    struct options *options = weir_alloc(job, sizeof *options);
    options->fail = strtoull(weir_option(job, "fail", "0"), NULL, 10);
    options->one_partition = strcmp(weir_option(job, "partitions", "one"), "one") == 0;
    int64_t late_ms = strtoll(weir_option(job, "late", "30"), NULL, 10);

    weir_stream *in = weir_from(job, "in", NULL);
    weir_stream *timed = weir_times(in, "when", time_of, NULL, late_ms, 0);
    weir_stream *tallied = weir_through(timed, "tally", tally, options);
    weir_stream *windows = weir_through(tallied, "window", window, options);
    weir_stream *totals = weir_through(windows, "total", total, NULL);

    weir_into(tallied, "plain", "log:plain");
    weir_into(tallied, "lines", "file:lines.txt");
    weir_into(tallied, "latest", "table:latest");
    weir_into(weir_side(tallied, 1), "counts", "table:counts?key=integer&value=integer");
    weir_into(weir_side(windows, 1), "late", "log:mixed?partitions=3");
    weir_into(windows, "windows", "log:windows?partitions=3");
    weir_into(totals, "totals", "file:totals.txt");
    weir_into(totals, "nowhere", "null:");
}
