/* log.c: see log.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/log.h"

#include <string.h>

#include "txn/base/assert.h"

enum {
    AT_FORMAT = 0,
    AT_COMPRESSION = 1,
    AT_ZERO = 2,
    AT_CRC = WR_BATCH_CRC_AT,
    AT_FIRST_OFFSET = 8, /* what the CRC covers starts here */
    AT_COUNT = 16,
    AT_BODY_BYTES = 20,
    AT_FIRST_TIME = 24,
    AT_MAX_TIME = 32,
    RECORD_BYTES_MIN = 4, /* absent key, absent value, time, no headers: a byte each */
};

/* ---- Writing --------------------------------------------------------------------------------- */

size_t wr_record_bytes(const weir_record *record)
{
    size_t bytes = record->key.size + record->value.size;
    for (size_t i = 0; i < record->header_count; i++) {
        bytes += strlen(record->headers[i].name) + record->headers[i].value.size;
    }
    return bytes;
}

static unsigned char *put_bytes(unsigned char *at, weir_bytes bytes)
{
    if (!bytes.data) {
        return wr_varint_put(at, 0);
    }
    at = wr_varint_put(at, (uint64_t)bytes.size + 1);
    if (bytes.size) {
        memcpy(at, bytes.data, bytes.size);
    }
    return at + bytes.size;
}

static size_t headers_bound(const weir_record *record)
{
    size_t bound = WR_VARINT_MAX + record->header_count * 2 * WR_VARINT_MAX;
    for (size_t i = 0; i < record->header_count; i++) {
        bound += strlen(record->headers[i].name) + record->headers[i].value.size;
    }
    return bound;
}

static unsigned char *put_headers(unsigned char *at, const weir_record *record)
{
    at = wr_varint_put(at, record->header_count);
    for (size_t i = 0; i < record->header_count; i++) {
        size_t size = strlen(record->headers[i].name);
        at = wr_varint_put(at, size);
        memcpy(at, record->headers[i].name, size);
        at = put_bytes(at + size, record->headers[i].value);
    }
    return at;
}

void wr_batch_begin(struct wr_batch *batch, int32_t partition, int64_t first_offset)
{
    wr_assert_that(partition, >=, 0);
    wr_assert_that(first_offset, >=, 0);
    batch->bytes.size = 0;
    batch->first_offset = first_offset;
    batch->first_time_ms = 0;
    batch->max_time_ms = INT64_MIN;
    batch->partition = partition;
    batch->count = 0;
}

weir_status wr_batch_append(struct wr_batch *batch, const weir_record *record,
                            struct wr_error *error)
{
    size_t size = wr_record_bytes(record), headers = record->header_count;
    if (headers > 0 && strcmp(record->headers[headers - 1].name, WR_HEADER_SOURCE) == 0) {
        size -= strlen(WR_HEADER_SOURCE) + record->headers[--headers].value.size;
    }
    if (size > WR_RECORD_BYTES_MAX || headers > WR_HEADERS_MAX) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_DATA,
                       "a record of %zu bytes and %zu headers; the limits are %d and %d", size,
                       headers, WR_RECORD_BYTES_MAX, WR_HEADERS_MAX);
    }
    size_t before = batch->bytes.size, head = before ? 0 : WR_BATCH_HEADER_BYTES;
    size_t bound =
        head + record->key.size + record->value.size + 3 * WR_VARINT_MAX + headers_bound(record);
    unsigned char *start = wr_buffer_extend(&batch->bytes, bound);
    if (!start) {
        return wr_fail_memory(error);
    }
    if (batch->count == 0) {
        batch->first_time_ms = record->time_ms;
    }
    if (record->time_ms > batch->max_time_ms) {
        batch->max_time_ms = record->time_ms;
    }
    /* Unsigned, because times may lie further apart than an int64_t reaches. */
    uint64_t delta = (uint64_t)record->time_ms - (uint64_t)batch->first_time_ms;
    unsigned char *at = put_bytes(start + head, record->key);
    at = put_bytes(at, record->value);
    at = wr_varint_put(at, wr_zigzag((int64_t)delta));
    at = put_headers(at, record);
    wr_assert_that(at - start, <=, (int64_t)bound);
    batch->bytes.size = before + (size_t)(at - start);
    batch->count++;
    return WEIR_OK;
}

void wr_batch_finish(struct wr_batch *batch)
{
    wr_assert_that(batch->count, >, 0);
    wr_assert_that(batch->bytes.size, >, WR_BATCH_HEADER_BYTES);
    wr_assert_that(batch->bytes.size, <=, UINT32_MAX);
    unsigned char *at = batch->bytes.data;
    at[AT_FORMAT] = WR_BATCH_FORMAT;
    at[AT_COMPRESSION] = 0;
    at[AT_ZERO] = 0;
    at[AT_ZERO + 1] = 0;
    wr_u64_put(at + AT_FIRST_OFFSET, (uint64_t)batch->first_offset);
    wr_u32_put(at + AT_COUNT, batch->count);
    wr_u32_put(at + AT_BODY_BYTES, (uint32_t)(batch->bytes.size - WR_BATCH_HEADER_BYTES));
    wr_u64_put(at + AT_FIRST_TIME, (uint64_t)batch->first_time_ms);
    wr_u64_put(at + AT_MAX_TIME, (uint64_t)batch->max_time_ms);
    wr_u32_put(at + AT_CRC,
               wr_crc32c(0, at + AT_FIRST_OFFSET, batch->bytes.size - AT_FIRST_OFFSET));
}

void wr_batch_fini(struct wr_batch *batch)
{
    wr_buffer_fini(&batch->bytes);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static weir_status fail_damaged(struct wr_error *error, const char *what)
{
    return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                   "the batch is damaged: %s; run `weir verify` on the store, and restore a backup",
                   what);
}

weir_status wr_batch_open(weir_bytes bytes, struct wr_batch_reader *reader_out,
                          struct wr_error *error)
{
    const unsigned char *at = bytes.data;
    *reader_out = (struct wr_batch_reader){0};
    if (!at || bytes.size < WR_BATCH_HEADER_BYTES) {
        return fail_damaged(error, "it is shorter than its header");
    }
    if (at[AT_FORMAT] > WR_BATCH_FORMAT || at[AT_COMPRESSION] > 0) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "the batch has format %d and compression %d, and this weir, version %s, "
                       "knows formats up to %d and no compression; use the weir that wrote it or a "
                       "newer one (or, if there is none, the batch is damaged: `weir verify`)",
                       at[AT_FORMAT], at[AT_COMPRESSION], WEIR_VERSION, WR_BATCH_FORMAT);
    }
    if (at[AT_FORMAT] != WR_BATCH_FORMAT || at[AT_ZERO] || at[AT_ZERO + 1]) {
        return fail_damaged(error, "its first bytes are no batch's");
    }
    if (wr_u32_get(at + AT_BODY_BYTES) != bytes.size - WR_BATCH_HEADER_BYTES) {
        return fail_damaged(error, "its size is not what its header says");
    }
    uint32_t crc = wr_crc32c(0, at + AT_FIRST_OFFSET, bytes.size - AT_FIRST_OFFSET);
    if (wr_u32_get(at + AT_CRC) != crc) {
        return fail_damaged(error, "its checksum does not fit its bytes");
    }
    *reader_out = (struct wr_batch_reader){
        .at = at + WR_BATCH_HEADER_BYTES,
        .end = at + bytes.size,
        .first_offset = (int64_t)wr_u64_get(at + AT_FIRST_OFFSET),
        .first_time_ms = (int64_t)wr_u64_get(at + AT_FIRST_TIME),
        .max_time_ms = (int64_t)wr_u64_get(at + AT_MAX_TIME),
        .count = wr_u32_get(at + AT_COUNT),
    };
    size_t body = bytes.size - WR_BATCH_HEADER_BYTES;
    if (reader_out->count == 0 || reader_out->count > body / RECORD_BYTES_MIN ||
        reader_out->first_offset < 0 || reader_out->first_offset > INT64_MAX - UINT32_MAX) {
        return fail_damaged(error, "its header says what cannot be");
    }
    return WEIR_OK;
}

/* NULL when the input ends early. */
static const unsigned char *get_run(const unsigned char *at, const unsigned char *end,
                                    uint64_t size, weir_bytes *bytes_out)
{
    if (size > (uint64_t)(end - at)) {
        return NULL;
    }
    *bytes_out = (weir_bytes){at, (size_t)size};
    return at + size;
}

static const unsigned char *get_bytes(const unsigned char *at, const unsigned char *end,
                                      weir_bytes *bytes_out)
{
    uint64_t size;
    *bytes_out = (weir_bytes){NULL, 0};
    at = wr_varint_get(at, end, &size);
    if (!at || size == 0) {
        return at;
    }
    return get_run(at, end, size - 1, bytes_out);
}

static weir_status get_header(const unsigned char **at, const unsigned char *end,
                              struct wr_arena *arena, weir_header *header, struct wr_error *error)
{
    uint64_t size;
    weir_bytes name = {NULL, 0};
    *at = wr_varint_get(*at, end, &size);
    *at = *at ? get_run(*at, end, size, &name) : NULL;
    *at = *at ? get_bytes(*at, end, &header->value) : NULL;
    if (!*at) {
        return fail_damaged(error, "a header ends beyond its end");
    }
    if (name.size && memchr(name.data, '\0', name.size)) { /* what is behind it would be lost */
        return fail_damaged(error, "a header's name has a NUL in it");
    }
    char *text = wr_arena_alloc(arena, name.size + 1);
    if (!text) {
        return wr_fail_memory(error);
    }
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    header->name = text;
    return WEIR_OK;
}

static weir_status get_headers(const unsigned char **at, const unsigned char *end,
                               struct wr_arena *arena, weir_record *record, struct wr_error *error)
{
    uint64_t count;
    *at = wr_varint_get(*at, end, &count);
    if (!*at || count > WR_HEADERS_MAX + 1) {
        return fail_damaged(error, "a record has more headers than may be");
    }
    record->headers = NULL;
    record->header_count = (size_t)count;
    if (count == 0) {
        return WEIR_OK;
    }
    weir_header *headers = wr_arena_alloc(arena, (size_t)count * sizeof *headers);
    if (!headers) {
        return wr_fail_memory(error);
    }
    for (size_t i = 0; i < count; i++) {
        WR_TRY(get_header(at, end, arena, &headers[i], error));
    }
    record->headers = headers;
    return WEIR_OK;
}

weir_status wr_batch_next(struct wr_batch_reader *reader, struct wr_arena *arena,
                          weir_record *record_out, int64_t *offset_out, bool *more_out,
                          struct wr_error *error)
{
    *more_out = false;
    if (reader->read == reader->count) {
        return reader->at == reader->end ? WEIR_OK
                                         : fail_damaged(error, "bytes follow its last record");
    }
    uint64_t delta;
    weir_record record = {.header_count = 0};
    const unsigned char *at = get_bytes(reader->at, reader->end, &record.key);
    at = at ? get_bytes(at, reader->end, &record.value) : NULL;
    at = at ? wr_varint_get(at, reader->end, &delta) : NULL;
    if (!at) {
        return fail_damaged(error, "a record ends beyond its end");
    }
    WR_TRY(get_headers(&at, reader->end, arena, &record, error));
    record.time_ms = (int64_t)((uint64_t)reader->first_time_ms + (uint64_t)wr_unzigzag(delta));
    *record_out = record;
    *offset_out = reader->first_offset + reader->read;
    *more_out = true;
    reader->at = at;
    reader->read++;
    return WEIR_OK;
}

/* ---- Headers alone --------------------------------------------------------------------------- */

weir_status wr_headers_encode(const weir_record *record, struct wr_arena *arena,
                              weir_bytes *bytes_out, struct wr_error *error)
{
    size_t bound = headers_bound(record);
    unsigned char *start = wr_arena_alloc(arena, bound);
    if (!start) {
        return wr_fail_memory(error);
    }
    unsigned char *end = put_headers(start, record);
    wr_assert_that(end - start, <=, (int64_t)bound);
    *bytes_out = (weir_bytes){start, (size_t)(end - start)};
    return WEIR_OK;
}

weir_status wr_headers_decode(weir_bytes bytes, struct wr_arena *arena, weir_record *record_out,
                              struct wr_error *error)
{
    record_out->headers = NULL;
    record_out->header_count = 0;
    if (!bytes.data) {
        return WEIR_OK;
    }
    const unsigned char *at = bytes.data, *end = at + bytes.size;
    WR_TRY(get_headers(&at, end, arena, record_out, error));
    return at == end ? WEIR_OK : fail_damaged(error, "bytes follow its headers");
}
