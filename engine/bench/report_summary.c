/* report_summary.c: what the plots come to, in sentences that are made from the figures.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "engine/bench/report_inner.h"

/* "0.98", or "0.97 to 1.02" over the epoch sizes; false: nothing to compare with. */
static bool range_of(const struct wr_report_section *section, enum wr_bench_kind base, char *text,
                     size_t size)
{
    double low = INFINITY, high = 0;
    const struct wr_bench_result *result;
    for (size_t at = 0; (result = wr_report_next(section, &at));) {
        struct wr_bench_spread spread = wr_report_ratio(section, result, base);
        if (wr_report_series_of(&result->cell) == WR_SERIES_EXACTLY_ONCE && spread.count > 0) {
            low = fmin(low, spread.median);
            high = fmax(high, spread.median);
        }
    }
    if (high <= 0) {
        return false;
    }
    char from[WR_BENCH_NUMBER_MAX], to[WR_BENCH_NUMBER_MAX];
    wr_bench_text_number(from, low);
    wr_bench_text_number(to, high);
    if (strcmp(from, to) == 0) {
        snprintf(text, size, "%s", from);
    } else {
        snprintf(text, size, "%s to %s", from, to);
    }
    return true;
}

static void say_ratios(FILE *page, const struct wr_report_section *section)
{
    char text[2 * WR_BENCH_NUMBER_MAX + 8];
    if (range_of(section, WR_BENCH_WEIR, text, sizeof text)) {
        fprintf(page,
                "<li>Exactly-once ran at <b>%s</b> times the throughput of at-least-once "
                "(medians of pairs of runs, over the epoch sizes).</li>\n",
                text);
    }
    if (range_of(section, WR_BENCH_LOOP, text, sizeof text)) {
        fprintf(page,
                "<li>Next to a hand-written loop that stores its positions in the same "
                "transactions, exactly-once ran at <b>%s</b> times its throughput.</li>\n",
                text);
    }
}

/* The price of the smallest epochs: a transaction per record, or the smallest that was measured. */
static void say_sizes(FILE *page, const struct wr_report_section *section)
{
    const struct wr_bench_result *result, *least = NULL, *most = NULL;
    double low = INFINITY, high = 0;
    for (size_t at = 0; (result = wr_report_next(section, &at));) {
        struct wr_bench_spread rate =
            wr_bench_spread_of(result->runs, result->run_count, WR_BENCH_RECORDS_PER_S);
        if (wr_report_series_of(&result->cell) != WR_SERIES_EXACTLY_ONCE || rate.count == 0) {
            continue;
        }
        if (rate.median > high) {
            high = rate.median;
            most = result;
        }
        if (result->cell.epoch_records == 1 && rate.median > 0) {
            low = rate.median;
            least = result;
        }
    }
    if (least && most && least != most) {
        char slow[WR_BENCH_NUMBER_MAX], fast[WR_BENCH_NUMBER_MAX], times[WR_BENCH_NUMBER_MAX];
        char epoch[64];
        bool adaptive = most->cell.epoch_records == 0 && most->cell.epoch_ms == 0;
        wr_report_epoch_name(most->cell.epoch_records, most->cell.epoch_ms, epoch, sizeof epoch);
        fprintf(page,
                "<li>What costs is a transaction for each record: %s records/s, against %s with "
                "%s%s, <b>%s times</b> as many.</li>\n",
                wr_bench_text_number(slow, low), wr_bench_text_number(fast, high),
                adaptive ? "adaptive epochs" : "epochs of ", adaptive ? "" : epoch,
                wr_bench_text_number(times, high / low));
    }
}

static void say_damage(FILE *page, const struct wr_report_section *section)
{
    static const enum wr_report_series modes[] = {WR_SERIES_EXACTLY_ONCE, WR_SERIES_AT_LEAST_ONCE,
                                                  WR_SERIES_AT_MOST_ONCE};
    bool any = false;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        const struct wr_bench_result *result;
        struct wr_bench_damage sum = {.kills = 0};
        for (size_t at = 0; (result = wr_report_next(section, &at));) {
            if (result->has_damage && wr_report_series_of(&result->cell) == modes[i]) {
                sum.kills += result->damage.kills;
                sum.expected += result->damage.expected;
                sum.lost += result->damage.lost;
                sum.repeated += result->damage.repeated;
            }
        }
        if (sum.kills > 0) {
            char kills[WR_BENCH_NUMBER_MAX], lost[WR_BENCH_NUMBER_MAX];
            char repeated[WR_BENCH_NUMBER_MAX], expected[WR_BENCH_NUMBER_MAX];
            fprintf(
                page,
                "%s %s, killed %s time%s with <code>kill -9</code>, lost <b>%s</b> and repeated "
                "<b>%s</b> of %s output records",
                any ? ";" : "<li>What one gets for it:", wr_report_series_name(modes[i]),
                wr_bench_text_count(kills, sum.kills), sum.kills == 1 ? "" : "s",
                wr_bench_text_count(lost, sum.lost), wr_bench_text_count(repeated, sum.repeated),
                wr_bench_text_count(expected, sum.expected));
            any = true;
        }
    }
    if (any) {
        fprintf(page, ".</li>\n");
    }
}

void wr_report_summary(FILE *page, const struct wr_bench_results *results)
{
    struct wr_report_section section = {.results = results};
    while (wr_report_section_next(&section)) {
        if (section.count > 1) {
            fprintf(page, "<h3>");
            wr_bench_text_html(page, section.like->job->name);
            char keys[WR_BENCH_NUMBER_MAX];
            fprintf(page, ", sync %s, %s keys</h3>\n", wr_bench_sync_name(section.like->sync),
                    wr_bench_text_count(keys, section.like->keys));
        }
        fprintf(page, "<ul>\n");
        say_ratios(page, &section);
        say_damage(page, &section);
        say_sizes(page, &section);
        fprintf(page, "</ul>\n");
    }
}
