/* file_run.c: see file_run.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/file_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int64_t clock_us(struct wr_env *env)
{
    return ((struct file_run *)env->data)->clock_us;
}

static void keep_log(struct wr_env *env, enum wr_level level, const char *text)
{
    struct file_run *run = env->data;
    size_t used = strlen(run->log);
    if (level <= WR_LOG_WARN) {
        snprintf(run->log + used, sizeof run->log - used, "%s\n", text);
    }
}

static const struct wr_position *find(const struct file_run *run, const char *part)
{
    for (size_t i = 0; i < run->stored_count; i++) {
        if (strcmp(run->stored[i].part, part) == 0) {
            return &run->stored[i];
        }
    }
    return NULL;
}

static weir_status seek_all(struct file_run *run)
{
    struct wr_source *source = run->source;
    const struct wr_position *list[RUN_PARTS_MAX];
    for (size_t i = 0; i < run->stored_count; i++) {
        list[i] = &run->stored[i];
    }
    if (source->ops->arrange) {
        WR_TRY(source->ops->arrange(source, list, run->stored_count, &run->error));
    }
    source->rewound = run->rewound;
    for (size_t i = 0; i < source->partition_count; i++) {
        struct wr_source_partition *part = source->partitions[i];
        WR_TRY(source->ops->seek(source, part, find(run, part->part), &run->error));
        part->kept = part->next;
        if (run->until_end) {
            WR_TRY(source->ops->bound(source, part, &run->error));
        }
    }
    return WEIR_OK;
}

weir_status run_start(struct file_run *run, const char *uri)
{
    struct wr_endpoint endpoint;
    wr_env_init(&run->env);
    run->env.monotonic_us = clock_us;
    run->env.log = keep_log;
    run->env.data = run;
    run->clock_us += 1000;
    wr_arena_init(&run->arena, 0);
    run->polled = (struct wr_polled){.count = 0};
    wr_arena_init(&run->polled.arena, 1 << 21);
    run->error = (struct wr_error){.status = WEIR_OK};
    run->source = NULL;
    run->ended = false;
    run_clear(run);
    assert_int_equal(wr_endpoint_parse(uri, true, &run->arena, &endpoint, &run->error), WEIR_OK);
    WR_TRY(wr_source_open(&run->env, "lines", &endpoint, &run->arena, &run->source, &run->error));
    return seek_all(run);
}

weir_status run_poll(struct file_run *run, size_t part, enum wr_source_more *more_out)
{
    struct wr_source_partition *partition = run->source->partitions[part];
    int64_t next = partition->next;
    wr_arena_reset(&run->polled.arena);
    run->polled.count = 0;
    WR_TRY(run->source->ops->poll(run->source, partition, &run->polled, more_out, &run->error));
    for (size_t i = 0; i < run->polled.count; i++) {
        const weir_record *record = &run->polled.records[i];
        size_t used = strlen(run->text);
        assert_true(run->polled.offsets[i] >= next);
        next = run->polled.nexts[i];
        snprintf(run->text + used, sizeof run->text - used, "%.*s|",
                 record->value.size < 200 ? (int)record->value.size : 200,
                 (const char *)record->value.data);
    }
    assert_int_equal(partition->next, run->polled.count > 0 ? next : partition->next);
    return WEIR_OK;
}

void run_seal(struct file_run *run)
{
    for (size_t i = 0; i < run->source->partition_count; i++) {
        struct wr_source_partition *part = run->source->partitions[i];
        struct wr_position *stored = (struct wr_position *)(uintptr_t)find(run, part->part);
        if (stored && stored->next == part->next) {
            continue;
        }
        if (!stored) {
            assert_true(run->stored_count < RUN_PARTS_MAX);
            stored = &run->stored[run->stored_count++];
            *stored = (struct wr_position){.source = "lines", .part = strdup(part->part)};
        }
        free((char *)(uintptr_t)stored->identity);
        stored->identity = part->identity ? strdup(part->identity) : NULL;
        stored->next = part->next;
        part->kept = part->next;
    }
}

void run_undo(struct file_run *run)
{
    for (size_t i = 0; i < run->source->partition_count; i++) {
        run->source->partitions[i]->next = run->source->partitions[i]->kept;
    }
}

weir_status run_read(struct file_run *run)
{
    bool more = true;
    while (more) {
        more = false;
        run->ended = true;
        if (run->source->ops->discover && !run->until_end) {
            size_t known = run->source->partition_count;
            WR_TRY(run->source->ops->discover(run->source, &run->error));
            for (; known < run->source->partition_count; known++) {
                run->source->partitions[known]->kept = run->source->partitions[known]->next;
            }
        }
        for (size_t i = 0; i < run->source->partition_count; i++) {
            enum wr_source_more some = WR_SOURCE_WAIT;
            WR_TRY(run_poll(run, i, &some));
            more = more || some == WR_SOURCE_MORE ||
                   (some == WR_SOURCE_WAIT &&
                    run->source->partitions[i]->kept < run->source->partitions[i]->next);
            run->ended = run->ended && some == WR_SOURCE_ENDED;
        }
        run_seal(run);
    }
    return WEIR_OK;
}

void run_wait(struct file_run *run, int64_t ms)
{
    run->clock_us += ms * 1000;
}

void run_clear(struct file_run *run)
{
    run->text[0] = '\0';
    run->log[0] = '\0';
}

void run_stop(struct file_run *run)
{
    if (run->source) {
        run->source->ops->close(run->source);
        run->source = NULL;
    }
    wr_arena_fini(&run->polled.arena);
    wr_arena_fini(&run->arena);
}

void run_forget(struct file_run *run)
{
    for (size_t i = 0; i < run->stored_count; i++) {
        free((char *)(uintptr_t)run->stored[i].part);
        free((char *)(uintptr_t)run->stored[i].identity);
    }
    run->stored_count = 0;
}

void run_must_start(struct file_run *run, const char *uri)
{
    if (run_start(run, uri) != WEIR_OK) {
        fail_msg("%s: %s", uri, run->error.text);
    }
}

void run_must_read(struct file_run *run)
{
    if (run_read(run) != WEIR_OK) {
        fail_msg("%s", run->error.text);
    }
}

void run_must_fail(struct file_run *run, weir_status status, enum wr_exit code, const char *text)
{
    assert_int_not_equal(status, WEIR_OK);
    assert_int_equal(run->error.exit_code, code);
    if (!strstr(run->error.text, text)) {
        fail_msg("\"%s\" is without \"%s\"", run->error.text, text);
    }
}

void run_all(struct file_run *run, const char *uri)
{
    run_must_start(run, uri);
    run_must_read(run);
    run_stop(run);
}

static void write_file(const char *path, const char *mode, const char *text)
{
    FILE *file = fopen(path, mode);
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

void file_put(const char *path, const char *text)
{
    write_file(path, "w", text);
}

void file_add(const char *path, const char *text)
{
    write_file(path, "a", text);
}
