/* report_inner.h: what the files of the report share: the page's sections, the series with their
 * names and colours, the five plots.
 *
 *   report.c          the files, gnuplot, the order of things
 *   report_series.c   sections, series, places on the x axis
 *   report_plots.c    the plots, as gnuplot's script; report_latency.c, report_bars.c
 *   report_gnuplot.c  gnuplot as a child process, and its SVG
 *   report_page.c     the page; report_tables.c, report_summary.c
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_BENCH_REPORT_INNER_H
#define WR_BENCH_REPORT_INNER_H

#include <limits.h>
#include <stdio.h>

#include "engine/bench/report.h"
#include "engine/bench/text.h"

/* ---- Sections and series --------------------------------------------------------------------- */

/* What one set of plots shows: the results of one job, sync, and kind of input. */
struct wr_report_section {
    const struct wr_bench_results *results;
    const struct wr_bench_cell *like; /* of its first result */
    size_t number, count; /* from 0; of how many */
};

/* Takes `section` (zeroed but for `results`, before the first call) to the next; false: none. */
bool wr_report_section_next(struct wr_report_section *section);
/* The next result of the section from *at on, which moves behind it; NULL: none. */
const struct wr_bench_result *wr_report_next(const struct wr_report_section *section, size_t *at);

enum wr_report_series {
    WR_SERIES_EXACTLY_ONCE,
    WR_SERIES_AT_LEAST_ONCE,
    WR_SERIES_AT_MOST_ONCE,
    WR_SERIES_NO_POSITIONS,
    WR_SERIES_LOOP,
    WR_SERIES_LOOP_DIRECT,
    WR_SERIES_RAW_OVERWRITE,
    WR_SERIES_RAW_APPEND,
    WR_SERIES,
};
enum wr_report_series wr_report_series_of(const struct wr_bench_cell *cell);
const char *wr_report_series_name(enum wr_report_series series);

/* A place on the x axis: one epoch size. */
struct wr_report_place {
    int64_t epoch_records, epoch_ms;
    double at; /* 0 until a plot puts it somewhere */
};
enum { WR_REPORT_PLACES_MAX = 64 }; /* more epoch sizes than a plot can show */
/* Those of the section: numbers by size, then those by time, then adaptive. */
size_t wr_report_places(const struct wr_report_section *section,
                        struct wr_report_place places_out[WR_REPORT_PLACES_MAX]);
bool wr_report_place_is_number(const struct wr_report_place *place);
bool wr_report_place_is(const struct wr_report_place *place, const struct wr_bench_cell *cell);
/* "1", "10,000", "adaptive", "100 ms". */
void wr_report_epoch_name(int64_t epoch_records, int64_t epoch_ms, char *text, size_t size);

/* ---- Figures --------------------------------------------------------------------------------- */

/* Throughput next to that of at-least-once (`base` WR_BENCH_WEIR) or to a baseline of the same
 * group, repeat by repeat. count 0: there is no such thing, or it is no ratio of weir's. */
struct wr_bench_spread wr_report_ratio(const struct wr_report_section *section,
                                       const struct wr_bench_result *result,
                                       enum wr_bench_kind base);
bool wr_report_has_latency(const struct wr_bench_result *result);
/* Microseconds a record of reading, operators, applying and fsync, their sum, and what passed
 * meanwhile: means over all records of all runs, which unlike medians add up. False: not
 * measured. */
enum { WR_REPORT_PARTS = 4 };
struct wr_report_time {
    double part_us[WR_REPORT_PARTS], sum_us, passed_us;
};
bool wr_report_parts(const struct wr_bench_result *result, struct wr_report_time *time_out);

/* ---- Plots ----------------------------------------------------------------------------------- */

enum wr_report_plot {
    WR_PLOT_THROUGHPUT,
    WR_PLOT_RATIO,
    WR_PLOT_LATENCY,
    WR_PLOT_DAMAGE,
    WR_PLOT_TIME,
    WR_PLOTS,
};
/* Whether there is something to draw. */
bool wr_report_plot_has(enum wr_report_plot plot, const struct wr_report_section *section);
/* "throughput.svg"; with several sections "throughput-2.svg". */
void wr_report_plot_name(enum wr_report_plot plot, const struct wr_report_section *section,
                         char *name, size_t size);
/* gnuplot's script for it, data included. Nothing in it comes from outside but numbers. */
void wr_report_plot(FILE *script, enum wr_report_plot plot,
                    const struct wr_report_section *section);

/* 69 when there is no gnuplot. */
weir_status wr_report_gnuplot_find(char path_out[PATH_MAX], struct wr_error *error);
/* Runs gnuplot on a script in `folder`, its working directory. 69 when it fails. */
weir_status wr_report_gnuplot(const char *folder, const char *script, struct wr_error *error);
/* Writes what gnuplot drew into the page, its names prefixed. */
weir_status wr_report_svg(FILE *page, const char *path, const char *prefix, const char *title,
                          const char *description, struct wr_error *error);

/* ---- The page -------------------------------------------------------------------------------- */

/* How a page of ours begins. */
#define WR_REPORT_MARK                                                                             \
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"                          \
    "<meta name=\"generator\" content=\"weir bench"
weir_status wr_report_page(FILE *page, const char *folder, const struct wr_bench_results *results,
                           weir_bytes lines, struct wr_error *error);
/* What the plots come to, in sentences: a list. */
void wr_report_summary(FILE *page, const struct wr_bench_results *results);
/* The table below a plot. */
void wr_report_table(FILE *page, enum wr_report_plot plot, const struct wr_report_section *section);

#endif
