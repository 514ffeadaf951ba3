/* log.c: see log.h for the format.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/log.h"

#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"

size_t wr_record_bytes(const weir_record *record)
{
    size_t bytes = record->key.size + record->value.size;
    for (size_t i = 0; i < record->header_count; i++) {
        bytes += strlen(record->headers[i].name) + record->headers[i].value.size;
    }
    return bytes;
}

/* ---- Writing ----------------------------------------------------------------------------------
 */

void wr_batch_begin(struct wr_batch *batch, int32_t partition, int64_t first_offset)
{
    batch->bytes.size = 0;
    batch->partition = partition;
    batch->first_offset = first_offset;
    batch->first_time_ms = 0;
    batch->max_time_ms = INT64_MIN;
    batch->count = 0;
}

static unsigned char *put_bytes(unsigned char *at, weir_bytes bytes)
{
    at = wr_varint_put(at, bytes.data ? bytes.size + 1 : 0);
    if (bytes.size) {
        memcpy(at, bytes.data, bytes.size);
    }
    return at + bytes.size;
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

/* What an encoded record needs at most. */
static size_t encoded_max(const weir_record *record, size_t bytes)
{
    return bytes + (size_t)WR_VARINT_MAX * (4 + 2 * record->header_count);
}

weir_status wr_batch_append(struct wr_batch *batch, const weir_record *record,
                            struct wr_error *error)
{
    size_t bytes = wr_record_bytes(record);
    if (bytes > WR_RECORD_BYTES_MAX || record->header_count > WR_HEADERS_MAX) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_DATA,
                       "record of %zu bytes and %zu headers; the limits are %d and %d", bytes,
                       record->header_count, WR_RECORD_BYTES_MAX, WR_HEADERS_MAX);
    }
    size_t head = batch->count ? 0 : WR_BATCH_HEADER_BYTES;
    if (!wr_buffer_reserve(&batch->bytes, head + encoded_max(record, bytes))) {
        return wr_fail_memory(error);
    }
    if (batch->count == 0) {
        batch->bytes.size = WR_BATCH_HEADER_BYTES;
        batch->first_time_ms = record->time_ms;
    }
    unsigned char *at = batch->bytes.data + batch->bytes.size;
    at = put_bytes(at, record->key);
    at = put_bytes(at, record->value);
    at = wr_varint_put(
        at, wr_zigzag((int64_t)((uint64_t)record->time_ms - (uint64_t)batch->first_time_ms)));
    at = put_headers(at, record);
    batch->bytes.size = (size_t)(at - batch->bytes.data);
    wr_assert_that(batch->bytes.size, <=, batch->bytes.capacity);
    if (record->time_ms > batch->max_time_ms) {
        batch->max_time_ms = record->time_ms;
    }
    batch->count++;
    return WEIR_OK;
}

void wr_batch_finish(struct wr_batch *batch)
{
    unsigned char *at = batch->bytes.data;
    size_t size = batch->bytes.size;
    wr_assert_that(batch->count, >, 0);
    at[0] = WR_BATCH_FORMAT;
    at[1] = 0;
    at[2] = 0;
    at[3] = 0;
    wr_u64_put(at + 8, (uint64_t)batch->first_offset);
    wr_u32_put(at + 16, batch->count);
    wr_u32_put(at + 20, (uint32_t)(size - WR_BATCH_HEADER_BYTES));
    wr_u64_put(at + 24, (uint64_t)batch->first_time_ms);
    wr_u64_put(at + 32, (uint64_t)batch->max_time_ms);
    wr_u32_put(at + 4, wr_crc32c(0, at + 8, size - 8));
}

void wr_batch_fini(struct wr_batch *batch)
{
    wr_buffer_fini(&batch->bytes);
}

/* ---- Reading ----------------------------------------------------------------------------------
 */

static weir_status corrupt(struct wr_error *error, const char *what)
{
    return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA, "%s", what);
}

weir_status wr_batch_open(weir_bytes bytes, struct wr_batch_reader *reader_out,
                          struct wr_error *error)
{
    const unsigned char *at = bytes.data;
    if (bytes.size < WR_BATCH_HEADER_BYTES) {
        return corrupt(error, "batch shorter than its header");
    }
    if (at[0] != WR_BATCH_FORMAT) {
        return wr_fail(error, WEIR_FATAL, at[0] > WR_BATCH_FORMAT ? WR_EXIT_CONFIG : WR_EXIT_DATA,
                       "batch of format %u; this weir reads format %d", at[0], WR_BATCH_FORMAT);
    }
    if (at[1] != 0 || at[2] != 0 || at[3] != 0) {
        return corrupt(error, "batch with a compression or flags that this weir does not know");
    }
    if (wr_u32_get(at + 4) != wr_crc32c(0, at + 8, bytes.size - 8)) {
        return corrupt(error, "batch with a wrong CRC");
    }
    if (wr_u32_get(at + 20) != bytes.size - WR_BATCH_HEADER_BYTES || wr_u32_get(at + 16) == 0) {
        return corrupt(error, "batch with a wrong size");
    }
    *reader_out = (struct wr_batch_reader){.at = at + WR_BATCH_HEADER_BYTES,
                                           .end = at + bytes.size,
                                           .first_offset = (int64_t)wr_u64_get(at + 8),
                                           .first_time_ms = (int64_t)wr_u64_get(at + 24),
                                           .max_time_ms = (int64_t)wr_u64_get(at + 32),
                                           .count = wr_u32_get(at + 16)};
    return WEIR_OK;
}

/* Takes a size and that many bytes; NULL when they are not there. biased: 0 is absent. */
static const unsigned char *take(const unsigned char *at, const unsigned char *end, bool biased,
                                 weir_bytes *bytes_out)
{
    uint64_t size;
    at = wr_varint_get(at, end, &size);
    if (!at) {
        return NULL;
    }
    *bytes_out = (weir_bytes){NULL, 0};
    if (biased && size-- == 0) {
        return at;
    }
    if (size > (size_t)(end - at)) {
        return NULL;
    }
    *bytes_out = wr_bytes(at, (size_t)size);
    return at + size;
}

/* Headers of a record; NULL with *memory_out when memory ran out, NULL alone when they are damaged.
 */
static const unsigned char *take_headers(const unsigned char *at, const unsigned char *end,
                                         struct wr_arena *arena, weir_record *record,
                                         bool *memory_out)
{
    uint64_t count;
    at = wr_varint_get(at, end, &count);
    record->headers = NULL;
    record->header_count = 0;
    if (!at || count > WR_HEADERS_MAX) {
        return NULL;
    }
    if (count == 0) {
        return at;
    }
    weir_header *headers = wr_arena_alloc(arena, (size_t)count * sizeof *headers);
    *memory_out = headers == NULL;
    for (uint64_t i = 0; headers && i < count; i++) {
        weir_bytes name;
        at = take(at, end, false, &name);
        char *text = at ? wr_arena_alloc(arena, name.size + 1) : NULL;
        if (!text) {
            *memory_out = at != NULL;
            return NULL;
        }
        memcpy(text, name.data, name.size);
        text[name.size] = '\0';
        headers[i].name = text;
        at = take(at, end, true, &headers[i].value);
        if (!at) {
            return NULL;
        }
    }
    record->headers = headers;
    record->header_count = headers ? (size_t)count : 0;
    return headers ? at : NULL;
}

weir_status wr_batch_next(struct wr_batch_reader *reader, struct wr_arena *arena,
                          weir_record *record_out, int64_t *offset_out, bool *more_out,
                          struct wr_error *error)
{
    *more_out = reader->read < reader->count;
    if (!*more_out) {
        return reader->at == reader->end ? WEIR_OK
                                         : corrupt(error, "batch with bytes after its records");
    }
    *record_out = (weir_record){.time_ms = 0};
    bool no_memory = false;
    uint64_t delta = 0;
    const unsigned char *at = take(reader->at, reader->end, true, &record_out->key);
    at = at ? take(at, reader->end, true, &record_out->value) : NULL;
    at = at ? wr_varint_get(at, reader->end, &delta) : NULL;
    at = at ? take_headers(at, reader->end, arena, record_out, &no_memory) : NULL;
    if (!at) {
        return no_memory ? wr_fail_memory(error) : corrupt(error, "batch with a damaged record");
    }
    record_out->time_ms = (int64_t)((uint64_t)reader->first_time_ms + (uint64_t)wr_unzigzag(delta));
    *offset_out = reader->first_offset + reader->read++;
    reader->at = at;
    return WEIR_OK;
}

/* ---- Headers alone ----------------------------------------------------------------------------
 */

weir_status wr_headers_encode(const weir_record *record, struct wr_arena *arena,
                              weir_bytes *bytes_out, struct wr_error *error)
{
    unsigned char *data =
        wr_arena_alloc(arena, encoded_max(record, wr_record_bytes(record) - record->key.size -
                                                      record->value.size));
    if (!data) {
        return wr_fail_memory(error);
    }
    *bytes_out = wr_bytes(data, (size_t)(put_headers(data, record) - data));
    return WEIR_OK;
}

weir_status wr_headers_decode(weir_bytes bytes, struct wr_arena *arena, weir_record *record_out,
                              struct wr_error *error)
{
    bool no_memory = false;
    const unsigned char *at = bytes.data;
    const unsigned char *end = at + bytes.size;
    at = at ? take_headers(at, end, arena, record_out, &no_memory) : NULL;
    if (at == end && at) {
        return WEIR_OK;
    }
    return no_memory ? wr_fail_memory(error) : corrupt(error, "damaged headers");
}
