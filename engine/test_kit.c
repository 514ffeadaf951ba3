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

static weir_bytes kit_copy(weir_test *test, weir_bytes bytes)
{
    weir_bytes copy;
    if (!wr_arena_copy(&test->arena, bytes, &copy)) {
        wr_kit_no_memory();
    }
    return copy;
}

/* ---- The world --------------------------------------------------------------------------------
 */

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

/* ---- Sources ----------------------------------------------------------------------------------
 */

static struct kit_input *input_of(weir_test *test, const char *name)
{
    for (struct kit_input *input = test->inputs; input; input = input->next) {
        if (strcmp(input->name, name) == 0) {
            return input;
        }
    }
    struct kit_input *input = wr_kit_alloc(test, sizeof *input);
    snprintf(input->name, sizeof input->name, "%s", name);
    input->partitions =
        wr_kit_alloc(test, (size_t)test->options.partitions * sizeof *input->partitions);
    input->next = test->inputs;
    test->inputs = input;
    return input;
}

static weir_status kit_poll(struct wr_source *source, struct wr_source_partition *partition,
                            struct wr_polled *polled, enum wr_source_more *more_out,
                            struct wr_error *error)
{
    const struct kit_source *kit = (const struct kit_source *)source;
    const struct pushed *pushed = &kit->input->partitions[partition->index];
    size_t from = (size_t)partition->next;
    size_t count = pushed->count > from ? pushed->count - from : 0;
    *more_out = WR_SOURCE_WAIT;
    if (count > WR_POLL_RECORDS_MAX) {
        count = WR_POLL_RECORDS_MAX;
    }
    polled->records = wr_arena_alloc(&polled->arena, count * sizeof *polled->records);
    polled->offsets = wr_arena_alloc(&polled->arena, count * sizeof *polled->offsets);
    polled->nexts = wr_arena_alloc(&polled->arena, count * sizeof *polled->nexts);
    polled->rejects = NULL;
    if (!polled->records || !polled->offsets || !polled->nexts) {
        return wr_fail_memory(error);
    }
    for (size_t i = 0; i < count; i++) {
        polled->records[i] = pushed->records[from + i];
        polled->offsets[i] = (int64_t)(from + i);
        polled->nexts[i] = (int64_t)(from + i) + 1;
    }
    polled->count = count;
    partition->next += (int64_t)count;
    return WEIR_OK;
}

static weir_status kit_seek(struct wr_source *source, struct wr_source_partition *partition,
                            const struct wr_position *stored, struct wr_error *error)
{
    (void)source;
    (void)error;
    partition->next = stored ? stored->next : 0;
    return WEIR_OK;
}

static weir_status kit_bound(struct wr_source *source, struct wr_source_partition *partition,
                             struct wr_error *error)
{
    (void)source;
    (void)partition;
    (void)error;
    return WEIR_OK;
}

static int64_t kit_lag(struct wr_source *source, const struct wr_source_partition *partition)
{
    const struct kit_source *kit = (const struct kit_source *)source;
    return (int64_t)kit->input->partitions[partition->index].count - partition->next;
}

static void kit_close(struct wr_source *source)
{
    (void)source;
}

static const struct wr_source_ops kit_ops = {"kit",     kit_poll, kit_seek,
                                             kit_bound, kit_lag,  kit_close};

static weir_status kit_open_source(struct wr_instance *instance, struct wr_node *node,
                                   struct wr_source **source_out, struct wr_error *error)
{
    weir_test *test = instance->kit;
    size_t count = (size_t)test->options.partitions;
    struct kit_source *source = wr_arena_zalloc(&instance->arena, sizeof *source);
    struct wr_source_partition *partitions =
        wr_arena_zalloc(&instance->arena, count * sizeof *partitions);
    char *names = wr_arena_zalloc(&instance->arena, count * 12);
    if (!source || !partitions || !names) {
        return wr_fail_memory(error);
    }
    source->base = (struct wr_source){.ops = &kit_ops,
                                      .env = instance->env,
                                      .name = node->name,
                                      .partitions = partitions,
                                      .partition_count = count};
    source->input = input_of(test, node->name);
    for (size_t i = 0; i < count; i++) {
        snprintf(names + i * 12, 12, "%d", (int)i);
        partitions[i] = (struct wr_source_partition){
            .part = names + i * 12, .end = INT64_MAX, .index = (int32_t)i};
    }
    *source_out = &source->base;
    return WEIR_OK;
}

/* ---- Open and close ---------------------------------------------------------------------------
 */

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
static void remember_sinks(weir_test *test)
{
    test->sink_count = test->job.sink_count;
    test->sinks = wr_kit_alloc(test, (test->sink_count + 1) * sizeof *test->sinks);
    for (size_t i = 0; i < test->sink_count; i++) {
        const struct wr_sink *sink = &test->instance.sinks[i];
        const char *names[3] = {sink->name, sink->topic_name, sink->table};
        for (int j = 0; j < 3; j++) {
            if (names[j]) {
                names[j] = kit_copy(test, wr_bytes(names[j], strlen(names[j]) + 1)).data;
            }
        }
        test->sinks[i] = (struct kit_sink){names[0], names[1], names[2], sink->partitions,
                                           sink->kind == WR_SINK_OUTBOX};
    }
}

static weir_status open_instance(weir_test *test)
{
    wr_error_clear(&test->error);
    struct wr_job_options options = {.name = "test",
                                     .kit = true,
                                     .inputs = &test->run.inputs,
                                     .outputs = &test->run.outputs,
                                     .defines = &test->run.defines};
    test->job_open = true;
    WR_TRY(wr_job_open(&options, test->define, &test->job, &test->error));
    memset(&test->instance, 0, sizeof test->instance);
    test->instance.open_source = kit_open_source;
    test->instance.kit = test;
    test->instance_open = true;
    WR_TRY(wr_instance_open(&test->env, &test->job, &test->run, &test->instance, &test->error));
    remember_sinks(test);
    return WEIR_OK;
}

static void apply_settings(weir_test *test)
{
    for (const char *const *at = test->options.set; at && at[0] && at[1]; at += 2) {
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

/* ---- Input ------------------------------------------------------------------------------------
 */

void weir_test_push(weir_test *test, const char *source, int partition, const weir_record *record)
{
    wr_assert_that(partition, <, test->options.partitions);
    struct pushed *pushed = &input_of(test, source)->partitions[partition];
    if (pushed->count == pushed->capacity) {
        size_t capacity = pushed->capacity ? pushed->capacity * 2 : 64;
        weir_record *records = realloc(pushed->records, capacity * sizeof *records);
        if (!records) {
            wr_kit_no_memory();
        }
        pushed->records = records;
        pushed->capacity = capacity;
    }
    weir_record copy = *record;
    copy.key = kit_copy(test, record->key);
    copy.value = kit_copy(test, record->value);
    copy.old = kit_copy(test, record->old);
    weir_header *headers = wr_kit_alloc(test, (record->header_count + 1) * sizeof *headers);
    for (size_t i = 0; i < record->header_count; i++) {
        weir_bytes name =
            kit_copy(test, wr_bytes(record->headers[i].name, strlen(record->headers[i].name) + 1));
        headers[i] = (weir_header){name.data, kit_copy(test, record->headers[i].value)};
    }
    copy.headers = headers;
    pushed->records[pushed->count++] = copy;
}

void weir_test_text(weir_test *test, const char *source, const char *key, const char *value,
                    int64_t time_ms)
{
    weir_record record = {.key = weir_text(key), .value = weir_text(value), .time_ms = time_ms};
    weir_test_push(test, source, 0, &record);
}

/* ---- Run --------------------------------------------------------------------------------------
 */

static weir_status decide_sealed(weir_test *test)
{
    struct wr_instance *instance = &test->instance;
    if (atomic_load(&instance->handed) != WR_HANDED_SEALED) {
        return WEIR_OK;
    }
    WR_TRY(wr_instance_decide(instance, true, NULL, 0, &test->error));
    WR_TRY(wr_store_checkpoint(instance->store, &test->error));
    return wr_instance_drop(instance, &test->error);
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

static weir_status seal(weir_test *test)
{
    WR_TRY(decide_sealed(test));
    WR_TRY(wr_instance_seal(&test->instance, &test->error));
    return test->options.decide_late ? WEIR_OK : decide_sealed(test);
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
    WR_TRY(decide_sealed(test));
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
    return number > 0 && number < WR_FAULT_COUNT ? wr_fault_name((enum wr_fault_point)number)
                                                 : NULL;
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
