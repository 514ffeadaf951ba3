/* loop.c: a run of the hand-written SQLite loop (tests/bench/loop.c) in a child process. It gets
 * the records that a weir job gets, from the same generator, polled in the same pieces. See
 * bench.h.
 *
 * Its database goes through the VFS that counts for weir's stores too, so that bytes and fsyncs
 * mean the same. Timed is what lies between the first poll and the last COMMIT. The loop does one
 * thing after the other, so a time to decide is that of a whole transaction, records read and
 * counted; and all that is neither reading nor fsync is called applying.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "engine/bench/bench.h"
#include "engine/sources/source.h"
#include "tests/bench/loop.h"
#include "txn/store_inner.h"

enum { BATCH = 10000 }; /* of a cell whose epochs have no size */

struct result {
    struct wr_bench_run run;
    struct wr_error error; /* that ended the run */
};

struct feed {
    struct wr_env *env;
    const struct wr_bench_cell *cell;
    const char *path; /* of the database */
    struct wr_source *source;
    struct wr_arena arena;
    struct wr_polled polled;
    struct loop_record records[WR_POLL_RECORDS_MAX]; /* polled; from `at` on not yet given */
    size_t at, count;
    int64_t given_bytes; /* of what the loop was given, which it decides */
    double polled_s, given_s; /* time of all polls; the share of what the loop was given */
    double poll_s; /* of the last one */
    struct wr_store_vfs *vfs;
    int64_t bytes_before, fsyncs_before, fsync_us_before; /* of opening */
    int64_t started_us, last_us, deadline_us; /* of the monotonic clock; deadline 0: none */
    struct result *result;
};

/* ---- What the loop calls --------------------------------------------------------------------- */

static bool feed_seek(void *data, int64_t next)
{
    struct feed *feed = data;
    const struct wr_position stored = {.next = next};
    if (feed->source->ops->seek(feed->source, feed->source->partitions[0], &stored,
                                &feed->result->error) != WEIR_OK) {
        return false;
    }
    feed->bytes_before = feed->vfs->bytes_written;
    feed->fsyncs_before = feed->vfs->fsyncs;
    feed->fsync_us_before = feed->vfs->fsync_us;
    feed->started_us = feed->env->monotonic_us(feed->env);
    feed->last_us = feed->started_us;
    if (feed->cell->records == 0) {
        feed->deadline_us = feed->started_us + (int64_t)(feed->cell->seconds * 1e6);
    }
    return true;
}

static bool feed_fill(struct feed *feed)
{
    enum wr_source_more more;
    int64_t from_us = feed->env->monotonic_us(feed->env);
    wr_arena_reset(&feed->polled.arena);
    if (feed->source->ops->poll(feed->source, feed->source->partitions[0], &feed->polled, &more,
                                &feed->result->error) != WEIR_OK) {
        return false;
    }
    for (size_t i = 0; i < feed->polled.count; i++) {
        const weir_record *record = &feed->polled.records[i];
        feed->records[i] = (struct loop_record){.key = record->key.data,
                                                .value = record->value.data,
                                                .key_size = record->key.size,
                                                .value_size = record->value.size};
    }
    feed->at = 0;
    feed->count = feed->polled.count;
    feed->poll_s = (double)(feed->env->monotonic_us(feed->env) - from_us) / 1e6;
    feed->polled_s += feed->poll_s;
    return true;
}

static int64_t feed_poll(void *data, int64_t most, const struct loop_record **records_out)
{
    struct feed *feed = data;
    if (feed->deadline_us && feed->last_us >= feed->deadline_us) {
        return 0;
    }
    if (feed->at == feed->count && !feed_fill(feed)) {
        return -1;
    }
    size_t count = feed->count - feed->at;
    count = (int64_t)count > most ? (size_t)most : count;
    *records_out = feed->records + feed->at;
    for (size_t i = feed->at; i < feed->at + count; i++) {
        feed->given_bytes += (int64_t)(feed->records[i].key_size + feed->records[i].value_size);
    }
    feed->given_s += count > 0 ? feed->poll_s * (double)count / (double)feed->count : 0;
    feed->at += count;
    return (int64_t)count;
}

/* What was polled and is not given yet is nothing that the loop did: its bytes do not count, and
 * its time is no reading. */
static void feed_decided(void *data, int64_t records)
{
    struct feed *feed = data;
    struct wr_bench_run *run = &feed->result->run;
    int64_t now_us = feed->env->monotonic_us(feed->env);
    wr_histogram_add(&run->decide, now_us - feed->last_us, 1);
    run->records += records;
    run->epochs++;
    run->input_bytes = feed->given_bytes;
    run->read_s = feed->given_s;
    run->bytes_written = feed->vfs->bytes_written - feed->bytes_before;
    run->fsyncs = feed->vfs->fsyncs - feed->fsyncs_before;
    run->fsync_s = (double)(feed->vfs->fsync_us - feed->fsync_us_before) / 1e6;
    run->seconds = (double)(now_us - feed->started_us) / 1e6;
    run->apply_s = run->seconds - feed->polled_s - run->fsync_s;
    feed->last_us = now_us;
}

/* False: nobody wrote one for this job. */
static bool find_job(const struct wr_bench_cell *cell, enum loop_job *job_out)
{
    static const char *const names[] = {
        [LOOP_COPY] = "copy", [LOOP_COUNT] = "count", [LOOP_WORDCOUNT] = "wordcount"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(cell->job->name, names[i]) == 0) {
            *job_out = (enum loop_job)i;
            return true;
        }
    }
    return false;
}

/* ---- In the child ---------------------------------------------------------------------------- */

static weir_status open_source(struct feed *feed, struct wr_error *error)
{
    const struct wr_bench_cell *cell = feed->cell;
    struct wr_endpoint endpoint;
    char uri[WR_URI_BYTES_MAX];
    wr_bench_generator(cell, cell->records, 0, uri, sizeof uri);
    WR_TRY(wr_endpoint_parse(uri, true, &feed->arena, &endpoint, error));
    return wr_source_open(feed->env, "in", &endpoint, &feed->arena, &feed->source, error);
}

static weir_status run_loop(struct feed *feed, enum loop_job job, struct wr_error *error)
{
    static const char *const synchronous[] = {
        [WR_SYNC_FULL] = "full", [WR_SYNC_NORMAL] = "normal", [WR_SYNC_OFF] = "off"};
    const struct loop_input input = {
        .data = feed, .seek = feed_seek, .poll = feed_poll, .decided = feed_decided};
    const struct wr_bench_cell *cell = feed->cell;
    char text[WR_ERROR_TEXT_MAX / 2];
    WR_TRY(wr_store_vfs_open(feed->env, &feed->vfs, error));
    feed->vfs->counts_only = true; /* who writes by hand has SQLite's own */
    const struct loop_options options = {
        .job = job,
        .path = feed->path,
        .synchronous = synchronous[cell->sync],
        .vfs = feed->vfs->name,
        .batch = cell->epoch_records > 0 ? cell->epoch_records : BATCH,
    };
    bool good = loop_run(&options, &input, text, sizeof text);
    wr_store_vfs_close(feed->vfs);
    if (!good) { /* what the source said came first, and sticks */
        return wr_fail(error, WEIR_FATAL, WR_EXIT_IO,
                       "the hand-written loop stopped in %s: %s; free space if the disk is full, "
                       "and start again",
                       feed->path, text);
    }
    return WEIR_OK;
}

static int run_child(void *data, void *result)
{
    struct feed *feed = data;
    struct wr_error *error = &feed->result->error;
    enum loop_job job = LOOP_COPY;
    (void)result;
    find_job(feed->cell, &job);
    wr_arena_init(&feed->arena, 0);
    wr_arena_init(&feed->polled.arena, (size_t)2 * WR_POLL_BYTES_MAX);
    if (open_source(feed, error) == WEIR_OK) {
        run_loop(feed, job, error);
        feed->source->ops->close(feed->source);
    }
    wr_arena_fini(&feed->polled.arena);
    wr_arena_fini(&feed->arena);
    return 0;
}

/* ---- In the parent --------------------------------------------------------------------------- */

weir_status wr_bench_loop_run(struct wr_bench *bench, const struct wr_bench_cell *cell,
                              struct wr_bench_run *run_out, struct wr_error *error)
{
    char folder[WR_URI_BYTES_MAX + 16], path[WR_URI_BYTES_MAX + 32];
    struct result result = {.run = {.records = 0}};
    struct feed feed = {.env = bench->env, .cell = cell, .path = path, .result = &result};
    struct rusage usage;
    enum loop_job job;
    if (!find_job(cell, &job)) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "there is no hand-written loop for job %s; there is one for copy, count "
                       "and wordcount",
                       cell->job->name);
    }
    snprintf(folder, sizeof folder, "%s/loop", bench->folder);
    snprintf(path, sizeof path, "%s/loop.db", folder);
    if (mkdir(folder, 0700) != 0) {
        return wr_fail_errno(error, "cannot make %s", folder);
    }
    weir_status status = wr_bench_child(run_child, &feed, &result, sizeof result, &usage, error);
    if (status == WEIR_OK && result.error.status != WEIR_OK) {
        status =
            wr_fail(error, result.error.status, result.error.exit_code, "%s", result.error.text);
    }
    struct wr_error removing = {.status = WEIR_OK};
    if (wr_bench_remove(folder, &removing) != WEIR_OK && status == WEIR_OK) {
        *error = removing;
        status = removing.status;
    }
    if (status == WEIR_OK) {
        *run_out = result.run;
        run_out->cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
        run_out->rss_kib = usage.ru_maxrss;
    }
    return status;
}
