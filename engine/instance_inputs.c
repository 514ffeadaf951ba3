/* instance_inputs.c: the inputs of an instance: sources opened, their partitions found and brought
 * to their positions, at start and, where inputs grow, while it runs.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/instance.h"
#include "txn/base/assert.h"

enum { DISCOVER_US = 1000000, DISCOVER_WOKEN_US = 50000, MEASURE_US = 100000 };

/* ---- Opening --------------------------------------------------------------------------------- */

/* A job cannot read a topic of the store that it writes: it would wait for its own epochs. */
static weir_status check_not_own(struct wr_instance *instance, const struct wr_node *node,
                                 struct wr_error *error)
{
    char own[WR_NAME_BYTES_MAX + 8];
    struct stat first, second;
    snprintf(own, sizeof own, "%s.weir", instance->job->name);
    const char *store = instance->options->store ? instance->options->store : own;
    const char *read = wr_endpoint_parameter(&node->endpoint, "store");
    bool same = strcmp(store, read) == 0 ||
                (stat(store, &first) == 0 && stat(read, &second) == 0 &&
                 first.st_dev == second.st_dev && first.st_ino == second.st_ino);
    if (!same) {
        return WEIR_OK;
    }
    return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                   "source %s: %.1000s is this job's own store; a job reads another job's topics: "
                   "name that one's store with -i %s=log:%s?store=FILE, or another one for this "
                   "job with --store",
                   node->name, read, node->name, node->endpoint.path);
}

static weir_status open_by_endpoint(struct wr_instance *instance, struct wr_node *node,
                                    struct wr_source **source_out, struct wr_error *error)
{
    if (node->endpoint.scheme == WR_SCHEME_LOG) {
        WR_TRY(check_not_own(instance, node, error));
    }
    if (node->endpoint.scheme == WR_SCHEME_KAFKA) {
        return wr_source_kafka_open(instance->env, node->name, &node->endpoint, instance->job->name,
                                    &instance->options->kafka, &instance->arena, source_out, error);
    }
    return wr_source_open(instance->env, node->name, &node->endpoint, &instance->arena, source_out,
                          error);
}

weir_status wr_inputs_open(struct wr_instance *instance, struct wr_error *error)
{
    weir_job *job = instance->job;
    if (!instance->open_source) {
        instance->open_source = open_by_endpoint;
    }
    instance->sources =
        wr_arena_zalloc(&instance->arena, job->source_count * sizeof(struct wr_source *));
    instance->source_parts = wr_arena_zalloc(&instance->arena, job->source_count * sizeof(size_t));
    if (!instance->sources || !instance->source_parts) {
        return wr_fail_memory(error);
    }
    for (size_t i = 0; i < job->node_count; i++) {
        struct wr_node *node = job->nodes[i];
        if (node->kind == WR_NODE_SOURCE) {
            WR_TRY(instance->open_source(instance, node, &instance->sources[node->index], error));
        }
    }
    return WEIR_OK;
}

void wr_inputs_close(struct wr_instance *instance)
{
    for (size_t i = 0; instance->sources && i < instance->job->source_count; i++) {
        if (instance->sources[i]) {
            instance->sources[i]->ops->close(instance->sources[i]);
        }
    }
}

/* ---- Partitions ------------------------------------------------------------------------------ */

/* Makes parts of the partitions that a source has and the instance does not know yet. */
static weir_status take_partitions(struct wr_instance *instance, struct wr_node *node,
                                   struct wr_error *error)
{
    struct wr_source *source = instance->sources[node->index];
    size_t *known = &instance->source_parts[node->index];
    size_t count = instance->part_count + (source->partition_count - *known);
    if (count > instance->part_capacity) {
        size_t capacity = count * 2;
        struct wr_part *parts = wr_arena_zalloc(&instance->arena, capacity * sizeof *parts);
        if (!parts) {
            return wr_fail_memory(error);
        }
        if (instance->part_count > 0) {
            memcpy(parts, instance->parts, instance->part_count * sizeof *parts);
        }
        instance->parts = parts;
        instance->part_capacity = capacity;
    }
    for (; *known < source->partition_count; ++*known) {
        instance->parts[instance->part_count++] = (struct wr_part){
            .source = source, .at = source->partitions[*known], .node = node, .quiet_us = -1};
    }
    return WEIR_OK;
}

/* The stored positions of one source, in the arena. */
static weir_status positions_of(struct wr_instance *instance, const struct wr_catalog *catalog,
                                const struct wr_node *node, const struct wr_position ***list_out,
                                size_t *count_out, struct wr_error *error)
{
    const struct wr_position **list =
        wr_arena_alloc(&instance->arena, (catalog->position_count + 1) * sizeof(void *));
    size_t count = 0;
    if (!list) {
        return wr_fail_memory(error);
    }
    for (size_t i = 0; i < catalog->position_count; i++) {
        if (strcmp(catalog->positions[i].source, node->name) == 0) {
            list[count++] = &catalog->positions[i];
        }
    }
    *list_out = list;
    *count_out = count;
    return WEIR_OK;
}

static const struct wr_position *find_position(const struct wr_position *const *list, size_t count,
                                               const char *part)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i]->part, part) == 0) {
            return list[i];
        }
    }
    return NULL;
}

/* Every stored position must belong to a partition that is still read. */
static weir_status check_known(const struct wr_node *node, const struct wr_source *source,
                               const struct wr_position *stored, struct wr_error *error)
{
    for (size_t i = 0; i < source->partition_count; i++) {
        if (strcmp(source->partitions[i]->part, stored->part) == 0) {
            return WEIR_OK;
        }
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                   "source `%s` was read from `%.400s` up to %" PRId64 ", and is now `%.400s`, "
                   "which has no such partition; give the old input (-i %s=URI), or read this one "
                   "from its beginning with --rewind %s=earliest",
                   stored->source, stored->part, stored->next, node->endpoint.uri, stored->source,
                   stored->source);
}

/* From where its source has put it. Where that was chosen, the choice is decided at once. */
static void begin_part(struct wr_instance *instance, struct wr_part *part, bool defined)
{
    part->next = part->at->next;
    part->sealed_next = part->sealed_before = part->next;
    part->at->kept = part->next;
    part->at->decided = defined ? part->next : -1;
    part->defined = defined;
    if (part->source->leaps && !defined) {
        instance->leapt_us = 1;
    }
}

void wr_inputs_leap(struct wr_instance *instance, struct wr_part *part)
{
    if (!part->source->leaps || part->at->next == part->next) {
        return;
    }
    part->next = part->at->next;
    if (instance->leapt_us == 0) {
        instance->leapt_us = instance->env->monotonic_us(instance->env);
    }
}

/* What of the positions the store has by now. */
static void note_decided(struct wr_instance *instance)
{
    int undecided = wr_instance_undecided(instance);
    for (size_t i = 0; undecided < 2 && i < instance->part_count; i++) {
        struct wr_part *part = &instance->parts[i];
        int64_t next = undecided == 0 ? part->sealed_next : part->sealed_before;
        part->at->decided = part->defined ? next : -1;
    }
}

static weir_status start_source(struct wr_instance *instance, const struct wr_catalog *catalog,
                                struct wr_node *node, struct wr_error *error)
{
    struct wr_source *source = instance->sources[node->index];
    const struct wr_position **list = NULL;
    size_t count = 0, first = instance->part_count;
    source->until_end = instance->options->until_end;
    WR_TRY(positions_of(instance, catalog, node, &list, &count, error));
    if (source->ops->arrange) {
        WR_TRY(source->ops->arrange(source, list, count, error));
    } else {
        for (size_t i = 0; i < count; i++) {
            WR_TRY(check_known(node, source, list[i], error));
        }
    }
    WR_TRY(take_partitions(instance, node, error));
    for (size_t i = first; i < instance->part_count; i++) {
        struct wr_part *part = &instance->parts[i];
        const struct wr_position *stored = find_position(list, count, part->at->part);
        WR_TRY(source->ops->seek(source, part->at, stored, error));
        if (instance->options->until_end) {
            WR_TRY(source->ops->bound(source, part->at, error));
        }
        begin_part(instance, part, stored != NULL);
    }
    return WEIR_OK;
}

weir_status wr_inputs_start(struct wr_instance *instance, const struct wr_catalog *catalog,
                            struct wr_error *error)
{
    weir_job *job = instance->job;
    for (size_t i = 0; i < job->node_count; i++) {
        if (job->nodes[i]->kind == WR_NODE_SOURCE) {
            WR_TRY(start_source(instance, catalog, job->nodes[i], error));
        }
    }
    instance->discover_us = instance->env->monotonic_us(instance->env);
    return WEIR_OK;
}

void wr_inputs_note_ends(struct wr_instance *instance)
{
    for (size_t i = 0; i < instance->part_count; i++) {
        struct wr_part *part = &instance->parts[i];
        part->sealed_time = wr_time_of_part(instance, i);
        if (part->at->next >= part->at->end) {
            part->ended = true;
            wr_time_part_ended(instance, i);
        }
    }
}

/* ---- While it runs --------------------------------------------------------------------------- */

static weir_status discover_source(struct wr_instance *instance, struct wr_node *node,
                                   struct wr_error *error)
{
    struct wr_source *source = instance->sources[node->index];
    size_t first = instance->part_count;
    WR_TRY(source->ops->discover(source, error));
    WR_TRY(take_partitions(instance, node, error));
    if (instance->part_count == first) {
        return WEIR_OK;
    }
    for (size_t i = first; i < instance->part_count; i++) {
        struct wr_part *part = &instance->parts[i];
        begin_part(instance, part, false);
        wr_log(instance->env, WR_LOG_DEBUG, "source %s: new partition %.400s", source->name,
               part->at->part);
    }
    return wr_time_grow(instance, first, error);
}

weir_status wr_inputs_discover(struct wr_instance *instance, struct wr_error *error)
{
    int64_t now_us = instance->env->monotonic_us(instance->env);
    int64_t wait_us = atomic_load_explicit(&instance->woken, memory_order_relaxed)
                          ? DISCOVER_WOKEN_US
                          : DISCOVER_US;
    if (instance->options->until_end || now_us - instance->discover_us < wait_us) {
        return WEIR_OK;
    }
    instance->discover_us = now_us;
    atomic_store_explicit(&instance->woken, false, memory_order_relaxed);
    for (size_t i = 0; i < instance->job->node_count; i++) {
        struct wr_node *node = instance->job->nodes[i];
        if (node->kind == WR_NODE_SOURCE && instance->sources[node->index]->ops->discover) {
            WR_TRY(discover_source(instance, node, error));
        }
    }
    return WEIR_OK;
}

bool wr_inputs_grow(const struct wr_instance *instance)
{
    for (size_t i = 0; i < instance->job->source_count; i++) {
        const struct wr_source *source = instance->sources[i];
        if (source->ops->discover && !source->bounded && !instance->options->until_end) {
            return true;
        }
    }
    return false;
}

bool wr_inputs_away(const struct wr_instance *instance)
{
    for (size_t i = 0; i < instance->job->source_count; i++) {
        struct wr_source *source = instance->sources[i];
        if (source->ops->is_away && source->ops->is_away(source)) {
            return true;
        }
    }
    return false;
}

/* Whether a source may have records without a word. */
static bool is_silent(const struct wr_instance *instance, const struct wr_source *source)
{
    if (source->ops->listen) {
        return false;
    }
    bool silent = source->watch_count == 0 && source->partition_count == 0;
    for (size_t i = 0; source->watch_count == 0 && i < instance->part_count; i++) {
        silent = silent || (instance->parts[i].source == source && !instance->parts[i].ended);
    }
    return silent;
}

bool wr_inputs_watched(const struct wr_instance *instance)
{
    for (size_t i = 0; i < instance->job->source_count; i++) {
        if (is_silent(instance, instance->sources[i])) {
            return false;
        }
    }
    return true;
}

int64_t wr_inputs_due_us(const struct wr_instance *instance)
{
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < instance->part_count; i++) {
        const struct wr_part *part = &instance->parts[i];
        if (!part->ended && part->at->due_us > 0 && part->at->due_us < first) {
            first = part->at->due_us;
        }
    }
    return first;
}

int64_t wr_instance_lag(struct wr_instance *instance)
{
    int64_t all = 0;
    for (size_t i = 0; i < instance->part_count; i++) {
        const struct wr_part *part = &instance->parts[i];
        int64_t lag = part->source->ops->lag(part->source, part->at);
        if (lag < 0) {
            return -1;
        }
        all += lag;
    }
    return all + (int64_t)(instance->polled.count - instance->cursor);
}

void wr_instance_measure(struct wr_instance *instance, bool always)
{
    int64_t now_us = instance->env->monotonic_us(instance->env);
    struct wr_metrics *metrics = &instance->metrics;
    if (!always && now_us - instance->measured_us < MEASURE_US) {
        return;
    }
    instance->measured_us = now_us;
    note_decided(instance);
    atomic_store_explicit(&metrics->lag_records, wr_instance_lag(instance), memory_order_relaxed);
    atomic_store_explicit(&metrics->watermark_ms, wr_time_watermark(instance),
                          memory_order_relaxed);
    atomic_store_explicit(&metrics->timers, wr_time_pending(instance), memory_order_relaxed);
}
