/* weir_main.c: a program of one job: the options of `weir run`, and no JOB.so.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/cli.h"
#include "engine/cli/load.h"

WEIR_EXPORT int weir_main(void (*define)(weir_job *), int argc, char **argv)
{
    char name[WR_NAME_BYTES_MAX + 1];
    struct wr_cli cli;
    wr_job_name(argc > 0 ? argv[0] : "job", "", name);
    if (wr_cli_init(&cli) != WEIR_OK) {
        return wr_cli_end(&cli);
    }
    int skip = argc > 0 ? 1 : 0;
    return wr_cli_run_define(&cli, name, define, argc - skip, argv + skip);
}
