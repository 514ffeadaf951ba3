/* test_op_join_foreign.c: weir_join_foreign, by hand.
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

static const char *const kinds[] = {"inner", "left"};

/* The left value's first letter; none: no foreign key; `?` is rejected. */
static weir_bytes first_letter(weir_ctx *ctx, const weir_record *in, void *arg)
{
    if (in->value.size > 0 && *(const char *)in->value.data == '?') {
        steps_reject(ctx, "asks", arg);
    }
    return (weir_bytes){in->value.size ? in->value.data : NULL, in->value.size ? 1 : 0};
}

static void define(weir_job *job)
{
    weir_stream *left, *right;
    steps_in(job, &left, &right);
    for (unsigned kind = WEIR_INNER; kind <= WEIR_LEFT; kind++) {
        steps_out(weir_join_foreign(left, kinds[kind], right, (weir_join_kind)kind, first_letter,
                                    steps_join, (void *)(uintptr_t)kinds[kind]),
                  kinds[kind]);
    }
}
#define CHECK(cases) steps_check(define, kinds, cases, sizeof cases / sizeof *cases)

static void rows_meet_by_foreign_key(void **state)
{
    (void)state;
    static const struct steps_case cases[] = {
        {"L:1=a@1 R:a=r@2", {"1=a+r@2", "1=a+.@1 1=a+r<a+.@2"}},
        {"R:a=r@2 L:1=a@1", {"1=a+r@2", "1=a+r@2"}},
        {"L:1=a@1 R:b=r@2", {"", "1=a+.@1"}},
        /* a right row is of many left ones */
        {"L:1=ax@1 L:2=ay@9 L:3=bz@1 R:a=r@5 R:a=s@6",
         {"1=ax+r@5 2=ay+r@9 1=ax+s<ax+r@6 "
          "2=ay+s<ay+r@9",
          "1=ax+.@1 2=ay+.@9 3=bz+.@1 1=ax+r<ax+.@5 2=ay+r<ay+.@9 1=ax+s<ax+r@6 2=ay+s<ay+r@9"}},
        /* and goes from all of them */
        {"R:a=r@1 L:1=a@2 R:a@3 R:a@4", {"1=a+r@2 1<a+r@3", "1=a+r@2 1=a+.<a+r@3"}},
        {"", {"", ""}},
        {"R:a=r@1 R:a@2 R:b@3", {"", ""}},
    };
    CHECK(cases);
}

static void a_left_row_may_move(void **state)
{
    (void)state;
    static const struct steps_case cases[] = {
        /* the same foreign key: its value alone changes */
        {"R:a=r@1 L:1=ax@2 L:1=ay@3", {"1=ax+r@2 1=ay+r<ax+r@3", "1=ax+r@2 1=ay+r<ax+r@3"}},
        /* from a row to a row, to none, and back: one change each; the old row leaves it alone */
        {"R:a=r@1 R:b=s@1 L:1=a@2 L:1=b@3 R:a=t@4 R:b=u@5",
         {"1=a+r@2 1=b+s<a+r@3 1=b+u<b+s@5", "1=a+r@2 1=b+s<a+r@3 1=b+u<b+s@5"}},
        {"R:a=r@1 L:1=a@2 L:1=b@3 L:1=a@4",
         {"1=a+r@2 1<a+r@3 1=a+r@4", "1=a+r@2 1=b+.<a+r@3 1=a+r<b+.@4"}},
        /* to no foreign key, and from it */
        {"R:a=r@1 L:1=a@2 L:1=@3 L:1=a@4",
         {"1=a+r@2 1<a+r@3 1=a+r@4", "1=a+r@2 1=+.<a+r@3 1=a+r<+.@4"}},
        {"L:1=@3 L:1=@4 L:1@5 L:1@6", {"", "1=+.@3 1=+.<+.@4 1<+.@5"}},
        /* and go */
        {"R:a=r@1 L:1=a@2 L:1@3 R:a=s@4 L:1@5", {"1=a+r@2 1<a+r@3", "1=a+r@2 1<a+r@3"}},
        {"L:1=a@2 L:1@3 R:a=s@4", {"", "1=a+.@2 1<a+.@3"}},
        {"L:1@1", {"", ""}},
    };
    CHECK(cases);
}

static void absent_keys_and_rejects(void **state)
{
    (void)state;
    static const struct steps_case cases[] = {
        {"L:-=a@1 R:-=r@1 L:-@1 R:-@1",
         {"!no key !no key !no key !no key", "!no key !no key !no key !no key"}},
        {"L:=a@1 R:a=r@1", {"=a+r@1", "=a+.@1 =a+r<a+.@1"}},
        /* an empty key is one */
        {"R:a=r@1 L:1=?@2 L:1=a@3 L:1=?@4 R:a=s@5",
         {"1=a+r@3 1=a+s<a+r@5 !asks !asks", "1=a+r@3 1=a+s<a+r@5 !asks !asks"}},
        /* a row that the joiner rejects leaves the one before, also where it moves */
        {"R:a=r@1 L:1=a@2 R:a=!@3 R:a=s@4",
         {"1=a+r@2 1=a+s<a+r@4 !loud", "1=a+r@2 1=a+s<a+r@4 !loud"}},
        {"R:a=r@1 L:1=a@2 R:!=s@3 L:1=!@4 L:1=b@5 R:b=t@6 L:1@7",
         {"1=a+r@2 1<a+r@5 1=b+t@6 1<b+t@7 !loud",
          "1=a+r@2 1=b+.<a+r@5 1=b+t<b+.@6 1<b+t@7 !loud"}},
        {"R:a=r@1 L:1=a@2 R:!=s@3 L:1=!@4 L:1@5",
         {"1=a+r@2 1<a+r@5 !loud", "1=a+r@2 1<a+r@5 !loud"}},
    };
    CHECK(cases);
}

/* What goes leaves nothing behind in any of the nodes. */
static void removed_rows_leave_no_state(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(define, NULL);
    steps_take(test, "R:a=r@1 R:b=s@1 L:1=a@2 L:1=b@3");
    weir_bytes one = weir_text("1"), a = weir_text("a"), b = weir_text("b"), none = {NULL, 0};
    assert_non_null(weir_test_state(test, "left.LEFT", one, none).data);
    assert_null(weir_test_state(test, "left.RIGHT", a, one).data);
    assert_non_null(weir_test_state(test, "left.RIGHT", b, one).data);
    assert_null(weir_test_state(test, "left", one, none).data);
    steps_take(test, "L:1@4 R:b@4");
    assert_null(weir_test_state(test, "left.LEFT", one, none).data);
    assert_null(weir_test_state(test, "left.RIGHT", b, one).data);
    assert_null(weir_test_state(test, "left.RIGHT", b, none).data);
    weir_test_free(test);
}

static void define_without_a_foreign_key(weir_job *job)
{
    weir_stream *left, *right;
    steps_in(job, &left, &right);
    steps_out(weir_join_foreign(left, "join", right, WEIR_INNER, NULL, steps_join, NULL), "join");
}

static void a_function_for_the_foreign_key_is_needed(void **state)
{
    (void)state;
    shown_refused(define_without_a_foreign_key, "join: no function that gives a left row's");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_meet_by_foreign_key),
        cmocka_unit_test(a_left_row_may_move),
        cmocka_unit_test(absent_keys_and_rejects),
        cmocka_unit_test(removed_rows_leave_no_state),
        cmocka_unit_test(a_function_for_the_foreign_key_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
