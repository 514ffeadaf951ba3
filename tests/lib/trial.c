/* trial.c: see trial.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/trial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/test_kit.h"
#include "tests/lib/look.h"
#include "txn/verify.h"

enum { RECORDS = 30, LARGE_BYTES = 400 * 1024, CLOCK_MS = 50, END_MS = 100000 };

static const char file_name[] = "trial.txt";

enum step {
    STEP_OPEN,
    STEP_FIRST, /* one source at a time: only then is the order of records the same each time */
    STEP_OTHER,
    STEP_CLOCK,
    STEP_UPGRADE, /* opened again, with the next version of the job */
    STEP_SECOND,
    STEP_END,
    STEPS
};

struct trial {
    weir_test *test;
    enum trial_size size;
    enum step step;
    bool begun; /* the step at hand was begun before */
    bool opened; /* in this step */
    int64_t found; /* the last epoch, as the store had it when it was opened */
    void (*quiet)(bool quiet);
};

/* ---- The job --------------------------------------------------------------------------------- */

static int undone; /* one epoch is, in each trial */

static bool add_up(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg)
{
    int64_t number = 0;
    weir_to_i64(value, &number);
    *(int64_t *)arg += number + (int64_t)slot.size;
    weir_put(ctx, slot, weir_i64(ctx, number + 1));
    return true;
}

static void keep(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    int64_t sum = 0;
    if (in && in->value.size == 3) {
        weir_reject(ctx, "three bytes");
        return;
    }
    if (in && in->value.size > 1000) {
        weir_put(ctx, weir_text("large"), in->value);
        return;
    }
    if (in) {
        weir_put(ctx, wr_bytes(in->value.data, in->value.size % 5), weir_i64(ctx, in->time_ms));
        weir_wake(ctx, wr_bytes(in->value.data, in->value.size % 2), in->time_ms + 20);
        weir_wake_clock(ctx, weir_text("clock"), in->time_ms % 30);
    }
    weir_scan(ctx, weir_text(NULL), weir_text("l"), add_up, &sum);
    char text[40];
    snprintf(text, sizeof text, "%s %lld", in ? "record" : "timer", (long long)sum);
    weir_record out = weir_reply(ctx, weir_text(text));
    weir_emit(ctx, &out);
    if (in && in->value.size == 7 && undone++ == 0) {
        weir_fail(ctx, WEIR_RETRY, "once");
    }
    out.key = weir_text(sum % 2 ? "odd" : "even");
    weir_emit_to(ctx, 1, &out);
}

static int64_t time_of(const weir_record *in, void *arg)
{
    (void)arg;
    return in->time_ms;
}

static weir_stream *build(weir_job *job)
{
    weir_stream *in = weir_from(job, "in", NULL);
    weir_stream *timed = weir_times(in, "timed", time_of, NULL, 5, 0);
    weir_stream *node = weir_through(timed, "keep", keep, NULL);
    weir_with(node, weir_from(job, "other", NULL));
    weir_into(node, "out", "log:out?partitions=2");
    weir_into(node, "file", NULL);
    weir_into(weir_side(node, 1), "counts", "table:counts");
    return node;
}

static void define(weir_job *job)
{
    build(job);
}

/* A number becomes ten more. */
static weir_bytes upgrade(weir_ctx *ctx, unsigned from, weir_bytes slot, weir_bytes value,
                          void *arg)
{
    (void)from;
    (void)slot;
    (void)arg;
    int64_t number;
    return weir_to_i64(value, &number) ? weir_i64(ctx, number + 10) : value;
}

static void define_next(weir_job *job)
{
    weir_state(build(job), 2, upgrade, NULL);
}

/* No source: nothing is opened. */
static void define_none(weir_job *job)
{
    (void)job;
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static void push(struct trial *trial, const char *source, int from)
{
    static char large[LARGE_BYTES];
    static const char *const keys[] = {"a", "b", "", NULL};
    weir_header header = {"h", {"value", 5}};
    for (int i = from; i < from + RECORDS; i++) {
        weir_record record = {.key = weir_text(keys[i % 4]),
                              .value = {"abcdefgh", (size_t)i % 8},
                              .time_ms = i * 7 % 60 + i,
                              .headers = &header,
                              .header_count = (size_t)i % 2};
        weir_test_push(trial->test, source, 0, &record);
    }
    if (trial->size == TRIAL_LARGE) {
        for (int i = 0; i < 4; i++) {
            memset(large, 'a' + i, sizeof large);
            weir_record record = {.key = weir_text(keys[i]), .value = {large, sizeof large}};
            weir_test_push(trial->test, source, 0, &record);
        }
    }
}

static weir_status push_and_run(struct trial *trial, const char *source, int from)
{
    if (!trial->begun) {
        if (trial->quiet) {
            trial->quiet(true);
        }
        push(trial, source, from);
        if (trial->quiet) {
            trial->quiet(false);
        }
    }
    return weir_test_run(trial->test);
}

/* The last epoch of which it was told so. */
static int64_t decided(const struct trial *trial)
{
    return trial->found + atomic_load(&trial->test->instance.metrics.epochs);
}

/* What it was told is decided must be there when it is opened again. */
static weir_status open_again(struct trial *trial, void (*how)(weir_job *))
{
    struct wr_instance *instance = &trial->test->instance;
    trial->found = decided(trial);
    weir_status status = weir_test_restart(trial->test, how);
    atomic_store(&instance->metrics.epochs, 0);
    if (status == WEIR_OK) {
        assert_true(wr_store_info(instance->store)->epoch >= trial->found);
        trial->found = wr_store_info(instance->store)->epoch;
    }
    return status;
}

static weir_status open_with(struct trial *trial, void (*how)(weir_job *))
{
    if (trial->opened) {
        return weir_test_run(trial->test);
    }
    trial->opened = true;
    WR_TRY(open_again(trial, how));
    return weir_test_run(trial->test);
}

static weir_status take_step(struct trial *trial)
{
    switch (trial->step) {
    case STEP_OPEN:
        return open_with(trial, define);
    case STEP_FIRST:
        return push_and_run(trial, "in", 0);
    case STEP_OTHER:
        return push_and_run(trial, "other", RECORDS);
    case STEP_CLOCK:
        return weir_test_clock(trial->test, trial->begun ? 0 : CLOCK_MS);
    case STEP_UPGRADE:
        return open_with(trial, define_next);
    case STEP_SECOND:
        return push_and_run(trial, "in", 2 * RECORDS);
    case STEP_END:
        WR_TRY(weir_test_advance(trial->test, "in", END_MS));
        return weir_test_advance(trial->test, "other", END_MS);
    case STEPS:
        break;
    }
    return WEIR_MISUSE;
}

weir_status trial_go_on(struct trial *trial)
{
    while (trial->step < STEPS) {
        weir_status status = weir_test_status(trial->test);
        if (trial->step != STEP_OPEN && trial->step != STEP_UPGRADE && status != WEIR_OK) {
            return status;
        }
        status = take_step(trial);
        trial->begun = true;
        if (status != WEIR_OK) {
            return status;
        }
        trial->step++;
        trial->begun = false;
        trial->opened = false;
    }
    return WEIR_OK;
}

int trial_step(const struct trial *trial)
{
    return (int)trial->step;
}

const struct wr_error *trial_error(const struct trial *trial)
{
    return &trial->test->error;
}

weir_test *trial_test(struct trial *trial)
{
    return trial->test;
}

void trial_power_off(struct trial *trial)
{
    char path[200];
    weir_test_crash(trial->test);
    snprintf(path, sizeof path, "%s-shm", weir_test_store(trial->test));
    unlink(path);
}

weir_status trial_recover(struct trial *trial)
{
    weir_test_crash(trial->test);
    return open_again(trial, NULL);
}

struct trial *trial_new(enum trial_size size)
{
    static const char *const set[] = {"-o", "file=file:trial.txt", NULL};
    struct trial *trial = calloc(1, sizeof *trial);
    unlink(file_name);
    undone = 0;
    weir_test_options options = {.epoch_records = 8, .set = set, .decide_late = true};
    trial->test = weir_test_new(define_none, &options);
    trial->size = size;
    return trial;
}

void trial_quiet(struct trial *trial, void (*quiet)(bool quiet))
{
    trial->quiet = quiet;
}

void trial_free(struct trial *trial)
{
    weir_test_free(trial->test);
    free(trial);
}

/* ---- What it leaves -------------------------------------------------------------------------- */

char *trial_left(struct trial *trial)
{
    struct wr_error error = {.status = WEIR_OK};
    char *store = look_store(weir_test_store(trial->test), &error), *text = NULL;
    size_t size = 0;
    if (!store) {
        fail_msg("the store cannot be read: %s", error.text);
    }
    FILE *out = open_memstream(&text, &size), *file = fopen(file_name, "r");
    fputs(store, out);
    for (int byte; file && (byte = getc(file)) != EOF;) {
        putc(byte, out);
    }
    if (file) {
        fclose(file);
    }
    fclose(out);
    free(store);
    return text;
}

static void show_problem(void *data, const char *problem)
{
    (void)data;
    print_error("verify: %s\n", problem);
}

void trial_must_equal(struct trial *trial, const char *expected, const char *what, int64_t n)
{
    struct wr_error error = {.status = WEIR_OK};
    size_t problems = 0;
    weir_status status = wr_verify(&trial->test->env, weir_test_store(trial->test), show_problem,
                                   NULL, &problems, &error);
    if (status != WEIR_OK || problems > 0) {
        fail_msg("%s %lld: the store is unsound: %s", what, (long long)n, error.text);
    }
    char *left = trial_left(trial);
    if (strcmp(expected, left) != 0) {
        fail_msg("%s %lld: %s", what, (long long)n, look_difference(expected, left));
    }
    free(left);
}

char *trial_undisturbed(enum trial_size size)
{
    struct trial *trial = trial_new(size);
    if (trial_go_on(trial) != WEIR_OK) {
        fail_msg("an undisturbed trial failed: %s", trial_error(trial)->text);
    }
    char *left = trial_left(trial);
    trial_free(trial);
    return left;
}
