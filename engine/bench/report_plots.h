/* report_plots.h: what the files that draw have in common.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_BENCH_REPORT_PLOTS_H
#define WR_BENCH_REPORT_PLOTS_H

#include "engine/bench/report_inner.h"

/* Terminal, output file, border, grid and key of a plot. */
void wr_report_plot_begin(FILE *script, enum wr_report_plot plot,
                          const struct wr_report_section *section, int height);
/* A logarithmic y axis that holds low to high, with tics that are written out; `is_time`: the
 * values are microseconds. */
void wr_report_log_axis(FILE *script, double low, double high, bool is_time);
const char *wr_report_colour(enum wr_report_series series); /* "#0072B2" */

void wr_report_plot_latency(FILE *script, const struct wr_report_section *section);
void wr_report_plot_damage(FILE *script, const struct wr_report_section *section);
void wr_report_plot_time(FILE *script, const struct wr_report_section *section);

#endif
