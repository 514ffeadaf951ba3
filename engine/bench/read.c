/* read.c: JSON lines of `weir bench`, read. See read.h; lines.c writes them. Beside
 * engine/cli/inspect.h the only file that names jansson. Long because a line's format is in one
 * place.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/bench/read.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>

#include "txn/base/bytes.h"

enum { FILE_BYTES_MAX = 256 * 1024 * 1024, RESULTS_MAX = 1024 };

struct reading {
    const char *path;
    size_t line;
    struct wr_arena *arena;
    struct wr_bench_results *results;
    struct wr_error *error;
    size_t groups_before, groups; /* of the measurements before this one; and with this one */
};

static const char *const figure_names[WR_BENCH_FIGURES] = {
    [WR_BENCH_RECORDS_PER_S] = "records_per_s",
    [WR_BENCH_MB_PER_S] = "mb_per_s",
    [WR_BENCH_DECIDE_P50_US] = "decide_us_p50",
    [WR_BENCH_DECIDE_P99_US] = "decide_us_p99",
    [WR_BENCH_DECIDE_P999_US] = "decide_us_p999",
    [WR_BENCH_DECIDE_MAX_US] = "decide_us_max",
    [WR_BENCH_LATENCY_P50_US] = "latency_us_p50",
    [WR_BENCH_LATENCY_P99_US] = "latency_us_p99",
    [WR_BENCH_LATENCY_P999_US] = "latency_us_p999",
    [WR_BENCH_LATENCY_MAX_US] = "latency_us_max",
    [WR_BENCH_BYTES_PER_RECORD] = "bytes_per_record",
    [WR_BENCH_FSYNCS_PER_RECORD] = "fsyncs_per_record",
    [WR_BENCH_CPU_S_PER_MILLION] = "cpu_s_per_million",
    [WR_BENCH_RSS_KIB] = "rss_kib",
    [WR_BENCH_READ_S] = "read_s",
    [WR_BENCH_OPERATORS_S] = "operators_s",
    [WR_BENCH_APPLY_S] = "apply_s",
    [WR_BENCH_FSYNC_S] = "fsync_s",
};

/* ---- Fields ---------------------------------------------------------------------------------- */

static weir_status fail_field(struct reading *reading, const char *name, const char *wanted)
{
    return wr_fail(reading->error, WEIR_FATAL, WR_EXIT_DATA,
                   "%s:%zu: \"%s\" is not %s; is this what weir bench --json wrote?", reading->path,
                   reading->line, name, wanted);
}

/* A whole number from 0 on; absent and null are `otherwise`. */
static weir_status get_count(struct reading *reading, const json_t *line, const char *name,
                             int64_t otherwise, int64_t *count_out)
{
    const json_t *value = json_object_get(line, name);
    *count_out = otherwise;
    if (!value || json_is_null(value)) {
        return WEIR_OK;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > WR_COUNTER_MAX) {
        return fail_field(reading, name, "a whole number");
    }
    *count_out = json_integer_value(value);
    return WEIR_OK;
}

/* NAN: absent or null. What no bench can have measured is refused: plots could not hold it. */
static weir_status get_number(struct reading *reading, const json_t *line, const char *name,
                              double *number_out)
{
    const json_t *value = json_object_get(line, name);
    *number_out = NAN;
    double number = value && json_is_number(value) ? json_number_value(value) : -1;
    if (number == 0 || (number > 1e-12 && number < 1e15)) {
        *number_out = number;
    } else if (value && !json_is_null(value)) {
        return fail_field(reading, name, "a number that was measured");
    }
    return WEIR_OK;
}

/* In the arena; NULL: absent or null. */
static weir_status get_text(struct reading *reading, const json_t *line, const char *name,
                            const char **text_out)
{
    const json_t *value = json_object_get(line, name);
    *text_out = NULL;
    if (!value || json_is_null(value)) {
        return WEIR_OK;
    }
    if (!json_is_string(value)) {
        return fail_field(reading, name, "a text");
    }
    *text_out = wr_arena_string(reading->arena, json_string_value(value));
    return *text_out ? WEIR_OK : wr_fail_memory(reading->error);
}

/* Which of `choices`, by its place. */
static weir_status get_choice(struct reading *reading, const json_t *line, const char *name,
                              const char *const *choices, size_t *choice_out)
{
    const char *text = NULL;
    WR_TRY(get_text(reading, line, name, &text));
    for (*choice_out = 0; text && choices[*choice_out]; (*choice_out)++) {
        if (strcmp(text, choices[*choice_out]) == 0) {
            return WEIR_OK;
        }
    }
    return fail_field(reading, name, "one of those that weir bench has");
}

/* ---- Cells ----------------------------------------------------------------------------------- */

/* Lines of before there was Kafka do not have them. */
static weir_status read_route(struct reading *reading, const json_t *line,
                              enum wr_bench_route *route_out)
{
    static const char *const inputs[] = {"gen", "kafka", NULL}, *const outputs[] = {"log", "kafka",
                                                                                    NULL};
    size_t input = 0, output = 0;
    *route_out = WR_BENCH_GENERATED;
    if (!json_object_get(line, "input")) {
        return WEIR_OK;
    }
    WR_TRY(get_choice(reading, line, "input", inputs, &input));
    WR_TRY(get_choice(reading, line, "output", outputs, &output));
    if (input == 1) {
        *route_out = output == 1 ? WR_BENCH_KAFKA_TO_KAFKA : WR_BENCH_KAFKA_TO_LOG;
    }
    return WEIR_OK;
}

static weir_status read_cell(struct reading *reading, const json_t *line, const char *name,
                             struct wr_bench_cell *cell, size_t *group_out)
{
    static const char *const kinds[] = {
        "weir", "no_positions", "loop", "loop_at_least_once", "raw_overwrite", "raw_append", NULL};
    static const char *const syncs[] = {"full", "normal", "off", NULL};
    size_t kind = 0, sync = 0;
    int64_t group = 0;
    const char *delivery = NULL;
    *cell = (struct wr_bench_cell){.delivery = WR_AT_LEAST_ONCE};
    WR_TRY(get_choice(reading, line, "kind", kinds, &kind));
    WR_TRY(get_choice(reading, line, "sync", syncs, &sync));
    WR_TRY(get_text(reading, line, "delivery", &delivery));
    cell->kind = (enum wr_bench_kind)kind;
    cell->sync = (enum wr_sync)sync;
    if (cell->kind == WR_BENCH_WEIR &&
        (!delivery || !wr_delivery_parse(delivery, &cell->delivery))) {
        return fail_field(reading, "delivery", "a delivery mode");
    }
    WR_TRY(get_count(reading, line, "epoch_records", 0, &cell->epoch_records));
    WR_TRY(get_count(reading, line, "epoch_ms", 0, &cell->epoch_ms));
    WR_TRY(read_route(reading, line, &cell->route));
    WR_TRY(get_count(reading, line, "forward_ms", 0, &cell->forward_ms));
    WR_TRY(get_count(reading, line, "keys", 0, &cell->keys));
    WR_TRY(get_count(reading, line, "value_bytes", 0, &cell->value_bytes));
    WR_TRY(get_count(reading, line, "cache_bytes", 0, &cell->cache_bytes));
    WR_TRY(get_number(reading, line, "transaction_records", &cell->transaction_records));
    WR_TRY(get_number(reading, line, "transaction_bytes", &cell->transaction_bytes));
    cell->transaction_records = fmax(cell->transaction_records, 0); /* NAN: 0 */
    cell->transaction_bytes = fmax(cell->transaction_bytes, 0);
    WR_TRY(get_count(reading, line, "group", 0, &group));
    if (group >= RESULTS_MAX) {
        return fail_field(reading, "group", "a group's number");
    }
    *group_out = reading->groups_before + (size_t)group;
    if (*group_out >= reading->groups) {
        reading->groups = *group_out + 1;
    }
    struct wr_bench_job *job = wr_arena_zalloc(reading->arena, sizeof *job);
    if (!job) {
        return wr_fail_memory(reading->error);
    }
    job->name = name;
    cell->job = job;
    return WEIR_OK;
}

static bool same_cell(const struct wr_bench_cell *a, const struct wr_bench_cell *b)
{
    return a->kind == b->kind && a->delivery == b->delivery && a->sync == b->sync &&
           a->route == b->route && a->forward_ms == b->forward_ms &&
           a->epoch_records == b->epoch_records && a->epoch_ms == b->epoch_ms &&
           a->keys == b->keys && a->value_bytes == b->value_bytes &&
           a->cache_bytes == b->cache_bytes && strcmp(a->job->name, b->job->name) == 0;
}

/* The result that the line is of; a new one when it is the first. */
static weir_status find_result(struct reading *reading, const json_t *line,
                               struct wr_bench_result **result_out)
{
    struct wr_bench_results *results = reading->results;
    struct wr_bench_cell cell;
    const char *name = NULL;
    size_t group = 0;
    WR_TRY(get_text(reading, line, "job", &name));
    if (!name) {
        return fail_field(reading, "job", "a job's name");
    }
    WR_TRY(read_cell(reading, line, name, &cell, &group));
    for (size_t i = 0; i < results->count; i++) {
        if (results->items[i].group == group && same_cell(&results->items[i].cell, &cell)) {
            *result_out = &results->items[i];
            return WEIR_OK;
        }
    }
    if (results->count == RESULTS_MAX) {
        return wr_fail(reading->error, WEIR_FATAL, WR_EXIT_DATA, "%s:%zu: more than %d cells",
                       reading->path, reading->line, RESULTS_MAX);
    }
    *result_out = &results->items[results->count++];
    **result_out = (struct wr_bench_result){.cell = cell, .group = group};
    return WEIR_OK;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

/* Room for one more, the array in the arena growing by doubling. */
static struct wr_bench_sample *add_sample(struct reading *reading, struct wr_bench_sample **runs,
                                          size_t *count)
{
    if ((*count & (*count - 1)) == 0) {
        struct wr_bench_sample *wider =
            wr_arena_alloc(reading->arena, (*count ? 2 * *count : 1) * sizeof *wider);
        if (!wider) {
            return NULL;
        }
        if (*count > 0) {
            memcpy(wider, *runs, *count * sizeof *wider);
        }
        *runs = wider;
    }
    return &(*runs)[(*count)++];
}

static weir_status read_run(struct reading *reading, const json_t *line,
                            struct wr_bench_sample **runs, size_t *count)
{
    struct wr_bench_sample *sample = add_sample(reading, runs, count);
    if (!sample) {
        return wr_fail_memory(reading->error);
    }
    WR_TRY(get_count(reading, line, "records", 0, &sample->records));
    WR_TRY(get_count(reading, line, "epochs", 0, &sample->epochs));
    WR_TRY(get_number(reading, line, "seconds", &sample->seconds));
    for (size_t i = 0; i < WR_BENCH_FIGURES; i++) {
        WR_TRY(get_number(reading, line, figure_names[i], &sample->figures[i]));
    }
    return WEIR_OK;
}

static weir_status read_latency(struct reading *reading, const json_t *line,
                                struct wr_bench_result *result)
{
    enum { RATES = sizeof result->latency / sizeof result->latency[0] };
    int64_t rate = 0, percent = 0;
    WR_TRY(get_count(reading, line, "rate", 0, &rate));
    WR_TRY(get_count(reading, line, "rate_percent", 0, &percent));
    size_t at = 0;
    while (at < result->latency_count &&
           (result->latency[at].rate != rate || result->latency[at].percent != percent)) {
        at++;
    }
    if (at == RATES) {
        return fail_field(reading, "rate", "one of the two that a cell has");
    }
    struct wr_bench_latency *latency = &result->latency[at];
    if (at == result->latency_count) {
        *latency = (struct wr_bench_latency){.rate = rate, .percent = percent};
        result->latency_count++;
    }
    return read_run(reading, line, &latency->runs, &latency->run_count);
}

static weir_status read_damage(struct reading *reading, const json_t *line,
                               struct wr_bench_result *result)
{
    struct wr_bench_damage *damage = &result->damage;
    double median = NAN, longest = NAN;
    WR_TRY(get_count(reading, line, "kills", -1, &damage->kills));
    if (damage->kills < 0) {
        return WEIR_OK;
    }
    WR_TRY(get_count(reading, line, "broker_kills", 0, &damage->broker_kills));
    WR_TRY(get_count(reading, line, "expected", 0, &damage->expected));
    WR_TRY(get_count(reading, line, "lost", 0, &damage->lost));
    WR_TRY(get_count(reading, line, "repeated", 0, &damage->repeated));
    WR_TRY(get_count(reading, line, "reordered", 0, &damage->reordered));
    WR_TRY(get_count(reading, line, "state_errors", -1, &damage->state_errors));
    WR_TRY(get_number(reading, line, "recovery_ms", &median));
    WR_TRY(get_number(reading, line, "recovery_ms_max", &longest));
    if (median >= 0 && median < 1e9 && longest >= 0 && longest < 1e9 && !result->has_damage) {
        wr_histogram_add(&damage->recovery, llround(median * 1000), 1);
        wr_histogram_add(&damage->recovery, llround(longest * 1000), 1);
    }
    result->has_damage = true;
    return WEIR_OK;
}

static weir_status copy_text(struct reading *reading, const json_t *line, const char *name,
                             char *text_out, size_t size)
{
    const char *text = NULL;
    WR_TRY(get_text(reading, line, name, &text));
    snprintf(text_out, size, "%s", text ? text : "");
    return WEIR_OK;
}

/* Another measurement begins: its groups are its own, its command stands below the one before. */
static weir_status read_machine(struct reading *reading, const json_t *line)
{
    struct wr_bench_results *results = reading->results;
    struct wr_bench_machine machine = {.cores = 0};
    int64_t cores = 0;
    const char *command = NULL;
    WR_TRY(copy_text(reading, line, "time", machine.time, sizeof machine.time));
    WR_TRY(copy_text(reading, line, "cpu", machine.cpu, sizeof machine.cpu));
    WR_TRY(copy_text(reading, line, "kernel", machine.kernel, sizeof machine.kernel));
    WR_TRY(copy_text(reading, line, "system", machine.system, sizeof machine.system));
    WR_TRY(
        copy_text(reading, line, "file_system", machine.file_system, sizeof machine.file_system));
    WR_TRY(copy_text(reading, line, "versions", machine.versions, sizeof machine.versions));
    WR_TRY(get_count(reading, line, "cores", 0, &cores));
    WR_TRY(get_count(reading, line, "memory_kib", 0, &machine.memory_kib));
    WR_TRY(get_number(reading, line, "load", &machine.load));
    WR_TRY(get_number(reading, line, "fsync_us_p50", &machine.fsync_us_p50));
    WR_TRY(get_number(reading, line, "fsync_us_p99", &machine.fsync_us_p99));
    WR_TRY(get_number(reading, line, "fsync_us_max", &machine.fsync_us_max));
    WR_TRY(get_text(reading, line, "command", &command));
    machine.cores = cores < 100000 ? (int)cores : 100000;
    reading->groups_before = reading->groups;
    if (!results->command) {
        results->machine = machine;
        results->command = command ? command : "";
        return WEIR_OK;
    }
    if (strcmp(machine.cpu, results->machine.cpu) != 0 || machine.cores != results->machine.cores ||
        strcmp(machine.file_system, results->machine.file_system) != 0) {
        return wr_fail(
            reading->error, WEIR_FATAL, WR_EXIT_DATA,
            "%s:%zu: measured on another machine or disk than what stands above it; make "
            "a report of each",
            reading->path, reading->line);
    }
    size_t size = strlen(results->command) + 1 + (command ? strlen(command) : 0) + 1;
    char *both = wr_arena_alloc(reading->arena, size);
    if (!both) {
        return wr_fail_memory(reading->error);
    }
    snprintf(both, size, "%s\n%s", results->command, command ? command : "");
    results->command = both;
    return WEIR_OK;
}

static weir_status read_line(struct reading *reading, const json_t *line)
{
    static const char *const types[] = {"machine", "run", "latency", "cell", NULL};
    size_t type = 0;
    struct wr_bench_result *result = NULL;
    WR_TRY(get_choice(reading, line, "type", types, &type));
    if (type == 0) {
        return read_machine(reading, line);
    }
    WR_TRY(find_result(reading, line, &result));
    return type == 1   ? read_run(reading, line, &result->runs, &result->run_count)
           : type == 2 ? read_latency(reading, line, result)
                       : read_damage(reading, line, result);
}

/* ---- The file -------------------------------------------------------------------------------- */

static weir_status read_text(struct reading *reading, weir_bytes *text_out)
{
    FILE *file = fopen(reading->path, "re");
    if (!file) {
        return wr_fail_errno(reading->error, "cannot read %s", reading->path);
    }
    size_t size = 0, room = 65536;
    char *text = wr_arena_alloc(reading->arena, room);
    while (text && !ferror(file) && !feof(file) && size < FILE_BYTES_MAX) {
        if (size == room) {
            char *wider = wr_arena_alloc(reading->arena, 2 * room);
            if (wider) {
                memcpy(wider, text, size);
            }
            text = wider;
            room *= 2;
        }
        if (text) {
            size += fread(text + size, 1, room - size, file);
        }
    }
    bool failed = ferror(file) != 0;
    int native = errno;
    fclose(file);
    if (!text) {
        return wr_fail_memory(reading->error);
    }
    errno = native;
    if (failed) {
        return wr_fail_errno(reading->error, "cannot read %s", reading->path);
    }
    if (size >= FILE_BYTES_MAX) {
        return wr_fail(reading->error, WEIR_FATAL, WR_EXIT_DATA,
                       "%s is larger than any measurement (%d MiB)", reading->path,
                       FILE_BYTES_MAX / 1048576);
    }
    *text_out = wr_bytes(text, size);
    return WEIR_OK;
}

static weir_status read_lines(struct reading *reading, weir_bytes text)
{
    const char *at = text.data, *end = at + text.size;
    while (at < end) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        size_t size = (size_t)((feed ? feed : end) - at);
        reading->line++;
        json_error_t wrong;
        json_t *line = size ? json_loadb(at, size, JSON_REJECT_DUPLICATES, &wrong) : NULL;
        if (size && !json_is_object(line)) {
            json_decref(line);
            return wr_fail(reading->error, WEIR_FATAL, WR_EXIT_DATA,
                           "%s:%zu: no object of JSON; is this what weir bench --json wrote?",
                           reading->path, reading->line);
        }
        weir_status status = size ? read_line(reading, line) : WEIR_OK;
        json_decref(line);
        WR_TRY(status);
        at += size + 1;
    }
    return WEIR_OK;
}

weir_status wr_bench_read(const char *path, struct wr_arena *arena,
                          struct wr_bench_results *results_out, weir_bytes *lines_out,
                          struct wr_error *error)
{
    struct reading reading = {.path = path, .arena = arena, .results = results_out, .error = error};
    *results_out = (struct wr_bench_results){.count = 0};
    results_out->items = wr_arena_alloc(arena, RESULTS_MAX * sizeof *results_out->items);
    if (!results_out->items) {
        return wr_fail_memory(error);
    }
    WR_TRY(read_text(&reading, lines_out));
    WR_TRY(read_lines(&reading, *lines_out));
    if (results_out->count == 0) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_DATA,
                       "%s holds no figures; it takes what weir bench --json wrote", path);
    }
    results_out->repeats = (int64_t)results_out->items[0].run_count;
    return WEIR_OK;
}
