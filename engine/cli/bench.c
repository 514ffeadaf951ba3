/* bench.c: `weir bench`: progress, and what is written where. What is measured is
 * engine/bench/plan.h's, how, engine/bench/bench.h's; options are bench_options.c's.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/cli/bench.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/bench/kafka.h"
#include "engine/bench/read.h"
#include "engine/bench/report.h"
#include "engine/bench/show.h"

/* ---- What is shown while it runs ------------------------------------------------------------- */

struct shown {
    const struct wr_bench_arguments *arguments;
    bool progress; /* standard error is a terminal */
    int failed; /* errno of writing to standard output, 0: none */
};

/* So that it is seen while the rest is measured. */
static void flush(struct shown *shown)
{
    if (fflush(stdout) != 0 && !shown->failed) {
        shown->failed = errno;
    }
}

static void clear(const struct shown *shown)
{
    if (shown->progress) {
        fputs("\r\033[K", stderr);
    }
}

static void show_begins(void *data, const struct wr_bench_result *result, double seconds_left)
{
    const struct shown *shown = data;
    char epoch[64], left[64] = "";
    if (!shown->progress) {
        return;
    }
    wr_bench_epoch_name(&result->cell, epoch, sizeof epoch);
    if (isfinite(seconds_left)) {
        snprintf(left, sizeof left, "; about %.0f s left", seconds_left);
    }
    fprintf(stderr, "\r\033[K%.20s, %s, epoch %s, sync %s%s", result->cell.job->name,
            wr_bench_cell_name(&result->cell), epoch, wr_bench_sync_name(result->cell.sync), left);
    fflush(stderr);
}

static void show_threw(void *data, const struct wr_bench_results *results,
                       const struct wr_bench_result *result)
{
    struct shown *shown = data;
    clear(shown);
    if (shown->arguments->json) {
        for (size_t run = 0; run < result->run_count; run++) {
            wr_bench_line_run(stdout, results, result, NULL, run);
        }
    } else {
        wr_bench_table_throughput(stdout, results, result);
    }
    flush(shown);
}

static void show_lagged(void *data, const struct wr_bench_results *results,
                        const struct wr_bench_result *result)
{
    struct shown *shown = data;
    clear(shown);
    if (!shown->arguments->json) {
        wr_bench_table_latency(stdout, results, result);
    }
    for (size_t i = 0; i < result->latency_count && shown->arguments->json; i++) {
        for (size_t run = 0; run < result->latency[i].run_count; run++) {
            wr_bench_line_run(stdout, results, result, &result->latency[i], run);
        }
    }
    flush(shown);
}

static void show_damaged(void *data, const struct wr_bench_results *results,
                         const struct wr_bench_result *result)
{
    struct shown *shown = data;
    clear(shown);
    if (!shown->arguments->json) {
        wr_bench_table_damage(stdout, results, result);
        flush(shown);
    }
}

/* Whether anybody reads what is measured. */
static weir_status show_check(void *data, struct wr_error *error)
{
    const struct shown *shown = data;
    errno = shown->failed;
    return shown->failed ? wr_fail_errno(error, "cannot write to standard output") : WEIR_OK;
}

/* ---- Course ---------------------------------------------------------------------------------- */

static void say_estimate(const struct wr_bench_arguments *arguments,
                         const struct wr_bench_results *results)
{
    double seconds = wr_bench_plan_seconds(&arguments->options, results);
    FILE *file = arguments->json ? stderr : stdout;
    double shown = seconds > 90 ? round(seconds / 60) : fmax(round(seconds), 1);
    fprintf(file, "%zu cell%s", results->count, results->count == 1 ? "" : "s");
    if (seconds > 0) {
        fprintf(file, ", about %.0f %s%s\n", shown, seconds > 90 ? "minute" : "second",
                shown > 1 ? "s" : "");
    } else {
        fprintf(file, "; how long that takes depends on how fast the records go\n");
    }
    fflush(file);
}

/* What is to be known of a job beside its figures, each once. */
static void warn_of_job(struct wr_env *env, const struct wr_bench_results *results,
                        const struct wr_bench_job *job)
{
    int64_t records = 0, rejects = 0;
    const char *why_not = NULL;
    bool differs = false;
    for (size_t i = 0; i < results->count; i++) {
        const struct wr_bench_result *item = &results->items[i];
        const struct wr_bench_damage *damage = &item->damage;
        if (item->cell.job != job || item->cell.kind != WR_BENCH_WEIR) {
            continue;
        }
        for (size_t run = 0; run < item->run_count; run++) {
            records += item->runs[run].records;
            rejects += item->runs[run].rejects;
        }
        why_not = why_not ? why_not : damage->why_not;
        differs |=
            item->has_damage && item->cell.delivery == WR_EXACTLY_ONCE &&
            (damage->lost || damage->repeated || damage->reordered || damage->state_errors > 0);
    }
    if (rejects > 0) {
        wr_log(env, WR_LOG_WARN,
               "job %s rejected %" PRId64 " of its %" PRId64
               " records (dead letters); its rates count them",
               job->name, rejects, records);
    }
    if (why_not) {
        wr_log(env, WR_LOG_WARN,
               "job %s was not killed: what a kill does to its output could not be told, because "
               "%s",
               job->name, why_not);
    }
    if (differs && !job->input) {
        wr_log(env, WR_LOG_WARN,
               "job %s: output that depends on anything but records and state kept in weir "
               "(static variables, the clock, chance) cannot be compared, and looks lost or "
               "repeated in exactly-once too",
               job->name);
    }
}

static void warn_of_jobs(struct wr_env *env, const struct wr_bench_results *results)
{
    for (size_t i = 0; i < results->count; i++) {
        if (i == 0 || results->items[i].cell.job != results->items[i - 1].cell.job) {
            warn_of_job(env, results, results->items[i].cell.job);
        }
    }
}

static weir_status make_report(const struct wr_bench_arguments *arguments,
                               const struct wr_bench_results *results, struct wr_error *error)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file) {
        return wr_fail_memory(error);
    }
    wr_bench_lines(file, results);
    bool good = ferror(file) == 0;
    good = fclose(file) == 0 && good;
    weir_status status =
        good ? wr_bench_report(arguments->report, results, (weir_bytes){text, size}, error)
             : wr_fail_memory(error);
    free(text);
    return status;
}

static weir_status measure(struct wr_bench_arguments *arguments, struct wr_bench *bench,
                           struct wr_bench_results *results, struct wr_error *error)
{
    struct shown shown = {.arguments = arguments, .progress = isatty(STDERR_FILENO) == 1};
    const struct wr_bench_view view = {.data = &shown,
                                       .begins = show_begins,
                                       .threw = show_threw,
                                       .lagged = show_lagged,
                                       .damaged = show_damaged,
                                       .check = show_check};
    WR_TRY(wr_bench_machine_look(bench->folder, &results->machine, error));
    if (arguments->json) {
        wr_bench_machine_line(stdout, &results->machine, results->command);
    } else {
        wr_bench_table_head(stdout, &arguments->options, results);
    }
    say_estimate(arguments, results);
    WR_TRY(wr_cli_flush(error));
    weir_status status = wr_bench_measure(bench, &arguments->options, results, &view, error);
    clear(&shown);
    WR_TRY(status);
    if (!arguments->json) {
        wr_bench_table_end(stdout, results);
    }
    for (size_t i = 0; i < results->count && arguments->json; i++) {
        wr_bench_line_cell(stdout, results, &results->items[i]);
    }
    WR_TRY(wr_cli_flush(error));
    warn_of_jobs(bench->env, results);
    if (arguments->report) {
        WR_TRY(make_report(arguments, results, error));
        wr_log(bench->env, WR_LOG_NOTICE, "report: %s/index.html", arguments->report);
    }
    return WEIR_OK;
}

/* A report of what was measured before. */
static weir_status report_file(struct wr_cli *cli, struct wr_bench_arguments *arguments)
{
    struct wr_bench_results results;
    weir_bytes lines;
    struct wr_error *error = &cli->error;
    WR_TRY(wr_bench_read(arguments->from, &arguments->arena, &results, &lines, error));
    WR_TRY(wr_bench_report_check(arguments->report, error));
    WR_TRY(wr_bench_report(arguments->report, &results, lines, error));
    wr_log(&cli->env, WR_LOG_NOTICE, "report: %s/index.html", arguments->report);
    return WEIR_OK;
}

static weir_status bench_all(struct wr_cli *cli, struct wr_bench_arguments *arguments, int argc,
                             char **argv)
{
    struct wr_bench bench;
    struct wr_bench_kafka kafka;
    struct wr_bench_results results = {.count = 0};
    struct wr_error *error = &cli->error;
    WR_TRY(wr_bench_arguments_read(arguments, argc, argv, error));
    if (arguments->from) {
        return report_file(cli, arguments);
    }
    results.command = wr_bench_command_line(&arguments->arena, argc, argv);
    if (!results.command) {
        return wr_fail_memory(error);
    }
    WR_TRY(wr_bench_plan(&arguments->options, &arguments->arena, &results, error));
    const char *where = arguments->options.kafka;
    if (wr_bench_open(&cli->env, arguments->dir, &bench, error) == WEIR_OK &&
        (!where || wr_bench_kafka_open(&bench, where, &kafka, error) == WEIR_OK)) {
        (void)measure(arguments, &bench, &results, error);
    }
    wr_bench_kafka_close(&bench);
    wr_bench_close(&bench);
    return error->status;
}

static int bench_command(struct wr_cli *cli, int argc, char **argv)
{
    struct wr_bench_arguments arguments;
    (void)bench_all(cli, &arguments, argc, argv);
    wr_bench_arguments_fini(&arguments);
    int code = wr_cli_end(cli);
    wr_bench_heed(true); /* a signal that waits ends the process as it would have before */
    return code;
}

const struct wr_command wr_command_bench = {
    "bench",
    "[options]",
    "measure what delivery costs here",
    wr_bench_option_table,
    {wr_bench_help, wr_bench_help_options, wr_bench_help_examples},
    bench_command,
};
