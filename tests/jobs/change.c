/* change.c: a job whose shape its options say, so that a store can meet it changed: names of its
 * nodes (`-` leaves one out) and the version of its state.
 *
 * Source `in` (and `in2`) ▶ times `when` ▶ node `count` (records of each key, a timer far away)
 * ▶ sink `out`; from `when` also ▶ node `last` (the last value of each key) ▶ sink `lasts`.
 * -D upgrade=yes: state of an older version is multiplied by ten; fail: its upgrade fails.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>

static const weir_bytes only = {NULL, 0};

static int64_t time_of(const weir_record *in, void *arg)
{
    (void)arg;
    return in->time_ms;
}

static void count(weir_ctx *ctx, const weir_record *in, void *arg)
{
    char text[64];
    int64_t seen = 0;
    (void)arg;
    if (!in) {
        return;
    }
    weir_to_i64(weir_get(ctx, only), &seen);
    weir_put(ctx, only, weir_i64(ctx, ++seen));
    if (seen == 1) {
        weir_wake(ctx, weir_text("far"), INT64_C(1) << 50);
    }
    snprintf(text, sizeof text, "%" PRId64 "%s", seen,
             in->time_ms < weir_watermark(ctx) ? " late" : "");
    weir_record out = *in;
    out.value = weir_text(text);
    weir_emit(ctx, &out);
}

static void last(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_bytes before = weir_get(ctx, only);
    weir_record out = *in;
    out.value = before.data ? before : weir_text("none");
    weir_emit(ctx, &out);
    weir_put(ctx, only, in->value);
}

static weir_bytes upgrade(weir_ctx *ctx, unsigned from, weir_bytes slot, weir_bytes value,
                          void *arg)
{
    int64_t number = 0;
    (void)slot, (void)from;
    if (strcmp(arg, "fail") == 0) {
        weir_fail(ctx, WEIR_FATAL, "as asked for by -D upgrade");
        return only;
    }
    weir_to_i64(value, &number);
    return weir_i64(ctx, number * 10);
}

/* NULL: left out. */
static const char *name_of(weir_job *job, const char *option, const char *fallback)
{
    const char *name = weir_option(job, option, fallback);
    return strcmp(name, "-") == 0 ? NULL : name;
}

WEIR_JOB(job)
{
    weir_name(job, "change");
    const char *counts = name_of(job, "count", "count"), *lasts = name_of(job, "last", "last");
    const char *second = name_of(job, "in2", "-"), *out = name_of(job, "out", "out");
    unsigned version = (unsigned)strtoul(weir_option(job, "version", "1"), NULL, 10);
    const char *how = weir_option(job, "upgrade", "no");
    char *kept = weir_alloc(job, strlen(how) + 1);
    memcpy(kept, how, strlen(how));

    weir_stream *in = weir_from(job, weir_option(job, "in", "in"), NULL);
    weir_stream *timed = weir_times(in, weir_option(job, "when", "when"), time_of, NULL, 0, 0);
    weir_stream *more = second ? weir_from(job, second, NULL) : NULL;
    if (counts) {
        weir_stream *counted = weir_through(timed, counts, count, NULL);
        weir_state(counted, version, strcmp(how, "no") == 0 ? NULL : upgrade, kept);
        if (more) {
            weir_with(counted, more);
        }
        if (out) {
            weir_into(counted, out, "log:counts");
        }
    }
    if (lasts) {
        weir_into(weir_through(timed, lasts, last, NULL), "lasts", "log:lasts");
    }
}
