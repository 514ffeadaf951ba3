/* test_cache.c: clean entries of state: found as they were set, counted in bytes, evicted when told
 * to and then those first that nobody asked for.
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

#include "tests/lib/program.h"
#include "txn/cache.h"

static struct wr_cached *set(struct wr_cache *cache, weir_bytes key, weir_bytes slot,
                             weir_bytes value)
{
    return wr_cache_set(cache, 1, key, slot, wr_hash(1, key, slot), value, false);
}

static struct wr_cached *find(struct wr_cache *cache, weir_bytes key, weir_bytes slot)
{
    return wr_cache_find(cache, 1, key, slot, wr_hash(1, key, slot));
}

static void set_text(struct wr_cache *cache, const char *key, const char *slot, const char *value)
{
    assert_non_null(set(cache, weir_text(key), weir_text(slot), weir_text(value)));
}

static void holds(struct wr_cache *cache, const char *key, const char *slot, const char *value)
{
    const struct wr_cached *found = find(cache, weir_text(key), weir_text(slot));
    assert_non_null(found);
    assert_true(wr_bytes_equal(wr_cached_value(found), weir_text(value)));
}

/* Absent and empty are two things in keys, slots and values; an absent value is knowledge too. */
static void absent_and_empty_are_kept_apart(void **state)
{
    (void)state;
    struct wr_cache cache;
    wr_cache_init(&cache, 1 << 20);
    set_text(&cache, NULL, NULL, "of nothing");
    set_text(&cache, "", NULL, "");
    set_text(&cache, NULL, "", NULL);
    holds(&cache, NULL, NULL, "of nothing");
    holds(&cache, "", NULL, "");
    holds(&cache, NULL, "", NULL);
    assert_null(find(&cache, weir_text(""), weir_text("")));
    wr_cache_fini(&cache);
}

/* The last value counts, whether it fits into the place of the one before or not. */
static void a_value_is_set_again(void **state)
{
    (void)state;
    struct wr_cache cache;
    wr_cache_init(&cache, 1 << 20);
    static const char *const values[] = {"12345678", "1", NULL, "", "a value that needs more room",
                                         "12"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        set_text(&cache, "k", "s", values[i]);
        holds(&cache, "k", "s", values[i]);
    }
    assert_int_equal(cache.map.count, 1);
    wr_cache_fini(&cache);
}

/* Nothing is evicted before it is told to; then no more is held than allowed. */
static void it_is_trimmed_to_its_limit(void **state)
{
    (void)state;
    struct wr_cache cache;
    wr_cache_init(&cache, 10000);
    for (int i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        set_text(&cache, key, "slot", "value");
    }
    assert_int_equal(cache.map.count, 1000);
    wr_cache_trim(&cache);
    assert_true(cache.bytes <= 10000);
    assert_true(cache.map.count > 10);
    wr_cache_fini(&cache);
}

/* What was asked for since the hand passed outlives what was not. */
static void what_is_used_stays(void **state)
{
    (void)state;
    struct wr_cache cache;
    wr_cache_init(&cache, 1 << 20);
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        set_text(&cache, key, NULL, "value");
    }
    for (int i = 0; i < 100; i += 10) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        holds(&cache, key, NULL, "value");
    }
    cache.bytes_max = cache.bytes / 2;
    wr_cache_trim(&cache);
    for (int i = 0; i < 100; i += 10) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        holds(&cache, key, NULL, "value");
    }
    wr_cache_fini(&cache);
}

/* Without room nothing is kept, also what is too large for a free list. */
static void a_limit_of_zero_empties_it(void **state)
{
    (void)state;
    struct wr_cache cache;
    static char large[100000];
    wr_cache_init(&cache, 0);
    set_text(&cache, "k", "s", "v");
    assert_non_null(set(&cache, weir_text("large"), weir_text("s"), wr_bytes(large, sizeof large)));
    wr_cache_trim(&cache);
    assert_int_equal(cache.map.count, 0);
    assert_int_equal(cache.bytes, 0);
    assert_null(find(&cache, weir_text("k"), weir_text("s")));
    wr_cache_fini(&cache);
}

/* Any sequence of sets, finds and trims agrees with an array; the bytes add up. */
static void it_agrees_with_an_array(void **state)
{
    (void)state;
    enum { KEYS = 200, STEPS = 100000 };
    struct wr_cache cache;
    size_t sizes[KEYS] = {0};
    static char bytes[4000];
    uint64_t random = 1;
    wr_cache_init(&cache, 50000);
    for (int i = 0; i < STEPS; i++) {
        unsigned number = program_below(&random, KEYS);
        weir_bytes key = wr_bytes(&number, sizeof number);
        const struct wr_cached *found = find(&cache, key, weir_text("s"));
        if (found) {
            assert_int_equal(wr_cached_value(found).size, sizes[number]);
        }
        if (program_below(&random, 3) == 0) {
            sizes[number] = program_below(&random, program_below(&random, 50) ? 40 : sizeof bytes);
            set(&cache, key, weir_text("s"), wr_bytes(bytes, sizes[number]));
        }
        if (program_below(&random, 20) == 0) {
            wr_cache_trim(&cache);
            assert_true(cache.bytes <= cache.bytes_max);
        }
    }
    cache.bytes_max = 0;
    wr_cache_trim(&cache);
    assert_int_equal(cache.bytes, 0);
    wr_cache_fini(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_and_empty_are_kept_apart),
        cmocka_unit_test(a_value_is_set_again),
        cmocka_unit_test(it_is_trimmed_to_its_limit),
        cmocka_unit_test(what_is_used_stays),
        cmocka_unit_test(a_limit_of_zero_empties_it),
        cmocka_unit_test(it_agrees_with_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
