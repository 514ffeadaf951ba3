/* table.c: the table of `weir bench`, within 100 columns: see show.h.
 *
 * Numbers have three digits, with k, M and G: what differs behind them is noise.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "engine/bench/show.h"
#include "engine/bench/text.h"

/* ---- Numbers --------------------------------------------------------------------------------- */

enum { SHORT = 16 };

/* Three digits and no unit; "-": not measured. */
static char *digits(char out[SHORT], double number)
{
    if (!isfinite(number)) {
        return strcpy(out, "-");
    }
    if (number == 0) {
        return strcpy(out, "0");
    }
    if (number < 0.0005) {
        return strcpy(out, "<0.001");
    }
    int decimals = number < 0.9995 ? 3 : number < 9.995 ? 2 : number < 99.95;
    snprintf(out, SHORT, "%.*f", decimals, number);
    return out;
}

static char *scaled(char out[SHORT], double number)
{
    static const char units[] = "kMGT";
    size_t unit = 0;
    if (!isfinite(number) || fabs(number) < 999.5) {
        return digits(out, number);
    }
    for (number /= 1000; number >= 999.5 && unit < sizeof units - 2; number /= 1000) {
        unit++;
    }
    digits(out, number);
    size_t length = strlen(out);
    snprintf(out + length, SHORT - length, "%c", units[unit]);
    return out;
}

static char *milliseconds(char out[SHORT], double us)
{
    return digits(out, us / 1000);
}

static char *share(char out[SHORT], double ratio)
{
    snprintf(out, SHORT, "%.*f", ratio < 9.995 ? 2 : ratio < 99.95, ratio);
    return out;
}

/* "4.90k-5.40k", "0.97-1.02"; one run has no spread. */
static const char *range(char out[2 * SHORT], struct wr_bench_spread spread,
                         char *(*put)(char out[SHORT], double number))
{
    char low[SHORT], high[SHORT];
    if (spread.count < 2) {
        return "";
    }
    snprintf(out, 2 * SHORT, "%s-%s", put(low, spread.low), put(high, spread.high));
    return out;
}

static double median(const struct wr_bench_result *result, enum wr_bench_figure figure)
{
    return wr_bench_spread_of(result->runs, result->run_count, figure).median;
}

/* ---- Where a table, and a group in it, begins ------------------------------------------------ */

static bool is_any(const struct wr_bench_result *result)
{
    (void)result;
    return true;
}

static bool has_latency(const struct wr_bench_result *result)
{
    return result->latency_count > 0;
}

static bool is_killed(const struct wr_bench_result *result)
{
    return result->kills > 0;
}

static bool same_section(const struct wr_bench_result *a, const struct wr_bench_result *b)
{
    return a->cell.job == b->cell.job && a->cell.sync == b->cell.sync &&
           a->cell.route == b->cell.route && a->cell.forward_ms == b->cell.forward_ms;
}

/* The row above this one; NULL: it is the first. */
static const struct wr_bench_result *above(const struct wr_bench_results *results,
                                           const struct wr_bench_result *result,
                                           bool (*is_row)(const struct wr_bench_result *))
{
    for (const struct wr_bench_result *item = result; item-- > results->items;) {
        if (is_row(item)) {
            return item;
        }
    }
    return NULL;
}

/* "count, sync full"; "copy, Kafka to Kafka each 100 ms, sync full" */
static void put_section(FILE *file, const struct wr_bench_cell *cell)
{
    char name[256];
    wr_bench_text_copy(name, sizeof name, weir_text(cell->job->name));
    fprintf(file, "\n%s", name);
    if (cell->route != WR_BENCH_GENERATED) {
        fprintf(file, ", %s", wr_bench_route_name(cell->route));
    }
    if (cell->forward_ms > 0) {
        fprintf(file, " each %" PRId64 " ms", cell->forward_ms);
    }
    fprintf(file, ", sync %s", wr_bench_sync_name(cell->sync));
}

static void put_input(FILE *file, const struct wr_bench_cell *cell)
{
    char keys[WR_BENCH_NUMBER_MAX], size[WR_BENCH_NUMBER_MAX];
    bool lines = wr_bench_job_reads(cell->job, "lines");
    if (wr_bench_job_reads(cell->job, "nexmark")) {
        fprintf(file, ", events of Nexmark");
    } else {
        fprintf(file, ", %s %s, %s of %s bytes", wr_bench_text_count(keys, cell->keys),
                lines ? "words" : "keys", lines ? "lines" : "values",
                wr_bench_text_count(size, cell->value_bytes));
    }
    if (cell->cache_bytes > 0) {
        fprintf(file, ", cache %s MiB",
                wr_bench_text_count(keys, cell->cache_bytes / (1024 * 1024)));
    }
}

static void put_name(FILE *file, const struct wr_bench_result *result)
{
    char epoch[64];
    wr_bench_epoch_name(&result->cell, epoch, sizeof epoch);
    bool loop = result->cell.kind == WR_BENCH_LOOP || result->cell.kind == WR_BENCH_LOOP_DIRECT;
    if (loop && result->cell.route == WR_BENCH_KAFKA_TO_KAFKA) {
        snprintf(epoch, sizeof epoch, "-"); /* by time: the interval of the section */
    }
    fprintf(file, "%-13s %9s", wr_bench_cell_name(&result->cell), epoch);
}

/* ---- Head ------------------------------------------------------------------------------------ */

void wr_bench_table_head(FILE *file, const struct wr_bench_options *options,
                         const struct wr_bench_results *results)
{
    const struct wr_bench_machine *machine = &results->machine;
    char fsync[SHORT], slow[SHORT];
    fprintf(file, "%s\n", results->command);
    fprintf(file, "%d core%s, %s, %.1f GiB; %s; load %.2f\n", machine->cores,
            machine->cores == 1 ? "" : "s", machine->cpu, (double)machine->memory_kib / 1024 / 1024,
            machine->kernel, machine->load);
    fprintf(file, "%s\n", machine->versions);
    fprintf(file, "%s; writing 4 KiB and fdatasync: %s ms, p99 %s ms\n", machine->file_system,
            milliseconds(fsync, machine->fsync_us_p50), milliseconds(slow, machine->fsync_us_p99));
    fprintf(file, "%" PRId64 " run%s of each, interleaved, ", options->repeats,
            options->repeats == 1 ? "" : "s");
    if (options->records > 0) {
        char records[WR_BENCH_NUMBER_MAX];
        fprintf(file, "of %s records", wr_bench_text_count(records, options->records));
    } else {
        fprintf(file, "of %.3g s", options->seconds);
    }
    fprintf(file, ", each on a new store: median, and (lowest-highest)\n");
}

/* ---- Throughput ------------------------------------------------------------------------------ */

void wr_bench_table_throughput(FILE *file, const struct wr_bench_results *results,
                               const struct wr_bench_result *result)
{
    const struct wr_bench_result *before = above(results, result, is_any);
    if (!before || !same_section(before, result)) {
        put_section(file, &result->cell);
        put_input(file, &result->cell);
        fprintf(file, "\n%-13s %9s %18s %16s %13s %6s %6s %6s %4s\n", "", "", "records/s   ",
                "next to at-  ", "decision, ms", "bytes/", "fsyncs", "CPU s/", "RSS");
        fprintf(file, "%-13s %9s %6s %11s %16s %6s %6s %6s %6s %6s %4s\n", "delivery", "epoch",
                "median", "low-high", "least-once  ", "p50", "p99", "record", "/1,000", "1M rec",
                "MiB");
    } else if (before->group != result->group) {
        fputc('\n', file);
    }
    const struct wr_bench_result *base =
        wr_bench_peer(results, result->group, WR_BENCH_WEIR, WR_AT_LEAST_ONCE);
    struct wr_bench_spread speed =
        wr_bench_spread_of(result->runs, result->run_count, WR_BENCH_RECORDS_PER_S);
    struct wr_bench_spread next = wr_bench_ratio(result, base == result ? NULL : base);
    char a[SHORT], b[2 * SHORT], c[SHORT], d[2 * SHORT], e[SHORT], f[SHORT], g[SHORT], h[SHORT],
        i[SHORT];
    put_name(file, result);
    fprintf(file, " %6s %11s %5s %10s %6s %6s %6s %6s %6s %4.0f\n", scaled(a, speed.median),
            range(b, speed, scaled), next.count > 0 ? share(c, next.median) : "-",
            range(d, next, share), milliseconds(e, median(result, WR_BENCH_DECIDE_P50_US)),
            milliseconds(f, median(result, WR_BENCH_DECIDE_P99_US)),
            scaled(g, median(result, WR_BENCH_BYTES_PER_RECORD)),
            scaled(h, median(result, WR_BENCH_FSYNCS_PER_RECORD) * 1000),
            scaled(i, median(result, WR_BENCH_CPU_S_PER_MILLION)),
            median(result, WR_BENCH_RSS_KIB) / 1024);
}

/* ---- Latency --------------------------------------------------------------------------------- */

void wr_bench_table_latency(FILE *file, const struct wr_bench_results *results,
                            const struct wr_bench_result *result)
{
    const struct wr_bench_result *before = above(results, result, has_latency);
    if (!before || !same_section(before, result)) {
        put_section(file, &result->cell);
        fprintf(file, ": latency in ms, from when a record was meant to be sent to %s\n",
                result->cell.route == WR_BENCH_GENERATED ? "its decision" : "when it is read");
        fprintf(file, "%-13s %9s", "delivery", "epoch");
        for (size_t i = 0; i < result->latency_count; i++) {
            char at[40] = "records/s";
            if (result->latency[i].percent > 0) {
                snprintf(at, sizeof at, "at %" PRId64 " %%, rec/s", result->latency[i].percent);
            }
            fprintf(file, " %15s %6s %6s %6s", at, "p50", "p99", "p99.9");
        }
        fputc('\n', file);
    } else if (before->group != result->group) {
        fputc('\n', file);
    }
    put_name(file, result);
    for (size_t i = 0; i < result->latency_count; i++) {
        const struct wr_bench_latency *latency = &result->latency[i];
        static const enum wr_bench_figure columns[] = {
            WR_BENCH_LATENCY_P50_US, WR_BENCH_LATENCY_P99_US, WR_BENCH_LATENCY_P999_US};
        char text[SHORT];
        fprintf(file, " %15s", scaled(text, latency->rate > 0 ? (double)latency->rate : NAN));
        for (size_t j = 0; j < sizeof columns / sizeof *columns; j++) {
            double us = wr_bench_spread_of(latency->runs, latency->run_count, columns[j]).median;
            fprintf(file, " %6s", milliseconds(text, us));
        }
    }
    fputc('\n', file);
}

/* ---- Kills ----------------------------------------------------------------------------------- */

void wr_bench_table_damage(FILE *file, const struct wr_bench_results *results,
                           const struct wr_bench_result *result)
{
    const struct wr_bench_result *before = above(results, result, is_killed);
    const struct wr_bench_damage *damage = &result->damage;
    if (!before || !same_section(before, result)) {
        put_section(file, &result->cell);
        fprintf(file, ": what kill -9 leaves of the output; ms from a restart to its first %s\n",
                result->cell.route == WR_BENCH_KAFKA_TO_KAFKA ? "record read" : "epoch");
        fprintf(file, "%-13s %9s %6s %10s %9s %9s %9s %9s %8s %8s\n", "delivery", "epoch", "kills",
                "records", "lost", "repeated", "reordered", "bad keys", "ms p50", "ms max");
    }
    if (!result->has_damage) {
        put_name(file, result);
        fprintf(file, " %6s %10s %9s %9s %9s %9s %8s %8s\n", "-", "-", "-", "-", "-", "-", "-",
                "-");
        return;
    }
    char expected[WR_BENCH_NUMBER_MAX], lost[WR_BENCH_NUMBER_MAX], repeated[WR_BENCH_NUMBER_MAX];
    char reordered[WR_BENCH_NUMBER_MAX], state[WR_BENCH_NUMBER_MAX] = "-", p50[SHORT], most[SHORT];
    bool recovered = wr_histogram_count(&damage->recovery) > 0;
    if (damage->state_errors >= 0) {
        wr_bench_text_count(state, damage->state_errors);
    }
    put_name(file, result);
    fprintf(
        file, " %6" PRId64 " %10s %9s %9s %9s %9s %8s %8s\n", damage->kills,
        wr_bench_text_count(expected, damage->expected), wr_bench_text_count(lost, damage->lost),
        wr_bench_text_count(repeated, damage->repeated),
        wr_bench_text_count(reordered, damage->reordered), state,
        milliseconds(p50, recovered ? wr_histogram_us(&damage->recovery, 0.5) : NAN),
        milliseconds(most, recovered ? (double)wr_histogram_highest_us(&damage->recovery) : NAN));
}

/* ---- What it comes to ------------------------------------------------------------------------ */

/* One line: how the exactly-once cells of a section compare with one kind of cell beside them. */
static void put_comparison(FILE *file, const struct wr_bench_results *results,
                           const struct wr_bench_result *like, enum wr_bench_kind kind,
                           const char *with)
{
    bool any = false;
    for (size_t i = 0; i < results->count; i++) {
        const struct wr_bench_result *item = &results->items[i];
        struct wr_bench_spread next =
            wr_bench_ratio(item, wr_bench_peer(results, item->group, kind, WR_AT_LEAST_ONCE));
        char epoch[64], text[SHORT];
        if (same_section(item, like) && item->cell.kind == WR_BENCH_WEIR &&
            item->cell.delivery == WR_EXACTLY_ONCE && next.count > 0) {
            wr_bench_epoch_name(&item->cell, epoch, sizeof epoch);
            if (any) {
                fputs(", ", file);
            } else {
                fprintf(file, "  %-23s ", with);
            }
            fprintf(file, "%s (%s)", share(text, next.median), epoch);
            any = true;
        }
    }
    if (any) {
        fputc('\n', file);
    }
}

void wr_bench_table_end(FILE *file, const struct wr_bench_results *results)
{
    for (size_t i = 0; i < results->count; i++) {
        const struct wr_bench_result *item = &results->items[i];
        if (item->cell.kind == WR_BENCH_WEIR && item->cell.delivery == WR_EXACTLY_ONCE &&
            (i == 0 || !same_section(item, item - 1))) {
            put_section(file, &item->cell);
            fprintf(file, ": throughput of exactly-once next to (epoch)\n");
            put_comparison(file, results, item, WR_BENCH_WEIR, "at-least-once");
            put_comparison(file, results, item, WR_BENCH_LOOP, "a loop written by hand");
            put_comparison(file, results, item, WR_BENCH_RAW_OVERWRITE, "writing its bytes alone");
        }
    }
}
