/* cli.c: the `weir` program: finds the subcommand, prints help, says how it ended.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/endpoint.h"
#include "txn/base/assert.h"
#include "txn/base/fault.h"

enum { COMMANDS_MAX = 16 };

/* ---- Beginning and end ----------------------------------------------------------------------- */

weir_status wr_cli_init(struct wr_cli *cli)
{
    *cli = (struct wr_cli){.error = {.status = WEIR_OK}};
    wr_env_init(&cli->env);
    signal(SIGXFSZ, SIG_IGN); /* a file at its size limit is an error of a write */
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of a write, and ends quietly */
    const char *fault = getenv("WEIR_FAULT");
    if (!fault || !*fault || wr_fault_arm(&cli->env.fault, fault)) {
        return WEIR_OK;
    }
    char name[64];
    const char *names[WR_FAULT_COUNT + 1] = {NULL};
    for (int point = 0, count = 0; point < WR_FAULT_COUNT; point++) { /* not all are given */
        names[count] = wr_fault_name((enum wr_fault_point)point);
        count += names[count] != NULL;
    }
    snprintf(name, sizeof name, "%.*s", (int)strcspn(fault, ":"), fault);
    const char *near = wr_nearest(name, names);
    return wr_fail(&cli->error, WEIR_MISUSE, WR_EXIT_USAGE,
                   "WEIR_FAULT is \"%s\", which is no fault point (NAME or NAME:COUNT)%s%s%s",
                   fault, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

int wr_cli_end(struct wr_cli *cli)
{
    struct wr_error *error = &cli->error;
    wr_cli_flush(error);
    if (cli->output) {
        setvbuf(stdout, NULL, _IONBF, 0);
        free(cli->output);
        cli->output = NULL;
    }
    if (error->status == WEIR_OK || error->native == EPIPE) {
        return WR_EXIT_OK; /* whoever reads our output has had enough */
    }
    wr_log(&cli->env, WR_LOG_ERROR, "%s", error->text);
    return (int)error->exit_code;
}

void wr_cli_buffer(struct wr_cli *cli, size_t size)
{
    cli->output = malloc(size);
    if (cli->output && setvbuf(stdout, cli->output, _IOFBF, size) != 0) {
        free(cli->output);
        cli->output = NULL;
    }
}

weir_status wr_error_before(struct wr_error *error, const char *format, ...)
{
    char text[WR_ERROR_TEXT_MAX], before[WR_ERROR_TEXT_MAX / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(before, sizeof before, format, args);
    va_end(args);
    snprintf(text, sizeof text, "%s%.*s", before, (int)(sizeof text - sizeof before), error->text);
    memcpy(error->text, text, sizeof text);
    return error->status;
}

weir_status wr_cli_flush(struct wr_error *error)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        return wr_fail_errno(error, "cannot write to standard output");
    }
    return WEIR_OK;
}

/* ---- Help ------------------------------------------------------------------------------------ */

void wr_cli_help(const struct wr_command *command, const char *program)
{
    printf("usage: %s%s%s %s\n\n", program ? program : "", program ? " " : "", command->name,
           command->operands);
    for (size_t i = 0; command->help[i]; i++) {
        fputs(command->help[i], stdout);
    }
}

static void usage(const struct wr_command *const *commands, FILE *file)
{
    fprintf(file, "usage: weir SUBCOMMAND ...\n\n");
    for (; *commands; commands++) {
        char call[64];
        snprintf(call, sizeof call, "%s %s", (*commands)->name, (*commands)->operands);
        fprintf(file, "  weir %-34s %s\n", call, (*commands)->summary);
    }
    fprintf(file, "  weir %-34s %s\n", "help SUBCOMMAND", "how it is used, with examples");
    fprintf(file, "  weir %-34s %s\n", "--version", "what this is");
}

static void help_all(const struct wr_command *const *commands)
{
    printf("weir runs stream jobs written in C, exactly once.\n\n");
    usage(commands, stdout);
    printf("\n"
           "A first job: count the words of a text, look at the result, look inside.\n"
           "  weir run build/examples/wordcount.so -i lines=file:book.txt\n"
           "  sqlite3 -readonly wordcount.weir \\\n"
           "      'SELECT * FROM counts ORDER BY value DESC LIMIT 10'\n"
           "  weir inspect wordcount.weir\n"
           "Kill it at any moment, by kill -9 too; the same command goes on where it was.\n");
}

static const struct wr_command *find_command(const struct wr_command *const *commands,
                                             const char *name, struct wr_error *error)
{
    const char *names[COMMANDS_MAX + 2] = {"help"};
    for (size_t i = 0; commands[i]; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
        wr_assert_that(i, <, COMMANDS_MAX);
        names[i + 1] = commands[i]->name;
    }
    const char *near = wr_nearest(name, names);
    wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
            near ? "unknown subcommand %s; did you mean weir %s?"
                 : "unknown subcommand %s; weir --help lists those there are%s",
            name, near ? near : "");
    return NULL;
}

static int help_command(struct wr_cli *cli, const struct wr_command *const *commands, int argc,
                        char **argv)
{
    if (argc == 0) {
        help_all(commands);
    } else if (strcmp(argv[0], "help") == 0) {
        printf("usage: weir help SUBCOMMAND\n");
    } else {
        const struct wr_command *command = find_command(commands, argv[0], &cli->error);
        if (command) {
            wr_cli_help(command, "weir");
        }
    }
    return wr_cli_end(cli);
}

/* ---- Dispatch -------------------------------------------------------------------------------- */

static int misuse_without_command(struct wr_cli *cli, const char *option)
{
    const char *const names[] = {"--help", "--version", NULL};
    const char *near = wr_nearest(option, names);
    wr_fail(&cli->error, WEIR_MISUSE, WR_EXIT_USAGE,
            near ? "unknown option %s; did you mean %s?"
                 : "unknown option %s before the subcommand; see weir --help%s",
            option, near ? near : "");
    return wr_cli_end(cli);
}

static int dispatch(struct wr_cli *cli, const struct wr_command *const *commands, int argc,
                    char **argv)
{
    if (argc < 2) {
        usage(commands, stderr);
        return WR_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        return help_command(cli, commands, argc - 2, argv + 2);
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0 || strcmp(name, "version") == 0) {
        wr_cli_version();
        return wr_cli_end(cli);
    }
    if (name[0] == '-') {
        return misuse_without_command(cli, name);
    }
    const struct wr_command *command = find_command(commands, name, &cli->error);
    if (!command) {
        return wr_cli_end(cli);
    }
    if (wr_options_ask_help(command->options, argc - 2, argv + 2)) {
        wr_cli_help(command, "weir");
        return wr_cli_end(cli);
    }
    return command->run(cli, argc - 2, argv + 2);
}

int wr_cli_main(const struct wr_command *const *commands, int argc, char **argv)
{
    struct wr_cli cli;
    if (wr_cli_init(&cli) != WEIR_OK) {
        return wr_cli_end(&cli);
    }
    return dispatch(&cli, commands, argc, argv);
}
