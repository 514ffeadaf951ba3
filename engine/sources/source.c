/* source.c: which source a URI asks for, and what the sources share.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/sources/source.h"

weir_status wr_source_open(struct wr_env *env, const char *name, const struct wr_endpoint *endpoint,
                           struct wr_arena *arena, struct wr_source **source_out,
                           struct wr_error *error)
{
    switch (endpoint->scheme) {
    case WR_SCHEME_FILE:
        return wr_source_file_open(env, name, endpoint, arena, source_out, error);
    case WR_SCHEME_GEN:
        return wr_source_gen_open(env, name, endpoint, arena, source_out, error);
    case WR_SCHEME_LOG:
        return wr_source_log_open(env, name, endpoint, arena, source_out, error);
    case WR_SCHEME_KAFKA:
        return wr_source_kafka_open(env, name, endpoint, NULL, NULL, arena, source_out, error);
    case WR_SCHEME_TABLE:
    case WR_SCHEME_STDOUT:
    case WR_SCHEME_NULL:
    case WR_SCHEME_SQL:
        break;
    }
    return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE, "source %s: \"%.200s\" cannot be a source",
                   name, endpoint->uri);
}

struct wr_source_partition **wr_partitions_new(struct wr_arena *arena, size_t count)
{
    struct wr_source_partition **list = wr_arena_alloc(arena, (count + 1) * sizeof *list);
    struct wr_source_partition *all = wr_arena_zalloc(arena, (count + 1) * sizeof *all);
    for (size_t i = 0; list && all && i < count; i++) {
        list[i] = &all[i];
    }
    return all ? list : NULL;
}

bool wr_polled_reserve(struct wr_polled *polled, size_t count)
{
    struct wr_arena *arena = &polled->arena;
    polled->count = 0;
    polled->records = wr_arena_alloc(arena, count * sizeof *polled->records);
    polled->offsets = wr_arena_alloc(arena, count * sizeof *polled->offsets);
    polled->nexts = wr_arena_alloc(arena, count * sizeof *polled->nexts);
    polled->rejects = wr_arena_zalloc(arena, count * sizeof *polled->rejects);
    return polled->records && polled->offsets && polled->nexts && polled->rejects;
}
