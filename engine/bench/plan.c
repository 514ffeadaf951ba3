/* plan.c: see plan.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/bench/plan.h"

#include <string.h>

#include "engine/bench/kills.h"

enum {
    REPEATS = 5,
    KILLS = 3,
    KEYS = 100000,
    VALUE_BYTES = 100,
    KAFKA_RECORDS = 2000000,
    KAFKA_REPEATS = 3,
    FORWARD_MS = 100,
};
#define KAFKA_SECONDS 5.0 /* of a run at a rate */
#define SECONDS 0.35
#define SECONDS_FULL 1.0
/* Of each run beside its seconds: a process, a new store, its removal. Of a kill: about two starts,
 * and the comparison's share. */
#define RUN_PRICE_S 0.06
#define KILL_PRICE_S 0.6

/* ---- Defaults -------------------------------------------------------------------------------- */

static void fill_lists(struct wr_bench_options *options)
{
    static const char *const jobs[] = {"count", "copy", "wordcount"};
    static const int64_t epochs[] = {1, 0}, epochs_full[] = {1, 10, 100, 1000, 10000, 0};
    static const enum wr_delivery deliveries[] = {WR_EXACTLY_ONCE, WR_AT_LEAST_ONCE,
                                                  WR_AT_MOST_ONCE};
    static const enum wr_sync syncs[] = {WR_SYNC_FULL, WR_SYNC_NORMAL, WR_SYNC_OFF};
    bool full = options->full;
    if (options->job_count == 0) {
        for (options->job_count = 0; options->job_count < (full ? 3 : 1); options->job_count++) {
            options->jobs[options->job_count] = wr_bench_job_find(jobs[options->job_count]);
        }
    }
    if (options->delivery_count == 0) {
        memcpy(options->deliveries, deliveries, sizeof deliveries);
        options->delivery_count = sizeof deliveries / sizeof *deliveries;
    }
    if (options->sync_count == 0) {
        memcpy(options->syncs, syncs, sizeof syncs);
        options->sync_count = full ? sizeof syncs / sizeof *syncs : 1;
    }
    if (options->epoch_records_count == 0 && options->epoch_ms_count == 0) {
        size_t size = full ? sizeof epochs_full : sizeof epochs;
        memcpy(options->epoch_records, full ? epochs_full : epochs, size);
        options->epoch_records_count = size / sizeof *epochs;
    }
    /* One that stands for "not given" makes the loops over both lists the same in any case. */
    options->epoch_records_count += options->epoch_records_count == 0;
    options->epoch_ms_count += options->epoch_ms_count == 0;
}

static void fill_kafka(struct wr_bench_options *options)
{
    if (options->job_count == 0) {
        options->jobs[options->job_count++] = wr_bench_job_find("copy");
        options->jobs[options->job_count++] = wr_bench_job_find("count");
    }
    if (options->forward_ms_count == 0) {
        options->forward_ms[options->forward_ms_count++] = FORWARD_MS;
    }
    options->epoch_records_count = 1; /* adaptive */
    options->records = options->records > 0 ? options->records : KAFKA_RECORDS;
    options->repeats = options->repeats > 0 ? options->repeats : KAFKA_REPEATS;
    options->seconds = options->seconds > 0 ? options->seconds : KAFKA_SECONDS;
    if (options->broker_kills < 0) {
        options->broker_kills = strchr(options->kafka, '/') != NULL;
    }
}

void wr_bench_options_fill(struct wr_bench_options *options)
{
    if (options->kafka) {
        fill_kafka(options);
    }
    fill_lists(options);
    options->keys = options->keys > 0 ? options->keys : KEYS;
    options->value_bytes = options->value_bytes > 0 ? options->value_bytes : VALUE_BYTES;
    options->repeats = options->repeats > 0 ? options->repeats : REPEATS;
    options->kills = options->kills >= 0 ? options->kills : KILLS;
    if (options->seconds <= 0) {
        options->seconds = options->full ? SECONDS_FULL : SECONDS;
    }
}

/* ---- Cells ----------------------------------------------------------------------------------- */

struct plan {
    const struct wr_bench_options *options;
    struct wr_arena *arena;
    struct wr_bench_results *results;
    size_t group;
};

static bool make_runs(struct plan *plan, size_t count, struct wr_bench_sample **runs_out)
{
    *runs_out = wr_arena_zalloc(plan->arena, count * sizeof **runs_out);
    return *runs_out != NULL;
}

size_t wr_bench_latency_repeats(const struct wr_bench_options *options)
{
    return (size_t)(options->repeats + 2) / 3;
}

static bool make_latency(struct plan *plan, struct wr_bench_result *item)
{
    static const int64_t percents[] = {50, 80};
    if (item->cell.route == WR_BENCH_KAFKA_TO_LOG) {
        return true; /* what its reader would be is the store's own */
    }
    bool one = plan->options->rate > 0 || item->cell.route == WR_BENCH_KAFKA_TO_KAFKA;
    item->latency_count = one ? 1 : 2;
    bool good = true;
    for (size_t i = 0; i < item->latency_count; i++) {
        item->latency[i] = (struct wr_bench_latency){.percent = percents[i]};
        if (plan->options->rate > 0) {
            item->latency[i] = (struct wr_bench_latency){.rate = plan->options->rate};
        }
        good = good &&
               make_runs(plan, wr_bench_latency_repeats(plan->options), &item->latency[i].runs);
    }
    return good;
}

static bool add(struct plan *plan, const struct wr_bench_cell *cell, int64_t kills)
{
    struct wr_bench_result *item = &plan->results->items[plan->results->count++];
    *item = (struct wr_bench_result){.cell = *cell, .group = plan->group, .kills = kills};
    return make_runs(plan, (size_t)plan->options->repeats, &item->runs) &&
           (cell->kind != WR_BENCH_WEIR || make_latency(plan, item));
}

/* The modes, and what they are compared with. */
static bool add_group(struct plan *plan, const struct wr_bench_cell *like, bool killed)
{
    static const enum wr_bench_kind baselines[] = {WR_BENCH_NO_POSITIONS, WR_BENCH_LOOP,
                                                   WR_BENCH_RAW_OVERWRITE, WR_BENCH_RAW_APPEND};
    const struct wr_bench_options *options = plan->options;
    bool good = true;
    for (size_t i = 0; i < options->delivery_count; i++) {
        struct wr_bench_cell cell = *like;
        cell.kind = WR_BENCH_WEIR;
        cell.delivery = options->deliveries[i];
        good = good && add(plan, &cell, killed ? options->kills : 0);
    }
    for (size_t i = 0; i < sizeof baselines / sizeof *baselines; i++) {
        struct wr_bench_cell cell = *like;
        cell.kind = baselines[i];
        cell.delivery = WR_AT_LEAST_ONCE;
        if (cell.kind == WR_BENCH_LOOP && !wr_bench_is_implied(cell.job)) {
            continue; /* nobody wrote one for a query or a job of the user's */
        }
        if (cell.kind == WR_BENCH_LOOP && cell.epoch_records == 0) {
            cell.epoch_records = WR_BENCH_LOOP_ADAPTIVE;
            cell.epoch_ms = 0;
        }
        good = good && add(plan, &cell, 0);
    }
    plan->group++;
    return good;
}

/* The modes, and the loops by hand. */
static bool add_kafka_group(struct plan *plan, const struct wr_bench_cell *like, bool killed)
{
    static const enum wr_bench_kind loops[] = {WR_BENCH_LOOP, WR_BENCH_LOOP_DIRECT};
    const struct wr_bench_options *options = plan->options;
    bool to_topic = like->route == WR_BENCH_KAFKA_TO_KAFKA, good = true;
    for (size_t i = 0; i < options->delivery_count; i++) {
        struct wr_bench_cell cell = *like;
        cell.delivery = options->deliveries[i];
        good = good && add(plan, &cell, killed ? options->kills : 0);
    }
    for (size_t i = 0; i < (to_topic ? 2 : 1); i++) {
        struct wr_bench_cell cell = *like;
        cell.kind = loops[i];
        cell.delivery = WR_AT_LEAST_ONCE;
        cell.epoch_records = to_topic ? 0 : WR_BENCH_LOOP_ADAPTIVE;
        good = good && add(plan, &cell, 0);
    }
    plan->group++;
    return good;
}

/* From a topic: into each topic, and of what keeps state also into the store. */
static bool add_kafka(struct plan *plan, struct wr_bench_cell *cell)
{
    const struct wr_bench_options *options = plan->options;
    bool first = cell->sync == options->syncs[0], good = true;
    cell->route = WR_BENCH_KAFKA_TO_KAFKA;
    for (size_t i = 0; i < options->forward_ms_count; i++) {
        cell->forward_ms = options->forward_ms[i];
        good = good && add_kafka_group(plan, cell, first && i == 0);
    }
    if (strcmp(cell->job->name, "count") == 0) {
        cell->route = WR_BENCH_KAFKA_TO_LOG;
        cell->forward_ms = 0;
        good = good && add_kafka_group(plan, cell, first);
    }
    return good;
}

/* Kills are done with the engine's own choice of epochs where that is measured, else the first. */
static bool kills_here(const struct wr_bench_options *options, const struct wr_bench_cell *cell)
{
    int64_t records = options->epoch_records[0];
    for (size_t i = 0; i < options->epoch_records_count; i++) {
        records = options->epoch_records[i] == 0 ? 0 : records;
    }
    return cell->sync == options->syncs[0] && cell->epoch_records == records &&
           cell->epoch_ms == options->epoch_ms[0];
}

static bool add_epochs(struct plan *plan, struct wr_bench_cell *cell)
{
    const struct wr_bench_options *options = plan->options;
    bool good = true;
    for (size_t i = 0; i < options->epoch_records_count; i++) {
        for (size_t j = 0; j < options->epoch_ms_count; j++) {
            cell->epoch_records = options->epoch_records[i];
            cell->epoch_ms = options->epoch_ms[j];
            good = good && add_group(plan, cell, kills_here(options, cell));
        }
    }
    return good;
}

weir_status wr_bench_plan(const struct wr_bench_options *options, struct wr_arena *arena,
                          struct wr_bench_results *results_out, struct wr_error *error)
{
    struct plan plan = {.options = options, .arena = arena, .results = results_out};
    size_t cells = options->job_count * options->sync_count * options->epoch_records_count *
                   options->epoch_ms_count * (options->forward_ms_count + 1) *
                   (options->delivery_count + 4);
    results_out->count = 0;
    results_out->repeats = options->repeats;
    results_out->items = wr_arena_zalloc(arena, cells * sizeof *results_out->items);
    bool good = results_out->items != NULL;
    for (size_t i = 0; i < options->job_count && good; i++) {
        for (size_t j = 0; j < options->sync_count && good; j++) {
            struct wr_bench_cell cell = {.job = options->jobs[i],
                                         .sync = options->syncs[j],
                                         .keys = options->keys,
                                         .value_bytes = options->value_bytes,
                                         .cache_bytes = options->cache_bytes,
                                         .records = options->records,
                                         .seconds = options->seconds};
            if (wr_bench_job_reads(cell.job, "nexmark")) { /* which has neither */
                cell.keys = 0;
                cell.value_bytes = 0;
            }
            good = options->kafka ? add_kafka(&plan, &cell) : add_epochs(&plan, &cell);
        }
    }
    return good ? WEIR_OK : wr_fail_memory(error);
}

/* ---- How long -------------------------------------------------------------------------------- */

double wr_bench_run_seconds(const struct wr_bench_options *options)
{
    return options->records > 0 ? 0 : options->seconds + RUN_PRICE_S;
}

double wr_bench_kill_seconds(int64_t kills)
{
    return kills > 0 ? (double)(kills + 2) * KILL_PRICE_S : 0;
}

double wr_bench_plan_seconds(const struct wr_bench_options *options,
                             const struct wr_bench_results *results)
{
    double seconds = 0;
    if (options->records > 0) {
        return 0;
    }
    for (size_t i = 0; i < results->count; i++) {
        const struct wr_bench_result *item = &results->items[i];
        size_t runs =
            (size_t)options->repeats + item->latency_count * wr_bench_latency_repeats(options);
        seconds +=
            (double)runs * wr_bench_run_seconds(options) + wr_bench_kill_seconds(item->kills);
    }
    return seconds;
}
