/* metrics.h: what a running instance has done so far. Written by the operator and decide threads,
 * read by the main thread: relaxed atomics, no lock.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_METRICS_H
#define WR_METRICS_H

#include <stdio.h>

#include "txn/base/histogram.h"
#include "txn/store.h"

enum wr_waiting {
    WR_WAITING_INPUT,
    WR_WAITING_OPERATORS,
    WR_WAITING_DECIDE,
    WR_WAITING_FORWARD,
    WR_WAITING_BROKER, /* a source or sink cannot reach Kafka */
};

struct wr_metrics {
    _Atomic int64_t records_in, records_out, rejects, late, epochs, lag_records, backlog_records;
    _Atomic int64_t retried; /* dead letters taken again */
    _Atomic int64_t watermark_ms, timers, timers_dropped;
    _Atomic int waiting_for;
    /* Whether something goes on, for wr_stuck: units begun, the node whose function runs (NULL:
     * none), since when the decide thread is at work by the monotonic clock (0: it is not). */
    _Atomic int64_t units;
    const char *_Atomic calling;
    _Atomic int64_t deciding_us;
    struct wr_histogram decide; /* from the start of a decision to its end */
    /* Where the threads' time went, in microseconds: polling sources and running units (operator
     * thread); deciding and checkpoints (decide thread; with its fsyncs, which wr_store_stats has
     * apart). */
    _Atomic int64_t read_us, operate_us, decided_us;
    int64_t started_us;
    int64_t generation;
};

/* One JSON object, one line: records_in, records_out, rejects, late, epochs, seconds,
 * records_per_s, decide_ms_p50, decide_ms_p99, fsyncs, bytes_written, store_bytes, wal_bytes,
 * lag_records, backlog_records, watermark_ms, timers, generation, waiting_for. `previous_records`
 * and `previous_us` give the rate of a line; with final, totals. */
void wr_metrics_write(const struct wr_metrics *metrics, const struct wr_store_stats *store,
                      enum wr_waiting waiting, int64_t now_us, int64_t previous_records,
                      int64_t previous_us, bool final, FILE *file);
const char *wr_waiting_name(enum wr_waiting waiting);

#endif
