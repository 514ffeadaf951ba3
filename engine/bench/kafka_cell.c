/* kafka_cell.c: one run over the input topic, from its first record to its last: of a weir job, by
 * cell.c with these topics as its endpoints, or of the loop by hand. See kafka.h.
 *
 * Timed is, for both alike, from when the first record is in the process to when the last of its
 * output is there for good: acknowledged, its transaction ended. Connecting and settling are not in
 * it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "engine/bench/kafka.h"
#include "tests/bench/kafka_loop.h"
#include "txn/store_inner.h"

enum {
    DIRECT_MS = 5000, /* how often the loop without transactions stores positions, as weir does */
    BATCH = 10000, /* records of a transaction of SQLite */
};

/* ---- The loop, in its child ------------------------------------------------------------------ */

struct looped {
    struct wr_bench *bench;
    const struct wr_bench_cell *cell;
    const char *input, *output; /* output NULL: into SQLite */
    const char *path;
    int64_t arrived_us, last_us;
    struct wr_bench_run *run;
};

struct looped_result {
    struct wr_bench_run run;
    struct wr_error error;
};

static int64_t now_us(const struct looped *looped)
{
    return looped->bench->env->monotonic_us(looped->bench->env);
}

static void on_arrived(void *data)
{
    struct looped *looped = data;
    looped->arrived_us = looped->last_us = now_us(looped);
}

static void on_decided(void *data, int64_t records, int64_t bytes)
{
    struct looped *looped = data;
    int64_t now = now_us(looped);
    looped->run->records += records;
    looped->run->input_bytes += bytes;
    looped->run->epochs++;
    looped->run->seconds = (double)(now - looped->arrived_us) / 1e6;
    wr_histogram_add(&looped->run->decide, now - looped->last_us, 1);
    looped->last_us = now;
}

static void run_loop(struct looped *looped, struct wr_store_vfs *vfs, struct wr_error *error)
{
    static const char *const synchronous[] = {
        [WR_SYNC_FULL] = "full", [WR_SYNC_NORMAL] = "normal", [WR_SYNC_OFF] = "off"};
    const struct wr_bench_cell *cell = looped->cell;
    bool exactly = cell->kind == WR_BENCH_LOOP;
    const struct kafka_loop_watch watch = {looped, on_arrived, on_decided};
    char text[WR_ERROR_TEXT_MAX / 2];
    const struct kafka_loop_options options = {
        .job = strcmp(cell->job->name, "copy") == 0 ? LOOP_COPY : LOOP_COUNT,
        .brokers = looped->bench->kafka->brokers,
        .input = looped->input,
        .records = cell->records,
        .id = looped->output ? looped->output : looped->input,
        .output = looped->output,
        .exactly_once = exactly,
        .interval_ms = exactly ? cell->forward_ms : DIRECT_MS,
        .path = looped->path,
        .synchronous = synchronous[cell->sync],
        .vfs = vfs->name,
        .batch = BATCH,
    };
    if (!kafka_loop_run(&options, &watch, text, sizeof text)) {
        wr_fail(error, WEIR_FATAL, WR_EXIT_UNAVAILABLE, "the hand-written loop stopped: %s", text);
    }
    looped->run->bytes_written = vfs->bytes_written;
    looped->run->fsyncs = vfs->fsyncs;
}

static int be_loop(void *data, void *result)
{
    struct looped *looped = data;
    struct looped_result *outcome = result;
    struct wr_store_vfs *vfs = NULL;
    looped->run = &outcome->run;
    if (wr_store_vfs_open(looped->bench->env, &vfs, &outcome->error) == WEIR_OK) {
        run_loop(looped, vfs, &outcome->error);
        wr_store_vfs_close(vfs);
    }
    return 0;
}

static weir_status loop_in_child(struct looped *looped, struct wr_bench_run *run_out,
                                 struct wr_error *error)
{
    struct looped_result result = {.run = {.records = 0}};
    struct rusage usage;
    WR_TRY(wr_bench_child(be_loop, looped, &result, sizeof result, &usage, error));
    if (result.error.status != WEIR_OK) {
        *error = result.error;
        return error->status;
    }
    *run_out = result.run;
    run_out->cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    run_out->rss_kib = usage.ru_maxrss;
    return WEIR_OK;
}

static weir_status loop_run_in(struct wr_bench *bench, const struct wr_bench_cell *cell,
                               const char *output, struct wr_bench_run *run_out,
                               struct wr_error *error)
{
    char folder[WR_URI_BYTES_MAX + 16], path[WR_URI_BYTES_MAX + 32];
    struct wr_error removing = {.status = WEIR_OK};
    struct looped looped = {
        .bench = bench, .cell = cell, .input = bench->kafka->input, .output = output, .path = path};
    snprintf(folder, sizeof folder, "%s/loop", bench->folder);
    snprintf(path, sizeof path, "%s/loop.db", folder);
    if (mkdir(folder, 0700) != 0) {
        return wr_fail_errno(error, "cannot make %s", folder);
    }
    weir_status status = loop_in_child(&looped, run_out, error);
    if (wr_bench_remove(folder, &removing) != WEIR_OK && status == WEIR_OK) {
        *error = removing;
    }
    return error->status;
}

/* ---- A run ----------------------------------------------------------------------------------- */

static weir_status job_run_in(struct wr_bench *bench, const struct wr_bench_cell *cell,
                              const char *output, struct wr_bench_run *run_out,
                              struct wr_error *error)
{
    char from[WR_URI_BYTES_MAX], to[WR_URI_BYTES_MAX];
    struct wr_bench_cell run = *cell;
    wr_bench_topic_uri(bench, bench->kafka->input, from, sizeof from);
    run.from = from;
    run.to = WR_BENCH_LOG;
    if (output) {
        wr_bench_topic_uri(bench, output, to, sizeof to);
        run.to = to;
    }
    return wr_bench_cell_run(bench, &run, run_out, error);
}

weir_status wr_bench_kafka_run(struct wr_bench *bench, const struct wr_bench_cell *cell,
                               struct wr_bench_run *run_out, struct wr_error *error)
{
    char name[WR_BENCH_TOPIC_MAX];
    const char *output = cell->route == WR_BENCH_KAFKA_TO_KAFKA ? name : NULL;
    *run_out = (struct wr_bench_run){.records = 0};
    WR_TRY(wr_bench_topic_fill(bench, cell, error));
    if (output) {
        WR_TRY(wr_bench_topic_new(bench, name, error));
    }
    if (cell->kind == WR_BENCH_WEIR) {
        (void)job_run_in(bench, cell, output, run_out, error);
    } else {
        (void)loop_run_in(bench, cell, output, run_out, error);
    }
    if (output) {
        wr_bench_topic_remove(bench, name);
    }
    return error->status;
}
