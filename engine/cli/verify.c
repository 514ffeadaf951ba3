/* verify.c: `weir verify`: whether a store is what weir left there; names what is wrong.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/verify.h"

#include <inttypes.h>
#include <stdio.h>

#include "engine/cli/cli.h"
#include "txn/store_rows.h"

static const struct wr_option options[] = {
    {"help", 'h', NULL, 0},
    {NULL, '\0', NULL, 0},
};

/* clang-format off */
static const char help[] =
"Checks that a store is sound: SQLite's own integrity check; every batch of every\n"
"topic whole (CRC), and their offsets without a hole; epochs without a gap, and\n"
"positions and offsets as the newest one says; markers within their logs; what\n"
"epochs changed in state whole (CRC); state and timers of nodes that exist.\n"
"Works while a job runs, and changes nothing.\n"
"\n"
"Prints a line for each thing that is wrong and ends with 65; or one line that\n"
"begins with \"ok\", and ends with 0.\n"
"\n"
"Example\n"
"  weir verify wordcount.weir\n";
/* clang-format on */

static void print_problem(void *data, const char *problem)
{
    (void)data;
    printf("%s\n", problem);
}

/* What there was to check. */
static weir_status print_sound(struct wr_env *env, const char *store, struct wr_error *error)
{
    struct wr_reader *reader = NULL;
    struct wr_rows *rows = NULL;
    bool more = false;
    WR_TRY(wr_reader_open(env, store, &reader, error));
    weir_status status = wr_rows_open(
        reader,
        "SELECT (SELECT count(*) FROM log), (SELECT total(next - first) FROM partition),"
        " (SELECT count(*) FROM topic), (SELECT count(*) FROM epoch)",
        &rows, error);
    if (status == WEIR_OK && (status = wr_rows_next(rows, &more, error)) == WEIR_OK && more) {
        printf("ok: %s: SQLite's own check, %" PRId64 " batches with %" PRId64
               " records in %" PRId64 " logs, %" PRId64 " epochs, positions, markers, state\n",
               store, wr_rows_int(rows, 0), wr_rows_int(rows, 1), wr_rows_int(rows, 2),
               wr_rows_int(rows, 3));
    }
    wr_rows_close(rows);
    wr_reader_close(reader);
    return status;
}

static weir_status verify(struct wr_cli *cli, const char *store)
{
    size_t problems = 0;
    WR_TRY(wr_verify(&cli->env, store, print_problem, NULL, &problems, &cli->error));
    if (problems == 0) {
        return print_sound(&cli->env, store, &cli->error);
    }
    return wr_fail(&cli->error, WEIR_FATAL, WR_EXIT_DATA,
                   "%s is damaged in %zu place%s; keep the file as it is and restore a backup, or "
                   "begin a new store",
                   store, problems, problems == 1 ? "" : "s");
}

static weir_status take(void *context, const struct wr_option *option, const char *value,
                        struct wr_error *error)
{
    return option ? WEIR_OK : wr_operands_add(context, value, error);
}

static int run(struct wr_cli *cli, int argc, char **argv)
{
    const char *const names[] = {"STORE", NULL};
    struct wr_operands operands = {.command = "weir verify", .names = names};
    if (wr_options_parse("weir verify", options, argc, argv, take, &operands, &cli->error) ==
            WEIR_OK &&
        wr_operands_check(&operands, &cli->error) == WEIR_OK) {
        verify(cli, operands.values[0]);
    }
    return wr_cli_end(cli);
}

const struct wr_command wr_command_verify = {
    "verify", "STORE", "check the invariants of a store", options, {help}, run,
};
