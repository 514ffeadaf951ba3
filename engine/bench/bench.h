/* bench.h: `weir bench`: what a delivery mode costs, and what one gets for it.
 *
 *   cli/bench.c   options ─▶ plan.c   cells ─▶ runs, interleaved
 *                                       │
 *        ┌───────────────┬──────────────┼──────────────┬───────────────┐
 *     cell.c          loop.c          raw.c         kills.c       (latency: cell.c with a rate)
 *     a job, in a     an expert's     only the      kill -9, then
 *     child process   SQLite loop     bytes         compare.c
 *        └───────────────┴──────┬───────┴──────────────┘
 *                            figures ─▶ table.c (people), lines.c (JSON), report.c (HTML)
 *
 * A *cell* is what is measured: a job, a delivery mode, an epoch size, a sync. A *run* is one
 * repetition of it. Every run is a child process of its own on a new store, so that CPU time and
 * memory are its own; the parent has one thread, and forks.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_BENCH_H
#define WR_BENCH_H

#include "engine/run.h"
#include "txn/base/arena.h"
#include "txn/base/histogram.h"

/* ---- What is measured ------------------------------------------------------------------------ */

/* What a cell runs. Only WR_BENCH_WEIR has a delivery mode; the others are what it is compared
 * with. */
enum wr_bench_kind {
    WR_BENCH_WEIR,
    WR_BENCH_NO_POSITIONS, /* weir, effects only: the position of its input is never stored */
    WR_BENCH_LOOP, /* hand-written SQLite: tests/bench/loop.c */
    WR_BENCH_RAW_OVERWRITE, /* write and fdatasync of the same bytes, into a file of full length */
    WR_BENCH_RAW_APPEND, /* the same at the end of a file that grows */
};

struct wr_bench_job {
    const char *name; /* "copy", "count", "wordcount", or the path of a JOB.so */
    void (*define)(weir_job *);
    const char *input, *output; /* names of the endpoints that the bench sets; NULL: all of them */
    bool lines; /* reads gen:lines, else gen:keyed */
};

struct wr_bench_cell {
    enum wr_bench_kind kind;
    const struct wr_bench_job *job;
    enum wr_delivery delivery;
    enum wr_sync sync;
    int64_t epoch_records, epoch_ms; /* 0: not given; both 0: adaptive */
    int64_t keys, value_bytes;
    int64_t cache_bytes; /* 0: the default of `weir run` */
    /* How long a run is: so many records, or, with 0, so many seconds. */
    int64_t records;
    double seconds;
    /* 0: as fast as it goes; else an open loop, for latency. */
    int64_t rate;
    /* Raw cells: bytes and records of one transaction, as the cell beside it had them. */
    double transaction_bytes, transaction_records;
};

/* ---- What a run gives ------------------------------------------------------------------------ */

struct wr_bench_run {
    int64_t records, epochs;
    double seconds; /* from the first unit to the last decision */
    int64_t input_bytes; /* of keys and values */
    struct wr_histogram decide, latency; /* latency: only with a rate */
    int64_t bytes_written, fsyncs; /* of the store, by the VFS */
    double cpu_seconds; /* of the whole child, user and system */
    int64_t rss_kib; /* peak */
    /* Where the threads' time went, in seconds. */
    double read_s, operators_s, apply_s, fsync_s;
};

/* What a killed and restarted job left behind, against what its input implies. */
struct wr_bench_damage {
    int64_t kills;
    int64_t expected; /* output records */
    int64_t lost, repeated, reordered, state_errors; /* state_errors -1: the job keeps none */
    struct wr_histogram recovery; /* from each restart to its first decided epoch */
};

/* ---- Measuring ------------------------------------------------------------------------------- */

/* Where runs happen: a folder that is the bench's own, on the disk that is measured. */
struct wr_bench {
    struct wr_env *env;
    char folder[WR_URI_BYTES_MAX]; /* absolute; each run makes and removes what it needs in it */
    uint64_t seed; /* of the moments of kills */
};

/* The jobs that are built in; NULL: none has this name. */
const struct wr_bench_job *wr_bench_job_find(const char *name);

/* One run of a cell of kind WEIR or NO_POSITIONS in a child process. The store is removed
 * afterwards. (cell.c) */
weir_status wr_bench_cell_run(struct wr_bench *bench, const struct wr_bench_cell *cell,
                              struct wr_bench_run *run_out, struct wr_error *error);
/* The options of `weir run` for a cell, with `store` and a generator of `records` records (0:
 * without end); texts live in `arena`. Shared by cell.c and kills.c. (cell.c) */
weir_status wr_bench_cell_options(const struct wr_bench_cell *cell, const char *store,
                                  int64_t records, struct wr_arena *arena,
                                  struct wr_run_options *options, struct wr_error *error);
/* The same of kind LOOP (loop.c), and RAW_* (raw.c). */
weir_status wr_bench_loop_run(struct wr_bench *bench, const struct wr_bench_cell *cell,
                              struct wr_bench_run *run_out, struct wr_error *error);
weir_status wr_bench_raw_run(struct wr_bench *bench, const struct wr_bench_cell *cell,
                             struct wr_bench_run *run_out, struct wr_error *error);

/* Runs the cell's job over `cell->records` records in a child that is killed with SIGKILL `kills`
 * times, at random moments and at fault points in turn, and started again each time; then once
 * more to the end of its input. Compares record by record. Its output is on disk in a store until
 * then. (kills.c) */
weir_status wr_bench_kill(struct wr_bench *bench, const struct wr_bench_cell *cell, int64_t kills,
                          struct wr_bench_damage *damage_out, struct wr_error *error);

/* Runs `child` in a forked process, with its standard streams as they are, and receives `size`
 * bytes of what it put into `result`. 75 when it was killed or ended otherwise than with 0; the
 * text says how. usage_out NULL: not wanted. (child.c) */
struct rusage;
typedef int (*wr_bench_child_fn)(void *data, void *result);
weir_status wr_bench_child(wr_bench_child_fn child, void *data, void *result, size_t size,
                           struct rusage *usage_out, struct wr_error *error);

#endif
