/* test_misuse.c: mistakes of a job and of a test are named; nothing crashes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <weir_test.h>

static void emit_bad_headers(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_header nameless = {NULL, {"v", 1}};
    weir_record out = *in;
    out.headers = in->key.data ? &nameless : NULL;
    out.header_count = 1;
    weir_emit(ctx, &out);
}

static void define(weir_job *job)
{
    weir_into(weir_through(weir_from(job, "in", NULL), "n", emit_bad_headers, NULL), "out", NULL);
}

static void a_header_that_is_null_or_nameless_is_misuse(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        weir_test *test = weir_test_new(define, NULL);
        weir_test_text(test, "in", i ? "key" : NULL, "value", 1);
        assert_int_not_equal(weir_test_run(test), WEIR_OK);
        assert_non_null(strstr(weir_test_error(test), "header"));
        weir_test_free(test);
    }
}

static void the_kit_names_a_source_and_a_sink_that_are_not_there(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(define, NULL);
    weir_test_text(test, "inn", "key", "value", 1);
    assert_int_equal(weir_test_run(test), WEIR_MISUSE);
    assert_non_null(strstr(weir_test_error(test), "`inn`"));
    weir_test_free(test);

    test = weir_test_new(define, NULL);
    assert_int_equal(weir_test_count(test, "outt"), 0);
    assert_int_equal(weir_test_status(test), WEIR_MISUSE);
    weir_test_free(test);
}

static void the_kit_lists_every_fault_point(void **state)
{
    (void)state;
    int points = 0;
    while (weir_test_fault(points)) {
        points++;
    }
    assert_true(points >= 28);
    assert_string_equal(weir_test_fault(0), "open_before_generation");
    assert_null(weir_test_fault(-1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_that_is_null_or_nameless_is_misuse),
        cmocka_unit_test(the_kit_names_a_source_and_a_sink_that_are_not_there),
        cmocka_unit_test(the_kit_lists_every_fault_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
