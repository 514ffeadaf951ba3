/* metrics.c: see metrics.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/metrics.h"

#include <inttypes.h>

static int64_t load(const _Atomic int64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
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
    put_thousandths(file, "decide_ms_p50", (int64_t)wr_histogram_us(&metrics->decide, 0.5));
    put_thousandths(file, "decide_ms_p99", (int64_t)wr_histogram_us(&metrics->decide, 0.99));
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
    case WR_WAITING_BROKER:
        return "broker";
    }
    return "operators";
}
