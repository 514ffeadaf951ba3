/* poisons.c: a job that much goes wrong with: records and timers that fail each time, records that
 * are refused by an operator and by a table. -D mended=yes mends all of it.
 *
 * Values begin with a decimal number n. Each record is counted by key, given out, and sets a timer;
 * a timer gives out the count. What goes wrong depends on n and on counts alone, not on epochs.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>

enum { TIMER_MS = 50 };

static int64_t number(weir_bytes value)
{
    const unsigned char *at = value.data;
    int64_t n = 0;
    for (size_t i = 0; i < value.size && i < 20 && at[i] >= '0' && at[i] <= '9'; i++) {
        n = n * 10 + (at[i] - '0');
    }
    return n;
}

static int64_t counted(weir_ctx *ctx)
{
    int64_t count = 0;
    weir_to_i64(weir_get(ctx, weir_text("count")), &count);
    return count;
}

static void fire(weir_ctx *ctx, bool mended)
{
    char text[64];
    int64_t count = counted(ctx);
    if (!mended && count % 11 == 5) {
        weir_fail(ctx, WEIR_ABORT, "a timer at count %" PRId64, count);
        return;
    }
    if (!mended && count % 13 == 5) {
        weir_reject(ctx, "an unlucky count");
        return;
    }
    snprintf(text, sizeof text, "%" PRId64 " at %" PRId64, count, weir_time(ctx));
    weir_record out = weir_reply(ctx, weir_text(text));
    weir_emit_to(ctx, 2, &out);
}

static void tally(weir_ctx *ctx, const weir_record *in, void *arg)
{
    bool mended = *(const bool *)arg;
    if (!in) {
        fire(ctx, mended);
        return;
    }
    int64_t n = number(in->value);
    if (!mended && n % 41 == 5) {
        weir_fail(ctx, WEIR_ABORT, "poison %" PRId64, n);
        return;
    }
    if (!mended && n % 17 == 3) {
        weir_reject(ctx, "unlucky");
        return;
    }
    int64_t count = counted(ctx) + 1;
    char text[100];
    weir_put(ctx, weir_text("count"), weir_i64(ctx, count));
    snprintf(text, sizeof text, "%" PRId64 " of %" PRId64, count, n);
    weir_record out = weir_reply(ctx, weir_text(text));
    weir_emit(ctx, &out);
    snprintf(text, sizeof text, "%" PRId64, count);
    out.value = weir_text(!mended && n % 23 == 7 ? "no number" : text);
    weir_emit_to(ctx, 1, &out);
    weir_wake(ctx, n % 2 ? weir_i64(ctx, n) : (weir_bytes){NULL, 0}, in->time_ms + TIMER_MS);
}

WEIR_JOB(job)
{
    weir_name(job, "poisons");
    bool *mended = weir_alloc(job, sizeof *mended);
    *mended = strcmp(weir_option(job, "mended", "no"), "yes") == 0;
    weir_stream *in = weir_from(job, "in", NULL);
    weir_stream *tallied = weir_through(in, weir_option(job, "node", "tally"), tally, mended);
    weir_into(tallied, "out", "log:out");
    weir_into(tallied, "lines", "file:lines.txt");
    weir_into(weir_side(tallied, 1), "counts", "table:counts?value=integer");
    weir_into(weir_side(tallied, 2), "fired", "log:fired");
}
