/* plan.h: what a `weir bench` measures, and in which order. plan.c makes the cells from the
 * options; course.c runs them.
 *
 *   1. throughput   group by group; in a group repeat by repeat, in a repeat cell by cell (A B C A
 *                   B C), so that what disturbs the machine disturbs all of them
 *   2. latency      of the three modes, at rates that follow from 1 for a group, the same for all
 *                   of its modes; interleaved as well
 *   3. kills        of each mode of a job, with one epoch size and sync
 *
 * With Kafka the jobs are copy and count from topic to topic, for each forward interval, and count
 * into the store; epochs are the engine's choice.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_BENCH_PLAN_H
#define WR_BENCH_PLAN_H

#include "engine/bench/bench.h"

enum {
    WR_BENCH_LIST_MAX = 32,
    WR_BENCH_LOOP_ADAPTIVE = 10000, /* records of a baseline's transaction where weir's adapts */
};

struct wr_bench_options {
    const struct wr_bench_job *jobs[WR_BENCH_LIST_MAX];
    enum wr_delivery deliveries[3];
    enum wr_sync syncs[3];
    int64_t epoch_records[WR_BENCH_LIST_MAX]; /* 0: adaptive */
    int64_t epoch_ms[WR_BENCH_LIST_MAX];
    size_t job_count, delivery_count, sync_count, epoch_records_count, epoch_ms_count;
    int64_t keys, value_bytes;
    int64_t cache_bytes; /* 0: the default */
    int64_t records; /* of a run; 0: it ends after `seconds` */
    double seconds;
    int64_t rate; /* of latency; 0: by the throughput */
    int64_t kills; /* of each mode */
    const char *kafka; /* HOST:PORT or a script: from topics of Kafka; NULL: generated */
    int64_t forward_ms[WR_BENCH_LIST_MAX]; /* Kafka to Kafka */
    size_t forward_ms_count;
    int64_t broker_kills; /* of each mode */
    int64_t repeats;
    bool full;
};

/* What is not given: the defaults, or with `full` everything. */
void wr_bench_options_fill(struct wr_bench_options *options);

/* Makes the results' items, without runs, in the arena. */
weir_status wr_bench_plan(const struct wr_bench_options *options, struct wr_arena *arena,
                          struct wr_bench_results *results_out, struct wr_error *error);
/* About how long all of it will take, one run of it, one cell's kills; 0: not known, since runs are
 * by records. */
double wr_bench_plan_seconds(const struct wr_bench_options *options,
                             const struct wr_bench_results *results);
double wr_bench_run_seconds(const struct wr_bench_options *options);
double wr_bench_kill_seconds(int64_t kills);
/* Runs of a cell at each rate: fewer than for throughput, since each has every record's latency. */
size_t wr_bench_latency_repeats(const struct wr_bench_options *options);

/* ---- course.c -------------------------------------------------------------------------------- */

/* Told of each step. */
struct wr_bench_view {
    void *data;
    void (*begins)(void *data, const struct wr_bench_result *result, double seconds_left);
    void (*threw)(void *data, const struct wr_bench_results *results,
                  const struct wr_bench_result *result); /* throughput of a cell is complete */
    void (*lagged)(void *data, const struct wr_bench_results *results,
                   const struct wr_bench_result *result); /* its latency is */
    void (*damaged)(void *data, const struct wr_bench_results *results,
                    const struct wr_bench_result *result); /* its kills are */
    weir_status (*check)(void *data, struct wr_error *error); /* before each run */
};

/* Measures all. An error names the cell. */
weir_status wr_bench_measure(struct wr_bench *bench, const struct wr_bench_options *options,
                             struct wr_bench_results *results, const struct wr_bench_view *view,
                             struct wr_error *error);

#endif
