/* failures.c: failures counted by origin: a record by its source, part and offset, a timer by its
 * node, key, name and time, a dead letter that is taken again by its id.
 *
 * An origin stays on the list until an epoch is sealed in which it passed, however often the epoch
 * it stands in is undone. Where one has passed, done or rejected, the epoch is sealed at once: what
 * fails behind it then undoes only what stands between the two. So N failing records cost about
 * N times five replays of what lies between them, and not N times five whole epochs.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/instance.h"

enum {
    ORIGINS_MAX = 4096, /* distinct ones that fail and have not passed yet */
    NAMED_MAX = 10, /* rejected origins that a run names; it counts the others */
};

/* ---- The list -------------------------------------------------------------------------------- */

static void drop(struct wr_failure *failure)
{
    free(failure->bytes);
    free(failure->reason);
}

void wr_failures_fini(struct wr_failures *failures)
{
    for (size_t i = 0; i < failures->count; i++) {
        drop(&failures->items[i]);
    }
    free(failures->items);
    *failures = (struct wr_failures){0};
}

static bool is_of(const struct wr_failure *failure, const struct wr_origin *origin)
{
    if (failure->letter || origin->letter) {
        return origin->letter && failure->letter == origin->letter->id;
    }
    if (failure->part != origin->part || failure->offset != origin->offset) {
        return false;
    }
    return origin->part != SIZE_MAX ||
           (failure->node == origin->node && failure->time_ms == origin->time_ms &&
            wr_bytes_equal(failure->key, origin->key) &&
            wr_bytes_equal(failure->name, origin->name));
}

static struct wr_failure *find(const struct wr_instance *instance)
{
    const struct wr_failures *failures = &instance->failures;
    for (size_t i = 0; i < failures->count; i++) {
        if (is_of(&failures->items[i], &instance->origin)) {
            return &failures->items[i];
        }
    }
    return NULL;
}

/* Operators that fail at random can have more origins than fit: the one that failed least goes. */
static void make_room(struct wr_failures *failures)
{
    size_t least = 0;
    for (size_t i = 1; i < failures->count; i++) {
        if (failures->items[i].count < failures->items[least].count) {
            least = i;
        }
    }
    drop(&failures->items[least]);
    failures->items[least] = failures->items[--failures->count];
}

static weir_bytes put(unsigned char **at, weir_bytes bytes)
{
    weir_bytes copy = {bytes.data ? *at : NULL, bytes.size};
    if (bytes.size > 0) {
        memcpy(*at, bytes.data, bytes.size);
    }
    *at += bytes.size + 1; /* so that an empty one has a place of its own */
    return copy;
}

static weir_status append(struct wr_failures *failures, const struct wr_origin *origin,
                          struct wr_failure **failure_out, struct wr_error *error)
{
    if (failures->count == ORIGINS_MAX) {
        make_room(failures);
    }
    if (failures->count == failures->capacity) {
        size_t capacity = failures->capacity ? failures->capacity * 2 : 16;
        struct wr_failure *items = realloc(failures->items, capacity * sizeof *items);
        if (!items) {
            return wr_fail_memory(error);
        }
        failures->items = items;
        failures->capacity = capacity;
    }
    struct wr_failure *failure = &failures->items[failures->count];
    *failure = (struct wr_failure){.part = origin->part,
                                   .offset = origin->offset,
                                   .letter = origin->letter ? origin->letter->id : 0,
                                   .node = origin->node,
                                   .time_ms = origin->time_ms};
    failure->bytes = malloc(origin->key.size + origin->name.size + 2);
    if (!failure->bytes) {
        return wr_fail_memory(error);
    }
    unsigned char *at = failure->bytes;
    failure->key = put(&at, origin->key);
    failure->name = put(&at, origin->name);
    failures->count++;
    *failure_out = failure;
    return WEIR_OK;
}

/* ---- What an origin is called ---------------------------------------------------------------- */

void wr_origin_describe(const struct wr_instance *instance, char *text, size_t size)
{
    const struct wr_origin *origin = &instance->origin;
    if (origin->letter) {
        snprintf(text, size, "dead letter %" PRId64 ", taken again", origin->letter->id);
    } else if (origin->part != SIZE_MAX) {
        const struct wr_part *part = &instance->parts[origin->part];
        snprintf(text, size, "source `%s`, partition %.300s, offset %" PRId64, part->node->name,
                 part->at->part, origin->offset);
    } else if (origin->node) {
        int shown = origin->key.size < 80 ? (int)origin->key.size : 80;
        snprintf(text, size, "node `%s`, timer of key `%.*s` at %" PRId64, origin->node->name,
                 shown, origin->key.data ? (const char *)origin->key.data : "", origin->time_ms);
    } else {
        snprintf(text, size, "between records");
    }
}

/* ---- Counting -------------------------------------------------------------------------------- */

static void say_rejected(struct wr_instance *instance, const struct wr_error *failure)
{
    char origin[WR_ERROR_TEXT_MAX / 2];
    int64_t rejected = ++instance->failures.rejected;
    wr_origin_describe(instance, origin, sizeof origin);
    wr_log(instance->env, rejected <= NAMED_MAX ? WR_LOG_WARN : WR_LOG_DEBUG,
           "%s failed %d times and becomes a dead letter (--on-error reject): %s", origin,
           WR_FAILURES_MAX, failure->text);
    if (rejected == NAMED_MAX) {
        wr_log(instance->env, WR_LOG_WARN,
               "further ones become dead letters without being named here");
    }
}

weir_status wr_failures_add(struct wr_instance *instance, const struct wr_error *failure,
                            int *count_out, struct wr_error *error)
{
    struct wr_failure *at = find(instance);
    if (!at) {
        WR_TRY(append(&instance->failures, &instance->origin, &at, error));
    }
    *count_out = ++at->count;
    const struct wr_origin *origin = &instance->origin;
    bool is_unit = origin->letter || origin->part != SIZE_MAX || origin->node;
    if (*count_out != WR_FAILURES_MAX || !instance->options->reject_failures || !is_unit) {
        return WEIR_OK;
    }
    at->reason = strdup(failure->text);
    if (!at->reason) {
        return wr_fail_memory(error);
    }
    say_rejected(instance, failure);
    WR_FAULT(&instance->env->fault, reject_before_undo, error);
    return WEIR_OK;
}

const char *wr_failures_reason(const struct wr_instance *instance)
{
    const struct wr_failure *failure = instance->failures.count > 0 ? find(instance) : NULL;
    return failure ? failure->reason : NULL;
}

weir_status wr_failures_passed(struct wr_instance *instance, struct wr_error *error)
{
    struct wr_failure *failure = instance->failures.count > 0 ? find(instance) : NULL;
    if (failure) {
        failure->passed = true;
        instance->failures.passed = true;
        if (failure->reason) {
            WR_FAULT(&instance->env->fault, reject_after_unit, error);
        }
    }
    return WEIR_OK;
}

void wr_failures_undo(struct wr_failures *failures)
{
    failures->passed = false;
    for (size_t i = 0; i < failures->count; i++) {
        failures->items[i].passed = false;
    }
}

void wr_failures_seal(struct wr_failures *failures)
{
    size_t kept = 0;
    failures->passed = false;
    for (size_t i = 0; i < failures->count; i++) {
        if (failures->items[i].passed) {
            drop(&failures->items[i]);
        } else {
            failures->items[kept++] = failures->items[i];
        }
    }
    failures->count = kept;
}
