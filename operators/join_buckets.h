/* join_buckets.h: what a join of streams keeps of a key: the records of two sides, found by time.
 *
 * They are in buckets of time, about two to what the join's span reaches over, and these in chunks,
 * so that a record costs a few gets and a put, however many are kept, and a bucket goes at once. (A
 * slot for each record, found by weir_scan, was tried: a third of the speed.)
 *
 * State, numbers as weir_i64 or its last 4 bytes:
 *   the absent slot              for each bucket: its first and its last time, how many chunks the
 *                                left and the right side have (4 bytes each)
 *   `l` or `r`, first time of    records, in the order they came: a byte, 1 once it is marked (it
 *   the bucket, number of the    has met a pair, or was emitted alone), its time, the size of its
 *   chunk (4 bytes)              value (4 bytes), its value
 * Timer (first time of a bucket): after all that is in it ceased to be kept.
 *
 * Memory is the call's; when it runs out the epoch is undone, whatever these functions say.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_JOIN_BUCKETS_H
#define WR_JOIN_BUCKETS_H

#include "operators/join.h"

enum {
    WR_GROUP_BYTES = 9, /* side, time */
    WR_CHUNK_SLOT_BYTES = 13,
};
#define WR_TIMER_MAX (INT64_MAX - 1) /* INT64_MAX cancels */

/* How long a new bucket is where a key has few, and how long after a record's time it may be
 * needed. */
struct wr_bucket_rule {
    int64_t width_ms, after_ms;
};

struct wr_bucket {
    int64_t first_ms, last_ms;
    uint32_t chunks[2];
};

/* What a key has. Room for one bucket more. */
struct wr_buckets {
    struct wr_bucket *items;
    size_t count;
};

struct wr_chunk {
    unsigned char slot[WR_CHUNK_SLOT_BYTES];
    weir_bytes bytes;
    unsigned char *changed; /* a copy of them, NULL: as they were */
    struct wr_chunk *next;
};

/* A record in a chunk. */
struct wr_found {
    struct wr_chunk *chunk;
    size_t at; /* in the chunk */
    int64_t time_ms;
    weir_bytes value;
    weir_bytes joined; /* with the record at hand, or alone */
    size_t number;
};

struct wr_found_link {
    struct wr_found found;
    struct wr_found_link *next;
};

/* What is looked for, of one side: from first_ms to last_ms, `single`: not marked; and what was
 * found. */
struct wr_search {
    unsigned side;
    int64_t first_ms, last_ms;
    bool single;
    struct wr_found_link *links, **end;
    size_t count;
    struct wr_found **sorted; /* by time, then in the order they came */
    struct wr_chunk *chunks; /* those that were looked through */
};

/* False: memory ran out. */
bool wr_buckets_read(weir_ctx *ctx, struct wr_buckets *buckets);
void wr_buckets_put(weir_ctx *ctx, const struct wr_buckets *buckets);
/* The bucket that a record of this time is in; NULL: there is none yet. */
struct wr_bucket *wr_buckets_at(const struct wr_buckets *buckets, int64_t time_ms);
/* Makes one, with its timer; it overlaps none that is there. */
struct wr_bucket *wr_buckets_add(weir_ctx *ctx, const struct wr_bucket_rule *rule,
                                 struct wr_buckets *buckets, int64_t time_ms);
/* From this watermark on, nothing of it is kept, and all timers of its records have fired. */
int64_t wr_bucket_end(const struct wr_bucket_rule *rule, const struct wr_bucket *bucket);
/* Adds a record to a bucket of `buckets`, which are to be put when *grew_out. */
void wr_buckets_append(weir_ctx *ctx, struct wr_bucket *bucket, unsigned side,
                       const weir_record *in, bool marked, bool *grew_out);
/* Drops a bucket, but for chunks with records that are not marked, of sides where that counts. */
void wr_buckets_drop(weir_ctx *ctx, const bool marks_count[2], struct wr_buckets *buckets,
                     struct wr_bucket *bucket);

/* Finds what the search asks for. */
void wr_buckets_find(weir_ctx *ctx, const struct wr_buckets *buckets, struct wr_search *search);
bool wr_found_is_marked(const struct wr_found *found);
/* Marks it in a copy of its chunk; wr_chunks_put then puts the chunks that have changed. */
void wr_found_mark(weir_ctx *ctx, struct wr_found *found);
void wr_chunks_put(weir_ctx *ctx, struct wr_chunk *chunks);

/* Side and time: what the slots of a bucket's chunks begin with, with its first time; and a name
 * for timers that are about the records of one side and time. */
weir_bytes wr_group_name(unsigned char at[WR_GROUP_BYTES], unsigned side, int64_t time_ms);
/* The side of such a name. */
unsigned wr_group_side(weir_bytes name);

#endif
