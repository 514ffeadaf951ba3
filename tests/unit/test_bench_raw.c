/* test_bench_raw.c: raw runs of `weir bench` write and sync what they say.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/bench/bench.h"
#include "tests/lib/bench_place.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct wr_bench_cell cell_of(enum wr_bench_kind kind)
{
    return (struct wr_bench_cell){
        .kind = kind, .job = wr_bench_job_find("count"), .sync = WR_SYNC_FULL};
}

static void raw_runs_write_what_they_say(void **state)
{
    (void)state;
    static const struct {
        enum wr_bench_kind kind;
        enum wr_sync sync;
        double bytes;
        int64_t epochs, fsyncs;
    } cases[] = {
        {WR_BENCH_RAW_OVERWRITE, WR_SYNC_FULL, 4096.4, 25, 25},
        {WR_BENCH_RAW_APPEND, WR_SYNC_FULL, 1, 25, 25},
        {WR_BENCH_RAW_OVERWRITE, WR_SYNC_OFF, 1e6, 25, 0},
        {WR_BENCH_RAW_APPEND, WR_SYNC_OFF, 1e5, 25, 0},
        /* Four of them go into 4 MiB, so 25 make it start over six times. */
        {WR_BENCH_RAW_OVERWRITE, WR_SYNC_NORMAL, 1e6, 25, 6},
        {WR_BENCH_RAW_APPEND, WR_SYNC_NORMAL, 1e6, 25, 6},
        {WR_BENCH_RAW_OVERWRITE, WR_SYNC_FULL, 9e6, 25, 25}, /* larger than the file would be */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bench_place place;
        struct wr_bench_run run_of;
        struct wr_bench_cell cell = cell_of(cases[i].kind);
        cell.records = 247;
        cell.transaction_records = 10;
        cell.transaction_bytes = cases[i].bytes;
        cell.sync = cases[i].sync;
        bench_place_open(&place);

        assert_int_equal(wr_bench_raw_run(&place.bench, &cell, &run_of, &place.error), WEIR_OK);

        assert_int_equal(run_of.records, 250);
        assert_int_equal(run_of.epochs, cases[i].epochs);
        assert_int_equal(run_of.bytes_written, (int64_t)cases[i].bytes * 25);
        assert_int_equal(run_of.fsyncs, cases[i].fsyncs);
        assert_int_equal(wr_histogram_count(&run_of.decide), 25);
        assert_true(run_of.seconds > 0);
        bench_place_close(&place);
    }
}

/* The kernel agrees: a file may have as many bytes as an appending run says, and not one fewer. */
static void appended_bytes_are_in_the_file(void **state)
{
    (void)state;
    struct bench_place place;
    struct wr_bench_run run_of;
    struct wr_bench_cell cell = cell_of(WR_BENCH_RAW_APPEND);
    struct rlimit before, limit;
    cell.records = 100;
    cell.transaction_records = 1;
    cell.transaction_bytes = 1000;
    cell.sync = WR_SYNC_OFF;
    bench_place_open(&place);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;

    limit.rlim_cur = 100000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(wr_bench_raw_run(&place.bench, &cell, &run_of, &place.error), WEIR_OK);
    limit.rlim_cur = 99999;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_not_equal(wr_bench_raw_run(&place.bench, &cell, &run_of, &place.error), WEIR_OK);

    setrlimit(RLIMIT_FSIZE, &before);
    assert_non_null(strstr(place.error.text, "cannot write "));
    assert_int_equal(place.error.exit_code, WR_EXIT_IO);
    bench_place_close(&place);
}

static void raw_runs_that_cannot_be_say_why(void **state)
{
    (void)state;
    struct bench_place place;
    struct wr_bench_run run_of;
    struct wr_bench_cell cell = cell_of(WR_BENCH_RAW_OVERWRITE);
    cell.seconds = 0.01;
    bench_place_open(&place);

    assert_int_equal(wr_bench_raw_run(&place.bench, &cell, &run_of, &place.error), WEIR_MISUSE);
    assert_int_equal(place.error.exit_code, WR_EXIT_BUG);

    wr_error_clear(&place.error);
    cell.transaction_bytes = 100;
    cell.transaction_records = 1.5;
    assert_int_equal(wr_bench_raw_run(&place.bench, &cell, &run_of, &place.error), WEIR_OK);
    assert_true(run_of.epochs > 0 && run_of.seconds >= 0.01);

    struct wr_bench gone = place.bench;
    strcat(gone.folder, "/gone");
    assert_int_not_equal(wr_bench_raw_run(&gone, &cell, &run_of, &place.error), WEIR_OK);
    assert_non_null(strstr(place.error.text, "cannot make "));
    assert_int_equal(place.error.exit_code, WR_EXIT_NO_INPUT);
    bench_place_close(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw_runs_write_what_they_say),
        cmocka_unit_test(appended_bytes_are_in_the_file),
        cmocka_unit_test(raw_runs_that_cannot_be_say_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
