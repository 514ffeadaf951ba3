/* test_state.c: reads of state through the filling epoch, the sealed epoch, the cache and the
 * store: the first that knows a slot answers, and scans merge all of them in order.
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
#include "txn/state.h"

struct fixture {
    struct scratch *scratch;
    struct wr_state state;
    struct wr_epoch epochs[2];
    struct wr_epoch *filling, *sealed;
    struct wr_arena arena;
    struct wr_error error;
    uint32_t node;
    uint64_t unit;
};

/* A store in which key `k` has slots s0 to s9, each with the value `stored`. */
static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct scratch *scratch = fixture->scratch = scratch_new();
    scratch_open(scratch);
    fixture->node = scratch->nodes[0].id;
    scratch_begin(scratch);
    for (int i = 0; i < 10; i++) {
        char slot[16];
        snprintf(slot, sizeof slot, "s%d", i);
        scratch_put(scratch, fixture->node, weir_text("k"), weir_text(slot), weir_text("stored"));
    }
    scratch_decide(scratch);
    wr_arena_init(&fixture->arena, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            wr_epoch_init(&fixture->epochs[i], scratch->sinks, SCRATCH_SINKS, &fixture->error),
            WEIR_OK);
    }
    fixture->filling = &fixture->epochs[0];
    wr_epoch_begin(fixture->filling, 2);
    wr_state_init(&fixture->state, scratch_reader(scratch), 1 << 20);
    *state = fixture;
    return wr_state_fill(&fixture->state, fixture->filling, NULL, &fixture->error) != WEIR_OK;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    wr_state_fini(&fixture->state);
    wr_epoch_fini(&fixture->epochs[0]);
    wr_epoch_fini(&fixture->epochs[1]);
    wr_arena_fini(&fixture->arena);
    scratch_free(fixture->scratch);
    free(fixture);
    return 0;
}

static void put(struct fixture *fixture, const char *slot, const char *value)
{
    weir_bytes key = weir_text("k"), name = weir_text(slot);
    assert_int_equal(wr_epoch_put(fixture->filling, fixture->node, key, name,
                                  wr_hash(fixture->node, key, name), weir_text(value),
                                  ++fixture->unit, &fixture->error),
                     WEIR_OK);
}

static void seal(struct fixture *fixture)
{
    wr_epoch_seal(fixture->filling);
    fixture->sealed = fixture->filling;
    fixture->filling = fixture->sealed == fixture->epochs ? &fixture->epochs[1] : fixture->epochs;
    wr_epoch_begin(fixture->filling, fixture->sealed->number + 1);
    assert_int_equal(
        wr_state_fill(&fixture->state, fixture->filling, fixture->sealed, &fixture->error),
        WEIR_OK);
}

static void decide(struct fixture *fixture)
{
    struct wr_apply apply = {.epoch = fixture->sealed, .progress = &fixture->sealed->progress};
    scratch_must(fixture->scratch,
                 wr_store_apply(fixture->scratch->store, &apply, &fixture->scratch->error));
    fixture->sealed->phase = WR_EPOCH_DECIDED;
}

static void drop(struct fixture *fixture)
{
    decide(fixture);
    struct wr_error error = {.status = WEIR_OK};
    assert_int_equal(wr_state_drop(&fixture->state, &error), WEIR_OK);
}

static void reads(struct fixture *fixture, const char *slot, const char *value)
{
    weir_bytes found;
    assert_int_equal(wr_state_get(&fixture->state, fixture->node, weir_text("k"), weir_text(slot),
                                  &fixture->arena, &found, &fixture->error),
                     WEIR_OK);
    if (!wr_bytes_equal(found, weir_text(value))) {
        fail_msg("slot %s: `%.*s`, expected `%s`", slot, (int)found.size, (const char *)found.data,
                 value ? value : "(absent)");
    }
}

struct seen {
    struct fixture *fixture;
    char text[8000];
    int left; /* visits until the scan is ended, 0: none */
    bool puts;
};

static bool visit(void *data, weir_bytes slot, weir_bytes value)
{
    struct seen *seen = data;
    size_t at = strlen(seen->text);
    snprintf(seen->text + at, sizeof seen->text - at, "%.*s=%.*s ", slot.data ? (int)slot.size : 1,
             slot.data ? (const char *)slot.data : "-", (int)value.size, (const char *)value.data);
    if (seen->puts) {
        put(seen->fixture, "s5", NULL);
        put(seen->fixture, "s6", "put while visiting");
        put(seen->fixture, "s55", "new");
    }
    return --seen->left != 0;
}

static const char *scan(struct fixture *fixture, const char *from, const char *to,
                        struct seen *seen)
{
    seen->fixture = fixture;
    assert_int_equal(wr_state_scan(&fixture->state, fixture->node, weir_text("k"), weir_text(from),
                                   weir_text(to), &fixture->arena, visit, seen, &fixture->error),
                     WEIR_OK);
    return seen->text;
}

static void scans(struct fixture *fixture, const char *from, const char *to, const char *expected)
{
    struct seen seen = {.left = 0};
    assert_string_equal(scan(fixture, from, to, &seen), expected);
}

/* ---- Get ------------------------------------------------------------------------------------- */

/* Each place hides what lies below it, also by a removal. */
static void the_first_that_knows_answers(void **state)
{
    struct fixture *fixture = *state;
    reads(fixture, "s0", "stored");
    reads(fixture, "none", NULL);
    put(fixture, "s0", "sealed");
    put(fixture, "s1", NULL);
    put(fixture, "s2", "sealed");
    seal(fixture);
    reads(fixture, "s0", "sealed");
    reads(fixture, "s1", NULL);
    put(fixture, "s2", NULL);
    put(fixture, "s1", "filling");
    reads(fixture, "s2", NULL);
    reads(fixture, "s1", "filling");
    drop(fixture);
    reads(fixture, "s0", "sealed");
    reads(fixture, "s1", "filling");
    reads(fixture, "s2", NULL);
    seal(fixture);
    drop(fixture);
    reads(fixture, "s0", "sealed");
    reads(fixture, "s1", "filling");
    reads(fixture, "s2", NULL);
}

/* While the sealed epoch is being decided, its values are read from it, whether the snapshot of the
 * store has them or not. */
static void a_sealed_epoch_is_read_while_it_is_decided(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "s0", "sealed");
    seal(fixture);
    reads(fixture, "s3", "stored"); /* begins a snapshot */
    decide(fixture);
    reads(fixture, "s0", "sealed");
    reads(fixture, "s4", "stored");
    struct wr_error error = {.status = WEIR_OK};
    assert_int_equal(wr_state_drop(&fixture->state, &error), WEIR_OK);
    reads(fixture, "s0", "sealed");
}

/* What the cache has, the store is not asked for; also that there is nothing. */
static void the_cache_spares_the_store(void **state)
{
    struct fixture *fixture = *state;
    reads(fixture, "s0", "stored");
    reads(fixture, "none", NULL);
    put(fixture, "s1", "sealed");
    seal(fixture);
    drop(fixture);
    uint64_t before = fixture->state.reads;
    reads(fixture, "s0", "stored");
    reads(fixture, "none", NULL);
    reads(fixture, "s1", "sealed");
    assert_int_equal(fixture->state.reads, before);
}

/* Without a cache everything is right too. */
static void no_cache_is_no_harm(void **state)
{
    struct fixture *fixture = *state;
    fixture->state.cache.bytes_max = 0;
    for (int i = 0; i < 3; i++) {
        reads(fixture, "s0", "stored");
        put(fixture, "s1", "new");
        seal(fixture);
        wr_state_trim(&fixture->state);
        drop(fixture);
        reads(fixture, "s1", "new");
        assert_true(fixture->state.cache.bytes <= 1000);
    }
}

/* Undoing the filling epoch brings back what was before it, the sealed epoch's values with it. */
static void undo_brings_back_what_was(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "s0", "sealed");
    seal(fixture);
    reads(fixture, "s1", "stored");
    put(fixture, "s0", "undone");
    put(fixture, "s1", "undone");
    put(fixture, "new", "undone");
    wr_epoch_undo(fixture->filling);
    assert_int_equal(
        wr_state_fill(&fixture->state, fixture->filling, fixture->sealed, &fixture->error),
        WEIR_OK);
    reads(fixture, "s0", "sealed");
    reads(fixture, "s1", "stored");
    reads(fixture, "new", NULL);
}

/* ---- Scan ------------------------------------------------------------------------------------ */

/* All three are merged in byte order; the newer one wins, a removal hides. */
static void a_scan_merges(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "s1", "sealed");
    put(fixture, "s2", NULL);
    put(fixture, "s3", NULL);
    put(fixture, "s35", "sealed");
    seal(fixture);
    put(fixture, "s1", "filling");
    put(fixture, "s3", "filling");
    put(fixture, "s35", NULL);
    put(fixture, "s36", "filling");
    put(fixture, NULL, "absent");
    put(fixture, "", "empty");
    scans(fixture, NULL, "s5",
          "-=absent =empty s0=stored s1=filling s3=filling s36=filling s4=stored ");
}

/* From is inclusive, to is not; an absent bound is open, an empty one is the empty slot. */
static void bounds_are_half_open(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, NULL, "absent");
    put(fixture, "", "empty");
    scans(fixture, "s8", NULL, "s8=stored s9=stored ");
    scans(fixture, "s8", "s9", "s8=stored ");
    scans(fixture, "s81", "s82", "");
    scans(fixture, "s9", "s8", "");
    scans(fixture, "", "s1", "=empty s0=stored ");
    scans(fixture, NULL, "s1", "-=absent =empty s0=stored ");
    scans(fixture, NULL, "", "-=absent ");
    seal(fixture);
    scans(fixture, NULL, "s0", "-=absent =empty ");
    drop(fixture);
    scans(fixture, NULL, "s0", "-=absent =empty ");
    scans(fixture, "", "s0", "=empty ");
}

/* What the visitor puts is not seen by its own scan, and by the next one. */
static void puts_while_visiting_are_not_seen(void **state)
{
    struct fixture *fixture = *state;
    struct seen seen = {.puts = true};
    put(fixture, "s6", "before");
    assert_string_equal(scan(fixture, "s4", "s8", &seen),
                        "s4=stored s5=stored s6=before s7=stored ");
    scans(fixture, "s4", "s8", "s4=stored s55=new s6=put while visiting s7=stored ");
}

/* The visitor ends the scan. */
static void a_scan_ends_early(void **state)
{
    struct fixture *fixture = *state;
    struct seen seen = {.left = 3};
    assert_string_equal(scan(fixture, NULL, NULL, &seen), "s0=stored s1=stored s2=stored ");
}

struct count {
    char last[8];
    int visits;
};

static bool count_in_order(void *data, weir_bytes slot, weir_bytes value)
{
    struct count *count = data;
    char name[8];
    snprintf(name, sizeof name, "%.*s", (int)slot.size, (const char *)slot.data);
    assert_true(strcmp(count->last, name) < 0);
    assert_int_equal(*(const char *)value.data, 's');
    strcpy(count->last, name);
    count->visits++;
    return true;
}

/* More slots than one step of reading has, half of them removed since. */
static void a_long_scan_reads_in_steps(void **state)
{
    struct fixture *fixture = *state;
    enum { SLOTS = 3 * WR_SCAN_ROWS + 7 };
    for (int i = 0; i < SLOTS; i++) {
        char slot[16];
        snprintf(slot, sizeof slot, "t%05d", i);
        put(fixture, slot, "s");
    }
    seal(fixture);
    drop(fixture);
    for (int i = 0; i < SLOTS; i += 2) {
        char slot[16];
        snprintf(slot, sizeof slot, "t%05d", i);
        put(fixture, slot, NULL);
    }
    struct count count = {.visits = 0};
    assert_int_equal(wr_state_scan(&fixture->state, fixture->node, weir_text("k"), weir_text("t"),
                                   weir_text("u"), &fixture->arena, count_in_order, &count,
                                   &fixture->error),
                     WEIR_OK);
    assert_int_equal(count.visits, SLOTS / 2);
}

/* The first scan of a run may meet a sealed epoch that kept no order. */
static void the_first_scan_meets_a_sealed_epoch(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 9; i >= 0; i -= 2) {
        char slot[16];
        snprintf(slot, sizeof slot, "s%d", i);
        put(fixture, slot, "sealed");
    }
    seal(fixture);
    scans(fixture, "s4", "s8", "s4=stored s5=sealed s6=stored s7=sealed ");
    scans(fixture, "s8", NULL, "s8=stored s9=sealed ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_that_knows_answers),
        TEST(a_sealed_epoch_is_read_while_it_is_decided),
        TEST(the_cache_spares_the_store),
        TEST(no_cache_is_no_harm),
        TEST(undo_brings_back_what_was),
        TEST(a_scan_merges),
        TEST(bounds_are_half_open),
        TEST(puts_while_visiting_are_not_seen),
        TEST(a_scan_ends_early),
        TEST(a_long_scan_reads_in_steps),
        TEST(the_first_scan_meets_a_sealed_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
