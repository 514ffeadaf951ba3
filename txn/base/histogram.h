/* histogram.h: counts of times, from which quantiles are read. Log-linear, as HdrHistogram's:
 * values below 16 have a bucket each, and every power of two above is cut into 16 buckets of equal
 * width. 512 buckets reach 2^35 microseconds, more than nine hours; what a quantile says (the
 * middle of its bucket) is within about 3 %.
 *
 * Thread: one adds, any reads (relaxed atomics, no lock).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_HISTOGRAM_H
#define WR_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

enum { WR_HISTOGRAM_BUCKETS = 512 };

struct wr_histogram { /* zeroed: empty */
    _Atomic int64_t counts[WR_HISTOGRAM_BUCKETS];
    _Atomic int64_t highest;
};

/* Adds `count` times of `microseconds` (below 0: 0). */
void wr_histogram_add(struct wr_histogram *histogram, int64_t microseconds, int64_t count);
/* Adds all of another one. */
void wr_histogram_merge(struct wr_histogram *histogram, const struct wr_histogram *other);
/* In microseconds, at a quantile (0.5, 0.99, 0.999); 0: empty. Never above the highest. */
double wr_histogram_us(const struct wr_histogram *histogram, double quantile);
int64_t wr_histogram_highest_us(const struct wr_histogram *histogram); /* exact */
int64_t wr_histogram_count(const struct wr_histogram *histogram);

#endif
