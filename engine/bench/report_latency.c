/* report_latency.c: the plot of latency: a group for each epoch size and rate, in it a column of
 * percentiles for each mode.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>

#include "engine/bench/report_plots.h"

enum { PERCENTILES = 3 };

/* Medians of the runs, at least a microsecond, for the logarithm's sake; NAN: not measured. */
static double latency_of(const struct wr_bench_latency *latency, size_t percentile)
{
    static const enum wr_bench_figure figures[PERCENTILES] = {
        WR_BENCH_LATENCY_P50_US, WR_BENCH_LATENCY_P99_US, WR_BENCH_LATENCY_P999_US};
    struct wr_bench_spread spread =
        wr_bench_spread_of(latency->runs, latency->run_count, figures[percentile]);
    return spread.count ? fmax(spread.median, 1) : NAN;
}

bool wr_report_has_latency(const struct wr_bench_result *result)
{
    for (size_t i = 0; i < result->latency_count; i++) {
        if (!isnan(latency_of(&result->latency[i], 0))) {
            return true;
        }
    }
    return false;
}

/* What stands at one place of the x axis. */
struct group {
    const struct wr_bench_cell *cell;
    const struct wr_bench_latency *latency;
};

static bool is_of(const struct group *group, const struct wr_bench_cell *cell,
                  const struct wr_bench_latency *latency)
{
    return group->cell->epoch_records == cell->epoch_records &&
           group->cell->epoch_ms == cell->epoch_ms && group->latency->percent == latency->percent &&
           (latency->percent > 0 || group->latency->rate == latency->rate);
}

static size_t find_groups(const struct wr_report_section *section,
                          struct group groups[WR_REPORT_PLACES_MAX])
{
    size_t count = 0;
    const struct wr_bench_result *result;
    for (size_t at = 0; (result = wr_report_next(section, &at));) {
        for (size_t i = 0; i < result->latency_count; i++) {
            const struct wr_bench_latency *latency = &result->latency[i];
            size_t known = 0;
            while (known < count && !is_of(&groups[known], &result->cell, latency)) {
                known++;
            }
            if (known == count && count < WR_REPORT_PLACES_MAX && !isnan(latency_of(latency, 0))) {
                groups[count++] = (struct group){&result->cell, latency};
            }
        }
    }
    return count;
}

static void axes(FILE *script, const struct wr_report_section *section, const struct group *groups,
                 size_t count)
{
    double low = INFINITY, high = 0;
    const struct wr_bench_result *result;
    for (size_t at = 0; (result = wr_report_next(section, &at));) {
        for (size_t i = 0; i < result->latency_count; i++) {
            low = fmin(low, latency_of(&result->latency[i], 0));
            high = fmax(high, latency_of(&result->latency[i], PERCENTILES - 1));
        }
    }
    wr_report_log_axis(script, low, high, true);
    fprintf(script,
            "set ylabel 'from intended send to %s (logarithmic)' textcolor rgb '#333333'\n"
            "set bmargin 5\n"
            "set xlabel 'records in a transaction, and rate of the input' offset 0,-1 "
            "textcolor rgb '#333333'\n"
            "set xrange [-0.5:%g]\nset xtics scale 0 (",
            section->like->route == WR_BENCH_KAFKA_TO_KAFKA ? "being read" : "decision",
            (double)count - 0.5);
    for (size_t i = 0; i < count; i++) {
        char epoch[64], rate[WR_BENCH_NUMBER_MAX];
        wr_report_epoch_name(groups[i].cell->epoch_records, groups[i].cell->epoch_ms, epoch,
                             sizeof epoch);
        bool percent = groups[i].latency->percent > 0;
        wr_bench_text_count(rate, percent ? groups[i].latency->percent : groups[i].latency->rate);
        fprintf(script, "%s\"%s\\n%s%s\" %zu", i ? ", " : "", epoch, rate,
                percent ? " %% of full rate" : "/s", i);
    }
    fprintf(script, ")\n");
}

/* A block of x, p50, p99, p99.9 for one series; false: it has none. */
static bool series_data(FILE *script, const struct wr_report_section *section, size_t series,
                        const struct group *groups, size_t count)
{
    bool any = false;
    const struct wr_bench_result *result;
    for (size_t at = 0; (result = wr_report_next(section, &at));) {
        if (wr_report_series_of(&result->cell) != series) {
            continue;
        }
        for (size_t n = 0; n < result->latency_count * count; n++) {
            const struct wr_bench_latency *latency = &result->latency[n / count];
            if (!is_of(&groups[n % count], &result->cell, latency) ||
                isnan(latency_of(latency, 0))) {
                continue;
            }
            if (!any) {
                fprintf(script, "$s%zu << EOD\n", series);
                any = true;
            }
            fprintf(script, "%.3f %.6g %.6g %.6g\n",
                    (double)(n % count) + ((double)series - 1) * 0.2, latency_of(latency, 0),
                    latency_of(latency, 1), latency_of(latency, 2));
        }
    }
    if (any) {
        fprintf(script, "EOD\n");
    }
    return any;
}

void wr_report_plot_latency(FILE *script, const struct wr_report_section *section)
{
    struct group groups[WR_REPORT_PLACES_MAX];
    bool has[WR_SERIES];
    size_t count = find_groups(section, groups);
    wr_report_plot_begin(script, WR_PLOT_LATENCY, section, 480);
    axes(script, section, groups, count);
    for (size_t i = 0; i < WR_SERIES; i++) {
        has[i] = series_data(script, section, i, groups, count);
    }
    fprintf(script, "plot \\\n");
    for (size_t i = 0; i < WR_SERIES; i++) {
        const char *colour = wr_report_colour((enum wr_report_series)i);
        if (has[i]) {
            fprintf(script,
                    "  $s%zu using 1:2:2:4 with yerrorbars lw 1 pt 0 lc rgb '%s' notitle, \\\n"
                    "  $s%zu using 1:2 with points pt 6 ps 1 lw 2 lc rgb '%s' notitle, \\\n"
                    "  $s%zu using 1:3 with points pt 7 ps 1.1 lc rgb '%s' notitle, \\\n"
                    "  $s%zu using 1:4 with points pt 9 ps 1.1 lc rgb '%s' notitle, \\\n"
                    "  keyentry with boxes fill solid 1 noborder lc rgb '%s' title '%s', \\\n",
                    i, colour, i, colour, i, colour, i, colour, colour,
                    wr_report_series_name((enum wr_report_series)i));
        }
    }
    fprintf(script, "  keyentry with points pt 6 ps 1 lw 2 lc rgb '#555555' title 'p50', \\\n"
                    "  keyentry with points pt 7 ps 1.1 lc rgb '#555555' title 'p99', \\\n"
                    "  keyentry with points pt 9 ps 1.1 lc rgb '#555555' title 'p99.9'\n");
}
