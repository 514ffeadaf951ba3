/* report.h: `weir bench --report DIR`: the results as one HTML page that needs nothing beside it,
 * with plots that gnuplot draws (a child process, found in PATH), tables, and the JSON lines.
 *
 *   DIR/index.html      the page
 *   DIR/results.jsonl   the JSON lines, as in the page
 *   DIR/plots.gp        the script that drew the plots, with its data: `gnuplot -d plots.gp` in DIR
 *   DIR/NAME.svg        each plot, as in the page
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_BENCH_REPORT_H
#define WR_BENCH_REPORT_H

#include "engine/bench/bench.h"

/* Whether a report can be made, before anything is measured: gnuplot is there and works, DIR can be
 * written (it is made when it is not there), and what it holds is nothing, or an earlier report. */
weir_status wr_bench_report_check(const char *folder, struct wr_error *error);
/* Makes the report. `lines`: the JSON lines of these results. An earlier report is replaced, file
 * by file, the page last. */
weir_status wr_bench_report(const char *folder, const struct wr_bench_results *results,
                            weir_bytes lines, struct wr_error *error);

#endif
