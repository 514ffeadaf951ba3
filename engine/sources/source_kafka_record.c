/* source_kafka_record.c: from librdkafka's messages to records. Nothing is copied but headers'
 * places: a record's bytes are those of the response that it came in, and stay until its message is
 * freed.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "engine/sources/source_kafka.h"
#include "txn/base/bytes.h"
#include "txn/log.h"

enum { REASON_BYTES = 96 };

/* An absent key or value has no address; an empty one has. */
static weir_bytes bytes_of(const void *data, size_t size)
{
    return (weir_bytes){data, data ? size : 0};
}

struct wr_kafka_seen wr_kafka_see(const rd_kafka_message_t *message)
{
    weir_bytes parts[] = {bytes_of(message->key, message->key_len),
                          bytes_of(message->payload, message->len)};
    struct wr_kafka_seen seen = {.offset = message->offset,
                                 .time_ms = rd_kafka_message_timestamp(message, NULL)};
    for (int i = 0; i < 2; i++) { /* sizes too, so that what moves between the two is seen */
        int64_t size = parts[i].data ? (int64_t)parts[i].size : -1;
        unsigned char head[8];
        for (int j = 0; j < 8; j++) {
            head[j] = (unsigned char)((uint64_t)size >> (8 * j));
        }
        seen.crc = wr_crc32c(seen.crc, head, sizeof head);
        if (parts[i].size > 0) {
            seen.crc = wr_crc32c(seen.crc, parts[i].data, parts[i].size);
        }
    }
    return seen;
}

static weir_status reject(struct wr_polled *polled, struct wr_error *error, const char *format, ...)
    WEIR_PRINTF(3, 4);
static weir_status reject(struct wr_polled *polled, struct wr_error *error, const char *format, ...)
{
    char *reason = wr_arena_alloc(&polled->arena, REASON_BYTES);
    if (!reason) {
        return wr_fail_memory(error);
    }
    va_list args;
    va_start(args, format);
    vsnprintf(reason, REASON_BYTES, format, args);
    va_end(args);
    polled->rejects[polled->count] = reason;
    return WEIR_OK;
}

static weir_status take_headers(const rd_kafka_headers_t *headers, struct wr_polled *polled,
                                weir_record *record, struct wr_error *error)
{
    size_t count = rd_kafka_header_cnt(headers);
    if (count > WR_HEADERS_MAX) {
        return reject(polled, error, "record with %zu headers; the limit is %d", count,
                      WR_HEADERS_MAX);
    }
    weir_header *list = wr_arena_alloc(&polled->arena, (count + 1) * sizeof *list);
    if (!list) {
        return wr_fail_memory(error);
    }
    for (size_t i = 0; i < count; i++) {
        const void *data = NULL;
        size_t size = 0;
        (void)rd_kafka_header_get_all(headers, i, &list[i].name, &data, &size);
        list[i].value = bytes_of(data, size);
    }
    record->headers = list;
    record->header_count = count;
    return WEIR_OK;
}

/* A record over the limit goes to the dead letters without headers, and cut. */
static weir_status cut(struct wr_polled *polled, weir_record *record, size_t size,
                       struct wr_error *error)
{
    size_t room = WR_RECORD_BYTES_MAX;
    record->headers = NULL;
    record->header_count = 0;
    record->key.size = record->key.size < room ? record->key.size : room;
    room -= record->key.size;
    record->value.size = record->value.size < room ? record->value.size : room;
    return reject(polled, error, "record of %zu bytes; the limit is %d", size, WR_RECORD_BYTES_MAX);
}

weir_status wr_kafka_take_record(rd_kafka_message_t *message, struct wr_polled *polled,
                                 struct wr_error *error)
{
    size_t at = polled->count;
    rd_kafka_headers_t *headers = NULL;
    int64_t time_ms = rd_kafka_message_timestamp(message, NULL);
    weir_record *record = &polled->records[at];
    *record = (weir_record){.key = bytes_of(message->key, message->key_len),
                            .value = bytes_of(message->payload, message->len),
                            .time_ms = time_ms < 0 ? 0 : time_ms};
    rd_kafka_resp_err_t cause = rd_kafka_message_headers(message, &headers);
    if (cause == RD_KAFKA_RESP_ERR_NO_ERROR) {
        WR_TRY(take_headers(headers, polled, record, error));
    } else if (cause != RD_KAFKA_RESP_ERR__NOENT) {
        WR_TRY(reject(polled, error, "record with damaged headers (%s)", rd_kafka_err2name(cause)));
    }
    size_t size =
        record->header_count > 0 ? wr_record_bytes(record) : record->key.size + record->value.size;
    if (size > WR_RECORD_BYTES_MAX) {
        WR_TRY(cut(polled, record, size, error));
    }
    polled->offsets[at] = message->offset;
    polled->nexts[at] = message->offset + 1;
    polled->count++;
    return WEIR_OK;
}
