/* source.h: the seam to where records come from. A source has partitions; the engine polls them in
 * turn, on the operator thread, and keeps their positions.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_SOURCE_H
#define WR_SOURCE_H

#include "engine/endpoint.h"
#include "txn/epoch.h"
#include "txn/kafka.h"

/* Records of one poll of one partition; they stay until the next poll. */
struct wr_polled {
    weir_record *records;
    int64_t *offsets; /* of each record */
    int64_t *nexts; /* position after each record */
    const char **rejects; /* per record, NULL: fine; else why it goes to the dead letters */
    size_t count;
    struct wr_arena arena; /* of all of the above */
};

struct wr_source_partition {
    const char *part; /* the position's key: path, or partition number */
    const char *identity; /* what must not change, stored with each position; NULL: nothing to
                             check. A source whose input is renewed (a rotated file) may change what
                             it points to, and the text: the engine copies it when it seals */
    int64_t next; /* where the next poll starts */
    int64_t kept; /* the engine's: no poll will start below this any more */
    int64_t decided; /* the engine's: the store has this position, or a later one; -1: none. At most
                        a tenth of a second old when lag is asked for */
    int64_t end; /* where a bounded run ends; INT64_MAX: unbounded, or not yet known. By bound */
    int32_t index; /* what operators see as the partition */
    int64_t due_us; /* of the monotonic clock: when the next record comes, where a poll that found
                       none knows; else 0 */
};

/* Files whose change means that records may have come: a source that has them is not polled over
 * and over while it waits. */
struct wr_source_watch {
    const char *directory; /* absolute */
    const char *name; /* of a file in it; NULL: any */
};

enum wr_source_more {
    WR_SOURCE_MORE, /* records were returned, or there may be more at once (also without a record:
                       a very long line is skipped in several polls) */
    WR_SOURCE_WAIT, /* nothing now; ask again later */
    WR_SOURCE_ENDED, /* this partition is read to its end, for ever (position >= end); it comes
                        alone, without records */
};

struct wr_source;
struct wr_source_ops {
    const char *scheme; /* "file", "gen", "log", "kafka" */
    /* Reads up to WR_POLL_RECORDS_MAX records and about WR_POLL_BYTES_MAX bytes of one partition
     * into `polled` (empty, arena reset), from partition->next on, and moves partition->next. The
     * engine moves it back to undo an epoch, so a poll relies on nothing else. Never blocks for
     * data. A record over the limit comes with a reject reason and
     * at most its first WR_RECORD_BYTES_MAX bytes. */
    weir_status (*poll)(struct wr_source *source, struct wr_source_partition *partition,
                        struct wr_polled *polled, enum wr_source_more *more_out,
                        struct wr_error *error);
    /* NULL: the partitions are those that open made, and a stored one that is not among them is
     * refused by the engine. Else called once, before any seek, with every position that the store
     * has of this source: makes the partitions, and says itself what to do when an input of a
     * stored one is gone. */
    weir_status (*arrange)(struct wr_source *source, const struct wr_position *const *stored,
                           size_t count, struct wr_error *error);
    /* NULL: there are never more. Else looks for new partitions and appends them to
     * source->partitions, their `next` set; those there are stay where they are. Called between
     * units, about once a second and when a watch fires; not in a run that ends at --until-end. */
    weir_status (*discover)(struct wr_source *source, struct wr_error *error);
    /* Checks the stored position of a partition (its identity, and that it is not beyond the end)
     * and makes the next poll start there: sets partition->next. stored NULL: start at the
     * beginning. 78 or 66 with what to do when the input changed, shrank or vanished. A position
     * that --rewind set (source->rewound) is checked as any other, but the text says so. */
    weir_status (*seek)(struct wr_source *source, struct wr_source_partition *partition,
                        const struct wr_position *stored, struct wr_error *error);
    /* Fixes partition->end to where the input ends now (--until-end). Bounded sources have it fixed
     * by open. */
    weir_status (*bound)(struct wr_source *source, struct wr_source_partition *partition,
                         struct wr_error *error);
    /* Records (or an estimate, for files) between the position and the end now; -1: not known.
     * Operator thread. */
    int64_t (*lag)(struct wr_source *source, const struct wr_source_partition *partition);
    /* NULL: nothing is told. Else the source calls `ring` whenever records may have come, on any
     * thread, and is not polled over and over while it waits. ring NULL: no more; it is not called
     * once this returns. */
    void (*listen)(struct wr_source *source, void (*ring)(void *data), void *data);
    /* NULL: never. Whether what it reads from cannot be reached at this moment: it waits. */
    bool (*is_away)(struct wr_source *source);
    void (*close)(struct wr_source *source);
};

struct wr_source { /* the first member of each source's own struct */
    const struct wr_source_ops *ops;
    struct wr_env *env;
    const char *name;
    bool bounded; /* ends by itself */
    int64_t paced_from_us; /* records are due at a rate since this moment of the monotonic clock; 0:
                              as fast as they are polled. Fixed once the run has started */
    bool leaps; /* its positions move without records too, and where it begins is chosen once: the
                   engine decides positions when there is nothing else to decide */
    bool rewound; /* the engine's, before seek: the positions are what --rewind asked for */
    bool restarted; /* the engine's, before arrange: --rewind earliest took its positions away */
    bool until_end; /* the engine's, before arrange: the run ends where inputs end at its start */
    struct wr_source_partition **partitions; /* each stays where it is; the array may move */
    size_t partition_count; /* at most WR_PARTITIONS_MAX */
    const struct wr_source_watch *watches; /* fixed once opened */
    size_t watch_count; /* 0: polled every few milliseconds while it waits */
};

/* By the endpoint's scheme. 64: unknown scheme or parameter; 66: missing file. Allocates from
 * `arena` (the job's). The caller closes the source by source->ops->close. */
weir_status wr_source_open(struct wr_env *env, const char *name, const struct wr_endpoint *endpoint,
                           struct wr_arena *arena, struct wr_source **source_out,
                           struct wr_error *error);
/* For sources: an array of `count` pointers to partitions, themselves zeroed; NULL: no memory. */
struct wr_source_partition **wr_partitions_new(struct wr_arena *arena, size_t count);
/* For sources: room for `count` records in an empty wr_polled, no rejects set; false: no memory. */
bool wr_polled_reserve(struct wr_polled *polled, size_t count);

weir_status wr_source_file_open(struct wr_env *env, const char *name,
                                const struct wr_endpoint *endpoint, struct wr_arena *arena,
                                struct wr_source **source_out, struct wr_error *error);
weir_status wr_source_gen_open(struct wr_env *env, const char *name,
                               const struct wr_endpoint *endpoint, struct wr_arena *arena,
                               struct wr_source **source_out, struct wr_error *error);
weir_status wr_source_log_open(struct wr_env *env, const char *name,
                               const struct wr_endpoint *endpoint, struct wr_arena *arena,
                               struct wr_source **source_out, struct wr_error *error);
/* job: of the consumer group that shows positions, weir.JOB; NULL: none does. */
weir_status wr_source_kafka_open(struct wr_env *env, const char *name,
                                 const struct wr_endpoint *endpoint, const char *job,
                                 const struct wr_kafka_properties *properties,
                                 struct wr_arena *arena, struct wr_source **source_out,
                                 struct wr_error *error);

#endif
