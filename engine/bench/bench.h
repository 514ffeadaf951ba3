/* bench.h: `weir bench`: what a delivery mode costs, and what one gets for it.
 *
 *   cli/bench.c   options ─▶ plan.c   cells ─▶ runs, interleaved
 *                                       │
 *        ┌───────────────┬──────────────┼──────────────┬───────────────┐
 *     cell.c          loop.c          raw.c         kills.c       (latency: cell.c with a rate)
 *     a job, in a     an expert's     only the      kill -9, then
 *     child process   SQLite loop     bytes         compare.c
 *        └───────────────┴──────┬───────┴──────────────┘
 *                       figures.c results ─▶ table.c (people), lines.c (JSON), report.c (HTML)
 *
 * A *cell* is what is measured: a job, a delivery mode, an epoch size, a sync. A *run* is one
 * repetition of it. Every run is a child process of its own on a new store, so that CPU time and
 * memory are its own; the parent has one thread, and forks. A *group* is the cells that are
 * compared with one another: the same job, epoch size and sync; their runs are interleaved.
 *
 * Signals: the parent has SIGINT, SIGTERM and SIGHUP blocked from wr_bench_open on, so that a
 * request to end is seen where it can be followed (wr_bench_stopped), without a handler and its
 * global; a child unblocks them (wr_bench_child_begin).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_BENCH_H
#define WR_BENCH_H

#include "engine/bench/machine.h"
#include "engine/run.h"
#include "txn/base/arena.h"
#include "txn/base/histogram.h"

enum { WR_BENCH_REPEATS_MAX = 1000 };

/* ---- What is measured ------------------------------------------------------------------------ */

/* What a cell runs. Only WR_BENCH_WEIR has a delivery mode; the others are what it is compared
 * with. */
enum wr_bench_kind {
    WR_BENCH_WEIR,
    WR_BENCH_NO_POSITIONS, /* weir, effects only: the position of its input is never stored */
    WR_BENCH_LOOP, /* by hand: SQLite (tests/bench/loop.c), Kafka in transactions (kafka_loop.c) */
    WR_BENCH_LOOP_DIRECT, /* by hand, Kafka at least once: without transactions */
    WR_BENCH_RAW_OVERWRITE, /* write and fdatasync of the same bytes, into a file of full length */
    WR_BENCH_RAW_APPEND, /* the same at the end of a file that grows */
};

struct wr_bench_job {
    const char *name; /* "copy", "nexmark_q0", ..., or the path of a JOB.so */
    void (*define)(weir_job *);
    const char *input, *output; /* names of the endpoints that the bench sets; NULL: all of them */
    const char *generator; /* the kind of gen: that it reads; NULL: keyed */
    struct wr_settings *defines; /* -D; NULL: none */
};

/* From where to where records go. */
enum wr_bench_route {
    WR_BENCH_GENERATED, /* from a generator in the process into the store */
    WR_BENCH_KAFKA_TO_KAFKA,
    WR_BENCH_KAFKA_TO_LOG, /* into the store; a loop's: into a SQLite database */
};

struct wr_bench_cell {
    enum wr_bench_kind kind;
    enum wr_bench_route route;
    const struct wr_bench_job *job;
    enum wr_delivery delivery;
    enum wr_sync sync;
    int64_t epoch_records, epoch_ms; /* 0: not given; both 0: adaptive */
    int64_t keys, value_bytes;
    int64_t cache_bytes; /* 0: the default of `weir run` */
    /* Of the routes of Kafka. */
    int64_t forward_ms;
    const char *from, *to; /* URIs of this run's topics; `to` NULL: into the store */
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
    int64_t records, epochs; /* all that were decided */
    double seconds; /* from when it could take the first record to the last decision */
    int64_t input_bytes; /* of keys and values; by the mean of the first records */
    struct wr_histogram decide, latency; /* latency: only with a rate */
    int64_t bytes_written, fsyncs; /* of the store, by the VFS */
    double cpu_seconds; /* of the whole child, user and system */
    int64_t rss_kib; /* peak */
    int64_t rejects; /* records that became dead letters; they are counted in `records` */
    /* Where the threads' time went, in seconds. */
    double read_s, operators_s, apply_s, fsync_s;
};

/* What a killed and restarted job left behind, against what its input implies. */
struct wr_bench_damage {
    const char *why_not; /* it could not be told; nothing was killed, all else is 0. NULL: it was */
    int64_t kills;
    int64_t broker_kills; /* of Kafka's broker, between those */
    int64_t expected; /* output records */
    int64_t lost, repeated, reordered, state_errors; /* state_errors -1: the job keeps none */
    struct wr_histogram
        recovery; /* from each restart to its first decided epoch, or visible record */
};

/* ---- Figures: what is kept of runs, and shown (figures.c) ------------------------------------ */

/* What one run comes to; all are numbers, NAN where it was not measured. */
enum wr_bench_figure {
    WR_BENCH_RECORDS_PER_S,
    WR_BENCH_MB_PER_S, /* of input, in 1,000,000 bytes */
    WR_BENCH_DECIDE_P50_US,
    WR_BENCH_DECIDE_P99_US,
    WR_BENCH_DECIDE_P999_US,
    WR_BENCH_DECIDE_MAX_US,
    WR_BENCH_LATENCY_P50_US,
    WR_BENCH_LATENCY_P99_US,
    WR_BENCH_LATENCY_P999_US,
    WR_BENCH_LATENCY_MAX_US,
    WR_BENCH_BYTES_PER_RECORD,
    WR_BENCH_FSYNCS_PER_RECORD,
    WR_BENCH_CPU_S_PER_MILLION,
    WR_BENCH_RSS_KIB,
    /* Where the time went: seconds of the run. */
    WR_BENCH_READ_S,
    WR_BENCH_OPERATORS_S,
    WR_BENCH_APPLY_S,
    WR_BENCH_FSYNC_S,
    WR_BENCH_FIGURES,
};

/* A run without its histograms: children inherit the parent's memory, so that stays small. */
struct wr_bench_sample {
    int64_t records, epochs, rejects;
    double seconds;
    double figures[WR_BENCH_FIGURES];
};

struct wr_bench_latency {
    int64_t percent; /* of the measured throughput; 0: the rate is --rate */
    int64_t rate; /* records a second */
    struct wr_bench_sample *runs;
    size_t run_count;
};

/* A cell and what came of it. */
struct wr_bench_result {
    struct wr_bench_cell cell;
    size_t group; /* results with the same number are compared */
    struct wr_bench_sample *runs; /* by repeat; those of a group with the same place are a pair */
    size_t run_count;
    struct wr_bench_latency latency[2];
    size_t latency_count; /* 0: not measured */
    int64_t kills; /* planned; 0: none */
    bool has_damage; /* killed, and compared; else why_not of `damage` may say why not */
    struct wr_bench_damage damage;
};

struct wr_bench_results {
    struct wr_bench_machine machine;
    const char *command; /* as it was given */
    struct wr_bench_result *items; /* in the order of the table: group by group */
    size_t count;
    int64_t repeats;
};

/* Of several runs. count 0: none of them has it. */
struct wr_bench_spread {
    double median, low, high;
    size_t count;
};

void wr_bench_sample_of(const struct wr_bench_run *run, struct wr_bench_sample *sample_out);
struct wr_bench_spread wr_bench_spread_of(const struct wr_bench_sample *runs, size_t count,
                                          enum wr_bench_figure figure);
/* Records a second of `result` next to those of `base`, repeat by repeat: median, lowest, highest
 * of the ratios. NULL: count 0. */
struct wr_bench_spread wr_bench_ratio(const struct wr_bench_result *result,
                                      const struct wr_bench_result *base);
/* The one of a kind in a group; `delivery` counts for WR_BENCH_WEIR alone. NULL: there is none. */
const struct wr_bench_result *wr_bench_peer(const struct wr_bench_results *results, size_t group,
                                            enum wr_bench_kind kind, enum wr_delivery delivery);
/* "Kafka to Kafka", ...; NULL: generated. */
const char *wr_bench_route_name(enum wr_bench_route route);
/* "exactly-once", "loop", "raw overwrite", ... */
const char *wr_bench_cell_name(const struct wr_bench_cell *cell);
/* "1", "10000", "100 ms", "10000, 100 ms", "adaptive". */
void wr_bench_epoch_name(const struct wr_bench_cell *cell, char *text, size_t size);
const char *wr_bench_sync_name(enum wr_sync sync); /* "full", "normal", "off" */

/* ---- Measuring ------------------------------------------------------------------------------- */

/* Where runs happen: a folder that is the bench's own, on the disk that is measured. */
struct wr_bench_kafka;
struct wr_bench {
    struct wr_env *env;
    char folder[WR_URI_BYTES_MAX]; /* absolute; each run makes and removes what it needs in it */
    uint64_t seed; /* of the moments of kills */
    struct wr_bench_kafka *kafka; /* NULL: there is none */
};

/* The jobs that are built in; NULL: none has this name. (jobs.c) */
const struct wr_bench_job *wr_bench_job_find(const char *name);
/* The one whose name is nearest to `name`, its name; NULL: none is near. */
const char *wr_bench_job_nearest(const char *name);
bool wr_bench_job_reads(const struct wr_bench_job *job, const char *generator);
/* The URI of a generator for a cell's job; records, rate 0: without. */
void wr_bench_generator(const struct wr_bench_cell *cell, int64_t records, int64_t rate, char *uri,
                        size_t size);

/* Makes a folder of its own in `dir`, and blocks SIGINT, SIGTERM and SIGHUP. (place.c) */
weir_status wr_bench_open(struct wr_env *env, const char *dir, struct wr_bench *bench_out,
                          struct wr_error *error);
/* Removes it, and says so when it cannot. Also after a failed open. */
void wr_bench_close(struct wr_bench *bench);
/* Whether one of the three signals asked this process to end. */
bool wr_bench_stopped(void);
/* Unblocks them, so that one that waits ends this process; or blocks them. */
void wr_bench_heed(bool now);
/* Whether a folder is on a tmpfs or ramfs, where a sync costs nothing. */
bool wr_bench_is_memory(const char *dir);
/* Removes a folder and all that is in it; what is not there is no error. */
weir_status wr_bench_remove(const char *folder, struct wr_error *error);

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
 * bytes of what it put into `result`. 75 when somebody killed it; 70 when it crashed, or ended by
 * itself; the text says how. usage_out NULL: not wanted. When this process is asked to end, the
 * child is killed, and the error is native EINTR. (child.c) */
struct rusage;
typedef int (*wr_bench_child_fn)(void *data, void *result);
weir_status wr_bench_child(wr_bench_child_fn child, void *data, void *result, size_t size,
                           struct rusage *usage_out, struct wr_error *error);
/* The same; a child that takes longer than this is killed, 75. */
weir_status wr_bench_child_within(double seconds_max, wr_bench_child_fn child, void *data,
                                  void *result, size_t size, struct rusage *usage_out,
                                  struct wr_error *error);
/* Whether a signal is one by which a process is asked, or made, to end; others are crashes. */
bool wr_bench_is_request(int number);
/* What a child does first, also one that is forked elsewhere: it ends with its parent, and is ended
 * by signals as any process is. */
void wr_bench_child_begin(void);

#endif
