/* test_op_deduplicate.c: weir_deduplicate: what passes, and what is forgotten when.
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

/* The value up to `:`; absent for an empty one, rejected when it is x. */
static weir_bytes id_of(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    const char *colon = in->value.data ? memchr(in->value.data, ':', in->value.size) : NULL;
    size_t size = colon ? (size_t)(colon - (const char *)in->value.data) : in->value.size;
    if (size == 1 && *(const char *)in->value.data == 'x') {
        weir_reject(ctx, "an x");
    }
    return in->value.size ? (weir_bytes){in->value.data, size} : (weir_bytes){NULL, 0};
}

static void by_key(weir_job *job)
{
    shown_out(weir_deduplicate(shown_in(job, 5), "once", NULL, NULL, 0));
}

static void by_id(weir_job *job)
{
    shown_out(weir_deduplicate(shown_in(job, 5), "once", id_of, NULL, 10));
}

static void by_id_for_ever(weir_job *job)
{
    shown_out(weir_deduplicate(shown_in(job, 5), "once", id_of, NULL, 0));
}

static void the_first_record_of_a_key_passes(void **state)
{
    (void)state;
    shown_check(by_key, "k a @1\nk b @2\nj a @3\nk - @4\ni - @5\n'' a @6\n- a @7\n'' a @8\n",
                "k ->a @1\nj ->a @3\ni ->- @5\n'' ->a @6\n"
                "! no key: the first record of each key passes\n");
}

static void the_first_record_of_each_id_of_a_key_passes(void **state)
{
    (void)state;
    shown_check(by_id_for_ever,
                "k a:1 @1\nk a:2 @1000\nk b:1 @2000\nj a:3 @2001\n"
                "- a:4 @2002\n- a:5 @2003\nk :1 @2004\nk :2 @2005\nk - @2006\nk x @2007\n$\n"
                "k a:6 @3000\nk c:1 @3001\nk c:2 @3002\n",
                "k ->a:1 @1\nk ->b:1 @2000\nj ->a:3 @2001\n- ->a:4 @2002\nk ->:1 @2004\n"
                "k ->c:1 @3001\n"
                "! no id: the first record of each id passes\n! an x\n");
}

/* Time to live 10, disorder 5: an id of time 1 is forgotten when the watermark has come to 11,
 * which a record at 16 does, after it was handled itself. */
static void an_id_is_forgotten_when_its_time_has_come(void **state)
{
    (void)state;
    shown_check(by_id, "k a:1 @1\nk a:2 @15\nk a:3 @16\nk a:4 @16\nk a:5 @12\nk a:6 @26\n",
                "k ->a:1 @1\nk ->a:4 @16\n");
    shown_check(by_id, "k a:1 @1\n^15\nk a:2 @15\n^16\nk a:3 @16\n", "k ->a:1 @1\nk ->a:3 @16\n");
}

/* The time to live is counted from the record that passed, not from those that did not. */
static void repetitions_do_not_keep_an_id(void **state)
{
    (void)state;
    shown_check(by_id, "k a:1 @1\nk a:2 @9\nk b:1 @16\nk a:3 @10\n",
                "k ->a:1 @1\nk ->b:1 @16\nk ->a:3 @10\n");
}

/* Nothing is known of such a time any more, and nothing is kept for it. */
static void a_record_older_than_its_time_to_live_passes(void **state)
{
    (void)state;
    shown_check(by_id, "k a:1 @100\nk b:1 @85\nk b:2 @85\nk b:3 @86\nk b:4 @86\n",
                "k ->a:1 @100\nk ->b:1 @85\nk ->b:2 @85\nk ->b:3 @86\n");
}

static void at_the_ends_of_time(void **state)
{
    (void)state;
    shown_check(by_id,
                "k a:1 @-9223372036854775808\nk a:2 @-9223372036854775808\n"
                "k b:1 @9223372036854775800\nk b:2 @9223372036854775801\n$\nk b:3 @1\n",
                "k ->a:1 @-9223372036854775808\nk ->b:1 @9223372036854775800\n");
}

/* What was forgotten is no longer there, and no timer is left. */
static void what_is_forgotten_leaves_nothing(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(by_id, NULL);
    weir_bytes key = weir_text("k"), id = weir_text("a");
    weir_test_text(test, "in", "k", "a:1", 1);
    assert_int_equal(weir_test_run(test), WEIR_OK);
    assert_non_null(weir_test_state(test, "once", key, id).data);
    assert_int_equal(weir_test_state(test, "once", key, id).size, 0);
    assert_int_equal(weir_test_timers(test), 1);
    assert_int_equal(weir_test_advance(test, "in", 16), WEIR_OK);
    assert_null(weir_test_state(test, "once", key, id).data);
    assert_int_equal(weir_test_timers(test), 0);
    weir_test_free(test);
}

static void refused(weir_job *job)
{
    shown_out(weir_deduplicate(shown_in(job, 5), "once", id_of, NULL, -1));
}

static void a_time_to_live_below_0_is_refused(void **state)
{
    (void)state;
    shown_refused(refused, "once: a time to live of -1 ms; give 0 (for ever) or more");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_record_of_a_key_passes),
        cmocka_unit_test(the_first_record_of_each_id_of_a_key_passes),
        cmocka_unit_test(an_id_is_forgotten_when_its_time_has_come),
        cmocka_unit_test(repetitions_do_not_keep_an_id),
        cmocka_unit_test(a_record_older_than_its_time_to_live_passes),
        cmocka_unit_test(at_the_ends_of_time),
        cmocka_unit_test(what_is_forgotten_leaves_nothing),
        cmocka_unit_test(a_time_to_live_below_0_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
