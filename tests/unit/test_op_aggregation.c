/* test_op_aggregation.c: what windows ask of aggregation.h: ids at prefixes that merge and are
 * forgotten, and what is emitted for a window.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <weir_ops.h>

#include "operators/aggregation.h"
#include "tests/lib/shown.h"

static const weir_bytes absent = {NULL, 0};

/* A node with totals named by a letter each. Its records say what to do, in their first two
 * letters: `A:value` adds to A, `A+B` makes B a part of A, `A!` closes A. */
static void run_letters(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const weir_aggregation *aggregation = arg;
    const char *text = in->value.data;
    weir_bytes name = {text, 1};
    weir_window window = {*text, *text + 10};
    struct wr_aggregation_ids ids = {.prefix = name, .use = WR_USE_SESSIONS};
    weir_bytes so_far = weir_get(ctx, name), total = so_far, other = absent, id;
    weir_record out, one = *in;
    one.value = (weir_bytes){text + 2, in->value.size - 2};
    if (text[1] == '+') {
        other = (weir_bytes){text + 2, 1};
        if (!wr_aggregation_merge(ctx, aggregation, &ids, weir_get(ctx, other), other, &total)) {
            return;
        }
    } else if (text[1] == '!') {
        total = absent;
    } else if (!wr_aggregation_id(ctx, aggregation, &one, &id) ||
               !wr_aggregation_add(ctx, aggregation, &ids, &one, id, &total)) {
        return;
    }
    if (!wr_aggregation_change(ctx, aggregation, total, so_far, &window, in->time_ms, &out)) {
        return;
    }
    wr_aggregation_keep(ctx, &ids);
    if (!total.data) {
        wr_aggregation_forget(ctx, aggregation, name);
    }
    if (other.data) {
        weir_put(ctx, other, absent);
    }
    weir_put(ctx, name, total);
    if (wr_aggregation_is_change(&out)) {
        weir_emit(ctx, &out);
    }
}

static void define_with(weir_job *job, weir_aggregation aggregation)
{
    weir_aggregation *copy = weir_alloc(job, sizeof *copy);
    *copy = aggregation;
    shown_out(weir_through(shown_in(job, 0), "letters", run_letters, copy));
    wr_aggregation_check(job, "letters", copy, WR_USE_SESSIONS);
}

static void define_counts(weir_job *job)
{
    define_with(job, weir_count());
}

static void define_averages(weir_job *job)
{
    define_with(job, weir_average(NULL, NULL));
}

static void define_ids(weir_job *job)
{
    define_with(job, weir_count_distinct(NULL, NULL));
}

/* The first letter of a number's text. */
static weir_bytes first_digit(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)ctx, (void)arg;
    return (weir_bytes){in->value.data, 1};
}

/* The sum of numbers, of each first digit only one. */
static void define_digits(weir_job *job)
{
    weir_aggregation sum = weir_sum(NULL, NULL);
    sum.distinct = first_digit;
    define_with(job, sum);
}

static void define_maxima(weir_job *job)
{
    define_with(job, weir_max(NULL, NULL));
}

static void define_minima(weir_job *job)
{
    define_with(job, weir_min(NULL, NULL));
}

static void define_sums(weir_job *job)
{
    define_with(job, weir_sum(NULL, NULL));
}

#define A " window_start=65 window_end=75\n"
#define B " window_start=66 window_end=76\n"

static void totals_merge(void **state)
{
    (void)state;
    shown_check(define_counts, "k A:x @1\nk A:x @2\nk B:x @3\nk A+B @4\nk C:x @5\nk B+A @6\n",
                "k ->1 @1" A "k 1>2 @2" A "k ->1 @3" B "k 2>3 @4" A
                "k ->1 @5 window_start=67 window_end=77\nk ->3 @6" B);
    shown_check(define_averages, "k A:1 @1\nk B:2 @2\nk B:4 @3\nk A+B @4\n",
                "k ->1 @1" A "k ->2 @2" B "k 2>3 @3" B "k 1>2.3333333333333333 @4" A);
    shown_check(define_maxima, "k A:5 @1\nk B:7 @2\nk A+B @3\nk B:6 @4\nk A+B @5\n",
                "k ->5 @1" A "k ->7 @2" B "k 5>7 @3" A "k ->6 @4" B "k 7>7 @5" A);
    shown_check(define_minima, "k A:5 @1\nk B:7 @2\nk A+B @3\nk B:-6 @4\nk A+B @5\n",
                "k ->5 @1" A "k ->7 @2" B "k 5>5 @3" A "k ->-6 @4" B "k 5>-6 @5" A);
    shown_check(define_sums,
                "k A:9223372036854775807 @1\nk B:1 @2\nk A+B @3\nk B:-1 @4\nk A+B @5\n",
                "k ->9223372036854775807 @1" A "k ->1 @2" B "k 1>0 @4" B
                "k 9223372036854775807>9223372036854775807 @5" A "! the sum would leave 64 bits\n");
}

/* An id that both have counts once, and its record is the one that came to A. */
static void sets_of_ids_merge_exactly(void **state)
{
    (void)state;
    shown_check(
        define_ids, "k A:x @1\nk A:y @2\nk B:y @3\nk B:z @4\nk A+B @5\nk A:z @6\nk B:x @7\n",
        "k ->1 @1" A "k 1>2 @2" A "k ->1 @3" B "k 1>2 @4" B "k 2>3 @5" A "k 3>3 @6" A "k ->1 @7" B);
    shown_check(define_digits, "k A:10 @1\nk B:11 @2\nk B:20 @3\nk A+B @4\nk A:21 @5\nk A:3 @6\n",
                "k ->10 @1" A "k ->11 @2" B "k 11>31 @3" B "k 10>30 @4" A "k 30>30 @5" A
                "k 30>33 @6" A);
}

/* Into one that is empty, which is how a session takes an earlier start. */
static void ids_move_to_a_new_prefix(void **state)
{
    (void)state;
    shown_check(define_ids, "k A:x @1\nk A:'' @2\nk B+A @3\nk B:x @4\nk A:x @5\n",
                "k ->1 @1" A "k 1>2 @2" A "k ->2 @3" B "k 2>2 @4" B "k ->1 @5" A);
}

static void a_closed_window_forgets_its_ids(void **state)
{
    (void)state;
    shown_check(define_ids, "k A:x @1\nk B:x @2\nk A! @3\nk A:x @4\nk B:x @5\n",
                "k ->1 @1" A "k ->1 @2" B "k 1>- @3" A "k ->1 @4" A "k 1>1 @5" B);
    weir_test *test = weir_test_new(define_ids, NULL);
    weir_bytes key = weir_text("k"), slot = weir_text("Aix");
    weir_test_text(test, "in", "k", "A:x", 7);
    assert_int_equal(weir_test_run(test), WEIR_OK);
    weir_bytes kept = weir_test_state(test, "letters", key, slot);
    int64_t time_ms = 0;
    assert_int_equal(kept.size, 9); /* its record: time and value */
    assert_true(weir_to_i64((weir_bytes){kept.data, 8}, &time_ms));
    assert_int_equal(time_ms, 7);
    weir_test_text(test, "in", "k", "A!", 8);
    assert_int_equal(weir_test_run(test), WEIR_OK);
    assert_null(weir_test_state(test, "letters", key, slot).data);
    weir_test_free(test);
}

static void without_merge(weir_job *job)
{
    weir_aggregation count = weir_count();
    count.merge = NULL;
    define_with(job, count);
}

static void sessions_need_a_merge(void **state)
{
    (void)state;
    shown_refused(without_merge, "letters: sessions that meet become one");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(totals_merge),
        cmocka_unit_test(sets_of_ids_merge_exactly),
        cmocka_unit_test(ids_move_to_a_new_prefix),
        cmocka_unit_test(a_closed_window_forgets_its_ids),
        cmocka_unit_test(sessions_need_a_merge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
