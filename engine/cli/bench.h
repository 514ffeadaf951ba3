/* bench.h: `weir bench` on the command line: its options (bench_options.c), and its course and what
 * is written where (bench.c).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_CLI_BENCH_H
#define WR_CLI_BENCH_H

#include "engine/bench/plan.h"
#include "engine/cli/cli.h"
#include "engine/cli/load.h"

struct wr_bench_arguments {
    struct wr_bench_options options;
    struct wr_bench_job jobs[WR_BENCH_LIST_MAX]; /* from files */
    struct wr_job_file files[WR_BENCH_LIST_MAX];
    size_t file_count;
    struct wr_settings defines;
    const char *dir, *report;
    const char *from; /* JSON lines to make the report of; NULL: it is measured */
    bool measures; /* an option of measuring was given */
    bool json;
    struct wr_arena arena;
};

extern const struct wr_option wr_bench_option_table[];
extern const char wr_bench_help[], wr_bench_help_options[], wr_bench_help_examples[];

/* Reads and checks them, opens jobs that are files, fills in the defaults. */
weir_status wr_bench_arguments_read(struct wr_bench_arguments *arguments, int argc, char **argv,
                                    struct wr_error *error);
/* Also after a failure. */
void wr_bench_arguments_fini(struct wr_bench_arguments *arguments);
/* The command as it was given, for a shell to take again; in the arena. NULL: no memory. */
const char *wr_bench_command_line(struct wr_arena *arena, int argc, char **argv);

#endif
