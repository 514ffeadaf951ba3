/* test_store.c: state and timers: what an epoch wrote is what readers find.
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

#include "tests/lib/scratch_store.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const weir_bytes absent = {NULL, 0};

static int set_up(void **state)
{
    struct scratch *s = scratch_new();
    scratch_open(s);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    scratch_free(*state);
    return 0;
}

static void assert_bytes(weir_bytes got, weir_bytes expected)
{
    assert_int_equal(!got.data, !expected.data);
    assert_int_equal(got.size, expected.size);
    assert_true(wr_bytes_equal(got, expected));
}

/* What a new snapshot has. */
static weir_bytes get(struct scratch *s, uint32_t node, weir_bytes key, weir_bytes slot)
{
    weir_bytes value;
    wr_reader_end(scratch_reader(s));
    scratch_must(s, wr_reader_get(s->reader, node, key, slot, &s->arena, &value, &s->error));
    return value;
}

/* ---- State ----------------------------------------------------------------------------------- */

static const weir_bytes names[] = {{NULL, 0}, {"", 0}, {"a", 1}, {"\0", 1}, {"ab", 2}, {"\xff", 1}};

/* Absent, empty and other keys and slots of two nodes are places of their own. */
static void state_is_kept_by_node_key_and_slot(void **state)
{
    struct scratch *s = *state;
    char text[COUNT(names)][COUNT(names)][2][16];
    scratch_begin(s);
    for (size_t k = 0; k < COUNT(names); k++) {
        for (size_t l = 0; l < COUNT(names); l++) {
            for (uint32_t n = 0; n < 2; n++) {
                snprintf(text[k][l][n], 16, "%zu %zu %u", k, l, n);
                scratch_put(s, s->nodes[n].id, names[k], names[l], weir_text(text[k][l][n]));
            }
        }
    }
    scratch_decide(s);
    for (size_t k = 0; k < COUNT(names); k++) {
        for (size_t l = 0; l < COUNT(names); l++) {
            for (uint32_t n = 0; n < 2; n++) {
                assert_bytes(get(s, s->nodes[n].id, names[k], names[l]), weir_text(text[k][l][n]));
            }
        }
    }
    assert_bytes(get(s, 99, names[2], names[2]), absent);
}

/* A later epoch overwrites and removes; an empty value is a value. */
static void state_is_overwritten_and_removed(void **state)
{
    struct scratch *s = *state;
    uint32_t node = s->nodes[0].id;
    scratch_begin(s);
    scratch_put(s, node, weir_text("a"), absent, weir_text("1"));
    scratch_put(s, node, weir_text("b"), absent, weir_text("2"));
    scratch_put(s, node, weir_text("c"), absent, weir_text("3"));
    scratch_decide(s);
    scratch_begin(s);
    scratch_put(s, node, weir_text("a"), absent, wr_bytes("", 0));
    scratch_put(s, node, weir_text("b"), absent, absent);
    scratch_put(s, node, weir_text("never"), absent, absent);
    scratch_decide(s);
    assert_bytes(get(s, node, weir_text("a"), absent), wr_bytes("", 0));
    assert_bytes(get(s, node, weir_text("b"), absent), absent);
    assert_bytes(get(s, node, weir_text("c"), absent), weir_text("3"));
    assert_string_equal(scratch_query(s, "SELECT count(*) FROM state"), "2");
}

/* Random writes of any number, sizes and mixes of slots, against an array that is looked up. */
static void many_random_writes_are_all_there(void **state)
{
    enum { KEYS = 700, ROUNDS = 12 };
    struct scratch *s = *state;
    static int64_t model[2][KEYS][2]; /* node, key, with or without slot; 0: nothing */
    uint64_t seed = 7;
    memset(model, 0, sizeof model);
    for (int64_t round = 1; round <= ROUNDS; round++) {
        scratch_begin(s);
        for (int i = 0; i < 40 * round; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            unsigned n = seed >> 40 & 1, k = (unsigned)(seed >> 45) % KEYS, l = seed >> 41 & 1;
            bool remove = (seed >> 42 & 7) == 0;
            char key[40];
            int64_t value = remove ? 0 : round * 1000000 + i;
            snprintf(key, sizeof key, "a shared beginning %u", k);
            model[n][k][l] = value;
            scratch_put(s, s->nodes[n].id, weir_text(key), l ? weir_text("slot") : absent,
                        remove ? absent : wr_bytes(&value, sizeof value));
        }
        scratch_decide(s);
    }
    for (unsigned i = 0; i < 2 * KEYS * 2; i++) {
        unsigned n = i & 1, l = i >> 1 & 1, k = i / 4;
        char key[40];
        snprintf(key, sizeof key, "a shared beginning %u", k);
        weir_bytes value = get(s, s->nodes[n].id, weir_text(key), l ? weir_text("slot") : absent);
        assert_bytes(value, model[n][k][l] ? wr_bytes(&model[n][k][l], 8) : absent);
        wr_arena_reset(&s->arena);
    }
}

/* A scan gives the slots of one key in byte order, absent first, within its bounds. */
static void a_scan_is_ordered_and_bounded(void **state)
{
    struct scratch *s = *state;
    const weir_bytes slots[] = {absent,          wr_bytes("", 0), weir_text("a"),
                                weir_text("ab"), weir_text("b"),  wr_bytes("\xff", 1)};
    static const struct {
        int from, to; /* -1: open */
        bool after;
        size_t max;
        int first, count;
    } cases[] = {
        {-1, -1, false, 100, 0, 6}, {0, -1, false, 100, 0, 6}, {0, -1, true, 100, 1, 5},
        {1, -1, false, 100, 1, 5},  {2, 4, false, 100, 2, 2},  {2, 4, true, 100, 3, 1},
        {-1, 3, false, 100, 0, 3},  {-1, -1, false, 2, 0, 2},  {5, -1, true, 100, 6, 0},
        {4, 2, false, 100, 0, 0},   {-1, 1, false, 100, 0, 1},
    };
    uint32_t node = s->nodes[1].id;
    scratch_begin(s);
    for (size_t i = 0; i < COUNT(slots); i++) {
        scratch_put(s, node, weir_text("k"), slots[i], slots[i].data ? slots[i] : weir_text("0"));
        scratch_put(s, node, weir_text("j"), slots[i], weir_text("other"));
        scratch_put(s, node + 1, weir_text("k"), slots[i], weir_text("other"));
    }
    scratch_decide(s);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wr_range range = {.node = node, .key = weir_text("k"), .after = cases[i].after};
        struct wr_slot got[8];
        size_t count;
        range.from_set = cases[i].from >= 0;
        range.from = range.from_set ? slots[cases[i].from] : absent;
        range.to = cases[i].to >= 0 ? slots[cases[i].to] : absent;
        scratch_must(s, wr_reader_scan(scratch_reader(s), &range,
                                       cases[i].max < COUNT(got) ? cases[i].max : COUNT(got),
                                       &s->arena, got, &count, &s->error));
        assert_int_equal(count, cases[i].count);
        for (size_t j = 0; j < count; j++) {
            assert_bytes(got[j].slot, slots[(size_t)cases[i].first + j]);
        }
    }
}

/* ---- Timers ---------------------------------------------------------------------------------- */

static size_t timers(struct scratch *s, bool clock, const struct wr_timer *after, size_t max,
                     struct wr_timer *timers_out)
{
    size_t count;
    wr_reader_end(scratch_reader(s));
    scratch_must(s, wr_reader_timers(s->reader, s->nodes[0].id, clock, after, max, &s->arena,
                                     timers_out, &count, &s->error));
    return count;
}

/* Timers come by time, key, name; one per key and name: setting again moves it, also between event
 * time and clock; INT64_MAX cancels. */
static void timers_are_set_moved_and_cancelled(void **state)
{
    struct scratch *s = *state;
    uint32_t node = s->nodes[0].id;
    struct wr_timer got[8];
    scratch_begin(s);
    scratch_timer(s, node, weir_text("b"), absent, false, 10);
    scratch_timer(s, node, weir_text("a"), weir_text("x"), false, 10);
    scratch_timer(s, node, weir_text("a"), absent, false, 10);
    scratch_timer(s, node, absent, absent, false, 20);
    scratch_timer(s, node, weir_text("c"), absent, false, -5);
    scratch_timer(s, node, weir_text("d"), absent, true, 1);
    scratch_timer(s, s->nodes[1].id, weir_text("e"), absent, false, 1);
    scratch_decide(s);
    assert_int_equal(timers(s, false, NULL, 8, got), 5);
    assert_bytes(got[0].key, weir_text("c"));
    assert_bytes(got[1].name, absent);
    assert_bytes(got[2].name, weir_text("x"));
    assert_bytes(got[3].key, weir_text("b"));
    assert_bytes(got[4].key, absent);
    assert_true(got[2].hash == wr_hash(node, got[2].key, got[2].name));
    scratch_begin(s);
    scratch_timer(s, node, weir_text("c"), absent, false, 30);
    scratch_timer(s, node, weir_text("a"), absent, true, 40);
    scratch_timer(s, node, weir_text("b"), absent, false, INT64_MAX);
    scratch_timer(s, node, weir_text("never"), absent, false, INT64_MAX);
    scratch_decide(s);
    assert_int_equal(timers(s, false, NULL, 8, got), 3);
    assert_bytes(got[0].name, weir_text("x"));
    assert_true(got[1].time_ms == 20 && got[2].time_ms == 30);
    assert_int_equal(timers(s, true, NULL, 8, got), 2);
    assert_true(got[0].time_ms == 1 && got[1].time_ms == 40 && got[1].clock);
}

/* A page of timers goes on exactly after the last one of the page before. */
static void timers_are_read_in_pages(void **state)
{
    struct scratch *s = *state;
    struct wr_timer page[4], last;
    int seen = 0;
    scratch_begin(s);
    for (int i = 0; i < 30; i++) {
        char key[16], name[16];
        snprintf(key, sizeof key, "%02d", i / 2 % 5);
        snprintf(name, sizeof name, "%02d", i);
        scratch_timer(s, s->nodes[0].id, weir_text(key), weir_text(name), false, i / 10);
    }
    scratch_decide(s);
    for (size_t count = 4; count == 4;) {
        count = timers(s, false, seen ? &last : NULL, 4, page);
        for (size_t i = 0; i < count; i++, seen++) {
            int order = wr_bytes_compare(last.key, page[i].key);
            order = order ? order : wr_bytes_compare(last.name, page[i].name);
            assert_true(seen == 0 || last.time_ms < page[i].time_ms ||
                        (last.time_ms == page[i].time_ms && order < 0));
            last = page[i];
        }
    }
    assert_int_equal(seen, 30);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(state_is_kept_by_node_key_and_slot), TEST(state_is_overwritten_and_removed),
        TEST(many_random_writes_are_all_there),   TEST(a_scan_is_ordered_and_bounded),
        TEST(timers_are_set_moved_and_cancelled), TEST(timers_are_read_in_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
