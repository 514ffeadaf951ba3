/* test_alloc_sql.c: whichever allocation of weir's or SQLite's fails, and whichever read or write,
 * while statements are told records, is no record's fault: the run ends, and in the end each record
 * took effect once, or is the dead letter that it would have been.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/test_kit.h"
#include "tests/lib/fail_alloc.h"
#include "tests/lib/fail_io.h"

enum { STEP_ONE_UNTIL = 40, RECORDS = 12 };

static const char file_text[] =
    "-- name: setup\n"
    "CREATE TABLE IF NOT EXISTS t(v, j CHECK(json_valid(j)));\n"
    "CREATE TABLE IF NOT EXISTS sums(k PRIMARY KEY, n, s);\n"
    "CREATE TABLE IF NOT EXISTS batches(n, s);\n"
    "-- name: record\n"
    "INSERT INTO t VALUES(:value, :headers);\n"
    "INSERT INTO sums VALUES(:key, 1, :value ->> '$.n')\n"
    "    ON CONFLICT DO UPDATE SET n = n + 1, s = s + excluded.s;\n"
    "-- name: batch\n"
    "INSERT INTO batches SELECT :count, sum(json(value ->> '$.value') ->> '$.n')\n"
    "    FROM json_each(:records);\n";

static void define(weir_job *job)
{
    weir_into(weir_from(job, "in", NULL), "told", "sql:alloc.sql");
}

static int64_t next_n(int64_t n)
{
    return n < STEP_ONE_UNTIL || getenv("WEIR_LONG") ? n + 1 : n + n / 5;
}

static void check(weir_test *test, int64_t n)
{
    static const char expected[] = "8 48; 8 48; 8 48; 4 malformed JSON";
    weir_bytes found = weir_test_query(
        test, "SELECT (SELECT count(*) || ' ' || sum(v ->> '$.n') FROM t) || '; ' ||"
              " (SELECT n || ' ' || s FROM sums) || '; ' ||"
              " (SELECT sum(n) || ' ' || sum(s) FROM batches) || '; ' ||"
              " (SELECT count(DISTINCT offset) || ' ' || substr(min(reason), 1, 14) FROM reject)");
    if (found.size != sizeof expected - 1 || memcmp(found.data, expected, found.size) != 0) {
        fail_msg("%lld: %.*s", (long long)n, (int)found.size, (const char *)found.data);
    }
    assert_int_equal(weir_test_rejects(test), 4);
}

static weir_test *full_test(void)
{
    static const weir_test_options options = {.epoch_records = 3};
    weir_test *test = weir_test_new(define, &options);
    weir_header header = {"h", weir_text("v")};
    for (int i = 0; i < RECORDS; i++) {
        char value[32];
        snprintf(value, sizeof value, i % 3 == 2 ? "{n:%d}" : "{\"n\":%d}", i + 1);
        weir_record record = {.key = weir_text("k"), .value = weir_text(value), .time_ms = i};
        record.headers = &header;
        record.header_count = 1;
        weir_test_push(test, "in", 0, &record);
    }
    return test;
}

static void off(void)
{
    fail_alloc_off();
    fail_io_off();
}

/* What is armed has ended a start or a run; without it, a start succeeds. */
static void start_again(weir_test *test, int64_t n)
{
    off();
    enum wr_exit code = test->error.exit_code;
    if (code != WR_EXIT_AGAIN && code != WR_EXIT_IO) {
        fail_msg("%lld: %s", (long long)n, weir_test_error(test));
    }
    assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
}

/* Runs with what is armed; then without, to the end. */
static void run_and_check(weir_test *test, int64_t n)
{
    if (weir_test_run(test) != WEIR_OK) {
        start_again(test, n);
        assert_int_equal(weir_test_run(test), WEIR_OK);
    }
    off();
    check(test, n);
}

static bool fail_alloc(enum fail_alloc_of of, int64_t n)
{
    weir_test *test = full_test();
    fail_alloc_arm(of, n, n % 2 == 0);
    run_and_check(test, n);
    bool hit = fail_alloc_hit();
    weir_test_free(test);
    return hit;
}

/* One after the other, until there is no n-th one; that there are any is part of it. */
static void fail_each(bool (*nth)(enum fail_alloc_of, int64_t), enum fail_alloc_of of)
{
    int64_t n = 1;
    while (nth(of, n)) {
        n = next_n(n);
    }
    assert_true(n > 1);
}

static void memory_of_weir(void **state)
{
    (void)state;
    fail_each(fail_alloc, FAIL_ALLOC_WEIR);
}

static void memory_of_sqlite(void **state)
{
    (void)state;
    fail_each(fail_alloc, FAIL_ALLOC_SQLITE);
}

/* At a start: nothing of a setup is left, and the next start does it. */
static bool fail_start(enum fail_alloc_of of, int64_t n)
{
    weir_test *test = full_test();
    weir_test_crash(test);
    fail_alloc_arm(of, n, n % 2 == 0);
    weir_status status = weir_test_restart(test, NULL);
    bool hit = fail_alloc_hit();
    off();
    if (status != WEIR_OK) {
        assert_int_equal(test->error.exit_code, WR_EXIT_AGAIN);
        assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
    }
    run_and_check(test, n);
    weir_test_free(test);
    return hit;
}

static void memory_at_a_start(void **state)
{
    (void)state;
    fail_each(fail_start, FAIL_ALLOC_WEIR);
    fail_each(fail_start, FAIL_ALLOC_SQLITE);
}

/* From a start on: a run alone finds all that it reads in the cache. */
static void reads_and_writes(void **state)
{
    (void)state;
    static const struct {
        enum fail_io_call call;
        enum fail_io_how how;
    } cases[] = {{FAIL_IO_WRITE, FAIL_IO_FULL},
                 {FAIL_IO_WRITE, FAIL_IO_HALF},
                 {FAIL_IO_READ, FAIL_IO_ERROR},
                 {FAIL_IO_SYNC, FAIL_IO_ERROR}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool hit = true;
        int64_t n = 0;
        while (hit) {
            weir_test *test = full_test();
            n++;
            weir_test_crash(test);
            fail_io_arm(cases[i].call, cases[i].how, n, n % 2 == 0);
            if (weir_test_restart(test, NULL) != WEIR_OK) {
                start_again(test, n);
            }
            run_and_check(test, n);
            hit = fail_io_hit();
            weir_test_free(test);
        }
        assert_true(n > 1);
    }
}

int main(void)
{
    fail_alloc_init();
    fail_io_init();
    FILE *file = fopen("alloc.sql", "w");
    if (!file || fputs(file_text, file) < 0 || fclose(file) != 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_of_weir),
        cmocka_unit_test(memory_of_sqlite),
        cmocka_unit_test(memory_at_a_start),
        cmocka_unit_test(reads_and_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
