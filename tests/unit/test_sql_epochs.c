/* test_sql_epochs.c: each record that statements are told has its effect or its dead letter once,
 * however epochs are cut, undone and crashed.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/file_run.h"
#include "tests/lib/kit.h"

enum { RECORDS = 40 };

/* Every third record fails once and undoes its epoch; odd ones go to one sink, even ones to the
 * other, and both tell the same table. */
struct flaky {
    bool failed[RECORDS];
};

static void split(weir_ctx *ctx, const weir_record *in, void *arg)
{
    struct flaky *flaky = arg;
    int64_t offset;
    weir_origin(ctx, NULL, NULL, &offset);
    if (offset % 3 == 2 && !flaky->failed[offset]) {
        flaky->failed[offset] = true;
        weir_fail(ctx, WEIR_RETRY, "again");
        return;
    }
    weir_emit_to(ctx, offset % 2 ? 1 : 0, in);
    if (offset % 5 == 4) { /* two of one unit */
        weir_emit_to(ctx, offset % 2 ? 1 : 0, in);
    }
}

static void define_two(weir_job *job)
{
    struct flaky *flaky = weir_alloc(job, sizeof *flaky);
    weir_stream *node = weir_through(weir_from(job, "in", NULL), "split", split, flaky);
    weir_into(node, "even", "sql:told.sql");
    weir_into(weir_side(node, 1), "odd", "sql:odd.sql");
}

static const char trail[] =
    "SELECT (SELECT group_concat(who || v, ' ') FROM (SELECT * FROM trail ORDER BY n))"
    " || '; ' || (SELECT sum(total) FROM sums) || '; ' || (SELECT sum(n) FROM batches)"
    " || '; ' || (SELECT group_concat(node || offset || seq, ' ') FROM"
    " (SELECT * FROM reject ORDER BY offset, seq))";

static void write_trails(void)
{
    static const char format[] =
        "-- name: setup\n"
        "CREATE TABLE IF NOT EXISTS trail(n INTEGER PRIMARY KEY, who, v);\n"
        "CREATE TABLE IF NOT EXISTS sums(who PRIMARY KEY, total);\n"
        "CREATE TABLE IF NOT EXISTS batches(who, n);\n"
        "-- name: record\n"
        "INSERT INTO trail(who, v) VALUES('%s', :value);\n"
        "INSERT INTO sums VALUES('%s', :value)"
        " ON CONFLICT DO UPDATE SET total = total + excluded.total;\n"
        "SELECT json('no') WHERE :value %% 7 = 6;\n"
        "-- name: batch\n"
        "INSERT INTO batches VALUES('%s', :count);\n";
    static const char *const names[][2] = {{"told.sql", "e"}, {"odd.sql", "o"}};
    for (size_t i = 0; i < 2; i++) {
        char text[sizeof format + 100];
        snprintf(text, sizeof text, format, names[i][1], names[i][1], names[i][1]);
        file_put(names[i][0], text);
    }
}

static weir_test *new_two(int64_t epoch_records, bool late)
{
    weir_test_options options = {.epoch_records = epoch_records, .decide_late = late};
    weir_test *test = weir_test_new(define_two, &options);
    for (int i = 0; i < RECORDS; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        weir_test_text(test, "in", NULL, value, i);
    }
    return test;
}

/* What is told depends neither on where epochs end nor on how many were undone. */
static void epochs_do_not_matter(void **state)
{
    (void)state;
    char expected[512];
    write_trails();
    weir_test *test = new_two(1, false);
    kit_must(test, weir_test_run(test));
    snprintf(expected, sizeof expected, "%s", kit_query(test, trail));
    assert_int_equal(strncmp(expected, "e0 o1 e2 o3 e4 e4 o5 o7 e8 o9 o9 e10", 36), 0);
    weir_test_free(test);
    for (int64_t size = 2; size < 50; size += size < 6 ? 1 : 11) {
        test = new_two(size, size % 2 == 0);
        kit_must(test, weir_test_run(test));
        assert_string_equal(kit_query(test, trail), expected);
        weir_test_free(test);
    }
}

/* A crash at each fault point that is passed, at several of its passings. */
static void crashes_do_not_matter(void **state)
{
    (void)state;
    char expected[512];
    int crashes = 0;
    write_trails();
    weir_test *test = new_two(5, false);
    kit_must(test, weir_test_run(test));
    snprintf(expected, sizeof expected, "%s", kit_query(test, trail));
    weir_test_free(test);
    for (int point = 0; weir_test_fault(point); point++) {
        for (int count = 1; count < 8; count += 3) {
            test = new_two(5, count == 4);
            assert_true(weir_test_crash_at(test, weir_test_fault(point), count));
            if (weir_test_run(test) != WEIR_OK) {
                assert_true(weir_test_crashed(test));
                crashes++;
                kit_must(test, weir_test_restart(test, NULL));
                kit_must(test, weir_test_run(test));
            }
            if (strcmp(kit_query(test, trail), expected) != 0) {
                fail_msg("%s:%d: %s instead of %s", weir_test_fault(point), count,
                         kit_query(test, trail), expected);
            }
            weir_test_free(test);
        }
    }
    assert_true(crashes > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epochs_do_not_matter),
        cmocka_unit_test(crashes_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
