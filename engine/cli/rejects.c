/* rejects.c: `weir rejects`: the dead letters of a store: what a node refused, from where, and why;
 * choosing among them, and having them taken again, or deleted.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cli/json.h"
#include "txn/store_rejects.h"

enum {
    SHOWN_BYTES = 200,
    PAGE_BYTES = 1 << 20, /* of output, of one snapshot */
};

enum option_id {
    OPTION_NODE,
    OPTION_SOURCE,
    OPTION_REASON,
    OPTION_ID,
    OPTION_NUMBER,
    OPTION_FORMAT,
    OPTION_COUNT,
    OPTION_RETRY,
    OPTION_KEEP,
    OPTION_DELETE,
    OPTION_HELP,
};

static const struct wr_option options[] = {
    {"node", '\0', "NAME", OPTION_NODE},     {"source", '\0', "NAME", OPTION_SOURCE},
    {"reason", '\0', "TEXT", OPTION_REASON}, {"id", '\0', "A[-B]", OPTION_ID},
    {"number", 'n', "N", OPTION_NUMBER},     {"format", '\0', "text|json", OPTION_FORMAT},
    {"count", '\0', NULL, OPTION_COUNT},     {"retry", '\0', NULL, OPTION_RETRY},
    {"keep", '\0', NULL, OPTION_KEEP},       {"delete", '\0', NULL, OPTION_DELETE},
    {"help", 'h', NULL, OPTION_HELP},        {NULL, '\0', NULL, 0},
};

/* clang-format off */
static const char help[] =
"Lists the dead letters of a store, oldest first: which node refused what, why,\n"
"and which record of which input it came from. Works while a job runs.\n"
"\n"
"Which ones\n"
"      --node NAME         that this node refused\n"
"      --source NAME       that came from this source\n"
"      --reason TEXT       with this text in the reason\n"
"      --id A[-B]          with this number, or from A to B\n"
"  -n, --number N          only the first N of them\n"
"\n"
"What to do with them, in place of listing; no job may run on the store (75)\n"
"      --retry             queue them: the next run takes them again, before new\n"
"                          input, into the node that refused them, exactly once\n"
"      --keep              take them off that queue\n"
"      --delete            delete them, for good\n"
"      --count             only say how many there are; works while a job runs\n"
"\n"
"      --format text|json  text (default): a line each, keys and values cut after\n"
"                          200 bytes; json: an object a line, whole\n"
"\n"
"Examples\n"
"  weir rejects tally.weir\n"
"  weir rejects tally.weir --format json | jq -r .reason | sort | uniq -c\n"
"  weir rejects tally.weir --node parse --reason 'no number' --retry\n";
/* clang-format on */

struct rejects {
    struct wr_operands operands;
    struct wr_reject_filter filter;
    int act; /* the option that says what to do, OPTION_FORMAT: list them */
    bool json;
};

/* The columns of the query, in its order. */
enum column {
    COLUMN_ID,
    COLUMN_EPOCH,
    COLUMN_NODE,
    COLUMN_INPUT,
    COLUMN_SOURCE,
    COLUMN_PART,
    COLUMN_OFFSET,
    COLUMN_TIMER,
    COLUMN_TIME_MS,
    COLUMN_REASON,
    COLUMN_KEY,
    COLUMN_VALUE,
    COLUMN_HEADERS,
    COLUMN_QUEUED,
};
static const char query[] =
    "SELECT id, epoch, node, input, source, part, offset, timer, time_ms, reason, key, value,"
    " headers, retry.reject IS NOT NULL FROM reject LEFT JOIN retry ON retry.reject = reject.id"
    " WHERE " WR_REJECT_WHERE " ORDER BY id";
static const char count_query[] = "SELECT count(*) FROM reject WHERE " WR_REJECT_WHERE;

/* ---- One dead letter ------------------------------------------------------------------------- */

static void print_text(FILE *file, const struct wr_rows *rows)
{
    fprintf(file, "%" PRId64 " %s ", wr_rows_int(rows, COLUMN_ID), wr_rows_text(rows, COLUMN_NODE));
    if (wr_rows_null(rows, COLUMN_SOURCE)) {
        fprintf(file, wr_rows_null(rows, COLUMN_TIMER) ? "from a timer " : "timer ");
        wr_show_bytes(file, wr_rows_bytes(rows, COLUMN_TIMER), SHOWN_BYTES);
    } else {
        const char *part = wr_rows_text(rows, COLUMN_PART);
        fprintf(file, "%s %s at %" PRId64, wr_rows_text(rows, COLUMN_SOURCE), part ? part : "",
                wr_rows_int(rows, COLUMN_OFFSET));
    }
    fprintf(file, ": ");
    weir_bytes reason = weir_text(wr_rows_text(rows, COLUMN_REASON));
    for (size_t i = 0; i < reason.size; i++) { /* one line, whatever the job wrote */
        char c = ((const char *)reason.data)[i];
        fputc(c == '\n' || c == '\r' || c == '\t' ? ' ' : c, file);
    }
    fprintf(file, "; key ");
    wr_show_bytes(file, wr_rows_bytes(rows, COLUMN_KEY), SHOWN_BYTES);
    fprintf(file, ", value ");
    wr_show_bytes(file, wr_rows_bytes(rows, COLUMN_VALUE), SHOWN_BYTES);
    fprintf(file, ", time %" PRId64 " ms, epoch %" PRId64 "%s\n", wr_rows_int(rows, COLUMN_TIME_MS),
            wr_rows_int(rows, COLUMN_EPOCH),
            wr_rows_int(rows, COLUMN_QUEUED) ? ", queued to be taken again" : "");
}

static void print_field(FILE *file, const struct wr_rows *rows, const char *name, int column)
{
    fputc(',', file);
    wr_json_bytes(file, name, wr_rows_bytes(rows, column));
}

static weir_status print_json(FILE *file, const struct wr_rows *rows, struct wr_arena *arena,
                              struct wr_error *error)
{
    weir_record record = {.headers = NULL};
    weir_bytes headers = wr_rows_bytes(rows, COLUMN_HEADERS);
    if (headers.data && wr_headers_decode(headers, arena, &record, error) != WEIR_OK) {
        return wr_error_before(error, "dead letter %" PRId64 ": ", wr_rows_int(rows, COLUMN_ID));
    }
    fprintf(file, "{\"id\":%" PRId64 ",\"epoch\":%" PRId64, wr_rows_int(rows, COLUMN_ID),
            wr_rows_int(rows, COLUMN_EPOCH));
    print_field(file, rows, "node", COLUMN_NODE);
    fprintf(file, ",\"input\":%" PRId64, wr_rows_int(rows, COLUMN_INPUT));
    print_field(file, rows, "source", COLUMN_SOURCE);
    print_field(file, rows, "part", COLUMN_PART);
    if (wr_rows_null(rows, COLUMN_OFFSET)) {
        fprintf(file, ",\"offset\":null");
    } else {
        fprintf(file, ",\"offset\":%" PRId64, wr_rows_int(rows, COLUMN_OFFSET));
    }
    print_field(file, rows, "timer", COLUMN_TIMER);
    fprintf(file, ",\"time_ms\":%" PRId64, wr_rows_int(rows, COLUMN_TIME_MS));
    print_field(file, rows, "reason", COLUMN_REASON);
    print_field(file, rows, "key", COLUMN_KEY);
    print_field(file, rows, "value", COLUMN_VALUE);
    fputc(',', file);
    wr_json_headers(file, &record);
    fprintf(file, ",\"queued\":%s}\n", wr_rows_int(rows, COLUMN_QUEUED) ? "true" : "false");
    return WEIR_OK;
}

/* ---- All of them ----------------------------------------------------------------------------- */

/* Prints dead letters from filter.first on into `file` until there is enough for one snapshot. */
static weir_status print_page(struct rejects *rejects, struct wr_rows *rows, struct wr_arena *arena,
                              bool *more_out, FILE *file, struct wr_error *error)
{
    struct wr_reject_filter *filter = &rejects->filter;
    wr_rows_again(rows);
    wr_reject_filter_bind(filter, rows);
    while (filter->number != 0 && ftell(file) < PAGE_BYTES) {
        WR_TRY(wr_rows_next(rows, more_out, error));
        if (!*more_out) {
            return WEIR_OK;
        }
        if (rejects->json) {
            WR_TRY(print_json(file, rows, arena, error));
        } else {
            print_text(file, rows);
        }
        filter->number -= filter->number > 0;
        if (__builtin_add_overflow(wr_rows_int(rows, COLUMN_ID), 1, &filter->first)) {
            *more_out = false; /* that was the last one there can be */
            return WEIR_OK;
        }
    }
    return WEIR_OK;
}

/* A page is made in memory and written after its snapshot has ended: a slow pipe holds nothing. */
static weir_status print_all(struct rejects *rejects, struct wr_reader *reader,
                             struct wr_rows *rows, bool *any_out, struct wr_error *error)
{
    bool more = true;
    weir_status status = WEIR_OK;
    *any_out = false;
    while (status == WEIR_OK && more && rejects->filter.number != 0) {
        struct wr_arena arena;
        char *text = NULL;
        size_t size = 0;
        FILE *file = open_memstream(&text, &size);
        wr_arena_init(&arena, 0);
        status =
            file ? print_page(rejects, rows, &arena, &more, file, error) : wr_fail_memory(error);
        wr_reader_end(reader);
        if (file && fclose(file) != 0) {
            status = wr_fail_memory(error);
        }
        if (text) {
            fwrite(text, 1, size, stdout);
        }
        *any_out = *any_out || size > 0;
        if (status == WEIR_OK) {
            status = wr_cli_flush(error);
        }
        free(text);
        wr_arena_fini(&arena);
    }
    return status;
}

static weir_status print_count(struct rejects *rejects, struct wr_rows *rows,
                               struct wr_error *error)
{
    bool more = false;
    wr_reject_filter_bind(&rejects->filter, rows);
    WR_TRY(wr_rows_next(rows, &more, error));
    int64_t count = more ? wr_rows_int(rows, 0) : 0;
    int64_t number = rejects->filter.number;
    printf("%" PRId64 "\n", number >= 0 && number < count ? number : count);
    return WEIR_OK;
}

static weir_status look(struct rejects *rejects, struct wr_env *env, struct wr_error *error)
{
    struct wr_reader *reader = NULL;
    struct wr_rows *rows = NULL;
    const struct wr_reject_filter *filter = &rejects->filter;
    bool counts = rejects->act == OPTION_COUNT, any = true;
    bool filters = filter->node || filter->source || filter->reason || filter->last != INT64_MAX;
    filters = filters && filter->number != 0;
    weir_status status = wr_reader_open(env, rejects->operands.values[0], &reader, error);
    if (status == WEIR_OK) {
        status = wr_rows_open(reader, counts ? count_query : query, &rows, error);
    }
    if (status == WEIR_OK) {
        status = counts ? print_count(rejects, rows, error)
                        : print_all(rejects, reader, rows, &any, error);
    }
    if (status == WEIR_OK && filters && !any) {
        wr_log(env, WR_LOG_WARN,
               "no dead letter of the store matches; leave out --node, --source, --reason and --id "
               "to see those there are");
    }
    wr_rows_close(rows);
    wr_reader_close(reader);
    return status;
}

/* ---- Doing something with them --------------------------------------------------------------- */

static void say_queued(const struct wr_reject_counts *counts)
{
    printf("%" PRId64 " match, %" PRId64 " queued: the next run takes them again", counts->matched,
           counts->changed);
    if (counts->queued > 0) {
        printf("; %" PRId64 " queued before", counts->queued);
    }
    if (counts->cut > 0) {
        printf("; %" PRId64 " cannot be taken again: they were over %d bytes, and no more of them"
               " was kept",
               counts->cut, WR_RECORD_BYTES_MAX);
    }
    printf("\n");
}

static weir_status act(struct rejects *rejects, struct wr_env *env, struct wr_error *error)
{
    struct wr_store *store = NULL;
    struct wr_reject_counts counts;
    struct wr_store_options opening = {.path = rejects->operands.values[0]};
    enum wr_reject_act what = rejects->act == OPTION_RETRY  ? WR_REJECTS_RETRY
                              : rejects->act == OPTION_KEEP ? WR_REJECTS_KEEP
                                                            : WR_REJECTS_DELETE;
    WR_TRY(wr_store_open(env, &opening, &store, error));
    weir_status status = wr_store_rejects(store, &rejects->filter, what, &counts, error);
    wr_store_close(store);
    if (status != WEIR_OK) {
        return status;
    }
    if (what == WR_REJECTS_RETRY) {
        say_queued(&counts);
    } else {
        printf("%" PRId64 " match, %" PRId64 " %s\n", counts.matched, counts.changed,
               what == WR_REJECTS_KEEP ? "taken off the queue" : "deleted");
    }
    return WEIR_OK;
}

/* ---- Options --------------------------------------------------------------------------------- */

static weir_status set_ids(struct wr_reject_filter *filter, const char *value,
                           struct wr_error *error)
{
    const char *dash = strchr(value, '-');
    char first[32];
    size_t size = dash ? (size_t)(dash - value) : strlen(value);
    if (size == 0 || size >= sizeof first) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "--id is \"%.40s\"; it takes the number of a dead letter, or two with a - "
                       "between",
                       value);
    }
    memcpy(first, value, size);
    first[size] = '\0';
    WR_TRY(wr_option_number("--id", first, 0, INT64_MAX, &filter->first, error));
    filter->last = filter->first;
    return dash ? wr_option_number("--id", dash + 1, filter->first, INT64_MAX, &filter->last, error)
                : WEIR_OK;
}

static weir_status set_act(struct rejects *rejects, int id, struct wr_error *error)
{
    if (rejects->act != OPTION_FORMAT && rejects->act != id) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "one of --count, --retry, --keep, --delete at a time");
    }
    rejects->act = id;
    return WEIR_OK;
}

static weir_status take(void *context, const struct wr_option *option, const char *value,
                        struct wr_error *error)
{
    struct rejects *rejects = context;
    struct wr_reject_filter *filter = &rejects->filter;
    const char *const formats[] = {"text", "json", NULL};
    int format = 0;
    if (!option) {
        return wr_operands_add(&rejects->operands, value, error);
    }
    switch ((enum option_id)option->id) {
    case OPTION_NODE:
        filter->node = value;
        break;
    case OPTION_SOURCE:
        filter->source = value;
        break;
    case OPTION_REASON:
        filter->reason = value;
        break;
    case OPTION_ID:
        return set_ids(filter, value, error);
    case OPTION_NUMBER:
        return wr_option_number("--number", value, 0, INT64_MAX, &filter->number, error);
    case OPTION_FORMAT:
        WR_TRY(wr_option_choice("--format", value, formats, &format, error));
        rejects->json = format == 1;
        break;
    case OPTION_COUNT:
    case OPTION_RETRY:
    case OPTION_KEEP:
    case OPTION_DELETE:
        return set_act(rejects, option->id, error);
    case OPTION_HELP:
        break;
    }
    return WEIR_OK;
}

static int run(struct wr_cli *cli, int argc, char **argv)
{
    const char *const names[] = {"STORE", NULL};
    struct rejects rejects = {
        .operands = {.command = "weir rejects", .names = names},
        .act = OPTION_FORMAT,
    };
    struct wr_error *error = &cli->error;
    wr_reject_filter_init(&rejects.filter);
    if (wr_options_parse("weir rejects", options, argc, argv, take, &rejects, error) == WEIR_OK &&
        wr_operands_check(&rejects.operands, error) == WEIR_OK) {
        bool looks = rejects.act == OPTION_FORMAT || rejects.act == OPTION_COUNT;
        (void)(looks ? look(&rejects, &cli->env, error) : act(&rejects, &cli->env, error));
    }
    return wr_cli_end(cli);
}

const struct wr_command wr_command_rejects = {
    "rejects", "[options] STORE", "dead letters", options, {help}, run,
};
