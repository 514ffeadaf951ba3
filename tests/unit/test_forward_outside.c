/* test_forward_outside.c: the forwarder over an outside that has transactions of its own, and does
 * not always answer: nothing is left out, nothing is settled twice, and it says when it is behind.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/lib/scratch_store.h"
#include "txn/forward_inner.h"

enum { SEEN_MAX = 64 };

/* Keeps what was settled; what was sent since is lost when it is told to give up. */
struct outside {
    struct wr_outlet base;
    int64_t seen[SEEN_MAX]; /* offsets, in the order in which they came */
    int64_t settled, sent, marked;
    uint32_t crc;
    int64_t full_at; /* the record that it has no room for; -1: none */
    bool away, gives_up;
    int settles;
};

static struct outside *outside_of(struct wr_outlet *outlet)
{
    return (struct outside *)outlet;
}

static weir_status outside_prepare(struct wr_outlet *outlet, struct wr_marker *settled,
                                   int64_t *next_out, struct wr_error *error)
{
    struct outside *outside = outside_of(outlet);
    (void)error;
    if (outside->away) {
        return WEIR_RETRY;
    }
    settled->next = outside->settled;
    settled->identity = "outside";
    *next_out = outside->sent;
    return WEIR_OK;
}

static weir_status outside_send(struct wr_outlet *outlet, const weir_record *record, int64_t offset,
                                struct wr_error *error)
{
    struct outside *outside = outside_of(outlet);
    (void)record, (void)error;
    assert_int_equal(offset, outside->sent);
    if (offset == outside->full_at) {
        return WEIR_RETRY;
    }
    assert_in_range(offset, 0, SEEN_MAX - 1);
    outside->seen[outside->sent++] = offset;
    return WEIR_OK;
}

static void outside_mark(struct wr_outlet *outlet, weir_bytes batch, int64_t next)
{
    struct outside *outside = outside_of(outlet);
    assert_int_equal(next, outside->sent);
    outside->marked = next;
    outside->crc = wr_batch_running_crc(outside->crc, batch.data);
}

static weir_status outside_settle(struct wr_outlet *outlet, struct wr_marker *marker,
                                  struct wr_error *error)
{
    struct outside *outside = outside_of(outlet);
    (void)error;
    outside->settles++;
    if (outside->away || outside->sent != outside->marked) {
        return WEIR_RETRY;
    }
    if (outside->gives_up) {
        outside->sent = outside->marked = outside->settled;
    }
    outside->settled = outside->sent;
    marker->next = outside->settled;
    marker->length = -1;
    marker->identity = "outside";
    return WEIR_OK;
}

static weir_status outside_check(struct wr_outlet *outlet, const struct wr_marker *marker,
                                 struct wr_error *error)
{
    (void)outlet, (void)marker, (void)error;
    return WEIR_OK;
}

static void outside_close(struct wr_outlet *outlet)
{
    (void)outlet;
}

static const struct wr_outlet_ops outside_ops = {.prepare = outside_prepare,
                                                 .send = outside_send,
                                                 .mark = outside_mark,
                                                 .settle = outside_settle,
                                                 .check = outside_check,
                                                 .close = outside_close};

struct fixture {
    struct scratch *s;
    struct wr_forwarder *forwarder;
    struct outside outside;
    int decided;
};

static void decide(struct fixture *f, int count)
{
    scratch_begin(f->s);
    scratch_append(f->s, SCRATCH_OUTBOX, 0, f->decided, count);
    scratch_decide(f->s);
    wr_forwarder_grew(f->forwarder, &f->s->epoch);
    f->decided += count;
}

static void decide_markers(struct fixture *f)
{
    const struct wr_marker *markers;
    size_t count = wr_forwarder_markers(f->forwarder, &markers);
    if (count > 0) {
        struct wr_apply apply = {.markers = markers, .marker_count = count};
        scratch_must(f->s, wr_store_apply(f->s->store, &apply, &f->s->error));
        wr_forwarder_decided(f->forwarder);
    }
}

/* Takes a step; whether markers wait. */
static bool step(struct fixture *f)
{
    bool moved;
    scratch_must(f->s, wr_forwarder_step(f->forwarder, &moved, &f->s->error));
    return moved;
}

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){
        .s = scratch_new(), .outside.base.ops = &outside_ops, .outside.full_at = -1};
    struct scratch *s = fixture.s;
    scratch_open(s);
    scratch_must(s, wr_forwarder_new(&s->env, s->store, &s->arena, &fixture.forwarder, &s->error));
    fixture.outside.base.backlog_max = 1000;
    scratch_must(s, wr_forwarder_add(fixture.forwarder, &s->sinks[SCRATCH_OUTBOX],
                                     &fixture.outside.base, NULL, &s->error));
    scratch_must(s, wr_forwarder_check(fixture.forwarder, &s->error));
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    wr_forwarder_free(f->forwarder);
    scratch_free(f->s);
    return 0;
}

/* Until somebody has looked at the logs it may be behind; a step that finds the markers of the
 * check waiting has not looked. */
static void it_is_behind_until_it_has_looked(void **state)
{
    struct fixture *f = *state;
    assert_true(wr_forwarder_is_behind(f->forwarder));
    assert_true(step(f));
    assert_true(wr_forwarder_is_behind(f->forwarder));
    decide_markers(f);
    assert_false(step(f));
    assert_false(wr_forwarder_is_behind(f->forwarder));
}

/* Records are sent while the markers before wait, but settled only once those are decided. */
static void sending_goes_on_while_markers_wait(void **state)
{
    struct fixture *f = *state;
    bool full;
    decide_markers(f);
    decide(f, 3);
    assert_true(step(f));
    decide(f, 4);
    scratch_must(f->s, wr_forwarder_send(f->forwarder, &full, &f->s->error));
    assert_int_equal(f->outside.sent, 7);
    assert_true(step(f));
    assert_int_equal(f->outside.settled, 3);
    decide_markers(f);
    assert_true(step(f));
    assert_int_equal(f->outside.settled, 7);
    decide_markers(f);
    assert_string_equal(scratch_query(f->s, "SELECT next FROM marker WHERE sink = 'file'"), "7");
}

/* An outside that is away stops no step; what waits for it is settled when it is back, once. */
static void one_that_is_away_is_asked_again(void **state)
{
    struct fixture *f = *state;
    decide_markers(f);
    decide(f, 3);
    f->outside.away = true;
    assert_false(step(f));
    assert_false(step(f));
    assert_true(wr_forwarder_is_behind(f->forwarder));
    assert_int_equal(wr_forwarder_backlog(f->forwarder), 3);
    f->outside.away = false;
    assert_true(step(f));
    decide_markers(f);
    assert_false(step(f));
    assert_int_equal(f->outside.settled, 3);
    assert_false(wr_forwarder_is_behind(f->forwarder));
}

/* What a transaction that was given up had is sent again from the marker on. */
static void what_was_given_up_is_sent_again(void **state)
{
    struct fixture *f = *state;
    decide_markers(f);
    decide(f, 3);
    assert_true(step(f));
    decide_markers(f);
    decide(f, 4);
    f->outside.gives_up = true;
    assert_false(step(f));
    assert_true(wr_forwarder_is_behind(f->forwarder));
    f->outside.gives_up = false;
    assert_true(step(f));
    assert_int_equal(f->outside.settled, 7);
    for (int64_t i = 0; i < 7; i++) {
        assert_int_equal(f->outside.seen[i], i);
    }
}

/* A batch of which a part was sent is sent whole, although other sinks have used up what may be
 * sent between two steps: no marker may stand in its middle, so nothing could be settled ever
 * after. */
static void a_batch_that_was_begun_is_ended(void **state)
{
    struct fixture *f = *state;
    decide_markers(f);
    decide(f, 5);
    f->outside.full_at = 2;
    assert_false(step(f));
    assert_int_equal(f->outside.sent, 2);
    f->outside.full_at = -1;
    f->forwarder->budget = 0;
    assert_true(step(f));
    assert_int_equal(f->outside.settled, 5);
    assert_true(f->forwarder->budget > 0);
}

/* The marker's CRC is the store's own for that place. */
static void the_running_crc_is_the_stores(void **state)
{
    struct fixture *f = *state;
    decide_markers(f);
    decide(f, 3);
    decide(f, 2);
    step(f);
    char query[100], crc[20];
    snprintf(query, sizeof query, "SELECT crc FROM partition WHERE topic = %lld",
             (long long)f->s->sinks[SCRATCH_OUTBOX].topic);
    snprintf(crc, sizeof crc, "%lu", (unsigned long)f->outside.crc);
    assert_string_equal(scratch_query(f->s, query), crc);
}

/* More waits than may as soon as it is decided, and until the log was trimmed. */
static void a_backlog_over_the_limit_is_named(void **state)
{
    struct fixture *f = *state;
    decide_markers(f);
    assert_null(wr_forwarder_full(f->forwarder));
    for (int i = 0; i < 30; i++) {
        decide(f, 2);
    }
    assert_string_equal(wr_forwarder_full(f->forwarder)->name, "file");
    while (step(f)) {
        decide_markers(f);
    }
    assert_null(wr_forwarder_full(f->forwarder));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_behind_until_it_has_looked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sending_goes_on_while_markers_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_away_is_asked_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_given_up_is_sent_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_batch_that_was_begun_is_ended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_running_crc_is_the_stores, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_backlog_over_the_limit_is_named, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
