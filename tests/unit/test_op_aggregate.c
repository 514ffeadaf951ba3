/* test_op_aggregate.c: weir_aggregate with weir_count, weir_count_distinct, weir_reduce, and with
 * aggregations by hand.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <weir_ops.h>

#include "tests/lib/shown.h"

static const weir_bytes absent = {NULL, 0};

#define NOT_HERE "! a change of what was not here: its old value cannot be taken out\n"
#define NO_CHANGES                                                                                 \
    "! a change: this aggregation cannot take an old value out (it has no `subtract`)\n"

/* ---- weir_count ------------------------------------------------------------------------------ */

static void define_count(weir_job *job)
{
    shown_out(weir_aggregate(shown_in(job, 0), "count", weir_count()));
}

static void records_are_counted_by_key(void **state)
{
    (void)state;
    shown_check(define_count, "k a @5\nj b @6\nk '' @7\n'' a @8\nk a @3\n",
                "k ->1 @5\nj ->1 @6\nk 1>2 @7\n'' ->1 @8\nk 2>3 @3\n");
}

static void what_cannot_be_counted_is_rejected(void **state)
{
    (void)state;
    shown_check(define_count, "- a @1\nk - @2\n- - @3\n- a>b @4\nk a @5\n",
                "k ->1 @5\n"
                "! no key: an aggregate keeps one value for each key\n"
                "! no value: there is nothing to add\n"
                "! no key: an aggregate keeps one value for each key\n"
                "! no key: an aggregate keeps one value for each key\n");
}

/* A row that changes is one row before and after; a count of nothing stays, as 0. */
static void a_change_is_counted_out_and_in(void **state)
{
    (void)state;
    shown_check(define_count, "k a @1\nk b @2\nk a>c @3\nk b>- @4\nk c>- @5\nk d>e @6\nk f @7\n",
                "k ->1 @1\nk 1>2 @2\nk 2>2 @3\nk 2>1 @4\nk 1>0 @5\nk 0>1 @7\n"
                "! a change of what was not here: the count is 0\n");
    shown_check(define_count, "k a>b @1\nk a>- @2\n", NOT_HERE NOT_HERE);
}

/* 9 to 10 and 99 to 100 carry over; kept is what is emitted. */
static void counts_carry_over(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(define_count, NULL);
    for (int i = 1; i <= 1100; i++) {
        weir_test_text(test, "in", "k", "a", i);
    }
    assert_int_equal(weir_test_run(test), WEIR_OK);
    assert_int_equal(weir_test_count(test, "out"), 1100);
    for (int i = 1; i <= 1100; i++) {
        char text[64];
        const weir_record *record = weir_test_record(test, "out", (size_t)i - 1);
        if (i > 1) {
            snprintf(text, sizeof text, "k %d>%d @%d", i - 1, i, i);
        } else {
            snprintf(text, sizeof text, "k ->1 @1");
        }
        assert_int_equal(record->value.size, strlen(text));
        assert_memory_equal(record->value.data, text, strlen(text));
    }
    weir_bytes kept = weir_test_state(test, "count", weir_text("k"), absent);
    assert_int_equal(kept.size, 4);
    assert_memory_equal(kept.data, "1100", 4);
    weir_test_free(test);
}

static weir_record with_header(weir_ctx *ctx, const weir_record *in, void *arg)
{
    weir_header *header = weir_scratch(ctx, sizeof *header);
    (void)arg;
    *header = (weir_header){"from", in->value};
    weir_record out = *in;
    out.headers = header;
    out.header_count = 1;
    return out;
}

static void define_headers(weir_job *job)
{
    weir_stream *in = weir_map(shown_in(job, 0), "header", with_header, NULL);
    shown_out(weir_aggregate(in, "count", weir_count()));
}

static void the_headers_of_the_record_go_along(void **state)
{
    (void)state;
    shown_check(define_headers, "k a @1\nk b @2\n", "k ->1 @1 from=a\nk 1>2 @2 from=b\n");
}

/* ---- weir_count_distinct --------------------------------------------------------------------- */

/* The value up to `:`. */
static weir_bytes id_of(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const char *colon = memchr(in->value.data, ':', in->value.size);
    assert_null(in->old.data);
    assert_ptr_equal(arg, id_of);
    if (!colon) {
        return absent;
    }
    if (*(const char *)in->value.data == 'x') {
        weir_reject(ctx, "an x");
    }
    return (weir_bytes){in->value.data, (size_t)(colon - (const char *)in->value.data)};
}

static void define_values(weir_job *job)
{
    shown_out(weir_aggregate(shown_in(job, 0), "ids", weir_count_distinct(NULL, NULL)));
}

static void define_ids(weir_job *job)
{
    void *arg = (void *)(uintptr_t)id_of;
    shown_out(weir_aggregate(shown_in(job, 0), "ids", weir_count_distinct(id_of, arg)));
}

static void define_set(weir_job *job)
{
    weir_aggregation ids = weir_count_distinct(NULL, NULL);
    ids.subtract = NULL;
    shown_out(weir_aggregate(shown_in(job, 0), "ids", ids));
}

static void different_values_are_counted_exactly(void **state)
{
    (void)state;
    const char *lines = "k a @1\nk a @2\nk b @3\nj a @4\nk '' @5\nk '' @6\nk i @7\nk a @8\n";
    const char *counts = "k ->1 @1\nk 1>1 @2\nk 1>2 @3\nj ->1 @4\nk 2>3 @5\nk 3>3 @6\nk 3>4 @7\n"
                         "k 4>4 @8\n";
    shown_check(define_values, lines, counts);
    shown_check(define_set, lines, counts);
    shown_check(define_set, "k a @1\nk a>b @2\n", "k ->1 @1\n" NO_CHANGES);
}

static void different_ids_are_counted_and_records_without_one_rejected(void **state)
{
    (void)state;
    shown_check(define_ids, "k a:1 @1\nk a:2 @2\nk b:1 @3\nk b @4\nk x: @5\nk : @6\n",
                "k ->1 @1\nk 1>1 @2\nk 1>2 @3\nk 2>3 @6\n"
                "! no id: different ids are counted\n! an x\n");
}

/* An id counts for as long as any record has it. */
static void changes_take_an_id_out_with_its_last_record(void **state)
{
    (void)state;
    shown_check(define_ids,
                "k a:1 @1\nk a:2 @2\nk b:1 @3\n" /* a, a, b */
                "k a:1>b:2 @4\n" /* a, b, b */
                "k a:2>c:1 @5\n" /* b, b, c */
                "k b:1>b:3 @6\n" /* the same */
                "k c:1>c:2 @7\n" /* the same */
                "k b:3>- @8\nk b:2>- @9\nk c:2>- @10\n" /* none */
                "k a:1>- @11\nk a:1>a:2 @12\n" /* never was here */
                "k a:1 @13\nk b:1>- @14\nk b:1>a:1 @15\n", /* b was not */
                "k ->1 @1\nk 1>1 @2\nk 1>2 @3\nk 2>2 @4\nk 2>2 @5\nk 2>2 @6\nk 2>2 @7\n"
                "k 2>2 @8\nk 2>1 @9\nk 1>0 @10\nk 0>1 @13\n" NOT_HERE NOT_HERE NOT_HERE NOT_HERE);
}

static void one_side_of_a_change_without_an_id_rejects_it_whole(void **state)
{
    (void)state;
    shown_check(define_ids, "k a:1 @1\nk a:1>b @2\nk b>a:1 @3\nk a:1>x: @4\nk a:1>- @5\n",
                "k ->1 @1\nk 1>0 @5\n"
                "! no id: different ids are counted\n! no id: different ids are counted\n! an x\n");
}

/* Kept are the ids that count, with how many have them, and nothing when they are gone. */
static void what_is_kept_of_ids(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(define_values, NULL);
    weir_bytes key = weir_text("k"), slot = weir_text("ia");
    weir_test_text(test, "in", "k", "a", 1);
    weir_test_text(test, "in", "k", "a", 2);
    assert_int_equal(weir_test_run(test), WEIR_OK);
    weir_bytes kept = weir_test_state(test, "ids", key, slot);
    assert_int_equal(kept.size, 1);
    assert_memory_equal(kept.data, "2", 1);
    weir_test_text(test, "in", "k", "a>-", 3);
    weir_test_text(test, "in", "k", "a>-", 4);
    assert_int_equal(weir_test_run(test), WEIR_OK);
    assert_null(weir_test_state(test, "ids", key, slot).data);
    weir_test_free(test);
}

/* ---- weir_reduce ----------------------------------------------------------------------------- */

/* Joined by a comma; what ends in . ends it all, x is rejected. */
static weir_bytes join(weir_ctx *ctx, weir_bytes so_far, weir_bytes value, void *arg)
{
    (void)arg;
    const char *last = (const char *)value.data + value.size - 1;
    if (*last == 'x') {
        weir_reject(ctx, "an x");
    }
    return *last == '.' ? absent
                        : weir_format(ctx, "%.*s,%.*s", (int)so_far.size, (const char *)so_far.data,
                                      (int)value.size, (const char *)value.data);
}

static void define_reduce(weir_job *job)
{
    shown_out(weir_aggregate(shown_in(job, 0), "join", weir_reduce(join, NULL)));
}

static void values_are_reduced_to_one(void **state)
{
    (void)state;
    shown_check(define_reduce, "k x @1\nk b @2\nj c @3\nk x @4\nk d. @5\nk e @6\nk e>f @7\n",
                "k ->x @1\nk x>x,b @2\nj ->c @3\nk x,b>- @5\nk ->e @6\n! an x\n" NO_CHANGES);
}

/* ---- By hand --------------------------------------------------------------------------------- */

/* The longest value; none for a -, which was never there. */
static weir_bytes longest(weir_ctx *ctx, weir_bytes so_far, const weir_record *in,
                          const weir_aggregation *self)
{
    (void)ctx;
    assert_null(self->arg);
    if (in->value.size == 1 && *(const char *)in->value.data == '0') {
        return absent;
    }
    return in->value.size > so_far.size ? in->value : so_far;
}

static weir_record named(weir_ctx *ctx, weir_bytes total, const weir_window *window,
                         const weir_aggregation *self)
{
    (void)self;
    assert_null(window);
    assert_non_null(total.data);
    if (total.size == 5) {
        weir_reject(ctx, "a long one");
    }
    weir_record out =
        weir_reply(ctx, weir_format(ctx, "[%.*s]", (int)total.size, (const char *)total.data));
    out.key = weir_format(ctx, "longest of %.*s", (int)out.key.size, (const char *)out.key.data);
    out.time_ms = 42; /* set afterwards */
    return out;
}

static void define_named(weir_job *job)
{
    weir_aggregation aggregation = {.add = longest, .result = named};
    shown_out(weir_aggregate(shown_in(job, 0), "longest", aggregation));
}

static void a_result_may_be_the_authors(void **state)
{
    (void)state;
    shown_check(define_named, "k aa @1\nk b @2\nk ccc @3\nk eeeee @4\nk 0 @5\nk 0 @6\nk d @7\n",
                "longest of k ->[aa] @1\nlongest of k [aa]>[aa] @2\n"
                "longest of k [aa]>[ccc] @3\nlongest of k [ccc]>- @5\nlongest of k ->[d] @7\n"
                "! a long one\n");
}

static void without_add(weir_job *job)
{
    shown_out(weir_aggregate(shown_in(job, 0), "mine", (weir_aggregation){0}));
}

static void without_reducer(weir_job *job)
{
    shown_out(weir_aggregate(shown_in(job, 0), "mine", weir_reduce(NULL, NULL)));
}

static void an_aggregation_without_add_is_refused(void **state)
{
    (void)state;
    shown_refused(without_add, "mine: the aggregation has no function `add`");
    shown_refused(without_reducer, "mine: the aggregation has no function `add`");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_counted_by_key),
        cmocka_unit_test(what_cannot_be_counted_is_rejected),
        cmocka_unit_test(a_change_is_counted_out_and_in),
        cmocka_unit_test(counts_carry_over),
        cmocka_unit_test(the_headers_of_the_record_go_along),
        cmocka_unit_test(different_values_are_counted_exactly),
        cmocka_unit_test(different_ids_are_counted_and_records_without_one_rejected),
        cmocka_unit_test(changes_take_an_id_out_with_its_last_record),
        cmocka_unit_test(one_side_of_a_change_without_an_id_rejects_it_whole),
        cmocka_unit_test(what_is_kept_of_ids),
        cmocka_unit_test(values_are_reduced_to_one),
        cmocka_unit_test(a_result_may_be_the_authors),
        cmocka_unit_test(an_aggregation_without_add_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
