/* produce.c: `weir produce`: lines of standard input into an embedded topic. It is a job without
 * operators: lines fill an epoch, the epoch is sealed and decided like any other, so a reader sees
 * all of it or none. What was decided is in the topic for good, also when a later line is refused.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/cli/lines.h"
#include "engine/cli/split.h"
#include "engine/cli/topic.h"
#include "engine/endpoint.h"
#include "txn/delivery.h"

enum { DECIDE_MS = 100 }; /* a line from a slow pipe is in the topic after this at the latest */

enum option_id {
    OPTION_KEY,
    OPTION_NULL,
    OPTION_HEADER,
    OPTION_PARTITION,
    OPTION_PARTITIONS,
    OPTION_TIME,
    OPTION_SYNC,
    OPTION_HELP,
};

static const struct wr_option options[] = {
    {"key-delimiter", 'K', "DELIM", OPTION_KEY},
    {"null", 'Z', NULL, OPTION_NULL},
    {"header", 'H', "NAME=VALUE", OPTION_HEADER},
    {"partition", 'p', "N", OPTION_PARTITION},
    {"partitions", '\0', "N", OPTION_PARTITIONS},
    {"time-ms", 'T', "N", OPTION_TIME},
    {"sync", '\0', "full|normal|off", OPTION_SYNC},
    {"help", 'h', NULL, OPTION_HELP},
    {NULL, '\0', NULL, 0},
};

/* clang-format off */
static const char help[] =
"Appends each line of standard input to an embedded topic as a record. Makes the\n"
"store and the topic when there are none. No job may run on the store meanwhile\n"
"(75): keep topics that are filled by hand in a store of their own.\n"
"\n"
"  -K, --key-delimiter DELIM  what stands before the first DELIM of a line is the\n"
"                             key, what follows is the value; \\t, \\n, \\\\, \\xHH\n"
"                             are understood. Without it, or without DELIM in the\n"
"                             line, the key is absent (null)\n"
"  -Z, --null                 an empty value, an empty key become absent (null)\n"
"  -H, --header NAME=VALUE    a header of every record; repeat it for more\n"
"  -p, --partition N          into this partition; default: where the key belongs\n"
"                             by Kafka's murmur2, or 0 without a key\n"
"      --partitions N         of the topic, when it is made; default 1\n"
"  -T, --time-ms N            every record's time, in milliseconds since 1970;\n"
"                             default: when it was read\n"
"      --sync MODE            full (default), normal, off, as in weir run\n"
"\n"
"A line may have 1 MiB. One that is longer ends it with 65; the lines before it\n"
"are in the topic. Lines are decided together, at the latest 100 ms after they\n"
"were read.\n"
"\n"
"Examples\n"
"  weir produce shop.weir orders <orders.txt\n"
"  printf 'alice\\tbook\\nbob\\tpen\\n' | weir produce shop.weir orders -K '\\t'\n";
/* clang-format on */

struct produce {
    struct wr_operands operands;
    struct wr_split split;
    int64_t partition, partitions, time_ms; /* partition, partitions -1: not given */
    bool time_given;
    enum wr_sync sync;
    weir_header headers[WR_HEADERS_MAX];
    size_t header_count;
    struct wr_env *env;
    struct wr_error *error;
    struct wr_store *store;
    struct wr_sink sink;
    struct wr_epoch epoch;
    struct wr_arena arena;
    struct wr_lines lines;
    int64_t line; /* of the last record */
    int64_t filling_since_us;
};

/* ---- Options --------------------------------------------------------------------------------- */

static weir_status add_header(struct produce *produce, const char *value, struct wr_error *error)
{
    if (produce->header_count == WR_HEADERS_MAX) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE, "more than %d headers", WR_HEADERS_MAX);
    }
    const char *equals = strchr(value, '=');
    size_t size = equals ? (size_t)(equals - value) : strlen(value);
    char *name = wr_arena_alloc(&produce->arena, size + 1);
    if (!name) {
        return wr_fail_memory(error);
    }
    memcpy(name, value, size);
    name[size] = '\0';
    produce->headers[produce->header_count++] =
        (weir_header){name, weir_text(equals ? equals + 1 : NULL)};
    return WEIR_OK;
}

static weir_status set_sync(struct produce *produce, const char *value, struct wr_error *error)
{
    const char *const choices[] = {"full", "normal", "off", NULL};
    const enum wr_sync syncs[] = {WR_SYNC_FULL, WR_SYNC_NORMAL, WR_SYNC_OFF};
    int index = 0;
    WR_TRY(wr_option_choice("--sync", value, choices, &index, error));
    produce->sync = syncs[index];
    return WEIR_OK;
}

static weir_status take(void *context, const struct wr_option *option, const char *value,
                        struct wr_error *error)
{
    struct produce *produce = context;
    if (!option) {
        return wr_operands_add(&produce->operands, value, error);
    }
    switch ((enum option_id)option->id) {
    case OPTION_KEY:
        return wr_split_delimiter(&produce->split, value, error);
    case OPTION_NULL:
        produce->split.empty_is_absent = true;
        break;
    case OPTION_HEADER:
        return add_header(produce, value, error);
    case OPTION_PARTITION:
        return wr_option_number("--partition", value, 0, WR_PARTITIONS_MAX - 1, &produce->partition,
                                error);
    case OPTION_PARTITIONS:
        return wr_option_number("--partitions", value, 1, WR_PARTITIONS_MAX, &produce->partitions,
                                error);
    case OPTION_TIME:
        produce->time_given = true;
        return wr_option_number("--time-ms", value, INT64_MIN + 1, INT64_MAX, &produce->time_ms,
                                error);
    case OPTION_SYNC:
        return set_sync(produce, value, error);
    case OPTION_HELP:
        break;
    }
    return WEIR_OK;
}

/* ---- Store and topic ------------------------------------------------------------------------- */

/* The topic as it is in the store; partitions 0 when there is none. */
static weir_status look_up(struct produce *produce, const char *name, struct wr_topic *topic_out)
{
    struct wr_reader *reader = NULL;
    struct wr_topic *topics = NULL;
    size_t count = 0;
    *topic_out = (struct wr_topic){.name = name};
    WR_TRY(wr_reader_open(produce->env, produce->operands.values[0], &reader, produce->error));
    weir_status status =
        wr_reader_topics(reader, name, false, &produce->arena, &topics, &count, produce->error);
    if (status == WEIR_OK && count > 0) {
        *topic_out = topics[0];
    }
    wr_reader_close(reader);
    return status;
}

static weir_status set_sink(struct produce *produce, const struct wr_topic *topic)
{
    int64_t partitions = topic->partitions ? topic->partitions : produce->partitions;
    partitions = partitions > 0 ? partitions : 1;
    if (topic->partitions && produce->partitions > 0 && produce->partitions != partitions) {
        return wr_fail(produce->error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "--partitions is %" PRId64 ", but topic %s of %s has %" PRId64
                       ", which was fixed when it was made; leave the option out",
                       produce->partitions, topic->name, produce->operands.values[0], partitions);
    }
    if (produce->partition >= partitions) {
        return wr_fail(produce->error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "--partition is %" PRId64 "; topic %s of %s has partitions 0 to %" PRId64,
                       produce->partition, topic->name, produce->operands.values[0],
                       partitions - 1);
    }
    produce->sink = (struct wr_sink){
        .name = topic->name,
        .uri = topic->name,
        .kind = WR_SINK_LOG,
        .topic_name = topic->name,
        .partitions = (int32_t)partitions,
        .retain_ms = -1, /* as it is */
        .retain_bytes = -1,
    };
    return WEIR_OK;
}

static weir_status open_topic(struct produce *produce)
{
    const char *name = produce->operands.values[1];
    if (!wr_name_is_valid(name)) {
        return wr_fail(produce->error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "topic \"%s\": a name is 1 to %d of A-Z, a-z, 0-9, _, . and -", name,
                       WR_NAME_BYTES_MAX);
    }
    const struct wr_store_options store = {
        .path = produce->operands.values[0],
        .create = true,
        .sync = produce->sync,
        .wal_bytes_max = WR_WAL_BYTES_MAX_DEFAULT,
    };
    struct wr_topic topic;
    WR_TRY(wr_store_open(produce->env, &store, &produce->store, produce->error));
    WR_TRY(look_up(produce, name, &topic));
    WR_TRY(set_sink(produce, &topic));
    struct wr_definition definition = {.sinks = &produce->sink, .sink_count = 1};
    WR_TRY(wr_store_define(produce->store, &definition, produce->error));
    WR_TRY(wr_epoch_init(&produce->epoch, &produce->sink, 1, produce->error));
    wr_epoch_begin(&produce->epoch, wr_store_info(produce->store)->epoch + 1);
    return WEIR_OK;
}

/* ---- Records --------------------------------------------------------------------------------- */

static weir_status decide(struct produce *produce)
{
    if (wr_epoch_is_empty(&produce->epoch)) {
        return WEIR_OK;
    }
    int64_t number = produce->epoch.number;
    wr_epoch_seal(&produce->epoch);
    struct wr_apply apply = {.epoch = &produce->epoch, .progress = &produce->epoch.progress};
    WR_TRY(wr_store_apply(produce->store, &apply, produce->error));
    produce->epoch.phase = WR_EPOCH_DECIDED;
    WR_TRY(wr_store_checkpoint(produce->store, produce->error));
    wr_epoch_begin(&produce->epoch, number + 1);
    return WEIR_OK;
}

/* Decides the lines before this one, which is over the limit. */
static weir_status fail_long_line(struct produce *produce, size_t size)
{
    WR_TRY(decide(produce));
    return wr_fail(produce->error, WEIR_FATAL, WR_EXIT_DATA,
                   "line %" PRId64 " of standard input has %zu bytes or more with its headers; a "
                   "record may have %d. The %" PRId64 " lines before it are in topic %s",
                   produce->line + 1, size, WR_RECORD_BYTES_MAX, produce->line, produce->sink.name);
}

static weir_status append(struct produce *produce, weir_bytes line, int64_t now_ms)
{
    weir_record record = {
        .time_ms = produce->time_given ? produce->time_ms : now_ms,
        .headers = produce->headers,
        .header_count = produce->header_count,
    };
    wr_split_line(&produce->split, line, &record);
    if (wr_record_bytes(&record) > WR_RECORD_BYTES_MAX) {
        return fail_long_line(produce, wr_record_bytes(&record));
    }
    int32_t partition = 0;
    if (produce->partition >= 0) {
        partition = (int32_t)produce->partition;
    } else if (record.key.data) {
        partition = wr_partition_of(record.key, produce->sink.partitions);
    }
    if (wr_epoch_is_empty(&produce->epoch)) {
        produce->filling_since_us = produce->env->monotonic_us(produce->env);
    }
    WR_TRY(wr_epoch_append(&produce->epoch, 0, partition, &record, produce->error));
    produce->line++;
    bool full = produce->epoch.batch_records >= WR_EPOCH_RECORDS_DEFAULT ||
                wr_epoch_bytes(&produce->epoch) >= WR_EPOCH_BYTES_MAX;
    return full ? decide(produce) : WEIR_OK;
}

static int64_t age_ms(const struct produce *produce)
{
    return (produce->env->monotonic_us(produce->env) - produce->filling_since_us) / 1000;
}

/* Waits for input, but no longer than a line may wait to be decided. */
static weir_status read_input(struct produce *produce)
{
    int64_t timeout_ms = -1;
    if (!wr_epoch_is_empty(&produce->epoch)) {
        timeout_ms = DECIDE_MS - age_ms(produce);
        timeout_ms = timeout_ms > 0 ? timeout_ms : 0;
    }
    int failed = wr_lines_read(&produce->lines, (int)timeout_ms);
    if (failed) {
        WR_TRY(decide(produce));
        errno = failed;
        return wr_fail_errno(produce->error, "cannot read standard input after line %" PRId64,
                             produce->line);
    }
    return WEIR_OK;
}

static weir_status copy(struct produce *produce)
{
    while (!produce->lines.ended) {
        weir_bytes line;
        WR_TRY(read_input(produce));
        int64_t now_ms = produce->env->wall_ms(produce->env);
        while (wr_lines_next(&produce->lines, &line)) {
            WR_TRY(append(produce, line, now_ms));
        }
        if (wr_lines_rest(&produce->lines) > produce->lines.line_max) {
            return fail_long_line(produce, wr_lines_rest(&produce->lines));
        }
        if (!wr_epoch_is_empty(&produce->epoch) && age_ms(produce) >= DECIDE_MS) {
            WR_TRY(decide(produce));
        }
    }
    return decide(produce);
}

static weir_status produce_all(struct produce *produce, int argc, char **argv)
{
    WR_TRY(wr_options_parse("weir produce", options, argc, argv, take, produce, produce->error));
    WR_TRY(wr_operands_check(&produce->operands, produce->error));
    WR_TRY(open_topic(produce));
    size_t line_max = WR_RECORD_BYTES_MAX + produce->split.delimiter_size;
    if (!wr_lines_init(&produce->lines, STDIN_FILENO, line_max)) {
        return wr_fail_memory(produce->error);
    }
    return copy(produce);
}

static int run(struct wr_cli *cli, int argc, char **argv)
{
    const char *const names[] = {"STORE", "TOPIC", NULL};
    struct produce *produce = calloc(1, sizeof *produce);
    if (!produce) {
        wr_fail_memory(&cli->error);
        return wr_cli_end(cli);
    }
    produce->operands = (struct wr_operands){.command = "weir produce", .names = names};
    produce->partition = produce->partitions = -1;
    produce->sync = WR_SYNC_FULL;
    produce->env = &cli->env;
    produce->error = &cli->error;
    wr_arena_init(&produce->arena, 0);
    produce_all(produce, argc, argv);
    wr_epoch_fini(&produce->epoch);
    wr_store_close(produce->store);
    wr_arena_fini(&produce->arena);
    wr_lines_fini(&produce->lines);
    free(produce);
    return wr_cli_end(cli);
}

const struct wr_command wr_command_produce = {
    "produce", "[options] STORE TOPIC", "lines of stdin into an embedded topic", options, {help},
    run,
};
