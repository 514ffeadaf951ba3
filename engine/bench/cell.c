/* cell.c: one run of a job in a child process, watched from within: throughput, decisions, and with
 * a rate the latency of every record. See bench.h.
 *
 * Timed is what follows opening: from the moment at which the job could take its first record to
 * its last decision. CPU time and memory are those of the whole process, opening included. A run of
 * so many seconds is stopped as SIGTERM stops `weir run`, and what it had read by then is decided
 * and counted, with the time that took.
 *
 * Latency is from when a record was meant to be sent (an open loop: record i at (i + 1) / rate
 * after the start, whether or not anybody was there to take it) to the end of the decision that
 * made it last. So a stall counts against each record that it delayed. The first tenth of a run
 * with a rate is not counted: the store is small and its caches are cold then.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/bench/bench.h"
#include "engine/instance.h"

enum {
    STEPS = 256, /* an epoch's records are counted in so many steps of equal latency */
    DECADE = 10, /* one record in so many is not counted, the first ones */
    SAMPLE = 4096, /* records of which the mean size is taken */
    GRACE_S = 60, /* a run of some seconds may take this much longer */
};
#define NEVER_MS (INT64_C(365) * 86400 * 1000)
#define LONG_S 86400.0

/* ---- Options --------------------------------------------------------------------------------- */

static weir_status add(struct wr_settings *settings, const char *name, const char *value,
                       struct wr_error *error)
{
    char text[WR_NAME_BYTES_MAX + WR_URI_BYTES_MAX + 2];
    snprintf(text, sizeof text, "%s=%s", name, value);
    return wr_settings_add(settings, text, error);
}

/* What is kept in the store stays as the job has it; what would leave it becomes a topic. */
static bool stays(const struct wr_node *sink)
{
    const char *uri = sink->default_uri;
    return uri && (strncmp(uri, "table:", 6) == 0 || strncmp(uri, "log:", 4) == 0 ||
                   strncmp(uri, "sql:", 4) == 0 || strncmp(uri, "null:", 5) == 0);
}

/* Of a job whose inputs and outputs are not known: defines it once to look at them. Several inputs
 * share records and rate. */
static weir_status set_all(const struct wr_bench_cell *cell, int64_t records,
                           struct wr_run_options *options, struct wr_error *error)
{
    char uri[WR_URI_BYTES_MAX];
    weir_job job;
    struct wr_job_options looks = {.name = "job", .kit = true, .defines = &options->defines};
    weir_status status = wr_job_open(&looks, cell->job->define, &job, error);
    int64_t share = (int64_t)job.source_count;
    for (size_t i = 0; i < job.node_count && status == WEIR_OK; i++) {
        const struct wr_node *node = job.nodes[i];
        if (node->kind == WR_NODE_SOURCE) {
            wr_bench_generator(cell, (records + share - 1) / share,
                               (cell->rate + share - 1) / share, uri, sizeof uri);
            status = add(&options->inputs, node->name, uri, error);
        } else if (node->kind == WR_NODE_SINK && !stays(node)) {
            snprintf(uri, sizeof uri, "log:%s", node->name);
            status = add(&options->outputs, node->name, uri, error);
        }
    }
    wr_job_close(&job);
    return status;
}

weir_status wr_bench_cell_options(const struct wr_bench_cell *cell, const char *store,
                                  int64_t records, struct wr_arena *arena,
                                  struct wr_run_options *options, struct wr_error *error)
{
    wr_run_options_init(options);
    options->store = wr_arena_string(arena, store);
    if (!options->store) {
        return wr_fail_memory(error);
    }
    options->delivery = cell->delivery;
    options->sync = cell->sync;
    options->epoch_records = cell->epoch_records;
    options->epoch_ms = cell->epoch_ms;
    options->cache_bytes = cell->cache_bytes > 0 ? cell->cache_bytes : options->cache_bytes;
    options->verbosity = -1;
    if (cell->kind == WR_BENCH_NO_POSITIONS) {
        options->delivery = WR_AT_LEAST_ONCE;
        options->positions_ms = NEVER_MS;
    }
    const struct wr_settings *defines = cell->job->defines;
    for (size_t i = 0; defines && i < defines->count; i++) {
        WR_TRY(add(&options->defines, defines->items[i].name, defines->items[i].value, error));
    }
    if (!cell->job->input) {
        return set_all(cell, records, options, error);
    }
    char from[WR_URI_BYTES_MAX], to[WR_URI_BYTES_MAX];
    wr_bench_generator(cell, records, cell->rate, from, sizeof from);
    snprintf(to, sizeof to, "log:%s", cell->job->output);
    if (cell->route != WR_BENCH_GENERATED) {
        options->forward_ms = cell->forward_ms;
        options->until_end = cell->rate == 0;
    }
    WR_TRY(add(&options->inputs, cell->job->input, cell->from ? cell->from : from, error));
    return add(&options->outputs, cell->job->output, cell->to ? cell->to : to, error);
}

/* Mean bytes of key and value of the records that a generator makes first. */
static weir_status mean_bytes(struct wr_env *env, const struct wr_bench_cell *cell,
                              double *mean_out, struct wr_error *error)
{
    struct wr_arena arena;
    struct wr_endpoint endpoint;
    struct wr_source *source = NULL;
    struct wr_polled polled = {.count = 0};
    enum wr_source_more more = WR_SOURCE_MORE;
    char uri[WR_URI_BYTES_MAX];
    int64_t records = 0, bytes = 0;
    wr_arena_init(&arena, 0);
    wr_arena_init(&polled.arena, (size_t)2 * WR_POLL_BYTES_MAX);
    wr_bench_generator(cell, SAMPLE, 0, uri, sizeof uri);
    weir_status status = wr_endpoint_parse(uri, true, &arena, &endpoint, error);
    if (status == WEIR_OK) {
        status = wr_source_open(env, "in", &endpoint, &arena, &source, error);
    }
    while (status == WEIR_OK && more == WR_SOURCE_MORE) {
        wr_arena_reset(&polled.arena);
        status = source->ops->poll(source, source->partitions[0], &polled, &more, error);
        for (size_t i = 0; i < polled.count; i++, records++) {
            bytes += (int64_t)(polled.records[i].key.size + polled.records[i].value.size);
        }
    }
    if (source) {
        source->ops->close(source);
    }
    *mean_out = records ? (double)bytes / (double)records : 0;
    wr_arena_fini(&polled.arena);
    wr_arena_fini(&arena);
    return status;
}

/* ---- In the child ---------------------------------------------------------------------------- */

struct watched {
    const struct wr_bench_cell *cell;
    struct wr_bench *bench;
    const char *store;
    struct wr_env env;
    struct wr_bench_run *run;
    struct wr_error *error; /* that ended it; seen by the parent however the child ends */
    int64_t started_us, last_us, deadline_us; /* deadline 0: none */
    _Atomic int64_t arrived_us, outside_us; /* the first input; the last output. 0: never */
    int64_t skip; /* records whose latency is not counted */
    bool ending;
    struct wr_store_stats before;
};

/* Record `first` of this run and those after it, up to `count`, were decided now. */
static void add_latency(const struct watched *watched, int64_t first, int64_t count, int64_t now_us)
{
    double gap_us = 1e6 / (double)watched->cell->rate;
    int64_t step = count / STEPS + 1;
    for (int64_t i = 0; i < count; i += step) {
        int64_t these = count - i < step ? count - i : step;
        double middle = (double)(first + i) + (double)(these + 1) / 2;
        int64_t meant_us = watched->started_us + (int64_t)(middle * gap_us);
        wr_histogram_add(&watched->run->latency, now_us - meant_us, these);
    }
}

static void on_decided(void *data, const struct wr_instance *instance, int64_t records)
{
    struct watched *watched = data;
    struct wr_bench_run *run = watched->run;
    int64_t now_us = instance->env->monotonic_us(instance->env);
    int64_t first = run->records, skip = watched->skip - first;
    watched->last_us = now_us;
    run->records += records;
    run->epochs++;
    if (watched->cell->rate > 0 && records > 0) {
        skip = skip < 0 ? 0 : skip > records ? records : skip;
        add_latency(watched, first + skip, records - skip, now_us);
    }
    if (watched->deadline_us && now_us >= watched->deadline_us && !watched->ending) {
        watched->ending = true;
        kill(getpid(), SIGTERM);
    }
}

static void on_started(void *data, const struct wr_instance *instance)
{
    struct watched *watched = data;
    const struct wr_bench_cell *cell = watched->cell;
    wr_store_stats(instance->store, &watched->before);
    int64_t now_us = instance->env->monotonic_us(instance->env);
    watched->started_us = now_us;
    watched->last_us = now_us;
    if (cell->records == 0) {
        watched->deadline_us = now_us + (int64_t)(cell->seconds * 1e6);
        watched->skip = (int64_t)((double)cell->rate * cell->seconds) / DECADE;
    } else {
        watched->skip = cell->records / DECADE;
    }
    for (size_t i = 0; i < instance->job->source_count && cell->rate > 0; i++) {
        instance->sources[i]->paced_from_us = now_us; /* what opening took is not its input's */
    }
}

/* Where the input comes from elsewhere, connecting to it is none of the run. */
static void on_arrived(void *data, const struct wr_instance *instance)
{
    struct watched *watched = data;
    atomic_store(&watched->arrived_us, instance->env->monotonic_us(instance->env));
}

static void on_forwarded(void *data, const struct wr_instance *instance)
{
    struct watched *watched = data;
    atomic_store(&watched->outside_us, instance->env->monotonic_us(instance->env));
}

static double seconds_of(const struct watched *watched)
{
    int64_t from_us = watched->started_us, to_us = watched->last_us;
    int64_t arrived_us = atomic_load(&watched->arrived_us);
    int64_t outside_us = atomic_load(&watched->outside_us);
    if (watched->cell->route != WR_BENCH_GENERATED) {
        from_us = arrived_us > 0 ? arrived_us : from_us;
        to_us = outside_us > to_us ? outside_us : to_us;
    }
    return (double)(to_us - from_us) / 1e6;
}

static void on_ended(void *data, const struct wr_instance *instance)
{
    struct watched *watched = data;
    struct wr_bench_run *run = watched->run;
    const struct wr_metrics *metrics = &instance->metrics;
    struct wr_store_stats stats;
    wr_store_stats(instance->store, &stats);
    wr_histogram_merge(&run->decide, &metrics->decide);
    run->seconds = seconds_of(watched);
    run->bytes_written = stats.bytes_written - watched->before.bytes_written;
    run->fsyncs = stats.fsyncs - watched->before.fsyncs;
    run->rejects = atomic_load(&metrics->rejects);
    run->read_s = (double)atomic_load(&metrics->read_us) / 1e6;
    run->operators_s = (double)atomic_load(&metrics->operate_us) / 1e6;
    run->fsync_s = (double)(stats.fsync_us - watched->before.fsync_us) / 1e6;
    double decided_s = (double)atomic_load(&metrics->decided_us) / 1e6;
    run->apply_s = decided_s > run->fsync_s ? decided_s - run->fsync_s : 0;
}

/* What ended the run goes to the parent, which knows what it was about. The rest is shown, but for
 * what points into the store, which is gone soon. */
static void child_log(struct wr_env *env, enum wr_level level, const char *text)
{
    struct watched *watched = env->data;
    if (level == WR_LOG_ERROR) {
        snprintf(watched->error->text, sizeof watched->error->text, "%s", text);
    } else if (!strstr(text, "see `weir rejects ")) {
        watched->bench->env->log(watched->bench->env, level, text);
    }
}

static int run_child(void *data, void *result)
{
    struct watched *watched = data;
    struct wr_error *error = watched->error;
    struct wr_run_options options;
    struct wr_arena arena;
    const struct wr_observer observer = {.started = on_started,
                                         .arrived = on_arrived,
                                         .decided = on_decided,
                                         .forwarded = on_forwarded,
                                         .ended = on_ended,
                                         .data = watched};
    (void)result;
    watched->env = *watched->bench->env;
    watched->env.log = child_log;
    watched->env.data = watched;
    wr_arena_init(&arena, 0);
    if (wr_bench_cell_options(watched->cell, watched->store, watched->cell->records, &arena,
                              &options, error) == WEIR_OK) {
        options.observer = &observer;
        int code = wr_run(&watched->env, "bench", watched->cell->job->define, &options);
        if (code != 0) {
            error->status = WEIR_FATAL;
            error->exit_code = (enum wr_exit)code;
        }
    }
    wr_run_options_fini(&options);
    wr_arena_fini(&arena);
    return 0;
}

/* ---- In the parent --------------------------------------------------------------------------- */

/* What the child said of its end is better than what can be seen of it from here. */
static weir_status judge(weir_status status, const struct wr_error *said, struct wr_error *error)
{
    if (said->status != WEIR_OK) {
        wr_error_clear(error);
        return wr_fail(error, said->status, said->exit_code, "%s", said->text);
    }
    if (status != WEIR_OK && said->text[0] && error->native != EINTR) {
        enum wr_exit code = error->exit_code;
        wr_error_clear(error);
        return wr_fail(error, status, code, "%s", said->text);
    }
    return status;
}

static weir_status run_in_child(struct watched *watched, struct wr_bench_run *run_out,
                                struct wr_error *error)
{
    const struct wr_bench_cell *cell = watched->cell;
    struct rusage usage;
    struct wr_error *said =
        mmap(NULL, sizeof *said, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (said == MAP_FAILED) {
        return wr_fail_memory(error);
    }
    watched->run = run_out;
    watched->error = said;
    double seconds_max = cell->records > 0 ? LONG_S : cell->seconds + GRACE_S;
    weir_status status = wr_bench_child_within(seconds_max, run_child, watched, run_out,
                                               sizeof *run_out, &usage, error);
    status = judge(status, said, error);
    munmap(said, sizeof *said);
    if (status == WEIR_OK) {
        run_out->cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
        run_out->rss_kib = usage.ru_maxrss;
    }
    return status;
}

weir_status wr_bench_cell_run(struct wr_bench *bench, const struct wr_bench_cell *cell,
                              struct wr_bench_run *run_out, struct wr_error *error)
{
    char folder[WR_URI_BYTES_MAX + 16], store[WR_URI_BYTES_MAX + 32];
    struct watched watched = {.cell = cell, .bench = bench, .store = store};
    double mean = 0;
    snprintf(folder, sizeof folder, "%s/run", bench->folder);
    snprintf(store, sizeof store, "%s/bench.weir", folder);
    *run_out = (struct wr_bench_run){.records = 0};
    WR_TRY(mean_bytes(bench->env, cell, &mean, error));
    if (mkdir(folder, 0700) != 0) {
        return wr_fail_errno(error, "cannot make %s", folder);
    }
    weir_status status = run_in_child(&watched, run_out, error);
    run_out->input_bytes = (int64_t)(mean * (double)run_out->records);
    struct wr_error removing = {.status = WEIR_OK};
    if (wr_bench_remove(folder, &removing) != WEIR_OK && status == WEIR_OK) {
        *error = removing;
        status = removing.status;
    }
    return status;
}
