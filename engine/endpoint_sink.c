/* endpoint_sink.c: what a sink's URI says to the store. See endpoint.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "engine/endpoint.h"
#include "txn/base/error.h"

static enum wr_column column_of(const struct wr_endpoint *endpoint, const char *name)
{
    static const char *const types[] = {"text", "integer", "real", "blob", NULL};
    static const enum wr_column columns[] = {WR_COLUMN_TEXT, WR_COLUMN_INTEGER, WR_COLUMN_REAL,
                                             WR_COLUMN_BLOB};
    const char *type = wr_endpoint_parameter(endpoint, name);
    for (size_t i = 0; type && types[i]; i++) {
        if (strcmp(types[i], type) == 0) {
            return columns[i];
        }
    }
    return WR_COLUMN_AUTO;
}

weir_status wr_endpoint_sink(const struct wr_endpoint *endpoint, struct wr_arena *arena,
                             struct wr_sink *sink, struct wr_error *error)
{
    (void)arena;
    int64_t partitions = 0;
    sink->uri = endpoint->uri;
    sink->partitions = 0;
    switch (endpoint->scheme) {
    case WR_SCHEME_TABLE:
        sink->kind = WR_SINK_TABLE;
        sink->table = endpoint->path;
        sink->key_type = column_of(endpoint, "key");
        sink->value_type = column_of(endpoint, "value");
        return WEIR_OK;
    case WR_SCHEME_LOG:
        sink->kind = WR_SINK_LOG;
        sink->topic_name = endpoint->path;
        /* What is not given is as the topic has it, or the default of a new one. */
        WR_TRY(wr_endpoint_number(endpoint, "partitions", 1, WR_PARTITIONS_MAX, 0, &partitions,
                                  error));
        WR_TRY(
            wr_endpoint_number(endpoint, "retain_ms", 0, INT64_MAX, -1, &sink->retain_ms, error));
        WR_TRY(wr_endpoint_number(endpoint, "retain_bytes", 0, INT64_MAX, -1, &sink->retain_bytes,
                                  error));
        sink->partitions = (int32_t)partitions;
        return WEIR_OK;
    case WR_SCHEME_FILE:
    case WR_SCHEME_STDOUT:
    case WR_SCHEME_KAFKA:
        sink->kind = WR_SINK_OUTBOX;
        sink->topic_name = sink->name;
        sink->partitions = 1;
        return WEIR_OK;
    case WR_SCHEME_SQL: /* the file is read when a run starts */
        sink->kind = WR_SINK_SQL;
        return WEIR_OK;
    case WR_SCHEME_NULL:
        sink->kind = WR_SINK_NULL;
        return WEIR_OK;
    case WR_SCHEME_GEN:
        break;
    }
    return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE, "\"%.200s\" cannot be a sink", endpoint->uri);
}
