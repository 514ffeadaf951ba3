/* histogram.c: see histogram.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "txn/base/histogram.h"

#include "txn/base/assert.h"

enum { SUB_BITS = 4, SUB = 1 << SUB_BITS };
_Static_assert(WR_HISTOGRAM_BUCKETS == 32 * SUB, "the exact values, and 31 powers of two");

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

static int64_t load(const _Atomic int64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void raise_highest(struct wr_histogram *histogram, int64_t microseconds)
{
    if (microseconds > load(&histogram->highest)) {
        atomic_store_explicit(&histogram->highest, microseconds, memory_order_relaxed);
    }
}

void wr_histogram_add(struct wr_histogram *histogram, int64_t microseconds, int64_t count)
{
    int bucket = bucket_of(microseconds);
    wr_assert_that(bucket, <, WR_HISTOGRAM_BUCKETS);
    atomic_fetch_add_explicit(&histogram->counts[bucket], count, memory_order_relaxed);
    raise_highest(histogram, microseconds);
}

void wr_histogram_merge(struct wr_histogram *histogram, const struct wr_histogram *other)
{
    for (int bucket = 0; bucket < WR_HISTOGRAM_BUCKETS; bucket++) {
        atomic_fetch_add_explicit(&histogram->counts[bucket], load(&other->counts[bucket]),
                                  memory_order_relaxed);
    }
    raise_highest(histogram, load(&other->highest));
}

int64_t wr_histogram_count(const struct wr_histogram *histogram)
{
    int64_t total = 0;
    for (int bucket = 0; bucket < WR_HISTOGRAM_BUCKETS; bucket++) {
        total += load(&histogram->counts[bucket]);
    }
    return total;
}

int64_t wr_histogram_highest_us(const struct wr_histogram *histogram)
{
    return load(&histogram->highest);
}

double wr_histogram_us(const struct wr_histogram *histogram, double quantile)
{
    int64_t total = wr_histogram_count(histogram), below = 0;
    double wanted = quantile * (double)total; /* so many are at or below the answer */
    int last = 0;
    for (int bucket = 0; bucket < WR_HISTOGRAM_BUCKETS; bucket++) {
        int64_t count = load(&histogram->counts[bucket]);
        if (count == 0) {
            continue;
        }
        below += count;
        last = bucket;
        if ((double)below >= wanted) {
            break;
        }
    }
    double middle = total == 0 ? 0 : bucket_middle(last),
           highest = (double)load(&histogram->highest);
    return middle < highest ? middle : highest;
}
