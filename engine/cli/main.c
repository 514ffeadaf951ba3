/* main.c: the `weir` program: its subcommands; see cli.c for the rest. They are named here, because
 * the library has all of them but `bench`.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/cli.h"

#ifdef __GLIBC__
#include <malloc.h>
#include <stdlib.h>
enum { MAPPED_BYTES_MIN = 128 * 1024 };
#endif

int main(int argc, char **argv)
{
    static const struct wr_command *const commands[] = {
        &wr_command_run,     &wr_command_inspect,
        &wr_command_verify,  &wr_command_topics,
        &wr_command_produce, &wr_command_consume,
        &wr_command_rejects, &wr_command_backup,
        &wr_command_bench,   NULL,
    };
#ifdef __GLIBC__ /* else what grows by doubling leaves holes that are never given back */
    if (!getenv("NOMALLOPT")) mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
#endif
    return wr_cli_main(commands, argc, argv);
}
