/* read.h: JSON lines that `weir bench` wrote, read again: results from elsewhere or from before,
 * for a page of them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_BENCH_READ_H
#define WR_BENCH_READ_H

#include "engine/bench/bench.h"

/* Reads a file of lines, of one measurement or of several on the same machine, one behind the
 * other. What is kept of restarts is their median and maximum, since the lines have no more. All
 * that the results point to is in the arena, and the text of the lines too. 65 with the line when
 * it is no line of ours, or of another machine than those before it. */
weir_status wr_bench_read(const char *path, struct wr_arena *arena,
                          struct wr_bench_results *results_out, weir_bytes *lines_out,
                          struct wr_error *error);

#endif
