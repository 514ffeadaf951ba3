/* test_op_windows.c: windows of every kind against their definition, applied naively to all records
 * at once: random records, out of order and late, few keys; random epochs, caches, crashes.
 *
 * WEIR_SEED sets the first seed, WEIR_ROUNDS how many there are.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/chance.h"
#include "tests/lib/window_job.h"
#include "tests/lib/window_model.h"
#include "txn/base/random.h"

enum { ROUNDS = 60, ROUNDS_LONG = 3000, PASSINGS_MAX = 4 };

static int64_t below(uint64_t *state, int64_t limit)
{
    return (int64_t)(wr_random_next(state) % (uint64_t)limit);
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

static weir_windows random_windows(uint64_t *state)
{
    int64_t size = 1 + below(state, 12), advance = 1 + below(state, size);
    weir_windows windows = weir_tumbling(size);
    switch (below(state, 5)) {
    case 0:
        windows = weir_hopping(size, advance);
        break;
    case 1:
        windows = weir_sliding(size - 1);
        break;
    case 2:
        windows = weir_session(1 + below(state, 5));
        break;
    case 3:
        windows = weir_count_windows(1 + below(state, 5), 1 + below(state, 5));
        break;
    default:
        break;
    }
    windows.grace_ms = below(state, 2) * below(state, 20);
    windows.emit = below(state, 2) ? WEIR_EMIT_UPDATES : WEIR_EMIT_CLOSED;
    windows.late = WEIR_LATE_SIDE;
    return windows;
}

static void random_round(uint64_t seed, int count, struct window_round *round)
{
    uint64_t state = seed;
    *round = (struct window_round){.seed = seed, .windows = random_windows(&state), .count = count};
    round->out_of_order_ms = below(&state, 2) * below(&state, 30);
    round->values = (int)below(&state, 3);
    int64_t now_ms = -20, highest_ms = 0, disorder_ms = 1 + below(&state, 40);
    for (int i = 0; i < count; i++) {
        struct window_item *item = &round->items[i];
        now_ms += below(&state, 4);
        item->key = (int)below(&state, KEYS);
        item->time_ms = now_ms - below(&state, 3) * below(&state, disorder_ms) / 2;
        item->letter = (char)(round->values == DISTINCT ? 'a' + below(&state, 4) : '0' + i);
        item->letter = item->letter == ';' ? '!' : item->letter;
        item->watermark_ms = i ? highest_ms - round->out_of_order_ms : INT64_MIN;
        if (i == 0 || item->time_ms > highest_ms) {
            highest_ms = item->time_ms;
        }
    }
}

static struct window_job job_of(const struct window_round *round)
{
    struct window_job job = {round->windows, window_job_letters(), round->out_of_order_ms};
    if (round->values == COUNTED) {
        job.aggregation = weir_count();
    } else if (round->values == DISTINCT) {
        job.aggregation = weir_count_distinct(NULL, NULL);
    }
    return job;
}

static void push(weir_test *test, const struct window_item *item)
{
    char key[8], value[2] = {item->letter};
    snprintf(key, sizeof key, "k%d", item->key);
    weir_test_text(test, "in", key, value, item->time_ms);
}

/* ---- The engine ------------------------------------------------------------------------------ */

/* What a result replaces. A late record may let an open session begin where a closed one did: of
 * several the open one ends last. */
static struct window_row *replaced(struct window_table *table, const struct window_row *in,
                                   const char *old)
{
    struct window_row *found = NULL;
    for (int i = 0; i < table->count; i++) {
        struct window_row *row = &table->rows[i];
        if (row->key == in->key && row->start_ms == in->start_ms &&
            (*old ? strcmp(row->value, old) == 0 : row->end_ms == in->end_ms) &&
            (!found || row->end_ms > found->end_ms)) {
            found = row;
        }
    }
    return found;
}

/* Follows one result: `KEY START..END VALUE`, maybe ` was OLD`, ` at TIME`. */
static bool follow(const struct window_round *round, struct window_table *table, const char *line)
{
    struct window_row in;
    char old[2 * ITEMS_MAX] = "";
    int64_t time_ms;
    bool counted = round->windows.kind == WEIR_WINDOW_COUNT;
    if (sscanf(line, "k%d %" SCNd64 "..%" SCNd64 " %119s was %119s at %" SCNd64, &in.key,
               &in.start_ms, &in.end_ms, in.value, old, &time_ms) != 6) {
        old[0] = '\0';
        if (sscanf(line, "k%d %" SCNd64 "..%" SCNd64 " %119s at %" SCNd64, &in.key, &in.start_ms,
                   &in.end_ms, in.value, &time_ms) != 5) {
            return false;
        }
    }
    struct window_row *row = counted ? NULL : replaced(table, &in, old);
    if ((row != NULL) != (old[0] != '\0')) {
        return false; /* what it says that it replaces is not there, or it should say so */
    }
    if (!counted && round->windows.emit == WEIR_EMIT_CLOSED && (row || time_ms != in.end_ms - 1)) {
        return false;
    }
    if (strcmp(in.value, "-") == 0) {
        if (row) {
            window_row_free(table, row);
        }
        return row != NULL;
    }
    row = row ? row : window_row_new(table, in.key, in.start_ms, in.end_ms);
    *row = in;
    return true;
}

static const char *read_engine(weir_test *test, const struct window_round *round,
                               struct window_table *table)
{
    *table = (struct window_table){.count = 0};
    char *text = window_job_text(test);
    const char *wrong = NULL;
    char *late_ones = strstr(text, "late ");
    if (late_ones) {
        snprintf(table->late, sizeof table->late, "%s", late_ones);
        *late_ones = '\0';
    }
    char *rest = text;
    for (char *line = strtok_r(rest, ";", &rest); line && !wrong;
         line = strtok_r(rest, ";", &rest)) {
        line += *line == ' ';
        wrong = *line && !follow(round, table, line) ? "a result that follows from none" : NULL;
    }
    free(text);
    return wrong;
}

/* Runs, or drains, until it passes without a crash. */
static bool run_through(weir_test *test, bool drain, uint64_t *state)
{
    if (below(state, 6) == 0) {
        weir_test_crash(test);
        weir_test_restart(test, NULL);
    }
    for (int crashes = 0;; crashes++) {
        if (weir_test_status(test) == WEIR_OK) {
            if (crashes < 3 && below(state, 3) == 0) {
                chance_crash(test, state, PASSINGS_MAX);
            }
            if ((drain ? weir_test_drain(test) : weir_test_run(test)) == WEIR_OK) {
                return true;
            }
        }
        if (!weir_test_crashed(test)) {
            return false;
        }
        if (crashes < 3 && below(state, 3) == 0) {
            chance_crash(test, state, PASSINGS_MAX);
        }
        weir_test_restart(test, NULL);
    }
}

/* What is wrong with a round; NULL: nothing. */
static const char *run_engine(const struct window_round *round, struct window_table *table)
{
    static const int64_t caches[] = {-1, 300, 0};
    uint64_t state = round->seed ^ 0xc4a5;
    struct window_job job = job_of(round);
    weir_test_options options = {.epoch_records = below(&state, 6),
                                 .cache_bytes = caches[below(&state, 3)],
                                 .decide_late = below(&state, 2)};
    window_job_set(&job);
    weir_test *test = weir_test_new(window_job_define, &options);
    const char *wrong = NULL;
    for (int i = 0; i < round->count && !wrong;) {
        int64_t more = 1 + below(&state, 12);
        for (; more > 0 && i < round->count; more--) {
            push(test, &round->items[i++]);
        }
        wrong = run_through(test, false, &state) ? NULL : "a run failed";
    }
    if (!wrong) {
        wrong = run_through(test, true, &state) ? NULL : "a drain failed";
    }
    if (wrong) {
        print_error("%s\n", weir_test_error(test));
    } else if (weir_test_timers(test) != 0 || weir_test_rejects(test) != 0) {
        wrong = "timers or rejects are left";
    } else {
        wrong = read_engine(test, round, table);
    }
    weir_test_free(test);
    return wrong;
}

/* ---- The test -------------------------------------------------------------------------------- */

static int by_place(const void *left, const void *right)
{
    const struct window_row *a = left, *b = right;
    if (a->key != b->key) {
        return a->key < b->key ? -1 : 1;
    }
    if (a->start_ms != b->start_ms) {
        return a->start_ms < b->start_ms ? -1 : 1;
    }
    if (a->end_ms != b->end_ms) {
        return a->end_ms < b->end_ms ? -1 : 1;
    }
    return strcmp(a->value, b->value);
}

static bool is_same(struct window_table *a, struct window_table *b)
{
    qsort(a->rows, (size_t)a->count, sizeof *a->rows, by_place);
    qsort(b->rows, (size_t)b->count, sizeof *b->rows, by_place);
    bool same = a->count == b->count && strcmp(a->late, b->late) == 0;
    for (int i = 0; same && i < a->count; i++) {
        same = by_place(&a->rows[i], &b->rows[i]) == 0;
    }
    return same;
}

static void say(const char *what, const struct window_table *table)
{
    print_error("%s:", what);
    for (int i = 0; i < table->count; i++) {
        const struct window_row *row = &table->rows[i];
        print_error(" k%d %" PRId64 "..%" PRId64 " %s;", row->key, row->start_ms, row->end_ms,
                    row->value);
    }
    print_error(" %s\n", table->late);
}

/* NULL: the engine does what the definition says. */
static const char *wrong_with(const struct window_round *round, bool explain)
{
    static struct window_table expected, found; /* large */
    window_model(round, &expected);
    const char *wrong = run_engine(round, &found);
    wrong = wrong || is_same(&expected, &found) ? wrong : "other windows";
    if (wrong && explain) {
        const weir_windows *windows = &round->windows;
        print_error("seed %" PRIu64 ": %s: kind %d size %d advance %d grace %d %s, disorder %d\n",
                    round->seed, wrong, (int)windows->kind, (int)windows->size,
                    (int)windows->advance, (int)windows->grace_ms,
                    windows->emit == WEIR_EMIT_CLOSED ? "closed" : "updates",
                    (int)round->out_of_order_ms);
        for (int i = 0; i < round->count; i++) {
            const struct window_item *item = &round->items[i];
            print_error(" k%d %" PRId64 " %c;", item->key, item->time_ms, item->letter);
        }
        print_error("\n");
        say("expected", &expected);
        say("found", &found);
    }
    return wrong;
}

static void windows_are_what_their_definition_says(void **state)
{
    (void)state;
    static struct window_round round;
    int64_t rounds = chance_setting("WEIR_ROUNDS", getenv("WEIR_LONG") ? ROUNDS_LONG : ROUNDS);
    uint64_t seed = (uint64_t)chance_setting("WEIR_SEED", 1);
    for (int64_t i = 0; i < rounds; i++) {
        int fewest = ITEMS_MAX;
        random_round(seed + (uint64_t)i, ITEMS_MAX, &round);
        if (!wrong_with(&round, false)) {
            continue;
        }
        while (fewest > 1) { /* the shortest start of it that is wrong */
            random_round(seed + (uint64_t)i, fewest - 1, &round);
            if (!wrong_with(&round, false)) {
                break;
            }
            fewest--;
        }
        random_round(seed + (uint64_t)i, fewest, &round);
        (void)wrong_with(&round, true);
        fail_msg("seed %" PRIu64 ": see above", seed + (uint64_t)i);
    }
}

/* Each kind once, with a crash at every record in turn. */
static void a_crash_at_every_record(void **state)
{
    (void)state;
    enum { FEW = 12 };
    static struct window_round round;
    static struct window_table expected, found;
    weir_test_options options = {.epoch_records = 1, .cache_bytes = -1};
    const weir_windows windows[] = {weir_tumbling(5), weir_hopping(6, 2), weir_sliding(4),
                                    weir_session(3), weir_count_windows(3, 2)};
    for (size_t i = 0; i < 2 * (sizeof windows / sizeof *windows); i++) {
        random_round(40 + i, FEW, &round);
        round.windows = windows[i / 2];
        round.windows.late = WEIR_LATE_SIDE;
        round.windows.emit = i % 2 ? WEIR_EMIT_CLOSED : WEIR_EMIT_UPDATES;
        window_model(&round, &expected);
        struct window_job job = job_of(&round);
        window_job_set(&job);
        for (int at = 1; at <= FEW; at++) {
            weir_test *test = weir_test_new(window_job_define, &options);
            for (int j = 0; j < FEW; j++) {
                push(test, &round.items[j]);
            }
            weir_test_crash_at(test, at % 2 ? "decide_before_end" : "decide_after_end", at);
            if (weir_test_run(test) != WEIR_OK) {
                assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
            }
            assert_int_equal(weir_test_drain(test), WEIR_OK);
            assert_null(read_engine(test, &round, &found));
            assert_true(is_same(&expected, &found));
            weir_test_free(test);
        }
    }
}

/* A record that is missing is seen. */
static void a_lost_record_is_seen(void **state)
{
    (void)state;
    static struct window_round round;
    static struct window_table expected, found;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        random_round(seed, ITEMS_MAX, &round);
        round.windows = weir_hopping(6, 2);
        round.windows.late = WEIR_LATE_SIDE;
        window_model(&round, &expected);
        round.count--;
        assert_null(run_engine(&round, &found));
        assert_false(is_same(&expected, &found));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_record_is_seen),
        cmocka_unit_test(a_crash_at_every_record),
        cmocka_unit_test(windows_are_what_their_definition_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
