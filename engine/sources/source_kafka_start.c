/* source_kafka_start.c: which partitions a kafka: source has: those that the store has positions
 * of, which need no broker to be known, and those that brokers tell of, at the start or later.
 *
 * Where a source without any position begins (?start) is chosen once, for all of its partitions
 * together, and decided with the first epoch, which the engine seals also without a record.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sources/source_kafka.h"
#include "txn/base/assert.h"

enum { ANSWER_MS = 5000 };

/* ---- Partitions ------------------------------------------------------------------------------ */

static bool has_partition(const struct wr_kafka_source *source, int32_t number)
{
    for (size_t i = 0; i < source->base.partition_count; i++) {
        if (source->list[i]->index == number) {
            return true;
        }
    }
    return false;
}

static weir_status add_partition(struct wr_kafka_source *source, int32_t number, int64_t next,
                                 struct wr_error *error)
{
    size_t count = source->base.partition_count;
    struct wr_kafka_partition *partition = wr_arena_zalloc(source->arena, sizeof *partition);
    if (!partition) {
        return wr_fail_memory(error);
    }
    if (count == WR_PARTITIONS_MAX) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                       "source %s: topic %s has more partitions than the limit, %d; read a part "
                       "of them with ?partitions=0-%d",
                       source->base.name, source->topic, WR_PARTITIONS_MAX, WR_PARTITIONS_MAX - 1);
    }
    snprintf(partition->part, sizeof partition->part, "%s/%d", source->topic, (int)number);
    partition->source = source;
    partition->identity.seen[0].offset = partition->identity.seen[1].offset = -1;
    memcpy(partition->identity.cluster, source->cluster, sizeof source->cluster);
    partition->sealed = partition->identity;
    partition->last.offset = partition->verify.offset = partition->bound = -1;
    partition->stands = partition->sealed_kept = next;
    atomic_init(&partition->decided, -1);
    partition->told = -1;
    partition->base = (struct wr_source_partition){.part = partition->part,
                                                   .identity = partition->text,
                                                   .next = next,
                                                   .decided = -1,
                                                   .end = INT64_MAX,
                                                   .index = number};
    wr_kafka_show_identity(partition);
    source->list[count] = &partition->base;
    source->base.partition_count = count + 1;
    atomic_store(&source->listed, count + 1);
    return WEIR_OK;
}

/* ?start=OFFSET is asked for of each partition, which must hold it, unless ?missing says where else
 * to begin. */
static weir_status check_start(struct wr_kafka_source *source, int32_t number,
                               struct wr_kafka_extent *extent, struct wr_error *error)
{
    int64_t begin = extent->begin;
    if (begin >= extent->first && begin <= extent->end) {
        return WEIR_OK;
    }
    extent->begin = source->missing == WR_KAFKA_MISSING_EARLIEST ? extent->first : extent->end;
    if (source->missing != WR_KAFKA_MISSING_FAIL) {
        return WEIR_OK;
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                   "source %s: ?start=%" PRId64 ": topic %s, partition %d, of %.200s holds offsets "
                   "from %" PRId64 " to %" PRId64 "; give one of these, or say with "
                   "?missing=earliest or missing=latest where partitions without it begin",
                   source->base.name, begin, source->topic, (int)number, source->endpoint.brokers,
                   extent->first, extent->end);
}

static weir_status add_known(struct wr_kafka_source *source, int32_t number,
                             struct wr_kafka_extent *extent, struct wr_error *error)
{
    if (has_partition(source, number)) {
        return WEIR_OK;
    }
    if (!source->begun && !source->base.restarted) {
        WR_TRY(check_start(source, number, extent, error));
        return add_partition(source, number, extent->begin, error);
    }
    return add_partition(source, number, extent->first, error);
}

/* Partitions that the URI, or the store, has and the topic has not. */
static weir_status check_there(const struct wr_kafka_source *source, int32_t partitions,
                               struct wr_error *error)
{
    int32_t asked = wr_endpoint_parameter(&source->endpoint, "partitions")
                        ? wr_endpoint_next_partition(&source->endpoint, partitions)
                        : -1;
    if (asked >= 0) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_NO_INPUT,
                       "source %s: topic %s of %.200s has %d partition%s, from 0 on; ?partitions= "
                       "asks for partition %d too; leave it out",
                       source->base.name, source->topic, source->endpoint.brokers, (int)partitions,
                       partitions == 1 ? "" : "s", (int)asked);
    }
    for (size_t i = 0; i < source->base.partition_count; i++) {
        const struct wr_source_partition *at = source->list[i];
        if (at->index >= partitions && source->missing == WR_KAFKA_MISSING_FAIL) {
            return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                           "source %s: topic %s of %.200s has %d partition%s; partition %d was "
                           "read up to offset %" PRId64 ": the topic was deleted and made again; "
                           "choose where to go on: ?missing=earliest or missing=latest in its URI, "
                           "or start once with --rewind %s=earliest",
                           source->base.name, source->topic, source->endpoint.brokers,
                           (int)partitions, partitions == 1 ? "" : "s", (int)at->index, at->next,
                           source->base.name);
        }
    }
    return WEIR_OK;
}

/* Makes partitions of those that are known by now. */
static weir_status take_known(struct wr_kafka_source *source, struct wr_error *error)
{
    struct wr_kafka_control *control = &source->control;
    pthread_mutex_lock(&control->mutex);
    source->taken = atomic_load(&control->news);
    int32_t partitions = control->partitions;
    bool whole = control->whole;
    memcpy(source->cluster, control->cluster, sizeof source->cluster);
    pthread_mutex_unlock(&control->mutex);
    if (partitions == 0 || (!whole && !source->begun)) {
        return WEIR_OK; /* all of a new source's partitions begin together */
    }
    if (source->taken_partitions == 0) {
        WR_TRY(check_there(source, partitions, error));
    }
    int32_t taken = partitions;
    for (int32_t i = source->taken_partitions; i < partitions; i++) {
        struct wr_kafka_extent extent;
        if (!wr_kafka_wants(source, i)) {
            continue;
        }
        if (wr_kafka_extent_of(source, i, 0, &extent)) {
            WR_TRY(add_known(source, i, &extent, error));
        } else if (i < taken) {
            taken = i; /* its leader is away: later */
        }
    }
    source->taken_partitions = taken;
    source->begun = true;
    return WEIR_OK;
}

/* ---- The start ------------------------------------------------------------------------------- */

/* The number of the partition that a stored position is in; -1: it is none of this source. */
static int32_t number_of(const struct wr_kafka_source *source, const char *part)
{
    size_t size = strlen(source->topic);
    int64_t number;
    bool ours = strncmp(part, source->topic, size) == 0 && part[size] == '/' &&
                wr_parse_number(part + size + 1, 0, INT32_MAX, &number) &&
                wr_kafka_wants(source, (int32_t)number);
    return ours ? (int32_t)number : -1;
}

static weir_status take_stored(struct wr_kafka_source *source,
                               const struct wr_position *const *stored, size_t count,
                               struct wr_error *error)
{
    const char *name = source->base.name;
    for (size_t i = 0; i < count; i++) {
        int32_t number = number_of(source, stored[i]->part);
        if (number >= 0) {
            WR_TRY(add_partition(source, number, stored[i]->next, error));
            source->stored = true;
        } else if (source->missing == WR_KAFKA_MISSING_FAIL) {
            return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                           "source `%s` was read from `%.300s` up to %" PRId64 ", and is now "
                           "`%.300s`, which has no such partition; give the old input (-i %s=URI), "
                           "or missing=earliest or missing=latest with the new one, or start once "
                           "with --rewind %s=earliest",
                           name, stored[i]->part, stored[i]->next, source->endpoint.uri, name,
                           name);
        }
    }
    source->begun = source->stored;
    return WEIR_OK;
}

static bool is_whole(struct wr_kafka_source *source)
{
    pthread_mutex_lock(&source->control.mutex);
    bool whole = source->control.whole;
    pthread_mutex_unlock(&source->control.mutex);
    return whole;
}

static weir_status wait_for_brokers(struct wr_kafka_source *source, struct wr_error *error)
{
    bool until_end = source->base.until_end;
    wr_kafka_wait(source, 1, ANSWER_MS);
    if (until_end && !is_whole(source) && !atomic_load(&source->control.failed)) {
        wr_log(source->base.env, WR_LOG_WARN,
               "source %s: %.300s has not said where topic %s ends, where this run is to end; "
               "waiting up to %d s for it",
               source->base.name, source->endpoint.brokers, source->topic,
               WR_KAFKA_ENDS_MS_MAX / 1000);
        wr_kafka_wait(source, 1, WR_KAFKA_ENDS_MS_MAX - ANSWER_MS);
    }
    WR_TRY(wr_kafka_failed(source, error));
    if (is_whole(source)) {
        return WEIR_OK;
    }
    if (until_end) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_UNAVAILABLE,
                       "source %s: %.300s has not said within %d s where topic %s ends%s%s, so "
                       "--until-end has no end; see that the brokers run and can be reached from "
                       "here, and start again",
                       source->base.name, source->endpoint.brokers, WR_KAFKA_ENDS_MS_MAX / 1000,
                       source->topic, atomic_load(&source->link.down) ? ": " : "",
                       atomic_load(&source->link.down) ? source->link.cause : "");
    }
    wr_log(source->base.env, WR_LOG_WARN,
           "source %s: %.300s has not answered for topic %s within %d s; the run goes on, and "
           "reads it from when it answers, however long that takes",
           source->base.name, source->endpoint.brokers, source->topic, ANSWER_MS / 1000);
    return WEIR_OK;
}

weir_status wr_kafka_arrange(struct wr_source *base, const struct wr_position *const *stored,
                             size_t count, struct wr_error *error)
{
    struct wr_kafka_source *source = wr_kafka_source_of(base);
    WR_TRY(take_stored(source, stored, count, error));
    WR_TRY(wr_kafka_control_start(source, error));
    WR_TRY(wait_for_brokers(source, error));
    return take_known(source, error);
}

weir_status wr_kafka_discover(struct wr_source *base, struct wr_error *error)
{
    struct wr_kafka_source *source = wr_kafka_source_of(base);
    if (base->partition_count == 0) { /* else polls say so, and what was read is kept */
        WR_TRY(wr_kafka_failed(source, error));
    }
    if (source->taken == atomic_load(&source->control.news)) {
        return WEIR_OK;
    }
    return take_known(source, error);
}
