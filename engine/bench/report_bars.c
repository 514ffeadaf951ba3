/* report_bars.c: the plots that are bars: what was lost and repeated, and where the time goes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "engine/bench/report_plots.h"

/* ---- Lost and repeated ----------------------------------------------------------------------- */

enum { DAMAGES = 4 };
static const char *const damage_names[DAMAGES] = {"lost", "repeated", "out of order",
                                                  "wrong state"};
static const char *const damage_colours[DAMAGES] = {"#D55E00", "#E69F00", "#56B4E9", "#777777"};

/* -1: the job has no such thing. */
static int64_t damage_of(const struct wr_bench_damage *damage, size_t kind)
{
    const int64_t values[DAMAGES] = {damage->lost, damage->repeated, damage->reordered,
                                     damage->state_errors};
    return values[kind];
}

/* 0 at the base, and 1 visibly above it. */
static double height_of(int64_t count)
{
    return count > 0 ? log10((double)count) + 1 : 0;
}

/* Names of the bars' groups: the mode, with its epoch size when there are several. */
static void damage_groups(FILE *script, const struct wr_report_section *section, size_t count)
{
    const struct wr_bench_result *result, *first = NULL;
    bool sizes = false;
    for (size_t at = 0; (result = wr_report_next(section, &at));) {
        if (result->has_damage) {
            first = first ? first : result;
            sizes |= result->cell.epoch_records != first->cell.epoch_records ||
                     result->cell.epoch_ms != first->cell.epoch_ms;
        }
    }
    fprintf(script, "set xrange [-0.5:%g]\nset xtics scale 0 %s(", (double)count - 0.5,
            count > 5 ? "rotate by -35 " : "");
    size_t group = 0;
    for (size_t at = 0; (result = wr_report_next(section, &at));) {
        if (result->has_damage) {
            char epoch[64];
            wr_report_epoch_name(result->cell.epoch_records, result->cell.epoch_ms, epoch,
                                 sizeof epoch);
            fprintf(script, "%s\"%s%s%s\" %zu", group ? ", " : "",
                    wr_report_series_name(wr_report_series_of(&result->cell)),
                    !sizes      ? ""
                    : count > 5 ? ", "
                                : "\\n",
                    sizes ? epoch : "", group);
            group++;
        }
    }
    fprintf(script, ")\n");
}

/* A block of x, height, count for each kind of damage that there is a number of: a block without
 * one makes gnuplot crash. The highest, and how many groups. */
static double damage_data(FILE *script, const struct wr_report_section *section, bool has[DAMAGES],
                          size_t *count_out)
{
    double top = 0;
    for (size_t kind = 0; kind < DAMAGES; kind++) {
        has[kind] = false;
        *count_out = 0;
        const struct wr_bench_result *result;
        for (size_t at = 0; (result = wr_report_next(section, &at));) {
            if (!result->has_damage) {
                continue;
            }
            int64_t value = damage_of(&result->damage, kind);
            char text[WR_BENCH_NUMBER_MAX];
            if (value >= 0 && !has[kind]) {
                fprintf(script, "$d%zu << EOD\n", kind);
                has[kind] = true;
            }
            if (value >= 0) {
                fprintf(script, "%.3f %.5f %s\n", (double)*count_out + ((double)kind - 1.5) * 0.2,
                        height_of(value), wr_bench_text_count(text, value));
                top = fmax(top, height_of(value));
            }
            (*count_out)++;
        }
        fprintf(script, "%s", has[kind] ? "EOD\n" : "");
    }
    return top;
}

void wr_report_plot_damage(FILE *script, const struct wr_report_section *section)
{
    wr_report_plot_begin(script, WR_PLOT_DAMAGE, section, 440);
    size_t count = 0;
    bool has[DAMAGES];
    double top = fmax(damage_data(script, section, has, &count), 2);
    damage_groups(script, section, count);
    fprintf(script, "set yrange [0:%g]\nset ytics ('0' 0", top + (count > 3 ? 1.5 : 0.7));
    for (int power = 0; power <= (int)top; power++) {
        char text[WR_BENCH_NUMBER_MAX];
        fprintf(script, ", '%s' %d", wr_bench_text_count(text, llround(pow(10, power))), power + 1);
    }
    fprintf(script,
            ")\nset ylabel 'records, or keys of state (logarithmic)' textcolor rgb '#333333'\n"
            "set boxwidth 0.18\nset style fill solid 1 noborder\nset key maxcols 4\n");
    const char *before = "plot ";
    for (size_t kind = 0; kind < DAMAGES; kind++) {
        if (!has[kind]) {
            continue;
        }
        fprintf(script,
                "%s$d%zu using 1:2 with boxes lc rgb '%s' title '%s', \\\n"
                "  $d%zu using 1:2:3 with labels offset %s font 'sans-serif,%d' "
                "textcolor rgb '#333333' notitle",
                before, kind, damage_colours[kind], damage_names[kind], kind,
                count > 3 ? "0,0.4 rotate by 90 left" : "0,0.6", count > 5 ? 10 : 12);
        before = ", \\\n  ";
    }
    fprintf(script, "\n");
}

/* ---- Where the time goes --------------------------------------------------------------------- */

bool wr_report_parts(const struct wr_bench_result *result, struct wr_report_time *time_out)
{
    static const enum wr_bench_figure figures[WR_REPORT_PARTS] = {
        WR_BENCH_READ_S, WR_BENCH_OPERATORS_S, WR_BENCH_APPLY_S, WR_BENCH_FSYNC_S};
    double records = 0;
    *time_out = (struct wr_report_time){.sum_us = 0};
    for (size_t i = 0; i < result->run_count; i++) {
        const struct wr_bench_sample *run = &result->runs[i];
        if (run->records <= 0 || !isfinite(run->seconds) || isnan(run->figures[figures[0]])) {
            continue;
        }
        records += (double)run->records;
        time_out->passed_us += run->seconds * 1e6;
        for (size_t part = 0; part < WR_REPORT_PARTS; part++) {
            double seconds = run->figures[figures[part]];
            time_out->part_us[part] += isnan(seconds) ? 0 : seconds * 1e6;
        }
    }
    for (size_t part = 0; part < WR_REPORT_PARTS && records > 0; part++) {
        time_out->part_us[part] /= records;
        time_out->sum_us += time_out->part_us[part];
    }
    time_out->passed_us /= fmax(records, 1);
    return time_out->sum_us > 0;
}

/* The next bar, from *at and *y on; epoch sizes are apart. NULL: there is none. */
static const struct wr_bench_result *next_bar(const struct wr_report_section *section, size_t *at,
                                              const struct wr_bench_result *before, double *y,
                                              struct wr_report_time *time_out)
{
    const struct wr_bench_result *result;
    while ((result = wr_report_next(section, at))) {
        if (wr_report_parts(result, time_out)) {
            *y -= !before ? 0 : before->group == result->group ? 1 : 1.5;
            return result;
        }
    }
    return NULL;
}

/* A block of y, the four parts' ends in percent, the sum in microseconds. Returns the lowest y. */
static double time_data(FILE *script, const struct wr_report_section *section)
{
    struct wr_report_time time;
    const struct wr_bench_result *result = NULL;
    double y = 0;
    fprintf(script, "$t << EOD\n");
    for (size_t at = 0; (result = next_bar(section, &at, result, &y, &time));) {
        char text[WR_BENCH_NUMBER_MAX];
        double end = 0;
        fprintf(script, "%g 0", y);
        for (size_t part = 0; part < WR_REPORT_PARTS; part++) {
            end += time.part_us[part] / time.sum_us * 100;
            fprintf(script, " %.3f", end);
        }
        fprintf(script, " \"%s µs\"\n", wr_bench_text_number(text, time.sum_us));
    }
    fprintf(script, "EOD\n");
    return y;
}

static void time_names(FILE *script, const struct wr_report_section *section)
{
    struct wr_report_time time;
    const struct wr_bench_result *result = NULL;
    double y = 0;
    fprintf(script, "set ytics scale 0 (");
    for (size_t at = 0; (result = next_bar(section, &at, result, &y, &time));) {
        char epoch[64];
        wr_report_epoch_name(result->cell.epoch_records, result->cell.epoch_ms, epoch,
                             sizeof epoch);
        fprintf(script, "%s'%s, %s' %g", y < 0 ? ", " : "", epoch,
                wr_report_series_name(wr_report_series_of(&result->cell)), y);
    }
    fprintf(script, ")\n");
}

void wr_report_plot_time(FILE *script, const struct wr_report_section *section)
{
    static const char *const colours[WR_REPORT_PARTS] = {"#56B4E9", "#0072B2", "#E69F00",
                                                         "#D55E00"};
    static const char *const titles[WR_REPORT_PARTS] = {"read", "operators", "apply", "fsync"};
    struct wr_report_time time;
    const struct wr_bench_result *result;
    int bars = 0;
    for (size_t at = 0; (result = wr_report_next(section, &at));) {
        bars += wr_report_parts(result, &time);
    }
    wr_report_plot_begin(script, WR_PLOT_TIME, section, 140 + 34 * bars);
    double lowest = time_data(script, section);
    time_names(script, section);
    fprintf(script,
            "set yrange [%g:0.6]\nset xrange [0:118]\n"
            "set xtics ('0 %%%%' 0, '25 %%%%' 25, '50 %%%%' 50, '75 %%%%' 75, '100 %%%%' 100)\n"
            "unset grid\nset rmargin 2\nset border 2\n"
            "set xlabel 'share of the threads'' busy time; right: its sum for each record' "
            "offset -3,0 textcolor rgb '#333333'\n"
            "set style fill solid 1 noborder\nset key maxcols 2\nplot \\\n",
            lowest - 0.6);
    for (int part = 0; part < WR_REPORT_PARTS; part++) {
        fprintf(script,
                "  $t using (($%d+$%d)/2):1:(($%d-$%d)/2):(0.38) with boxxyerror lc rgb '%s' "
                "title '%s', \\\n",
                part + 2, part + 3, part + 3, part + 2, colours[part], titles[part]);
    }
    fprintf(script, "  $t using (101.5):1:7 with labels left textcolor rgb '#333333' notitle\n");
}
