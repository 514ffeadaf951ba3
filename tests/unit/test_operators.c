/* test_operators.c: weir_filter and weir_map, through the test kit.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <weir_ops.h>
#include <weir_test.h>

static bool is_long(const weir_record *in, void *arg)
{
    const size_t *least = arg;
    return in->value.size >= *least;
}

static weir_record shout(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    char *text = weir_scratch(ctx, in->value.size);
    for (size_t i = 0; i < in->value.size; i++) {
        char letter = ((const char *)in->value.data)[i];
        text[i] = letter >= 'a' && letter <= 'z' ? (char)(letter - 'a' + 'A') : letter;
    }
    if (memchr(text, '!', in->value.size)) {
        weir_reject(ctx, "is loud already");
    }
    return weir_reply(ctx, (weir_bytes){text, in->value.size});
}

static void define(weir_job *job)
{
    size_t *least = weir_alloc(job, sizeof *least);
    *least = 3;
    weir_stream *in = weir_from(job, "in", NULL);
    weir_stream *kept = weir_filter(in, "long", is_long, least);
    weir_into(weir_map(kept, "shout", shout, NULL), "out", NULL);
}

static void filter_keeps_what_holds_and_map_replaces_it(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(define, NULL);
    weir_test_text(test, "in", "a", "abc", 1);
    weir_test_text(test, "in", "b", "ab", 2);
    weir_test_text(test, "in", NULL, "abcd", 3);
    assert_int_equal(weir_test_run(test), WEIR_OK);
    assert_int_equal(weir_test_count(test, "out"), 2);
    const weir_record *first = weir_test_record(test, "out", 0);
    assert_memory_equal(first->value.data, "ABC", 3);
    assert_memory_equal(first->key.data, "a", 1);
    const weir_record *second = weir_test_record(test, "out", 1);
    assert_null(second->key.data);
    assert_int_equal(second->time_ms, 3);
    weir_test_free(test);
}

static void what_map_rejects_is_not_emitted(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(define, NULL);
    weir_test_text(test, "in", "a", "hey!", 1);
    assert_int_equal(weir_test_run(test), WEIR_OK);
    assert_int_equal(weir_test_count(test, "out"), 0);
    assert_int_equal(weir_test_rejects(test), 1);
    assert_string_equal(weir_test_reason(test, 0), "is loud already");
    weir_test_free(test);
}

static void define_without_a_function(weir_job *job)
{
    weir_into(weir_filter(weir_from(job, "in", NULL), "long", NULL, NULL), "out", NULL);
}

static void a_missing_function_is_named(void **state)
{
    (void)state;
    weir_test *test = weir_test_new(define_without_a_function, NULL);
    assert_int_equal(weir_test_status(test), WEIR_MISUSE);
    assert_non_null(strstr(weir_test_error(test), "`long`"));
    weir_test_free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filter_keeps_what_holds_and_map_replaces_it),
        cmocka_unit_test(what_map_rejects_is_not_emitted),
        cmocka_unit_test(a_missing_function_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
