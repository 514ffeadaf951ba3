/* test_op_option.c: weir_option_i64: what is a number of an option, and what refuses the job.
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

#include "engine/weir_test.h"

/* Emits what the option was. */
static void tell(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const int64_t *number = arg;
    weir_record out = *in;
    out.value = weir_format(ctx, "%lld", (long long)*number);
    weir_emit(ctx, &out);
}

static void define(weir_job *job)
{
    int64_t *number = weir_alloc(job, sizeof *number);
    *number = weir_option_i64(job, "n", 7, -10, 100);
    weir_stream *in = weir_from(job, "in", "file:in");
    weir_into(weir_through(in, "tell", tell, number), "out", "log:out");
}

/* What a job with -D n=TEXT (NULL: without) is told; NULL: it is refused. */
static bool is_told(const char *text, const char *expected)
{
    char define_n[64];
    snprintf(define_n, sizeof define_n, "n=%s", text ? text : "");
    const char *const set[] = {text ? "-D" : NULL, define_n, NULL};
    weir_test *test = weir_test_new(define, &(weir_test_options){.set = set});
    bool told = false;
    if (!expected) {
        told = weir_test_status(test) == WEIR_MISUSE &&
               strstr(weir_test_error(test), " is no whole number from -10 to 100") &&
               strstr(weir_test_error(test), define_n);
    } else {
        weir_test_text(test, "in", "k", "v", 0);
        if (weir_test_run(test) == WEIR_OK && weir_test_count(test, "out") == 1) {
            weir_bytes value = weir_test_record(test, "out", 0)->value;
            told = value.size == strlen(expected) && memcmp(value.data, expected, value.size) == 0;
        }
    }
    weir_test_free(test);
    return told;
}

static void numbers(void **state)
{
    (void)state;
    assert_true(is_told(NULL, "7"));
    assert_true(is_told("0", "0"));
    assert_true(is_told("-10", "-10"));
    assert_true(is_told("100", "100"));
    assert_true(is_told("007", "7"));
}

static void refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "101", "-11", "", " 1", "1 ", "1s", "0x1", "1e2", "ten", "99999999999999999999", "-",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_true(is_told(wrong[i], NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
