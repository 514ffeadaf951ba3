/* test_op_join_table.c: weir_join_table and weir_join_tables, by hand.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/shown.h"
#include "tests/lib/steps.h"

static const char *const kinds[] = {"inner", "left", "outer"};

static void define_table(weir_job *job)
{
    weir_stream *left, *right;
    steps_in(job, &left, &right);
    for (unsigned kind = WEIR_INNER; kind <= WEIR_LEFT; kind++) {
        steps_out(weir_join_table(left, kinds[kind], right, (weir_join_kind)kind, steps_join,
                                  (void *)(uintptr_t)kinds[kind]),
                  kinds[kind]);
    }
}

static void define_tables(weir_job *job)
{
    weir_stream *left, *right;
    steps_in(job, &left, &right);
    for (unsigned kind = WEIR_INNER; kind <= WEIR_OUTER; kind++) {
        steps_out(weir_join_tables(left, kinds[kind], right, (weir_join_kind)kind, steps_join,
                                   (void *)(uintptr_t)kinds[kind]),
                  kinds[kind]);
    }
}

/* Kafka's KStream-KTable: the stream's records alone give results. */
static void a_stream_asks_the_table_as_it_is(void **state)
{
    (void)state;
    static const struct steps_case cases[] = {
        {"L:a=l@1 R:a=r@2 L:a=m@3", {"a=m+r@3", "a=l+.@1 a=m+r@3"}},
        {"R:a=r@2 R:a=s@1 L:a=l@0", {"a=l+s@0", "a=l+s@0"}},
        /* the last to come, not by time */
        {"R:a=r@2 R:a@3 L:a=l@4", {"", "a=l+.@4"}},
        {"R:a@3 R:a=r@3 L:a=l@3 L:b=l@3", {"a=l+r@3", "a=l+r@3 b=l+.@3"}},
        {"R:a=@2 L:a=@3 L:=x@4", {"a=+@3", "a=+@3 =x+.@4"}},
        {"L:a@1 L:-@1 L:-=l@1 R:-=r@1 R:-@2",
         {"!no value !no value !no key !no key !no key",
          "-=l+.@1 !no value !no value !no key !no key"}},
        {"R:a=r@1 L:a=!@2 L:a=l@3", {"a=l+r@3 !loud", "a=l+r@3 !loud"}},
        {"", {"", ""}},
        {"R:a=r@1", {"", ""}},
    };
    steps_check(define_table, kinds, cases, sizeof cases / sizeof *cases);
}

/* Kafka's KTable-KTable: each change of a row gives the joined row and the one that it replaces. */
static void two_tables_make_one(void **state)
{
    (void)state;
    static const struct steps_case cases[] = {
        {"L:a=l@1 R:a=r@2", {"a=l+r@2", "a=l+.@1 a=l+r<l+.@2", "a=l+.@1 a=l+r<l+.@2"}},
        {"R:a=r@2 L:a=l@1", {"a=l+r@2", "a=l+r@2", "a=.+r@2 a=l+r<.+r@2"}},
        {"L:a=l@1 R:a=r@2 L:a=m@1 R:a=s@5",
         {"a=l+r@2 a=m+r<l+r@2 a=m+s<m+r@5", "a=l+.@1 a=l+r<l+.@2 a=m+r<l+r@2 a=m+s<m+r@5",
          "a=l+.@1 a=l+r<l+.@2 a=m+r<l+r@2 a=m+s<m+r@5"}},
        /* rows that go, and come again */
        {"L:a=l@1 R:a=r@2 L:a@3 L:a=m@4",
         {"a=l+r@2 a<l+r@3 a=m+r@4", "a=l+.@1 a=l+r<l+.@2 a<l+r@3 a=m+r@4",
          "a=l+.@1 a=l+r<l+.@2 a=.+r<l+r@3 a=m+r<.+r@4"}},
        {"L:a=l@1 R:a=r@2 R:a@1",
         {"a=l+r@2 a<l+r@1", "a=l+.@1 a=l+r<l+.@2 a=l+.<l+r@1", "a=l+.@1 a=l+r<l+.@2 a=l+.<l+r@1"}},
        {"L:a=l@1 R:a=r@2 L:a@3 R:a@4",
         {"a=l+r@2 a<l+r@3", "a=l+.@1 a=l+r<l+.@2 a<l+r@3",
          "a=l+.@1 a=l+r<l+.@2 a=.+r<l+r@3 a<.+r@4"}},
        /* tombstones of what never was, empty values, absent keys */
        {"L:a@1 R:a@2 L:a@3", {"", "", ""}},
        {"L:a=@1 R:a=@2 L:a@3",
         {"a=+@2 a<+@3", "a=+.@1 a=+<+.@2 a<+@3", "a=+.@1 a=+<+.@2 a=.+<+@3"}},
        {"L:-=l@1 R:-=r@1 L:-@1",
         {"!no key !no key !no key", "!no key !no key !no key", "!no key !no key !no key"}},
        {"L:a=l@1 R:b=r@1", {"", "a=l+.@1", "a=l+.@1 b=.+r@1"}},
        /* the same again is a change too, as in Kafka */
        {"L:a=l@1 R:a=r@1 R:a=r@1",
         {"a=l+r@1 a=l+r<l+r@1", "a=l+.@1 a=l+r<l+.@1 a=l+r<l+r@1",
          "a=l+.@1 a=l+r<l+.@1 a=l+r<l+r@1"}},
        /* what the joiner rejects changes nothing */
        {"L:a=l@1 R:a=r@1 L:a=!@2 R:a=s@3",
         {"a=l+r@1 a=l+s<l+r@3 !loud", "a=l+.@1 a=l+r<l+.@1 a=l+s<l+r@3 !loud",
          "a=l+.@1 a=l+r<l+.@1 a=l+s<l+r@3 !loud"}},
    };
    steps_check(define_tables, kinds, cases, sizeof cases / sizeof *cases);
}

/* Rows that are gone take no room. */
static void removed_rows_leave_no_state(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(define_table, NULL);
    steps_take(test, "R:a=r@1");
    assert_int_equal(weir_test_state(test, "left", weir_text("a"), weir_text(NULL)).size, 9);
    steps_take(test, "R:a@2");
    assert_null(weir_test_state(test, "left", weir_text("a"), weir_text(NULL)).data);
    weir_test_free(test);
}

static void define_without_a_joiner(weir_job *job)
{
    weir_stream *left, *right;
    steps_in(job, &left, &right);
    steps_out(weir_join_table(left, "join", right, WEIR_INNER, NULL, NULL), "join");
}

static void define_outer(weir_job *job)
{
    weir_stream *left, *right;
    steps_in(job, &left, &right);
    steps_out(weir_join_table(left, "join", right, WEIR_OUTER, steps_join, NULL), "join");
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    shown_refused(define_without_a_joiner, "join: no joiner");
    shown_refused(define_outer, "join: no such kind of join here; give WEIR_INNER or WEIR_LEFT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_asks_the_table_as_it_is),
        cmocka_unit_test(two_tables_make_one),
        cmocka_unit_test(removed_rows_leave_no_state),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
