/* follow.h: one embedded topic of a store, followed while another process writes it: a read-only
 * connection that is asked over and over where the topic ends, and for the batch at an offset. What
 * a `log:` source and `weir consume` have in common.
 *
 * Each call ends its snapshot before it returns: the writer's write-ahead log can start over. What
 * lies below a partition's first kept offset was trimmed by the topic's retention, which waits for
 * no reader. Thread: one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_FOLLOW_H
#define WR_FOLLOW_H

#include "txn/store.h"

struct wr_rows;

struct wr_follow {
    struct wr_env *env;
    struct wr_reader *reader; /* the caller's */
    struct wr_topic topic;
    char store_id[33];
    char path[WR_URI_BYTES_MAX]; /* of the store, absolute, without symbolic links */
    struct wr_extent *extents; /* by partition, as of the last look */
    bool gone; /* the topic was deleted, or its store replaced by another file */
    /* Private. */
    struct wr_rows *version_rows, *extent_rows, *batch_rows;
    int64_t version; /* SQLite's count of the transactions of others, -1: never looked */
    uint64_t device, inode;
    int64_t checked_us;
};

/* Follows `topic` of the store behind `reader`, which is open and stays so; `path` is that store's.
 * Looks for the first time. The caller closes it, also after a failure. */
weir_status wr_follow_open(struct wr_env *env, struct wr_reader *reader, const char *path,
                           const struct wr_topic *topic, struct wr_arena *arena,
                           struct wr_follow *follow, struct wr_error *error);
void wr_follow_close(struct wr_follow *follow);

/* Brings the extents up to date; costs next to nothing when nobody wrote to the store.
 * `changed_out` (NULL: not wanted): somebody did, or `always`. Sets `gone`, and then the extents
 * stay as they were. */
weir_status wr_follow_look(struct wr_follow *follow, bool always, bool *changed_out,
                           struct wr_error *error);

/* The batch that holds an offset, and the running CRC of the log around it. */
struct wr_followed {
    weir_bytes bytes; /* in the arena, not yet checked: wr_batch_open does that; absent: there is
                         no batch that holds the offset */
    int64_t first, next; /* offsets */
    uint32_t crc_first, crc_next; /* running CRC of the log below `first`, below `next` */
    bool crc_first_known; /* false: the batch before is trimmed */
};
weir_status wr_follow_batch(struct wr_follow *follow, int32_t partition, int64_t offset,
                            struct wr_arena *arena, struct wr_followed *found_out,
                            struct wr_error *error);

/* Whether the log up to `offset` had this running CRC. WR_SAME_TRIMMED: nothing is kept that could
 * tell. */
enum wr_same { WR_SAME_YES, WR_SAME_NO, WR_SAME_TRIMMED };
weir_status wr_follow_compare(struct wr_follow *follow, int32_t partition, int64_t offset,
                              uint32_t crc, enum wr_same *same_out, struct wr_error *error);

/* The topics of a store that are not a sink's outbox: one by name, and the names of all in a text
 * for people, "a, b" or "none". *topic_out has no name when there is none of this name. */
weir_status wr_follow_find(struct wr_reader *reader, const char *name, struct wr_arena *arena,
                           struct wr_topic *topic_out, char *names, size_t size,
                           struct wr_error *error);

#endif
