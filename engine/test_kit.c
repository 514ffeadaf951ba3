/* test_kit.c: see weir_test.h. The same steps as loop.c takes with threads, one after the other.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/test_kit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "txn/base/assert.h"
#include "txn/store_rejects.h"

enum { CLOCK_START_MS = 1000000000 };

_Noreturn void wr_kit_no_memory(void)
{
    fprintf(stderr, "weir_test: out of memory\n");
    exit(WR_EXIT_AGAIN);
}

void *wr_kit_alloc(weir_test *test, size_t size)
{
    void *memory = wr_arena_zalloc(&test->arena, size);
    if (!memory) {
        wr_kit_no_memory();
    }
    return memory;
}

weir_bytes wr_kit_copy(weir_test *test, weir_bytes bytes)
{
    weir_bytes copy;
    if (!wr_arena_copy(&test->arena, bytes, &copy)) {
        wr_kit_no_memory();
    }
    return copy;
}

/* ---- The world ------------------------------------------------------------------------------- */

static int64_t kit_wall_ms(struct wr_env *env)
{
    const weir_test *test = env->data;
    return test->clock_ms;
}

static int64_t kit_monotonic_us(struct wr_env *env)
{
    const weir_test *test = env->data;
    return test->clock_ms * 1000;
}

static void kit_log(struct wr_env *env, enum wr_level level, const char *text)
{
    (void)env;
    (void)level;
    (void)text;
}

/* ---- Open and close -------------------------------------------------------------------------- */

static void close_instance(weir_test *test)
{
    if (test->instance_open) {
        wr_instance_close(&test->instance);
    }
    if (test->job_open) {
        wr_job_close(&test->job);
    }
    test->instance_open = false;
    test->job_open = false;
}

/* Sinks can be read after a crash too. */
static weir_status remember_sinks(weir_test *test)
{
    struct wr_arena *arena = &test->arena;
    size_t count = test->job.sink_count;
    struct kit_sink *sinks = wr_arena_zalloc(arena, (count + 1) * sizeof *sinks);
    for (size_t i = 0; sinks && i < count; i++) {
        const struct wr_sink *sink = &test->instance.sinks[i];
        sinks[i] = (struct kit_sink){.name = wr_arena_string(arena, sink->name),
                                     .partitions = sink->partitions,
                                     .outbox = sink->kind == WR_SINK_OUTBOX};
        sinks[i].topic = sink->topic_name ? wr_arena_string(arena, sink->topic_name) : "";
        sinks[i].table = sink->table ? wr_arena_string(arena, sink->table) : "";
        if (!sinks[i].name || !sinks[i].topic || !sinks[i].table) {
            return wr_fail_memory(&test->error);
        }
    }
    test->sinks = sinks;
    test->sink_count = sinks ? count : 0;
    return sinks ? WEIR_OK : wr_fail_memory(&test->error);
}

static weir_status open_instance(weir_test *test)
{
    wr_error_clear(&test->error);
    struct wr_job_options options = {.name = "test",
                                     .kit = true,
                                     .inputs = &test->run.inputs,
                                     .outputs = &test->run.outputs,
                                     .defines = &test->run.defines,
                                     .rejects = test->run.rejects};
    test->job_open = true;
    WR_TRY(wr_job_open(&options, test->define, &test->job, &test->error));
    memset(&test->instance, 0, sizeof test->instance);
    test->instance.open_source = wr_kit_open_source;
    test->instance.kit = test;
    test->instance_open = true;
    WR_TRY(wr_instance_open(&test->env, &test->job, &test->run, &test->instance, &test->error));
    return remember_sinks(test);
}

/* The options of a run that are no settings by name; false: it is none of these. */
static bool apply_option(struct wr_run_options *run, const char *name, const char *value)
{
    if (strcmp(name, "--on-error") == 0) {
        run->reject_failures = strcmp(value, "reject") == 0;
    } else if (strcmp(name, "--rejects") == 0) {
        run->rejects = value;
    } else if (strcmp(name, "--rejects-max") == 0) {
        run->rejects_max = strtoll(value, NULL, 10);
    } else {
        return false;
    }
    return true;
}

static void apply_settings(weir_test *test)
{
    for (const char *const *at = test->options.set; at && at[0] && at[1]; at += 2) {
        if (apply_option(&test->run, at[0], at[1])) {
            continue;
        }
        struct wr_settings *settings = strcmp(at[0], "-D") == 0   ? &test->run.defines
                                       : strcmp(at[0], "-o") == 0 ? &test->run.outputs
                                                                  : &test->run.inputs;
        if (wr_settings_add(settings, at[1], &test->error) != WEIR_OK) {
            return;
        }
    }
}

weir_test *weir_test_new(void (*define)(weir_job *), const weir_test_options *options)
{
    weir_test *test = calloc(1, sizeof *test);
    if (!test) {
        wr_kit_no_memory();
    }
    wr_arena_init(&test->arena, 0);
    test->define = define;
    test->options = options ? *options : (weir_test_options){0};
    test->options.partitions = test->options.partitions > 0 ? test->options.partitions : 1;
    test->clock_ms = CLOCK_START_MS;
    wr_env_init(&test->env);
    test->env.wall_ms = kit_wall_ms;
    test->env.monotonic_us = kit_monotonic_us;
    test->env.log = kit_log;
    test->env.data = test;
    test->env.fault.returns = true;
    const char *folder = getenv("TMPDIR");
    snprintf(test->folder, sizeof test->folder, "%.40s/weir-test-XXXXXX", folder ? folder : "/tmp");
    if (!mkdtemp(test->folder)) {
        snprintf(test->folder, sizeof test->folder, "/tmp/test-of-weir-XXXXXX");
        if (!mkdtemp(test->folder)) {
            perror("weir_test: cannot make a folder in /tmp");
            exit(WR_EXIT_IO);
        }
    }
    snprintf(test->store, sizeof test->store, "%s/test.weir", test->folder);
    wr_run_options_init(&test->run);
    test->run.store = test->store;
    test->run.epoch_records = test->options.epoch_records;
    if (test->options.cache_bytes != 0) {
        test->run.cache_bytes = test->options.cache_bytes < 0 ? 0 : test->options.cache_bytes;
    }
    apply_settings(test);
    if (test->error.status == WEIR_OK) {
        (void)open_instance(test);
    }
    return test;
}

static void remove_folder(const char *folder)
{
    DIR *directory = opendir(folder);
    for (struct dirent *at; directory && (at = readdir(directory));) {
        char path[sizeof at->d_name + 80];
        snprintf(path, sizeof path, "%s/%s", folder, at->d_name);
        if (strcmp(at->d_name, ".") != 0 && strcmp(at->d_name, "..") != 0) {
            unlink(path);
        }
    }
    if (directory) {
        closedir(directory);
    }
    rmdir(folder);
}

void weir_test_free(weir_test *test)
{
    close_instance(test);
    wr_run_options_fini(&test->run);
    for (struct kit_input *input = test->inputs; input; input = input->next) {
        for (int i = 0; i < test->options.partitions; i++) {
            free(input->partitions[i].records);
        }
    }
    wr_arena_fini(&test->arena);
    remove_folder(test->folder);
    free(test);
}

weir_status weir_test_status(const weir_test *test)
{
    return test->error.status;
}

const char *weir_test_error(const weir_test *test)
{
    return test->error.text;
}

const char *weir_test_store(const weir_test *test)
{
    return test->store;
}

/* ---- Run ------------------------------------------------------------------------------------- */

/* Until no more than so many sealed epochs are not decided. */
static weir_status decide_sealed(weir_test *test, int undecided)
{
    struct wr_instance *instance = &test->instance;
    while (wr_instance_undecided(instance) > undecided) {
        WR_TRY(wr_instance_decide(instance, true, NULL, 0, &test->error));
        WR_TRY(wr_store_checkpoint(instance->store, &test->error));
    }
    return undecided ? WEIR_OK : wr_instance_drop(instance, &test->error);
}

static weir_status forward(weir_test *test)
{
    struct wr_instance *instance = &test->instance;
    bool moved = true;
    while (moved) {
        WR_TRY(wr_forwarder_step(instance->forwarder, &moved, &test->error));
        if (moved) {
            const struct wr_marker *markers;
            size_t count = wr_forwarder_markers(instance->forwarder, &markers);
            WR_TRY(wr_instance_decide(instance, false, markers, count, &test->error));
            wr_forwarder_decided(instance->forwarder);
            WR_FAULT(&test->env.fault, forward_after_marker, &test->error);
        }
    }
    return WEIR_OK;
}

/* With decide_late, every other epoch is sealed before the one that is sealed is decided. */
static weir_status seal(weir_test *test)
{
    struct wr_instance *instance = &test->instance;
    bool late = test->options.decide_late;
    WR_TRY(decide_sealed(test, late && (instance->filling->number & 2)));
    WR_TRY(wr_instance_seal(instance, &test->error));
    WR_TRY(decide_sealed(test, 1));
    WR_TRY(wr_instance_begin(instance, &test->error));
    return late ? WEIR_OK : decide_sealed(test, 0);
}

static weir_status run(weir_test *test)
{
    struct wr_instance *instance = &test->instance;
    enum wr_source_more more = WR_SOURCE_MORE;
    bool did = true;
    wr_instance_tick(instance);
    while (did || more == WR_SOURCE_MORE) {
        if (!wr_instance_queued(instance)) {
            WR_TRY(wr_instance_poll(instance, &more, &test->error));
        }
        WR_TRY(wr_instance_unit(instance, &did, &test->error));
        instance->retry_now = false;
        if (wr_instance_full(instance)) {
            WR_TRY(seal(test));
        }
    }
    if (wr_instance_has_work(instance) || instance->draining) {
        WR_TRY(seal(test));
    }
    WR_TRY(decide_sealed(test, 0));
    return forward(test);
}

/* A failure drops the instance, as a kill would. */
static weir_status whole(weir_test *test, weir_status status)
{
    if (status != WEIR_OK) {
        close_instance(test);
    }
    return status;
}

/* Runs on if the instance is whole. */
static weir_status run_whole(weir_test *test)
{
    return test->error.status == WEIR_OK ? whole(test, run(test)) : test->error.status;
}

weir_status weir_test_run(weir_test *test)
{
    return run_whole(test);
}

weir_status weir_test_advance(weir_test *test, const char *source, int64_t time_ms)
{
    WR_TRY(run_whole(test));
    struct wr_instance *instance = &test->instance;
    for (size_t i = 0; i < instance->part_count; i++) {
        for (size_t j = 0; j < instance->timing_count; j++) {
            struct wr_timing *timing = &instance->timings[j];
            if (strcmp(instance->parts[i].node->name, source) == 0 && timing->reaches[i]) {
                wr_time_seen(instance, timing, i, time_ms);
            }
        }
    }
    /* No record brings this time back when an epoch is undone: it gets one of its own. */
    WR_TRY(whole(test, seal(test)));
    return run_whole(test);
}

weir_status weir_test_clock(weir_test *test, int64_t milliseconds)
{
    test->clock_ms += milliseconds;
    return run_whole(test);
}

weir_status weir_test_drain(weir_test *test)
{
    WR_TRY(run_whole(test));
    WR_TRY(whole(test, seal(test))); /* watermarks moved since the last unit stay so when undone */
    wr_instance_drain(&test->instance);
    return run_whole(test);
}

bool weir_test_crash_at(weir_test *test, const char *fault_point, int count)
{
    bool known = wr_fault_arm(&test->env.fault, fault_point);
    test->env.fault.countdown = count;
    return known;
}

const char *weir_test_fault(int number)
{
    for (int point = 1; point < WR_FAULT_COUNT; point++) { /* not all numbers are given */
        const char *name = wr_fault_name((enum wr_fault_point)point);
        if (name && number-- == 0) {
            return name;
        }
    }
    return NULL;
}

bool weir_test_crashed(const weir_test *test)
{
    return test->env.fault.passed;
}

void weir_test_crash(weir_test *test)
{
    close_instance(test);
    (void)wr_fail(&test->error, WEIR_FATAL, WR_EXIT_BUG, "crashed by the test");
}

weir_status weir_test_restart(weir_test *test, void (*define)(weir_job *))
{
    close_instance(test);
    if (test->env.fault.passed) {
        test->env.fault = (struct wr_fault){.returns = true};
    }
    if (define) {
        test->define = define;
    }
    return open_instance(test);
}

weir_status weir_test_retry(weir_test *test, const char *node)
{
    struct wr_reject_filter filter;
    struct wr_reject_counts counts;
    WR_TRY(run_whole(test));
    wr_reject_filter_init(&filter);
    filter.node = node;
    WR_TRY(whole(test, wr_store_rejects(test->instance.store, &filter, WR_REJECTS_RETRY, &counts,
                                        &test->error)));
    WR_TRY(weir_test_restart(test, NULL));
    return run_whole(test);
}
