/* log.h: packed batches, the form in which records of embedded topics and outboxes are stored.
 * docs/FORMAT.md has the format byte by byte:
 *
 *   0  u8  format, 1                      16 u32 count
 *   1  u8  compression, 0 none (1 LZ4)    20 u32 body bytes, uncompressed
 *   2  u16 0                              24 i64 first_time_ms, the first record's
 *   4  u32 CRC32C of bytes 8 to the end   32 i64 max_time_ms
 *      of header and uncompressed body    40 body: records one after the other
 *   8  i64 first_offset
 *
 * A record: varint key size + 1 (0: absent), key, varint value size + 1, value, zigzag varint time
 * - first_time_ms, varint header count, and for each header varint name size, name, varint value
 * size + 1, value. Numbers are little-endian, varints unsigned LEB128.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_LOG_H
#define WR_LOG_H

#include "txn/base/arena.h"
#include "txn/base/bytes.h"
#include "txn/base/error.h"

enum { WR_BATCH_HEADER_BYTES = 40, WR_BATCH_CRC_AT = 4, WR_BATCH_FORMAT = 1 };

/* A batch being built. Keeps its memory from one use to the next. */
struct wr_batch {
    struct wr_buffer bytes; /* header, body */
    int64_t first_offset, first_time_ms, max_time_ms;
    int32_t partition;
    uint32_t count;
    struct wr_batch *next; /* in the epoch's list of this sink */
};

void wr_batch_begin(struct wr_batch *batch, int32_t partition, int64_t first_offset);
/* Appends one record; the bytes are copied. WEIR_MISUSE when key, value and headers are over
 * WR_RECORD_BYTES_MAX or there are too many headers (a WR_HEADER_SOURCE comes on top of both); the
 * batch is then unchanged. */
weir_status wr_batch_append(struct wr_batch *batch, const weir_record *record,
                            struct wr_error *error);
/* Writes the header. The batch has at least one record and takes no more. */
void wr_batch_finish(struct wr_batch *batch);
void wr_batch_fini(struct wr_batch *batch);

/* The running CRC of a log after a batch: over the batches' own, which their headers hold. */
static inline uint32_t wr_batch_running_crc(uint32_t before, const void *batch)
{
    return wr_crc32c(before, (const unsigned char *)batch + WR_BATCH_CRC_AT, 4);
}

/* A header that records of an outbox may have after their own, for the outlet alone, which takes it
 * off: the partition of the source that the record came from, as 4 bytes. */
#define WR_HEADER_SOURCE "\x01"

/* key + value + headers as the limit counts them. */
size_t wr_record_bytes(const weir_record *record);

/* Reading. `bytes` must outlive the reader; records point into it. */
struct wr_batch_reader {
    const unsigned char *at, *end;
    int64_t first_offset, first_time_ms, max_time_ms;
    uint32_t count, read;
};

/* Checks format, sizes and CRC. WEIR_FATAL with exit code 65 (or 78 for a newer format) names what
 * is wrong; the caller's text says which batch. */
weir_status wr_batch_open(weir_bytes bytes, struct wr_batch_reader *reader_out,
                          struct wr_error *error);
/* The next record and its offset; headers (and their names, NUL-ended) are allocated in the arena.
 * *more_out false at the end. */
weir_status wr_batch_next(struct wr_batch_reader *reader, struct wr_arena *arena,
                          weir_record *record_out, int64_t *offset_out, bool *more_out,
                          struct wr_error *error);

/* Headers alone, as they stand in a record (count first): the form in which a dead letter keeps
 * them. */
weir_status wr_headers_encode(const weir_record *record, struct wr_arena *arena,
                              weir_bytes *bytes_out, struct wr_error *error);
weir_status wr_headers_decode(weir_bytes bytes, struct wr_arena *arena, weir_record *record_out,
                              struct wr_error *error);

#endif
