/* test_cache.c: entries of state: found as they were set, counted in bytes. Clean ones are evicted
 * when told to, and then those first that nobody asked for; dirty ones stay, in order once asked
 * for, and what a sweep points to stays until it ends.
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

/* ---- Dirty entries --------------------------------------------------------------------------- */

static struct wr_cached *set_dirty(struct wr_cache *cache, weir_bytes key, weir_bytes slot,
                                   weir_bytes value)
{
    struct wr_cached *entry = wr_cache_set(cache, 1, key, slot, wr_hash(1, key, slot), value, true);
    assert_non_null(entry);
    assert_true(entry->dirty);
    return entry;
}

/* Also where there is no room, and also when the value is set anew as a clean one. */
static void what_is_dirty_stays(void **state)
{
    (void)state;
    struct wr_cache cache;
    wr_cache_init(&cache, 0);
    set_dirty(&cache, weir_text("k"), weir_text("s"), weir_text("v"));
    set_text(&cache, "clean", "s", "v");
    assert_true(wr_cache_trim(&cache));
    assert_false(wr_cache_trim(&cache));
    assert_null(find(&cache, weir_text("clean"), weir_text("s")));
    holds(&cache, "k", "s", "v");
    set_text(&cache, "k", "s", "a value that needs more room");
    holds(&cache, "k", "s", "a value that needs more room");
    assert_int_equal(cache.dirty_count, 1);
    set_dirty(&cache, weir_text("k"), weir_text("s"), weir_text(NULL));
    holds(&cache, "k", "s", NULL);
    wr_cache_clean(&cache, find(&cache, weir_text("k"), weir_text("s")));
    assert_int_equal(cache.dirty_count, 0);
    assert_int_equal(cache.dirty_bytes, 0);
    (void)wr_cache_trim(&cache);
    assert_int_equal(cache.bytes, 0);
    wr_cache_fini(&cache);
}

enum { ORDERED = 300 };

struct ordered { /* what is dirty: by number, which is also the order */
    bool dirty[ORDERED];
    size_t sizes[ORDERED];
};

static weir_bytes number_key(unsigned number, unsigned char bytes[2])
{
    bytes[0] = (unsigned char)(number >> 8);
    bytes[1] = (unsigned char)number;
    return wr_bytes(bytes, 2);
}

static void must_be_in_order(const struct wr_cache *cache, const struct ordered *model,
                             unsigned from)
{
    unsigned char bytes[2];
    const struct wr_cached *at = wr_cache_first(cache, 1, number_key(from, bytes), weir_text(NULL));
    for (unsigned number = from; number < ORDERED; number++) {
        if (!model->dirty[number]) {
            continue;
        }
        assert_non_null(at);
        assert_true(wr_bytes_equal(wr_cached_key(at), number_key(number, bytes)));
        assert_int_equal(wr_cached_value(at).size, model->sizes[number]);
        at = wr_cache_next(at);
    }
    assert_null(at);
}

/* Whatever becomes dirty, grows or becomes clean: the dirty ones are in order, and all of them. */
static void dirty_entries_are_in_order(void **state)
{
    (void)state;
    struct wr_cache cache;
    struct ordered model = {.sizes = {0}};
    static const char value[100];
    unsigned char bytes[2];
    uint64_t random = 3;
    size_t dirty = 0;
    wr_cache_init(&cache, 5000);
    for (int i = 0; i < 20000; i++) {
        unsigned number = program_below(&random, ORDERED);
        weir_bytes key = number_key(number, bytes);
        if (program_below(&random, 3) == 0 && model.dirty[number]) {
            wr_cache_clean(&cache, find(&cache, key, weir_text(NULL)));
            model.dirty[number] = false;
            dirty--;
        } else {
            model.sizes[number] = program_below(&random, sizeof value);
            bool as = program_below(&random, 2);
            dirty += as && !model.dirty[number];
            model.dirty[number] = model.dirty[number] || as;
            assert_non_null(wr_cache_set(&cache, 1, key, weir_text(NULL),
                                         wr_hash(1, key, weir_text(NULL)),
                                         wr_bytes(value, model.sizes[number]), as));
        }
        if (i == 1000) {
            assert_true(wr_cache_index(&cache)); /* of those that are there, and later ones */
        }
        assert_int_equal(cache.dirty_count, dirty);
        assert_true(cache.ring_capacity >= cache.ring_count + dirty); /* cleaning needs none */
        if (i % 100 == 0) {
            (void)wr_cache_trim(&cache);
            if (i >= 1000) {
                must_be_in_order(&cache, &model, program_below(&random, ORDERED));
            }
        }
    }
    assert_true(wr_cache_index(&cache));
    must_be_in_order(&cache, &model, 0);
    wr_cache_fini(&cache);
}

/* By node, then key, then slot; absent before empty. */
static void order_is_that_of_the_store(void **state)
{
    (void)state;
    struct wr_cache cache;
    static const struct {
        uint32_t node;
        const char *key, *slot;
    } in_order[] = {{1, NULL, NULL}, {1, NULL, ""},  {1, "", NULL},  {1, "a", "b"},
                    {1, "ab", ""},   {2, NULL, "z"}, {2, "a", NULL}, {300, NULL, NULL}};
    enum { COUNT = sizeof in_order / sizeof *in_order };
    wr_cache_init(&cache, 0);
    assert_true(wr_cache_index(&cache));
    assert_null(wr_cache_first(&cache, 1, weir_text(NULL), weir_text(NULL)));
    for (size_t i = 0; i < COUNT; i++) {
        size_t at = i * 5 % COUNT;
        weir_bytes key = weir_text(in_order[at].key), slot = weir_text(in_order[at].slot);
        assert_non_null(wr_cache_set(&cache, in_order[at].node, key, slot,
                                     wr_hash(in_order[at].node, key, slot), weir_text("v"), true));
    }
    const struct wr_cached *at = wr_cache_first(&cache, 0, weir_text(NULL), weir_text(NULL));
    for (size_t i = 0; i < COUNT; i++, at = wr_cache_next(at)) {
        assert_non_null(at);
        assert_int_equal(at->node, in_order[i].node);
        assert_true(wr_bytes_equal(wr_cached_key(at), weir_text(in_order[i].key)));
        assert_true(wr_bytes_equal(wr_cached_slot(at), weir_text(in_order[i].slot)));
        assert_ptr_equal(wr_cache_first(&cache, at->node, wr_cached_key(at), wr_cached_slot(at)),
                         at);
    }
    assert_null(at);
    wr_cache_fini(&cache);
}

/* What was dirty when a sweep began can be looked at until it ends: replaced by a larger block, or
 * cleaned and evicted, it is stale, and no other entry has its memory. */
static void what_a_sweep_points_to_stays(void **state)
{
    (void)state;
    struct wr_cache cache;
    static char large[2000];
    const struct wr_cached *entries[20];
    wr_cache_init(&cache, 0);
    for (int round = 0; round < 3; round++) {
        unsigned char bytes[2];
        for (unsigned i = 0; i < 20; i++) {
            entries[i] = set_dirty(&cache, number_key(i, bytes), weir_text("s"),
                                   wr_bytes(large, i % 2 ? 8 : sizeof large));
        }
        wr_cache_sweep_begin(&cache);
        for (unsigned i = 0; i < 20; i++) {
            weir_bytes key = number_key(i, bytes);
            if (i % 4 < 2) { /* grows */
                set_dirty(&cache, key, weir_text("s"), wr_bytes(large, sizeof large));
            } else {
                wr_cache_clean(&cache, find(&cache, key, weir_text("s")));
            }
        }
        (void)wr_cache_trim(&cache);
        for (unsigned i = 100; i < 200; i++) {
            set_dirty(&cache, number_key(i, bytes), weir_text("s"), wr_bytes(large, 8));
        }
        for (unsigned i = 0; i < 20; i++) {
            assert_true(wr_bytes_equal(wr_cached_key(entries[i]), number_key(i, bytes)));
            const struct wr_cached *now = find(&cache, number_key(i, bytes), weir_text("s"));
            assert_int_equal(entries[i]->stale, now != entries[i]);
            assert_true((now != NULL) == (i % 4 < 2));
        }
        if (round == 2) { /* under way at the end */
            break;
        }
        wr_cache_sweep_end(&cache);
        while (cache.dirty_count > 0) {
            wr_cache_clean(&cache, cache.dirty[0]);
        }
        (void)wr_cache_trim(&cache);
        assert_int_equal(cache.bytes, 0);
    }
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
        cmocka_unit_test(what_is_dirty_stays),
        cmocka_unit_test(dirty_entries_are_in_order),
        cmocka_unit_test(order_is_that_of_the_store),
        cmocka_unit_test(what_a_sweep_points_to_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
