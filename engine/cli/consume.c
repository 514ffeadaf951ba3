/* consume.c: `weir consume`: records of an embedded topic, as text or JSON. Reads batches in short
 * snapshots (a reader that stays in one would keep SQLite's log from being checkpointed) and writes
 * them between two snapshots, so that a slow pipe holds nothing back.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/cli/json.h"
#include "engine/cli/topic.h"
#include "engine/endpoint.h"
#include "txn/base/assert.h"

enum {
    STEP_BATCHES = 64, /* of one snapshot */
    STEP_BYTES = 1 << 20,
    FOLLOW_MS = 10,
    OUTPUT_BYTES = 1 << 18,
};

enum option_id {
    OPTION_OFFSET,
    OPTION_PARTITION,
    OPTION_NUMBER,
    OPTION_FOLLOW,
    OPTION_FORMAT,
    OPTION_HELP,
};

static const struct wr_option options[] = {
    {"offset", 'o', "N|beginning|end", OPTION_OFFSET},
    {"partition", 'p', "N", OPTION_PARTITION},
    {"number", 'n', "N", OPTION_NUMBER},
    {"follow", '\0', NULL, OPTION_FOLLOW},
    {"format", '\0', "text|json", OPTION_FORMAT},
    {"help", 'h', NULL, OPTION_HELP},
    {NULL, '\0', NULL, 0},
};

/* clang-format off */
static const char help[] =
"Prints the records of an embedded topic, partition after partition, each in the\n"
"order of its offsets, up to where the topic ended when this began. Works while a\n"
"job runs on the store, and shows only what is decided.\n"
"\n"
"  -o, --offset N          start at offset N, beginning (default) or end\n"
"  -p, --partition N       only this partition\n"
"  -n, --number N          stop after N records\n"
"      --follow            wait for more at the end\n"
"      --format text|json  text (default): key, a tab, value; absent prints as\n"
"                          empty. json: an object a line with topic, partition,\n"
"                          offset, time_ms, key, value, headers; null where\n"
"                          absent; key_base64, value_base64 where not UTF-8\n"
"\n"
"Examples\n"
"  weir consume shop.weir orders -n 10\n"
"  weir consume shop.weir orders -o end --follow --format json | jq .value\n";
/* clang-format on */

enum start { START_BEGINNING, START_END, START_OFFSET };

struct consume {
    struct wr_operands operands;
    enum start start;
    int64_t offset, partition, number; /* partition, number -1: all */
    bool follow, json;
    struct wr_reader *reader;
    struct wr_topic topic;
    struct wr_arena arena; /* of a step */
    int64_t *next, *end; /* per partition */
    int64_t printed;
    struct wr_error *error;
};

/* ---- Options --------------------------------------------------------------------------------- */

static weir_status set_offset(struct consume *consume, const char *value, struct wr_error *error)
{
    const char *const words[] = {"beginning", "end", NULL};
    if (strcmp(value, words[0]) == 0 || strcmp(value, words[1]) == 0) {
        consume->start = value[0] == 'b' ? START_BEGINNING : START_END;
        return WEIR_OK;
    }
    consume->start = START_OFFSET;
    if (wr_parse_number(value, 0, INT64_MAX, &consume->offset)) {
        return WEIR_OK;
    }
    const char *near = wr_nearest(value, words);
    return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                   "--offset is \"%s\"; give a number from 0 on, beginning or end%s%s%s", value,
                   near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static weir_status take(void *context, const struct wr_option *option, const char *value,
                        struct wr_error *error)
{
    struct consume *consume = context;
    const char *const formats[] = {"text", "json", NULL};
    int format = 0;
    if (!option) {
        return wr_operands_add(&consume->operands, value, error);
    }
    switch ((enum option_id)option->id) {
    case OPTION_OFFSET:
        return set_offset(consume, value, error);
    case OPTION_PARTITION:
        return wr_option_number("--partition", value, 0, WR_PARTITIONS_MAX - 1, &consume->partition,
                                error);
    case OPTION_NUMBER:
        return wr_option_number("--number", value, 0, INT64_MAX, &consume->number, error);
    case OPTION_FOLLOW:
        consume->follow = true;
        break;
    case OPTION_FORMAT:
        WR_TRY(wr_option_choice("--format", value, formats, &format, error));
        consume->json = format == 1;
        break;
    case OPTION_HELP:
        break;
    }
    return WEIR_OK;
}

/* ---- One record ------------------------------------------------------------------------------ */

static void put_bytes(weir_bytes bytes)
{
    if (bytes.size) {
        fwrite_unlocked(bytes.data, 1, bytes.size, stdout);
    }
}

static void print_text(const weir_record *record)
{
    put_bytes(record->key);
    putc_unlocked('\t', stdout);
    put_bytes(record->value);
    putc_unlocked('\n', stdout);
}

static void print_json(const char *topic, int32_t partition, int64_t offset,
                       const weir_record *record)
{
    printf("{\"topic\":\"%s\",\"partition\":%d,\"offset\":%" PRId64 ",\"time_ms\":%" PRId64 ",",
           topic, partition, offset, record->time_ms); /* a topic's name needs no escapes */
    wr_json_bytes(stdout, "key", record->key);
    putc_unlocked(',', stdout);
    wr_json_bytes(stdout, "value", record->value);
    putc_unlocked(',', stdout);
    wr_json_headers(stdout, record);
    put_bytes(weir_text("}\n"));
}

/* ---- One step: some batches of one partition ------------------------------------------------- */

static bool wants_more(const struct consume *consume)
{
    return consume->number < 0 || consume->printed < consume->number;
}

static weir_status fail_overtaken(struct consume *consume, int32_t partition, int64_t from,
                                  int64_t to)
{
    return wr_fail(consume->error, WEIR_FATAL, WR_EXIT_DATA,
                   "offsets %" PRId64 " to %" PRId64 " of topic %s, partition %d, were removed by "
                   "its retention before they were read; start again with -o beginning",
                   from, to - 1, consume->topic.name, partition);
}

/* Opens a batch and checks that it goes on at *next, or holds it. */
static weir_status open_batch(struct consume *consume, int32_t partition, weir_bytes bytes,
                              int64_t *next, struct wr_batch_reader *batch_out)
{
    if (wr_batch_open(bytes, batch_out, consume->error) != WEIR_OK) {
        return wr_error_before(consume->error,
                               "%s, topic %s, partition %d, the batch at offset %" PRId64 ": ",
                               consume->operands.values[0], consume->topic.name, partition, *next);
    }
    if (batch_out->first_offset > *next) {
        return fail_overtaken(consume, partition, *next, batch_out->first_offset);
    }
    if (batch_out->first_offset + batch_out->count <= *next) {
        return wr_fail(consume->error, WEIR_FATAL, WR_EXIT_DATA,
                       "%s, topic %s, partition %d: the batch at offset %" PRId64
                       " begins at %" PRId64 "; run `weir verify` to see what is damaged",
                       consume->operands.values[0], consume->topic.name, partition, *next,
                       batch_out->first_offset);
    }
    *next = batch_out->first_offset + batch_out->count;
    return WEIR_OK;
}

/* Reads the next batches of a partition in one snapshot. */
static weir_status load(struct consume *consume, int32_t partition,
                        struct wr_batch_reader batches[STEP_BATCHES], size_t *count_out)
{
    int64_t next = consume->next[partition];
    size_t bytes_read = 0;
    weir_status status = WEIR_OK;
    *count_out = 0;
    while (status == WEIR_OK && *count_out < STEP_BATCHES && bytes_read < STEP_BYTES &&
           next < consume->end[partition]) {
        weir_bytes bytes;
        status = wr_reader_batch(consume->reader, consume->topic.id, partition, next,
                                 &consume->arena, &bytes, consume->error);
        if (status != WEIR_OK || !bytes.data) {
            break;
        }
        bytes_read += bytes.size;
        status = open_batch(consume, partition, bytes, &next, &batches[*count_out]);
        *count_out += status == WEIR_OK;
    }
    wr_reader_end(consume->reader);
    return status;
}

static weir_status print_batch(struct consume *consume, int32_t partition,
                               struct wr_batch_reader *batch)
{
    weir_record record;
    int64_t offset = 0;
    bool more = true;
    while (wants_more(consume)) {
        WR_TRY(wr_batch_next(batch, &consume->arena, &record, &offset, &more, consume->error));
        if (!more || offset >= consume->end[partition]) {
            break;
        }
        if (offset < consume->next[partition]) {
            continue; /* the batch began before what was asked for */
        }
        consume->next[partition] = offset + 1;
        consume->printed++;
        if (consume->json) {
            print_json(consume->topic.name, partition, offset, &record);
        } else {
            print_text(&record);
        }
    }
    return ferror(stdout) ? wr_fail_errno(consume->error, "cannot write to standard output")
                          : WEIR_OK;
}

static weir_status step(struct consume *consume, int32_t partition)
{
    struct wr_batch_reader batches[STEP_BATCHES];
    size_t count = 0;
    wr_arena_reset(&consume->arena);
    WR_TRY(load(consume, partition, batches, &count));
    for (size_t i = 0; i < count; i++) {
        WR_TRY(print_batch(consume, partition, &batches[i]));
    }
    if (count == 0) { /* nothing is kept there any more */
        return fail_overtaken(consume, partition, consume->next[partition],
                              consume->end[partition]);
    }
    return WEIR_OK;
}

/* ---- The whole ------------------------------------------------------------------------------- */

static bool is_chosen(const struct consume *consume, int32_t partition)
{
    return consume->partition < 0 || consume->partition == partition;
}

/* Where to start in a partition, and where it ends now. */
static weir_status place(struct consume *consume, int32_t partition)
{
    struct wr_extent extent;
    WR_TRY(
        wr_reader_extent(consume->reader, consume->topic.id, partition, &extent, consume->error));
    consume->end[partition] = extent.next;
    consume->next[partition] = consume->start == START_END ? extent.next : extent.first;
    if (consume->start != START_OFFSET) {
        return WEIR_OK;
    }
    if (consume->offset < extent.first) {
        return wr_fail(consume->error, WEIR_FATAL, WR_EXIT_NO_INPUT,
                       "topic %s, partition %d, begins at offset %" PRId64 "; %" PRId64
                       " is no longer kept, use -o beginning",
                       consume->topic.name, partition, extent.first, consume->offset);
    }
    consume->next[partition] = consume->offset;
    return WEIR_OK;
}

static weir_status start(struct consume *consume, struct wr_arena *arena)
{
    const char *store = consume->operands.values[0];
    WR_TRY(wr_topic_find(consume->reader, store, consume->operands.values[1], arena,
                         &consume->topic, consume->error));
    if (consume->partition >= consume->topic.partitions) {
        return wr_fail(consume->error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "--partition is %" PRId64 "; topic %s of %s has partitions 0 to %d",
                       consume->partition, consume->topic.name, store,
                       consume->topic.partitions - 1);
    }
    size_t size = (size_t)consume->topic.partitions * sizeof *consume->next;
    consume->next = wr_arena_zalloc(arena, size);
    consume->end = wr_arena_zalloc(arena, size);
    if (!consume->next || !consume->end) {
        return wr_fail_memory(consume->error);
    }
    weir_status status = WEIR_OK;
    for (int32_t p = 0; p < consume->topic.partitions && status == WEIR_OK; p++) {
        status = is_chosen(consume, p) ? place(consume, p) : WEIR_OK;
    }
    wr_reader_end(consume->reader);
    return status;
}

/* Prints every chosen partition up to its end. */
static weir_status drain(struct consume *consume)
{
    for (int32_t p = 0; p < consume->topic.partitions; p++) {
        while (is_chosen(consume, p) && consume->next[p] < consume->end[p] && wants_more(consume)) {
            WR_TRY(step(consume, p));
        }
    }
    return wr_cli_flush(consume->error);
}

static weir_status move_ends(struct consume *consume)
{
    weir_status status = WEIR_OK;
    for (int32_t p = 0; p < consume->topic.partitions && status == WEIR_OK; p++) {
        struct wr_extent extent;
        if (is_chosen(consume, p)) {
            status =
                wr_reader_extent(consume->reader, consume->topic.id, p, &extent, consume->error);
            consume->end[p] = status == WEIR_OK ? extent.next : consume->end[p];
        }
    }
    wr_reader_end(consume->reader);
    return status;
}

static weir_status follow(struct consume *consume)
{
    const struct timespec pause = {0, FOLLOW_MS * 1000000};
    while (wants_more(consume)) {
        WR_TRY(move_ends(consume));
        int64_t before = consume->printed;
        WR_TRY(drain(consume));
        if (consume->printed == before) {
            nanosleep(&pause, NULL);
        }
    }
    return WEIR_OK;
}

static weir_status consume_all(struct wr_cli *cli, struct consume *consume, struct wr_arena *arena,
                               int argc, char **argv)
{
    WR_TRY(wr_options_parse("weir consume", options, argc, argv, take, consume, &cli->error));
    WR_TRY(wr_operands_check(&consume->operands, &cli->error));
    WR_TRY(wr_reader_open(&cli->env, consume->operands.values[0], &consume->reader, &cli->error));
    WR_TRY(start(consume, arena));
    WR_TRY(drain(consume));
    return consume->follow ? follow(consume) : WEIR_OK;
}

static int run(struct wr_cli *cli, int argc, char **argv)
{
    const char *const names[] = {"STORE", "TOPIC", NULL};
    struct consume consume = {
        .operands = {.command = "weir consume", .names = names},
        .partition = -1,
        .number = -1,
        .error = &cli->error,
    };
    struct wr_arena arena;
    wr_arena_init(&arena, 0);
    wr_arena_init(&consume.arena, 4 * STEP_BYTES);
    wr_cli_buffer(cli, OUTPUT_BYTES);
    consume_all(cli, &consume, &arena, argc, argv);
    wr_reader_close(consume.reader);
    wr_arena_fini(&consume.arena);
    wr_arena_fini(&arena);
    return wr_cli_end(cli);
}

const struct wr_command wr_command_consume = {
    "consume", "[options] STORE TOPIC", "records of an embedded topic", options, {help}, run,
};
