/* course.c: measures what plan.c planned, in the order of plan.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/bench/compare.h"
#include "engine/bench/kafka.h"
#include "engine/bench/plan.h"

enum {
    KILL_RECORDS_MIN = 200,
    KILL_RECORDS_MAX = 1000000, /* both sides of the comparison are held in memory */
};
#define KILL_SECONDS 0.6 /* as long as a run that is to be killed would take undisturbed */

struct course {
    struct wr_bench *bench;
    const struct wr_bench_options *options;
    struct wr_bench_results *results;
    const struct wr_bench_view *view;
    int64_t started_us;
    double planned, done; /* seconds, by the plan */
    struct wr_error *error;
};

/* ---- One run --------------------------------------------------------------------------------- */

static weir_status run_cell(struct course *course, const struct wr_bench_cell *cell,
                            struct wr_bench_run *run_out)
{
    if (cell->route != WR_BENCH_GENERATED) {
        return cell->rate > 0 ? wr_bench_kafka_lag(course->bench, cell, run_out, course->error)
                              : wr_bench_kafka_run(course->bench, cell, run_out, course->error);
    }
    switch (cell->kind) {
    case WR_BENCH_WEIR:
    case WR_BENCH_NO_POSITIONS:
        return wr_bench_cell_run(course->bench, cell, run_out, course->error);
    case WR_BENCH_LOOP:
    case WR_BENCH_LOOP_DIRECT:
        return wr_bench_loop_run(course->bench, cell, run_out, course->error);
    case WR_BENCH_RAW_OVERWRITE:
    case WR_BENCH_RAW_APPEND:
        return wr_bench_raw_run(course->bench, cell, run_out, course->error);
    }
    return WEIR_OK;
}

/* Puts the cell's name before the text of an error. */
static weir_status name_cell(struct course *course, const struct wr_bench_cell *cell)
{
    struct wr_error *error = course->error;
    char epoch[64], text[WR_ERROR_TEXT_MAX];
    const char *route = wr_bench_route_name(cell->route);
    if (error->native != EINTR) {
        wr_bench_epoch_name(cell, epoch, sizeof epoch);
        snprintf(text, sizeof text, "cannot measure %.200s, %s%s%s, epoch %s, sync %s: %.700s",
                 cell->job->name, route ? route : "", route ? ", " : "", wr_bench_cell_name(cell),
                 epoch, wr_bench_sync_name(cell->sync), error->text);
        memcpy(error->text, text, sizeof text);
    }
    return error->status;
}

/* By the plan, corrected by how long what is done took. */
static double seconds_left(const struct course *course)
{
    int64_t now_us = course->bench->env->monotonic_us(course->bench->env);
    double took = (double)(now_us - course->started_us) / 1e6,
           left = course->planned - course->done;
    if (course->planned <= 0) {
        return NAN;
    }
    double factor = course->done > 2 ? took / course->done : 1;
    return left > 0 ? left * factor : 0;
}

static weir_status begin(struct course *course, const struct wr_bench_result *item)
{
    WR_TRY(course->view->check(course->view->data, course->error));
    if (wr_bench_stopped()) {
        return wr_fail_native(course->error, WEIR_RETRY, WR_EXIT_AGAIN, EINTR,
                              "stopped by a signal");
    }
    course->view->begins(course->view->data, item, seconds_left(course));
    return WEIR_OK;
}

static weir_status run_one(struct course *course, const struct wr_bench_result *item,
                           const struct wr_bench_cell *cell, struct wr_bench_sample *sample_out)
{
    struct wr_bench_run run = {.records = 0};
    WR_TRY(begin(course, item));
    if (run_cell(course, cell, &run) != WEIR_OK) {
        return name_cell(course, cell);
    }
    wr_bench_sample_of(&run, sample_out);
    course->done += wr_bench_run_seconds(course->options);
    return WEIR_OK;
}

/* ---- Throughput ------------------------------------------------------------------------------ */

static bool is_raw(const struct wr_bench_result *item)
{
    return item->cell.kind == WR_BENCH_RAW_OVERWRITE || item->cell.kind == WR_BENCH_RAW_APPEND;
}

/* A raw transaction is what the group's first mode had on average in its first run. */
static void size_raw(struct wr_bench_result *raw, const struct wr_bench_result *beside)
{
    const struct wr_bench_sample *run = &beside->runs[0];
    if (run->epochs > 0) {
        double records = (double)run->records / (double)run->epochs;
        raw->cell.transaction_records = records;
        raw->cell.transaction_bytes = records * run->figures[WR_BENCH_BYTES_PER_RECORD];
    }
}

static weir_status throw_group(struct course *course, struct wr_bench_result *items, size_t count)
{
    const struct wr_bench_view *view = course->view;
    size_t repeats = (size_t)course->options->repeats;
    for (size_t repeat = 0; repeat < repeats; repeat++) {
        for (size_t i = 0; i < count; i++) {
            struct wr_bench_result *item = &items[i];
            if (is_raw(item) && repeat == 0) {
                size_raw(item, items);
            }
            if (is_raw(item) && !(item->cell.transaction_bytes > 0)) {
                continue; /* nothing was decided that could be written */
            }
            WR_TRY(run_one(course, item, &item->cell, &item->runs[repeat]));
            item->run_count = repeat + 1;
        }
    }
    for (size_t i = 0; i < count; i++) {
        view->threw(view->data, course->results, &items[i]);
    }
    return WEIR_OK;
}

/* ---- Latency --------------------------------------------------------------------------------- */

/* The same rates for all modes of a group, by its first one, so that they can be compared. */
static void set_rates(struct wr_bench_result *items, size_t count)
{
    struct wr_bench_spread speed =
        wr_bench_spread_of(items[0].runs, items[0].run_count, WR_BENCH_RECORDS_PER_S);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < items[i].latency_count; j++) {
            struct wr_bench_latency *latency = &items[i].latency[j];
            if (latency->percent > 0 && speed.count > 0) {
                double rate = speed.median * (double)latency->percent / 100;
                latency->rate = rate > 1 ? (int64_t)rate : 1;
            }
        }
    }
}

static weir_status lag_group(struct course *course, struct wr_bench_result *items, size_t count)
{
    const struct wr_bench_view *view = course->view;
    size_t repeats = wr_bench_latency_repeats(course->options);
    set_rates(items, count);
    for (size_t repeat = 0; repeat < repeats; repeat++) {
        for (size_t i = 0; i < count; i++) {
            struct wr_bench_result *item = &items[i];
            for (size_t j = 0; j < item->latency_count; j++) {
                struct wr_bench_latency *latency = &item->latency[j];
                struct wr_bench_cell cell = item->cell;
                cell.rate = latency->rate;
                if (cell.rate > 0) {
                    WR_TRY(run_one(course, item, &cell, &latency->runs[repeat]));
                    latency->run_count = repeat + 1;
                }
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (items[i].latency_count > 0) {
            view->lagged(view->data, course->results, &items[i]);
        }
    }
    return WEIR_OK;
}

/* ---- Kills ----------------------------------------------------------------------------------- */

static int64_t kill_records(const struct course *course, const struct wr_bench_result *item)
{
    if (item->cell.route != WR_BENCH_GENERATED) { /* room for as many that are repeated */
        int64_t most = WR_COMPARE_RECORDS_MAX / 4;
        return item->cell.records < most ? item->cell.records : most;
    }
    struct wr_bench_spread speed =
        wr_bench_spread_of(item->runs, item->run_count, WR_BENCH_RECORDS_PER_S);
    double records = speed.count > 0 ? speed.median * KILL_SECONDS : 0;
    if (course->options->records > 0) {
        records = (double)course->options->records;
    }
    records = records > KILL_RECORDS_MIN ? records : KILL_RECORDS_MIN;
    return records < KILL_RECORDS_MAX ? (int64_t)records : KILL_RECORDS_MAX;
}

/* What is found of a job in one mode holds in all. NULL: nothing. */
static const char *why_not(const struct course *course, const struct wr_bench_job *job)
{
    for (size_t i = 0; i < course->results->count; i++) {
        const struct wr_bench_result *item = &course->results->items[i];
        if (item->cell.job == job && item->damage.why_not) {
            return item->damage.why_not;
        }
    }
    return NULL;
}

static weir_status kill_cell(struct course *course, struct wr_bench_result *item,
                             const struct wr_bench_cell *cell)
{
    if (cell->route == WR_BENCH_GENERATED) {
        return wr_bench_kill(course->bench, cell, item->kills, &item->damage, course->error);
    }
    return wr_bench_kafka_kill(course->bench, cell, item->kills, course->options->broker_kills,
                               &item->damage, course->error);
}

static weir_status kill_item(struct course *course, struct wr_bench_result *item)
{
    const struct wr_bench_view *view = course->view;
    const char *known = why_not(course, item->cell.job);
    struct wr_bench_cell cell = item->cell;
    cell.records = kill_records(course, item);
    WR_TRY(begin(course, item));
    if (!known && kill_cell(course, item, &cell) != WEIR_OK) {
        return name_cell(course, &cell);
    }
    item->has_damage = !known && !item->damage.why_not;
    course->done += wr_bench_kill_seconds(item->kills);
    view->damaged(view->data, course->results, item);
    return WEIR_OK;
}

/* ---- All ------------------------------------------------------------------------------------- */

/* Calls `each` with the items of each group. */
static weir_status each_group(struct course *course,
                              weir_status (*each)(struct course *, struct wr_bench_result *,
                                                  size_t))
{
    struct wr_bench_result *items = course->results->items;
    size_t count = course->results->count;
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && items[end].group == items[first].group;) {
            end++;
        }
        WR_TRY(each(course, items + first, end - first));
    }
    return WEIR_OK;
}

weir_status wr_bench_measure(struct wr_bench *bench, const struct wr_bench_options *options,
                             struct wr_bench_results *results, const struct wr_bench_view *view,
                             struct wr_error *error)
{
    struct course course = {.bench = bench,
                            .options = options,
                            .results = results,
                            .view = view,
                            .started_us = bench->env->monotonic_us(bench->env),
                            .planned = wr_bench_plan_seconds(options, results),
                            .error = error};
    WR_TRY(each_group(&course, throw_group));
    WR_TRY(each_group(&course, lag_group));
    for (size_t i = 0; i < results->count; i++) {
        if (results->items[i].kills > 0) {
            WR_TRY(kill_item(&course, &results->items[i]));
        }
    }
    return WEIR_OK;
}
