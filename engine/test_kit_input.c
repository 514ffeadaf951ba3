/* test_kit_input.c: what a test pushes, and the source that gives it to the job. The input outlives
 * crashes, as a Kafka topic would.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/test_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "txn/base/assert.h"

/* NULL: out of memory. */
static struct kit_input *input_of(weir_test *test, const char *name)
{
    for (struct kit_input *input = test->inputs; input; input = input->next) {
        if (strcmp(input->name, name) == 0) {
            return input;
        }
    }
    size_t partitions = (size_t)test->options.partitions;
    struct kit_input *input = wr_arena_zalloc(&test->arena, sizeof *input);
    if (input) {
        input->partitions = wr_arena_zalloc(&test->arena, partitions * sizeof *input->partitions);
    }
    if (!input || !input->partitions) {
        return NULL;
    }
    snprintf(input->name, sizeof input->name, "%s", name);
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
    *more_out = kit->input->ended && count == 0 ? WR_SOURCE_ENDED : WR_SOURCE_WAIT;
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

static const struct wr_source_ops kit_ops = {
    .scheme = "kit",
    .poll = kit_poll,
    .seek = kit_seek,
    .bound = kit_bound,
    .lag = kit_lag,
    .close = kit_close,
};

weir_status wr_kit_open_source(struct wr_instance *instance, struct wr_node *node,
                               struct wr_source **source_out, struct wr_error *error)
{
    weir_test *test = instance->kit;
    size_t count = (size_t)test->options.partitions;
    struct kit_source *source = wr_arena_zalloc(&instance->arena, sizeof *source);
    struct wr_source_partition **partitions = wr_partitions_new(&instance->arena, count);
    char *names = wr_arena_zalloc(&instance->arena, count * 12);
    struct kit_input *input = input_of(test, node->name);
    if (!source || !partitions || !names || !input) {
        return wr_fail_memory(error);
    }
    source->base = (struct wr_source){.ops = &kit_ops,
                                      .env = instance->env,
                                      .name = node->name,
                                      .partitions = partitions,
                                      .partition_count = count};
    source->input = input;
    for (size_t i = 0; i < count; i++) {
        snprintf(names + i * 12, 12, "%d", (int)i);
        *partitions[i] = (struct wr_source_partition){
            .part = names + i * 12, .end = INT64_MAX, .index = (int32_t)i};
    }
    *source_out = &source->base;
    return WEIR_OK;
}

/* ---- Pushing --------------------------------------------------------------------------------- */

/* A mistake of the test is reported as the job's are. */
static bool check_push(weir_test *test, const char *source, int partition)
{
    bool known = !test->job_open || !test->job.nodes;
    for (size_t i = 0; !known && i < test->job.node_count; i++) {
        const struct wr_node *node = test->job.nodes[i];
        known = node->kind == WR_NODE_SOURCE && strcmp(node->name, source) == 0;
    }
    if (!known || partition < 0 || partition >= test->options.partitions) {
        (void)wr_fail(&test->error, WEIR_MISUSE, WR_EXIT_USAGE,
                      "weir_test_push: source `%.64s` has no partition %d in this test", source,
                      partition);
        return false;
    }
    return true;
}

void weir_test_push(weir_test *test, const char *source, int partition, const weir_record *record)
{
    if (!check_push(test, source, partition)) {
        return;
    }
    struct kit_input *input = input_of(test, source);
    if (!input) {
        wr_kit_no_memory();
    }
    if (input->ended) {
        (void)wr_fail(&test->error, WEIR_MISUSE, WR_EXIT_USAGE,
                      "weir_test_push: source `%.64s` was ended by weir_test_end", source);
        return;
    }
    struct pushed *pushed = &input->partitions[partition];
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
    copy.key = wr_kit_copy(test, record->key);
    copy.value = wr_kit_copy(test, record->value);
    copy.old = wr_kit_copy(test, record->old);
    weir_header *headers = wr_kit_alloc(test, (record->header_count + 1) * sizeof *headers);
    for (size_t i = 0; i < record->header_count; i++) {
        weir_bytes name = wr_kit_copy(
            test, wr_bytes(record->headers[i].name, strlen(record->headers[i].name) + 1));
        headers[i] = (weir_header){name.data, wr_kit_copy(test, record->headers[i].value)};
    }
    copy.headers = headers;
    pushed->records[pushed->count++] = copy;
}

weir_status weir_test_end(weir_test *test, const char *source)
{
    if (check_push(test, source, 0)) {
        struct kit_input *input = input_of(test, source);
        if (!input) {
            wr_kit_no_memory();
        }
        input->ended = true;
    }
    return weir_test_run(test);
}

void weir_test_text(weir_test *test, const char *source, const char *key, const char *value,
                    int64_t time_ms)
{
    weir_record record = {.key = weir_text(key), .value = weir_text(value), .time_ms = time_ms};
    weir_test_push(test, source, 0, &record);
}
