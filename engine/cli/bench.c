/* bench.c: `weir bench`: options, and the course of a measurement. See engine/bench/bench.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/bench/bench.h"

#include <inttypes.h>
#include <stdio.h>

#include "engine/cli/cli.h"

static const struct wr_option options[] = {
    {"help", 'h', NULL, 0},
    {NULL, '\0', NULL, 0},
};

static weir_status measure(struct wr_bench *bench, struct wr_error *error)
{
    const enum wr_delivery modes[] = {WR_EXACTLY_ONCE, WR_AT_LEAST_ONCE, WR_AT_MOST_ONCE};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        const struct wr_bench_cell cell = {
            .kind = WR_BENCH_WEIR,
            .job = wr_bench_job_find("count"),
            .delivery = modes[i],
            .sync = WR_SYNC_FULL,
            .keys = 100000,
            .value_bytes = 100,
            .seconds = 0.5,
        };
        struct wr_bench_run run;
        WR_TRY(wr_bench_cell_run(bench, &cell, &run, error));
        printf("%-14s %10.0f records/s\n", wr_delivery_name(modes[i]),
               (double)run.records / run.seconds);
        fflush(stdout);
    }
    return WEIR_OK;
}

static int bench_command(struct wr_cli *cli, int argc, char **argv)
{
    struct wr_bench bench;
    (void)argc, (void)argv;
    if (wr_bench_open(&cli->env, ".", &bench, &cli->error) == WEIR_OK) {
        (void)measure(&bench, &cli->error);
    }
    wr_bench_close(&bench);
    return wr_cli_end(cli);
}

const struct wr_command wr_command_bench = {
    "bench",
    "[options]",
    "measure what delivery costs here",
    options,
    {"Measures what exactly-once costs on this machine.\n"},
    bench_command,
};
