/* topics.c: `weir topics`: the embedded topics of a store, a line for each partition; making and
 * deleting one. Groups of `weir consume` are listed with them.
 *
 * Long because what is listed, made and deleted is checked and explained here.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/cli/cli.h"
#include "engine/cli/group.h"
#include "engine/endpoint.h"
#include "txn/store_rows.h"

enum { OUTPUT_BYTES = 1 << 22 }; /* more than the lines of WR_PARTITIONS_MAX partitions */

enum option_id {
    OPTION_CREATE,
    OPTION_DELETE,
    OPTION_PARTITIONS,
    OPTION_RETAIN_MS,
    OPTION_RETAIN_BYTES,
    OPTION_FORCE,
    OPTION_HELP,
};

static const struct wr_option options[] = {
    {"create", '\0', "TOPIC", OPTION_CREATE},
    {"delete", '\0', "TOPIC", OPTION_DELETE},
    {"partitions", '\0', "N", OPTION_PARTITIONS},
    {"retain-ms", '\0', "N", OPTION_RETAIN_MS},
    {"retain-bytes", '\0', "SIZE", OPTION_RETAIN_BYTES},
    {"force", '\0', NULL, OPTION_FORCE},
    {"help", 'h', NULL, OPTION_HELP},
    {NULL, '\0', NULL, 0},
};

/* clang-format off */
static const char help[] =
"Lists the embedded topics of a store: for each partition the offsets that are\n"
"kept (from the first, below the next one to be given), records, bytes, and how\n"
"long they are kept. Below, the groups of weir consume, and how many records\n"
"they have not read. Works while a job runs on the store.\n"
"\n"
"      --create TOPIC       make a topic (and the store, if there is none)\n"
"      --delete TOPIC       delete a topic and all its records\n"
"      --partitions N       of the new topic; default 1, fixed once made\n"
"      --retain-ms N        drop batches older than this, except the newest;\n"
"                           default: for ever\n"
"      --retain-bytes SIZE  of each partition: drop the oldest batches while the\n"
"                           others hold this much; k, M, G may follow\n"
"      --force              delete also a topic that the store's job writes\n"
"\n"
"No job may run on the store while a topic is made or deleted (75). Topics are\n"
"also made by a job's log: sinks and by weir produce.\n"
"\n"
"Examples\n"
"  weir topics wordcount.weir\n"
"  weir topics shop.weir --create orders --partitions 4\n"
"  weir topics shop.weir create orders\n";
/* clang-format on */

struct topics {
    const char *store, *word, *name; /* operands */
    size_t count;
    const char *create, *remove;
    int64_t partitions, retain_ms, retain_bytes; /* -1: not given */
    bool force;
    struct wr_sink sink; /* of the new topic */
    struct wr_env *env;
    struct wr_error *error;
    struct wr_arena arena;
};

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

/* ---- Groups ---------------------------------------------------------------------------------- */

struct listing {
    const struct wr_follow *follow;
    bool *begun; /* the heading is there */
};

static void show_group(void *data, const char *group, int32_t partition, int64_t next)
{
    const struct listing *listing = data;
    const struct wr_follow *follow = listing->follow;
    int64_t lag = follow->extents[partition].next - next;
    char place[32];
    if (!*listing->begun) {
        *listing->begun = true;
        printf("\n%-24s %-24s %-12s %12s %12s\n", "GROUP", "TOPIC", "PARTITION", "NEXT", "LAG");
    }
    snprintf(place, sizeof place, "%d of %d", partition, follow->topic.partitions);
    printf("%-24s %-24s %-12s %12" PRId64 " %12" PRId64 "\n", group, follow->topic.name, place,
           next, lag > 0 ? lag : 0);
}

/* Groups that `weir consume` keeps beside the store. */
static weir_status show_groups(struct topics *topics, struct wr_reader *reader,
                               const struct wr_topic *topic, bool *begun)
{
    struct wr_follow follow;
    weir_status status = wr_follow_open(topics->env, reader, topics->store, topic, &topics->arena,
                                        &follow, topics->error);
    struct listing listing = {&follow, begun};
    if (status == WEIR_OK) {
        status = wr_groups_list(&follow, show_group, &listing, topics->error);
    }
    wr_follow_close(&follow);
    return status;
}

static weir_status show(struct topics *topics, struct wr_reader *reader)
{
    struct wr_topic *list = NULL;
    size_t count = 0;
    bool begun = false;
    WR_TRY(wr_reader_topics(reader, NULL, false, &topics->arena, &list, &count, topics->error));
    if (count > 0) {
        printf("%-24s %-12s %12s %12s %12s %14s  %s\n", "TOPIC", "PARTITION", "FIRST", "NEXT",
               "RECORDS", "BYTES", "RETENTION");
    }
    for (size_t i = 0; i < count; i++) {
        if (!list[i].outbox) { /* those are a sink's, `weir inspect` shows them */
            WR_TRY(show_topic(reader, &list[i], topics->error));
        }
    }
    wr_reader_end(reader);
    for (size_t i = 0; i < count; i++) {
        if (!list[i].outbox && list[i].partitions > 0) {
            WR_TRY(show_groups(topics, reader, &list[i], &begun));
        }
    }
    return WEIR_OK;
}

/* ---- Making and deleting --------------------------------------------------------------------- */

static weir_status open_store(struct topics *topics, bool create, struct wr_store **store_out)
{
    const struct wr_store_options store = {
        .path = topics->store,
        .create = create,
        .sync = WR_SYNC_FULL,
        .wal_bytes_max = WR_WAL_BYTES_MAX_DEFAULT,
    };
    return wr_store_open(topics->env, &store, store_out, topics->error);
}

static weir_status refuse_existing(struct topics *topics, const struct wr_topic *topic)
{
    return wr_fail(
        topics->error, WEIR_MISUSE, WR_EXIT_USAGE,
        "%s has topic %s already, of %d partition%s; what is in it stays: choose another "
        "name, or delete it first",
        topics->store, topic->name, topic->partitions, topic->partitions == 1 ? "" : "s");
}

static weir_status define(struct topics *topics, struct wr_store *store, struct wr_reader *reader)
{
    struct wr_topic *found = NULL;
    size_t count = 0;
    WR_TRY(wr_reader_topics(reader, topics->create, false, &topics->arena, &found, &count,
                            topics->error));
    wr_reader_end(reader);
    if (count > 0) {
        return refuse_existing(topics, &found[0]);
    }
    topics->sink = (struct wr_sink){
        .name = topics->create,
        .uri = topics->create,
        .kind = WR_SINK_LOG,
        .topic_name = topics->create,
        .partitions = topics->partitions > 0 ? (int32_t)topics->partitions : 1,
        .retain_ms = topics->retain_ms,
        .retain_bytes = topics->retain_bytes,
    };
    struct wr_definition definition = {.sinks = &topics->sink, .sink_count = 1};
    return wr_store_define(store, &definition, topics->error);
}

static weir_status create(struct topics *topics)
{
    struct wr_store *store = NULL;
    struct wr_reader *reader = NULL;
    if (!wr_name_is_valid(topics->create)) {
        return wr_fail(topics->error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "topic \"%.100s\": a name is 1 to %d of A-Z, a-z, 0-9, _, . and -",
                       topics->create, WR_NAME_BYTES_MAX);
    }
    weir_status status = open_store(topics, true, &store);
    if (status == WEIR_OK) {
        status = wr_reader_open(topics->env, topics->store, &reader, topics->error);
    }
    if (status == WEIR_OK) {
        status = define(topics, store, reader);
    }
    wr_reader_close(reader);
    wr_store_close(store);
    return status;
}

/* The job that the store belongs to would make the topic anew, from offset 0. */
static weir_status check_unused(struct topics *topics, struct wr_reader *reader,
                                const struct wr_topic *topic)
{
    struct wr_rows *rows = NULL;
    bool more = false;
    WR_TRY(wr_rows_open(reader,
                        "SELECT name, (SELECT value FROM meta WHERE key = 'job') FROM sink"
                        " WHERE kind = 'log' AND topic = ?1",
                        &rows, topics->error));
    wr_rows_bind_int(rows, 1, topic->id);
    weir_status status = wr_rows_next(rows, &more, topics->error);
    if (status == WEIR_OK && more) {
        const char *sink = wr_rows_text(rows, 0), *job = wr_rows_text(rows, 1);
        status = wr_fail(topics->error, WEIR_FATAL, WR_EXIT_CONFIG,
                         "topic %s of %s is written by sink %.64s of job %.64s, whose next run "
                         "would make it again, empty and from offset 0; use --force if that is "
                         "meant, or take the sink out of the job and run that first",
                         topic->name, topics->store, sink ? sink : "", job ? job : "");
    }
    wr_reader_end(reader);
    wr_rows_close(rows);
    return status;
}

static weir_status check_delete(struct topics *topics, struct wr_reader *reader)
{
    struct wr_topic topic;
    weir_status status =
        wr_topic_find(reader, topics->store, topics->remove, &topics->arena, &topic, topics->error);
    wr_reader_end(reader);
    return status == WEIR_OK && !topics->force ? check_unused(topics, reader, &topic) : status;
}

static weir_status delete (struct topics *topics)
{
    struct wr_store *store = NULL;
    struct wr_reader *reader = NULL;
    weir_status status = open_store(topics, false, &store);
    if (status == WEIR_OK) {
        status = wr_reader_open(topics->env, topics->store, &reader, topics->error);
    }
    if (status == WEIR_OK) {
        status = check_delete(topics, reader);
    }
    wr_reader_close(reader);
    if (status == WEIR_OK) {
        status = wr_store_drop_topic(store, topics->remove, topics->error);
    }
    wr_store_close(store);
    return status;
}

/* ---- The command line ------------------------------------------------------------------------ */

static weir_status take_operand(struct topics *topics, const char *value, struct wr_error *error)
{
    const char *const words[] = {"create", "delete", NULL};
    switch (topics->count++) {
    case 0:
        topics->store = value;
        return WEIR_OK;
    case 1:
        topics->word = value;
        if (strcmp(value, words[0]) != 0 && strcmp(value, words[1]) != 0) {
            const char *near = wr_nearest(value, words);
            return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                           "\"%s\" is one argument too many; %s%s%s", value,
                           near ? "did you mean "
                                : "create and delete may follow STORE; see weir "
                                  "topics --help",
                           near ? near : "", near ? "?" : "");
        }
        return WEIR_OK;
    case 2:
        *(topics->word[0] == 'c' ? &topics->create : &topics->remove) = value;
        return WEIR_OK;
    default:
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "\"%s\" is one argument too many; see weir topics --help", value);
    }
}

static weir_status take(void *context, const struct wr_option *option, const char *value,
                        struct wr_error *error)
{
    struct topics *topics = context;
    if (!option) {
        return take_operand(topics, value, error);
    }
    switch ((enum option_id)option->id) {
    case OPTION_CREATE:
        topics->create = value;
        break;
    case OPTION_DELETE:
        topics->remove = value;
        break;
    case OPTION_PARTITIONS:
        return wr_option_number("--partitions", value, 1, WR_PARTITIONS_MAX, &topics->partitions,
                                error);
    case OPTION_RETAIN_MS:
        return wr_option_number("--retain-ms", value, 0, INT64_MAX, &topics->retain_ms, error);
    case OPTION_RETAIN_BYTES:
        return wr_option_size("--retain-bytes", value, 0, INT64_MAX, &topics->retain_bytes, error);
    case OPTION_FORCE:
        topics->force = true;
        break;
    case OPTION_HELP:
        break;
    }
    return WEIR_OK;
}

/* Options that do nothing here are mistakes. */
static weir_status check_options(const struct topics *topics, struct wr_error *error)
{
    if (!topics->store || topics->count == 2) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE, "%s is missing; see weir topics --help",
                       topics->store ? "TOPIC" : "STORE");
    }
    if (topics->create && topics->remove) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "one topic is made or deleted at a time; give one of create and delete");
    }
    bool shape = topics->partitions > 0 || topics->retain_ms >= 0 || topics->retain_bytes >= 0;
    if (shape && !topics->create) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "--partitions, --retain-ms and --retain-bytes are of a new topic; give "
                       "--create TOPIC too");
    }
    if (topics->force && !topics->remove) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE, "--force goes with --delete TOPIC");
    }
    return WEIR_OK;
}

static weir_status do_all(struct topics *topics, int argc, char **argv)
{
    struct wr_reader *reader = NULL;
    WR_TRY(wr_options_parse("weir topics", options, argc, argv, take, topics, topics->error));
    WR_TRY(check_options(topics, topics->error));
    if (topics->create || topics->remove) {
        return topics->create ? create(topics) : delete (topics);
    }
    weir_status status = wr_reader_open(topics->env, topics->store, &reader, topics->error);
    if (status == WEIR_OK) {
        status = show(topics, reader);
    }
    wr_reader_close(reader);
    return status;
}

static int run(struct wr_cli *cli, int argc, char **argv)
{
    struct topics topics = {.partitions = -1,
                            .retain_ms = -1,
                            .retain_bytes = -1,
                            .env = &cli->env,
                            .error = &cli->error};
    wr_arena_init(&topics.arena, 0);
    wr_cli_buffer(cli, OUTPUT_BYTES);
    (void)do_all(&topics, argc, argv);
    wr_arena_fini(&topics.arena);
    return wr_cli_end(cli);
}

const struct wr_command wr_command_topics = {
    "topics", "[options] STORE", "topics and offsets; create, delete", options, {help}, run,
};
