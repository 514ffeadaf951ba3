/* test_op_format.c: weir_format, and numbers as text.
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

#include "operators/number.h"
#include "tests/lib/shown.h"

/* As many dots as the value says, between brackets. */
static weir_bytes dots(weir_ctx *ctx, const weir_record *in, void *arg)
{
    static const char many[] =
        "...................................................................."
        "...................................................................."
        "....................................................................";
    int64_t count = 0;
    (void)arg;
    assert_true(wr_number_parse(in->value, &count));
    weir_bytes first = weir_format(ctx, "[%.*s]", (int)count, many);
    weir_bytes second = weir_format(ctx, "%s", "");
    assert_int_equal(first.size, count + 2);
    assert_non_null(second.data); /* empty, not absent */
    assert_int_equal(second.size, 0);
    return first;
}

static void define_dots(weir_job *job)
{
    shown_out(weir_map_values(shown_in(job, 0), "dots", dots, NULL));
}

/* 158 is the last that fits at once, with its brackets but without the NUL that it must have. */
static void text_of_any_length_is_whole(void **state)
{
    (void)state;
    char expected[1024] = "", text[200];
    memset(text, '.', sizeof text);
    for (int size = 156; size <= 160; size++) {
        char line[256];
        snprintf(line, sizeof line, "k ->[%.*s] @1\n", size, text);
        strcat(expected, line);
    }
    shown_values(define_dots, "k 156 @1\nk 157 @1\nk 158 @1\nk 159 @1\nk 160 @1\n", expected);
    shown_values(define_dots, "k 0 @1\n", "k ->[] @1\n");
}

static weir_bytes again(weir_ctx *ctx, const weir_record *in, void *arg)
{
    int64_t number = 0;
    (void)arg;
    if (!wr_number_parse(in->value, &number)) {
        return (weir_bytes){NULL, 0};
    }
    return wr_number_text(ctx, number);
}

static void define_again(weir_job *job)
{
    shown_out(weir_map_values(shown_in(job, 0), "again", again, NULL));
}

static void numbers_are_read_and_written(void **state)
{
    (void)state;
    shown_values(define_again,
                 "k 0 @1\nk -0 @2\nk +7 @3\nk 0010 @4\nk 9223372036854775807 @5\n"
                 "k -9223372036854775808 @6\nk 9223372036854775808 @7\nk -9223372036854775809 @8\n"
                 "k 18446744073709551617 @9\nk '' @10\nk 1_ @11\nk --1 @12\nk 0x1 @13\n",
                 "k ->0 @1\nk ->0 @2\nk ->7 @3\nk ->10 @4\nk ->9223372036854775807 @5\n"
                 "k ->-9223372036854775808 @6\nk ->- @7\nk ->- @8\nk ->- @9\nk ->- @10\n"
                 "k ->- @11\nk ->- @12\nk ->- @13\n");
    int64_t unchanged = 42;
    assert_false(wr_number_parse(weir_text(NULL), &unchanged));
    assert_false(wr_number_parse(weir_text("-"), &unchanged));
    assert_int_equal(unchanged, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_any_length_is_whole),
        cmocka_unit_test(numbers_are_read_and_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
