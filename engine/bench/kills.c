/* kills.c: what one gets for a delivery mode: a job that is killed over and over while it works,
 * and started again each time, then compared with what its input implies. See bench.h, kills.h.
 *
 *   kill 1      at a random moment of the work that is left
 *   kill 2      at the mode's first fault point, after a random number of passings
 *   kill 3      at a random moment ...
 *   last run    to the end of the input
 *
 * The moments are spread over the whole input: each kill takes a random share of what is left, of
 * which on average as much remains for each one that follows. A run that ends before its kill has
 * finished the job; then all of it starts over with a new store and shares half as large, up to
 * ATTEMPTS times. The kills that are counted are those of the store that is compared.
 *
 * A job that is not built in is compared with a run of itself in exactly-once mode that nothing
 * disturbs. That says something only when its output is determined by its input; so it is run
 * twice, in epochs of different sizes, and has one input: where it has more, what is read first
 * depends on where a run starts. Where it says nothing, nothing is killed, and why_not says
 * why.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/bench/kills.h"
#include "txn/base/assert.h"
#include "txn/base/random.h"

enum {
    ATTEMPTS = 10,
    OTHER_EPOCH_RECORDS = 997, /* of the second undisturbed run */
};

struct kills {
    struct wr_bench *bench;
    const struct wr_bench_cell *cell;
    char folder[WR_URI_BYTES_MAX + 16]; /* all that this makes is in it */
    const char *run_folder, *store; /* made anew with each attempt */
    const char *reference; /* store of an undisturbed run; NULL: the job is built in */
    struct wr_arena arena;
    uint64_t random;
    struct wr_bench_damage *damage;
    struct wr_error *error;
};

/* ---- Moments --------------------------------------------------------------------------------- */

struct point {
    enum wr_fault_point point;
    bool timed;
};

enum { POINTS = 5 };

/* Those at which a mode shows what it is come first. Positions have a transaction of their own but
 * in exactly-once; in at-least-once it is due by time. */
static const struct point points[][POINTS] = {
    [WR_EXACTLY_ONCE] = {{WR_FAULT_decide_before_end, false},
                         {WR_FAULT_decide_after_end, false},
                         {WR_FAULT_fill_after_seal, false},
                         {WR_FAULT_decide_after_logs, false},
                         {WR_FAULT_drop_before, false}},
    [WR_AT_LEAST_ONCE] = {{WR_FAULT_deliver_before_positions, true},
                          {WR_FAULT_decide_after_end, false},
                          {WR_FAULT_decide_before_end, false},
                          {WR_FAULT_fill_after_seal, false},
                          {WR_FAULT_drop_before, false}},
    [WR_AT_MOST_ONCE] = {{WR_FAULT_deliver_after_positions, false},
                         {WR_FAULT_decide_before_end, false},
                         {WR_FAULT_decide_after_end, false},
                         {WR_FAULT_fill_after_seal, false},
                         {WR_FAULT_deliver_before_positions, false}},
};

static uint32_t random_next(struct kills *kills)
{
    return (uint32_t)(wr_random_next(&kills->random) >> 32);
}

/* Of the kill after `done`, when `wanted` are wanted in all. */
static struct wr_bench_moment choose(struct kills *kills, int64_t done, int64_t wanted, int attempt)
{
    uint64_t left = (uint64_t)(wanted - done);
    struct wr_bench_moment moment = {
        .share = (uint32_t)((uint64_t)random_next(kills) * 2 / (left + 1)) >> attempt,
        .phase = random_next(kills),
    };
    if (done % 2 == 1) {
        const struct point *point = &points[kills->cell->delivery][(done / 2) % POINTS];
        moment.point = point->point;
        moment.period_ms = point->timed ? WR_BENCH_KILL_POSITIONS_MS : 0;
    }
    return moment;
}

/* ---- Runs ------------------------------------------------------------------------------------ */

/* Every output becomes a topic, which is what can be looked at. */
static weir_status set_outputs(const struct kills *kills, struct wr_run_options *options)
{
    weir_job job;
    struct wr_job_options looks = {.name = "job", .kit = true, .defines = &options->defines};
    weir_status status = wr_job_open(&looks, kills->cell->job->define, &job, kills->error);
    for (size_t i = 0; i < job.node_count && status == WEIR_OK; i++) {
        if (job.nodes[i]->kind == WR_NODE_SINK) {
            char text[2 * WR_NAME_BYTES_MAX + 16];
            snprintf(text, sizeof text, "%s=log:%s", job.nodes[i]->name, job.nodes[i]->name);
            status = wr_settings_add(&options->outputs, text, kills->error);
        }
    }
    wr_job_close(&job);
    return status;
}

static weir_status make_options(struct kills *kills, const struct wr_bench_cell *cell,
                                const char *store, struct wr_run_options *options)
{
    WR_TRY(wr_bench_cell_options(cell, store, cell->records, &kills->arena, options, kills->error));
    options->positions_ms = WR_BENCH_KILL_POSITIONS_MS;
    return set_outputs(kills, options);
}

/* The job from the first record to the last, with `wanted` kills or as many as there could be. */
static weir_status run_killed(struct kills *kills, struct wr_bench_victim *victim, int attempt,
                              int64_t wanted, int64_t *done_out)
{
    struct wr_histogram *recovery = &kills->damage->recovery;
    struct wr_bench_death death = {.killed = true};
    *done_out = 0;
    *recovery = (struct wr_histogram){.highest = 0};
    for (int64_t run = 0; death.killed; run++) {
        struct wr_bench_moment moment = {.never = true};
        if (run < wanted) {
            moment = choose(kills, run, wanted, attempt);
        }
        WR_TRY(wr_bench_victim_run(victim, &moment, &death, kills->error));
        *done_out += death.killed;
        if (run > 0 && death.recovery_us >= 0) {
            wr_histogram_add(recovery, death.recovery_us, 1);
        }
    }
    return WEIR_OK;
}

static weir_status make_folder(const char *folder, struct wr_error *error)
{
    WR_TRY(wr_bench_remove(folder, error));
    return mkdir(folder, 0700) == 0 ? WEIR_OK : wr_fail_errno(error, "cannot make %s", folder);
}

static weir_status run_attempts(struct kills *kills, const struct wr_run_options *options,
                                int64_t wanted)
{
    struct wr_bench_victim victim = {.bench = kills->bench,
                                     .job = kills->cell->job,
                                     .options = options,
                                     .records = kills->cell->records};
    int64_t done = -1;
    for (int attempt = 0; attempt < ATTEMPTS && done < wanted; attempt++) {
        WR_TRY(make_folder(kills->run_folder, kills->error));
        WR_TRY(run_killed(kills, &victim, attempt, wanted, &done));
    }
    kills->damage->kills = done;
    return WEIR_OK;
}

/* One run in exactly-once mode that nothing disturbs. */
static weir_status run_undisturbed(struct kills *kills, const char *store, int64_t epoch_records)
{
    struct wr_run_options options;
    struct wr_bench_death death;
    struct wr_bench_cell cell = *kills->cell;
    const struct wr_bench_moment never = {.never = true};
    struct wr_bench_victim victim = {
        .bench = kills->bench, .job = cell.job, .options = &options, .records = cell.records};
    cell.delivery = WR_EXACTLY_ONCE;
    cell.sync = WR_SYNC_OFF;
    cell.epoch_records = epoch_records;
    weir_status status = make_options(kills, &cell, store, &options);
    if (status == WEIR_OK) {
        status = wr_bench_victim_run(&victim, &never, &death, kills->error);
    }
    wr_run_options_fini(&options);
    return status;
}

/* ---- The whole ------------------------------------------------------------------------------- */

/* In the folder; NULL: no memory. */
static const char *path_of(struct kills *kills, const char *name)
{
    char path[sizeof kills->folder + 32];
    snprintf(path, sizeof path, "%s/%s", kills->folder, name);
    return wr_arena_string(&kills->arena, path);
}

/* Sets `reference`, or *why_not_out: the output of the job does not follow from its input. */
static weir_status refer(struct kills *kills, const struct wr_run_options *options,
                         const char **why_not_out)
{
    struct wr_difference difference;
    const char *plain = path_of(kills, "plain.weir"), *other = path_of(kills, "other.weir");
    *why_not_out = NULL;
    if (!plain || !other) {
        return wr_fail_memory(kills->error);
    }
    if (wr_bench_is_implied(kills->cell->job)) {
        return WEIR_OK;
    }
    if (options->inputs.count != 1) {
        *why_not_out = "it has several inputs, and what is read first is left to chance";
        return WEIR_OK;
    }
    kills->reference = plain;
    WR_TRY(run_undisturbed(kills, plain, 0));
    WR_TRY(run_undisturbed(kills, other, OTHER_EPOCH_RECORDS));
    WR_TRY(wr_bench_compare(kills->bench->env, kills->cell->job, NULL, plain, other, &difference,
                            kills->error));
    if (difference.lost || difference.repeated || difference.reordered ||
        difference.state_errors > 0) {
        *why_not_out = "two undisturbed runs of it gave different output";
    } else if (difference.expected == 0) {
        *why_not_out = "it has no output for generated records";
    }
    return WEIR_OK;
}

/* Kills, starts again, compares. */
static weir_status measure(struct kills *kills, const struct wr_run_options *options,
                           int64_t wanted)
{
    struct wr_difference difference;
    const char *input = options->inputs.items[0].value, *why_not = NULL;
    WR_TRY(refer(kills, options, &why_not));
    if (why_not) {
        kills->damage->why_not = why_not;
        return WEIR_OK;
    }
    WR_TRY(run_attempts(kills, options, wanted));
    WR_TRY(wr_bench_compare(kills->bench->env, kills->cell->job, input, kills->reference,
                            kills->store, &difference, kills->error));
    kills->damage->expected = difference.expected;
    kills->damage->lost = difference.lost;
    kills->damage->repeated = difference.repeated;
    kills->damage->reordered = difference.reordered;
    kills->damage->state_errors = difference.state_errors;
    return WEIR_OK;
}

static weir_status prepare_and_measure(struct kills *kills, int64_t wanted)
{
    struct wr_run_options options;
    kills->run_folder = path_of(kills, "run");
    kills->store = path_of(kills, "run/bench.weir");
    if (!kills->run_folder || !kills->store) {
        return wr_fail_memory(kills->error);
    }
    WR_TRY(make_folder(kills->folder, kills->error));
    weir_status status = make_options(kills, kills->cell, kills->store, &options);
    if (status == WEIR_OK) {
        status = measure(kills, &options, wanted);
    }
    wr_run_options_fini(&options);
    return status;
}

weir_status wr_bench_kill(struct wr_bench *bench, const struct wr_bench_cell *cell, int64_t kills,
                          struct wr_bench_damage *damage_out, struct wr_error *error)
{
    struct kills all = {.bench = bench,
                        .cell = cell,
                        .random = bench->seed ^ ((uint64_t)cell->delivery << 32),
                        .damage = damage_out,
                        .error = error};
    struct wr_error removing = {.status = WEIR_OK};
    wr_assert(cell->kind == WR_BENCH_WEIR && cell->records > 0 && kills >= 0);
    *damage_out = (struct wr_bench_damage){.state_errors = -1};
    if (cell->records > WR_COMPARE_RECORDS_MAX / 2) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "a job of %" PRId64
                       " records cannot be killed and compared; %d are the most",
                       cell->records, WR_COMPARE_RECORDS_MAX / 2);
    }
    snprintf(all.folder, sizeof all.folder, "%s/kills", bench->folder);
    wr_arena_init(&all.arena, 0);
    weir_status status = prepare_and_measure(&all, kills);
    if (wr_bench_remove(all.folder, &removing) != WEIR_OK && status == WEIR_OK) {
        *error = removing;
        status = removing.status;
    }
    wr_arena_fini(&all.arena);
    return status;
}
