/* test_retain.c: topics trimmed by age while no epoch comes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lib/scratch_store.h"

static void write_records(struct scratch *s, int32_t partition, int first, int count)
{
    scratch_begin(s);
    scratch_append(s, SCRATCH_LOG, partition, first, count);
    scratch_decide(s);
}

static void retain(struct scratch *s)
{
    scratch_must(s, wr_store_retain(s->store, &s->error));
}

static const char *firsts(struct scratch *s)
{
    return scratch_query(s, "SELECT group_concat(first) FROM (SELECT first FROM partition"
                            " WHERE topic = (SELECT id FROM topic WHERE name = 'out')"
                            " ORDER BY partition)");
}

/* Without a retain_ms nobody looks; the next start of the job may bring one. */
static void nothing_is_due_without_an_age(void **state)
{
    (void)state;
    struct scratch *s = scratch_new();
    scratch_open(s);
    assert_int_equal(wr_store_retain_due_ms(s->store), INT64_MAX);
    write_records(s, 0, 0, 3);
    write_records(s, 0, 3, 3);
    s->now_ms += 1000000;
    retain(s);
    assert_string_equal(firsts(s), "0,0,0");
    scratch_free(s);
}

/* Whole batches go once they are older, but for the newest of each partition, and the wait is for
 * as long as nothing can get too old. */
static void old_batches_go(void **state)
{
    (void)state;
    struct scratch *s = scratch_new();
    scratch_open(s);
    s->sinks[SCRATCH_LOG].retain_ms = 10000;
    write_records(s, 0, 0, 3);
    write_records(s, 2, 0, 5);
    s->now_ms += 4000;
    write_records(s, 0, 3, 3);
    write_records(s, 2, 5, 1);
    assert_int_equal(wr_store_retain_due_ms(s->store), 0);

    retain(s);
    assert_string_equal(firsts(s), "0,0,0");
    assert_int_equal(wr_store_retain_due_ms(s->store), 6000);

    s->now_ms += 6001;
    assert_int_equal(wr_store_retain_due_ms(s->store), 0);
    retain(s);
    assert_string_equal(firsts(s), "3,0,5");
    assert_int_equal(wr_store_retain_due_ms(s->store), 1000);

    s->now_ms += 1000000;
    retain(s);
    assert_string_equal(firsts(s), "3,0,5");
    assert_int_equal(wr_store_retain_due_ms(s->store), 10000);
    scratch_free(s);
}

/* A clock that is set back is not waited for. */
static void a_clock_that_goes_back(void **state)
{
    (void)state;
    struct scratch *s = scratch_new();
    scratch_open(s);
    s->sinks[SCRATCH_LOG].retain_ms = 10000;
    write_records(s, 0, 0, 3);
    retain(s);
    s->now_ms -= 1000000000;
    assert_true(wr_store_retain_due_ms(s->store) <= 60000);
    retain(s);
    assert_string_equal(firsts(s), "0,0,0");
    scratch_free(s);
}

/* A store that another process has opened since is left alone. */
static void who_was_overtaken_trims_nothing(void **state)
{
    (void)state;
    struct scratch *s = scratch_new();
    scratch_open(s);
    s->sinks[SCRATCH_LOG].retain_ms = 10;
    write_records(s, 0, 0, 3);
    write_records(s, 0, 3, 3);
    s->now_ms += 1000;
    scratch_sql(s, "UPDATE meta SET value = value + 1 WHERE key = 'generation'");
    scratch_must_fail(s, wr_store_retain(s->store, &s->error), WR_EXIT_AGAIN, "overtaken");
    assert_string_equal(firsts(s), "0,0,0");
    scratch_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_due_without_an_age),
        cmocka_unit_test(old_batches_go),
        cmocka_unit_test(a_clock_that_goes_back),
        cmocka_unit_test(who_was_overtaken_trims_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
