/* topics.c: `weir topics`: the embedded topics of a store, a line for each partition.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/cli/cli.h"
#include "engine/endpoint.h"

enum { OUTPUT_BYTES = 1 << 22 }; /* more than the lines of WR_PARTITIONS_MAX partitions */

static const struct wr_option options[] = {
    {"help", 'h', NULL, 0},
    {NULL, '\0', NULL, 0},
};

/* clang-format off */
static const char help[] =
"Lists the embedded topics of a store: for each partition the offsets that are\n"
"kept (from the first, below the next one to be given), records, bytes, and how\n"
"long they are kept. Works while a job runs on the store.\n"
"\n"
"Topics are made by a job's log: sinks and by weir produce.\n"
"\n"
"Example\n"
"  weir topics wordcount.weir\n";
/* clang-format on */

/* ---- Finding a topic ------------------------------------------------------------------------- */

static weir_status fail_no_topic(const char *store, const char *name, const struct wr_topic *topics,
                                 size_t count, struct wr_arena *arena, struct wr_error *error)
{
    const char **names = wr_arena_alloc(arena, (count + 1) * sizeof *names);
    if (!names) {
        return wr_fail_memory(error);
    }
    for (size_t i = 0; i < count; i++) {
        names[i] = topics[i].name;
    }
    names[count] = NULL;
    const char *near = wr_nearest(name, names);
    if (near) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_NO_INPUT, "%s has no topic %s; did you mean %s?",
                       store, name, near);
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_NO_INPUT,
                   "%s has no topic %s; weir topics %s lists the %zu it has", store, name, store,
                   count);
}

weir_status wr_topic_find(struct wr_reader *reader, const char *store, const char *name,
                          struct wr_arena *arena, struct wr_topic *topic_out,
                          struct wr_error *error)
{
    struct wr_topic *topics = NULL;
    size_t count = 0;
    WR_TRY(wr_reader_topics(reader, NULL, false, arena, &topics, &count, error));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(topics[i].name, name) == 0) {
            *topic_out = topics[i];
            return WEIR_OK;
        }
    }
    return fail_no_topic(store, name, topics, count, arena, error);
}

/* ---- The list -------------------------------------------------------------------------------- */

static void show_retention(const struct wr_topic *topic)
{
    if (topic->retain_ms <= 0 && topic->retain_bytes <= 0) {
        printf("for ever");
        return;
    }
    if (topic->retain_ms > 0) {
        printf("%" PRId64 " ms", topic->retain_ms);
    }
    if (topic->retain_bytes > 0) {
        printf("%s%" PRId64 " bytes", topic->retain_ms > 0 ? ", " : "", topic->retain_bytes);
    }
}

static weir_status show_topic(struct wr_reader *reader, const struct wr_topic *topic,
                              struct wr_error *error)
{
    for (int32_t partition = 0; partition < topic->partitions; partition++) {
        struct wr_extent extent;
        char place[32];
        WR_TRY(wr_reader_extent(reader, topic->id, partition, &extent, error));
        snprintf(place, sizeof place, "%d of %d", partition, topic->partitions);
        printf("%-24s %-12s %12" PRId64 " %12" PRId64 " %12" PRId64 " %14" PRId64 "  ", topic->name,
               place, extent.first, extent.next, extent.next - extent.first, extent.bytes);
        show_retention(topic);
        putchar('\n');
    }
    return WEIR_OK;
}

static weir_status show(struct wr_reader *reader, struct wr_arena *arena, struct wr_error *error)
{
    struct wr_topic *topics = NULL;
    size_t count = 0;
    WR_TRY(wr_reader_topics(reader, NULL, false, arena, &topics, &count, error));
    if (count > 0) {
        printf("%-24s %-12s %12s %12s %12s %14s  %s\n", "TOPIC", "PARTITION", "FIRST", "NEXT",
               "RECORDS", "BYTES", "RETENTION");
    }
    for (size_t i = 0; i < count; i++) {
        if (!topics[i].outbox) { /* those are a sink's, `weir inspect` shows them */
            WR_TRY(show_topic(reader, &topics[i], error));
        }
    }
    return WEIR_OK;
}

static weir_status take(void *context, const struct wr_option *option, const char *value,
                        struct wr_error *error)
{
    return option ? WEIR_OK : wr_operands_add(context, value, error);
}

static int run(struct wr_cli *cli, int argc, char **argv)
{
    const char *const names[] = {"STORE", NULL};
    struct wr_operands operands = {.command = "weir topics", .names = names};
    struct wr_error *error = &cli->error;
    struct wr_reader *reader = NULL;
    struct wr_arena arena;
    wr_arena_init(&arena, 0);
    wr_cli_buffer(cli, OUTPUT_BYTES);
    if (wr_options_parse("weir topics", options, argc, argv, take, &operands, error) == WEIR_OK &&
        wr_operands_check(&operands, error) == WEIR_OK &&
        wr_reader_open(&cli->env, operands.values[0], &reader, error) == WEIR_OK) {
        show(reader, &arena, error);
    }
    wr_reader_close(reader);
    wr_arena_fini(&arena);
    return wr_cli_end(cli);
}

const struct wr_command wr_command_topics = {
    "topics", "STORE", "topics, partitions, offsets", options, {help}, run,
};
