/* run.c: `weir run` but for options and loading: opens the job and its instance, says what it is
 * about to do, drives it, says how it ended.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/loop.h"
#include "engine/show.h"
#include "txn/sql_text.h"
#include "txn/store_rows.h"

void wr_run_options_init(struct wr_run_options *options)
{
    *options = (struct wr_run_options){.delivery = WR_EXACTLY_ONCE,
                                       .sync = WR_SYNC_FULL,
                                       .positions_ms = 5000,
                                       .forward_ms = 100,
                                       .rejects_max = WR_REJECTS_MAX_DEFAULT,
                                       .cache_bytes = WR_CACHE_BYTES_DEFAULT,
                                       .wal_bytes_max = WR_WAL_BYTES_MAX_DEFAULT};
}

void wr_run_options_fini(struct wr_run_options *options)
{
    wr_settings_fini(&options->inputs);
    wr_settings_fini(&options->outputs);
    wr_settings_fini(&options->defines);
    wr_settings_fini(&options->renames);
    wr_settings_fini(&options->drop_states);
    wr_settings_fini(&options->rewinds);
    wr_kafka_properties_fini(&options->kafka);
}

/* ---- What is said ---------------------------------------------------------------------------- */

static void say_sink(struct wr_instance *instance, const struct wr_sink *sink)
{
    char text[WR_ERROR_TEXT_MAX / 2];
    const char *outside = sink->kind == WR_SINK_OUTBOX
                              ? wr_forwarder_guarantee(instance->forwarder, sink->name)
                              : NULL;
    wr_delivery_describe(instance->options->delivery, instance->options->sync, sink->kind, outside,
                         text, sizeof text);
    wr_log(instance->env, WR_LOG_NOTICE, "sink %s (%.600s): %s", sink->name, sink->uri, text);
}

static void say_start(struct wr_instance *instance)
{
    const struct wr_store_info *info = wr_store_info(instance->store);
    if (info->epoch == 0) {
        wr_log(instance->env, WR_LOG_NOTICE, "new store %s, reading from the beginning",
               info->path);
    } else {
        wr_log(instance->env, WR_LOG_NOTICE, "resuming %s, epoch %" PRId64 ", generation %" PRId64,
               info->path, info->epoch, info->generation);
    }
    wr_change_say(instance);
    if (info->migrated) {
        wr_log(instance->env, WR_LOG_NOTICE,
               "the store was brought to this version's format; older versions refuse it now");
    }
    for (size_t i = 0; i < instance->job->sink_count; i++) {
        say_sink(instance, &instance->sinks[i]);
    }
    if (instance->retry.queued > 0) {
        wr_log(instance->env, WR_LOG_NOTICE, "%" PRId64 " dead letter%s queued, taken again first",
               instance->retry.queued, instance->retry.queued == 1 ? " is" : "s are");
    }
}

/* With -v: where each input goes on. */
static void say_inputs(struct wr_instance *instance)
{
    for (size_t i = 0; i < instance->part_count; i++) {
        const struct wr_part *part = &instance->parts[i];
        wr_log(instance->env, WR_LOG_DEBUG, "input %s: %.600s, from %" PRId64 "%s",
               part->node->name, part->at->part, part->next,
               part->ended ? ", which is its end" : "");
    }
}

static void say_end(struct wr_instance *instance, const struct wr_loop_result *result)
{
    struct wr_rows *rows = NULL;
    struct wr_error error = {.status = WEIR_OK};
    bool more = false;
    int64_t timers = 0;
    wr_reader_end(instance->reader);
    if (wr_rows_open(instance->reader, "SELECT count(*) FROM timer", &rows, &error) == WEIR_OK &&
        wr_rows_next(rows, &more, &error) == WEIR_OK && more) {
        timers = wr_rows_int(rows, 0);
    }
    wr_rows_close(rows);
    if (timers > 0) {
        wr_log(instance->env, WR_LOG_NOTICE, "%" PRId64 " timer%s pending%s", timers,
               timers == 1 ? " is" : "s are",
               result->stopped || instance->options->drain ? "" : " (--drain fires them)");
    }
    int64_t dropped = atomic_load(&instance->metrics.timers_dropped);
    if (dropped > 0) {
        wr_log(instance->env, WR_LOG_NOTICE,
               "dropped at the end of time: %" PRId64 " timer%s that firings had set again",
               dropped, dropped == 1 ? "" : "s");
    }
    int64_t retried = atomic_load(&instance->metrics.retried);
    if (retried > 0) {
        wr_log(instance->env, WR_LOG_NOTICE, "%" PRId64 " dead letter%s taken again", retried,
               retried == 1 ? " was" : "s were");
    }
    int64_t rejects = atomic_load(&instance->metrics.rejects);
    if (rejects > 0) {
        wr_log(instance->env, WR_LOG_WARN, "%" PRId64 " dead letter%s; see `weir rejects %s`",
               rejects, rejects == 1 ? "" : "s", wr_store_info(instance->store)->path);
    }
}

/* The sections of an sql: sink's file. */
static void say_sections(const struct wr_sql_text *sql)
{
    const char *between = " (";
    for (int i = 0; i < WR_SQL_SECTIONS; i++) {
        if (sql->section[i]) {
            printf("%s%s", between, wr_sql_section_name((enum wr_sql_section)i));
            between = ", ";
        }
    }
    printf(")");
}

/* --check: the job as it would run. */
static void say_check(const weir_job *job, const struct wr_run_options *options,
                      const struct wr_sql_text *const *sql)
{
    static const char *const kinds[] = {"input ", "times ", "node  ", "output"};
    printf("job    %s\n", job->name);
    if (options->store) {
        printf("store  %s\n", options->store);
    } else {
        printf("store  %s.weir\n", job->name);
    }
    for (size_t i = 0; i < job->node_count; i++) {
        const struct wr_node *node = job->nodes[i];
        printf("%s %s", kinds[node->kind], node->name);
        if (node->endpoint.uri) {
            printf(" %s", node->endpoint.uri);
        }
        if (node->kind == WR_NODE_SINK && sql[node->index]) {
            say_sections(sql[node->index]);
        }
        if (node->kind == WR_NODE_THROUGH) {
            printf(" state version %u", node->version);
        }
        for (size_t j = 0; j < node->input_count; j++) {
            const struct wr_stream_link *link = &node->inputs[j];
            printf("%s %s", j ? "," : " from", link->from->name);
            if (link->side) {
                printf("[%u]", link->side);
            }
        }
        printf("\n");
    }
    for (const struct wr_asked *asked = job->asked; asked; asked = asked->next) {
        printf("option %s=%s\n", asked->name, asked->value ? asked->value : "");
    }
    for (size_t i = 0; i < options->kafka.count; i++) { /* values may be secret */
        const struct wr_kafka_property *property = &options->kafka.items[i];
        printf("kafka  %s%s%s=...\n", property->endpoint ? property->endpoint : "",
               property->endpoint ? ":" : "", property->name);
    }
}

/* Reads the files of sql: sinks, by index of sink. */
static weir_status check(weir_job *job, const struct wr_run_options *options,
                         struct wr_error *error)
{
    const struct wr_sql_text **sql =
        wr_arena_zalloc(&job->arena, (job->sink_count + 1) * sizeof *sql);
    if (!sql) {
        return wr_fail_memory(error);
    }
    for (size_t i = 0; i < job->node_count; i++) {
        const struct wr_node *node = job->nodes[i];
        if (node->kind == WR_NODE_SINK && node->endpoint.scheme == WR_SCHEME_SQL) {
            WR_TRY(wr_sql_text_read(&job->arena, node->name, node->endpoint.path, &sql[node->index],
                                    error));
        }
    }
    say_check(job, options, sql);
    return WEIR_OK;
}

/* ---- Run ------------------------------------------------------------------------------------- */

static weir_status run_instance(struct wr_instance *instance, weir_job *job, struct wr_env *env,
                                struct wr_run_options *options, struct wr_error *error)
{
    struct wr_show show;
    struct wr_loop_result result = {false};
    WR_TRY(wr_instance_open(env, job, options, instance, error));
    wr_loop_expect(); /* what is said next invites to stop it */
    WR_TRY(wr_show_open(&show, instance, env, options, error));
    say_start(instance);
    atomic_store(&env->stamped, true); /* from here on it is a log */
    say_inputs(instance);
    if (options->observer) {
        options->observer->started(options->observer->data, instance);
    }
    weir_status status = wr_loop_run(instance, wr_show_look, &show, &result, error);
    if (options->observer) {
        options->observer->ended(options->observer->data, instance);
    }
    if (status == WEIR_OK) {
        say_end(instance, &result);
    }
    weir_status closed = wr_show_close(&show, options, error);
    return status == WEIR_OK ? closed : status;
}

int wr_run(struct wr_env *env, const char *name, void (*define)(weir_job *),
           struct wr_run_options *options)
{
    struct wr_error error = {.status = WEIR_OK};
    weir_job job;
    struct wr_job_options job_options = {.name = name,
                                         .inputs = &options->inputs,
                                         .outputs = &options->outputs,
                                         .defines = &options->defines,
                                         .rejects = options->rejects,
                                         .kafka = &options->kafka,
                                         .marker_from_store = options->marker_from_store};
    env->level = options->verbosity < 0   ? WR_LOG_WARN
                 : options->verbosity > 0 ? WR_LOG_DEBUG
                                          : WR_LOG_NOTICE;
    if (wr_job_open(&job_options, define, &job, &error) == WEIR_OK) {
        if (options->check) {
            (void)check(&job, options, &error);
        } else {
            struct wr_instance instance;
            memset(&instance, 0, sizeof instance);
            (void)run_instance(&instance, &job, env, options, &error);
            wr_instance_close(&instance);
        }
    }
    wr_job_close(&job);
    if (error.status != WEIR_OK) {
        wr_log(env, WR_LOG_ERROR, "%s", error.text);
    }
    return error.status == WEIR_OK ? WR_EXIT_OK : (int)error.exit_code;
}
