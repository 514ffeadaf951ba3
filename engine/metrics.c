/* metrics.c: see metrics.h.
 *
 * The histogram is log-linear, as HdrHistogram's: values below 16 have a bucket each, and every
 * power of two above is cut into 16 buckets of equal width. 512 buckets reach 2^35 microseconds,
 * more than nine hours; what a quantile says (the middle of its bucket) is within about 3 %.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/metrics.h"

#include <inttypes.h>

#include "txn/base/assert.h"

enum { SUB_BITS = 4, SUB = 1 << SUB_BITS };
_Static_assert(WR_HISTOGRAM_BUCKETS == 32 * SUB, "the exact values, and 31 powers of two");

/* ---- Histogram ------------------------------------------------------------------------------- */

static int bucket_of(int64_t value)
{
    if (value < SUB) {
        return value < 0 ? 0 : (int)value;
    }
    int shift = 63 - __builtin_clzll((unsigned long long)value) - SUB_BITS;
    int bucket = (shift + 1) * SUB + (int)((value >> shift) & (SUB - 1));
    return bucket < WR_HISTOGRAM_BUCKETS ? bucket : WR_HISTOGRAM_BUCKETS - 1;
}

/* The middle of a bucket. */
static double bucket_middle(int bucket)
{
    if (bucket < SUB) {
        return bucket;
    }
    int shift = bucket / SUB - 1;
    int64_t low = (int64_t)(SUB + bucket % SUB) << shift;
    return (double)low + (double)(((int64_t)1 << shift) - 1) / 2;
}

void wr_metrics_decided(struct wr_metrics *metrics, int64_t microseconds)
{
    int bucket = bucket_of(microseconds);
    wr_assert_that(bucket, <, WR_HISTOGRAM_BUCKETS);
    atomic_fetch_add_explicit(&metrics->decide_us[bucket], 1, memory_order_relaxed);
}

static int64_t load(const _Atomic int64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

double wr_metrics_decide_ms(const struct wr_metrics *metrics, double quantile)
{
    int64_t total = 0, below = 0;
    for (int bucket = 0; bucket < WR_HISTOGRAM_BUCKETS; bucket++) {
        total += load(&metrics->decide_us[bucket]);
    }
    double wanted = quantile * (double)total; /* so many are at or below the answer */
    int last = 0;
    for (int bucket = 0; bucket < WR_HISTOGRAM_BUCKETS; bucket++) {
        int64_t count = load(&metrics->decide_us[bucket]);
        if (count == 0) {
            continue;
        }
        below += count;
        last = bucket;
        if ((double)below >= wanted) {
            break;
        }
    }
    return total == 0 ? 0 : bucket_middle(last) / 1000;
}

/* ---- The JSON line --------------------------------------------------------------------------- */

/* Integers alone are printed, so that no locale puts a comma for the point. */
static void put_number(FILE *file, const char *name, int64_t value)
{
    fprintf(file, "\"%s\":%" PRId64 ",", name, value);
}

/* Three digits after the point. */
static void put_thousandths(FILE *file, const char *name, int64_t thousandths)
{
    if (thousandths < 0) {
        thousandths = 0;
    }
    fprintf(file, "\"%s\":%" PRId64 ".%03" PRId64 ",", name, thousandths / 1000,
            thousandths % 1000);
}

static void put_unless(FILE *file, const char *name, int64_t value, bool unknown)
{
    if (unknown) {
        fprintf(file, "\"%s\":null,", name);
    } else {
        put_number(file, name, value);
    }
}

static void put_rate(FILE *file, int64_t records, int64_t microseconds)
{
    double rate = microseconds > 0 ? (double)records * 1e6 / (double)microseconds : 0;
    put_number(file, "records_per_s", (int64_t)(rate + 0.5));
}

void wr_metrics_write(const struct wr_metrics *metrics, const struct wr_store_stats *store,
                      enum wr_waiting waiting, int64_t now_us, int64_t previous_records,
                      int64_t previous_us, bool final, FILE *file)
{
    int64_t records_in = load(&metrics->records_in);
    int64_t lag = load(&metrics->lag_records), backlog = load(&metrics->backlog_records);
    int64_t watermark_ms = load(&metrics->watermark_ms);

    fputc('{', file);
    put_number(file, "records_in", records_in);
    put_number(file, "records_out", load(&metrics->records_out));
    put_number(file, "rejects", load(&metrics->rejects));
    put_number(file, "late", load(&metrics->late));
    put_number(file, "epochs", load(&metrics->epochs));
    put_thousandths(file, "seconds", (now_us - metrics->started_us) / 1000);
    if (final) {
        put_rate(file, records_in, now_us - metrics->started_us);
    } else {
        put_rate(file, records_in - previous_records, now_us - previous_us);
    }
    put_thousandths(file, "decide_ms_p50", (int64_t)(wr_metrics_decide_ms(metrics, 0.5) * 1000));
    put_thousandths(file, "decide_ms_p99", (int64_t)(wr_metrics_decide_ms(metrics, 0.99) * 1000));
    put_number(file, "fsyncs", store->fsyncs);
    put_number(file, "bytes_written", store->bytes_written);
    put_number(file, "store_bytes", store->store_bytes);
    put_number(file, "wal_bytes", store->wal_bytes);
    put_unless(file, "lag_records", lag, lag < 0);
    put_unless(file, "backlog_records", backlog, backlog < 0);
    put_unless(file, "watermark_ms", watermark_ms, watermark_ms == INT64_MIN);
    put_number(file, "timers", load(&metrics->timers));
    put_number(file, "generation", metrics->generation);
    fprintf(file, "\"waiting_for\":\"%s\"}\n", wr_waiting_name(waiting));
}

const char *wr_waiting_name(enum wr_waiting waiting)
{
    switch (waiting) {
    case WR_WAITING_INPUT:
        return "input";
    case WR_WAITING_OPERATORS:
        return "operators";
    case WR_WAITING_DECIDE:
        return "decide";
    case WR_WAITING_FORWARD:
        return "forward";
    }
    return "operators";
}
