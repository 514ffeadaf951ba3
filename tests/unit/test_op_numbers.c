/* test_op_numbers.c: weir_aggregate with weir_sum, weir_min, weir_max and weir_average.
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

#define NO_NUMBER "! no number: the value is not a whole number of 64 bits as decimal text\n"
#define NOT_HERE "! a change of what was not here: its old value cannot be taken out\n"
#define NO_CHANGES                                                                                 \
    "! a change: this aggregation cannot take an old value out (it has no `subtract`)\n"

static void define_sum(weir_job *job)
{
    shown_out(weir_aggregate(shown_in(job, 0), "sum", weir_sum(NULL, NULL)));
}

static void define_min(weir_job *job)
{
    shown_out(weir_aggregate(shown_in(job, 0), "min", weir_min(NULL, NULL)));
}

static void define_max(weir_job *job)
{
    shown_out(weir_aggregate(shown_in(job, 0), "max", weir_max(NULL, NULL)));
}

static void define_average(weir_job *job)
{
    shown_out(weir_aggregate(shown_in(job, 0), "average", weir_average(NULL, NULL)));
}

static void sums_are_exact_to_the_ends_of_64_bits(void **state)
{
    (void)state;
    shown_check(define_sum, "k 5 @1\nk -7 @2\nk +3 @3\nk 007 @4\nj 0 @5\nj -0 @6\n",
                "k ->5 @1\nk 5>-2 @2\nk -2>1 @3\nk 1>8 @4\nj ->0 @5\nj 0>0 @6\n");
    shown_values(define_sum,
                 "k 9223372036854775807 @1\nk 1 @2\nk -1 @3\nk 1 @4\n"
                 "j -9223372036854775808 @5\nj -1 @6\nj 9223372036854775807 @7\n",
                 "k ->9223372036854775807 @1\nk 9223372036854775807>9223372036854775806 @3\n"
                 "k 9223372036854775806>9223372036854775807 @4\n"
                 "j ->-9223372036854775808 @5\nj -9223372036854775808>-1 @7\n"
                 "! the sum would leave 64 bits\n! the sum would leave 64 bits\n");
}

static void what_is_no_number_is_rejected(void **state)
{
    (void)state;
    shown_values(define_sum,
                 "k '' @1\nk a @2\nk 1a @3\nk 1.5 @4\nk - @5\nk 9223372036854775808 @6\n"
                 "k -9223372036854775809 @7\nk 99999999999999999999999999 @8\nk +- @9\nk 1\t @10\n"
                 "k + @11\nk 2 @12\n",
                 "k ->2 @12\n" NO_NUMBER NO_NUMBER NO_NUMBER NO_NUMBER
                 "! no value: there is nothing to add\n" NO_NUMBER NO_NUMBER NO_NUMBER NO_NUMBER
                     NO_NUMBER NO_NUMBER);
}

static void changes_are_taken_out_of_a_sum(void **state)
{
    (void)state;
    shown_check(
        define_sum,
        "k 5 @1\nk 6 @2\nk 5>7 @3\nk 6>- @4\nk 7>a @5\nk a>7 @6\nk 7>- @7\nk 4 @8\n"
        "j 5>6 @9\n",
        "k ->5 @1\nk 5>11 @2\nk 11>13 @3\nk 13>7 @4\nk 7>0 @7\nk 0>4 @8\n" NO_NUMBER NO_NUMBER
            NOT_HERE);
    shown_check(define_sum, "k -9223372036854775808 @1\nk 1>- @2\n",
                "k ->-9223372036854775808 @1\n! the sum would leave 64 bits\n");
}

static void the_least_and_the_most(void **state)
{
    (void)state;
    const char *lines = "k 5 @1\nk 7 @2\nk -3 @3\nk 007 @4\nk 10 @5\nj 9223372036854775807 @6\n"
                        "j -9223372036854775808 @7\nk a @8\nk 5>6 @9\n";
    shown_values(
        define_min, lines,
        "k ->5 @1\nk 5>5 @2\nk 5>-3 @3\nk -3>-3 @4\nk -3>-3 @5\n"
        "j ->9223372036854775807 @6\nj 9223372036854775807>-9223372036854775808 @7\n" NO_NUMBER
            NO_CHANGES);
    shown_values(
        define_max, lines,
        "k ->5 @1\nk 5>7 @2\nk 7>7 @3\nk 7>7 @4\nk 7>10 @5\n"
        "j ->9223372036854775807 @6\nj 9223372036854775807>9223372036854775807 @7\n" NO_NUMBER
            NO_CHANGES);
}

/* By hand: the exact quotient, rounded once at the 17th digit. */
static void averages_have_up_to_17_digits(void **state)
{
    (void)state;
    shown_values(define_average, "k 1 @1\nk 2 @2\nk 0 @3\nk 0 @4\nk -7 @5\nk 4 @6\nk 0 @7\n",
                 "k ->1 @1\nk 1>1.5 @2\nk 1.5>1 @3\nk 1>0.75 @4\nk 0.75>-0.8 @5\n"
                 "k -0.8>0 @6\nk 0>0 @7\n");
    shown_values(define_average, "k 1 @1\nk 0 @2\nk 0 @3\nj 2 @4\nj 0 @5\nj 0 @6\n",
                 "k ->1 @1\nk 1>0.5 @2\nk 0.5>0.33333333333333333 @3\n"
                 "j ->2 @4\nj 2>1 @5\nj 1>0.66666666666666667 @6\n");
    shown_values(define_average, "k 100 @1\nk 100 @2\nk 99 @3\nj -100 @4\nj -100 @5\nj -99 @6\n",
                 "k ->100 @1\nk 100>100 @2\nk 100>99.666666666666667 @3\n"
                 "j ->-100 @4\nj -100>-100 @5\nj -100>-99.666666666666667 @6\n");
    /* 17 nines and a half: the tie goes to even, and is carried through all of them. */
    shown_values(define_average, "k 99999999999999999 @1\nk 100000000000000000 @2\n",
                 "k ->99999999999999999 @1\nk 99999999999999999>100000000000000000 @2\n");
    shown_values(define_average, "k 99999999999999998 @1\nk 99999999999999999 @2\n",
                 "k ->99999999999999998 @1\nk 99999999999999998>99999999999999998 @2\n");
    shown_values(define_average, "k 0 @1\nk 0 @2\nk 1 @3\nk 0 @4\nk 0 @5\nk 0 @6\nk 0 @7\n",
                 "k ->0 @1\nk 0>0 @2\nk 0>0.33333333333333333 @3\nk 0.33333333333333333>0.25 @4\n"
                 "k 0.25>0.2 @5\nk 0.2>0.16666666666666667 @6\n"
                 "k 0.16666666666666667>0.14285714285714286 @7\n");
}

/* The sum of an average has more than 64 bits to itself. */
static void averages_of_the_largest_numbers_are_exact(void **state)
{
    (void)state;
    shown_values(define_average,
                 "k 9223372036854775807 @1\nk 9223372036854775807 @2\nk 9223372036854775805 @3\n"
                 "j -9223372036854775808 @4\nj -9223372036854775808 @5\n"
                 "i 9223372036854775807 @6\ni -9223372036854775808 @7\n",
                 "k ->9223372036854775807 @1\n"
                 "k 9223372036854775807>9223372036854775807 @2\n"
                 "k 9223372036854775807>9223372036854775806 @3\n"
                 "j ->-9223372036854775808 @4\n"
                 "j -9223372036854775808>-9223372036854775808 @5\n"
                 "i ->9223372036854775807 @6\ni 9223372036854775807>-0.5 @7\n");
}

/* An average of nothing is no number, so the row is gone. */
static void changes_are_taken_out_of_an_average(void **state)
{
    (void)state;
    shown_check(
        define_average,
        "k 5 @1\nk 6 @2\nk 5>7 @3\nk 6>- @4\nk 7>- @5\nk 7>- @6\nk 4 @7\nk 4>3 @8\n",
        "k ->5 @1\nk 5>5.5 @2\nk 5.5>6.5 @3\nk 6.5>7 @4\nk 7>- @5\nk ->4 @7\nk 4>3 @8\n" NOT_HERE);
}

static bool size_of(const weir_record *in, void *arg, int64_t *out)
{
    const size_t *least = arg;
    *out = (int64_t)in->value.size;
    return in->value.size >= *least;
}

static void define_sizes(weir_job *job)
{
    size_t *least = weir_alloc(job, sizeof *least);
    *least = 2;
    shown_out(weir_aggregate(shown_in(job, 0), "sum", weir_sum(size_of, least)));
}

static void a_number_may_be_the_authors(void **state)
{
    (void)state;
    shown_check(define_sizes, "k aa @1\nk b @2\nk ccc @3\nk aa>dddd @4\nk ccc>e @5\n",
                "k ->2 @1\nk 2>5 @3\nk 5>7 @4\n! no number in this record\n"
                "! no number in this record\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_exact_to_the_ends_of_64_bits),
        cmocka_unit_test(what_is_no_number_is_rejected),
        cmocka_unit_test(changes_are_taken_out_of_a_sum),
        cmocka_unit_test(the_least_and_the_most),
        cmocka_unit_test(averages_have_up_to_17_digits),
        cmocka_unit_test(averages_of_the_largest_numbers_are_exact),
        cmocka_unit_test(changes_are_taken_out_of_an_average),
        cmocka_unit_test(a_number_may_be_the_authors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
