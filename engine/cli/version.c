/* version.c: `weir --version`: this weir, and the libraries it runs with.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "engine/cli/cli.h"
#include "engine/loop.h"
#include "txn/store_sql.h"

void wr_cli_version(void)
{
    printf("weir %s (SQLite %s, libuv %s)\n", WEIR_VERSION, sqlite3_libversion(),
           wr_loop_version());
}
