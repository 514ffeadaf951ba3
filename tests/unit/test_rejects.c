/* test_rejects.c: dead letters in the sink of --rejects, and how many a store may hold.
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
#include "tests/lib/poison.h"

static const char *const with_sink[] = {"--rejects", "log:dead", NULL};

static weir_test *test_with(const char *const *set)
{
    poison_begin();
    weir_test_options options = {.set = set};
    weir_test *test = weir_test_new(poison_define, &options);
    if (weir_test_status(test) != WEIR_OK) {
        fail_msg("%s", weir_test_error(test));
    }
    return test;
}

static void must_run(weir_test *test)
{
    if (weir_test_run(test) != WEIR_OK) {
        fail_msg("%s", weir_test_error(test));
    }
}

/* The last header of a name; absent when there is none. */
static weir_bytes header_of(const weir_record *record, const char *name)
{
    weir_bytes value = {NULL, 0};
    for (size_t i = 0; i < record->header_count; i++) {
        if (strcmp(record->headers[i].name, name) == 0) {
            value = record->headers[i].value;
        }
    }
    return value;
}

static void header_is(const weir_record *record, const char *name, const char *value)
{
    weir_bytes found = header_of(record, name);
    if (!wr_bytes_equal(found, weir_text(value))) {
        fail_msg("header %s: `%.*s`, expected `%s`", name, (int)found.size,
                 found.data ? (const char *)found.data : "(absent)", value ? value : "(absent)");
    }
}

/* The sink gets what the node got, with its headers, and says where it came from and why. */
static void the_sink_says_where_from(void **state)
{
    (void)state;
    weir_test *test = test_with(with_sink);
    weir_header header = {"own", weir_text("x")};
    weir_record record = {.key = weir_text("k"),
                          .value = weir_text("bad"),
                          .time_ms = 77,
                          .headers = &header,
                          .header_count = 1};
    weir_test_text(test, "in", "k", "fine", 1);
    weir_test_push(test, "in", 0, &record);
    weir_test_text(test, "in", NULL, "number x", 78);
    must_run(test);
    assert_int_equal(weir_test_rejects(test), 2);
    assert_int_equal(weir_test_count(test, "rejects"), 2);
    const weir_record *dead = weir_test_record(test, "rejects", 0);
    assert_true(wr_bytes_equal(dead->key, record.key));
    assert_true(wr_bytes_equal(dead->value, record.value));
    assert_int_equal(dead->time_ms, 77);
    assert_int_equal(dead->header_count, 6);
    header_is(dead, "own", "x");
    header_is(dead, "weir.source", "in");
    header_is(dead, "weir.partition", "0");
    header_is(dead, "weir.offset", "1");
    header_is(dead, "weir.node", "node");
    header_is(dead, "weir.reason", "bad as asked");
    dead = weir_test_record(test, "rejects", 1); /* a sink's: as it got it */
    assert_null(dead->key.data);
    header_is(dead, "weir.node", "numbers");
    header_is(dead, "weir.offset", "2");
    weir_test_free(test);
}

/* A timer's dead letter has no source, and the timer's name. */
static void a_timers_dead_letter(void **state)
{
    (void)state;
    weir_test *test = test_with(with_sink);
    weir_test_text(test, "in", "k", "wake bad", 1);
    must_run(test);
    assert_int_equal(weir_test_drain(test), WEIR_OK);
    const weir_record *dead = weir_test_record(test, "rejects", 0);
    assert_non_null(dead);
    assert_true(wr_bytes_equal(dead->key, weir_text("k")));
    assert_null(dead->value.data);
    assert_int_equal(dead->time_ms, 11);
    header_is(dead, "weir.source", NULL);
    header_is(dead, "weir.offset", NULL);
    header_is(dead, "weir.timer", "bad");
    weir_test_free(test);
}

/* A record of the largest size has no room for more headers: what does not fit is left out, named,
 * and whole in the store. */
static void what_does_not_fit_is_cut(void **state)
{
    (void)state;
    static const char *const set[] = {"--rejects", "log:dead", "--on-error", "reject", NULL};
    weir_test *test = test_with(set);
    char *large = malloc(WR_RECORD_BYTES_MAX);
    weir_header *many = calloc(WR_HEADERS_MAX, sizeof *many);
    assert_true(large && many);
    memset(large, ' ', WR_RECORD_BYTES_MAX);
    memcpy(large, "poison", 7);
    for (size_t i = 0; i < WR_HEADERS_MAX; i++) {
        many[i] = (weir_header){"h", {NULL, 0}};
    }
    weir_header wide = {"wide", {large, 500000}};
    weir_record records[] = {
        {.value = {large, WR_RECORD_BYTES_MAX}},
        {.key = {large, WR_RECORD_BYTES_MAX - 6}, .value = weir_text("poison")},
        {.value = weir_text("poison"), .headers = many, .header_count = WR_HEADERS_MAX},
        {.value = {large, 500000}, .headers = &wide, .header_count = 1},
        {.value = {large, WR_RECORD_BYTES_MAX - 180}},
    };
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        weir_test_push(test, "in", 0, &records[i]);
    }
    must_run(test);
    assert_int_equal(weir_test_count(test, "rejects"), 5);
    const weir_record *dead = weir_test_record(test, "rejects", 0);
    header_is(dead, "weir.cut", "value");
    header_is(dead, "weir.source", "in");
    assert_in_range(dead->value.size, WR_RECORD_BYTES_MAX - 500, WR_RECORD_BYTES_MAX - 1);
    dead = weir_test_record(test, "rejects", 1);
    header_is(dead, "weir.cut", "headers, value, key");
    assert_int_equal(dead->value.size, 0);
    dead = weir_test_record(test, "rejects", 2);
    header_is(dead, "weir.cut", "headers");
    assert_true(wr_bytes_equal(dead->value, weir_text("poison")));
    dead = weir_test_record(test, "rejects", 3);
    header_is(dead, "weir.cut", NULL);
    assert_int_equal(header_of(dead, "wide").size, 500000);
    dead = weir_test_record(test, "rejects", 4); /* only the reason is shorter */
    header_is(dead, "weir.cut", NULL);
    assert_int_equal(dead->value.size, WR_RECORD_BYTES_MAX - 180);
    free(many);
    free(large);
    weir_test_free(test);
}

/* A dead letter that a table cannot hold is in the store, and makes no second one. */
static void a_table_holds_what_it_can(void **state)
{
    (void)state;
    static const char *const set[] = {"--rejects", "table:dead", NULL};
    weir_test *test = test_with(set);
    weir_test_text(test, "in", "k", "bad", 1);
    weir_test_text(test, "in", NULL, "bad", 2);
    must_run(test);
    assert_int_equal(weir_test_rejects(test), 2);
    assert_true(wr_bytes_equal(weir_test_row(test, "rejects", weir_text("k")), weir_text("bad")));
    weir_test_free(test);
}

static void a_node_named_rejects(weir_job *job)
{
    weir_into(weir_from(job, "in", NULL), "rejects", NULL);
}

/* The job may use the name, but not together with --rejects. */
static void the_name_is_taken(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(a_node_named_rejects, NULL);
    assert_int_equal(weir_test_status(test), WEIR_OK);
    weir_test_free(test);
    weir_test_options options = {.set = with_sink};
    test = weir_test_new(a_node_named_rejects, &options);
    assert_int_equal(test->error.exit_code, WR_EXIT_USAGE);
    assert_non_null(strstr(weir_test_error(test), "has a node of that name"));
    weir_test_free(test);
}

/* What was drained without the sink is still drained with it, and its watermark is no null. */
static void the_sink_has_no_time(void **state)
{
    (void)state;
    weir_test *test = test_with(NULL);
    weir_test_text(test, "in", "k", "fine", 1);
    must_run(test);
    assert_int_equal(weir_test_drain(test), WEIR_OK);
    test->run.rejects = "log:dead";
    assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
    assert_false(test->instance.draining);
    weir_test_free(test);

    test = test_with(with_sink);
    weir_test_text(test, "in", "k", "fine", 5);
    must_run(test);
    assert_int_equal(wr_time_watermark(&test->instance), 5);
    weir_test_free(test);
}

/* Over --rejects-max the run stops, having decided no half of an epoch. */
static void the_store_holds_no_more_than_the_cap(void **state)
{
    (void)state;
    static const char *const set[] = {"--rejects-max", "3", NULL};
    weir_test *test = test_with(set);
    for (int i = 0; i < 3; i++) {
        weir_test_text(test, "in", "k", "bad", i);
    }
    must_run(test);
    weir_test_text(test, "in", "k", "fine", 4);
    weir_test_text(test, "in", "k", "bad", 5);
    assert_int_equal(weir_test_run(test), WEIR_FATAL);
    assert_int_equal(test->error.exit_code, WR_EXIT_DATA);
    assert_non_null(strstr(weir_test_error(test), "no more than 3 dead letters"));
    assert_non_null(strstr(weir_test_error(test), "--delete"));
    assert_non_null(strstr(weir_test_error(test), "offset 4"));
    assert_int_equal(weir_test_rejects(test), 3);
    assert_int_equal(weir_test_count(test, "out"), 0);
    test->run.rejects_max = 4;
    assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
    must_run(test);
    assert_int_equal(weir_test_rejects(test), 4);
    assert_int_equal(weir_test_count(test, "out"), 1);
    weir_test_free(test);
}

/* With 0 the first one stops the run. */
static void none_may_be_kept(void **state)
{
    (void)state;
    static const char *const set[] = {"--rejects-max", "0", NULL};
    weir_test *test = test_with(set);
    weir_test_text(test, "in", "k", "bad", 1);
    assert_int_equal(weir_test_run(test), WEIR_FATAL);
    assert_non_null(strstr(weir_test_error(test), "bad as asked"));
    assert_int_equal(weir_test_rejects(test), 0);
    weir_test_free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sink_says_where_from),
        cmocka_unit_test(a_timers_dead_letter),
        cmocka_unit_test(what_does_not_fit_is_cut),
        cmocka_unit_test(a_table_holds_what_it_can),
        cmocka_unit_test(the_name_is_taken),
        cmocka_unit_test(the_sink_has_no_time),
        cmocka_unit_test(the_store_holds_no_more_than_the_cap),
        cmocka_unit_test(none_may_be_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
