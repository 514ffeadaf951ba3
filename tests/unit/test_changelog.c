/* test_changelog.c: what an epoch changed in state, packed and read back; whatever is wrong with a
 * blob is noticed, and never read past its end.
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
#include "txn/changelog.h"

enum { CRC_AT = 4, COUNT_AT = 8, HEADER_BYTES = 12 };

static const weir_bytes absent = {NULL, 0};

struct fixture {
    struct wr_epoch epoch;
    struct wr_buffer blob;
    struct wr_error error;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    if (!f || wr_epoch_init(&f->epoch, NULL, 0, &f->error) != WEIR_OK) {
        return 1;
    }
    wr_epoch_begin(&f->epoch, 1);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    wr_epoch_fini(&f->epoch);
    wr_buffer_fini(&f->blob);
    free(f);
    return 0;
}

static void put(struct fixture *f, uint32_t node, weir_bytes key, weir_bytes slot, weir_bytes value)
{
    assert_int_equal(
        wr_epoch_put(&f->epoch, node, key, slot, wr_hash(node, key, slot), value, 1, &f->error),
        WEIR_OK);
}

static weir_bytes pack(struct fixture *f)
{
    assert_true(wr_changelog_pack(&f->epoch, &f->blob));
    return wr_bytes(f->blob.data, f->blob.size);
}

/* Of every kind: absent and empty parts, removals, numbers of several bytes. */
static void put_some(struct fixture *f)
{
    static char large[300];
    put(f, 1, absent, absent, absent);
    put(f, 1, weir_text(""), absent, weir_text(""));
    put(f, 127, absent, weir_text(""), weir_text("value"));
    put(f, 128, weir_text("key"), weir_text("slot"), absent);
    put(f, UINT32_MAX, wr_bytes(large, sizeof large), weir_text("s"), wr_bytes(large, 130));
}

/* Walks a blob to its end or to what is wrong with it: how many changes there were, -1: wrong. */
static int walk(weir_bytes blob)
{
    struct wr_changelog_reader reader;
    const char *why = NULL;
    if (!wr_changelog_open(&reader, blob, &why)) {
        assert_non_null(why);
        return -1;
    }
    for (int count = 0;; count++) {
        struct wr_folded change;
        bool more = false;
        if (!wr_changelog_next(&reader, &change, &more, &why)) {
            assert_non_null(why);
            return -1;
        }
        if (!more) {
            return count;
        }
    }
}

static void sign(unsigned char *blob, size_t size)
{
    wr_u32_put(blob + CRC_AT, wr_crc32c(0, blob + COUNT_AT, size - COUNT_AT));
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static bool same(weir_bytes a, weir_bytes b)
{
    return wr_bytes_equal(a, b) && !a.data == !b.data;
}

static void what_was_packed_is_read_back(void **state)
{
    struct fixture *f = *state;
    put_some(f);
    struct wr_changelog_reader reader;
    const char *why = "";
    assert_true(wr_changelog_open(&reader, pack(f), &why));
    const struct wr_entry *entry = f->epoch.entries;
    for (; entry; entry = entry->next) {
        struct wr_folded change;
        bool more = false;
        assert_true(wr_changelog_next(&reader, &change, &more, &why));
        assert_true(more);
        assert_int_equal(change.node, entry->node);
        assert_true(same(change.key, wr_entry_key(entry)));
        assert_true(same(change.slot, wr_entry_slot(entry)));
        assert_true(same(change.value, wr_entry_value(entry)));
    }
    struct wr_folded none;
    bool more = true;
    assert_true(wr_changelog_next(&reader, &none, &more, &why));
    assert_false(more);
}

static void no_changes_are_a_header(void **state)
{
    struct fixture *f = *state;
    weir_bytes blob = pack(f);
    assert_int_equal(blob.size, HEADER_BYTES);
    assert_int_equal(walk(blob), 0);
    put(f, 1, weir_text("k"), absent, weir_text("v"));
    assert_int_equal(walk(pack(f)), 1); /* in place of what the buffer held */
}

/* Read from a block of exactly this size, so that a sanitizer sees a byte too many. */
static int walk_copy(const unsigned char *bytes, size_t size)
{
    unsigned char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    int count = walk(wr_bytes(copy, size));
    free(copy);
    return count;
}

static void damage_of_every_bit_is_noticed(void **state)
{
    struct fixture *f = *state;
    put_some(f);
    weir_bytes blob = pack(f);
    unsigned char *bytes = f->blob.data;
    for (size_t at = 0; at < blob.size; at++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[at] ^= (unsigned char)(1U << bit);
            assert_int_equal(walk(blob), -1);
            bytes[at] ^= (unsigned char)(1U << bit);
        }
        assert_int_equal(walk_copy(bytes, at), -1);
    }
    assert_int_equal(walk(blob), 5);
    assert_int_equal(walk(absent), -1);
}

/* Also where the CRC is right. */
static void what_is_not_a_list_of_changes_is_noticed(void **state)
{
    struct fixture *f = *state;
    put_some(f);
    pack(f);
    unsigned char *bytes = f->blob.data;
    for (size_t size = HEADER_BYTES; size < f->blob.size; size++) { /* cut short */
        sign(bytes, size);
        assert_int_equal(walk_copy(bytes, size), -1);
    }
    sign(bytes, f->blob.size);
    assert_int_equal(walk_copy(bytes, f->blob.size), 5);
    wr_u32_put(bytes + COUNT_AT, 4); /* longer than its changes */
    sign(bytes, f->blob.size);
    assert_int_equal(walk_copy(bytes, f->blob.size), -1);
    wr_u32_put(bytes + COUNT_AT, 6);
    sign(bytes, f->blob.size);
    assert_int_equal(walk_copy(bytes, f->blob.size), -1);
}

static void garbage_is_never_read_past_its_end(void **state)
{
    (void)state;
    uint64_t random = 5;
    unsigned char bytes[HEADER_BYTES + 40];
    for (int i = 0; i < 20000; i++) {
        size_t size = HEADER_BYTES + program_below(&random, 41);
        for (size_t at = 0; at < size; at++) {
            unsigned any = program_below(&random, 256);
            bytes[at] = (unsigned char)(program_below(&random, 3) ? any % 4 : any);
        }
        memcpy(bytes, "\1\0\0\0", 4);
        wr_u32_put(bytes + COUNT_AT, program_below(&random, 6));
        sign(bytes, size);
        (void)walk_copy(bytes, size);
    }
}

/* A later blob's changes replace those of an earlier one. */
static void replayed_changes_are_dirty_entries(void **state)
{
    struct fixture *f = *state;
    struct wr_cache cache;
    wr_cache_init(&cache, 0);
    put(f, 1, weir_text("a"), absent, weir_text("one"));
    put(f, 1, weir_text("b"), absent, weir_text("one"));
    assert_int_equal(wr_changelog_replay(pack(f), &cache, &f->error), WEIR_OK);
    put(f, 1, weir_text("a"), absent, weir_text("a value that is longer than the first"));
    put(f, 1, weir_text("b"), absent, absent);
    assert_int_equal(wr_changelog_replay(pack(f), &cache, &f->error), WEIR_OK);
    assert_int_equal(cache.dirty_count, 2);
    assert_int_equal(cache.ring_count, 0);
    wr_cache_trim(&cache);
    for (const char *key = "a"; *key <= 'b'; key = *key == 'a' ? "b" : "c") {
        weir_bytes bytes = weir_text(key);
        const struct wr_cached *found =
            wr_cache_find(&cache, 1, bytes, absent, wr_hash(1, bytes, absent));
        assert_non_null(found);
        assert_int_equal(wr_cached_value(found).size, *key == 'a' ? 37 : 0);
        assert_true(!wr_cached_value(found).data == (*key == 'b'));
    }
    assert_int_not_equal(wr_changelog_replay(weir_text("no blob"), &cache, &f->error), WEIR_OK);
    assert_int_equal(f->error.exit_code, WR_EXIT_DATA);
    wr_cache_fini(&cache);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_was_packed_is_read_back),       TEST(no_changes_are_a_header),
        TEST(damage_of_every_bit_is_noticed),     TEST(what_is_not_a_list_of_changes_is_noticed),
        TEST(garbage_is_never_read_past_its_end), TEST(replayed_changes_are_dirty_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
