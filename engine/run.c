/* run.c: `weir run` but for options and loading: opens the job and its instance, says what it is
 * about to do, drives it, says how it ended.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/loop.h"
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
}

/* ---- What is shown while it runs ------------------------------------------------------------- */

struct show {
    struct wr_instance *instance;
    FILE *stats;
    bool terminal, drawn;
    int64_t stats_us, stats_records; /* at the last line of statistics */
    int64_t drawn_us, drawn_records; /* at the last drawing of progress */
};

static int64_t load(_Atomic int64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void draw_progress(struct show *show, int64_t now_us)
{
    struct wr_metrics *metrics = &show->instance->metrics;
    int64_t records = load(&metrics->records_in), lag = load(&metrics->lag_records);
    double seconds = (double)(now_us - show->drawn_us) / 1e6;
    double rate = seconds > 0 ? (double)(records - show->drawn_records) / seconds : 0;
    int waiting = atomic_load_explicit(&metrics->waiting_for, memory_order_relaxed);
    char behind[40] = "";
    if (lag >= 0) {
        snprintf(behind, sizeof behind, ", %" PRId64 " to go", lag);
    }
    fprintf(stderr,
            "\r%" PRId64 " records%s, %.0f/s, %" PRId64 " epochs, decide p99 %.1f ms, waits for %s"
            "\033[K",
            records, behind, rate, load(&metrics->epochs), wr_metrics_decide_ms(metrics, 0.99),
            wr_waiting_name((enum wr_waiting)waiting));
    fflush(stderr);
    show->drawn = true;
    show->drawn_us = now_us;
    show->drawn_records = records;
}

static void write_stats(struct show *show, int64_t now_us, bool final)
{
    struct wr_store_stats store;
    wr_store_stats(show->instance->store, &store);
    wr_metrics_write(&show->instance->metrics, &store, now_us, show->stats_records, show->stats_us,
                     final, show->stats);
    fflush(show->stats);
    show->stats_us = now_us;
    show->stats_records = load(&show->instance->metrics.records_in);
}

static void on_show(void *data, bool final)
{
    struct show *show = data;
    int64_t now_us = show->instance->env->monotonic_us(show->instance->env);
    if (show->terminal && !final) {
        draw_progress(show, now_us);
    } else if (show->drawn && final) {
        fprintf(stderr, "\r\033[K");
    }
    if (show->stats && (final || now_us - show->stats_us >= 1000000)) {
        write_stats(show, now_us, final);
    }
}

/* ---- What is said ---------------------------------------------------------------------------- */

static const char *guarantee_of(struct wr_instance *instance, const struct wr_sink *sink)
{
    switch (sink->kind) {
    case WR_SINK_LOG:
        if (instance->options->sync != WR_SYNC_FULL) {
            return "exactly-once: decided in one transaction with the positions; a power cut may "
                   "take back what another process has already read (--sync full does not)";
        }
        return "exactly-once: decided in one transaction with the positions";
    case WR_SINK_TABLE:
        return "exactly-once: decided in one transaction with the positions";
    case WR_SINK_NULL:
        return "nothing is kept";
    case WR_SINK_OUTBOX:
        break;
    }
    return wr_forwarder_guarantee(instance->forwarder, sink->name);
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
    if (info->migrated) {
        wr_log(instance->env, WR_LOG_NOTICE,
               "the store was brought to this version's format; older versions refuse it now");
    }
    for (size_t i = 0; i < instance->job->sink_count; i++) {
        const struct wr_sink *sink = &instance->sinks[i];
        wr_log(instance->env, WR_LOG_NOTICE, "sink %s (%.600s): %s", sink->name, sink->uri,
               guarantee_of(instance, sink));
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
    int64_t dropped = load(&instance->metrics.timers_dropped);
    if (dropped > 0) {
        wr_log(instance->env, WR_LOG_NOTICE,
               "dropped at the end of time: %" PRId64 " timer%s that firings had set again",
               dropped, dropped == 1 ? "" : "s");
    }
    int64_t rejects = load(&instance->metrics.rejects);
    if (rejects > 0) {
        wr_log(instance->env, WR_LOG_WARN, "%" PRId64 " dead letter%s; see `weir rejects %s`",
               rejects, rejects == 1 ? "" : "s", wr_store_info(instance->store)->path);
    }
}

/* --check: the job as it would run. */
static void say_check(const weir_job *job, const struct wr_run_options *options)
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
}

/* ---- Run ------------------------------------------------------------------------------------- */

static weir_status open_stats(struct show *show, const char *path, struct wr_error *error)
{
    if (!path) {
        return WEIR_OK;
    }
    show->stats = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (!show->stats) {
        return wr_fail_errno(error, "cannot open %s for --stats", path);
    }
    return WEIR_OK;
}

static weir_status run_instance(struct wr_instance *instance, weir_job *job, struct wr_env *env,
                                struct wr_run_options *options, struct wr_error *error)
{
    struct show show = {.instance = instance,
                        .terminal = options->verbosity >= 0 && isatty(STDERR_FILENO)};
    struct wr_loop_result result = {false};
    WR_TRY(open_stats(&show, options->stats, error));
    show.stats_us = env->monotonic_us(env);
    show.drawn_us = show.stats_us;
    weir_status status = wr_instance_open(env, job, options, instance, error);
    if (status == WEIR_OK) {
        say_start(instance);
        status = wr_loop_run(instance, on_show, &show, &result, error);
    }
    if (status == WEIR_OK) {
        say_end(instance, &result);
    }
    if (show.stats && show.stats != stdout && fclose(show.stats) != 0 && status == WEIR_OK) {
        status = wr_fail_errno(error, "cannot write %s", options->stats);
    }
    return status;
}

int wr_run(struct wr_env *env, const char *name, void (*define)(weir_job *),
           struct wr_run_options *options)
{
    struct wr_error error = {.status = WEIR_OK};
    weir_job job;
    struct wr_job_options job_options = {.name = name,
                                         .inputs = &options->inputs,
                                         .outputs = &options->outputs,
                                         .defines = &options->defines};
    env->level = options->verbosity < 0   ? WR_LOG_WARN
                 : options->verbosity > 0 ? WR_LOG_DEBUG
                                          : WR_LOG_NOTICE;
    if (wr_job_open(&job_options, define, &job, &error) == WEIR_OK) {
        if (options->check) {
            say_check(&job, options);
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
