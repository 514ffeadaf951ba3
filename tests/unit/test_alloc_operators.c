/* test_alloc_operators.c: whichever allocation fails while operators run, the run ends with what
 * says "try again", and the next one goes on as if nothing had been.
 *
 * Values are large and of many sizes, so that each call needs memory that no call before it left.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <weir_ops.h>

#include "engine/weir_test.h"
#include "tests/lib/fail_alloc.h"

enum { RECORDS = 6, VALUE_MAX = 40000, ONE_BY_ONE_UNTIL = 15, SINKS = 6 };

static const char *const sinks[SINKS] = {"table", "count", "ids", "average", "top", "once"};

static weir_bytes first_letter(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)ctx, (void)arg;
    return (weir_bytes){in->value.data, 1};
}

static bool size_of(const weir_record *in, void *arg, int64_t *out)
{
    (void)arg;
    *out = (int64_t)in->value.size;
    return true;
}

static weir_bytes as_text(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    return weir_format(ctx, "%.*s!", (int)in->value.size, (const char *)in->value.data);
}

static void define(weir_job *job)
{
    weir_stream *in = weir_map_values(weir_from(job, "in", NULL), "text", as_text, NULL);
    weir_stream *rows = weir_table(in, "rows");
    weir_stream *groups = weir_key_by(rows, "groups", first_letter, NULL);
    weir_into(rows, "table", NULL);
    weir_into(weir_aggregate(groups, "counts", weir_count()), "count", NULL);
    weir_into(weir_aggregate(groups, "idss", weir_count_distinct(NULL, NULL)), "ids", NULL);
    weir_into(weir_aggregate(groups, "averages", weir_average(size_of, NULL)), "average", NULL);
    weir_into(weir_top(groups, "tops", 2, true, size_of, NULL, NULL), "top", NULL);
    weir_stream *best = weir_top(in, "best", 3, false, size_of, NULL, NULL);
    weir_into(weir_deduplicate(best, "firsts", as_text, NULL, 5), "once", NULL);
}

/* A digest of all that came out. */
static uint64_t digest_of(weir_test *test)
{
    uint64_t digest = 14695981039346656037U; /* FNV-1a */
    for (size_t i = 0; i < SINKS; i++) {
        assert_true(weir_test_count(test, sinks[i]) > 0);
        for (size_t j = 0; j < weir_test_count(test, sinks[i]); j++) {
            const weir_record *record = weir_test_record(test, sinks[i], j);
            const weir_bytes parts[] = {record->key, record->value};
            for (size_t k = 0; k < 2; k++) {
                for (size_t at = 0; at < parts[k].size; at++) {
                    digest = (digest ^ ((const unsigned char *)parts[k].data)[at]) * 1099511628211U;
                }
                digest = (digest ^ parts[k].size) * 1099511628211U;
            }
        }
    }
    assert_int_equal(weir_test_rejects(test), 0);
    return digest;
}

static weir_test *prepared(void)
{
    static char value[VALUE_MAX + 1];
    weir_test *test = weir_test_new(define, NULL);
    for (int i = 0; i < RECORDS; i++) {
        char key[2] = {(char)('a' + i % 3), '\0'};
        int size = (i * 7919 + 100) % VALUE_MAX;
        memset(value, 'a' + i % 2, (size_t)size);
        value[size] = '\0';
        weir_test_text(test, "in", key, value, i);
    }
    return test;
}

/* The digest with the n-th allocation failing; false: there is no n-th one. */
static bool fail_nth(int64_t n, bool lasting, uint64_t *digest_out)
{
    weir_test *test = prepared();
    fail_alloc_arm(FAIL_ALLOC_WEIR, n, lasting);
    weir_status status = weir_test_run(test);
    fail_alloc_off();
    bool hit = fail_alloc_hit();
    if (status != WEIR_OK) {
        if (!strstr(weir_test_error(test), "memory")) {
            fail_msg("allocation %lld: %s", (long long)n, weir_test_error(test));
        }
        assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
        assert_int_equal(weir_test_run(test), WEIR_OK);
    }
    *digest_out = digest_of(test);
    weir_test_free(test);
    return hit;
}

static int64_t next_n(int64_t n)
{
    return n < ONE_BY_ONE_UNTIL || getenv("WEIR_LONG") ? n + 1 : n + n / 5;
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    uint64_t expected, found;
    assert_false(fail_nth(INT64_MAX, false, &expected));
    for (int lasting = 0; lasting < 2; lasting++) {
        int64_t n = 1;
        while (fail_nth(n, lasting, &found)) {
            assert_true(found == expected);
            n = next_n(n);
        }
        assert_true(n > 1);
    }
}

int main(void)
{
    fail_alloc_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
