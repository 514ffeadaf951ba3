/* fuzz_uri.c: URIs as a source's and as a sink's. What is taken has a form: a path that its scheme
 * takes, parameters that can be read, and the same URI is taken the same way again.
 *
 * Input: the URI.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/kit.h"

#include <stdlib.h>
#include <string.h>

#include "engine/endpoint.h"
#include "txn/store.h"

static void check_parameters(const struct wr_endpoint *endpoint)
{
    for (size_t i = 0; i < endpoint->parameter_count; i++) {
        const char *name = endpoint->parameters[i].name;
        const char *value = wr_endpoint_parameter(endpoint, name);
        int64_t number = 7;
        struct wr_error error = {.status = WEIR_OK};
        fuzz_check(*name && value && strcmp(value, endpoint->parameters[i].value) == 0);
        if (wr_endpoint_number(endpoint, name, 0, INT64_MAX, 1, &number, &error) == WEIR_OK) {
            fuzz_check(number >= 0);
        } else {
            fuzz_check_error(&error);
        }
    }
    fuzz_check(!wr_endpoint_parameter(endpoint, "no such parameter"));
}

static void check_sink(const struct wr_endpoint *endpoint, struct wr_arena *arena)
{
    struct wr_error error = {.status = WEIR_OK};
    struct wr_sink sink = {.name = "fuzz", .retain_ms = -1, .retain_bytes = -1};
    fuzz_check(wr_endpoint_sink(endpoint, arena, &sink, &error) == WEIR_OK);
    switch (sink.kind) {
    case WR_SINK_TABLE:
        fuzz_check(sink.table && !wr_store_name_reserved(sink.table) && !strchr(sink.table, '"'));
        break;
    case WR_SINK_LOG:
        fuzz_check(wr_name_is_valid(sink.topic_name));
        fuzz_check(sink.partitions >= 0 && sink.partitions <= WR_PARTITIONS_MAX);
        break;
    case WR_SINK_OUTBOX:
        fuzz_check(sink.partitions == 1);
        break;
    case WR_SINK_SQL:
        fuzz_check(*endpoint->path);
        break;
    case WR_SINK_NULL:
        break;
    }
}

/* What is said of Kafka is in range, and the partitions that are read rise. */
static void check_kafka(const struct wr_endpoint *endpoint, bool is_source)
{
    fuzz_check(endpoint->brokers && *endpoint->brokers && *endpoint->path);
    fuzz_check(wr_brokers_overlap(endpoint->brokers, endpoint->brokers));
    fuzz_check(wr_endpoint_begin(endpoint).value >= 0);
    if (!is_source) {
        fuzz_check(wr_endpoint_place(endpoint).partition < WR_PARTITIONS_MAX);
        return;
    }
    for (int32_t from = 0, steps = 0; steps < 10; steps++) {
        int32_t next = wr_endpoint_next_partition(endpoint, from);
        fuzz_check(next == -1 || next >= from);
        fuzz_check(from > 0 || next >= 0); /* there is one */
        from = next < 0 ? WR_PARTITIONS_MAX : next + 1;
    }
}

static void try_uri(const char *uri, bool is_source)
{
    struct wr_arena arena;
    struct wr_endpoint endpoint, again;
    struct wr_error error = {.status = WEIR_OK};
    wr_arena_init(&arena, 0);
    if (wr_endpoint_parse(uri, is_source, &arena, &endpoint, &error) != WEIR_OK) {
        fuzz_check_error(&error);
        fuzz_check(error.exit_code == WR_EXIT_USAGE);
    } else {
        fuzz_check(strcmp(endpoint.uri, uri) == 0 && strlen(uri) < WR_URI_BYTES_MAX);
        fuzz_check(strlen(endpoint.path) < strlen(uri));
        check_parameters(&endpoint);
        if (!is_source) {
            check_sink(&endpoint, &arena);
        }
        if (endpoint.scheme == WR_SCHEME_KAFKA) {
            check_kafka(&endpoint, is_source);
        }
        fuzz_check(wr_endpoint_parse(uri, is_source, &arena, &again, &error) == WEIR_OK);
        fuzz_check(again.scheme == endpoint.scheme && strcmp(again.path, endpoint.path) == 0);
        fuzz_check(again.parameter_count == endpoint.parameter_count);
    }
    wr_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *uri = fuzz_string(data, size);
    try_uri(uri, true);
    try_uri(uri, false);
    free(uri);
    return 0;
}
