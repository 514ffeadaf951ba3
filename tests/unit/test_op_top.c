/* test_op_top.c: weir_top, from a stream and from a table's changes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <weir_ops.h>

#include "tests/lib/shown.h"

/* The number behind `=`; false without one. */
static bool number_of(const weir_record *in, void *arg, int64_t *out)
{
    (void)arg;
    const char *text = in->value.data, *sign = memchr(text, '=', in->value.size);
    assert_null(in->old.data);
    if (!sign) {
        return false;
    }
    *out = 0;
    for (const char *at = sign + 1; at < text + in->value.size; at++) {
        *out = *out * 10 + (*at - '0');
    }
    return true;
}

/* ---- From a stream --------------------------------------------------------------------------- */

static void two_of_numbers(weir_job *job)
{
    shown_out(weir_top(shown_in(job, 0), "top", 2, false, NULL, NULL, NULL));
}

static void two_of_rows(weir_job *job)
{
    shown_out(weir_top(shown_in(job, 0), "top", 2, false, number_of, NULL, NULL));
}

static void each_rank_whose_row_is_another_changes(void **state)
{
    (void)state;
    shown_check(two_of_numbers, "k 5 @1\nk 7 @2\nk 6 @3\nk 4 @4\nj -1 @5\nk 9 @6\n",
                "k/1 ->5 @1 rank=1\n"
                "k/1 5>7 @2 rank=1\nk/2 ->5 @2 rank=2\n"
                "k/2 5>6 @3 rank=2\n"
                "j/1 ->-1 @5 rank=1\n"
                "k/1 7>9 @6 rank=1\nk/2 6>7 @6 rank=2\n");
}

/* Earlier time first, then who came first; records that are late in event time go before. */
static void ties_go_by_time_and_then_by_arrival(void **state)
{
    (void)state;
    shown_check(two_of_rows, "k a=5 @10\nk b=5 @10\nk c=5 @10\nk d=5 @9\nk e=5 @9\nk f=5 @9\n",
                "k/1 ->a=5 @10 rank=1\n"
                "k/2 ->b=5 @10 rank=2\n"
                "k/1 a=5>d=5 @9 rank=1\nk/2 b=5>a=5 @9 rank=2\n"
                "k/2 a=5>e=5 @9 rank=2\n");
}

/* The same value at the same time: no rank has another row. */
static void equal_rows_are_no_change(void **state)
{
    (void)state;
    shown_check(two_of_rows, "k a=5 @1\nk a=5 @1\nk a=5 @1\nk b=6 @1\n",
                "k/1 ->a=5 @1 rank=1\nk/2 ->a=5 @1 rank=2\nk/1 a=5>b=6 @1 rank=1\n");
}

static void what_has_no_rank_is_rejected(void **state)
{
    (void)state;
    shown_check(two_of_rows, "- a=5 @1\nk - @2\nk a @3\nk a=1>a=2 @4\nk a=1>- @5\n'' b=0 @6\n",
                "/1 ->b=0 @6 rank=1\n"
                "! no key: the best rows of each key are kept\n"
                "! no value: there is no row\n"
                "! no number in this record\n"
                "! a change: weir_top takes them with `changes` only\n"
                "! a change: weir_top takes them with `changes` only\n");
}

static void the_best_one(weir_job *job)
{
    shown_out(weir_top(shown_in(job, 0), "top", 1, false, NULL, NULL, NULL));
}

static void the_best_of_the_largest_numbers(void **state)
{
    (void)state;
    shown_check(the_best_one,
                "k -9223372036854775808 @1\nk -9223372036854775807 @2\nk 9223372036854775807 @3\n"
                "k 9223372036854775807 @2\nk 9223372036854775806 @1\n",
                "k/1 ->-9223372036854775808 @1 rank=1\n"
                "k/1 -9223372036854775808>-9223372036854775807 @2 rank=1\n"
                "k/1 -9223372036854775807>9223372036854775807 @3 rank=1\n"
                "k/1 9223372036854775807>9223372036854775807 @2 rank=1\n");
}

/* ---- Ranked by the author -------------------------------------------------------------------- */

/* Rejects a row x; rank 2 is secret. */
static weir_record ranked(weir_ctx *ctx, const weir_record *row, int64_t rank, void *arg)
{
    assert_string_equal(arg, "arg");
    assert_null(row->old.data);
    if (*(const char *)row->value.data == 'x') {
        weir_reject(ctx, "an x");
    }
    weir_record out = *row;
    out.key =
        weir_format(ctx, "%.*s.%d", (int)row->key.size, (const char *)row->key.data, (int)rank);
    out.value = rank == 2 ? (weir_bytes){NULL, 0}
                          : weir_format(ctx, "%.*s at %lld", (int)row->value.size,
                                        (const char *)row->value.data, (long long)row->time_ms);
    out.time_ms = 42; /* set afterwards */
    return out;
}

static void define_ranked(weir_job *job)
{
    char *arg = weir_alloc(job, 4);
    strcpy(arg, "arg");
    shown_out(weir_top(shown_in(job, 0), "top", 3, false, number_of, ranked, arg));
}

static void ranks_may_be_the_authors(void **state)
{
    (void)state;
    shown_check(define_ranked, "k a=5 @1\nk b=6 @2\nk c=1 @3\nk x=7 @4\nk d=4 @5\nk x=0 @6\n",
                "k.1 ->a=5 at 1 @1\n"
                "k.1 a=5 at 1>b=6 at 2 @2\n"
                "k.3 ->c=1 at 3 @3\n"
                "k.3 c=1 at 3>d=4 at 5 @5\n"
                "! an x\n");
}

/* ---- From a table's changes ------------------------------------------------------------------ */

static void two_of_changes(weir_job *job)
{
    shown_out(weir_top(shown_in(job, 0), "top", 2, true, number_of, NULL, NULL));
}

static void rows_that_go_make_room_for_those_behind(void **state)
{
    (void)state;
    shown_check(two_of_changes,
                "k a=1 @1\nk b=2 @2\nk c=3 @3\nk d=4 @4\n" /* d c, b a */
                "k c=3>- @5\n" /* d b, a */
                "k d=4>- @6\nk a=1>- @7\n" /* b */
                "k b=2>- @8\nk b=2>- @9\nk e=0 @10\n",
                "k/1 ->a=1 @1 rank=1\n"
                "k/1 a=1>b=2 @2 rank=1\nk/2 ->a=1 @2 rank=2\n"
                "k/1 b=2>c=3 @3 rank=1\nk/2 a=1>b=2 @3 rank=2\n"
                "k/1 c=3>d=4 @4 rank=1\nk/2 b=2>c=3 @4 rank=2\n"
                "k/2 c=3>b=2 @5 rank=2\n"
                "k/1 d=4>b=2 @6 rank=1\nk/2 b=2>a=1 @6 rank=2\n"
                "k/2 a=1>- @7 rank=2\n"
                "k/1 b=2>- @8 rank=1\n"
                "k/1 ->e=0 @10 rank=1\n"
                "! a change of what was not here: its old value is no row\n");
}

static void a_row_that_changes_moves(void **state)
{
    (void)state;
    shown_check(two_of_changes,
                "k a=1 @1\nk b=2 @1\nk c=3 @1\n" /* c b, a */
                "k a=1>a=9 @2\n" /* a c, b */
                "k a=9>a=2 @3\n" /* c b, a: b was there earlier */
                "k c=3>c=0 @4\n" /* b a, c */
                "k b=2>bb=2 @5\n" /* a bb, c: bb came later */
                "k c=0>c=1 @6\n", /* behind both */
                "k/1 ->a=1 @1 rank=1\n"
                "k/1 a=1>b=2 @1 rank=1\nk/2 ->a=1 @1 rank=2\n"
                "k/1 b=2>c=3 @1 rank=1\nk/2 a=1>b=2 @1 rank=2\n"
                "k/1 c=3>a=9 @2 rank=1\nk/2 b=2>c=3 @2 rank=2\n"
                "k/1 a=9>c=3 @3 rank=1\nk/2 c=3>b=2 @3 rank=2\n"
                "k/1 c=3>b=2 @4 rank=1\nk/2 b=2>a=2 @4 rank=2\n"
                "k/1 b=2>a=2 @5 rank=1\nk/2 a=2>bb=2 @5 rank=2\n");
}

/* Of rows that are the same, each goes by itself; those with a tie keep the order they came in. */
static void ties_among_rows_of_a_table(void **state)
{
    (void)state;
    shown_check(two_of_changes,
                "k a=5 @1\nk a=5 @1\nk b=5 @1\nk c=5 @1\n" /* a a, b c */
                "k a=5>- @2\n" /* a b, c */
                "k a=5>- @3\n" /* b c */
                "k d=5 @1\nk b=5>- @4\n" /* c d */
                "k e=5 @0\n", /* e c, d */
                "k/1 ->a=5 @1 rank=1\nk/2 ->a=5 @1 rank=2\n"
                "k/2 a=5>b=5 @2 rank=2\n"
                "k/1 a=5>b=5 @3 rank=1\nk/2 b=5>c=5 @3 rank=2\n"
                "k/1 b=5>c=5 @4 rank=1\nk/2 c=5>d=5 @4 rank=2\n"
                "k/1 c=5>e=5 @0 rank=1\nk/2 d=5>c=5 @0 rank=2\n");
}

static void a_change_that_cannot_be_ranked_has_no_effect(void **state)
{
    (void)state;
    shown_check(two_of_changes,
                "k a=1 @1\n- a=1 @2\nk - @3\nk a=1>b @4\nk b>b=1 @5\nk a=2>b=1 @6\nk a=1>b=1 @7\n",
                "k/1 ->a=1 @1 rank=1\nk/1 a=1>b=1 @7 rank=1\n"
                "! no key: the best rows of each key are kept\n"
                "! no value: there is no row\n"
                "! no number in this record\n! no number in this record\n"
                "! a change of what was not here: its old value is no row\n");
}

/* What is the same at several times goes one by one, the last to come first. */
static void equal_rows_of_other_times_go_one_by_one(void **state)
{
    (void)state;
    shown_check(two_of_changes,
                "k a=5 @1\nk a=5 @3\nk a=5 @2\nk b=5 @4\n" /* a1 a2, a3 b */
                "k a=5>- @5\n" /* a1 a3, b */
                "k a=5>a=1 @6\n" /* a1 b, a */
                "k a=5>- @7\nk a=5>- @8\nk a=1>- @9\n", /* b a; b */
                "k/1 ->a=5 @1 rank=1\nk/2 ->a=5 @3 rank=2\n"
                "k/2 a=5>a=5 @2 rank=2\n"
                "k/2 a=5>a=5 @5 rank=2\n"
                "k/2 a=5>b=5 @6 rank=2\n"
                "k/1 a=5>b=5 @7 rank=1\nk/2 b=5>a=1 @7 rank=2\n"
                "k/2 a=1>- @9 rank=2\n"
                "! a change of what was not here: its old value is no row\n");
}

#define ONE "8yn0iYCKYHlIj4-BwPqk=5"
#define OTHER "GReLUrM4wMqfg9yzV3KQ=5"
#define HEAD "k/1 ->" ONE " @1 rank=1\nk/2 ->" OTHER " @2 rank=2\n"

/* Two values of which the hashes are equal, FNV-1a's: each row is found, wherever it is. */
static void values_with_one_hash(void **state)
{
    (void)state;
    shown_check(two_of_changes,
                "k " ONE " @1\nk " OTHER " @2\nk " ONE ">- @3\nk " ONE ">- @4\nk " OTHER ">- @5\n",
                HEAD "k/1 " ONE ">" OTHER " @3 rank=1\nk/2 " OTHER ">- @3 rank=2\n"
                     "k/1 " OTHER ">- @5 rank=1\n"
                     "! a change of what was not here: its old value is no row\n");
    shown_check(two_of_changes,
                "k " ONE " @1\nk " OTHER " @2\nk " OTHER " @3\nk " OTHER " @4\n"
                "k " ONE ">- @5\nk " OTHER ">- @6\nk " OTHER ">- @7\nk " OTHER ">- @8\n",
                HEAD "k/1 " ONE ">" OTHER " @5 rank=1\nk/2 " OTHER ">" OTHER " @5 rank=2\n"
                     "k/2 " OTHER ">" OTHER " @6 rank=2\n"
                     "k/1 " OTHER ">" OTHER " @7 rank=1\nk/2 " OTHER ">- @7 rank=2\n"
                     "k/1 " OTHER ">- @8 rank=1\n");
}

static void two_in_a_topic(weir_job *job)
{
    weir_into(weir_top(shown_in(job, 0), "top", 2, true, number_of, NULL, NULL), "out", "log:out");
}

static void three_in_a_topic(weir_job *job)
{
    weir_into(weir_top(shown_in(job, 0), "top", 3, true, number_of, NULL, NULL), "out", "log:out");
}

/* The best that are kept were another number of them. */
static void another_n(void **state)
{
    (void)state;
    static const char *const rows[] = {"a=1", "b=2", "c=3", "d=4"};
    weir_test *test = weir_test_new(two_in_a_topic, NULL);
    for (int i = 0; i < 4; i++) {
        weir_test_text(test, "in", "k", rows[i], i);
    }
    assert_int_equal(weir_test_run(test), WEIR_OK);
    size_t told = weir_test_count(test, "out");
    assert_int_equal(weir_test_restart(test, three_in_a_topic), WEIR_OK);
    weir_test_push(test, "in", 0,
                   &(weir_record){weir_text("k"), weir_text("a=9"), 9, NULL, 0, weir_text("a=1")});
    assert_int_equal(weir_test_run(test), WEIR_OK);
    assert_int_equal(weir_test_count(test, "out"), told + 3); /* a d c: b goes */
    const weir_record *third = weir_test_record(test, "out", told + 2);
    assert_memory_equal(third->key.data, "k/3", 3);
    assert_memory_equal(third->value.data, "c=3", 3);
    weir_test_free(test);
}

/* ---- Mistakes of the job --------------------------------------------------------------------- */

static void none(weir_job *job)
{
    shown_out(weir_top(shown_in(job, 0), "mine", 0, false, NULL, NULL, NULL));
}

static void too_many(weir_job *job)
{
    shown_out(weir_top(shown_in(job, 0), "mine", 10001, true, NULL, NULL, NULL));
}

static void ranks_without_sense_are_refused(void **state)
{
    (void)state;
    shown_refused(none, "mine: the best 0 rows; give 1 to 10000");
    shown_refused(too_many, "mine: the best 10001 rows; give 1 to 10000");
}

/* State of one form is not read by the other. */
static void changes_turned_on_in_a_node_with_state_are_refused(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(two_of_rows, NULL);
    weir_test_text(test, "in", "k", "a=1", 1);
    assert_int_equal(weir_test_run(test), WEIR_OK);
    assert_int_equal(weir_test_restart(test, two_of_changes), WEIR_FATAL);
    assert_non_null(strstr(weir_test_error(test), "`top`"));
    weir_test_free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rank_whose_row_is_another_changes),
        cmocka_unit_test(ties_go_by_time_and_then_by_arrival),
        cmocka_unit_test(equal_rows_are_no_change),
        cmocka_unit_test(what_has_no_rank_is_rejected),
        cmocka_unit_test(the_best_of_the_largest_numbers),
        cmocka_unit_test(ranks_may_be_the_authors),
        cmocka_unit_test(rows_that_go_make_room_for_those_behind),
        cmocka_unit_test(a_row_that_changes_moves),
        cmocka_unit_test(ties_among_rows_of_a_table),
        cmocka_unit_test(equal_rows_of_other_times_go_one_by_one),
        cmocka_unit_test(values_with_one_hash),
        cmocka_unit_test(another_n),
        cmocka_unit_test(a_change_that_cannot_be_ranked_has_no_effect),
        cmocka_unit_test(changes_turned_on_in_a_node_with_state_are_refused),
        cmocka_unit_test(ranks_without_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
