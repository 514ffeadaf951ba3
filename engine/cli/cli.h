/* cli.h: what the subcommands of the `weir` program share: the table that names them, their
 * options, and how an error ends the process. cli.c dispatches, options.c reads options, each
 * subcommand is one file.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_CLI_H
#define WR_CLI_H

#include "txn/base/env.h"

/* One process: what it takes from the world, and the error that ends it. */
struct wr_cli {
    struct wr_env env;
    struct wr_error error;
    char *output; /* the buffer of standard output, NULL: the C library's */
};

/* ---- Options --------------------------------------------------------------------------------- */

struct wr_option {
    const char *name; /* long, without dashes; NULL ends a table */
    char letter; /* '\0': none */
    const char *takes; /* what its value is called, "N", "FILE"; NULL: it takes none */
    int id; /* the subcommand's */
};

/* Called for each option, and with option NULL for each operand, in order. `value` is NULL for an
 * option that takes none. The text stays valid as long as argv. */
typedef weir_status (*wr_option_fn)(void *context, const struct wr_option *option,
                                    const char *value, struct wr_error *error);

/* Walks argv[0..argc) (options and operands only). Not getopt_long: that takes any unique prefix
 * for an option, so that a new option changes what old command lines mean, keeps its place in
 * globals, and cannot say what was nearly right. 64 on a misspelt or incomplete option. */
weir_status wr_options_parse(const char *command, const struct wr_option *table, int argc,
                             char **argv, wr_option_fn each, void *context, struct wr_error *error);
/* Whether --help or -h is among them. */
bool wr_options_ask_help(const struct wr_option *table, int argc, char **argv);
/* The option with this long name; NULL, and 64 with the nearest right one. `dashes` is put before
 * names in the text. */
const struct wr_option *wr_options_find(const char *command, const struct wr_option *table,
                                        const char *name, const char *dashes,
                                        struct wr_error *error);

/* The value of an option as a number, or as a size with k, M, G; 64 naming the range. `name` is the
 * option's, as in "--epoch-ms". */
weir_status wr_option_number(const char *name, const char *value, int64_t min, int64_t max,
                             int64_t *number_out, struct wr_error *error);
weir_status wr_option_size(const char *name, const char *value, int64_t min, int64_t max,
                           int64_t *size_out, struct wr_error *error);
/* The index of value in choices (ended with NULL), or 64 with the choices and the nearest one. */
weir_status wr_option_choice(const char *name, const char *value, const char *const *choices,
                             int *index_out, struct wr_error *error);

/* Operands of a subcommand, collected by wr_operands_add; `names` are those it wants. */
struct wr_operands {
    const char *command;
    const char *const *names; /* ended with NULL */
    const char *values[3];
    size_t count;
};
weir_status wr_operands_add(struct wr_operands *operands, const char *value,
                            struct wr_error *error);
/* 64 naming the first that is missing. */
weir_status wr_operands_check(const struct wr_operands *operands, struct wr_error *error);

/* ---- Subcommands ----------------------------------------------------------------------------- */

struct wr_command {
    const char *name, *operands, *summary;
    const struct wr_option *options;
    const char *help[4]; /* what it is for, options, examples; within 80 columns; ends with NULL */
    int (*run)(struct wr_cli *cli, int argc, char **argv); /* options and operands; exit code */
};

extern const struct wr_command wr_command_run, wr_command_inspect, wr_command_verify,
    wr_command_topics, wr_command_produce, wr_command_consume, wr_command_rejects,
    wr_command_backup;
extern const struct wr_command wr_command_bench; /* of the program alone, not of the library */

/* The options of `run` as a program with its job built in has them (run.c). */
int wr_cli_run_define(struct wr_cli *cli, const char *name, void (*define)(weir_job *), int argc,
                      char **argv);

/* The whole program, with these subcommands (ended with NULL), in the order of the help. */
int wr_cli_main(const struct wr_command *const *commands, int argc, char **argv);
/* Prepares the world, WEIR_FAULT included; 64 when that names no fault point. */
weir_status wr_cli_init(struct wr_cli *cli);
/* Prints the error and gives the exit code; an error of the pipe that standard output is ends
 * quietly with 0. */
int wr_cli_end(struct wr_cli *cli);
/* Gives standard output a buffer of this size, until wr_cli_end: what fits is written only then, so
 * that a slow reader does not hold a snapshot open. Out of memory: it stays as it was. */
void wr_cli_buffer(struct wr_cli *cli, size_t size);
/* Puts words before the text of the error, "in.conf:3: "; gives its status. */
weir_status wr_error_before(struct wr_error *error, const char *format, ...) WEIR_PRINTF(2, 3);
/* Flushes standard output; an error there is 74. */
weir_status wr_cli_flush(struct wr_error *error);
/* Prints `weir VERSION (libraries)`. */
void wr_cli_version(void);
void wr_cli_help(const struct wr_command *command, const char *program);

/* ---- config.c -------------------------------------------------------------------------------- */

struct wr_arena;
/* Reads options from a file, one a line: `name = value`, `name value` or `name`, `#` lines are
 * comments, ${NAME} is the environment's. Errors name file and line. Values are in the arena. */
weir_status wr_config_read(const char *path, const char *command, const struct wr_option *table,
                           struct wr_arena *arena, wr_option_fn each, void *context,
                           struct wr_error *error);

#endif
