/* fuzz_batch.c: batches of embedded topics, and headers as dead letters keep them: whatever the
 * bytes are, they are read to the end or refused, and what was read can be written and read again.
 *
 * Input: a byte of flags, then the bytes. Flags: 1 puts the right format, size and CRC into the
 * header, so that a fuzzer gets behind them; 2: the bytes are headers alone.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/kit.h"

#include <string.h>

#include "txn/log.h"

enum { FLAG_MEND = 1, FLAG_HEADERS = 2, RECORDS_MAX = 4096 };

static void check_same(const weir_record *a, const weir_record *b)
{
    fuzz_check(wr_bytes_equal(a->key, b->key));
    fuzz_check(wr_bytes_equal(a->value, b->value));
    fuzz_check(a->time_ms == b->time_ms);
    fuzz_check(a->header_count == b->header_count);
    for (size_t i = 0; i < a->header_count; i++) {
        fuzz_check(strcmp(a->headers[i].name, b->headers[i].name) == 0);
        fuzz_check(wr_bytes_equal(a->headers[i].value, b->headers[i].value));
    }
}

/* Makes the header one that a reader takes, but for what it says of offsets, counts and times. */
static void mend(weir_bytes bytes)
{
    unsigned char *at = (unsigned char *)(uintptr_t)bytes.data;
    if (bytes.size < WR_BATCH_HEADER_BYTES) {
        return;
    }
    memset(at, 0, 4);
    at[0] = WR_BATCH_FORMAT;
    wr_u32_put(at + 20, (uint32_t)(bytes.size - WR_BATCH_HEADER_BYTES));
    wr_u32_put(at + WR_BATCH_CRC_AT, wr_crc32c(0, at + 8, bytes.size - 8));
}

/* Writes the records again and reads them back. */
static void check_again(const weir_record *records, size_t count, int64_t first_offset,
                        struct wr_arena *arena)
{
    struct wr_batch batch = {0};
    struct wr_batch_reader reader;
    struct wr_error error = {.status = WEIR_OK};
    weir_record record;
    int64_t offset;
    bool more = true;
    wr_batch_begin(&batch, 0, first_offset);
    for (size_t i = 0; i < count; i++) {
        fuzz_check(wr_batch_append(&batch, &records[i], &error) == WEIR_OK);
    }
    wr_batch_finish(&batch);
    weir_bytes bytes = fuzz_copy(batch.bytes.data, batch.bytes.size);
    wr_batch_fini(&batch);
    fuzz_check(wr_batch_open(bytes, &reader, &error) == WEIR_OK);
    for (size_t i = 0; i < count; i++) {
        fuzz_check(wr_batch_next(&reader, arena, &record, &offset, &more, &error) == WEIR_OK);
        fuzz_check(more && offset == first_offset + (int64_t)i);
        check_same(&records[i], &record);
    }
    fuzz_check(wr_batch_next(&reader, arena, &record, &offset, &more, &error) == WEIR_OK);
    fuzz_check(!more);
    fuzz_free(bytes);
}

static void try_batch(weir_bytes bytes, struct wr_arena *arena)
{
    struct wr_batch_reader reader;
    struct wr_error error = {.status = WEIR_OK};
    weir_record records[RECORDS_MAX];
    int64_t offset = 0;
    size_t count = 0;
    bool more = true;
    weir_status status = wr_batch_open(bytes, &reader, &error);
    while (status == WEIR_OK && more && count < RECORDS_MAX) {
        status = wr_batch_next(&reader, arena, &records[count], &offset, &more, &error);
        if (status == WEIR_OK && more) {
            fuzz_check(offset == reader.first_offset + (int64_t)count);
            count++;
        }
    }
    if (status != WEIR_OK) {
        fuzz_check_error(&error);
    } else if (!more) {
        fuzz_check(count == reader.count && count > 0);
        check_again(records, count, reader.first_offset, arena);
    }
}

static void try_headers(weir_bytes bytes, struct wr_arena *arena)
{
    struct wr_error error = {.status = WEIR_OK};
    weir_record record = {0}, again = {0};
    weir_bytes encoded;
    if (wr_headers_decode(bytes, arena, &record, &error) != WEIR_OK) {
        fuzz_check_error(&error);
        return;
    }
    fuzz_check(record.header_count <= WR_HEADERS_MAX);
    fuzz_check(wr_headers_encode(&record, arena, &encoded, &error) == WEIR_OK);
    fuzz_check(wr_headers_decode(encoded, arena, &again, &error) == WEIR_OK);
    check_same(&record, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, data + size};
    uint8_t flags = fuzz_u8(&input);
    weir_bytes bytes = fuzz_rest(&input);
    struct wr_arena arena;
    wr_arena_init(&arena, 0);
    if (flags & FLAG_MEND) {
        mend(bytes);
    }
    if (flags & FLAG_HEADERS) {
        try_headers(bytes, &arena);
    } else {
        try_batch(bytes, &arena);
    }
    wr_arena_fini(&arena);
    fuzz_free(bytes);
    return 0;
}
