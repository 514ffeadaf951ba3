/* machine.h: on what was measured: processor, kernel, file system, versions, and how long the disk
 * takes to make a page durable. Figures mean nothing without it, so it goes with them everywhere:
 * into the table, the first of the JSON lines, and the page.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_BENCH_MACHINE_H
#define WR_BENCH_MACHINE_H

#include <stdio.h>

#include "txn/base/error.h"

enum { WR_BENCH_TEXT_MAX = 128 };

/* Texts are what the system says, UTF-8 and printable, cut where they are too long; empty: it does
 * not say. */
struct wr_bench_machine {
    char time[32]; /* UTC, ISO 8601 */
    char cpu[WR_BENCH_TEXT_MAX], kernel[WR_BENCH_TEXT_MAX], system[WR_BENCH_TEXT_MAX];
    char file_system[WR_BENCH_TEXT_MAX]; /* of the folder: type and device */
    char versions[WR_BENCH_TEXT_MAX]; /* weir, SQLite, compiler, how it was built */
    int cores; /* that this process may use */
    int64_t memory_kib;
    double load; /* runnable processes in the minute before: what else the machine does */
    double fsync_us_p50, fsync_us_p99, fsync_us_max; /* one 4 KiB page overwritten, fdatasync */
};

/* Looks, and measures fdatasync for at most half a second with a file in `folder`, which is removed
 * again. Fails when the file cannot be written; what else cannot be found out stays empty. */
weir_status wr_bench_machine_look(const char *folder, struct wr_bench_machine *machine_out,
                                  struct wr_error *error);
/* One JSON object in one line, "type":"machine" first. Errors are the stream's. `command`: as it
 * was typed, or NULL. */
void wr_bench_machine_line(FILE *file, const struct wr_bench_machine *machine, const char *command);

#endif
