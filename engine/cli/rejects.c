/* rejects.c: `weir rejects`: the dead letters of a store: what a node refused, from where, and why.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/cli/json.h"
#include "txn/store_rows.h"

enum {
    SHOWN_BYTES = 200,
    PAGE_BYTES = 1 << 20, /* of output, of one snapshot */
};

enum option_id { OPTION_NUMBER, OPTION_FORMAT, OPTION_HELP };

static const struct wr_option options[] = {
    {"number", 'n', "N", OPTION_NUMBER},
    {"format", '\0', "text|json", OPTION_FORMAT},
    {"help", 'h', NULL, OPTION_HELP},
    {NULL, '\0', NULL, 0},
};

/* clang-format off */
static const char help[] =
"Lists the dead letters of a store, oldest first: which node refused what, why,\n"
"and which record of which input it came from. Works while a job runs.\n"
"\n"
"  -n, --number N          only the first N\n"
"      --format text|json  text (default): a line each, keys and values cut after\n"
"                          200 bytes; json: an object a line, whole\n"
"\n"
"Examples\n"
"  weir rejects tally.weir\n"
"  weir rejects tally.weir --format json | jq -r .reason | sort | uniq -c\n";
/* clang-format on */

struct rejects {
    struct wr_operands operands;
    int64_t number; /* -1: all */
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
};
static const char query[] = "SELECT id, epoch, node, input, source, part, offset, timer, time_ms,"
                            " reason, key, value, headers FROM reject WHERE id > ?1 ORDER BY id";

/* ---- One dead letter ------------------------------------------------------------------------- */

static void print_text(FILE *file, const struct wr_rows *rows)
{
    fprintf(file, "%" PRId64 " %s ", wr_rows_int(rows, COLUMN_ID), wr_rows_text(rows, COLUMN_NODE));
    if (wr_rows_null(rows, COLUMN_SOURCE)) {
        fprintf(file, "timer ");
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
    fprintf(file, ", time %" PRId64 " ms, epoch %" PRId64 "\n", wr_rows_int(rows, COLUMN_TIME_MS),
            wr_rows_int(rows, COLUMN_EPOCH));
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
    fprintf(file, "}\n");
    return WEIR_OK;
}

/* ---- All of them ----------------------------------------------------------------------------- */

/* Prints dead letters after *last into `file` until there is enough for one snapshot. */
static weir_status print_page(struct rejects *rejects, struct wr_rows *rows, struct wr_arena *arena,
                              int64_t *last, bool *more_out, FILE *file, struct wr_error *error)
{
    wr_rows_again(rows);
    wr_rows_bind_int(rows, 1, *last);
    while (rejects->number != 0 && ftell(file) < PAGE_BYTES) {
        WR_TRY(wr_rows_next(rows, more_out, error));
        if (!*more_out) {
            return WEIR_OK;
        }
        if (rejects->json) {
            WR_TRY(print_json(file, rows, arena, error));
        } else {
            print_text(file, rows);
        }
        *last = wr_rows_int(rows, COLUMN_ID);
        rejects->number -= rejects->number > 0;
    }
    return WEIR_OK;
}

/* A page is made in memory and written after its snapshot has ended: a slow pipe holds nothing. */
static weir_status print_all(struct rejects *rejects, struct wr_reader *reader,
                             struct wr_rows *rows, struct wr_error *error)
{
    int64_t last = INT64_MIN;
    bool more = true;
    weir_status status = WEIR_OK;
    while (status == WEIR_OK && more && rejects->number != 0) {
        struct wr_arena arena;
        char *text = NULL;
        size_t size = 0;
        FILE *file = open_memstream(&text, &size);
        wr_arena_init(&arena, 0);
        status = file ? print_page(rejects, rows, &arena, &last, &more, file, error)
                      : wr_fail_memory(error);
        wr_reader_end(reader);
        if (file && fclose(file) != 0) {
            status = wr_fail_memory(error);
        }
        if (text) {
            fwrite(text, 1, size, stdout);
        }
        if (status == WEIR_OK) {
            status = wr_cli_flush(error);
        }
        free(text);
        wr_arena_fini(&arena);
    }
    return status;
}

static weir_status take(void *context, const struct wr_option *option, const char *value,
                        struct wr_error *error)
{
    struct rejects *rejects = context;
    const char *const formats[] = {"text", "json", NULL};
    int format = 0;
    if (!option) {
        return wr_operands_add(&rejects->operands, value, error);
    }
    switch ((enum option_id)option->id) {
    case OPTION_NUMBER:
        return wr_option_number("--number", value, 0, INT64_MAX, &rejects->number, error);
    case OPTION_FORMAT:
        WR_TRY(wr_option_choice("--format", value, formats, &format, error));
        rejects->json = format == 1;
        break;
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
        .number = -1,
    };
    struct wr_error *error = &cli->error;
    struct wr_reader *reader = NULL;
    struct wr_rows *rows = NULL;
    if (wr_options_parse("weir rejects", options, argc, argv, take, &rejects, error) == WEIR_OK &&
        wr_operands_check(&rejects.operands, error) == WEIR_OK &&
        wr_reader_open(&cli->env, rejects.operands.values[0], &reader, error) == WEIR_OK &&
        wr_rows_open(reader, query, &rows, error) == WEIR_OK) {
        print_all(&rejects, reader, rows, error);
    }
    wr_rows_close(rows);
    wr_reader_close(reader);
    return wr_cli_end(cli);
}

const struct wr_command wr_command_rejects = {
    "rejects", "[options] STORE", "dead letters", options, {help}, run,
};
