/* consume.c: `weir consume`: records of an embedded topic, as text or JSON, from an offset or from
 * where a group got to. consume_print.c reads and prints.
 *
 * A group's positions are kept after what they count was written, so a crash may print some records
 * twice, and none never.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/consume.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/cli/topic.h"
#include "engine/endpoint.h"

enum {
    FOLLOW_MS = 10,
    SAVE_US = 1000000, /* how old a group's positions may get */
    OUTPUT_BYTES = 1 << 18,
};

enum option_id {
    OPTION_OFFSET,
    OPTION_PARTITION,
    OPTION_NUMBER,
    OPTION_FOLLOW,
    OPTION_GROUP,
    OPTION_RESET,
    OPTION_FORMAT,
    OPTION_HELP,
};

static const struct wr_option options[] = {
    {"offset", 'o', "N|beginning|end", OPTION_OFFSET},
    {"partition", 'p', "N", OPTION_PARTITION},
    {"number", 'n', "N", OPTION_NUMBER},
    {"follow", '\0', NULL, OPTION_FOLLOW},
    {"group", 'G', "GROUP", OPTION_GROUP},
    {"reset", '\0', NULL, OPTION_RESET},
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
"  -G, --group GROUP       go on where this group got to; keep how far it gets\n"
"      --reset             let the group start where --offset says\n"
"      --format text|json  text (default): key, a tab, value; absent prints as\n"
"                          empty. json: an object a line with topic, partition,\n"
"                          offset, time_ms, key, value, headers; null where\n"
"                          absent; key_base64, value_base64 where not UTF-8\n"
"\n"
"Groups read on their own, each with its positions in a file beside the store,\n"
"STORE.GROUP.group. They are kept once the records were written, each second and\n"
"at the end: a crash may repeat the last ones, and loses none. A partition that a\n"
"group has not read starts where --offset says; what retention has removed\n"
"meanwhile is left out, with a warning. One process at a time uses a group (75).\n"
"\n"
"Examples\n"
"  weir consume shop.weir orders -n 10\n"
"  weir consume shop.weir orders -o end --follow --format json | jq .value\n"
"  weir consume shop.weir orders -G billing --follow >>billing.txt\n";
/* clang-format on */

/* ---- Options --------------------------------------------------------------------------------- */

static weir_status set_offset(struct wr_consume *consume, const char *value, struct wr_error *error)
{
    const char *const words[] = {"beginning", "end", NULL};
    if (strcmp(value, words[0]) == 0 || strcmp(value, words[1]) == 0) {
        consume->start = value[0] == 'b' ? WR_START_BEGINNING : WR_START_END;
        return WEIR_OK;
    }
    consume->start = WR_START_OFFSET;
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
    struct wr_consume *consume = context;
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
        consume->follows = true;
        break;
    case OPTION_GROUP:
        consume->group_name = value;
        break;
    case OPTION_RESET:
        consume->reset = true;
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

/* ---- Where to start -------------------------------------------------------------------------- */

static bool is_chosen(const struct wr_consume *consume, int32_t partition)
{
    return consume->partition < 0 || consume->partition == partition;
}

/* Where the group got to, if that is still there. False: it starts as others do. */
static bool place_group(struct wr_consume *consume, int32_t partition)
{
    const struct wr_extent *extent = &consume->follow.extents[partition];
    int64_t next;
    if (!consume->group_name || consume->reset ||
        !wr_group_get(&consume->group, partition, &next)) {
        return false;
    }
    if (next > extent->next) {
        wr_log(consume->env, WR_LOG_WARN,
               "group %s has read topic %s, partition %d, up to offset %" PRId64 ", and it ends at "
               "%" PRId64 " now: the store was put back to an older copy; going on at %" PRId64,
               consume->group_name, consume->topic.name, (int)partition, next, extent->next,
               extent->first);
        next = extent->first;
    }
    consume->next[partition] =
        next < extent->first ? wr_consume_skip(consume, partition, next) : next;
    return true;
}

static void place(struct wr_consume *consume, int32_t partition)
{
    const struct wr_extent *extent = &consume->follow.extents[partition];
    consume->end[partition] = extent->next;
    if (place_group(consume, partition)) {
        return;
    }
    int64_t next = consume->start == WR_START_END ? extent->next : extent->first;
    if (consume->start == WR_START_OFFSET) {
        next = consume->offset < extent->first
                   ? wr_consume_skip(consume, partition, consume->offset)
                   : consume->offset;
    }
    bool beyond =
        consume->group_name && next > extent->next; /* no position that a group can have */
    consume->next[partition] = beyond ? extent->next : next;
}

static weir_status open_group(struct wr_consume *consume)
{
    bool renewed = false;
    WR_TRY(wr_group_open(&consume->follow, consume->group_name, &consume->group, &renewed,
                         consume->error));
    if (renewed) {
        wr_log(consume->env, WR_LOG_WARN,
               "topic %s was deleted and made again since group %s read it: starting where "
               "--offset says",
               consume->topic.name, consume->group_name);
    }
    if (!wr_stopper_start(&consume->stopper)) {
        return wr_fail(consume->error, WEIR_FATAL, WR_EXIT_AGAIN,
                       "cannot start a thread; end other programs and try again");
    }
    return WEIR_OK;
}

static weir_status start(struct wr_consume *consume, struct wr_arena *arena)
{
    const char *store = consume->operands.values[0];
    WR_TRY(wr_topic_find(consume->reader, store, consume->operands.values[1], arena,
                         &consume->topic, consume->error));
    wr_reader_end(consume->reader);
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
    WR_TRY(wr_follow_open(consume->env, consume->reader, store, &consume->topic, arena,
                          &consume->follow, consume->error));
    if (consume->group_name) {
        WR_TRY(open_group(consume));
    }
    for (int32_t p = 0; p < consume->topic.partitions; p++) {
        if (is_chosen(consume, p)) {
            place(consume, p);
        }
    }
    consume->saved_us = consume->env->monotonic_us(consume->env);
    return WEIR_OK;
}

/* ---- The whole ------------------------------------------------------------------------------- */

/* Writes what was printed, then keeps the group's positions. */
static weir_status save(struct wr_consume *consume)
{
    WR_TRY(wr_cli_flush(consume->error));
    if (!consume->group_name) {
        return WEIR_OK;
    }
    bool changed = consume->reset;
    for (int32_t p = 0; p < consume->topic.partitions; p++) {
        int64_t kept;
        bool has = wr_group_get(&consume->group, p, &kept);
        if (!is_chosen(consume, p) || (has && kept == consume->next[p])) {
            continue;
        }
        if (!wr_group_set(&consume->group, p, consume->next[p])) {
            return wr_fail_memory(consume->error);
        }
        changed = true;
    }
    consume->saved_us = consume->env->monotonic_us(consume->env);
    return changed ? wr_group_save(&consume->group, consume->error) : WEIR_OK;
}

static weir_status save_in_time(struct wr_consume *consume)
{
    bool due = consume->group_name &&
               consume->env->monotonic_us(consume->env) - consume->saved_us >= SAVE_US;
    return due ? save(consume) : WEIR_OK;
}

/* Prints every chosen partition up to its end. */
static weir_status drain(struct wr_consume *consume)
{
    for (int32_t p = 0; p < consume->topic.partitions; p++) {
        while (is_chosen(consume, p) && consume->next[p] < consume->end[p] &&
               wr_consume_goes_on(consume)) {
            WR_TRY(wr_consume_step(consume, p));
            WR_TRY(save_in_time(consume));
        }
    }
    return wr_cli_flush(consume->error);
}

static weir_status move_ends(struct wr_consume *consume)
{
    WR_TRY(wr_follow_look(&consume->follow, false, NULL, consume->error));
    if (consume->follow.gone) {
        return wr_fail(consume->error, WEIR_FATAL, WR_EXIT_NO_INPUT,
                       "topic %s was deleted, or %s was replaced, while it was read; start again",
                       consume->topic.name, consume->follow.path);
    }
    for (int32_t p = 0; p < consume->topic.partitions; p++) {
        consume->end[p] = consume->follow.extents[p].next;
    }
    return WEIR_OK;
}

static weir_status follow(struct wr_consume *consume)
{
    const struct timespec pause = {0, FOLLOW_MS * 1000000};
    while (wr_consume_goes_on(consume)) {
        WR_TRY(move_ends(consume));
        int64_t before = consume->printed;
        WR_TRY(drain(consume));
        WR_TRY(save_in_time(consume));
        if (consume->printed == before) {
            nanosleep(&pause, NULL);
        }
    }
    return WEIR_OK;
}

static weir_status print_all(struct wr_consume *consume)
{
    WR_TRY(drain(consume));
    return consume->follows ? follow(consume) : WEIR_OK;
}

/* Whatever ends it, what was printed counts. */
static weir_status print_and_keep(struct wr_consume *consume)
{
    weir_status status = print_all(consume);
    struct wr_error printing = *consume->error;
    wr_error_clear(consume->error);
    weir_status saved = printing.native == EPIPE ? WEIR_OK : save(consume);
    if (status != WEIR_OK) {
        *consume->error = printing;
    }
    return status != WEIR_OK ? status : saved;
}

static weir_status consume_all(struct wr_cli *cli, struct wr_consume *consume,
                               struct wr_arena *arena, int argc, char **argv)
{
    WR_TRY(wr_options_parse("weir consume", options, argc, argv, take, consume, &cli->error));
    WR_TRY(wr_operands_check(&consume->operands, &cli->error));
    if (consume->reset && !consume->group_name) {
        return wr_fail(&cli->error, WEIR_MISUSE, WR_EXIT_USAGE, "--reset goes with --group GROUP");
    }
    WR_TRY(wr_reader_open(&cli->env, consume->operands.values[0], &consume->reader, &cli->error));
    WR_TRY(start(consume, arena));
    return print_and_keep(consume);
}

static int run(struct wr_cli *cli, int argc, char **argv)
{
    const char *const names[] = {"STORE", "TOPIC", NULL};
    struct wr_consume consume = {
        .operands = {.command = "weir consume", .names = names},
        .partition = -1,
        .number = -1,
        .env = &cli->env,
        .error = &cli->error,
        .group = {.file = -1},
    };
    struct wr_arena arena;
    wr_arena_init(&arena, 0);
    wr_arena_init(&consume.arena, (size_t)4 * WR_CONSUME_STEP_BYTES);
    wr_cli_buffer(cli, OUTPUT_BYTES);
    (void)consume_all(cli, &consume, &arena, argc, argv);
    wr_stopper_end(&consume.stopper);
    wr_group_close(&consume.group);
    wr_follow_close(&consume.follow);
    wr_reader_close(consume.reader);
    wr_arena_fini(&consume.arena);
    wr_arena_fini(&arena);
    return wr_cli_end(cli);
}

const struct wr_command wr_command_consume = {
    "consume", "[options] STORE TOPIC", "records of an embedded topic", options, {help}, run,
};
