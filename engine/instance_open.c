/* instance_open.c: opens an instance, the same way every time, after a clean stop or a crash: open
 * the store (which raises the generation), change in it what the options ask for, see that the job
 * fits what it holds, seek the sources to their positions, check what is outside, all of it in one
 * transaction; load watermarks, start. There is no clean-shutdown flag.
 *
 * Long because opening is one sequence, and each step is small.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/instance.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "txn/base/assert.h"
#include "txn/sql_text.h"
#include "txn/store_change.h"

/* ---- Sinks and nodes ------------------------------------------------------------------------- */

/* Which records need to say where they came from, for the partition that they go to. */
static enum wr_note note_of(const struct wr_endpoint *endpoint)
{
    if (endpoint->scheme != WR_SCHEME_KAFKA) {
        return WR_NOTE_NONE;
    }
    switch (wr_endpoint_place(endpoint).by) {
    case WR_PLACE_KEY:
        return WR_NOTE_KEYLESS;
    case WR_PLACE_SOURCE:
        return WR_NOTE_ALL;
    case WR_PLACE_NUMBER:
        break;
    }
    return WR_NOTE_NONE;
}

static weir_status describe_sinks(struct wr_instance *instance, struct wr_error *error)
{
    weir_job *job = instance->job;
    instance->sinks =
        wr_arena_zalloc(&instance->arena, (job->sink_count + 1) * sizeof *instance->sinks);
    if (!instance->sinks) {
        return wr_fail_memory(error);
    }
    for (size_t i = 0; i < job->node_count; i++) {
        struct wr_node *node = job->nodes[i];
        if (node->kind != WR_NODE_SINK) {
            continue;
        }
        struct wr_sink *sink = &instance->sinks[node->index];
        sink->name = node->name;
        sink->uri = node->endpoint.uri;
        WR_TRY(wr_endpoint_sink(&node->endpoint, &instance->arena, sink, error));
        if (sink->kind == WR_SINK_OUTBOX) {
            sink->topic_name = node->name;
            sink->partitions = 1;
            sink->note = note_of(&node->endpoint);
        }
        if (sink->kind == WR_SINK_SQL) {
            WR_TRY(wr_sql_text_read(&instance->arena, node->name, node->endpoint.path, &sink->sql,
                                    error));
        }
    }
    return WEIR_OK;
}

static weir_status upgrade_states(struct wr_instance *instance, const struct wr_catalog *catalog,
                                  struct wr_error *error)
{
    for (size_t i = 0; i < catalog->node_count; i++) {
        const struct wr_stored_node *stored = &catalog->nodes[i];
        const struct wr_node *node = wr_change_node(instance->job, stored->name);
        if (node && node->kind == WR_NODE_THROUGH && stored->version < node->version &&
            stored->stateful) {
            WR_TRY(wr_dispatch_upgrade(instance, node, stored, error));
        }
    }
    return WEIR_OK;
}

static weir_status define(struct wr_instance *instance, struct wr_error *error)
{
    weir_job *job = instance->job;
    struct wr_definition definition = {.node_count = job->node_count,
                                       .sinks = instance->sinks,
                                       .sink_count = job->sink_count,
                                       .graph = wr_job_json(job)};
    definition.nodes =
        wr_arena_zalloc(&instance->arena, job->node_count * sizeof *definition.nodes);
    char *options = wr_arena_alloc(&instance->arena, 128);
    if (!definition.nodes || !definition.graph || !options) {
        return wr_fail_memory(error);
    }
    static const char *const sync[] = {"full", "normal", "off"};
    snprintf(options, 128, "{\"delivery\":\"%s\",\"sync\":\"%s\"}",
             wr_delivery_name(instance->options->delivery), sync[instance->options->sync]);
    definition.options = options;
    for (size_t i = 0; i < job->node_count; i++) {
        definition.nodes[i].name = job->nodes[i]->name;
        definition.nodes[i].version = job->nodes[i]->version;
    }
    WR_TRY(wr_store_define(instance->store, &definition, error));
    for (size_t i = 0; i < job->node_count; i++) {
        job->nodes[i]->id = definition.nodes[i].id;
    }
    return WEIR_OK;
}

/* A file sink may be neither the store nor an input: writing would damage what is read. */
static weir_status check_not_own(struct wr_instance *instance, const struct wr_node *node,
                                 const char *path, const char *suffix, struct wr_error *error)
{
    char other[WR_URI_BYTES_MAX + 8];
    struct stat sink, own;
    snprintf(other, sizeof other, "%s%s", path, suffix);
    if (stat(node->endpoint.path, &sink) != 0 || stat(other, &own) != 0 ||
        sink.st_dev != own.st_dev || sink.st_ino != own.st_ino) {
        return WEIR_OK;
    }
    bool rejects = instance->options->rejects && strcmp(node->name, WR_REJECTS_SINK) == 0;
    return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                   "sink %s: %.1000s is this run's own %s; name another file with %s%s%sfile:PATH",
                   node->name, node->endpoint.path,
                   path == wr_store_info(instance->store)->path ? "store" : "input",
                   rejects ? "--rejects" : "-o ", rejects ? "" : node->name, rejects ? " " : "=");
}

static weir_status check_all_own(struct wr_instance *instance, const struct wr_node *node,
                                 struct wr_error *error)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    const char *store = wr_store_info(instance->store)->path;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        WR_TRY(check_not_own(instance, node, store, suffixes[i], error));
    }
    for (size_t i = 0; i < instance->job->node_count; i++) {
        const struct wr_node *source = instance->job->nodes[i];
        bool reads = source->kind == WR_NODE_SOURCE && source->endpoint.scheme == WR_SCHEME_LOG;
        const char *other = reads ? wr_endpoint_parameter(&source->endpoint, "store") : NULL;
        for (size_t j = 0; other && j < sizeof suffixes / sizeof *suffixes; j++) {
            WR_TRY(check_not_own(instance, node, other, suffixes[j], error));
        }
    }
    for (size_t i = 0; i < instance->part_count; i++) {
        const struct wr_part *part = &instance->parts[i];
        if (part->node->endpoint.scheme == WR_SCHEME_FILE && part->at->part[0] == '/') {
            WR_TRY(check_not_own(instance, node, part->at->part, "", error));
        }
    }
    return WEIR_OK;
}

static weir_status open_kafka(struct wr_instance *instance, const struct wr_node *node,
                              struct wr_outlet **outlet_out, struct wr_error *error)
{
    static const enum wr_kafka_place places[] = {[WR_PLACE_KEY] = WR_KAFKA_BY_KEY,
                                                 [WR_PLACE_SOURCE] = WR_KAFKA_BY_SOURCE,
                                                 [WR_PLACE_NUMBER] = WR_KAFKA_FIXED};
    const struct wr_run_options *run = instance->options;
    struct wr_place place = wr_endpoint_place(&node->endpoint);
    const char *prefix = wr_endpoint_parameter(&node->endpoint, "id_prefix");
    struct wr_outlet_kafka_options options = {.sink = node->name,
                                              .brokers = node->endpoint.brokers,
                                              .topic = node->endpoint.path,
                                              .place = places[place.by],
                                              .partition = place.partition,
                                              .id_prefix = prefix ? prefix : "",
                                              .store = wr_store_info(instance->store),
                                              .sync = run->sync,
                                              .direct = wr_delivery_is_direct(run->delivery),
                                              .marker_from_store = run->marker_from_store,
                                              .properties = &run->kafka,
                                              .forwards = wr_forwarder_kafka(instance->forwarder)};
    for (size_t i = 0; i < run->drop_states.count; i++) {
        options.forget = options.forget || strcmp(run->drop_states.items[i].name, node->name) == 0;
    }
    WR_TRY(wr_endpoint_number(&node->endpoint, "backlog_bytes", 1, INT64_MAX,
                              WR_BACKLOG_BYTES_DEFAULT, &options.backlog_max, error));
    return wr_outlet_kafka_open(instance->env, &options, outlet_out, error);
}

static weir_status open_outlet(struct wr_instance *instance, const struct wr_node *node,
                               struct wr_outlet **outlet_out, struct wr_error *error)
{
    if (node->endpoint.scheme == WR_SCHEME_STDOUT) {
        return wr_outlet_stdout_open(instance->env, node->name, outlet_out, error);
    }
    if (node->endpoint.scheme == WR_SCHEME_KAFKA) {
        return open_kafka(instance, node, outlet_out, error);
    }
    if (node->endpoint.scheme == WR_SCHEME_KAFKA) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "sink `%s`: this version does not write to Kafka", node->name);
    }
    wr_assert_that(node->endpoint.scheme, ==, WR_SCHEME_FILE);
    WR_TRY(check_all_own(instance, node, error));
    const char *append = wr_endpoint_parameter(&node->endpoint, "append");
    return wr_outlet_file_open(instance->env, node->name, node->endpoint.path,
                               append && strcmp(append, "true") == 0, instance->options->sync,
                               outlet_out, error);
}

static weir_status open_outlets(struct wr_instance *instance, struct wr_error *error)
{
    struct wr_catalog catalog;
    WR_TRY(wr_store_catalog(instance->store, &instance->arena, &catalog, error));
    WR_TRY(wr_forwarder_new(instance->env, instance->store, &instance->arena, &instance->forwarder,
                            error));
    for (size_t i = 0; i < instance->job->node_count; i++) {
        const struct wr_node *node = instance->job->nodes[i];
        if (node->kind != WR_NODE_SINK || instance->sinks[node->index].kind != WR_SINK_OUTBOX) {
            continue;
        }
        const struct wr_marker *marker = NULL;
        for (size_t j = 0; j < catalog.marker_count; j++) {
            marker =
                strcmp(catalog.markers[j].sink, node->name) == 0 ? &catalog.markers[j] : marker;
        }
        wr_assert(marker); /* wr_store_define made it */
        struct wr_outlet *outlet = NULL;
        WR_TRY(open_outlet(instance, node, &outlet, error));
        WR_TRY(wr_forwarder_add(instance->forwarder, &instance->sinks[node->index], outlet, marker,
                                error));
    }
    const struct wr_run_options *run = instance->options;
    if (wr_delivery_is_direct(run->delivery)) {
        wr_forwarder_keep(instance->forwarder);
    }
    WR_TRY(wr_forwarder_check(instance->forwarder, error));
    return wr_deliverer_new(instance->store, instance->forwarder, run->delivery, instance->env,
                            run->positions_ms, &instance->deliverer, error);
}

/* ---- Open and close -------------------------------------------------------------------------- */

static weir_status open_store(struct wr_instance *instance, struct wr_error *error)
{
    const struct wr_run_options *options = instance->options;
    char path[WR_NAME_BYTES_MAX + 8];
    snprintf(path, sizeof path, "%s.weir", instance->job->name);
    struct wr_store_options store = {.path = options->store ? options->store : path,
                                     .job = instance->job->name,
                                     .create = !wr_change_asked(options),
                                     .sync = options->sync,
                                     .wal_bytes_max = options->wal_bytes_max};
    return wr_store_open(instance->env, &store, &instance->store, error);
}

static weir_status start_epochs(struct wr_instance *instance, struct wr_error *error)
{
    size_t sinks = instance->job->sink_count;
    int64_t last = wr_store_info(instance->store)->epoch;
    WR_TRY(wr_epoch_init(&instance->epochs[0], instance->sinks, sinks, error));
    WR_TRY(wr_epoch_init(&instance->epochs[1], instance->sinks, sinks, error));
    atomic_store(&instance->sealed, last);
    atomic_store(&instance->decided, last);
    instance->dropped = last;
    instance->filling = &instance->epochs[(last + 1) & 1];
    wr_epoch_begin(instance->filling, last + 1);
    wr_state_init(&instance->state, instance->reader, (size_t)instance->options->cache_bytes);
    WR_TRY(wr_state_load(&instance->state, wr_store_info(instance->store)->epoch, error));
    return wr_state_fill(&instance->state, instance->filling, NULL, error);
}

/* All that a start does to the store, in one transaction: when it is refused, or a crash comes in
 * between, the store stays as the last run left it. */
static weir_status fit_store(struct wr_instance *instance, struct wr_catalog *catalog,
                             struct wr_error *error)
{
    struct wr_fault *fault = &instance->env->fault;
    bool touches = false;
    WR_FAULT(fault, start_before_change, error);
    WR_TRY(wr_store_catalog(instance->store, &instance->arena, catalog, error));
    WR_TRY(wr_change_may_touch(instance, catalog, &touches, error));
    if (touches) {
        WR_TRY(wr_store_fold(instance->store, NULL, error));
    }
    WR_TRY(wr_change_apply(instance, error));
    WR_FAULT(fault, start_after_change, error);
    if (touches) {
        WR_TRY(wr_store_catalog(instance->store, &instance->arena, catalog, error));
    }
    WR_TRY(wr_change_check(instance, catalog, error));
    WR_TRY(wr_inputs_start(instance, catalog, error));
    WR_TRY(upgrade_states(instance, catalog, error));
    WR_TRY(define(instance, error));
    WR_TRY(wr_change_note(instance, error));
    WR_TRY(open_outlets(instance, error));
    WR_FAULT(fault, start_before_end, error);
    return WEIR_OK;
}

weir_status wr_instance_open(struct wr_env *env, weir_job *job,
                             const struct wr_run_options *options, struct wr_instance *instance,
                             struct wr_error *error)
{
    instance->env = env;
    instance->job = job;
    instance->options = options;
    wr_arena_init(&instance->arena, 0);
    wr_arena_init(&instance->call, WR_RECORD_BYTES_MAX);
    wr_arena_init(&instance->polled.arena, (size_t)2 * WR_POLL_BYTES_MAX);
    wr_slab_init(&instance->slab);
    instance->metrics.started_us = env->monotonic_us(env);
    WR_TRY(wr_inputs_open(instance, error)); /* a missing input leaves no new store behind */
    WR_TRY(describe_sinks(instance, error));
    WR_TRY(open_store(instance, error));
    instance->metrics.generation = wr_store_info(instance->store)->generation;
    struct wr_catalog catalog;
    WR_TRY(wr_store_start_begin(instance->store, error));
    weir_status status = fit_store(instance, &catalog, error);
    WR_TRY(wr_store_start_end(instance->store, status, error));
    WR_FAULT(&env->fault, start_after_end, error);
    WR_TRY(wr_deliverer_start(instance->deliverer, error));
    WR_TRY(wr_reader_open(env, wr_store_info(instance->store)->path, &instance->reader, error));
    WR_TRY(wr_rejects_open(instance, error));
    WR_TRY(wr_retry_open(instance, error));
    WR_TRY(start_epochs(instance, error));
    WR_TRY(wr_time_init(instance, &catalog, error));
    wr_inputs_note_ends(instance);
    wr_time_save(instance);
    return WEIR_OK;
}

void wr_instance_close(struct wr_instance *instance)
{
    wr_time_fini(instance);
    wr_state_fini(&instance->state);
    wr_retry_close(instance);
    wr_failures_fini(&instance->failures);
    wr_epoch_fini(&instance->epochs[0]);
    wr_epoch_fini(&instance->epochs[1]);
    wr_inputs_close(instance);
    wr_deliverer_free(instance->deliverer);
    if (instance->forwarder) {
        wr_forwarder_free(instance->forwarder);
    }
    if (instance->reader) {
        wr_reader_close(instance->reader);
    }
    wr_store_close(instance->store);
    wr_arena_fini(&instance->polled.arena);
    wr_arena_fini(&instance->call);
    wr_arena_fini(&instance->arena);
}
