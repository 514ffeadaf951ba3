/* bench_results.c: see bench_results.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/bench_results.h"

#include <math.h>
#include <string.h>

static const struct {
    enum wr_bench_kind kind;
    enum wr_delivery delivery;
    double rates[SIZES]; /* at 1, 100, 10,000, adaptive */
} kinds[KINDS] = {
    {WR_BENCH_WEIR, WR_EXACTLY_ONCE, {5150, 291000, 941000, 1310000}},
    {WR_BENCH_WEIR, WR_AT_LEAST_ONCE, {5180, 294000, 938000, 1305000}},
    {WR_BENCH_WEIR, WR_AT_MOST_ONCE, {4400, 262000, 915000, 1302000}},
    {WR_BENCH_NO_POSITIONS, WR_AT_LEAST_ONCE, {5210, 296000, 945000, 1312000}},
    {WR_BENCH_LOOP, WR_AT_LEAST_ONCE, {4700, 180000, 402000, 399000}},
    {WR_BENCH_RAW_OVERWRITE, WR_AT_LEAST_ONCE, {6800, 450000, 2400000, 3100000}},
    {WR_BENCH_RAW_APPEND, WR_AT_LEAST_ONCE, {3100, 260000, 2000000, 2900000}},
};
static const int64_t sizes[SIZES] = {1, 100, 10000, 0};

static void make_runs(struct wr_bench_sample *runs, size_t count, double rate, bool weir)
{
    for (size_t i = 0; i < count; i++) {
        struct wr_bench_sample *run = &runs[i];
        double now = rate * (0.96 + 0.02 * (double)(i * 3 % 5));
        double us = 1e6 / now;
        *run = (struct wr_bench_sample){.records = (int64_t)now, .epochs = 100, .seconds = 1};
        for (size_t f = 0; f < WR_BENCH_FIGURES; f++) {
            run->figures[f] = NAN;
        }
        run->figures[WR_BENCH_RECORDS_PER_S] = now;
        run->figures[WR_BENCH_MB_PER_S] = now * 108 / 1e6;
        run->figures[WR_BENCH_BYTES_PER_RECORD] = 60 + us * 40;
        run->figures[WR_BENCH_FSYNCS_PER_RECORD] = us / 200;
        run->figures[WR_BENCH_CPU_S_PER_MILLION] = 0.8 + us / 5;
        run->figures[WR_BENCH_RSS_KIB] = 41000;
        if (weir) {
            const double times[] = {us, us * 3, us * 5, us * 20};
            memcpy(&run->figures[WR_BENCH_DECIDE_P50_US], times, sizeof times);
            run->figures[WR_BENCH_READ_S] = 0.02 * 1e6 / us / 1e6;
            run->figures[WR_BENCH_OPERATORS_S] = 0.5 / us;
            run->figures[WR_BENCH_APPLY_S] = 0.1 + 0.3 / us;
            run->figures[WR_BENCH_FSYNC_S] = 0.9 - 0.6 / us;
        }
    }
}

static void make_latency(struct made *made, size_t at, double rate)
{
    struct wr_bench_result *result = &made->items[at];
    result->latency_count = 2;
    for (size_t i = 0; i < 2; i++) {
        double share = i == 0 ? 0.5 : 0.8, us = 900 + (double)at * 40 + 2e9 * share / rate / 1e3;
        const double times[] = {us, us * 4 * (1 + share), us * 9 * (1 + share), us * 20};
        struct wr_bench_sample *run = made->slow[at][i];
        make_runs(run, 1, rate * share, false);
        memcpy(&run->figures[WR_BENCH_LATENCY_P50_US], times, sizeof times);
        result->latency[i] = (struct wr_bench_latency){.percent = i == 0 ? 50 : 80,
                                                       .rate = (int64_t)(rate * share),
                                                       .runs = run,
                                                       .run_count = 1};
    }
}

static void make_damage(struct wr_bench_result *result)
{
    struct wr_bench_damage *damage = &result->damage;
    result->has_damage = true;
    damage->kills = 3;
    damage->expected = 2000000;
    damage->repeated = result->cell.delivery == WR_AT_LEAST_ONCE ? 212343 : 0;
    damage->lost = result->cell.delivery == WR_AT_MOST_ONCE ? 45234 : 0;
    damage->state_errors = result->cell.delivery == WR_EXACTLY_ONCE ? 0 : 731;
    wr_histogram_add(&damage->recovery, 41000, 2);
    wr_histogram_add(&damage->recovery, 63000, 1);
}

void made_results(struct made *made, const char *name)
{
    memset(made, 0, sizeof *made);
    made->job.name = name;
    made->results.items = made->items;
    made->results.count = RESULTS;
    made->results.repeats = REPEATS;
    made->results.command = name;
    made->results.machine = (struct wr_bench_machine){.time = "2026-01-02T03:04:05Z",
                                                      .cpu = "<b>A \"fast\" one</b>",
                                                      .kernel = "Linux 6.1",
                                                      .system = "Debian",
                                                      .file_system = "ext4 on /dev/vda",
                                                      .versions = "weir, SQLite",
                                                      .cores = 2,
                                                      .memory_kib = 8 << 20,
                                                      .load = 0.5,
                                                      .fsync_us_p50 = 181,
                                                      .fsync_us_p99 = 420,
                                                      .fsync_us_max = 911};
    for (size_t i = 0; i < RESULTS; i++) {
        size_t size = i / KINDS, kind = i % KINDS;
        struct wr_bench_result *result = &made->items[i];
        result->cell = (struct wr_bench_cell){.kind = kinds[kind].kind,
                                              .job = &made->job,
                                              .delivery = kinds[kind].delivery,
                                              .epoch_records = sizes[size],
                                              .keys = 100000,
                                              .value_bytes = 100};
        result->group = size;
        if (kind >= 5) {
            result->cell.transaction_records = (double)sizes[size] + 1;
            result->cell.transaction_bytes = 4096.5;
        }
        result->runs = made->runs[i];
        double rate = kinds[kind].rates[size];
        result->run_count = REPEATS;
        make_runs(result->runs, REPEATS, rate, kind < 4);
        if (kinds[kind].kind == WR_BENCH_LOOP && sizes[size] == 0) {
            result->cell.epoch_records = 10000;
        }
        if (kind < 3 && (size == 0 || size == 3)) {
            make_latency(made, i, rate);
        }
        if (kind < 3 && size == 3) {
            make_damage(result);
        }
    }
}
