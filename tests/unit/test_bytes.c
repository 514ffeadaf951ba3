/* test_bytes.c: order, numbers, checksums, hashes, partitions, and the memory that they live in:
 * buffers, arenas, the hash table.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "txn/base/arena.h"
#include "txn/base/bytes.h"
#include "txn/base/map.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const weir_bytes absent = {NULL, 0};

/* ---- Order and numbers ----------------------------------------------------------------------- */

/* Absent comes before empty, empty before all else, and a prefix before what it begins. */
static void bytes_are_ordered(void **state)
{
    (void)state;
    const weir_bytes sorted[] = {
        absent,         wr_bytes("", 0),     wr_bytes("\0", 1),   wr_bytes("\0\0", 2),
        weir_text("a"), weir_text("a b"),    weir_text("ab"),     weir_text("b"),
        weir_text("z"), wr_bytes("\x80", 1), wr_bytes("\xff", 1), wr_bytes("\xff\xff", 2),
    };
    for (size_t i = 0; i < COUNT(sorted); i++) {
        for (size_t j = 0; j < COUNT(sorted); j++) {
            int order = wr_bytes_compare(sorted[i], sorted[j]);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
            assert_int_equal(wr_bytes_equal(sorted[i], sorted[j]), i == j);
        }
    }
}

static const uint64_t varints[] = {0,       1,          127,        128,
                                   16383,   16384,      UINT32_MAX, (uint64_t)UINT32_MAX + 1,
                                   1 << 21, 1ull << 63, UINT64_MAX, UINT64_MAX - 1};

/* A varint is read back, its size is that of LEB128, and every cut of it is refused. */
static void varints_are_read_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(varints); i++) {
        unsigned char bytes[WR_VARINT_MAX];
        const unsigned char *end = wr_varint_put(bytes, varints[i]);
        size_t size = 1;
        for (uint64_t rest = varints[i] >> 7; rest; rest >>= 7) {
            size++;
        }
        assert_int_equal(end - bytes, size);
        uint64_t value = 0;
        assert_ptr_equal(wr_varint_get(bytes, end, &value), end);
        assert_int_equal(value, varints[i]);
        for (const unsigned char *cut = bytes; cut < end; cut++) {
            assert_null(wr_varint_get(bytes, cut, &value));
        }
    }
}

/* What is longer than 64 bits is refused, however many bytes follow. */
static void long_varints_are_refused(void **state)
{
    (void)state;
    unsigned char eleven[11], two_bits_too_many[10];
    memset(eleven, 0x80, sizeof eleven);
    memset(two_bits_too_many, 0xff, sizeof two_bits_too_many);
    two_bits_too_many[9] = 2;
    uint64_t value;
    assert_null(wr_varint_get(eleven, eleven + sizeof eleven, &value));
    assert_null(wr_varint_get(two_bits_too_many, two_bits_too_many + 10, &value));
}

static const int64_t numbers[] = {
    INT64_MIN, INT64_MIN + 1, -4294967296, -256,       -255,          -1,       0, 1,
    255,       256,           65536,       4294967296, INT64_MAX - 1, INT64_MAX};

/* Numbers are read back from each encoding; the 8 sortable bytes sort as the numbers do. */
static void numbers_are_read_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        unsigned char a[8], b[8];
        wr_i64_put(a, numbers[i]);
        assert_true(wr_i64_get(a) == numbers[i]);
        assert_true(wr_unzigzag(wr_zigzag(numbers[i])) == numbers[i]);
        wr_u64_put(b, (uint64_t)numbers[i]);
        assert_true(wr_u64_get(b) == (uint64_t)numbers[i]);
        wr_u32_put(b, (uint32_t)numbers[i]);
        assert_true(wr_u32_get(b) == (uint32_t)numbers[i]);
        for (size_t j = 0; j < COUNT(numbers); j++) {
            wr_i64_put(b, numbers[j]);
            int order = memcmp(a, b, 8);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
    assert_int_equal(wr_zigzag(-1), 1);
    assert_int_equal(wr_zigzag(1), 2);
}

/* ---- Checksums and hashes -------------------------------------------------------------------- */

/* The vectors of RFC 3720, B.4, and the check value of the CRC catalogues. */
static void crc32c_is_the_standard_one(void **state)
{
    (void)state;
    unsigned char zeros[32] = {0}, ones[32], rising[32], falling[32];
    for (int i = 0; i < 32; i++) {
        ones[i] = 0xff;
        rising[i] = (unsigned char)i;
        falling[i] = (unsigned char)(31 - i);
    }
    assert_int_equal(wr_crc32c(0, zeros, 32), 0x8a9136aa);
    assert_int_equal(wr_crc32c(0, ones, 32), 0x62a8ab43);
    assert_int_equal(wr_crc32c(0, rising, 32), 0x46dd794e);
    assert_int_equal(wr_crc32c(0, falling, 32), 0x113fdb5c);
    assert_int_equal(wr_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(wr_crc32c(0, NULL, 0), 0);
}

/* Summing in pieces gives what summing at once does. */
static void crc32c_goes_on_from_a_sum(void **state)
{
    (void)state;
    const char *text = "the quick brown fox jumps over the lazy dog";
    size_t size = strlen(text);
    for (size_t cut = 0; cut <= size; cut++) {
        uint32_t first = wr_crc32c(0, text, cut);
        assert_int_equal(wr_crc32c(first, text + cut, size - cut), wr_crc32c(0, text, size));
    }
}

/* The vectors of the Java client's own test (UtilsTest.testMurmur2). */
static void murmur2_is_that_of_the_java_client(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int32_t hash;
    } cases[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t hash = wr_murmur2(weir_text(cases[i].key));
        assert_int_equal((int32_t)hash, cases[i].hash);
        for (int32_t partitions = 1; partitions < 100; partitions++) {
            assert_int_equal(wr_partition_of(weir_text(cases[i].key), partitions),
                             (cases[i].hash & 0x7fffffff) % partitions);
        }
    }
}

/* Absent and empty, and the same bytes divided otherwise, have hashes of their own. */
static void hashes_tell_parts_apart(void **state)
{
    (void)state;
    weir_bytes empty = wr_bytes("", 0), a = weir_text("a"), ab = weir_text("ab"),
               b = weir_text("b");
    const uint64_t hashes[] = {
        wr_hash(1, absent, absent), wr_hash(1, empty, absent),  wr_hash(1, absent, empty),
        wr_hash(1, empty, empty),   wr_hash(1, ab, absent),     wr_hash(1, ab, empty),
        wr_hash(1, a, b),           wr_hash(1, absent, ab),     wr_hash(1, empty, ab),
        wr_hash(2, a, b),           wr_hash(2, absent, absent),
    };
    for (size_t i = 0; i < COUNT(hashes); i++) {
        for (size_t j = 0; j < i; j++) {
            assert_true(hashes[i] != hashes[j]);
        }
    }
    assert_true(wr_hash(1, a, b) == wr_hash(1, weir_text("a"), weir_text("b")));
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* A buffer keeps what is in it as it grows. */
static void a_buffer_grows(void **state)
{
    (void)state;
    struct wr_buffer buffer = {NULL, 0, 0};
    for (unsigned i = 0; i < 10000; i++) {
        wr_u32_put(wr_buffer_extend(&buffer, 4), i);
    }
    assert_int_equal(buffer.size, 40000);
    for (unsigned i = 0; i < 10000; i++) {
        assert_int_equal(wr_u32_get(buffer.data + 4 * i), i);
    }
    assert_null(wr_buffer_extend(&buffer, SIZE_MAX / 2));
    assert_int_equal(buffer.size, 40000);
    wr_buffer_fini(&buffer);
}

/* What an arena gave stays as it is while more is taken; a mark gives back what came after it. */
static void an_arena_gives_and_takes_back(void **state)
{
    (void)state;
    struct wr_arena arena;
    wr_arena_init(&arena, 1 << 20);
    char *kept = wr_arena_string(&arena, "kept");
    struct wr_mark mark = wr_arena_mark(&arena);
    size_t before = wr_arena_bytes(&arena);
    for (int round = 0; round < 3; round++) {
        for (size_t size = 0; size < 3000; size++) {
            unsigned char *at = wr_arena_alloc(&arena, size);
            assert_non_null(at);
            assert_int_equal((uintptr_t)at % 8, 0);
            memset(at, (int)size, size);
        }
        assert_true(wr_arena_bytes(&arena) > before + 3000 * 1499);
        wr_arena_release(&arena, mark);
        assert_int_equal(wr_arena_bytes(&arena), before);
    }
    assert_string_equal(kept, "kept");
    const unsigned char *zeros = wr_arena_zalloc(&arena, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(zeros[i], 0);
    }
    wr_arena_reset(&arena);
    assert_int_equal(wr_arena_bytes(&arena), 0);
    assert_null(wr_arena_alloc(&arena, SIZE_MAX));
    wr_arena_fini(&arena);
}

/* A copy keeps absent and empty apart. */
static void an_arena_copies_bytes(void **state)
{
    (void)state;
    struct wr_arena arena;
    weir_bytes copy;
    wr_arena_init(&arena, 0);
    assert_true(wr_arena_copy(&arena, absent, &copy));
    assert_null(copy.data);
    assert_true(wr_arena_copy(&arena, wr_bytes("", 0), &copy));
    assert_non_null(copy.data);
    assert_int_equal(copy.size, 0);
    assert_true(wr_arena_copy(&arena, wr_bytes("a\0b", 3), &copy));
    assert_true(wr_bytes_equal(copy, wr_bytes("a\0b", 3)));
    wr_arena_fini(&arena);
}

enum { ITEMS = 200 };

static void check_map(const struct wr_map *map, const uint64_t *hashes, const bool *in)
{
    size_t count = 0;
    for (int i = 0; i < ITEMS; i++) {
        bool found = false;
        const void *item;
        for (size_t at = wr_map_first(map, hashes[i]); (item = wr_map_at(map, hashes[i], &at));
             at++) {
            found = found || item == &hashes[i];
        }
        assert_int_equal(found, in[i]);
        count += in[i];
    }
    assert_int_equal(map->count, count);
}

/* Random insertions and removals, with hashes that collide a lot, against an array. */
static void a_map_is_a_set_of_items(void **state)
{
    (void)state;
    struct wr_map map = {NULL, 0, 0};
    uint64_t hashes[ITEMS], seed = 42;
    bool in[ITEMS] = {false};
    for (int i = 0; i < ITEMS; i++) {
        hashes[i] = (uint64_t)(i % 37) << (i % 3 ? 0 : 58);
    }
    for (int round = 0; round < 3000; round++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        int i = (int)((seed >> 33) % ITEMS);
        if (in[i]) {
            wr_map_remove(&map, hashes[i], &hashes[i]);
        } else {
            assert_true(wr_map_reserve(&map));
            wr_map_insert(&map, hashes[i], &hashes[i]);
        }
        in[i] = !in[i];
        if (round % 100 == 0) {
            check_map(&map, hashes, in);
        }
    }
    wr_map_clear(&map, 1 << 20);
    memset(in, 0, sizeof in);
    check_map(&map, hashes, in);
    wr_map_fini(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_ordered),
        cmocka_unit_test(varints_are_read_back),
        cmocka_unit_test(long_varints_are_refused),
        cmocka_unit_test(numbers_are_read_back),
        cmocka_unit_test(crc32c_is_the_standard_one),
        cmocka_unit_test(crc32c_goes_on_from_a_sum),
        cmocka_unit_test(murmur2_is_that_of_the_java_client),
        cmocka_unit_test(hashes_tell_parts_apart),
        cmocka_unit_test(a_buffer_grows),
        cmocka_unit_test(an_arena_gives_and_takes_back),
        cmocka_unit_test(an_arena_copies_bytes),
        cmocka_unit_test(a_map_is_a_set_of_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
