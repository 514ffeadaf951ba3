/* test_bench_kills.c: jobs killed and started again, and what is found in the store they leave: for
 * each mode what it promises, and for damage done by hand just that damage.
 *
 * Long because each mode, each kind of job and each kind of damage has a case.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/bench/kills.h"
#include "tests/lib/scratch_store.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { RECORDS = 4000, EPOCH_RECORDS = 100, KEYS = 50, VALUE_BYTES = 40 };

struct fixture {
    struct wr_env env;
    struct wr_bench bench;
    struct wr_error error;
    char said[WR_ERROR_TEXT_MAX]; /* the last warning */
};

static void keep_warning(struct wr_env *env, enum wr_level level, const char *text)
{
    struct fixture *f = env->data;
    if (level <= WR_LOG_WARN) {
        snprintf(f->said, sizeof f->said, "%s", text);
    }
}

static void must(struct fixture *f, weir_status status)
{
    if (status != WEIR_OK) {
        fail_msg("%s", f->error.text);
    }
}

static int start(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    wr_env_init(&f->env);
    f->env.log = keep_warning;
    f->env.data = f;
    must(f, wr_bench_open(&f->env, ".", &f->bench, &f->error));
    f->bench.seed = 1;
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    wr_bench_close(&f->bench);
    free(f);
    return 0;
}

static struct wr_bench_cell cell_of(const struct wr_bench_job *job, enum wr_delivery delivery)
{
    return (struct wr_bench_cell){.kind = WR_BENCH_WEIR,
                                  .job = job,
                                  .delivery = delivery,
                                  .sync = WR_SYNC_OFF,
                                  .epoch_records = EPOCH_RECORDS,
                                  .keys = KEYS,
                                  .value_bytes = VALUE_BYTES,
                                  .records = RECORDS};
}

/* ---- Killing --------------------------------------------------------------------------------- */

/* Two kills: at a random moment, and where the mode shows what it is. */
static struct wr_bench_damage kill_twice(struct fixture *f, const struct wr_bench_job *job,
                                         enum wr_delivery delivery)
{
    struct wr_bench_cell cell = cell_of(job, delivery);
    struct wr_bench_damage damage;
    must(f, wr_bench_kill(&f->bench, &cell, 2, &damage, &f->error));
    assert_int_equal(damage.kills, 2);
    assert_int_equal(damage.reordered, 0);
    assert_in_range(wr_histogram_count(&damage.recovery), 0, 2);
    return damage;
}

/* Nothing is lost, nothing comes twice, and every count is right. */
static void exactly_once_does_no_damage(void **state)
{
    static const char *const jobs[] = {"copy", "count", "wordcount"};
    for (size_t i = 0; i < COUNT(jobs); i++) {
        const struct wr_bench_job *job = wr_bench_job_find(jobs[i]);
        struct wr_bench_damage damage = kill_twice(*state, job, WR_EXACTLY_ONCE);
        assert_int_equal(damage.lost, 0);
        assert_int_equal(damage.repeated, 0);
        assert_true(wr_histogram_count(&damage.recovery) > 0); /* the last run had work left */
        assert_int_equal(damage.state_errors, wr_bench_is_stateful(job) ? 0 : -1);
        assert_true(i < 2 ? damage.expected == RECORDS : damage.expected > RECORDS);
    }
}

/* What came since the positions were stored for the last time comes again, and is counted again. */
static void at_least_once_repeats_and_loses_nothing(void **state)
{
    struct wr_bench_damage copied = kill_twice(*state, wr_bench_job_find("copy"), WR_AT_LEAST_ONCE);
    assert_int_equal(copied.lost, 0);
    assert_true(copied.repeated > 0);
    assert_int_equal(copied.state_errors, -1);
    struct wr_bench_damage counted =
        kill_twice(*state, wr_bench_job_find("count"), WR_AT_LEAST_ONCE);
    assert_int_equal(counted.lost, 0);
    assert_true(counted.repeated > 0);
    assert_true(counted.state_errors > 0);
}

/* An epoch whose positions were stored and whose effects were not is lost. */
static void at_most_once_loses_and_repeats_nothing(void **state)
{
    struct wr_bench_damage copied = kill_twice(*state, wr_bench_job_find("copy"), WR_AT_MOST_ONCE);
    assert_int_equal(copied.repeated, 0);
    assert_true(copied.lost > 0);
    struct wr_bench_damage counted =
        kill_twice(*state, wr_bench_job_find("count"), WR_AT_MOST_ONCE);
    assert_int_equal(counted.repeated, 0);
    assert_true(counted.lost > 0);
    assert_true(counted.state_errors > 0);
}

/* All of it fits into one epoch: it starts over until the kill comes before its end. */
static void a_run_of_one_epoch_is_killed_too(void **state)
{
    struct fixture *f = *state;
    struct wr_bench_cell cell = cell_of(wr_bench_job_find("count"), WR_EXACTLY_ONCE);
    struct wr_bench_damage damage;
    cell.epoch_records = RECORDS;
    must(f, wr_bench_kill(&f->bench, &cell, 3, &damage, &f->error));
    assert_int_equal(damage.kills, 3);
    assert_int_equal(damage.lost + damage.repeated + damage.reordered + damage.state_errors, 0);
}

/* Not one kill: still a comparison. */
static void a_run_that_is_not_killed_is_compared(void **state)
{
    struct fixture *f = *state;
    struct wr_bench_cell cell = cell_of(wr_bench_job_find("copy"), WR_AT_LEAST_ONCE);
    struct wr_bench_damage damage;
    must(f, wr_bench_kill(&f->bench, &cell, 0, &damage, &f->error));
    assert_int_equal(damage.kills, 0);
    assert_int_equal(damage.expected, RECORDS);
    assert_int_equal(damage.lost + damage.repeated + damage.reordered, 0);
    assert_int_equal(wr_histogram_count(&damage.recovery), 0);
}

/* ---- Jobs that are not built in -------------------------------------------------------------- */

static const weir_bytes only = {NULL, 0};

/* Every third record, and the sum of the sizes of a key's values. */
static void sum_every_third(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    int64_t sum = 0;
    weir_to_i64(weir_get(ctx, only), &sum);
    weir_put(ctx, only, weir_i64(ctx, sum + (int64_t)in->value.size));
    if (weir_time(ctx) % 3 == 0) {
        weir_record out = weir_reply(ctx, weir_i64(ctx, sum));
        weir_emit(ctx, &out);
    }
}

static void define_sums(weir_job *job)
{
    weir_stream *in = weir_from(job, "in", "file:in.txt");
    weir_into(weir_through(in, "sum", sum_every_third, NULL), "sums", "table:sums");
}

/* What is expected is what an undisturbed run gives; its table becomes a topic. */
static void a_job_of_ones_own_is_compared_with_itself(void **state)
{
    static const struct wr_bench_job job = {.name = "sums", .define = define_sums};
    struct wr_bench_damage exactly = kill_twice(*state, &job, WR_EXACTLY_ONCE);
    assert_int_equal(exactly.expected, (RECORDS + 2) / 3);
    assert_int_equal(exactly.lost + exactly.repeated + exactly.state_errors, 0);
    struct wr_bench_damage least = kill_twice(*state, &job, WR_AT_LEAST_ONCE);
    assert_int_equal(least.lost, 0);
    assert_true(least.repeated > 0);
    assert_true(least.state_errors > 0);
}

static void say_the_time(weir_ctx *ctx, const weir_record *in, void *arg)
{
    char text[32];
    (void)in;
    snprintf(text, sizeof text, "%" PRId64, ((struct wr_env *)arg)->monotonic_us(arg));
    weir_record out = weir_reply(ctx, weir_text(text));
    weir_emit(ctx, &out);
}

static void define_clock(weir_job *job)
{
    struct wr_env *env = weir_alloc(job, sizeof *env);
    wr_env_init(env);
    weir_stream *in = weir_from(job, "in", "file:in.txt");
    weir_into(weir_through(in, "say", say_the_time, env), "out", "log:out");
}

static void say_nothing(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)in, (void)arg;
    weir_reject(ctx, "none of these");
}

static void define_silent(weir_job *job)
{
    weir_stream *in = weir_from(job, "in", "file:in.txt");
    weir_into(weir_through(in, "say", say_nothing, NULL), "out", "log:out");
}

static void define_two_inputs(weir_job *job)
{
    weir_into(weir_from(job, "a", "file:a.txt"), "a-out", "log:a");
    weir_into(weir_from(job, "b", "file:b.txt"), "b-out", "log:b");
}

/* Where nothing says what the output should be, nothing is said of damage. */
static void a_job_of_chance_is_not_killed(void **state)
{
    struct fixture *f = *state;
    static const struct wr_bench_job jobs[] = {{.name = "clock", .define = define_clock},
                                               {.name = "silent", .define = define_silent},
                                               {.name = "two", .define = define_two_inputs}};
    static const char *const whys[] = {"different output", "no output", "several inputs"};
    for (size_t i = 0; i < COUNT(jobs); i++) {
        struct wr_bench_cell cell = cell_of(&jobs[i], WR_EXACTLY_ONCE);
        struct wr_bench_damage damage;
        must(f, wr_bench_kill(&f->bench, &cell, 2, &damage, &f->error));
        assert_int_equal(damage.kills, 0);
        assert_int_equal(damage.expected, 0);
        assert_non_null(strstr(damage.why_not, whys[i]));
    }
}

static void fail_at_half(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)in, (void)arg;
    if (weir_time(ctx) == RECORDS / 2) {
        weir_fail(ctx, WEIR_FATAL, "half is enough");
    }
}

static void define_failing(weir_job *job)
{
    weir_stream *in = weir_from(job, "in", "file:in.txt");
    weir_into(weir_through(in, "fail", fail_at_half, NULL), "out", "log:out");
}

/* A job that does not come back is no kill; its own words say why. */
static void a_job_that_fails_is_an_error(void **state)
{
    struct fixture *f = *state;
    static const struct wr_bench_job job = {.name = "failing", .define = define_failing};
    struct wr_bench_cell cell = cell_of(&job, WR_AT_LEAST_ONCE);
    struct wr_bench_damage damage;
    assert_int_not_equal(wr_bench_kill(&f->bench, &cell, 1, &damage, &f->error), WEIR_OK);
    assert_non_null(strstr(f->error.text, "half is enough"));
    wr_error_clear(&f->error);
}

/* ---- Damage done by hand --------------------------------------------------------------------- */

/* Runs a job over its whole input into bench.weir of the working directory. */
static void run_whole(struct fixture *f, const struct wr_bench_cell *cell, const char *rewind)
{
    struct wr_arena arena;
    struct wr_run_options options;
    struct wr_bench_death death;
    const struct wr_bench_moment never = {.never = true};
    wr_arena_init(&arena, 0);
    must(f, wr_bench_cell_options(cell, "bench.weir", RECORDS, &arena, &options, &f->error));
    if (rewind) {
        must(f, wr_settings_add(&options.rewinds, rewind, &f->error));
    }
    struct wr_bench_victim victim = {
        .bench = &f->bench, .job = cell->job, .options = &options, .records = RECORDS};
    must(f, wr_bench_victim_run(&victim, &never, &death, &f->error));
    assert_false(death.killed);
    wr_run_options_fini(&options);
    wr_arena_fini(&arena);
}

static struct wr_difference compare_whole(struct fixture *f, const struct wr_bench_job *job)
{
    char input[128];
    struct wr_difference difference = {0};
    snprintf(input, sizeof input, "gen:%s?keys=%d&size=%d&records=%d", job->generator, KEYS,
             VALUE_BYTES, RECORDS);
    must(f, wr_bench_compare(&f->env, job, input, NULL, "bench.weir", &difference, &f->error));
    return difference;
}

static void sql(const char *text)
{
    struct scratch *s = calloc(1, sizeof *s);
    assert_non_null(s);
    snprintf(s->path, sizeof s->path, "bench.weir");
    scratch_sql(s, text);
    free(s);
}

static void remove_store(void)
{
    remove("bench.weir");
    remove("bench.weir-wal");
    remove("bench.weir-shm");
    remove("bench.weir.lock");
}

/* A store that read part of its input twice, one that lost a batch, and one that is as it should
 * be: the same eyes see each for what it is. */
static void damage_to_a_store_is_found(void **state)
{
    struct fixture *f = *state;
    const struct wr_bench_job *job = wr_bench_job_find("count");
    struct wr_bench_cell cell = cell_of(job, WR_EXACTLY_ONCE);
    run_whole(f, &cell, NULL);
    struct wr_difference good = compare_whole(f, job);
    assert_int_equal(good.expected, RECORDS);
    assert_int_equal(good.found, RECORDS);
    assert_int_equal(good.lost + good.repeated + good.reordered + good.state_errors, 0);

    run_whole(f, &cell, "in=3990"); /* the last ten, each of another key */
    struct wr_difference again = compare_whole(f, job);
    assert_int_equal(again.lost, 0);
    assert_int_equal(again.repeated, 10);
    assert_int_equal(again.reordered, 0);
    assert_int_equal(again.state_errors, 10);

    remove_store();
    run_whole(f, &cell, NULL);
    sql("DELETE FROM log WHERE first_offset = (SELECT max(first_offset) FROM log)");
    struct wr_difference cut = compare_whole(f, job);
    assert_true(cut.lost > 0);
    assert_int_equal(cut.lost, RECORDS - cut.found);
    assert_int_equal(cut.repeated + cut.reordered, 0);
    assert_in_range(cut.state_errors, 1, KEYS);

    remove_store();
    run_whole(f, &cell, NULL);
    sql("DELETE FROM log WHERE first_offset = (SELECT min(first_offset) FROM log)");
    struct wr_difference hole = compare_whole(f, job);
    assert_int_equal(hole.lost, RECORDS - hole.found);
    assert_int_equal(hole.repeated + hole.reordered + hole.state_errors, 0);
    assert_true(hole.lost > 0 && hole.lost < RECORDS);
    remove_store();
}

/* Bytes that are no batch are no output to be counted, and the error says where they are. */
static void a_damaged_batch_is_an_error(void **state)
{
    struct fixture *f = *state;
    const struct wr_bench_job *job = wr_bench_job_find("copy");
    struct wr_bench_cell cell = cell_of(job, WR_EXACTLY_ONCE);
    struct wr_difference difference;
    run_whole(f, &cell, NULL);
    sql("UPDATE log SET batch = zeroblob(length(batch))");
    assert_int_not_equal(wr_bench_compare(&f->env, job, "gen:keyed?records=10", NULL, "bench.weir",
                                          &difference, &f->error),
                         WEIR_OK);
    assert_int_equal(f->error.exit_code, WR_EXIT_DATA);
    assert_non_null(strstr(f->error.text, "bench.weir, topic out, partition 0"));
    wr_error_clear(&f->error);
    remove_store();
}

/* ---- What an input implies ------------------------------------------------------------------- */

/* A topic of another store's making would be compared with the wrong thing; here by hand, the first
 * records of a generator that is documented to the byte. */
static void what_is_implied_is_what_the_generator_says(void **state)
{
    struct fixture *f = *state;
    static const char *const keys[] = {"0", "761", "522", "283"};
    struct wr_compare *compare = NULL;
    struct wr_difference difference;
    struct wr_compared found = {0};
    must(f, wr_compare_new(true, 100, &compare, &f->error));
    must(f, wr_bench_imply(&f->env, wr_bench_job_find("count"), "gen:keyed?records=4", compare,
                           &f->error));
    must(f, wr_compare_stream(compare, "out", 0, &found.stream, &f->error));
    for (size_t i = 0; i < COUNT(keys); i++) {
        found.time_ms = (int64_t)i;
        found.key = weir_text(keys[i]);
        found.value = weir_text("1");
        must(f, wr_compare_find(compare, &found, &f->error));
    }
    wr_compare_end(compare, &difference);
    wr_compare_free(compare);
    assert_int_equal(difference.expected, 4);
    assert_int_equal(difference.lost + difference.repeated + difference.reordered, 0);
    assert_int_equal(difference.state_errors, 0);
}

/* The limit of the comparison is known before anything runs. */
static void too_large_an_input_is_refused_at_once(void **state)
{
    struct fixture *f = *state;
    struct wr_bench_cell cell = cell_of(wr_bench_job_find("copy"), WR_EXACTLY_ONCE);
    struct wr_bench_damage damage;
    cell.records = WR_COMPARE_RECORDS_MAX;
    assert_int_equal(wr_bench_kill(&f->bench, &cell, 1, &damage, &f->error), WEIR_MISUSE);
    assert_int_equal(f->error.exit_code, WR_EXIT_USAGE);
    wr_error_clear(&f->error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(exactly_once_does_no_damage, start, end),
        cmocka_unit_test_setup_teardown(at_least_once_repeats_and_loses_nothing, start, end),
        cmocka_unit_test_setup_teardown(at_most_once_loses_and_repeats_nothing, start, end),
        cmocka_unit_test_setup_teardown(a_run_of_one_epoch_is_killed_too, start, end),
        cmocka_unit_test_setup_teardown(a_run_that_is_not_killed_is_compared, start, end),
        cmocka_unit_test_setup_teardown(a_job_of_ones_own_is_compared_with_itself, start, end),
        cmocka_unit_test_setup_teardown(a_job_of_chance_is_not_killed, start, end),
        cmocka_unit_test_setup_teardown(a_job_that_fails_is_an_error, start, end),
        cmocka_unit_test_setup_teardown(damage_to_a_store_is_found, start, end),
        cmocka_unit_test_setup_teardown(a_damaged_batch_is_an_error, start, end),
        cmocka_unit_test_setup_teardown(what_is_implied_is_what_the_generator_says, start, end),
        cmocka_unit_test_setup_teardown(too_large_an_input_is_refused_at_once, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
