/* compare.h: what a job left behind, against what its input implies, record by record. It knows
 * nothing of stores and processes: both sides come as plain records, so that a test can feed it
 * damage.
 *
 * A record is known by its stream (topic and partition), time and key; where a job keeps no state,
 * by its value too. Of records that have all of these in common the n-th found is the n-th
 * expected.
 *
 *   lost           expected, not found
 *   repeated       found more often than expected; what was never expected counts here as well,
 *                  since each record that is found is either one of the expected or one too many
 *   reordered      without the surplus (the first copies stay: a replay repeats, it does not
 *                  reorder): found right after one of its stream that was expected later. Two
 *                  neighbours swapped are one
 *   state_errors   keys of a stream whose last value is not the one expected last; also keys that
 *                  were found and never expected, and the reverse. -1: the job keeps no state
 *
 * For a job that keeps state an output's value is what its state was, and so depends on what came
 * before: one lost or repeated record makes the values of its key wrong from there on. That is one
 * damage, and shows once in state_errors; so values are no part of what a record is known by.
 *
 * Memory: 16 bytes for each record of either side, as much again for the larger side while it
 * sorts, and about 60 for each key. Stream, time and key are kept as a hash of 64 bits: among
 * 2^25 records two different ones are taken for the same with a probability of 3 in 100,000.
 *
 * Thread: one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_COMPARE_H
#define WR_COMPARE_H

#include "txn/base/error.h"

enum {
    WR_COMPARE_RECORDS_MAX = 1 << 25, /* of both sides together: half a GiB, 0.75 for a moment */
    WR_COMPARE_STREAMS_MAX = 1 << 20,
};

struct wr_compare;

struct wr_compared {
    uint32_t stream; /* by wr_compare_stream */
    int64_t time_ms;
    weir_bytes key, value;
};

struct wr_difference {
    int64_t expected, found; /* records */
    int64_t lost, repeated, reordered, state_errors;
};

/* `stateful`: the job keeps state. `records_max`: at most WR_COMPARE_RECORDS_MAX. */
weir_status wr_compare_new(bool stateful, int64_t records_max, struct wr_compare **compare_out,
                           struct wr_error *error);
/* NULL is ignored. */
void wr_compare_free(struct wr_compare *compare);

/* The number of a topic's partition, the same for both sides. The name is copied. */
weir_status wr_compare_stream(struct wr_compare *compare, const char *topic, int32_t partition,
                              uint32_t *stream_out, struct wr_error *error);

/* One record of either side, each stream's in its order; the sides and the streams may come in any
 * order. Nothing of the record is kept. 64 when there are more than `records_max`. */
weir_status wr_compare_expect(struct wr_compare *compare, const struct wr_compared *record,
                              struct wr_error *error);
weir_status wr_compare_find(struct wr_compare *compare, const struct wr_compared *record,
                            struct wr_error *error);

/* The result. Once: it uses up what was fed. */
void wr_compare_end(struct wr_compare *compare, struct wr_difference *difference_out);

#endif
