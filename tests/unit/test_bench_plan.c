/* test_bench_plan.c: what a bench measures by its options, and how runs are compared.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/bench/show.h"

static bool is(double value, double expected)
{
    return fabs(value - expected) < 1e-9;
}

/* ---- Plan ------------------------------------------------------------------------------------ */

static void plan(struct wr_bench_options *options, struct wr_arena *arena,
                 struct wr_bench_results *results)
{
    struct wr_error error = {.status = WEIR_OK};
    wr_arena_init(arena, 0);
    *results = (struct wr_bench_results){.count = 0};
    wr_bench_options_fill(options);
    assert_int_equal(wr_bench_plan(options, arena, results, &error), WEIR_OK);
}

/* The defaults: count, three modes and four baselines, at one record and adaptive, five runs each
 * (two at each of two rates), three kills of each mode where epochs are adaptive; in a minute. */
static void the_defaults(void **state)
{
    (void)state;
    struct wr_bench_options options = {.kills = -1};
    struct wr_bench_results results;
    struct wr_arena arena;
    plan(&options, &arena, &results);
    assert_int_equal(results.count, 14);
    assert_int_equal(results.repeats, 5);
    assert_int_equal(wr_bench_latency_repeats(&options), 2);
    assert_true(wr_bench_plan_seconds(&options, &results) < 60);
    for (size_t i = 0; i < results.count; i++) {
        const struct wr_bench_result *item = &results.items[i];
        bool is_weir = item->cell.kind == WR_BENCH_WEIR;
        assert_string_equal(item->cell.job->name, "count");
        assert_int_equal(item->group, i / 7);
        assert_int_equal(item->latency_count, is_weir ? 2 : 0);
        assert_int_equal(item->kills, is_weir && item->group == 1 ? 3 : 0);
        assert_int_equal(item->cell.sync, WR_SYNC_FULL);
        assert_int_equal(item->cell.epoch_records, item->group == 0 ? 1
                                                   : item->cell.kind == WR_BENCH_LOOP
                                                       ? WR_BENCH_LOOP_ADAPTIVE
                                                       : 0);
    }
    wr_arena_fini(&arena);
}

/* --full: everything, but for what was asked for otherwise. */
static void full_but_for_what_is_given(void **state)
{
    (void)state;
    struct wr_bench_options options = {.kills = 0, .full = true};
    struct wr_bench_results results;
    struct wr_arena arena;
    options.syncs[options.sync_count++] = WR_SYNC_OFF;
    plan(&options, &arena, &results);
    assert_int_equal(options.job_count, 3);
    assert_int_equal(results.count, 3 * 6 * 7);
    for (size_t i = 0; i < results.count; i++) {
        assert_int_equal(results.items[i].cell.sync, WR_SYNC_OFF);
        assert_int_equal(results.items[i].kills, 0);
    }
    wr_arena_fini(&arena);
}

/* Ages alone leave the number of records open; a job of the user's has no loop; by records, how
 * long it takes is not known. */
static void ages_and_a_job_from_a_file(void **state)
{
    (void)state;
    const struct wr_bench_job own = {.name = "./own.so"};
    struct wr_bench_options options = {.kills = -1, .records = 100, .rate = 50};
    struct wr_bench_results results;
    struct wr_arena arena;
    options.jobs[options.job_count++] = &own;
    options.epoch_ms[options.epoch_ms_count++] = 20;
    options.epoch_ms[options.epoch_ms_count++] = 200;
    options.deliveries[options.delivery_count++] = WR_AT_MOST_ONCE;
    plan(&options, &arena, &results);
    assert_int_equal(results.count, 2 * 4);
    assert_int_equal(results.items[0].cell.epoch_records, 0);
    assert_int_equal(results.items[0].cell.epoch_ms, 20);
    assert_int_equal(results.items[4].cell.epoch_ms, 200);
    assert_int_equal(results.items[0].kills, 3);
    assert_int_equal(results.items[4].kills, 0);
    assert_int_equal(results.items[0].latency_count, 1);
    assert_int_equal(results.items[0].latency[0].rate, 50);
    assert_null(wr_bench_peer(&results, 0, WR_BENCH_LOOP, WR_AT_LEAST_ONCE));
    assert_true(wr_bench_plan_seconds(&options, &results) == 0);
    wr_arena_fini(&arena);
}

/* ---- Figures --------------------------------------------------------------------------------- */

/* A run that decided nothing has no figures; no figure is infinite. */
static void nothing_decided_is_nothing_measured(void **state)
{
    (void)state;
    struct wr_bench_run run = {.records = 0};
    struct wr_bench_sample sample;
    wr_bench_sample_of(&run, &sample);
    for (int i = 0; i < WR_BENCH_READ_S; i++) {
        assert_true(isnan(sample.figures[i]));
    }
    assert_int_equal(wr_bench_spread_of(&sample, 1, WR_BENCH_RECORDS_PER_S).count, 0);
}

static void figures_of_a_run(void **state)
{
    (void)state;
    struct wr_bench_run run = {.records = 1000,
                               .epochs = 10,
                               .seconds = 0.5,
                               .input_bytes = 4000000,
                               .bytes_written = 2500,
                               .fsyncs = 20,
                               .cpu_seconds = 0.25,
                               .rss_kib = 64};
    struct wr_bench_sample sample;
    wr_histogram_add(&run.decide, 10, 9);
    wr_histogram_add(&run.decide, 15, 1);
    wr_bench_sample_of(&run, &sample);
    assert_true(is(sample.figures[WR_BENCH_RECORDS_PER_S], 2000));
    assert_true(is(sample.figures[WR_BENCH_MB_PER_S], 8));
    assert_true(is(sample.figures[WR_BENCH_BYTES_PER_RECORD], 2.5));
    assert_true(is(sample.figures[WR_BENCH_FSYNCS_PER_RECORD], 0.02));
    assert_true(is(sample.figures[WR_BENCH_CPU_S_PER_MILLION], 250));
    assert_true(is(sample.figures[WR_BENCH_RSS_KIB], 64));
    assert_true(is(sample.figures[WR_BENCH_DECIDE_P50_US], 10));
    assert_true(is(sample.figures[WR_BENCH_DECIDE_MAX_US], 15));
    assert_true(isnan(sample.figures[WR_BENCH_LATENCY_P50_US]));
}

/* Median (of an even number: between the two), lowest, highest; what was not measured is left out.
 * Ratios are of runs in the same place, and their median is not that of the medians. */
static void medians_and_ratios(void **state)
{
    (void)state;
    static const double speeds[] = {30, 10, 20, 50}, others[] = {10, 10, 40, 25};
    struct wr_bench_sample a[5], b[5];
    for (size_t i = 0; i < 5; i++) {
        a[i].figures[WR_BENCH_RECORDS_PER_S] = i < 4 ? speeds[i] : NAN;
        b[i].figures[WR_BENCH_RECORDS_PER_S] = i < 4 ? others[i] : 1;
    }
    struct wr_bench_spread spread = wr_bench_spread_of(a, 5, WR_BENCH_RECORDS_PER_S);
    assert_int_equal(spread.count, 4);
    assert_true(is(spread.median, 25) && is(spread.low, 10) && is(spread.high, 50));
    spread = wr_bench_spread_of(a, 3, WR_BENCH_RECORDS_PER_S);
    assert_true(is(spread.median, 20) && is(spread.high, 30));
    const struct wr_bench_result left = {.runs = a, .run_count = 5};
    const struct wr_bench_result right = {.runs = b, .run_count = 3};
    spread = wr_bench_ratio(&left, &right); /* 3, 1, 0.5 */
    assert_int_equal(spread.count, 3);
    assert_true(is(spread.median, 1) && is(spread.low, 0.5) && is(spread.high, 3));
    assert_int_equal(wr_bench_ratio(&left, NULL).count, 0);
}

/* ---- What is shown --------------------------------------------------------------------------- */

/* No number, however large or small, moves a row of the table beyond its 100 columns. */
static void rows_stay_within_their_columns(void **state)
{
    (void)state;
    static const double extremes[] = {NAN, 0, 0.01, 0.99951, 9.999, 99.99, 999.9, 123456.7, 1e8};
    for (size_t i = 0; i < sizeof extremes / sizeof *extremes; i++) {
        struct wr_bench_options options = {.kills = 0, .repeats = 2};
        struct wr_bench_results results;
        struct wr_arena arena;
        char *text = NULL;
        size_t size = 0;
        plan(&options, &arena, &results);
        FILE *file = open_memstream(&text, &size);
        assert_non_null(file);
        for (size_t j = 0; j < results.count; j++) {
            struct wr_bench_result *item = &results.items[j];
            for (size_t k = 0; k < WR_BENCH_FIGURES; k++) {
                item->runs[0].figures[k] = item->runs[1].figures[k] = extremes[i];
            }
            item->run_count = 2;
            wr_bench_table_throughput(file, &results, item);
        }
        assert_int_equal(fclose(file), 0);
        for (char *rest = NULL, *line = strtok_r(text, "\n", &rest); line;
             line = strtok_r(NULL, "\n", &rest)) {
            if (strlen(line) > 100) {
                fail_msg("%s", line);
            }
        }
        free(text);
        wr_arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults),
        cmocka_unit_test(full_but_for_what_is_given),
        cmocka_unit_test(ages_and_a_job_from_a_file),
        cmocka_unit_test(nothing_decided_is_nothing_measured),
        cmocka_unit_test(figures_of_a_run),
        cmocka_unit_test(medians_and_ratios),
        cmocka_unit_test(rows_stay_within_their_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
