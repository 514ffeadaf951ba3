/* report_tables.c: the tables of a report, one below each plot, with the figures that it shows.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "engine/bench/report_inner.h"

/* ---- Cells ----------------------------------------------------------------------------------- */

static void put_number(FILE *page, double number)
{
    char text[WR_BENCH_NUMBER_MAX];
    fprintf(page, "<td>%s</td>", isnan(number) ? "&ndash;" : wr_bench_text_number(text, number));
}

static void put_count(FILE *page, int64_t count)
{
    char text[WR_BENCH_NUMBER_MAX];
    fprintf(page, "<td>%s</td>", count < 0 ? "&ndash;" : wr_bench_text_count(text, count));
}

/* Median, and in small what it lies between. */
static void put_spread(FILE *page, struct wr_bench_spread spread)
{
    char median[WR_BENCH_NUMBER_MAX], low[WR_BENCH_NUMBER_MAX], high[WR_BENCH_NUMBER_MAX];
    if (spread.count == 0) {
        fprintf(page, "<td>&ndash;</td>");
    } else if (spread.count == 1) {
        put_number(page, spread.median);
    } else {
        fprintf(page, "<td>%s <small>%s&ndash;%s</small></td>",
                wr_bench_text_number(median, spread.median), wr_bench_text_number(low, spread.low),
                wr_bench_text_number(high, spread.high));
    }
}

static void put_median(FILE *page, const struct wr_bench_sample *runs, size_t count,
                       enum wr_bench_figure figure, double unit)
{
    struct wr_bench_spread spread = wr_bench_spread_of(runs, count, figure);
    put_number(page, spread.count ? spread.median / unit : NAN);
}

/* The beginning of a row: epoch size and series. */
static void put_names(FILE *page, const struct wr_bench_result *result)
{
    char epoch[64];
    wr_report_epoch_name(result->cell.epoch_records, result->cell.epoch_ms, epoch, sizeof epoch);
    fprintf(page, "<tr><th scope=\"row\">%s</th><th scope=\"row\">%s</th>", epoch,
            wr_report_series_name(wr_report_series_of(&result->cell)));
}

static void begin(FILE *page, const char *caption, const char *const *heads)
{
    fprintf(page,
            "<div class=\"wide\" tabindex=\"0\"><table><caption>%s</caption>\n<thead><tr>"
            "<th scope=\"col\">records in a<br>transaction</th><th scope=\"col\">what ran</th>",
            caption);
    for (; *heads; heads++) {
        fprintf(page, "<th scope=\"col\">%s</th>", *heads);
    }
    fprintf(page, "</tr></thead>\n<tbody>\n");
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static void throughput(FILE *page, const struct wr_bench_result *result)
{
    static const struct {
        enum wr_bench_figure figure;
        double unit;
    } columns[] = {
        {WR_BENCH_MB_PER_S, 1},          {WR_BENCH_CPU_S_PER_MILLION, 1},
        {WR_BENCH_RSS_KIB, 1024},        {WR_BENCH_BYTES_PER_RECORD, 1},
        {WR_BENCH_FSYNCS_PER_RECORD, 1}, {WR_BENCH_DECIDE_P50_US, 1000},
        {WR_BENCH_DECIDE_P99_US, 1000},  {WR_BENCH_DECIDE_P999_US, 1000},
        {WR_BENCH_DECIDE_MAX_US, 1000},
    };
    put_names(page, result);
    put_spread(page, wr_bench_spread_of(result->runs, result->run_count, WR_BENCH_RECORDS_PER_S));
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        put_median(page, result->runs, result->run_count, columns[i].figure, columns[i].unit);
    }
    fprintf(page, "<td>%zu</td></tr>\n", result->run_count);
}

static void ratio(FILE *page, const struct wr_report_section *section,
                  const struct wr_bench_result *result)
{
    static const enum wr_bench_kind bases[] = {WR_BENCH_WEIR, WR_BENCH_LOOP, WR_BENCH_RAW_OVERWRITE,
                                               WR_BENCH_RAW_APPEND};
    enum { BASES = sizeof bases / sizeof bases[0] };
    struct wr_bench_spread spreads[BASES];
    size_t count = 0;
    for (size_t i = 0; i < BASES; i++) {
        spreads[i] = wr_report_ratio(section, result, bases[i]);
        count += spreads[i].count;
    }
    if (count == 0) {
        return;
    }
    put_names(page, result);
    for (size_t i = 0; i < BASES; i++) {
        put_spread(page, spreads[i]);
    }
    fprintf(page, "</tr>\n");
}

static void latency(FILE *page, const struct wr_bench_result *result)
{
    static const enum wr_bench_figure figures[] = {WR_BENCH_LATENCY_P50_US, WR_BENCH_LATENCY_P99_US,
                                                   WR_BENCH_LATENCY_P999_US,
                                                   WR_BENCH_LATENCY_MAX_US};
    for (size_t i = 0; i < result->latency_count; i++) {
        const struct wr_bench_latency *at = &result->latency[i];
        put_names(page, result);
        put_count(page, at->rate);
        if (at->percent > 0) {
            fprintf(page, "<td>%d %%</td>", (int)at->percent);
        } else {
            fprintf(page, "<td>&ndash;</td>");
        }
        for (size_t n = 0; n < sizeof figures / sizeof figures[0]; n++) {
            put_median(page, at->runs, at->run_count, figures[n], 1000);
        }
        fprintf(page, "<td>%zu</td></tr>\n", at->run_count);
    }
}

static void damage(FILE *page, const struct wr_bench_result *result)
{
    const struct wr_bench_damage *at = &result->damage;
    const int64_t counts[] = {at->kills,    at->expected,  at->lost,
                              at->repeated, at->reordered, at->state_errors};
    put_names(page, result);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        put_count(page, counts[i]);
    }
    bool restarted = wr_histogram_count(&at->recovery) > 0;
    put_number(page, restarted ? wr_histogram_us(&at->recovery, 0.5) / 1000 : NAN);
    put_number(page, restarted ? (double)wr_histogram_highest_us(&at->recovery) / 1000 : NAN);
    fprintf(page, "</tr>\n");
}

static void time_parts(FILE *page, const struct wr_bench_result *result)
{
    struct wr_report_time time;
    if (wr_report_parts(result, &time)) {
        put_names(page, result);
        for (size_t i = 0; i < WR_REPORT_PARTS; i++) {
            put_number(page, time.part_us[i]);
        }
        put_number(page, time.sum_us);
        put_number(page, time.passed_us);
        fprintf(page, "</tr>\n");
    }
}

/* ---- Tables ---------------------------------------------------------------------------------- */

void wr_report_table(FILE *page, enum wr_report_plot plot, const struct wr_report_section *section)
{
    static const char *const heads[WR_PLOTS][16] = {
        {"records/s", "MB/s", "CPU s per<br>million", "peak<br>MiB", "bytes written<br>per record",
         "fsyncs<br>per record", "decide<br>p50 ms", "p99<br>ms", "p99.9<br>ms", "max<br>ms",
         "runs"},
        {"to<br>at-least-once", "to the hand-<br>written loop", "to raw bytes,<br>overwritten",
         "to raw bytes,<br>appended"},
        {"records/s", "of full<br>rate", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "runs"},
        {"kills", "expected", "lost", "repeated", "out of<br>order", "wrong<br>state",
         "restart<br>p50 ms", "restart<br>max ms"},
        {"read", "operators", "apply", "fsync", "sum", "time that<br>passed"},
    };
    static const char *const captions[WR_PLOTS] = {
        "Medians over the runs; behind the throughput the lowest and the highest of them",
        "Each run divided by the run beside it: median, lowest, highest",
        "Medians over the runs of what each run measured",
        "Output records, compared one by one with what the input implies; keys with wrong state; "
        "and "
        "how long after a restart the first epoch was decided",
        "Microseconds for each record, over all runs",
    };
    const struct wr_bench_result *result;
    begin(page, captions[plot], heads[plot]);
    for (size_t at = 0; (result = wr_report_next(section, &at));) {
        if (plot == WR_PLOT_THROUGHPUT) {
            throughput(page, result);
        } else if (plot == WR_PLOT_RATIO) {
            ratio(page, section, result);
        } else if (plot == WR_PLOT_LATENCY) {
            latency(page, result);
        } else if (plot == WR_PLOT_DAMAGE && result->has_damage) {
            damage(page, result);
        } else if (plot == WR_PLOT_TIME) {
            time_parts(page, result);
        }
    }
    fprintf(page, "</tbody></table></div>\n");
}
