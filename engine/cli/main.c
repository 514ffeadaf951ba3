/* main.c: the `weir` program; see cli.c.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/cli.h"

int main(int argc, char **argv)
{
    return wr_cli_main(argc, argv);
}
