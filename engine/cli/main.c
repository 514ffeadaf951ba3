/* main.c: the `weir` program: its subcommands; see cli.c for the rest. They are named here, because
 * the library has all of them but `bench`.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/cli.h"

int main(int argc, char **argv)
{
    static const struct wr_command *const commands[] = {
        &wr_command_run,     &wr_command_inspect,
        &wr_command_verify,  &wr_command_topics,
        &wr_command_produce, &wr_command_consume,
        &wr_command_rejects, &wr_command_backup,
        &wr_command_bench,   NULL,
    };
    return wr_cli_main(commands, argc, argv);
}
