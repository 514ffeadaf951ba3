/* figures.c: what runs come to, and how cells compare: see bench.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/bench/bench.h"

enum { RUNS_MAX = WR_BENCH_REPEATS_MAX };

/* ---- One run --------------------------------------------------------------------------------- */

static double per(double amount, int64_t records)
{
    return records > 0 ? amount / (double)records : NAN;
}

static double quantile(const struct wr_histogram *histogram, double at)
{
    return wr_histogram_count(histogram) > 0 ? wr_histogram_us(histogram, at) : NAN;
}

static double highest(const struct wr_histogram *histogram)
{
    return wr_histogram_count(histogram) > 0 ? (double)wr_histogram_highest_us(histogram) : NAN;
}

void wr_bench_sample_of(const struct wr_bench_run *run, struct wr_bench_sample *sample_out)
{
    bool timed = run->seconds > 0 && run->records > 0;
    double *figures = sample_out->figures;
    sample_out->records = run->records;
    sample_out->epochs = run->epochs;
    sample_out->rejects = run->rejects;
    sample_out->seconds = run->seconds;
    figures[WR_BENCH_RECORDS_PER_S] = timed ? (double)run->records / run->seconds : NAN;
    figures[WR_BENCH_MB_PER_S] =
        timed && run->input_bytes > 0 ? (double)run->input_bytes / 1e6 / run->seconds : NAN;
    figures[WR_BENCH_DECIDE_P50_US] = quantile(&run->decide, 0.5);
    figures[WR_BENCH_DECIDE_P99_US] = quantile(&run->decide, 0.99);
    figures[WR_BENCH_DECIDE_P999_US] = quantile(&run->decide, 0.999);
    figures[WR_BENCH_DECIDE_MAX_US] = highest(&run->decide);
    figures[WR_BENCH_LATENCY_P50_US] = quantile(&run->latency, 0.5);
    figures[WR_BENCH_LATENCY_P99_US] = quantile(&run->latency, 0.99);
    figures[WR_BENCH_LATENCY_P999_US] = quantile(&run->latency, 0.999);
    figures[WR_BENCH_LATENCY_MAX_US] = highest(&run->latency);
    figures[WR_BENCH_BYTES_PER_RECORD] = per((double)run->bytes_written, run->records);
    figures[WR_BENCH_FSYNCS_PER_RECORD] = per((double)run->fsyncs, run->records);
    figures[WR_BENCH_CPU_S_PER_MILLION] = per(run->cpu_seconds * 1e6, run->records);
    figures[WR_BENCH_RSS_KIB] = run->rss_kib > 0 ? (double)run->rss_kib : NAN;
    figures[WR_BENCH_READ_S] = run->read_s;
    figures[WR_BENCH_OPERATORS_S] = run->operators_s;
    figures[WR_BENCH_APPLY_S] = run->apply_s;
    figures[WR_BENCH_FSYNC_S] = run->fsync_s;
}

/* ---- Several runs ---------------------------------------------------------------------------- */

/* Sorted by insertion: runs are few. */
static void insert(double *values, size_t count, double value)
{
    size_t at = count;
    for (; at > 0 && values[at - 1] > value; at--) {
        values[at] = values[at - 1];
    }
    values[at] = value;
}

static struct wr_bench_spread spread(const double *sorted, size_t count)
{
    if (count == 0) {
        return (struct wr_bench_spread){NAN, NAN, NAN, 0};
    }
    double median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
    return (struct wr_bench_spread){median, sorted[0], sorted[count - 1], count};
}

struct wr_bench_spread wr_bench_spread_of(const struct wr_bench_sample *runs, size_t count,
                                          enum wr_bench_figure figure)
{
    double sorted[RUNS_MAX];
    size_t have = 0;
    for (size_t i = 0; i < count && have < RUNS_MAX; i++) {
        if (!isnan(runs[i].figures[figure])) {
            insert(sorted, have++, runs[i].figures[figure]);
        }
    }
    return spread(sorted, have);
}

struct wr_bench_spread wr_bench_ratio(const struct wr_bench_result *result,
                                      const struct wr_bench_result *base)
{
    double sorted[RUNS_MAX];
    size_t have = 0;
    for (size_t i = 0; base && i < result->run_count && i < base->run_count; i++) {
        double ratio = result->runs[i].figures[WR_BENCH_RECORDS_PER_S] /
                       base->runs[i].figures[WR_BENCH_RECORDS_PER_S];
        if (!isnan(ratio) && have < RUNS_MAX) {
            insert(sorted, have++, ratio);
        }
    }
    return spread(sorted, have);
}

const struct wr_bench_result *wr_bench_peer(const struct wr_bench_results *results, size_t group,
                                            enum wr_bench_kind kind, enum wr_delivery delivery)
{
    for (size_t i = 0; i < results->count; i++) {
        const struct wr_bench_result *item = &results->items[i];
        if (item->group == group && item->cell.kind == kind &&
            (kind != WR_BENCH_WEIR || item->cell.delivery == delivery)) {
            return item;
        }
    }
    return NULL;
}

/* ---- Names ----------------------------------------------------------------------------------- */

const char *wr_bench_cell_name(const struct wr_bench_cell *cell)
{
    switch (cell->kind) {
    case WR_BENCH_WEIR:
        return wr_delivery_name(cell->delivery);
    case WR_BENCH_NO_POSITIONS:
        return "no positions";
    case WR_BENCH_LOOP:
        return "loop";
    case WR_BENCH_LOOP_DIRECT:
        return "loop at-least";
    case WR_BENCH_RAW_OVERWRITE:
        return "raw overwrite";
    case WR_BENCH_RAW_APPEND:
        return "raw append";
    }
    return "";
}

const char *wr_bench_route_name(enum wr_bench_route route)
{
    return route == WR_BENCH_KAFKA_TO_KAFKA ? "Kafka to Kafka"
           : route == WR_BENCH_KAFKA_TO_LOG ? "Kafka to log:"
                                            : NULL;
}

void wr_bench_epoch_name(const struct wr_bench_cell *cell, char *text, size_t size)
{
    if (cell->epoch_records > 0 && cell->epoch_ms > 0) {
        snprintf(text, size, "%" PRId64 ", %" PRId64 " ms", cell->epoch_records, cell->epoch_ms);
    } else if (cell->epoch_records > 0) {
        snprintf(text, size, "%" PRId64, cell->epoch_records);
    } else if (cell->epoch_ms > 0) {
        snprintf(text, size, "%" PRId64 " ms", cell->epoch_ms);
    } else {
        snprintf(text, size, "adaptive");
    }
}

const char *wr_bench_sync_name(enum wr_sync sync)
{
    return sync == WR_SYNC_FULL ? "full" : sync == WR_SYNC_NORMAL ? "normal" : "off";
}
