/* implied.c: what the built-in jobs make of a generated input, worked out without the engine: the
 * generator is read from one end to the other, and counts are kept in a hash table. Nothing here
 * knows of epochs, stores or modes, so no mistake of theirs is repeated here.
 *
 *   copy        each record as it is
 *   count       for each record its key, and how often the key came so far
 *   wordcount   for each run of ASCII letters and digits in a value, that word as key, and how
 *               often it came so far
 *
 * Outputs have the time of the input record that they come from, and its order.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/bench/kills.h"
#include "engine/sources/source.h"
#include "txn/base/assert.h"
#include "txn/base/bytes.h"
#include "txn/base/map.h"

struct counted {
    weir_bytes key;
    int64_t count;
};

struct model {
    struct wr_compare *compare;
    uint32_t stream;
    struct wr_map counts; /* of struct counted */
    struct wr_arena arena;
};

typedef weir_status (*model_fn)(struct model *model, const weir_record *record,
                                struct wr_error *error);

static weir_status expect(struct model *model, int64_t time_ms, weir_bytes key, weir_bytes value,
                          struct wr_error *error)
{
    struct wr_compared output = {model->stream, time_ms, key, value};
    return wr_compare_expect(model->compare, &output, error);
}

static weir_status copy(struct model *model, const weir_record *record, struct wr_error *error)
{
    return expect(model, record->time_ms, record->key, record->value, error);
}

static weir_status counted_of(struct model *model, weir_bytes key, struct counted **counted_out,
                              struct wr_error *error)
{
    uint64_t hash = wr_hash(0, key, (weir_bytes){NULL, 0});
    struct counted *counted = NULL;
    size_t at = wr_map_first(&model->counts, hash);
    for (; (counted = wr_map_at(&model->counts, hash, &at)); at++) {
        if (wr_bytes_equal(counted->key, key)) {
            *counted_out = counted;
            return WEIR_OK;
        }
    }
    counted = wr_arena_zalloc(&model->arena, sizeof *counted);
    if (!counted || !wr_arena_copy(&model->arena, key, &counted->key) ||
        !wr_map_reserve(&model->counts)) {
        return wr_fail_memory(error);
    }
    wr_map_insert(&model->counts, hash, counted);
    *counted_out = counted;
    return WEIR_OK;
}

static weir_status count_key(struct model *model, int64_t time_ms, weir_bytes key,
                             struct wr_error *error)
{
    struct counted *counted = NULL;
    char text[24];
    WR_TRY(counted_of(model, key, &counted, error));
    snprintf(text, sizeof text, "%" PRId64, ++counted->count);
    return expect(model, time_ms, key, weir_text(text), error);
}

static weir_status count(struct model *model, const weir_record *record, struct wr_error *error)
{
    return count_key(model, record->time_ms, record->key, error);
}

static weir_status wordcount(struct model *model, const weir_record *record, struct wr_error *error)
{
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const char *word = record->value.data;
    const char *end = word + record->value.size;
    while (word < end) {
        const char *after = word;
        while (after < end && *after && strchr(letters, *after)) {
            after++;
        }
        if (after > word) {
            WR_TRY(
                count_key(model, record->time_ms, wr_bytes(word, (size_t)(after - word)), error));
        }
        word = after + 1;
    }
    return WEIR_OK;
}

static const struct {
    const char *name;
    model_fn model;
    bool stateful;
} models[] = {{"copy", copy, false}, {"count", count, true}, {"wordcount", wordcount, true}};

static size_t model_of(const struct wr_bench_job *job)
{
    size_t i = 0;
    while (i < sizeof models / sizeof *models && strcmp(models[i].name, job->name) != 0) {
        i++;
    }
    return i;
}

bool wr_bench_is_implied(const struct wr_bench_job *job)
{
    return model_of(job) < sizeof models / sizeof *models;
}

bool wr_bench_is_stateful(const struct wr_bench_job *job)
{
    wr_assert(wr_bench_is_implied(job));
    return models[model_of(job)].stateful;
}

static weir_status read_all(struct wr_source *source, struct model *model, model_fn fn,
                            struct wr_polled *polled, struct wr_error *error)
{
    enum wr_source_more more = WR_SOURCE_MORE;
    wr_assert_that(source->partition_count, ==, 1);
    wr_assert(source->bounded);
    while (more != WR_SOURCE_ENDED) {
        wr_arena_reset(&polled->arena);
        WR_TRY(source->ops->poll(source, source->partitions[0], polled, &more, error));
        for (size_t i = 0; i < polled->count; i++) {
            WR_TRY(fn(model, &polled->records[i], error));
        }
    }
    return WEIR_OK;
}

weir_status wr_bench_imply(struct wr_env *env, const struct wr_bench_job *job, const char *input,
                           struct wr_compare *compare, struct wr_error *error)
{
    struct model model = {.compare = compare};
    struct wr_polled polled = {0};
    struct wr_endpoint endpoint;
    struct wr_source *source = NULL;
    wr_assert(wr_bench_is_implied(job));
    wr_arena_init(&model.arena, 0);
    wr_arena_init(&polled.arena, (size_t)4 * WR_POLL_BYTES_MAX);
    weir_status status = wr_compare_stream(compare, job->output, 0, &model.stream, error);
    if (status == WEIR_OK) {
        status = wr_endpoint_parse(input, true, &model.arena, &endpoint, error);
    }
    if (status == WEIR_OK) {
        status = wr_source_open(env, "in", &endpoint, &model.arena, &source, error);
    }
    if (status == WEIR_OK) {
        status = source->ops->seek(source, source->partitions[0], NULL, error);
    }
    if (status == WEIR_OK) {
        status = read_all(source, &model, models[model_of(job)].model, &polled, error);
    }
    if (source) {
        source->ops->close(source);
    }
    wr_map_fini(&model.counts);
    wr_arena_fini(&polled.arena);
    wr_arena_fini(&model.arena);
    return status;
}
