/* show.h: what was measured, for people (table.c) and for programs (lines.c). Both write as results
 * come; errors are the stream's.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_BENCH_SHOW_H
#define WR_BENCH_SHOW_H

#include "engine/bench/plan.h"

/* ---- JSON lines ------------------------------------------------------------------------------ */

/* One run: "type":"run", or "latency" when it had a rate. */
void wr_bench_line_run(FILE *file, const struct wr_bench_results *results,
                       const struct wr_bench_result *result, const struct wr_bench_latency *latency,
                       size_t run);
/* A cell, "type":"cell" and "repeat":null: medians of its runs, and its kills. */
void wr_bench_line_cell(FILE *file, const struct wr_bench_results *results,
                        const struct wr_bench_result *result);
/* All of it: the machine, each run, each cell. */
void wr_bench_lines(FILE *file, const struct wr_bench_results *results);

/* ---- The table ------------------------------------------------------------------------------- */

/* Machine, command, how it is measured. */
void wr_bench_table_head(FILE *file, const struct wr_bench_options *options,
                         const struct wr_bench_results *results);
/* One row of each of the three tables, with their headings where they begin. */
void wr_bench_table_throughput(FILE *file, const struct wr_bench_results *results,
                               const struct wr_bench_result *result);
void wr_bench_table_latency(FILE *file, const struct wr_bench_results *results,
                            const struct wr_bench_result *result);
void wr_bench_table_damage(FILE *file, const struct wr_bench_results *results,
                           const struct wr_bench_result *result);
/* What it comes to, in sentences. */
void wr_bench_table_end(FILE *file, const struct wr_bench_results *results);

#endif
