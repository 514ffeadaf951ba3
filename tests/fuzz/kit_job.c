/* kit_job.c: the job whose store fuzzers damage. See kit_store.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Options that neither name a file nor make a run endless. */
static bool is_option(const char *line)
{
    static const char *const taken[] = {
        "--delivery=", "--on-error=",     "--rejects=log:",   "--rejects-max=",
        "--rename=",   "--drop-state=",   "--rewind=",        "--epoch-records=",
        "--drain",     "--positions-ms=", "--rejects=table:", "--forward-ms=",
        "--cache=",    "--wal-max=",
    };
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        if (strncmp(line, taken[i], strlen(taken[i])) == 0) {
            return true;
        }
    }
    return false;
}

int fuzz_job_resume(const char *text)
{
    enum { OPTIONS_MAX = 8 };
    char *arguments[16 + OPTIONS_MAX] = {"-s",
                                         FUZZ_STORE,
                                         "--until-end",
                                         "--epoch-records",
                                         "9",
                                         "--sync",
                                         "off",
                                         "-i",
                                         "in=gen:keyed?records=80&keys=4&size=24&partitions=2"};
    char *own[OPTIONS_MAX];
    int count = 9, owned = 0;
    while (*text && owned < OPTIONS_MAX) {
        size_t size = strcspn(text, "\n");
        char *line = fuzz_string(text, size);
        if (is_option(line)) {
            own[owned++] = line;
            arguments[count++] = line;
        } else {
            free(line);
        }
        text += size + (text[size] == '\n');
    }
    int code = fuzz_job_run(count, arguments);
    while (owned > 0) {
        free(own[--owned]);
    }
    return code;
}

static void pass(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_emit(ctx, in);
}

static void define_follower(weir_job *job)
{
    weir_name(job, "follower");
    weir_stream *topic = weir_from(job, "topic", "log:topic?store=" FUZZ_STORE);
    weir_stream *both = weir_through(topic, "pass", pass, NULL);
    weir_with(both, weir_from(job, "all", "log:all?store=" FUZZ_STORE "&missing=earliest"));
    weir_into(both, "nowhere", "null:");
}

int fuzz_job_follow(void)
{
    static const char *const left[] = {"follower.weir", "follower.weir-wal", "follower.weir-shm",
                                       "follower.weir.lock"};
    char *arguments[] = {"--until-end", "--sync", "off"};
    struct wr_cli cli;
    fuzz_cli(&cli);
    int code = wr_cli_run_define(&cli, "follower", define_follower, 3, arguments);
    fuzz_check_code(code);
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        unlink(left[i]);
    }
    return code;
}
