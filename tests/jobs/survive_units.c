/* survive_units.c: units that are large, many or fail, as -D do=WHAT asks for; -D n=N says how
 * much.
 *
 *   emit     a record whose value has N bytes
 *   flood    N records of 1 KiB
 *   put      a value of N bytes in state
 *   slots    N slots of 1 KiB
 *   timers   N timers, all due at the same time, which each record's key keeps; each firing counts
 *   clock    a timer on the clock for each record, up to N ms away; its firing gives a record out
 *   abort, fatal, misuse    the 100th record fails in this way
 *   retry    the same, but N times only
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>

struct units {
    const char *what;
    size_t n, failed;
    char *bytes;
};

static const weir_bytes only = {NULL, 0};

static void emit(weir_ctx *ctx, size_t size, const struct units *units)
{
    weir_record out = weir_reply(ctx, (weir_bytes){units->bytes, size});
    out.key = only;
    weir_emit(ctx, &out);
}

static void set_timers(weir_ctx *ctx, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        weir_wake(ctx, weir_i64(ctx, (int64_t)i), 1000000000);
    }
}

static void count_timer(weir_ctx *ctx)
{
    int64_t fired = 0;
    weir_to_i64(weir_get(ctx, only), &fired);
    weir_put(ctx, only, weir_i64(ctx, ++fired));
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, fired);
    weir_record out = weir_reply(ctx, weir_text(text));
    weir_emit(ctx, &out);
}

/* A record that is the same whenever the timer fires. */
static void emit_timer(weir_ctx *ctx)
{
    int64_t offset = 0;
    char text[24];
    weir_to_i64(weir_timer(ctx), &offset);
    snprintf(text, sizeof text, "%" PRId64, offset);
    weir_record out = {.key = weir_key(ctx), .value = weir_text(text)};
    weir_emit(ctx, &out);
}

static void fail(weir_ctx *ctx, struct units *units)
{
    if (strcmp(units->what, "abort") == 0) {
        weir_fail(ctx, WEIR_ABORT, "poison %d", 7);
    } else if (strcmp(units->what, "fatal") == 0) {
        weir_fail(ctx, WEIR_FATAL, "the end %d", 7);
    } else if (strcmp(units->what, "misuse") == 0) {
        weir_put(ctx, only, weir_text("x"));
        weir_reject(ctx, "too late");
    } else if (strcmp(units->what, "retry") == 0 && units->failed++ < units->n) {
        weir_fail(ctx, WEIR_RETRY, "not yet");
    }
}

static void run(weir_ctx *ctx, const weir_record *in, void *arg)
{
    struct units *units = arg;
    int64_t offset = 0;
    weir_origin(ctx, NULL, NULL, &offset);
    if (!in && strcmp(units->what, "clock") == 0) {
        emit_timer(ctx);
    } else if (!in) {
        count_timer(ctx);
    } else if (strcmp(units->what, "clock") == 0) {
        weir_wake_clock(ctx, weir_i64(ctx, offset), offset % (int64_t)(units->n + 1));
    } else if (strcmp(units->what, "emit") == 0) {
        emit(ctx, units->n, units);
    } else if (strcmp(units->what, "flood") == 0) {
        for (size_t i = 0; i < units->n; i++) {
            emit(ctx, 1024, units);
        }
    } else if (strcmp(units->what, "put") == 0) {
        weir_put(ctx, only, (weir_bytes){units->bytes, units->n});
    } else if (strcmp(units->what, "slots") == 0) {
        for (size_t i = 0; i < units->n; i++) {
            weir_put(ctx, weir_i64(ctx, (int64_t)i), (weir_bytes){units->bytes, 1024});
        }
    } else if (strcmp(units->what, "timers") == 0) {
        set_timers(ctx, units->n);
    } else {
        if (offset == 99) {
            fail(ctx, units);
        }
        weir_emit(ctx, in);
    }
}

WEIR_JOB(job)
{
    struct units *units = weir_alloc(job, sizeof *units);
    units->what = weir_option(job, "do", "nothing");
    units->n = strtoull(weir_option(job, "n", "0"), NULL, 10);
    units->bytes = weir_alloc(job, units->n > 1024 ? units->n : 1024);
    weir_stream *in = weir_from(job, "in", "gen:keyed?records=1");
    weir_into(weir_through(in, "run", run, units), "out", "log:out");
}
