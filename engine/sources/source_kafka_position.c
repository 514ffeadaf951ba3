/* source_kafka_position.c: where a kafka: source begins to read, and whether that is still in the
 * topic that was read so far. With each position goes the identity
 *
 *     cluster:ID[;seen:OFFSET:TIME:CRC][;seen:OFFSET:TIME:CRC]
 *
 * of records that were read: the last one before the poll that the position is in, or behind, and
 * the first one of it. The later of them that is below the position is read again at a start, and
 * must be what it was: else the topic was deleted and made again, which brokers do not tell this
 * client. One that retention or compaction has removed says nothing, and the source goes on.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/sources/source_kafka.h"
#include "txn/base/assert.h"

enum {
    BEHIND_US = 3000000, /* how long a broker that was just elected may not know its end */
    CHECK_MS = 5000,
    WHAT_BYTES = 320,
};

/* ---- Identity -------------------------------------------------------------------------------- */

void wr_kafka_show_identity(struct wr_kafka_partition *partition)
{
    const struct wr_kafka_identity *identity = &partition->identity;
    size_t size = sizeof partition->text;
    size_t used = (size_t)snprintf(partition->text, size, "cluster:%.63s", identity->cluster);
    for (int i = 0; i < 2; i++) {
        const struct wr_kafka_seen *seen = &identity->seen[i];
        if (seen->offset >= 0) {
            used += (size_t)snprintf(partition->text + used, size - used,
                                     ";seen:%" PRId64 ":%" PRId64 ":%08" PRIx32, seen->offset,
                                     seen->time_ms, seen->crc);
        }
    }
    wr_assert_that(used, <, size);
}

static bool parse_identity(const char *text, struct wr_kafka_identity *out)
{
    int read = 0;
    *out = (struct wr_kafka_identity){.seen = {{.offset = -1}, {.offset = -1}}};
    if (strncmp(text, "cluster:", 8) != 0) {
        return false;
    }
    text += 8;
    size_t size = strcspn(text, ";");
    if (size >= sizeof out->cluster) {
        return false;
    }
    memcpy(out->cluster, text, size);
    text += size;
    for (int i = 0; i < 2 && *text; i++, text += read) {
        struct wr_kafka_seen *seen = &out->seen[i];
        if (sscanf(text, ";seen:%" SCNd64 ":%" SCNd64 ":%8" SCNx32 "%n", &seen->offset,
                   &seen->time_ms, &seen->crc, &read) != 3 ||
            seen->offset < 0) {
            return false;
        }
    }
    return !*text;
}

void wr_kafka_note_seen(struct wr_kafka_partition *partition, const struct wr_kafka_seen *first,
                        const struct wr_kafka_seen *last)
{
    struct wr_kafka_identity *identity = &partition->identity;
    if (partition->base.kept != partition->sealed_kept) { /* what went with that is still there */
        partition->sealed = *identity;
        partition->sealed_kept = partition->base.kept;
    }
    identity->seen[0] = partition->last;
    identity->seen[1] = *first;
    partition->last = *last;
    memcpy(identity->cluster, partition->source->cluster, sizeof identity->cluster);
    wr_kafka_show_identity(partition);
}

/* The latest of the records known that is below the position. */
static struct wr_kafka_seen latest_below(const struct wr_kafka_identity *identity, int64_t next)
{
    struct wr_kafka_seen found = {.offset = -1};
    for (int i = 0; i < 2; i++) {
        const struct wr_kafka_seen *seen = &identity->seen[i];
        if (seen->offset < next && seen->offset > found.offset) {
            found = *seen;
        }
    }
    return found;
}

static void set_seen(struct wr_kafka_partition *partition, struct wr_kafka_seen seen)
{
    partition->identity.seen[0] = seen;
    partition->identity.seen[1] = (struct wr_kafka_seen){.offset = -1};
    partition->last = seen;
    memcpy(partition->identity.cluster, partition->source->cluster,
           sizeof partition->identity.cluster);
    wr_kafka_show_identity(partition);
}

void wr_kafka_forget_seen(struct wr_kafka_partition *partition)
{
    int64_t next = partition->base.next;
    struct wr_kafka_seen now = latest_below(&partition->identity, next);
    struct wr_kafka_seen then = latest_below(&partition->sealed, next);
    set_seen(partition, now.offset > then.offset ? now : then);
}

/* ---- When records are not there -------------------------------------------------------------- */

static weir_status fail_cluster(const struct wr_kafka_source *source,
                                const struct wr_kafka_partition *partition, struct wr_error *error)
{
    return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                   "source %s: topic %s, partition %d, was read up to offset %" PRId64
                   " in the cluster %.40s, and %.200s belongs to the cluster %.40s, where offsets "
                   "mean other records; give the old brokers (-i %s=URI), or read this one from "
                   "its beginning: start once with --rewind %s=earliest",
                   source->base.name, source->topic, (int)partition->base.index,
                   partition->base.next, partition->identity.cluster, source->endpoint.brokers,
                   source->cluster, source->base.name, source->base.name);
}

/* Where to go on although the position is not there (any more): by ?missing, or 78 with `what`
 * happened. `other`: what was seen is of another topic. */
static weir_status go_on(struct wr_kafka_source *source, struct wr_kafka_partition *partition,
                         const struct wr_kafka_extent *extent, const char *what, bool other,
                         struct wr_error *error)
{
    const char *name = source->base.name;
    int number = (int)partition->base.index;
    if (source->missing == WR_KAFKA_MISSING_FAIL) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "source %s: topic %s, partition %d, of %.200s: %s; choose where to go on: "
                       "?missing=earliest in its URI (offset %" PRId64
                       ", the first that is kept) or missing=latest (offset %" PRId64
                       ", the end), or start once with --rewind %s=earliest",
                       name, source->topic, number, source->endpoint.brokers, what, extent->first,
                       extent->end, name);
    }
    partition->base.next =
        source->missing == WR_KAFKA_MISSING_EARLIEST ? extent->first : extent->end;
    partition->verify.offset = -1;
    if (other) {
        set_seen(partition, (struct wr_kafka_seen){.offset = -1});
        partition->sealed = partition->identity;
    }
    wr_log(source->base.env, WR_LOG_WARN,
           "source %s: topic %s, partition %d: %s; going on at offset %" PRId64, name,
           source->topic, number, what, partition->base.next);
    return WEIR_OK;
}

static weir_status fail_rewound(const struct wr_kafka_source *source,
                                const struct wr_kafka_partition *partition,
                                const struct wr_kafka_extent *extent, struct wr_error *error)
{
    return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                   "source %s: --rewind: topic %s, partition %d, of %.200s holds offsets from "
                   "%" PRId64 " to %" PRId64 ", so it cannot be read from %" PRId64
                   "; give one of these, or earliest",
                   source->base.name, source->topic, (int)partition->base.index,
                   source->endpoint.brokers, extent->first, extent->end, partition->base.next);
}

/* Beyond the end: a broker that was just elected may need a moment to know it. */
static bool may_be_behind(struct wr_kafka_partition *partition)
{
    struct wr_env *env = partition->source->base.env;
    int64_t now_us = env->monotonic_us(env);
    if (partition->beyond_us == 0) {
        partition->beyond_us = now_us;
    }
    return now_us - partition->beyond_us < BEHIND_US;
}

weir_status wr_kafka_check(struct wr_kafka_source *source, struct wr_kafka_partition *partition,
                           const struct wr_kafka_extent *extent, bool *again_out,
                           struct wr_error *error)
{
    char what[WHAT_BYTES];
    int64_t next = partition->base.next;
    const char *cluster = partition->identity.cluster;
    *again_out = false;
    if (*cluster && *source->cluster && strcmp(cluster, source->cluster) != 0) {
        return fail_cluster(source, partition, error);
    }
    bool beyond = next > extent->end;
    if (beyond && may_be_behind(partition)) {
        *again_out = true;
        return WEIR_OK;
    }
    partition->beyond_us = 0;
    partition->checked = true;
    partition->verify = latest_below(&partition->identity, next);
    if (partition->verify.offset < extent->first) {
        partition->verify.offset = -1; /* retention removed it */
    }
    if (next >= extent->first && !beyond) {
        return WEIR_OK;
    }
    if (source->base.rewound) { /* whatever missing= says: nobody asked for anything else */
        return fail_rewound(source, partition, extent, error);
    }
    if (beyond) {
        snprintf(what, sizeof what,
                 "it was read up to offset %" PRId64 " and ends at %" PRId64 " now: it was deleted "
                 "and made again, or brokers lost its end",
                 next, extent->end);
    } else {
        snprintf(what, sizeof what,
                 "it was read up to offset %" PRId64 ", and the records up to %" PRId64
                 " are gone: its retention, or somebody, has removed them",
                 next, extent->first - 1);
    }
    return go_on(source, partition, extent, what, beyond, error);
}

weir_status wr_kafka_other(struct wr_kafka_source *source, struct wr_kafka_partition *partition,
                           const struct wr_kafka_seen *now, struct wr_error *error)
{
    char what[WHAT_BYTES];
    struct wr_kafka_extent extent = {.end = partition->base.next};
    (void)wr_kafka_extent_of(source, partition->base.index, 0, &extent);
    snprintf(what, sizeof what,
             "it was read up to offset %" PRId64 ", and at offset %" PRId64
             " it has another record now (of time %" PRId64 ", not %" PRId64
             "): it was deleted and made again",
             partition->base.next, now->offset, now->time_ms, partition->verify.time_ms);
    return go_on(source, partition, &extent, what, true, error);
}

/* ---- Positions ------------------------------------------------------------------------------- */

/* At a start brokers are asked again until they have had their time. */
static weir_status check_now(struct wr_kafka_source *source, struct wr_kafka_partition *partition,
                             struct wr_error *error)
{
    struct wr_kafka_extent extent;
    bool again = true;
    uint64_t question = 0;
    while (again && wr_kafka_extent_of(source, partition->base.index, question, &extent)) {
        WR_TRY(wr_kafka_check(source, partition, &extent, &again, error));
        if (again) {
            question = wr_kafka_ask(source);
            wr_kafka_wait(source, question, CHECK_MS);
            WR_TRY(wr_kafka_failed(source, error));
        }
    }
    partition->asked = partition->checked ? 0 : question;
    return WEIR_OK;
}

weir_status wr_kafka_seek(struct wr_source *base, struct wr_source_partition *at,
                          const struct wr_position *stored, struct wr_error *error)
{
    struct wr_kafka_source *source = wr_kafka_source_of(base);
    struct wr_kafka_partition *partition = wr_kafka_partition_of(at);
    if (!stored) {
        return WEIR_OK; /* it is where it was made */
    }
    if (stored->next < 0 || !stored->identity ||
        !parse_identity(stored->identity, &partition->identity)) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                       "source %s: the store's position in partition %s is damaged: %" PRId64
                       ", \"%.200s\"; `weir verify` shows what else is",
                       base->name, at->part, stored->next,
                       stored->identity ? stored->identity : "");
    }
    at->next = stored->next;
    partition->stands = at->next;
    partition->sealed = partition->identity;
    partition->sealed_kept = at->next;
    partition->last = latest_below(&partition->identity, at->next);
    wr_kafka_show_identity(partition);
    WR_TRY(check_now(source, partition, error));
    partition->stands = at->next;
    return WEIR_OK;
}

weir_status wr_kafka_bound(struct wr_source *base, struct wr_source_partition *at,
                           struct wr_error *error)
{
    struct wr_kafka_source *source = wr_kafka_source_of(base);
    struct wr_kafka_partition *partition = wr_kafka_partition_of(at);
    struct wr_kafka_extent extent = {.end = at->next}; /* of a partition that is no more */
    (void)error;
    (void)wr_kafka_extent_of(source, at->index, 0, &extent);
    at->end = extent.end;
    if (partition->verify.offset >= 0 && at->next >= at->end) {
        partition->bound = at->end; /* first it must be the topic that was read */
        at->end = INT64_MAX;
    }
    return WEIR_OK;
}
