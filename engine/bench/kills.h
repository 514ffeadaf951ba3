/* kills.h: the parts of wr_bench_kill, apart so that a test can look into a store the way
 * wr_bench_kill does.
 *
 *   kills.c     a child, killed and started again ─▶ a finished store
 *   victim.c    that child, and the moment at which it is killed
 *   implied.c   what the input implies, without the engine ┐
 *   outputs.c   what a finished store's topics hold        ┴─▶ compare.h
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_BENCH_KILLS_H
#define WR_BENCH_KILLS_H

#include "engine/bench/bench.h"
#include "engine/bench/compare.h"

/* How often at-least-once stores its positions when it is killed: a run of a second would end
 * before the 5 s of `weir run` are over once, and each kill would repeat all of it. */
enum { WR_BENCH_KILL_POSITIONS_MS = 100 };

/* ---- What is expected, and what is there (implied.c, outputs.c) ------------------------------ */

/* Whether implied.c knows what a job makes of its input: the built-in ones. Of another job its own
 * output in a run without a kill is what is expected. */
bool wr_bench_is_implied(const struct wr_bench_job *job);
/* Whether a job for which that is so keeps state. */
bool wr_bench_is_stateful(const struct wr_bench_job *job);

/* Feeds what such a job writes to the topic that its output is named after, for a source at URI
 * `input`, which ends and has one partition: by reading the generator and counting, without the
 * engine. */
weir_status wr_bench_imply(struct wr_env *env, const struct wr_bench_job *job, const char *input,
                           struct wr_compare *compare, struct wr_error *error);

/* Feeds all that the embedded topics of a store hold, as expected or as found. Nobody writes the
 * store meanwhile. 65: a batch is damaged. */
weir_status wr_bench_outputs(struct wr_env *env, const char *store, bool expected,
                             struct wr_compare *compare, struct wr_error *error);

/* What the store of a job that has read `input` to its end has lost, repeated, and so on.
 * `reference` is the store of an undisturbed run of it; NULL for a job that is implied. */
weir_status wr_bench_compare(struct wr_env *env, const struct wr_bench_job *job, const char *input,
                             const char *reference, const char *store,
                             struct wr_difference *difference_out, struct wr_error *error);

/* ---- A run that is killed (victim.c) --------------------------------------------------------- */

/* When a run is killed. Fractions are in 2^32 parts. */
struct wr_bench_moment {
    bool never;
    uint32_t share; /* of what is left to be read when the run starts */
    uint32_t phase; /* of the time from one epoch to the next, added to that */
    enum wr_fault_point
        point; /* then: where that share is about reached; WR_FAULT_none: anywhere */
    int64_t period_ms; /* between two passings of the point; 0: it is passed with each epoch */
    bool outside; /* before: the victim's `outside` happens while it works, then its `restored` */
    bool between; /* it is killed between these two, not at the moment */
    uint32_t outside_share; /* of what is left, when it does */
};

/* What runs showed so far, for the moments of those to come. Zeroed: nothing yet. */
struct wr_bench_pace {
    int64_t records, epochs, us; /* of runs that decided something; us: first to last epoch */
    int64_t first_us; /* of the last such run: from its start to its first epoch */
};

struct wr_bench_victim {
    struct wr_bench *bench;
    const struct wr_bench_job *job;
    const struct wr_run_options *options;
    int64_t records; /* of the whole input */
    weir_status (*outside)(void *data, struct wr_error *error); /* NULL: no moment asks for it */
    weir_status (*restored)(void *data, struct wr_error *error);
    void *data; /* of both */
    int64_t stall_us; /* a run that decides nothing for so long is given up; 0: it never is */
    struct wr_bench_pace pace;
};

struct wr_bench_death {
    bool killed; /* by the moment; else it ran to its end */
    bool stalled; /* it was given up; then neither */
    int64_t started_us; /* when, of the monotonic clock */
    int64_t recovery_us; /* from then to the first decided epoch; -1: there was none */
};

/* One run of the job in a child, until it is killed or has read its input. Any other end of the
 * child is an error, with the text that the child had. */
weir_status wr_bench_victim_run(struct wr_bench_victim *victim,
                                const struct wr_bench_moment *moment,
                                struct wr_bench_death *death_out, struct wr_error *error);

#endif
