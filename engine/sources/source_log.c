/* source_log.c: log:TOPIC?store=FILE, an embedded topic of another job's store, read while that job
 * writes it. A partition of the topic is a partition of the source, named TOPIC/NUMBER.
 *
 * Relies on follow.h. A poll gives records of one batch; a batch that holds more than a poll may
 * give is kept for the next ones (16 of them, whatever the number of partitions).
 *
 * Promises: records come out as they went in (absent against empty, headers, times); a position is
 * continued only in the very log that was read so far (source_log_position.c).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sources/source_log.h"
#include "txn/base/assert.h"

enum {
    HELD_BYTES_KEPT = 64 * 1024, /* of a batch's memory, while it is not in use */
    LAG_US = 200000, /* how old the ends may be that a lag is counted to */
};

static weir_status look(struct wr_log_source *log, bool always, struct wr_error *error)
{
    bool changed = false;
    WR_TRY(wr_follow_look(&log->follow, always, &changed, error));
    log->looked_us = log->base.env->monotonic_us(log->base.env);
    if (log->follow.gone) {
        return wr_log_fail_gone(log, error);
    }
    if (changed) {
        WR_FAULT(&log->base.env->fault, log_after_look, error);
    }
    return WEIR_OK;
}

/* ---- Batches --------------------------------------------------------------------------------- */

/* The place for a partition's batch: the one that it has, or the one that was not used for
 * longest. */
static struct wr_log_held *place_of(struct wr_log_source *log, int32_t partition)
{
    struct wr_log_held *oldest = &log->held[0];
    for (int i = 0; i < WR_LOG_HELD_MAX; i++) {
        if (log->held[i].partition == partition) {
            return &log->held[i];
        }
        if (log->held[i].used < oldest->used) {
            oldest = &log->held[i];
        }
    }
    return oldest;
}

static weir_status fail_batch(const struct wr_log_source *log, int32_t partition, int64_t offset,
                              const char *why, struct wr_error *error)
{
    return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                   "source %s: %.400s is damaged: topic %s, partition %d, offset %" PRId64 ": "
                   "%.200s; `weir verify` shows what else is; restore a backup of that store",
                   log->base.name, log->follow.path, log->follow.topic.name, (int)partition, offset,
                   why);
}

static weir_status open_batch(struct wr_log_source *log, struct wr_log_held *held, int64_t offset,
                              const struct wr_followed *found, struct wr_error *error)
{
    struct wr_error inner = {.status = WEIR_OK};
    if (wr_batch_open(found->bytes, &held->reader, &inner) != WEIR_OK) {
        if (inner.exit_code != WR_EXIT_DATA) { /* a newer format */
            return wr_fail(error, WEIR_FATAL, inner.exit_code, "source %s: %.400s: %.400s",
                           log->base.name, log->follow.path, inner.text);
        }
        return fail_batch(log, held->partition, offset, inner.text, error);
    }
    if (held->reader.first_offset != found->first ||
        held->reader.first_offset + held->reader.count != found->next) {
        return fail_batch(log, held->partition, offset,
                          "the batch in the row is one of other offsets", error);
    }
    held->next = found->first;
    held->end = found->next;
    return WEIR_OK;
}

/* No batch holds an offset below the partition's end: trimmed since the last look, or a hole. */
static weir_status not_there(struct wr_log_source *log, struct wr_source_partition *partition,
                             struct wr_error *error)
{
    WR_TRY(look(log, true, error));
    int64_t next = partition->next;
    WR_TRY(wr_log_check_kept(log, partition, &next, error));
    if (next == partition->next) {
        return fail_batch(log, partition->index, next, "there is no batch", error);
    }
    partition->next = next;
    return WEIR_OK;
}

/* Loads the batch at partition->next; held->partition stays -1 when it is not there and
 * partition->next was moved to where to go on. */
static weir_status load(struct wr_log_source *log, struct wr_log_partition *partition,
                        struct wr_log_held *held, struct wr_error *error)
{
    struct wr_followed found;
    struct wr_log_identity *identity = &partition->identity;
    int32_t index = partition->base.index;
    held->partition = -1;
    wr_arena_reset(&held->arena);
    WR_TRY(wr_follow_batch(&log->follow, index, partition->base.next, &held->arena, &found, error));
    if (!found.bytes.data) {
        return not_there(log, &partition->base, error);
    }
    held->partition = index;
    weir_status status = open_batch(log, held, partition->base.next, &found, error);
    if (status != WEIR_OK) {
        held->partition = -1;
        return status;
    }
    identity->from = found.crc_first_known ? found.first : -1;
    identity->from_crc = found.crc_first;
    identity->to = found.next;
    identity->to_crc = found.crc_next;
    wr_log_show_identity(partition);
    return WEIR_OK;
}

/* ---- Poll ------------------------------------------------------------------------------------ */

/* Brings the batch's reader to the record at `offset`. */
static weir_status skip_to(struct wr_log_held *held, int64_t offset, struct wr_polled *polled,
                           struct wr_error *error)
{
    while (held->next < offset) {
        weir_record record;
        int64_t at;
        bool more;
        struct wr_mark mark = wr_arena_mark(&polled->arena);
        WR_TRY(wr_batch_next(&held->reader, &polled->arena, &record, &at, &more, error));
        wr_arena_release(&polled->arena, mark);
        wr_assert(more);
        held->next++;
    }
    return WEIR_OK;
}

static weir_status take(struct wr_log_held *held, int64_t limit, struct wr_polled *polled,
                        struct wr_error *error)
{
    size_t bytes = 0, room = (size_t)(limit - held->next);
    room = room < WR_POLL_RECORDS_MAX ? room : WR_POLL_RECORDS_MAX;
    if (!wr_polled_reserve(polled, room)) {
        return wr_fail_memory(error);
    }
    while (polled->count < room && bytes < WR_POLL_BYTES_MAX) {
        bool more;
        size_t n = polled->count;
        WR_TRY(wr_batch_next(&held->reader, &polled->arena, &polled->records[n],
                             &polled->offsets[n], &more, error));
        wr_assert(more);
        polled->nexts[n] = ++held->next;
        bytes += wr_record_bytes(&polled->records[n]);
        polled->count++;
    }
    return WEIR_OK;
}

/* Records of the batch at partition->next; a damaged one gives those before the damage first. */
static weir_status read_batch(struct wr_log_source *log, struct wr_log_partition *partition,
                              struct wr_polled *polled, struct wr_error *error)
{
    struct wr_source_partition *base = &partition->base;
    struct wr_log_held *held = place_of(log, base->index);
    held->used = log->polls;
    if (held->partition != base->index || base->next < held->next || base->next >= held->end) {
        WR_TRY(load(log, partition, held, error));
    }
    if (held->partition < 0) {
        return WEIR_OK;
    }
    struct wr_error inner = {.status = WEIR_OK};
    int64_t limit = held->end < base->end ? held->end : base->end;
    weir_status status = skip_to(held, base->next, polled, &inner);
    if (status == WEIR_OK) {
        status = take(held, limit, polled, &inner);
    }
    if (status != WEIR_OK) {
        held->partition = -1; /* what its reader stands at is not known */
        if (polled->count == 0) {
            return inner.exit_code == WR_EXIT_DATA
                       ? fail_batch(log, base->index, base->next, inner.text, error)
                       : wr_fail(error, inner.status, inner.exit_code, "%s", inner.text);
        }
    }
    base->next = polled->nexts[polled->count - 1];
    return WEIR_OK;
}

static weir_status log_poll(struct wr_source *source, struct wr_source_partition *partition,
                            struct wr_polled *polled, enum wr_source_more *more_out,
                            struct wr_error *error)
{
    struct wr_log_source *log = wr_log_of(source);
    const struct wr_extent *extent = &log->follow.extents[partition->index];
    polled->count = 0;
    *more_out = WR_SOURCE_ENDED;
    if (partition->next >= partition->end) {
        return WEIR_OK;
    }
    *more_out = WR_SOURCE_WAIT;
    if (partition->next >= extent->next) {
        WR_TRY(look(log, false, error));
        WR_TRY(wr_log_check_kept(log, partition, &partition->next, error));
        if (partition->next >= extent->next) {
            return WEIR_OK;
        }
    }
    log->polls++;
    WR_TRY(read_batch(log, wr_log_partition_of(partition), polled, error));
    if (polled->count > 0) {
        *more_out = WR_SOURCE_MORE;
        WR_FAULT(&source->env->fault, log_after_poll, error);
    }
    return WEIR_OK;
}

/* ---- Ends ------------------------------------------------------------------------------------ */

static weir_status log_bound(struct wr_source *source, struct wr_source_partition *partition,
                             struct wr_error *error)
{
    (void)error;
    partition->end = wr_log_of(source)->follow.extents[partition->index].next;
    return WEIR_OK;
}

static int64_t log_lag(struct wr_source *source, const struct wr_source_partition *partition)
{
    struct wr_log_source *log = wr_log_of(source);
    struct wr_error ignored = {.status = WEIR_OK}; /* the next poll has it too */
    int64_t now_us = source->env->monotonic_us(source->env);
    if (now_us - log->looked_us >= LAG_US) {
        log->looked_us = now_us;
        (void)wr_follow_look(&log->follow, false, NULL, &ignored);
    }
    int64_t end = log->follow.extents[partition->index].next;
    end = end < partition->end ? end : partition->end;
    return end > partition->next ? end - partition->next : 0;
}

static void log_close(struct wr_source *source)
{
    struct wr_log_source *log = wr_log_of(source);
    for (int i = 0; i < WR_LOG_HELD_MAX; i++) {
        wr_arena_fini(&log->held[i].arena);
    }
    wr_follow_close(&log->follow);
    wr_reader_close(log->reader);
    log->reader = NULL;
}

static const struct wr_source_ops log_ops = {
    .scheme = "log",
    .poll = log_poll,
    .arrange = wr_log_arrange,
    .seek = wr_log_seek,
    .bound = log_bound,
    .lag = log_lag,
    .close = log_close,
};

/* ---- Opening --------------------------------------------------------------------------------- */

static weir_status make_partitions(struct wr_log_source *log, struct wr_arena *arena,
                                   struct wr_error *error)
{
    const struct wr_topic *topic = &log->follow.topic;
    size_t count = (size_t)topic->partitions;
    struct wr_log_partition *all = wr_arena_zalloc(arena, count * sizeof *all);
    log->base.partitions = wr_arena_alloc(arena, count * sizeof *log->base.partitions);
    if (!all || !log->base.partitions) {
        return wr_fail_memory(error);
    }
    for (size_t i = 0; i < count; i++) {
        struct wr_log_partition *partition = &all[i];
        snprintf(partition->part, sizeof partition->part, "%s/%zu", topic->name, i);
        partition->identity = (struct wr_log_identity){.topic = topic->id, .from = -1, .to = -1};
        memcpy(partition->identity.store, log->follow.store_id, sizeof log->follow.store_id);
        wr_log_show_identity(partition);
        partition->base = (struct wr_source_partition){
            .part = partition->part,
            .identity = partition->text,
            .end = INT64_MAX,
            .index = (int32_t)i,
        };
        log->base.partitions[i] = &partition->base;
    }
    log->base.partition_count = count;
    return WEIR_OK;
}

/* The writer's transactions change the write-ahead log beside its store; a checkpoint, or a store
 * that is put in its place, the store itself. */
static weir_status make_watches(struct wr_log_source *log, struct wr_arena *arena,
                                struct wr_error *error)
{
    const char *path = log->follow.path, *slash = strrchr(path, '/');
    char *directory = wr_arena_string(arena, path);
    char *wal = slash ? wr_arena_alloc(arena, strlen(slash + 1) + 5) : NULL;
    if (!directory || !wal) {
        return wr_fail_memory(error);
    }
    directory[slash == path ? 1 : slash - path] = '\0';
    sprintf(wal, "%s-wal", slash + 1);
    log->watches[0] = (struct wr_source_watch){directory, wal};
    log->watches[1] = (struct wr_source_watch){directory, slash + 1};
    log->base.watches = log->watches;
    log->base.watch_count = 2;
    return WEIR_OK;
}

static weir_status open_reader(struct wr_log_source *log, const char *store, struct wr_error *error)
{
    struct wr_error inner = {.status = WEIR_OK};
    if (wr_reader_open(log->base.env, store, &log->reader, &inner) == WEIR_OK) {
        return WEIR_OK;
    }
    bool missing = inner.exit_code == WR_EXIT_NO_INPUT;
    return wr_fail_native(error, inner.status, inner.exit_code, inner.native, "source %s: %.800s%s",
                          log->base.name, inner.text,
                          missing ? "; the job that writes it makes it: start that one first" : "");
}

static weir_status open_topic(struct wr_log_source *log, const char *name, const char *store,
                              struct wr_arena *arena, struct wr_error *error)
{
    char names[300];
    struct wr_topic topic;
    WR_TRY(wr_follow_find(log->reader, name, arena, &topic, names, sizeof names, error));
    if (!topic.name) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_NO_INPUT,
                       "source %s: %.500s has no topic %s; those it has: %s", log->base.name, store,
                       name, names);
    }
    if (topic.partitions < 1 || topic.partitions > WR_PARTITIONS_MAX) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                       "source %s: %.500s is damaged: topic %s has %d partitions; `weir verify` "
                       "shows what else is",
                       log->base.name, store, name, (int)topic.partitions);
    }
    return wr_follow_open(log->base.env, log->reader, store, &topic, arena, &log->follow, error);
}

static weir_status open_all(struct wr_log_source *log, const struct wr_endpoint *endpoint,
                            struct wr_arena *arena, struct wr_error *error)
{
    const char *store = wr_endpoint_parameter(endpoint, "store");
    const char *missing = wr_endpoint_parameter(endpoint, "missing");
    if (missing && strcmp(missing, "fail") != 0) {
        log->missing =
            strcmp(missing, "earliest") == 0 ? WR_LOG_MISSING_EARLIEST : WR_LOG_MISSING_LATEST;
    }
    WR_TRY(open_reader(log, store, error));
    WR_TRY(open_topic(log, endpoint->path, store, arena, error));
    WR_FAULT(&log->base.env->fault, log_after_look, error);
    if (log->follow.gone) {
        return wr_log_fail_gone(log, error);
    }
    WR_TRY(make_partitions(log, arena, error));
    return make_watches(log, arena, error);
}

weir_status wr_source_log_open(struct wr_env *env, const char *name,
                               const struct wr_endpoint *endpoint, struct wr_arena *arena,
                               struct wr_source **source_out, struct wr_error *error)
{
    struct wr_log_source *log = wr_arena_zalloc(arena, sizeof *log);
    if (!log) {
        return wr_fail_memory(error);
    }
    log->base = (struct wr_source){.ops = &log_ops, .env = env, .name = name};
    log->uri = endpoint->uri;
    for (int i = 0; i < WR_LOG_HELD_MAX; i++) {
        log->held[i].partition = -1;
        wr_arena_init(&log->held[i].arena, HELD_BYTES_KEPT);
    }
    weir_status status = open_all(log, endpoint, arena, error);
    if (status != WEIR_OK) {
        log_close(&log->base);
        return status;
    }
    *source_out = &log->base;
    return WEIR_OK;
}
