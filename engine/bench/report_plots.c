/* report_plots.c: the plots of a report, as a script for gnuplot (5.4 and later): what they have in
 * common, and those that go by epoch size, throughput and ratio. All data is in the script, as
 * named blocks of numbers; nothing from outside but numbers gets there. Colours are Okabe and
 * Ito's, which people with any colour vision tell apart; each series has a shape as well.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "engine/bench/report_plots.h"

enum { WIDTH = 720 };

void wr_report_plot_name(enum wr_report_plot plot, const struct wr_report_section *section,
                         char *name, size_t size)
{
    static const char *const names[WR_PLOTS] = {"throughput", "ratio", "latency", "damage", "time"};
    if (section->count > 1) {
        snprintf(name, size, "%s-%zu.svg", names[plot], section->number + 1);
    } else {
        snprintf(name, size, "%s.svg", names[plot]);
    }
}

/* ---- What the plots have in common ----------------------------------------------------------- */

static const struct {
    const char *colour;
    int point;
} looks[WR_SERIES] = {
    {"#0072B2", 7},  {"#E69F00", 5}, {"#009E73", 9}, {"#CC79A7", 13},
    {"#D55E00", 11}, {"#8B4513", 1}, {"#222222", 4}, {"#777777", 6},
};

const char *wr_report_colour(enum wr_report_series series)
{
    return looks[series].colour;
}

void wr_report_plot_begin(FILE *script, enum wr_report_plot plot,
                          const struct wr_report_section *section, int height)
{
    char name[64];
    wr_report_plot_name(plot, section, name, sizeof name);
    fprintf(script,
            "\nreset session\n"
            "set terminal svg size %d,%d dynamic noenhanced font 'sans-serif,14' "
            "background '#ffffff'\n"
            "set output '%s'\n"
            "set encoding utf8\n"
            "set border 3 lc rgb '#666666'\n"
            "set tics nomirror textcolor rgb '#333333'\n"
            "set grid ytics lc rgb '#dddddd' lt 1 lw 1\n"
            "set key above Left reverse samplen 2 width 1 spacing 1.2 maxcols 3 "
            "textcolor rgb '#222222'\n",
            WIDTH, height, name);
}

/* The next lower or higher of 1, 2 and 5 times a power of ten. */
static double round_log(double value, bool up)
{
    static const double steps[] = {1, 2, 5, 10};
    double power = pow(10, floor(log10(value))), below = power;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        double step = steps[i] * power;
        if (up && step >= value * 0.999999) {
            return step;
        }
        below = step <= value * 1.000001 ? step : below;
    }
    return below;
}

static void tic_text(double value, bool is_time, char text[WR_BENCH_NUMBER_MAX])
{
    if (!is_time && value >= 1) {
        wr_bench_text_count(text, llround(value));
    } else if (!is_time) {
        snprintf(text, WR_BENCH_NUMBER_MAX, "%g", value);
    } else if (value < 1000) {
        snprintf(text, WR_BENCH_NUMBER_MAX, "%g µs", value);
    } else if (value < 1e6) {
        snprintf(text, WR_BENCH_NUMBER_MAX, "%g ms", value / 1e3);
    } else {
        snprintf(text, WR_BENCH_NUMBER_MAX, "%g s", value / 1e6);
    }
}

void wr_report_log_axis(FILE *script, double low, double high, bool is_time)
{
    static const double steps[] = {1, 2, 5};
    double to = round_log(high * 1.2, true);
    double from = round_log(fmax(low / 1.2, to / 1e9), false); /* more decades than can be read */
    bool few = log10(to / from) < 2.6;
    fprintf(script, "set logscale y\nset yrange [%g:%g]\nset ytics (", from, to);
    const char *comma = "";
    for (double power = pow(10, floor(log10(from))); power <= to * 1.01; power *= 10) {
        for (size_t i = 0; i < (few ? 3 : 1); i++) {
            double value = steps[i] * power;
            char text[WR_BENCH_NUMBER_MAX];
            if (value < from * 0.99 || value > to * 1.01) {
                continue;
            }
            tic_text(value, is_time, text);
            fprintf(script, "%s'%s' %g", comma, text, value);
            comma = ", ";
        }
    }
    fprintf(script, ")\n");
}

/* ---- The x axis of epoch sizes --------------------------------------------------------------- */

static struct wr_bench_spread value_of(enum wr_report_plot plot,
                                       const struct wr_report_section *section,
                                       const struct wr_bench_result *result)
{
    return plot == WR_PLOT_RATIO
               ? wr_report_ratio(section, result, WR_BENCH_WEIR)
               : wr_bench_spread_of(result->runs, result->run_count, WR_BENCH_RECORDS_PER_S);
}

/* Sizes that have a value in this plot: numbers at their logarithm, behind them what is no number.
 * Labels that would overlap are left out; the table has them. */
static size_t place_axis(FILE *script, enum wr_report_plot plot,
                         const struct wr_report_section *section,
                         struct wr_report_place places[WR_REPORT_PLACES_MAX])
{
    size_t all = wr_report_places(section, places), count = 0;
    for (size_t i = 0; i < all; i++) {
        bool shown = false;
        const struct wr_bench_result *result;
        for (size_t at = 0; (result = wr_report_next(section, &at));) {
            shown |= wr_report_place_is(&places[i], &result->cell) &&
                     value_of(plot, section, result).count > 0;
        }
        if (shown) {
            places[count] = places[i];
            bool number = wr_report_place_is_number(&places[i]);
            places[count].at = number       ? log10((double)places[i].epoch_records)
                               : count == 0 ? 0
                                            : places[count - 1].at + 1.5;
            count++;
        }
    }
    double last = places[count - 1].at, first = places[0].at, shown = -INFINITY;
    fprintf(script, "set xrange [%g:%g]\nset xtics (", first - 0.5, last + 0.5);
    const char *comma = "";
    for (size_t i = 0; i < count; i++) {
        char name[64];
        if (places[i].at - shown < 0.11 * (last - first)) {
            continue;
        }
        wr_report_epoch_name(places[i].epoch_records, places[i].epoch_ms, name, sizeof name);
        fprintf(script, "%s'%s' %g", comma, name, places[i].at);
        shown = places[i].at;
        comma = ", ";
    }
    bool logarithmic = count > 1 && wr_report_place_is_number(&places[1]);
    fprintf(script, ")\nset xlabel 'records in a transaction%s' textcolor rgb '#333333'\n",
            logarithmic ? " (logarithmic)" : "");
    for (size_t i = 1; i < count; i++) {
        if (!wr_report_place_is_number(&places[i])) {
            double at = places[i].at - 0.75;
            fprintf(script,
                    "set arrow from %g, graph 0 to %g, graph 1 nohead dt 3 lc rgb '#aaaaaa'\n", at,
                    at);
        }
    }
    return count;
}

/* ---- Throughput and ratio: series over epoch sizes ------------------------------------------- */

/* Lowest and highest of all series; false: there is nothing above 0. */
static bool bounds(enum wr_report_plot plot, const struct wr_report_section *section,
                   double *low_out, double *high_out)
{
    const struct wr_bench_result *result;
    *low_out = INFINITY;
    *high_out = 0;
    for (size_t at = 0; (result = wr_report_next(section, &at));) {
        struct wr_bench_spread value = value_of(plot, section, result);
        if (value.count > 0 && value.low > 0) {
            *low_out = fmin(*low_out, value.low);
            *high_out = fmax(*high_out, value.high);
        }
    }
    return *high_out > 0;
}

/* A block of x, median, lowest, highest; sizes that are no number after an empty line, so that no
 * line leads to them. Series stand a little beside one another. False: empty. */
static bool series_data(FILE *script, enum wr_report_plot plot,
                        const struct wr_report_section *section, size_t series,
                        const struct wr_report_place *places, size_t count)
{
    bool any = false;
    double span = places[count - 1].at - places[0].at + 1;
    double beside = ((double)series - (WR_SERIES - 1) / 2.0) * span * 0.011;
    for (size_t i = 0; i < count; i++) {
        const struct wr_bench_result *result;
        for (size_t at = 0; (result = wr_report_next(section, &at));) {
            struct wr_bench_spread value = value_of(plot, section, result);
            if (wr_report_series_of(&result->cell) != series || value.count == 0 ||
                value.low <= 0 || !wr_report_place_is(&places[i], &result->cell)) {
                continue;
            }
            if (!any) {
                fprintf(script, "$s%zu << EOD\n", series);
            }
            fprintf(script, "%s%.4f %.6g %.6g %.6g\n",
                    any && !wr_report_place_is_number(&places[i]) ? "\n" : "",
                    places[i].at + beside, value.median, value.low, value.high);
            any = true;
            break; /* a loop of this size may stand in the group of another as well */
        }
    }
    if (any) {
        fprintf(script, "EOD\n");
    }
    return any;
}

static void plot_series(FILE *script, enum wr_report_plot plot,
                        const struct wr_report_section *section)
{
    struct wr_report_place places[WR_REPORT_PLACES_MAX];
    bool has[WR_SERIES];
    size_t count = place_axis(script, plot, section, places);
    for (size_t i = 0; i < WR_SERIES; i++) {
        has[i] = series_data(script, plot, section, i, places, count);
    }
    const char *before = "plot ";
    for (size_t i = 0; i < WR_SERIES; i++) {
        if (has[i]) {
            fprintf(script,
                    "%s$s%zu using 1:2 with lines lw 2 lc rgb '%s' notitle, \\\n"
                    "  $s%zu using 1:2:3:4 with yerrorbars lw 2 ps 0.9 pt %d lc rgb '%s' "
                    "title '%s'",
                    before, i, looks[i].colour, i, looks[i].point, looks[i].colour,
                    wr_report_series_name((enum wr_report_series)i));
            before = ", \\\n  ";
        }
    }
    fprintf(script, "\n");
}

static void plot_throughput(FILE *script, const struct wr_report_section *section)
{
    double low, high;
    wr_report_plot_begin(script, WR_PLOT_THROUGHPUT, section, 500);
    bounds(WR_PLOT_THROUGHPUT, section, &low, &high);
    wr_report_log_axis(script, low, high, false);
    fprintf(script, "set ylabel 'records per second (logarithmic)' textcolor rgb '#333333'\n");
    plot_series(script, WR_PLOT_THROUGHPUT, section);
}

static void plot_ratio(FILE *script, const struct wr_report_section *section)
{
    double low, high;
    wr_report_plot_begin(script, WR_PLOT_RATIO, section, 440);
    bounds(WR_PLOT_RATIO, section, &low, &high);
    low = fmax(0, fmin(0.9, floor((low - 0.01) * 20) / 20));
    high = fmax(1.1, ceil((high + 0.01) * 20) / 20);
    fprintf(script,
            "set yrange [%g:%g]\nset format y '%%.2f'\n"
            "set ylabel 'throughput as a multiple of at-least-once' textcolor rgb '#333333'\n"
            "set arrow from graph 0, first 1 to graph 1, first 1 nohead lw 2 lc rgb '%s'\n",
            low, high, looks[WR_SERIES_AT_LEAST_ONCE].colour);
    plot_series(script, WR_PLOT_RATIO, section);
}

/* ---- All of them ----------------------------------------------------------------------------- */

bool wr_report_plot_has(enum wr_report_plot plot, const struct wr_report_section *section)
{
    const struct wr_bench_result *result;
    double low, high;
    struct wr_report_time time;
    if (plot == WR_PLOT_THROUGHPUT || plot == WR_PLOT_RATIO) {
        return bounds(plot, section, &low, &high);
    }
    for (size_t at = 0; (result = wr_report_next(section, &at));) {
        if ((plot == WR_PLOT_LATENCY && wr_report_has_latency(result)) ||
            (plot == WR_PLOT_DAMAGE && result->has_damage) ||
            (plot == WR_PLOT_TIME && wr_report_parts(result, &time))) {
            return true;
        }
    }
    return false;
}

void wr_report_plot(FILE *script, enum wr_report_plot plot, const struct wr_report_section *section)
{
    static void (*const draw[WR_PLOTS])(FILE *, const struct wr_report_section *) = {
        plot_throughput,       plot_ratio,          wr_report_plot_latency,
        wr_report_plot_damage, wr_report_plot_time,
    };
    draw[plot](script, section);
}
