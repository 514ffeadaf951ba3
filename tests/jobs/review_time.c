/* review_time.c: what time does when the first firing fails, or an operator is slow. Each line is a
 * number, its event time; each record and each firing says in `out` whether it was late.
 *
 *   -D fail=abort|retry   the first timer that fires fails once
 *   -D fail=ever          each firing asks for a retry
 *   -D slow_ms=N          the sixth record takes so long
 *   -D idle_ms=N          of the watermarks
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weir.h>

struct settings {
    weir_status fail; /* WEIR_OK: not */
    bool ever;
    long slow_ms, seen; /* `seen` only says when to be slow */
};

static int64_t time_of(const weir_record *in, void *arg)
{
    (void)arg;
    if (in->key.data) { /* a generator's record has its time */
        return in->time_ms;
    }
    char text[24] = "";
    memcpy(text, in->value.data, in->value.size < 23 ? in->value.size : 23);
    return atoll(text);
}

static void say(weir_ctx *ctx, const char *what)
{
    char text[48];
    snprintf(text, sizeof text, "%s %lld %s", what, (long long)weir_time(ctx),
             weir_time(ctx) < weir_watermark(ctx) ? "late" : "fine");
    weir_record out = weir_reply(ctx, weir_text(text));
    weir_emit(ctx, &out);
}

static void watch(weir_ctx *ctx, const weir_record *in, void *arg)
{
    struct settings *settings = arg;
    if (!in && settings->fail != WEIR_OK) {
        weir_status fail = settings->fail;
        settings->fail = settings->ever ? fail : WEIR_OK;
        weir_fail(ctx, fail, "it fails");
        return;
    }
    if (in && ++settings->seen == 6 && settings->slow_ms > 0) {
        struct timespec wait = {settings->slow_ms / 1000, settings->slow_ms % 1000 * 1000000};
        nanosleep(&wait, NULL);
    }
    if (in) {
        weir_wake(ctx, weir_text("later"), weir_time(ctx) + 50);
    }
    say(ctx, in ? "record" : "timer");
}

WEIR_JOB(job)
{
    struct settings *settings = weir_alloc(job, sizeof *settings);
    const char *fail = weir_option(job, "fail", "");
    settings->fail = strcmp(fail, "abort") == 0 ? WEIR_ABORT : *fail ? WEIR_RETRY : WEIR_OK;
    settings->ever = strcmp(fail, "ever") == 0;
    settings->slow_ms = atol(weir_option(job, "slow_ms", "0"));
    int64_t idle_ms = atoll(weir_option(job, "idle_ms", "0"));
    weir_stream *high = weir_from(job, "high", "file:high.txt");
    weir_stream *low = weir_from(job, "low", "file:low.txt");
    high = weir_times(high, "high-times", time_of, NULL, 0, idle_ms);
    low = weir_times(low, "low-times", time_of, NULL, 0, idle_ms);
    weir_stream *watched = weir_through(high, "watch", watch, settings);
    weir_with(watched, low);
    weir_into(watched, "out", "file:out.txt");
}
