/* source_kafka.h: what the files behind kafka: sources share.
 *
 *   source_kafka.c           the source: opened, closed, the rest of the seam
 *   source_kafka_poll.c      one poll of one partition
 *   source_kafka_record.c    from librdkafka's messages to records
 *   source_kafka_position.c  where to begin, and whether that is still in the topic read so far
 *   source_kafka_start.c     partitions made: from stored positions, and from what brokers say
 *   source_kafka_control.c   the thread that asks brokers what may take long
 *   source_kafka_look.c      what it asks them
 *   source_kafka_group.c     positions written to a consumer group, for tools that show lag
 *
 * Two threads: the operator thread polls, assigns and seeks, none of which waits for a broker; the
 * control thread asks brokers for partitions and for the first and last offsets, and leaves its
 * answers under the mutex. Librdkafka's own threads ring the bell when records come.
 *
 * Each partition has a queue of its own: how much is fetched ahead of one says nothing of another,
 * so that an idle partition is known to be one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_SOURCE_KAFKA_H
#define WR_SOURCE_KAFKA_H

#include <pthread.h>

#include "engine/sources/source.h"
#include "txn/kafka_client.h"

enum {
    WR_KAFKA_TOPIC_BYTES_MAX = 249, /* Kafka's own limit */
    WR_KAFKA_CLUSTER_BYTES_MAX = 64, /* an id has 22 */
    WR_KAFKA_CALL_MS = 1000, /* of one call to brokers, by the control thread */
};

enum wr_kafka_missing { WR_KAFKA_MISSING_FAIL, WR_KAFKA_MISSING_EARLIEST, WR_KAFKA_MISSING_LATEST };

/* What a record that was read is known by. */
struct wr_kafka_seen {
    int64_t offset; /* -1: none */
    int64_t time_ms;
    uint32_t crc; /* CRC32C of key and value */
};

/* What a position says of the topic that it is in. */
struct wr_kafka_identity {
    char cluster[WR_KAFKA_CLUSTER_BYTES_MAX]; /* "": not known */
    struct wr_kafka_seen seen[2]; /* of records below the position, and maybe one above it */
};

struct wr_kafka_source;

struct wr_kafka_partition {
    struct wr_source_partition base;
    struct wr_kafka_source *source;
    struct wr_kafka_identity identity; /* of what was polled */
    struct wr_kafka_identity sealed; /* as of when the engine last sealed */
    int64_t sealed_kept; /* base.kept then */
    struct wr_kafka_seen last; /* of the last poll that had records */
    rd_kafka_queue_t *queue; /* NULL: not assigned */
    int64_t stands; /* the offset that the queue goes on at */
    struct wr_kafka_seen verify; /* the record that must come first; offset -1: none */
    int64_t bound; /* what base.end becomes once that was seen; -1: it is */
    int64_t beyond_us; /* since when the position is beyond the end; 0: it is not */
    uint64_t asked; /* the answers of the control thread that it waits for; 0: none */
    bool checked; /* the position is within what the topic keeps */
    _Atomic int64_t decided; /* base.decided, for the control thread */
    int64_t told; /* what the group has; the control thread's */
    char part[WR_KAFKA_TOPIC_BYTES_MAX + 16];
    char text[256]; /* identity as text */
};

/* What brokers said of one partition. */
struct wr_kafka_extent {
    bool known;
    int64_t first, end; /* end: as a reader of what is committed sees it */
    int64_t begin; /* where ?start says to begin */
};

struct wr_kafka_control { /* the mutex guards what both threads use */
    pthread_t thread;
    bool runs;
    pthread_mutex_t mutex;
    pthread_cond_t for_control, for_source;
    bool quit;
    bool drained; /* room for more was made */
    uint64_t asked, answered; /* rounds of questions: asked for, and answered */
    bool whole; /* every partition that is read has been answered for, once */
    char cluster[WR_KAFKA_CLUSTER_BYTES_MAX];
    int32_t partitions; /* of the topic; 0: not known */
    struct wr_kafka_extent *extents; /* by partition; as many as `room` */
    int32_t room;
    struct wr_error failure; /* stops the run */
    _Atomic bool failed;
    _Atomic uint64_t news; /* counts what changed above */
    int gone; /* times in a row that there was no such topic; the control thread's */
    int64_t looked_us, told_us; /* the control thread's */
};

struct wr_kafka_bell {
    pthread_mutex_t mutex;
    void (*ring)(void *data);
    void *data;
};

struct wr_kafka_source {
    struct wr_source base;
    struct wr_arena *arena; /* the run's: operator thread */
    struct wr_endpoint endpoint;
    const char *topic;
    char what[WR_NAME_BYTES_MAX + 16]; /* "source NAME" */
    char group[WR_NAME_BYTES_MAX + 16]; /* "": none is told */
    struct wr_begin begin; /* where it begins without positions */
    enum wr_kafka_missing missing;
    const struct wr_kafka_properties *properties;
    struct wr_kafka_link link;
    rd_kafka_t *client;
    struct wr_kafka_control control;
    struct wr_kafka_bell bell;
    struct wr_source_partition *list[WR_PARTITIONS_MAX]; /* base.partitions */
    _Atomic size_t listed; /* how many of them the control thread may look at */
    bool stored; /* the store had positions of it */
    bool begun; /* its first partitions are chosen: later ones start at their beginning */
    uint64_t taken; /* control.news as of the last look for new partitions */
    int32_t taken_partitions; /* those below were looked at */
    char cluster[WR_KAFKA_CLUSTER_BYTES_MAX]; /* control.cluster, once it was known */
    rd_kafka_message_t *held[WR_POLL_RECORDS_MAX]; /* of the last poll */
    size_t held_count;
    size_t batch; /* messages of the next poll */
    size_t drained; /* bytes, since the control thread was told */
};

static inline struct wr_kafka_source *wr_kafka_source_of(struct wr_source *source)
{
    return (struct wr_kafka_source *)source;
}

static inline struct wr_kafka_partition *wr_kafka_partition_of(
    struct wr_source_partition *partition)
{
    return (struct wr_kafka_partition *)partition;
}

/* ---- source_kafka.c -------------------------------------------------------------------------- */

/* Whether the URI asks for this partition of the topic. Thread: any. */
bool wr_kafka_wants(const struct wr_kafka_source *source, int32_t number);
/* Makes the client; another one when there is one that nothing was asked of. `kilobytes` are
 * fetched ahead for each partition. Thread: control, or before it is there. */
weir_status wr_kafka_connect(struct wr_kafka_source *source, int kilobytes, struct wr_error *error);
/* Something may have come. Thread: any. */
void wr_kafka_ring(struct wr_kafka_source *source);

/* ---- source_kafka_record.c ------------------------------------------------------------------- */

/* Appends a message to a poll that has room for it; the record points into it. */
weir_status wr_kafka_take_record(rd_kafka_message_t *message, struct wr_polled *polled,
                                 struct wr_error *error);
struct wr_kafka_seen wr_kafka_see(const rd_kafka_message_t *message);

/* ---- source_kafka_poll.c --------------------------------------------------------------------- */

weir_status wr_kafka_poll(struct wr_source *source, struct wr_source_partition *partition,
                          struct wr_polled *polled, enum wr_source_more *more_out,
                          struct wr_error *error);
/* Frees what the last poll gave. */
void wr_kafka_drop_held(struct wr_kafka_source *source);

/* ---- source_kafka_position.c ----------------------------------------------------------------- */

void wr_kafka_show_identity(struct wr_kafka_partition *partition);
/* What is known of the topic goes with the partition's positions from here on. */
void wr_kafka_note_seen(struct wr_kafka_partition *partition, const struct wr_kafka_seen *first,
                        const struct wr_kafka_seen *last);
/* An undo moved the position back: what is above it was not seen. */
void wr_kafka_forget_seen(struct wr_kafka_partition *partition);
/* Brings a position that is outside of what the topic keeps to where ?missing says; 78 when that is
 * not said. *again_out: the brokers may be behind, ask them again. */
weir_status wr_kafka_check(struct wr_kafka_source *source, struct wr_kafka_partition *partition,
                           const struct wr_kafka_extent *extent, bool *again_out,
                           struct wr_error *error);
/* The record that was read last is another one now. */
weir_status wr_kafka_other(struct wr_kafka_source *source, struct wr_kafka_partition *partition,
                           const struct wr_kafka_seen *now, struct wr_error *error);
weir_status wr_kafka_seek(struct wr_source *source, struct wr_source_partition *partition,
                          const struct wr_position *stored, struct wr_error *error);
weir_status wr_kafka_bound(struct wr_source *source, struct wr_source_partition *partition,
                           struct wr_error *error);

/* ---- source_kafka_start.c -------------------------------------------------------------------- */

weir_status wr_kafka_arrange(struct wr_source *source, const struct wr_position *const *stored,
                             size_t count, struct wr_error *error);
weir_status wr_kafka_discover(struct wr_source *source, struct wr_error *error);

/* ---- source_kafka_control.c ------------------------------------------------------------------ */

weir_status wr_kafka_control_start(struct wr_kafka_source *source, struct wr_error *error);
/* Waits for the thread, a bounded time. */
void wr_kafka_control_stop(struct wr_kafka_source *source);
/* Asks for all of it again; the number of the answer. */
uint64_t wr_kafka_ask(struct wr_kafka_source *source);
/* There is room again for what is fetched ahead. Librdkafka's thread looks for it with whatever it
 * has to do next, and else once a second, which is a pause of so long each time that every
 * partition has all it may; so the control thread then asks it something. */
void wr_kafka_drained(struct wr_kafka_source *source);
/* The control thread's failure, if it has one. */
weir_status wr_kafka_failed(struct wr_kafka_source *source, struct wr_error *error);
/* Waits until that question was answered, all is known, or so much time is over. */
void wr_kafka_wait(struct wr_kafka_source *source, uint64_t question, int64_t wait_ms);
/* What is known of one partition; false: nothing newer than that question's answer. */
bool wr_kafka_extent_of(struct wr_kafka_source *source, int32_t number, uint64_t question,
                        struct wr_kafka_extent *extent_out);

/* ---- source_kafka_look.c --------------------------------------------------------------------- */

/* Asks for what is not known, or for all of it when that was asked for. Fails as wr_kafka_topic
 * does, and with 78 when the brokers are of another cluster than before. */
weir_status wr_kafka_look(struct wr_kafka_source *source, struct wr_error *error);
/* Asks the leader of each partition for something, whatever the answer. */
void wr_kafka_wake(struct wr_kafka_source *source);

/* ---- source_kafka_group.c -------------------------------------------------------------------- */

/* Writes what was decided since to the group. Waits up to wait_ms. Thread: control. */
void wr_kafka_group_tell(struct wr_kafka_source *source, int wait_ms);

#endif
