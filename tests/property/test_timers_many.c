/* test_timers_many.c: more timers than are kept in memory, set, moved, cancelled and fired, a lot
 * of them at once, against a sorted array. WEIR_SEED=N takes another seed.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/weir_test.h"
#include "tests/lib/look.h"
#include "tests/lib/program.h"
#include "txn/base/bytes.h"
#include "txn/base/limits.h"

enum {
    TIMERS = 270000, /* over four steps of WR_TIMERS_LOADED_MAX, at which a heap shrinks */
    KEYS = 5,
    ORDERS_MAX = 8000, /* of one record */
    AGAIN_MS = 90000, /* after which some set themselves again */
    CLOCK_START_MS = 1000000000, /* the kit's */
};
_Static_assert(TIMERS > 4 * WR_TIMERS_LOADED_MAX, "a heap must shrink");

static const int64_t NONE = INT64_MAX;

/* What a record asks for: its value is an array of these. */
struct order {
    int64_t time_ms; /* INT64_MAX cancels */
    int32_t timer;
};

struct fired {
    int64_t time_ms;
    int32_t timer;
};

/* The sorted array that the engine must equal, and what the operator shares with the test. */
struct many {
    weir_test *test;
    bool clock;
    int64_t times[TIMERS]; /* NONE: not set */
    struct fired *fired; /* in order */
    size_t fired_count, fired_capacity, sorted_count;
    int64_t now_ms; /* watermark or clock */
    int64_t pushed, seen_ms;
    uint64_t random;
    int64_t calls, fail_at; /* the fail_at-th firing fails once */
};
static struct many many;

static weir_bytes key_of(int32_t timer)
{
    static const char keys[KEYS][8] = {"a", "bb", "c", "dd", "e"};
    return weir_text(keys[timer % KEYS]);
}

static weir_bytes name_of(int32_t timer, char text[16])
{
    snprintf(text, 16, "%06d", (int)timer);
    return weir_text(text);
}

static bool sets_again(int32_t timer)
{
    return timer % 16 == 3;
}

/* The clock knows only how long from now. */
static int64_t again_at(int64_t fired_ms)
{
    return (many.clock ? many.now_ms : fired_ms) + AGAIN_MS;
}

/* ---- The job --------------------------------------------------------------------------------- */

static void set(weir_ctx *ctx, weir_bytes name, int64_t time_ms)
{
    if (many.clock) {
        weir_wake_clock(ctx, name, time_ms == NONE ? NONE : time_ms - many.now_ms);
    } else {
        weir_wake(ctx, name, time_ms);
    }
}

static void fire(weir_ctx *ctx)
{
    if (++many.calls == many.fail_at) {
        weir_fail(ctx, WEIR_ABORT, "once");
        return;
    }
    weir_record out = weir_reply(ctx, weir_timer(ctx));
    weir_emit(ctx, &out);
    if (sets_again((int32_t)strtol(weir_timer(ctx).data, NULL, 10))) {
        set(ctx, weir_timer(ctx), again_at(weir_time(ctx)));
    }
}

static void operate(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    if (!in) {
        fire(ctx);
        return;
    }
    for (size_t i = 0; i < in->value.size / sizeof(struct order); i++) {
        struct order order;
        char text[16];
        memcpy(&order, (const char *)in->value.data + i * sizeof order, sizeof order);
        set(ctx, name_of(order.timer, text), order.time_ms);
    }
}

static void define(weir_job *job)
{
    weir_stream *in = weir_from(job, "in", NULL);
    weir_into(weir_through(in, "many", operate, NULL), "out", "log:out");
}

/* ---- The sorted array ------------------------------------------------------------------------ */

static void note_fired(int32_t timer)
{
    if (many.fired_count == many.fired_capacity) {
        many.fired_capacity = many.fired_capacity * 2 + 1024;
        many.fired = realloc(many.fired, many.fired_capacity * sizeof *many.fired);
    }
    int64_t time_ms = many.times[timer];
    many.fired[many.fired_count++] = (struct fired){time_ms, timer};
    many.times[timer] = sets_again(timer) ? again_at(time_ms) : NONE;
}

static int by_time(const void *left, const void *right)
{
    const struct fired *a = left, *b = right;
    if (a->time_ms != b->time_ms) {
        return a->time_ms < b->time_ms ? -1 : 1;
    }
    int order = wr_bytes_compare(key_of(a->timer), key_of(b->timer));
    return order ? order : (a->timer > b->timer) - (a->timer < b->timer);
}

/* Everything that is due fires, and what is set again and due by then too. */
static void fire_due(void)
{
    for (int32_t i = 0; i < TIMERS; i++) {
        while (many.times[i] <= many.now_ms) {
            note_fired(i);
        }
    }
    qsort(many.fired + many.sorted_count, many.fired_count - many.sorted_count, sizeof *many.fired,
          by_time);
    many.sorted_count = many.fired_count;
}

static char *expected(void)
{
    char *text = NULL, name[16];
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    fprintf(out, "position in 0 %d\n", (int)many.pushed);
    for (size_t i = 0; i < many.fired_count; i++) {
        weir_record record = {.key = key_of(many.fired[i].timer),
                              .value = name_of(many.fired[i].timer, name),
                              .time_ms = many.fired[i].time_ms};
        look_record(out, "out", 0, (int64_t)i, &record);
    }
    for (int32_t i = 0; i < TIMERS; i++) {
        if (many.times[i] != NONE) {
            fputs("timer many", out);
            look_bytes(out, key_of(i));
            look_bytes(out, name_of(i, name));
            fprintf(out, " %s %lld\n", many.clock ? "clock" : "event", (long long)many.times[i]);
        }
    }
    fclose(out);
    look_sort(text);
    return text;
}

static void compare(void)
{
    struct wr_error error = {.status = WEIR_OK};
    char *wanted = expected(), *found = look_store(weir_test_store(many.test), &error);
    if (!found || strcmp(wanted, found) != 0) {
        fail_msg("%s", found ? look_difference(wanted, found) : error.text);
    }
    free(wanted);
    free(found);
}

/* ---- Driving --------------------------------------------------------------------------------- */

static void begin(bool clock, const weir_test_options *options)
{
    const char *seed = getenv("WEIR_SEED");
    memset(&many, 0, sizeof many);
    many.random = seed ? strtoull(seed, NULL, 10) : 1;
    many.clock = clock;
    many.now_ms = clock ? CLOCK_START_MS : 0;
    for (int32_t i = 0; i < TIMERS; i++) {
        many.times[i] = NONE;
    }
    many.test = weir_test_new(define, options);
}

static void end(void)
{
    weir_test_free(many.test);
    free(many.fired);
}

static void passes(weir_status status)
{
    if (status != WEIR_OK) {
        fail_msg("%s", weir_test_error(many.test));
    }
}

/* Gives every timer whose number is `first` modulo `step` a time up to `span_ms` from now; one in
 * `cancel` of them is cancelled instead. One record per key, or several where it would be long. */
static void give_orders(int32_t first, int32_t step, int64_t span_ms, unsigned cancel)
{
    static struct order orders[KEYS][ORDERS_MAX];
    size_t counts[KEYS] = {0};
    for (int32_t i = first; i < TIMERS + step * KEYS; i += step) {
        bool last = i >= TIMERS;
        int32_t key = i % KEYS;
        if (counts[key] == ORDERS_MAX || (last && counts[key])) {
            weir_record record = {.key = key_of(key),
                                  .value = {orders[key], counts[key] * sizeof orders[0][0]},
                                  .time_ms = many.now_ms};
            weir_test_push(many.test, "in", 0, &record);
            many.pushed++;
            counts[key] = 0;
        }
        if (!last) {
            int64_t time_ms = many.now_ms + 1 + program_below(&many.random, (unsigned)span_ms);
            many.times[i] = cancel && program_below(&many.random, cancel) == 0 ? NONE : time_ms;
            orders[key][counts[key]++] = (struct order){many.times[i], i};
        }
    }
    passes(weir_test_run(many.test));
}

static void move_on(int64_t by_ms)
{
    many.now_ms += by_ms;
    fire_due();
    passes(many.clock ? weir_test_clock(many.test, by_ms)
                      : weir_test_advance(many.test, "in", many.now_ms));
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void set_move_cancel_fire(bool clock, const weir_test_options *options, bool restart)
{
    begin(clock, options);
    give_orders(0, 1, 100000, 0);
    compare();
    give_orders(0, 3, 100000, 4); /* moved, some cancelled */
    move_on(2000);
    give_orders(1, 4, 1000, 0); /* to the front */
    if (restart) {
        weir_test_crash(many.test);
        passes(weir_test_restart(many.test, NULL));
    }
    move_on(900);
    compare();
    give_orders(2, 7, 300000, 2);
    many.fail_at = many.calls + 20000;
    move_on(60000);
    many.fail_at = many.calls + 70000;
    move_on(300000);
    compare();
    end();
}

/* More timers than are kept in memory, in event time, in epochs of the default size. */
static void event_timers_fire_in_order(void **state)
{
    (void)state;
    set_move_cancel_fire(false, NULL, false);
}

/* The same with epochs that end between any two firings and are decided late, and a crash. */
static void they_do_in_small_epochs_after_a_crash(void **state)
{
    (void)state;
    weir_test_options options = {.epoch_records = 5000, .cache_bytes = -1, .decide_late = true};
    set_move_cancel_fire(false, &options, true);
}

/* The same on the clock. */
static void clock_timers_fire_in_order(void **state)
{
    (void)state;
    weir_test_options options = {.epoch_records = 20000};
    set_move_cancel_fire(true, &options, true);
}

/* All are due at the same moment: then key and name order them. */
static void all_at_once(void **state)
{
    (void)state;
    begin(false, NULL);
    give_orders(0, 1, 1, 0);
    move_on(1);
    compare();
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event_timers_fire_in_order),
        cmocka_unit_test(they_do_in_small_epochs_after_a_crash),
        cmocka_unit_test(clock_timers_fire_in_order),
        cmocka_unit_test(all_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
