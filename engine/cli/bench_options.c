/* bench_options.c: the options of `weir bench`, their help, and what each sets. See bench.h.
 * Long because these three are read side by side.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* stpcpy */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/bench/report.h"
#include "engine/cli/bench.h"
#include "engine/endpoint.h"

enum {
    VALUE_BYTES_MIN = 20, /* a generated value begins with its number, of 20 digits */
    VALUE_BYTES_MAX = 1000000,
    KILLS_MAX = 10000,
    FORWARD_MS_MAX = 3600000,
    RATE_MAX = 1000000000,
};
#define KEYS_MAX (INT64_C(1) << 32)
#define CACHE_BYTES_MAX (INT64_C(1) << 40)
#define SECONDS_MIN 0.01
#define SECONDS_MAX 86400.0

enum option_id {
    OPTION_JOB,
    OPTION_DELIVERY,
    OPTION_EPOCH_RECORDS,
    OPTION_EPOCH_MS,
    OPTION_SYNC,
    OPTION_RECORDS,
    OPTION_SECONDS,
    OPTION_REPEAT,
    OPTION_RATE,
    OPTION_KILLS,
    OPTION_KAFKA,
    OPTION_FORWARD_MS,
    OPTION_BROKER_KILLS,
    OPTION_KEYS,
    OPTION_VALUE_BYTES,
    OPTION_CACHE,
    OPTION_DEFINE,
    OPTION_FULL,
    OPTION_DIR,
    OPTION_JSON,
    OPTION_REPORT,
    OPTION_FROM,
    OPTION_HELP,
};

const struct wr_option wr_bench_option_table[] = {
    {"job", 'j', "LIST", OPTION_JOB},
    {"delivery", 'd', "LIST", OPTION_DELIVERY},
    {"epoch-records", '\0', "LIST", OPTION_EPOCH_RECORDS},
    {"epoch-ms", '\0', "LIST", OPTION_EPOCH_MS},
    {"sync", '\0', "LIST", OPTION_SYNC},
    {"records", 'n', "N", OPTION_RECORDS},
    {"seconds", '\0', "S", OPTION_SECONDS},
    {"repeat", '\0', "N", OPTION_REPEAT},
    {"rate", '\0', "R", OPTION_RATE},
    {"kills", '\0', "N", OPTION_KILLS},
    {"kafka", '\0', "BROKER", OPTION_KAFKA},
    {"forward-ms", '\0', "LIST", OPTION_FORWARD_MS},
    {"broker-kills", '\0', "N", OPTION_BROKER_KILLS},
    {"keys", '\0', "K", OPTION_KEYS},
    {"value-bytes", '\0', "B", OPTION_VALUE_BYTES},
    {"cache", '\0', "SIZE", OPTION_CACHE},
    {"define", 'D', "NAME=VALUE", OPTION_DEFINE},
    {"full", '\0', NULL, OPTION_FULL},
    {"dir", '\0', "DIR", OPTION_DIR},
    {"json", '\0', NULL, OPTION_JSON},
    {"report", '\0', "DIR", OPTION_REPORT},
    {"from", '\0', "FILE", OPTION_FROM},
    {"help", 'h', NULL, OPTION_HELP},
    {NULL, '\0', NULL, 0},
};

/* clang-format off */
const char wr_bench_help[] =
"Measures what a delivery guarantee costs on this machine and disk, next to the\n"
"others and to SQLite loops written by hand; what one gets for it when the\n"
"process is killed; and where the time goes. Within a minute, unless more is\n"
"asked for.\n"
"\n";
const char wr_bench_help_options[] =
"What is measured (each LIST is comma separated; all combinations are)\n"
"  -j, --job LIST           copy, count (default), wordcount; nexmark_qN, a query\n"
"                           of Nexmark, N of 0-5, 7-9, 11, 14-22; or a JOB.so:\n"
"                           its inputs become generators, its outside outputs\n"
"                           topics\n"
"  -d, --delivery LIST      exactly-once, at-least-once, at-most-once; default\n"
"                           all three\n"
"      --epoch-records LIST\n"
"                           records of an epoch, or adaptive; default 1,adaptive\n"
"      --epoch-ms LIST      its age\n"
"      --sync LIST          full (default), normal, off\n"
"      --keys K             different keys (words of wordcount); default 100000\n"
"      --value-bytes B      size of a value (of a line); default 100\n"
"      --cache SIZE         memory for state that was read, default 64M\n"
"  -D, --define NAME=VALUE  an option of JOB.so\n"
"      --full               three jobs, epochs of 1, 10, 100, 1000, 10000 and\n"
"                           adaptive, all three syncs; how long that takes is\n"
"                           said first\n"
"\n"
"From Kafka\n"
"      --kafka BROKER       jobs copy and count from topic to topic, count into\n"
"                           the store too, next to loops by hand. BROKER is\n"
"                           HOST:PORT, or the path of a script that starts one,\n"
"                           as tests/kafka/broker, which is then killed too\n"
"      --forward-ms LIST    how often output is sent; default 100\n"
"      --broker-kills N     kill -9 of that broker in each mode; default 1\n"
"\n"
"How\n"
"      --seconds S          how long a run is; default 0.35; with --kafka only\n"
"                           those at a rate, 5\n"
"  -n, --records N          or how many records it has; with --kafka 2000000\n"
"      --repeat N           runs of each cell, interleaved with those that it is\n"
"                           compared with; default 5; with --kafka 3\n"
"      --rate R             latency at R records a second; default 50 % and 80 %\n"
"                           of the throughput\n"
"      --kills N            kill -9 of each mode, default 3\n"
"      --dir DIR            on which disk; default this directory\n"
"\n"
"What it shows\n"
"      --json               JSON lines instead of the table\n"
"      --report DIR         also a page with plots, DIR/index.html; needs\n"
"                           gnuplot\n"
"      --from FILE          measures nothing: the page is of these JSON lines\n";
const char wr_bench_help_examples[] =
"\n"
"Examples\n"
"  weir bench\n"
"  weir bench --job copy --sync full,normal --seconds 2\n"
"  weir bench --full --report report\n"
"  weir bench --kafka localhost:9092\n";
/* clang-format on */

/* ---- Options --------------------------------------------------------------------------------- */

/* Calls `each` with each item of a comma separated list. */
static weir_status each_item(struct wr_bench_arguments *arguments, const struct wr_option *option,
                             const char *value,
                             weir_status (*each)(struct wr_bench_arguments *, const char *,
                                                 struct wr_error *),
                             struct wr_error *error)
{
    char *list = wr_arena_string(&arguments->arena, value), *rest = list;
    if (!list) {
        return wr_fail_memory(error);
    }
    if (!*list) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE, "--%s is an empty list", option->name);
    }
    for (char *item; (item = strsep(&rest, ","));) {
        if (!*item) {
            return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                           "--%s is \"%s\", a list with an empty item", option->name, value);
        }
        WR_TRY(each(arguments, item, error));
    }
    return WEIR_OK;
}

static weir_status full_list(const char *name, struct wr_error *error)
{
    return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE, "--%s has more than %d items", name,
                   WR_BENCH_LIST_MAX);
}

static weir_status open_job(struct wr_bench_arguments *arguments, const char *path,
                            const struct wr_bench_job **job_out, struct wr_error *error)
{
    struct wr_job_file *file = &arguments->files[arguments->file_count];
    struct wr_bench_job *job = &arguments->jobs[arguments->file_count];
    WR_TRY(wr_job_file_open(path, file, error));
    *job = (struct wr_bench_job){.name = path, .define = file->define};
    *job_out = job;
    arguments->file_count++;
    return WEIR_OK;
}

static weir_status add_job(struct wr_bench_arguments *arguments, const char *item,
                           struct wr_error *error)
{
    struct wr_bench_options *bench = &arguments->options;
    const struct wr_bench_job *job = wr_bench_job_find(item);
    size_t length = strlen(item);
    if (bench->job_count == WR_BENCH_LIST_MAX) {
        return full_list("job", error);
    }
    if (!job && (strchr(item, '/') || (length > 3 && strcmp(item + length - 3, ".so") == 0))) {
        WR_TRY(open_job(arguments, item, &job, error));
    } else if (!job) {
        const char *near = wr_bench_job_nearest(item);
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "--job is \"%s\"; it takes copy, count, wordcount, nexmark_q0 and so on to "
                       "nexmark_q22, or a JOB.so%s%s%s",
                       item, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    for (size_t i = 0; i < bench->job_count; i++) {
        if (strcmp(bench->jobs[i]->name, item) == 0) {
            return WEIR_OK;
        }
    }
    bench->jobs[bench->job_count++] = job;
    return WEIR_OK;
}

static weir_status add_delivery(struct wr_bench_arguments *arguments, const char *item,
                                struct wr_error *error)
{
    const char *const choices[] = {"exactly-once", "at-least-once", "at-most-once", NULL};
    const enum wr_delivery values[] = {WR_EXACTLY_ONCE, WR_AT_LEAST_ONCE, WR_AT_MOST_ONCE};
    struct wr_bench_options *bench = &arguments->options;
    int index = 0;
    WR_TRY(wr_option_choice("--delivery", item, choices, &index, error));
    for (size_t i = 0; i < bench->delivery_count; i++) {
        if (bench->deliveries[i] == values[index]) {
            return WEIR_OK;
        }
    }
    bench->deliveries[bench->delivery_count++] = values[index];
    return WEIR_OK;
}

static weir_status add_sync(struct wr_bench_arguments *arguments, const char *item,
                            struct wr_error *error)
{
    const char *const choices[] = {"full", "normal", "off", NULL};
    const enum wr_sync values[] = {WR_SYNC_FULL, WR_SYNC_NORMAL, WR_SYNC_OFF};
    struct wr_bench_options *bench = &arguments->options;
    int index = 0;
    WR_TRY(wr_option_choice("--sync", item, choices, &index, error));
    for (size_t i = 0; i < bench->sync_count; i++) {
        if (bench->syncs[i] == values[index]) {
            return WEIR_OK;
        }
    }
    bench->syncs[bench->sync_count++] = values[index];
    return WEIR_OK;
}

static weir_status add_number(int64_t *list, size_t *count, int64_t number, const char *name,
                              struct wr_error *error)
{
    for (size_t i = 0; i < *count; i++) {
        if (list[i] == number) {
            return WEIR_OK;
        }
    }
    if (*count == WR_BENCH_LIST_MAX) {
        return full_list(name, error);
    }
    list[(*count)++] = number;
    return WEIR_OK;
}

static weir_status add_epoch_records(struct wr_bench_arguments *arguments, const char *item,
                                     struct wr_error *error)
{
    int64_t number = 0;
    if (strcmp(item, "0") == 0) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "--epoch-records has 0; it takes numbers from 1 to %d, and adaptive: as the "
                       "engine chooses",
                       WR_EPOCH_RECORDS_MAX);
    }
    if (*item >= '0' && *item <= '9') {
        WR_TRY(wr_option_number("--epoch-records", item, 1, WR_EPOCH_RECORDS_MAX, &number, error));
    } else if (strcmp(item, "adaptive") != 0) {
        const char *const names[] = {"adaptive", NULL};
        const char *near = wr_nearest(item, names);
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "--epoch-records has \"%s\"; it takes numbers from 1 to %d, and adaptive%s",
                       item, WR_EPOCH_RECORDS_MAX, near ? "; did you mean adaptive?" : "");
    }
    return add_number(arguments->options.epoch_records, &arguments->options.epoch_records_count,
                      number, "epoch-records", error);
}

static weir_status add_epoch_ms(struct wr_bench_arguments *arguments, const char *item,
                                struct wr_error *error)
{
    int64_t number = 0;
    WR_TRY(wr_option_number("--epoch-ms", item, 1, WR_EPOCH_MS_MAX, &number, error));
    return add_number(arguments->options.epoch_ms, &arguments->options.epoch_ms_count, number,
                      "epoch-ms", error);
}

static weir_status add_forward_ms(struct wr_bench_arguments *arguments, const char *item,
                                  struct wr_error *error)
{
    int64_t number = 0;
    WR_TRY(wr_option_number("--forward-ms", item, 1, FORWARD_MS_MAX, &number, error));
    return add_number(arguments->options.forward_ms, &arguments->options.forward_ms_count, number,
                      "forward-ms", error);
}

static weir_status set_seconds(struct wr_bench_arguments *arguments, const char *value,
                               struct wr_error *error)
{
    char *end = NULL;
    double seconds = strtod(value, &end);
    if (!*value || *end || !(seconds >= SECONDS_MIN && seconds <= SECONDS_MAX)) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "--seconds is \"%s\"; it takes a number from %g to %g", value, SECONDS_MIN,
                       SECONDS_MAX);
    }
    arguments->options.seconds = seconds;
    return WEIR_OK;
}

static weir_status set_define(struct wr_bench_arguments *arguments, const char *value,
                              struct wr_error *error)
{
    const char *equals = strchr(value, '=');
    if (!equals || equals == value) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE, "--define is \"%s\"; it takes NAME=VALUE",
                       value);
    }
    return wr_settings_add(&arguments->defines, value, error);
}

/* A path, or HOST:PORT[,HOST:PORT...]. */
static weir_status set_kafka(struct wr_bench_arguments *arguments, const char *value,
                             struct wr_error *error)
{
    if (!strchr(value, '/') && !strchr(value, ':')) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "--kafka is \"%s\"; it takes HOST:PORT of a broker, or the path of a script "
                       "that starts one (./NAME when it is here)",
                       value);
    }
    arguments->options.kafka = value;
    return WEIR_OK;
}

static weir_status set_number(struct wr_bench_options *bench, const struct wr_option *option,
                              const char *value, struct wr_error *error)
{
    switch ((enum option_id)option->id) {
    case OPTION_RECORDS:
        return wr_option_number("--records", value, 1, INT64_MAX / 2, &bench->records, error);
    case OPTION_REPEAT:
        return wr_option_number("--repeat", value, 1, WR_BENCH_REPEATS_MAX, &bench->repeats, error);
    case OPTION_RATE:
        return wr_option_number("--rate", value, 1, RATE_MAX, &bench->rate, error);
    case OPTION_KILLS:
        return wr_option_number("--kills", value, 0, KILLS_MAX, &bench->kills, error);
    case OPTION_BROKER_KILLS:
        return wr_option_number("--broker-kills", value, 0, KILLS_MAX, &bench->broker_kills, error);
    case OPTION_KEYS:
        return wr_option_number("--keys", value, 1, KEYS_MAX, &bench->keys, error);
    case OPTION_VALUE_BYTES:
        return wr_option_number("--value-bytes", value, VALUE_BYTES_MIN, VALUE_BYTES_MAX,
                                &bench->value_bytes, error);
    default:
        return wr_option_size("--cache", value, 1, CACHE_BYTES_MAX, &bench->cache_bytes, error);
    }
}

static weir_status take_argument(void *context, const struct wr_option *option, const char *value,
                                 struct wr_error *error)
{
    struct wr_bench_arguments *arguments = context;
    if (!option) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "weir bench takes no operands, and was given %s; a job is given by --job",
                       value);
    }
    arguments->measures |= option->id != OPTION_FROM && option->id != OPTION_REPORT;
    switch ((enum option_id)option->id) {
    case OPTION_JOB:
        return each_item(arguments, option, value, add_job, error);
    case OPTION_DELIVERY:
        return each_item(arguments, option, value, add_delivery, error);
    case OPTION_EPOCH_RECORDS:
        return each_item(arguments, option, value, add_epoch_records, error);
    case OPTION_EPOCH_MS:
        return each_item(arguments, option, value, add_epoch_ms, error);
    case OPTION_SYNC:
        return each_item(arguments, option, value, add_sync, error);
    case OPTION_FORWARD_MS:
        return each_item(arguments, option, value, add_forward_ms, error);
    case OPTION_KAFKA:
        return set_kafka(arguments, value, error);
    case OPTION_SECONDS:
        return set_seconds(arguments, value, error);
    case OPTION_DEFINE:
        return set_define(arguments, value, error);
    case OPTION_FULL:
        arguments->options.full = true;
        return WEIR_OK;
    case OPTION_JSON:
        arguments->json = true;
        return WEIR_OK;
    case OPTION_DIR:
        if (!*value) {
            return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE, "--dir is empty; it takes a folder");
        }
        arguments->dir = value;
        return WEIR_OK;
    case OPTION_REPORT:
        arguments->report = value;
        return WEIR_OK;
    case OPTION_FROM:
        arguments->from = value;
        return WEIR_OK;
    case OPTION_HELP:
        return WEIR_OK; /* seen to before */
    default:
        return set_number(&arguments->options, option, value, error);
    }
}

static weir_status check_kafka(const struct wr_bench_arguments *arguments, struct wr_error *error)
{
    const struct wr_bench_options *bench = &arguments->options;
    if (!bench->kafka && (bench->forward_ms_count > 0 || bench->broker_kills >= 0)) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "--%s is for --kafka BROKER; without it nothing is forwarded",
                       bench->forward_ms_count > 0 ? "forward-ms" : "broker-kills");
    }
    if (!bench->kafka) {
        return WEIR_OK;
    }
    if (bench->broker_kills > 0 && !strchr(bench->kafka, '/')) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "--broker-kills is for a broker that weir bench starts itself: give --kafka "
                       "the path of a script, such as tests/kafka/broker");
    }
    if (bench->full || bench->epoch_records_count > 0 || bench->epoch_ms_count > 0) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "--kafka is measured with epochs as the engine chooses them: without %s",
                       bench->full                      ? "--full"
                       : bench->epoch_records_count > 0 ? "--epoch-records"
                                                        : "--epoch-ms");
    }
    for (size_t i = 0; i < bench->job_count; i++) {
        if (strcmp(bench->jobs[i]->name, "copy") != 0 &&
            strcmp(bench->jobs[i]->name, "count") != 0) {
            return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                           "--kafka measures the jobs copy and count, not %s",
                           bench->jobs[i]->name);
        }
    }
    return WEIR_OK;
}

static weir_status check_arguments(struct wr_bench_arguments *arguments, struct wr_error *error)
{
    struct wr_bench_options *bench = &arguments->options;
    if (arguments->from) {
        return arguments->report && !arguments->measures
                   ? WEIR_OK
                   : wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                             "--from measures nothing: it takes --report DIR, and no other option");
    }
    WR_TRY(check_kafka(arguments, error));
    if (bench->records > 0 && bench->seconds > 0 && !bench->kafka) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "--records and --seconds both say how long a run is; give one");
    }
    wr_bench_options_fill(bench);
    for (size_t i = 0; i < arguments->file_count; i++) {
        arguments->jobs[i].defines = &arguments->defines;
    }
    if (arguments->defines.count > 0 && arguments->file_count == 0) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "--define is for a JOB.so, not for the jobs that are built in");
    }
    bool only_off = bench->sync_count == 1 && bench->syncs[0] == WR_SYNC_OFF;
    if (!only_off && wr_bench_is_memory(arguments->dir)) {
        return wr_fail(error, WEIR_MISUSE, WR_EXIT_USAGE,
                       "%s is in memory (tmpfs), where a sync costs nothing, and so would every "
                       "guarantee; give a --dir on a disk, or --sync off",
                       strcmp(arguments->dir, ".") == 0 ? "this directory" : arguments->dir);
    }
    return arguments->report ? wr_bench_report_check(arguments->report, error) : WEIR_OK;
}

/* ---- All ------------------------------------------------------------------------------------- */

const char *wr_bench_command_line(struct wr_arena *arena, int argc, char **argv)
{
    size_t size = sizeof "weir bench";
    for (int i = 0; i < argc; i++) {
        size += strlen(argv[i]) * 4 + 3;
    }
    char *text = wr_arena_alloc(arena, size), *at = text;
    if (!text) {
        return NULL;
    }
    at = stpcpy(at, "weir bench");
    for (int i = 0; i < argc; i++) {
        static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                    "@%+=:,./_-";
        bool quoted = !*argv[i] || argv[i][strspn(argv[i], plain)];
        at = stpcpy(at, quoted ? " '" : " ");
        for (const char *c = argv[i]; *c; c++) {
            at = *c == '\'' ? stpcpy(at, "'\\''") : (*at = *c, at + 1);
        }
        at = stpcpy(at, quoted ? "'" : "");
    }
    return text;
}

weir_status wr_bench_arguments_read(struct wr_bench_arguments *arguments, int argc, char **argv,
                                    struct wr_error *error)
{
    *arguments =
        (struct wr_bench_arguments){.options = {.kills = -1, .broker_kills = -1}, .dir = "."};
    wr_arena_init(&arguments->arena, 0);
    WR_TRY(wr_options_parse("weir bench", wr_bench_option_table, argc, argv, take_argument,
                            arguments, error));
    return check_arguments(arguments, error);
}

void wr_bench_arguments_fini(struct wr_bench_arguments *arguments)
{
    for (size_t i = 0; i < arguments->file_count; i++) {
        wr_job_file_close(&arguments->files[i]);
    }
    wr_settings_fini(&arguments->defines);
    wr_arena_fini(&arguments->arena);
}
