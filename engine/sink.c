/* sink.c: what a sink node does with a record: into the write set as a row, a record of a log, one
 * for statements, or nothing.
 *
 * A record that a table cannot hold (absent key, text that is no number) goes to the dead letters
 * with the reason. Numbers are brought to one form, so that `7` and `007` are one key, and the last
 * of them wins.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/instance.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"

enum { NUMBER_TEXT_MAX = 64 };

/* The number's canonical text in `text`; false when the bytes are no such number. */
static bool canonical(enum wr_column type, weir_bytes bytes, char text[NUMBER_TEXT_MAX])
{
    char copy[NUMBER_TEXT_MAX];
    if (bytes.size == 0 || bytes.size >= sizeof copy ||
        !strchr("+-.0123456789", *(const char *)bytes.data)) {
        return false;
    }
    memcpy(copy, bytes.data, bytes.size);
    copy[bytes.size] = '\0';
    if (strspn(copy, "+-.0123456789eE") != bytes.size) { /* no hexadecimal, no words */
        return false;
    }
    char *end;
    errno = 0;
    if (type == WR_COLUMN_INTEGER) {
        long long value = strtoll(copy, &end, 10);
        snprintf(text, NUMBER_TEXT_MAX, "%lld", value);
    } else {
        double value = strtod(copy, &end) + 0.0; /* -0 is 0 */
        if (!isfinite(value)) {
            return false;
        }
        snprintf(text, NUMBER_TEXT_MAX, "%.17g", value);
        errno = 0; /* an underflow is a number */
    }
    return errno == 0 && end == copy + bytes.size;
}

/* Brings a column into the form in which the store takes it; false: rejected. */
static bool take_column(struct wr_instance *instance, const struct wr_node *node,
                        const weir_record *record, bool is_key, enum wr_column type,
                        weir_bytes *bytes, char text[NUMBER_TEXT_MAX])
{
    if (!bytes->data || (type != WR_COLUMN_INTEGER && type != WR_COLUMN_REAL)) {
        return true;
    }
    if (canonical(type, *bytes, text)) {
        *bytes = weir_text(text);
        return true;
    }
    char why[NUMBER_TEXT_MAX * 4];
    int shown = bytes->size < 40 ? (int)bytes->size : 40;
    snprintf(why, sizeof why, "the %s `%.*s` is no %s", is_key ? "key" : "value", shown,
             (const char *)bytes->data, type == WR_COLUMN_INTEGER ? "integer" : "real number");
    wr_rejects_add(instance, node, 0, record, (weir_bytes){NULL, 0}, why);
    return false;
}

static void put_row(struct wr_instance *instance, const struct wr_node *node,
                    const struct wr_sink *sink, const weir_record *record)
{
    char key_text[NUMBER_TEXT_MAX], value_text[NUMBER_TEXT_MAX];
    weir_bytes key = record->key, value = record->value;
    if (!key.data) {
        wr_rejects_add(instance, node, 0, record, (weir_bytes){NULL, 0},
                       "the key is absent, and a table needs one");
        return;
    }
    if (take_column(instance, node, record, true, sink->key_type, &key, key_text) &&
        take_column(instance, node, record, false, sink->value_type, &value, value_text)) {
        (void)wr_epoch_row(instance->filling, node->index, key, value, &instance->failure);
        instance->unit_out++;
    }
}

static void tell(struct wr_instance *instance, const struct wr_node *node,
                 const weir_record *record)
{
    struct wr_from from;
    if (wr_rejects_from(instance, &from)) {
        (void)wr_epoch_tell(instance->filling, node->index, &from, instance->unit, record,
                            &instance->failure);
        instance->unit_out++;
    }
}

/* The partition of the source that the unit at hand came from; a timer's is 0. */
static int32_t source_partition(const struct wr_instance *instance)
{
    size_t part = instance->origin.part;
    return part == SIZE_MAX ? 0 : instance->parts[part].at->index;
}

static int32_t partition_for(const struct wr_instance *instance, const struct wr_sink *sink,
                             const weir_record *record)
{
    if (sink->partitions <= 1) {
        return 0;
    }
    if (record->key.data) {
        return wr_partition_of(record->key, sink->partitions);
    }
    return source_partition(instance) % sink->partitions;
}

/* Whether an outbox's record says where it came from: it does too when its own last header looks as
 * if it did, because the outlet takes one off. */
static bool is_noted(const struct wr_sink *sink, const weir_record *record)
{
    size_t count = record->header_count;
    return sink->note == WR_NOTE_ALL || (sink->note == WR_NOTE_KEYLESS && !record->key.data) ||
           (sink->note != WR_NOTE_NONE && count > 0 &&
            strcmp(record->headers[count - 1].name, WR_HEADER_SOURCE) == 0);
}

static void put_outbox(struct wr_instance *instance, const struct wr_node *node,
                       const struct wr_sink *sink, const weir_record *record)
{
    weir_record noted = *record;
    unsigned char partition[4];
    weir_header few[8], *headers = few;
    if (is_noted(sink, record)) {
        size_t count = record->header_count;
        if (count + 1 > sizeof few / sizeof *few) {
            headers = wr_arena_alloc(&instance->call, (count + 1) * sizeof *headers);
        }
        if (!headers) {
            (void)wr_fail_memory(&instance->failure);
            return;
        }
        if (count > 0) {
            memcpy(headers, record->headers, count * sizeof *headers);
        }
        wr_u32_put(partition, (uint32_t)source_partition(instance));
        headers[count] = (weir_header){WR_HEADER_SOURCE, {partition, sizeof partition}};
        noted.headers = headers;
        noted.header_count = count + 1;
    }
    (void)wr_epoch_append(instance->filling, node->index, 0, &noted, &instance->failure);
    instance->unit_out++;
}

void wr_sink_put(struct wr_instance *instance, const struct wr_node *node,
                 const weir_record *record)
{
    const struct wr_sink *sink = &instance->sinks[node->index];
    size_t bytes = wr_record_bytes(record);
    if (bytes > WR_RECORD_BYTES_MAX || record->header_count > WR_HEADERS_MAX) {
        (void)wr_fail(&instance->failure, WEIR_ABORT, WR_EXIT_DATA,
                      "sink `%s`: a record of %zu bytes and %zu headers; the limits are %d and %d",
                      node->name, bytes, record->header_count, WR_RECORD_BYTES_MAX, WR_HEADERS_MAX);
        return;
    }
    switch (sink->kind) {
    case WR_SINK_TABLE:
        put_row(instance, node, sink, record);
        break;
    case WR_SINK_OUTBOX:
        put_outbox(instance, node, sink, record);
        break;
    case WR_SINK_LOG:
        (void)wr_epoch_append(instance->filling, node->index, partition_for(instance, sink, record),
                              record, &instance->failure);
        instance->unit_out++;
        break;
    case WR_SINK_SQL:
        tell(instance, node, record);
        break;
    case WR_SINK_NULL:
        instance->unit_out++;
        break;
    }
}
