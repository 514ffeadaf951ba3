/* source_log.h: what source_log.c (polls) and source_log_position.c (where to begin, and whether it
 * is still the same log) share.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_SOURCE_LOG_H
#define WR_SOURCE_LOG_H

#include "engine/sources/source.h"
#include "txn/follow.h"

enum { WR_LOG_HELD_MAX = 16 }; /* batches of up to 1 MiB and one record */

enum wr_log_missing { WR_LOG_MISSING_FAIL, WR_LOG_MISSING_EARLIEST, WR_LOG_MISSING_LATEST };

/* What a position says of the log that it is in. */
struct wr_log_identity {
    char store[33];
    int64_t topic;
    int64_t from, to; /* offsets, -1: not known */
    uint32_t from_crc, to_crc;
};

struct wr_log_partition {
    struct wr_source_partition base;
    struct wr_log_identity identity;
    char part[WR_NAME_BYTES_MAX + 16];
    char text[160]; /* identity as text */
};

/* A batch that is being read. */
struct wr_log_held {
    int32_t partition; /* -1: none */
    uint64_t used; /* when, as a count of polls */
    int64_t next; /* the record that `reader` gives next, if any */
    int64_t end;
    struct wr_batch_reader reader;
    struct wr_arena arena; /* of its bytes */
};

struct wr_log_source {
    struct wr_source base;
    const char *uri;
    enum wr_log_missing missing;
    struct wr_reader *reader;
    struct wr_follow follow;
    struct wr_source_watch watches[2];
    struct wr_log_held held[WR_LOG_HELD_MAX];
    uint64_t polls;
    int64_t looked_us;
};

static inline struct wr_log_source *wr_log_of(struct wr_source *source)
{
    return (struct wr_log_source *)source;
}

static inline struct wr_log_partition *wr_log_partition_of(struct wr_source_partition *partition)
{
    return (struct wr_log_partition *)partition;
}

/* Writes partition->identity as text. */
void wr_log_show_identity(struct wr_log_partition *partition);
/* Moves *next, when it is outside of what the topic keeps as of the last look, to where ?missing
 * says to go on; 78 when that is not said. */
weir_status wr_log_check_kept(struct wr_log_source *log, struct wr_source_partition *partition,
                              int64_t *next, struct wr_error *error);
weir_status wr_log_fail_gone(const struct wr_log_source *log, struct wr_error *error);

/* Of the seam. */
weir_status wr_log_arrange(struct wr_source *source, const struct wr_position *const *stored,
                           size_t count, struct wr_error *error);
weir_status wr_log_seek(struct wr_source *source, struct wr_source_partition *partition,
                        const struct wr_position *stored, struct wr_error *error);

#endif
