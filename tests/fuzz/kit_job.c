/* kit_job.c: the job whose store fuzzers damage. See kit_store.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "tests/fuzz/kit_store.h"

static int64_t time_of(const weir_record *in, void *arg)
{
    (void)arg;
    return in->time_ms * 10;
}

static bool stop_at_ten(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg)
{
    (void)ctx, (void)slot, (void)value;
    return ++*(int *)arg < 10;
}

/* Counts each key; gives the count out when its timer fires. */
static void tally(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    int64_t count = 0;
    int slots = 0;
    const weir_bytes absent = {NULL, 0};
    weir_bytes stored = weir_get(ctx, absent);
    weir_to_i64(stored, &count);
    if (in && count % 5 == 3) {
        weir_put(ctx, weir_text("odd"), in->value);
    }
    if (in && in->time_ms % 70 == 0) {
        weir_put(ctx, weir_text("skip"), absent);
    }
    weir_scan(ctx, absent, absent, stop_at_ten, &slots);
    char text[64];
    snprintf(text, sizeof text, "%lld in %d", (long long)count, slots);
    weir_record out = weir_reply(ctx, weir_text(text));
    weir_header headers[] = {{"slots", weir_text("few")}, {"none", absent}};
    out.headers = headers;
    out.header_count = 2;
    if (!in) {
        weir_emit(ctx, &out);
        return;
    }
    weir_put(ctx, absent, weir_i64(ctx, count == INT64_MAX ? 0 : count + 1));
    weir_wake(ctx, weir_text("later"), in->time_ms <= INT64_MAX - 500 ? in->time_ms + 500 : 0);
    weir_wake_clock(ctx, absent, 3600000);
    weir_emit(ctx, &out);
    weir_emit_to(ctx, 1, in);
}

static void refuse_some(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    if (in && in->time_ms % 90 == 0) {
        weir_reject(ctx, "a multiple\nof ninety");
    } else if (in) {
        weir_emit(ctx, in);
    }
}

void fuzz_job_define(weir_job *job)
{
    weir_name(job, "fuzz");
    weir_stream *in = weir_from(job, "in", "gen:keyed?records=40&keys=4&size=24&partitions=2");
    weir_stream *timed = weir_times(in, "when", time_of, NULL, 20, 0);
    weir_stream *counts = weir_through(timed, "tally", tally, NULL);
    weir_into(counts, "counts", "table:counts");
    weir_into(counts, "topic", "log:topic?partitions=3&retain_bytes=1k");
    weir_stream *kept = weir_through(counts, "refuse", refuse_some, NULL);
    weir_with(kept, weir_from(job, "lines", "file:lines.txt"));
    weir_with(kept, weir_from(job, "far", "log:far?store=far.weir"));
    weir_into(kept, "out", "stdout:");
    weir_into(kept, "file", "file:out.txt");
    weir_into(weir_side(counts, 1), "all", "log:all");
}

int fuzz_job_run(int argc, char **argv)
{
    struct wr_cli cli;
    fuzz_cli(&cli);
    int code = wr_cli_run_define(&cli, "fuzz", fuzz_job_define, argc, argv);
    fuzz_check_code(code);
    fuzz_printed();
    return code;
}

int fuzz_job_resume(void)
{
    char *arguments[] = {"-s",
                         FUZZ_STORE,
                         "--until-end",
                         "--epoch-records",
                         "9",
                         "--sync",
                         "off",
                         "-i",
                         "in=gen:keyed?records=80&keys=4&size=24&partitions=2"};
    return fuzz_job_run(sizeof arguments / sizeof *arguments, arguments);
}
