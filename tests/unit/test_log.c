/* test_log.c: packed batches: what is appended is read back, and what is damaged is refused.
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

#include "txn/log.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const weir_bytes absent = {NULL, 0};

struct fixture {
    struct wr_batch batch;
    struct wr_arena arena;
    struct wr_error error;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    wr_arena_init(&f->arena, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    wr_batch_fini(&f->batch);
    wr_arena_fini(&f->arena);
    free(f);
    return 0;
}

static void must(struct fixture *f, weir_status status)
{
    if (status != WEIR_OK) {
        fail_msg("%s", f->error.text);
    }
}

static void append(struct fixture *f, weir_bytes key, weir_bytes value, int64_t time_ms)
{
    weir_record record = {.key = key, .value = value, .time_ms = time_ms};
    must(f, wr_batch_append(&f->batch, &record, &f->error));
}

static weir_bytes finished(struct fixture *f)
{
    wr_batch_finish(&f->batch);
    return wr_bytes(f->batch.bytes.data, f->batch.bytes.size);
}

/* Reads all of a batch that must be sound; returns how many records it had. */
static int64_t read_all(struct fixture *f, weir_bytes bytes, weir_record *records_out, size_t max)
{
    struct wr_batch_reader reader;
    int64_t count = 0;
    must(f, wr_batch_open(bytes, &reader, &f->error));
    for (bool more = true;; count++) {
        weir_record record;
        int64_t offset;
        must(f, wr_batch_next(&reader, &f->arena, &record, &offset, &more, &f->error));
        if (!more) {
            assert_int_equal(count, reader.count);
            return count;
        }
        assert_int_equal(offset, reader.first_offset + count);
        assert_in_range(count, 0, max - 1);
        records_out[count] = record;
    }
}

static void assert_same(weir_bytes a, weir_bytes b)
{
    assert_int_equal(!a.data, !b.data);
    assert_int_equal(a.size, b.size);
    assert_true(wr_bytes_equal(a, b));
}

static void assert_same_record(const weir_record *a, const weir_record *b)
{
    assert_same(a->key, b->key);
    assert_same(a->value, b->value);
    assert_true(a->time_ms == b->time_ms);
    assert_int_equal(a->header_count, b->header_count);
    for (size_t i = 0; i < a->header_count; i++) {
        assert_string_equal(a->headers[i].name, b->headers[i].name);
        assert_same(a->headers[i].value, b->headers[i].value);
    }
}

/* Absent, empty, NUL bytes, times at both ends of what there is, headers that repeat a name. */
static void records_are_read_back(void **state)
{
    struct fixture *f = *state;
    const weir_header headers[] = {{"trace", weir_text("7")},
                                   {"", wr_bytes("", 0)},
                                   {"trace", absent},
                                   {"nul", wr_bytes("\0\1", 2)}};
    const weir_record records[] = {
        {.key = absent, .value = absent, .time_ms = 0},
        {.key = wr_bytes("", 0), .value = absent, .time_ms = INT64_MIN},
        {.key = absent, .value = wr_bytes("", 0), .time_ms = INT64_MAX},
        {.key = weir_text("key"), .value = wr_bytes("a\0b\n\xff", 5), .time_ms = -1},
        {.key = weir_text("key"), .time_ms = 1700000000000, .headers = headers, .header_count = 4},
        {.value = weir_text("v"), .headers = headers + 1, .header_count = 1},
    };
    wr_batch_begin(&f->batch, 3, 1000);
    for (size_t i = 0; i < COUNT(records); i++) {
        must(f, wr_batch_append(&f->batch, &records[i], &f->error));
    }
    assert_int_equal(f->batch.count, COUNT(records));
    assert_true(f->batch.max_time_ms == INT64_MAX);
    weir_record back[COUNT(records)];
    assert_int_equal(read_all(f, finished(f), back, COUNT(back)), COUNT(records));
    for (size_t i = 0; i < COUNT(records); i++) {
        assert_same_record(&back[i], &records[i]);
    }
}

/* The bytes are those that docs/FORMAT.md shows. */
static void the_format_is_the_documented_one(void **state)
{
    struct fixture *f = *state;
    static const unsigned char body[] = {
        2, 'k', 4, 'o', 'n', 'e', 0, 0, /* key `k`, value `one`, first time, no headers */
        0, 1,   9, 1,   1,   'h', 2, 'x', /* no key, empty value, 5 ms earlier, header h: x */
    };
    const weir_header header = {"h", weir_text("x")};
    const weir_record second = {
        .value = wr_bytes("", 0), .time_ms = 995, .headers = &header, .header_count = 1};
    wr_batch_begin(&f->batch, 0, 258);
    append(f, weir_text("k"), weir_text("one"), 1000);
    must(f, wr_batch_append(&f->batch, &second, &f->error));
    weir_bytes bytes = finished(f);
    const unsigned char *at = bytes.data;
    assert_int_equal(bytes.size, 40 + sizeof body);
    assert_int_equal(at[0], 1);
    assert_int_equal(at[1], 0);
    assert_int_equal(wr_u32_get(at + 4), wr_crc32c(0, at + 8, bytes.size - 8));
    assert_int_equal(wr_u64_get(at + 8), 258);
    assert_int_equal(wr_u32_get(at + 16), 2);
    assert_int_equal(wr_u32_get(at + 20), sizeof body);
    assert_int_equal(wr_u64_get(at + 24), 1000);
    assert_int_equal(wr_u64_get(at + 32), 1000);
    assert_memory_equal(at + 40, body, sizeof body);
}

/* A record of exactly the limit fits; one more byte, wherever it is, leaves the batch as it was. */
static void the_limits_are_kept(void **state)
{
    struct fixture *f = *state;
    char *large = calloc(1, WR_RECORD_BYTES_MAX);
    assert_non_null(large);
    const weir_header one = {"h", {NULL, 0}};
    weir_record record = {.value = wr_bytes(large, WR_RECORD_BYTES_MAX)};
    wr_batch_begin(&f->batch, 0, 0);
    must(f, wr_batch_append(&f->batch, &record, &f->error));
    size_t size = f->batch.bytes.size;
    record.key = weir_text("k");
    assert_int_equal(wr_batch_append(&f->batch, &record, &f->error), WEIR_MISUSE);
    wr_error_clear(&f->error);
    record.key = absent;
    record.headers = &one;
    record.header_count = 1;
    assert_int_equal(wr_batch_append(&f->batch, &record, &f->error), WEIR_MISUSE);
    wr_error_clear(&f->error);
    assert_int_equal(f->batch.bytes.size, size);
    assert_int_equal(f->batch.count, 1);
    weir_record back[1];
    assert_int_equal(read_all(f, finished(f), back, 1), 1);
    assert_int_equal(back[0].value.size, WR_RECORD_BYTES_MAX);
    free(large);
}

/* As many headers as may be, and one more. */
static void the_number_of_headers_is_limited(void **state)
{
    struct fixture *f = *state;
    weir_header headers[WR_HEADERS_MAX + 1];
    for (size_t i = 0; i < COUNT(headers); i++) {
        headers[i] = (weir_header){"n", absent};
    }
    weir_record record = {.headers = headers, .header_count = WR_HEADERS_MAX};
    wr_batch_begin(&f->batch, 0, 0);
    must(f, wr_batch_append(&f->batch, &record, &f->error));
    record.header_count++;
    assert_int_equal(wr_batch_append(&f->batch, &record, &f->error), WEIR_MISUSE);
    weir_record back[1];
    assert_int_equal(read_all(f, finished(f), back, 1), 1);
    assert_int_equal(back[0].header_count, WR_HEADERS_MAX);
}

/* A batch that was begun again holds nothing of its first life. */
static void a_batch_is_used_again(void **state)
{
    struct fixture *f = *state;
    weir_record back[2];
    wr_batch_begin(&f->batch, 0, 0);
    append(f, weir_text("old"), weir_text("old"), 99);
    append(f, weir_text("old"), weir_text("old"), 99);
    finished(f);
    wr_batch_begin(&f->batch, 1, 2);
    append(f, weir_text("new"), absent, 5);
    assert_int_equal(read_all(f, finished(f), back, 2), 1);
    assert_same(back[0].key, weir_text("new"));
    assert_true(f->batch.max_time_ms == 5);
}

static void make_sample(struct fixture *f)
{
    const weir_header header = {"name", weir_text("value")};
    const weir_record with_header = {.key = weir_text("k"), .headers = &header, .header_count = 1};
    wr_batch_begin(&f->batch, 0, 7);
    append(f, weir_text("key"), weir_text("some value"), 1000);
    append(f, absent, weir_text("another"), 1001);
    must(f, wr_batch_append(&f->batch, &with_header, &f->error));
}

/* Every single bit flip is found when the batch is opened. */
static void every_bit_flip_is_found(void **state)
{
    struct fixture *f = *state;
    make_sample(f);
    weir_bytes bytes = finished(f);
    for (size_t bit = 0; bit < bytes.size * 8; bit++) {
        struct wr_batch_reader reader;
        f->batch.bytes.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
        wr_error_clear(&f->error);
        assert_int_equal(wr_batch_open(bytes, &reader, &f->error), WEIR_FATAL);
        bool newer = f->error.exit_code == WR_EXIT_CONFIG;
        assert_true(newer ? bit < 16 : f->error.exit_code == WR_EXIT_DATA);
        f->batch.bytes.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
}

/* Every cut of a batch is refused, and so is a byte too many. */
static void every_cut_is_found(void **state)
{
    struct fixture *f = *state;
    make_sample(f);
    weir_bytes bytes = finished(f);
    for (size_t size = 0; size < bytes.size; size++) {
        struct wr_batch_reader reader;
        void *copy = malloc(size + 1); /* exactly as long, so that a sanitizer sees a read beyond */
        assert_non_null(copy);
        memcpy(copy, bytes.data, size);
        wr_error_clear(&f->error);
        assert_int_equal(wr_batch_open(wr_bytes(copy, size), &reader, &f->error), WEIR_FATAL);
        assert_int_equal(f->error.exit_code, WR_EXIT_DATA);
        free(copy);
    }
}

/* A body that is nonsense under a good checksum ends in an error and never beyond the batch. */
static void nonsense_is_refused(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 1;
    make_sample(f);
    weir_bytes bytes = finished(f);
    unsigned char *at = f->batch.bytes.data;
    for (int round = 0; round < 20000; round++) {
        for (size_t i = WR_BATCH_HEADER_BYTES; i < bytes.size; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            at[i] = (unsigned char)(seed >> 56) & (round % 2 ? 0x0f : 0xff);
        }
        wr_u32_put(at + WR_BATCH_CRC_AT, wr_crc32c(0, at + 8, bytes.size - 8));
        struct wr_batch_reader reader;
        weir_record record;
        int64_t offset;
        bool more = true;
        wr_error_clear(&f->error);
        weir_status status = wr_batch_open(bytes, &reader, &f->error);
        for (int n = 0; status == WEIR_OK && more; n++) {
            assert_in_range(n, 0, 3);
            status = wr_batch_next(&reader, &f->arena, &record, &offset, &more, &f->error);
        }
        assert_true(status == WEIR_OK || f->error.exit_code == WR_EXIT_DATA);
        wr_arena_reset(&f->arena);
    }
}

/* A batch of a later format, or a compressed one, asks for a newer weir. */
static void newer_formats_are_named(void **state)
{
    struct fixture *f = *state;
    for (size_t at = 0; at < 2; at++) {
        struct wr_batch_reader reader;
        make_sample(f);
        weir_bytes bytes = finished(f);
        f->batch.bytes.data[at] = at ? 1 : 2;
        wr_error_clear(&f->error);
        assert_int_equal(wr_batch_open(bytes, &reader, &f->error), WEIR_FATAL);
        assert_int_equal(f->error.exit_code, WR_EXIT_CONFIG);
    }
}

/* Headers alone, as a dead letter keeps them. */
static void headers_are_read_back_alone(void **state)
{
    struct fixture *f = *state;
    const weir_header headers[] = {{"a", weir_text("1")}, {"b", absent}, {"c", wr_bytes("", 0)}};
    const weir_record record = {.headers = headers, .header_count = COUNT(headers)};
    weir_record back = {.header_count = 9};
    weir_bytes bytes;
    must(f, wr_headers_encode(&record, &f->arena, &bytes, &f->error));
    must(f, wr_headers_decode(bytes, &f->arena, &back, &f->error));
    assert_same_record(&back, &record);
    must(f, wr_headers_decode(absent, &f->arena, &back, &f->error));
    assert_int_equal(back.header_count, 0);
    bytes.size--;
    assert_int_equal(wr_headers_decode(bytes, &f->arena, &back, &f->error), WEIR_FATAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_are_read_back),   TEST(the_format_is_the_documented_one),
        TEST(the_limits_are_kept),     TEST(the_number_of_headers_is_limited),
        TEST(a_batch_is_used_again),   TEST(every_bit_flip_is_found),
        TEST(every_cut_is_found),      TEST(nonsense_is_refused),
        TEST(newer_formats_are_named), TEST(headers_are_read_back_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
