/* test_op_stateless.c: the operators of one record at a time, of records and of a table's changes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <weir_ops.h>

#include "tests/lib/shown.h"

static const weir_bytes absent = {NULL, 0};

/* ---- Functions under the operators ----------------------------------------------------------- */

/* No operator shows `old` to a function that is asked about one value. */
static char first_letter(const weir_record *in)
{
    assert_null(in->old.data);
    return in->value.size ? *(const char *)in->value.data : '\0';
}

static bool is_vowel(const weir_record *in, void *arg)
{
    (void)arg;
    char letter = first_letter(in);
    return letter && strchr("aeiou", letter);
}

static bool is_early(const weir_record *in, void *arg)
{
    const char *last = arg;
    char letter = first_letter(in);
    return letter && letter <= *last;
}

static weir_bytes doubled(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    char *text = weir_scratch(ctx, 2 * in->value.size);
    assert_non_null(in->value.data);
    if (first_letter(in) == 'x') {
        weir_reject(ctx, "an x");
    }
    if (first_letter(in) == 'n') {
        return absent;
    }
    memcpy(text, in->value.data, in->value.size);
    memcpy(text + in->value.size, in->value.data, in->value.size);
    return (weir_bytes){text, 2 * in->value.size};
}

/* The first letter of the value; absent for n, rejected for x. */
static weir_bytes letter_of(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    char letter = first_letter(in);
    if (letter == 'x') {
        weir_reject(ctx, "an x");
    }
    return letter && letter != 'n' ? (weir_bytes){in->value.data, 1} : absent;
}

/* ---- weir_filter ----------------------------------------------------------------------------- */

static void define_filter(weir_job *job)
{
    shown_out(weir_filter(shown_in(job, 0), "vowels", is_vowel, NULL));
}

static void a_filter_keeps_what_passes(void **state)
{
    (void)state;
    shown_check(define_filter, "k a @1\nk b @2\n- e @3\nk - @4\nk '' @5\n",
                "k ->a @1\n"
                "- ->e @3\n");
}

/* Each of the four, and both ends of a row. */
static void a_change_passes_a_filter_by_both_its_values(void **state)
{
    (void)state;
    shown_check(define_filter,
                "k a>e @1\n" /* stays */
                "k b>e @2\n" /* comes in */
                "k a>b @3\n" /* leaves */
                "k b>c @4\n" /* never was in */
                "k a>- @5\n" /* gone */
                "k b>- @6\n", /* gone, never was in */
                "k a>e @1\n"
                "k ->e @2\n"
                "k a>- @3\n"
                "k a>- @5\n");
}

/* ---- weir_map_values ------------------------------------------------------------------------- */

static void define_map_values(weir_job *job)
{
    shown_out(weir_map_values(shown_in(job, 0), "double", doubled, NULL));
}

static void map_values_maps_both_values_of_a_change(void **state)
{
    (void)state;
    shown_check(define_map_values,
                "k a @1\n- b @2\nk - @3\nk '' @4\nk a>b @5\nk a>- @6\n"
                "k n @7\nk n>a @8\nk a>n @9\n"
                "k x @10\nk x>a @11\nk a>x @12\nk x>x @13\n",
                "k ->aa @1\n- ->bb @2\nk ->- @3\nk ->'' @4\nk aa>bb @5\nk aa>- @6\n"
                "k ->- @7\nk ->aa @8\nk aa>- @9\n"
                "! an x\n! an x\n! an x\n! an x\n");
}

/* ---- weir_key_by ----------------------------------------------------------------------------- */

static void define_key_by(weir_job *job)
{
    shown_out(weir_key_by(shown_in(job, 0), "letter", letter_of, NULL));
}

static void a_change_that_moves_to_another_key_is_two(void **state)
{
    (void)state;
    shown_check(define_key_by,
                "k a1 @1\nk - @2\n- a1 @3\n"
                "k a1>a2 @4\n" /* stays */
                "k a1>b2 @5\n" /* moves */
                "k a1>- @6\n" /* gone */
                "k a1>n @7\n" /* moves to the absent key */
                "k n1>n2 @8\n" /* stays there */
                "k x @9\nk x>a @10\nk a>x @11\nk x>x @12\n",
                "a ->a1 @1\n- ->- @2\na ->a1 @3\n"
                "a a1>a2 @4\n"
                "a a1>- @5\nb ->b2 @5\n"
                "a a1>- @6\n"
                "a a1>- @7\n- ->n @7\n"
                "- n1>n2 @8\n"
                "! an x\n! an x\n! an x\n! an x\n");
}

/* ---- weir_branch ----------------------------------------------------------------------------- */

static void define_branch(weir_job *job)
{
    char *last = weir_alloc(job, 1);
    *last = 'f';
    weir_predicate_fn holds[] = {is_vowel, is_early};
    weir_stream *branch = weir_branch(shown_in(job, 0), "branch", holds, 2, last);
    holds[0] = holds[1] = NULL; /* it was copied */
    weir_stream *out = shown_out(branch);
    (void)weir_with(out, weir_side(branch, 1));
    (void)weir_with(out, weir_side(branch, 2));
}

static void the_first_branch_that_holds_gets_a_record(void **state)
{
    (void)state;
    shown_check(define_branch, "k a @1\nk b @2\nk z @3\nk u @4\nk - @5\n",
                "#2 k ->a @1\n#3 k ->b @2\nk ->z @3\n#2 k ->u @4\nk ->- @5\n");
}

static void a_change_is_taken_from_the_branch_where_it_was(void **state)
{
    (void)state;
    shown_check(define_branch, "k a>e @1\nk a>b @2\nk b>z @3\nk z>y @4\nk b>- @5\n",
                "#2 k a>e @1\n"
                "#2 k a>- @2\n#3 k ->b @2\n"
                "#3 k b>- @3\nk ->z @3\n"
                "k z>y @4\n"
                "#3 k b>- @5\n");
}

/* ---- weir_merge, weir_peek ------------------------------------------------------------------- */

static void note(const weir_record *in, void *arg)
{
    (void)in;
    *(int *)arg += 1;
}

static int seen;

static void define_merge(weir_job *job)
{
    weir_stream *in = shown_in(job, 0);
    weir_stream *vowels = weir_filter(in, "vowels", is_vowel, NULL);
    weir_stream *merged = weir_merge(in, "merge", weir_peek(vowels, "peek", note, &seen));
    shown_out(merged);
}

static void merged_streams_are_one_and_peeked_records_go_on(void **state)
{
    (void)state;
    seen = 0;
    char *found = shown_run(define_merge, "k a @1\nk b @2\nk a>e @3\n", NULL, false, 0);
    assert_string_equal(found, "k ->a @1\nk ->a @1\nk ->b @2\nk a>e @3\nk a>e @3\n");
    assert_int_equal(seen, 2);
    free(found);
}

/* ---- Mistakes of the job --------------------------------------------------------------------- */

static void filter_nothing(weir_job *job)
{
    shown_out(weir_filter(shown_in(job, 0), "mine", NULL, NULL));
}

static void map_nothing(weir_job *job)
{
    shown_out(weir_map_values(shown_in(job, 0), "mine", NULL, NULL));
}

static void key_by_nothing(weir_job *job)
{
    shown_out(weir_key_by(shown_in(job, 0), "mine", NULL, NULL));
}

static void peek_nothing(weir_job *job)
{
    shown_out(weir_peek(shown_in(job, 0), "mine", NULL, NULL));
}

static void merge_nothing(weir_job *job)
{
    shown_out(weir_merge(shown_in(job, 0), "mine", NULL));
}

static void branch_nothing(weir_job *job)
{
    shown_out(weir_branch(shown_in(job, 0), "mine", NULL, 1, NULL));
}

static void branch_nowhere(weir_job *job)
{
    weir_predicate_fn holds[] = {is_vowel};
    shown_out(weir_branch(shown_in(job, 0), "mine", holds, 0, NULL));
}

static void branch_too_often(weir_job *job)
{
    weir_predicate_fn holds[16] = {is_vowel};
    shown_out(weir_branch(shown_in(job, 0), "mine", holds, 16, NULL));
}

static void branch_with_a_hole(weir_job *job)
{
    weir_predicate_fn holds[] = {is_vowel, NULL};
    shown_out(weir_branch(shown_in(job, 0), "mine", holds, 2, NULL));
}

static void without_a_name(weir_job *job)
{
    weir_predicate_fn holds[] = {is_vowel};
    shown_out(weir_branch(shown_in(job, 0), NULL, holds, 0, NULL));
}

static void mistakes_are_refused_by_name(void **state)
{
    (void)state;
    shown_refused(filter_nothing, "`mine` has no function");
    shown_refused(map_nothing, "`mine` has no function");
    shown_refused(key_by_nothing, "`mine` has no function");
    shown_refused(peek_nothing, "`mine` has no function");
    shown_refused(merge_nothing, "mine: there is no other stream");
    shown_refused(branch_nothing, "mine: 0 branches; give 1 to 15");
    shown_refused(branch_nowhere, "mine: 0 branches; give 1 to 15");
    shown_refused(branch_too_often, "mine: 16 branches; give 1 to 15");
    shown_refused(branch_with_a_hole, "mine: branch 2 has no function");
    shown_refused(without_a_name, "a node has the name ``");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_keeps_what_passes),
        cmocka_unit_test(a_change_passes_a_filter_by_both_its_values),
        cmocka_unit_test(map_values_maps_both_values_of_a_change),
        cmocka_unit_test(a_change_that_moves_to_another_key_is_two),
        cmocka_unit_test(the_first_branch_that_holds_gets_a_record),
        cmocka_unit_test(a_change_is_taken_from_the_branch_where_it_was),
        cmocka_unit_test(merged_streams_are_one_and_peeked_records_go_on),
        cmocka_unit_test(mistakes_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
