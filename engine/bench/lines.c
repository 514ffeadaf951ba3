/* lines.c: the JSON lines of `weir bench`: see show.h; weir-bench(1) documents each field.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>

#include "engine/bench/show.h"
#include "engine/bench/text.h"

/* ---- Fields ---------------------------------------------------------------------------------- */

static void put_text(FILE *file, const char *name, const char *text)
{
    fprintf(file, ",\"%s\":", name);
    if (text) {
        wr_bench_text_json(file, text);
    } else {
        fputs("null", file);
    }
}

static void put_count(FILE *file, const char *name, int64_t count)
{
    fprintf(file, ",\"%s\":%" PRId64, name, count);
}

static void put_count_unless(FILE *file, const char *name, int64_t count, bool unknown)
{
    if (unknown) {
        fprintf(file, ",\"%s\":null", name);
    } else {
        put_count(file, name, count);
    }
}

/* NAN: null. Nine digits: more are noise, and those are exact enough to compute with. */
static void put_number(FILE *file, const char *name, double number)
{
    if (isfinite(number)) {
        fprintf(file, ",\"%s\":%.9g", name, number);
    } else {
        fprintf(file, ",\"%s\":null", name);
    }
}

static const char *const kinds[] = {
    [WR_BENCH_WEIR] = "weir",
    [WR_BENCH_NO_POSITIONS] = "no_positions",
    [WR_BENCH_LOOP] = "loop",
    [WR_BENCH_LOOP_DIRECT] = "loop_at_least_once",
    [WR_BENCH_RAW_OVERWRITE] = "raw_overwrite",
    [WR_BENCH_RAW_APPEND] = "raw_append",
};

static const struct {
    const char *name;
    enum wr_bench_figure figure;
} figures[] = {
    {"decide_us_p50", WR_BENCH_DECIDE_P50_US},
    {"decide_us_p99", WR_BENCH_DECIDE_P99_US},
    {"decide_us_p999", WR_BENCH_DECIDE_P999_US},
    {"decide_us_max", WR_BENCH_DECIDE_MAX_US},
    {"bytes_per_record", WR_BENCH_BYTES_PER_RECORD},
    {"fsyncs_per_record", WR_BENCH_FSYNCS_PER_RECORD},
    {"cpu_s_per_million", WR_BENCH_CPU_S_PER_MILLION},
    {"rss_kib", WR_BENCH_RSS_KIB},
    {"read_s", WR_BENCH_READ_S},
    {"operators_s", WR_BENCH_OPERATORS_S},
    {"apply_s", WR_BENCH_APPLY_S},
    {"fsync_s", WR_BENCH_FSYNC_S},
};
enum { FIGURES = sizeof figures / sizeof *figures };

static const struct {
    const char *name;
    enum wr_bench_figure figure;
} latencies[] = {
    {"latency_us_p50", WR_BENCH_LATENCY_P50_US},
    {"latency_us_p99", WR_BENCH_LATENCY_P99_US},
    {"latency_us_p999", WR_BENCH_LATENCY_P999_US},
    {"latency_us_max", WR_BENCH_LATENCY_MAX_US},
};
enum { LATENCIES = sizeof latencies / sizeof *latencies };

static const char *const routes[][2] = {
    [WR_BENCH_GENERATED] = {"gen", "log"},
    [WR_BENCH_KAFKA_TO_KAFKA] = {"kafka", "kafka"},
    [WR_BENCH_KAFKA_TO_LOG] = {"kafka", "log"},
};

static void put_cell(FILE *file, const char *type, const struct wr_bench_result *result)
{
    const struct wr_bench_cell *cell = &result->cell;
    bool is_weir = cell->kind == WR_BENCH_WEIR;
    fprintf(file, "{\"type\":\"%s\"", type);
    put_text(file, "job", cell->job->name);
    put_text(file, "kind", kinds[cell->kind]);
    put_text(file, "delivery", is_weir ? wr_delivery_name(cell->delivery) : NULL);
    put_count_unless(file, "epoch_records", cell->epoch_records, cell->epoch_records == 0);
    put_count_unless(file, "epoch_ms", cell->epoch_ms, cell->epoch_ms == 0);
    put_text(file, "sync", wr_bench_sync_name(cell->sync));
    put_text(file, "input", routes[cell->route][0]);
    put_text(file, "output", routes[cell->route][1]);
    put_count_unless(file, "forward_ms", cell->forward_ms, cell->forward_ms == 0);
    put_count(file, "group", (int64_t)result->group);
    put_count(file, "keys", cell->keys);
    put_count(file, "value_bytes", cell->value_bytes);
    put_count_unless(file, "cache_bytes", cell->cache_bytes, cell->cache_bytes == 0);
    bool is_raw = cell->transaction_records > 0;
    put_number(file, "transaction_records", is_raw ? cell->transaction_records : NAN);
    put_number(file, "transaction_bytes", is_raw ? cell->transaction_bytes : NAN);
}

/* What throughput is compared with. */
static const struct {
    const char *name;
    enum wr_bench_kind kind;
} bases[] = {
    {"ratio_to_at_least_once", WR_BENCH_WEIR},
    {"ratio_to_loop", WR_BENCH_LOOP},
    {"ratio_to_raw_overwrite", WR_BENCH_RAW_OVERWRITE},
};
enum { BASES = sizeof bases / sizeof *bases };

static const struct wr_bench_result *base_of(const struct wr_bench_results *results,
                                             const struct wr_bench_result *result, size_t base)
{
    return wr_bench_peer(results, result->group, bases[base].kind, WR_AT_LEAST_ONCE);
}

static void put_damage(FILE *file, const struct wr_bench_result *result)
{
    const struct wr_bench_damage *damage = &result->damage;
    bool none = !result->has_damage;
    bool recovered = !none && wr_histogram_count(&damage->recovery) > 0;
    put_count_unless(file, "kills", damage->kills, none);
    put_count_unless(file, "broker_kills", damage->broker_kills, none);
    put_count_unless(file, "expected", damage->expected, none);
    put_count_unless(file, "lost", damage->lost, none);
    put_count_unless(file, "repeated", damage->repeated, none);
    put_count_unless(file, "reordered", damage->reordered, none);
    put_count_unless(file, "state_errors", damage->state_errors, none || damage->state_errors < 0);
    put_number(file, "recovery_ms",
               recovered ? wr_histogram_us(&damage->recovery, 0.5) / 1000 : NAN);
    put_number(file, "recovery_ms_max",
               recovered ? (double)wr_histogram_highest_us(&damage->recovery) / 1000 : NAN);
}

/* ---- One run --------------------------------------------------------------------------------- */

/* Of a run at a rate there is no ratio: all have the same throughput. */
static double run_ratio(const struct wr_bench_result *base, const struct wr_bench_sample *sample,
                        const struct wr_bench_latency *latency, size_t run)
{
    if (!base || latency || run >= base->run_count) {
        return NAN;
    }
    return sample->figures[WR_BENCH_RECORDS_PER_S] /
           base->runs[run].figures[WR_BENCH_RECORDS_PER_S];
}

void wr_bench_line_run(FILE *file, const struct wr_bench_results *results,
                       const struct wr_bench_result *result, const struct wr_bench_latency *latency,
                       size_t run)
{
    const struct wr_bench_sample *sample = latency ? &latency->runs[run] : &result->runs[run];
    const struct wr_bench_result none = {.has_damage = false};
    put_cell(file, latency ? "latency" : "run", result);
    put_count_unless(file, "rate", latency ? latency->rate : 0, !latency);
    put_count_unless(file, "rate_percent", latency ? latency->percent : 0,
                     !latency || latency->percent == 0);
    put_count(file, "repeat", (int64_t)run + 1);
    put_count(file, "records", sample->records);
    put_count(file, "epochs", sample->epochs);
    put_number(file, "seconds", sample->seconds);
    put_number(file, "records_per_s", sample->figures[WR_BENCH_RECORDS_PER_S]);
    put_number(file, "mb_per_s", sample->figures[WR_BENCH_MB_PER_S]);
    for (size_t i = 0; i < BASES; i++) {
        put_number(file, bases[i].name,
                   run_ratio(base_of(results, result, i), sample, latency, run));
    }
    for (size_t i = 0; i < FIGURES; i++) {
        put_number(file, figures[i].name, sample->figures[figures[i].figure]);
    }
    for (size_t i = 0; i < LATENCIES; i++) {
        put_number(file, latencies[i].name, sample->figures[latencies[i].figure]);
    }
    put_damage(file, &none);
    fputs("}\n", file);
}

/* ---- A cell ---------------------------------------------------------------------------------- */

static void put_spread(FILE *file, const char *name, struct wr_bench_spread spread)
{
    char wide[64];
    put_number(file, name, spread.median);
    snprintf(wide, sizeof wide, "%s_min", name);
    put_number(file, wide, spread.low);
    snprintf(wide, sizeof wide, "%s_max", name);
    put_number(file, wide, spread.high);
}

static void put_totals(FILE *file, const struct wr_bench_result *result)
{
    int64_t records = 0, epochs = 0;
    double seconds = 0;
    for (size_t i = 0; i < result->run_count; i++) {
        records += result->runs[i].records;
        epochs += result->runs[i].epochs;
        seconds += result->runs[i].seconds;
    }
    put_count(file, "runs", (int64_t)result->run_count);
    put_count(file, "records", records);
    put_count(file, "epochs", epochs);
    put_number(file, "seconds", seconds);
}

static void put_rates(FILE *file, const struct wr_bench_result *result)
{
    fputs(",\"latency\":[", file);
    for (size_t i = 0; i < result->latency_count; i++) {
        const struct wr_bench_latency *latency = &result->latency[i];
        fprintf(file, "%s{\"rate\":%" PRId64, i ? "," : "", latency->rate);
        put_count_unless(file, "rate_percent", latency->percent, latency->percent == 0);
        for (size_t j = 0; j < LATENCIES; j++) {
            put_number(
                file, latencies[j].name,
                wr_bench_spread_of(latency->runs, latency->run_count, latencies[j].figure).median);
        }
        fputc('}', file);
    }
    fputc(']', file);
}

void wr_bench_line_cell(FILE *file, const struct wr_bench_results *results,
                        const struct wr_bench_result *result)
{
    const struct wr_bench_sample *runs = result->runs;
    const struct wr_bench_latency none = {.run_count = 0};
    const struct wr_bench_latency *latency = result->latency_count ? &result->latency[0] : &none;
    put_cell(file, "cell", result);
    put_count_unless(file, "rate", latency->rate, latency->run_count == 0);
    put_count_unless(file, "rate_percent", latency->percent, latency->percent == 0);
    fputs(",\"repeat\":null", file);
    put_totals(file, result);
    put_spread(file, "records_per_s",
               wr_bench_spread_of(runs, result->run_count, WR_BENCH_RECORDS_PER_S));
    put_number(file, "mb_per_s",
               wr_bench_spread_of(runs, result->run_count, WR_BENCH_MB_PER_S).median);
    for (size_t i = 0; i < BASES; i++) {
        put_spread(file, bases[i].name, wr_bench_ratio(result, base_of(results, result, i)));
    }
    for (size_t i = 0; i < FIGURES; i++) {
        put_number(file, figures[i].name,
                   wr_bench_spread_of(runs, result->run_count, figures[i].figure).median);
    }
    for (size_t i = 0; i < LATENCIES; i++) {
        put_number(
            file, latencies[i].name,
            wr_bench_spread_of(latency->runs, latency->run_count, latencies[i].figure).median);
    }
    put_rates(file, result);
    put_damage(file, result);
    fputs("}\n", file);
}

void wr_bench_lines(FILE *file, const struct wr_bench_results *results)
{
    wr_bench_machine_line(file, &results->machine, results->command);
    for (size_t i = 0; i < results->count; i++) {
        const struct wr_bench_result *item = &results->items[i];
        for (size_t run = 0; run < item->run_count; run++) {
            wr_bench_line_run(file, results, item, NULL, run);
        }
        for (size_t j = 0; j < item->latency_count; j++) {
            for (size_t run = 0; run < item->latency[j].run_count; run++) {
                wr_bench_line_run(file, results, item, &item->latency[j], run);
            }
        }
    }
    for (size_t i = 0; i < results->count; i++) {
        wr_bench_line_cell(file, results, &results->items[i]);
    }
}
