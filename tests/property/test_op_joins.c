/* test_op_joins.c: all joins over random records, out of order, late, of few keys, with tombstones
 * and absent keys, through random epochs and crashes, against batch definitions: what each join
 * means, said of all records at once.
 *
 * Long because five definitions share the records that they are about.
 *
 * WEIR_SEED=N begins with that seed, WEIR_ROUNDS=N runs so many; a failure prints the seed.
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

#include "tests/lib/chance.h"
#include "tests/lib/steps.h"
#include "txn/base/random.h"

enum {
    PASSINGS_MAX = 3,
    ROUNDS = 6,
    EVENTS_MAX = 80,
    LINES_BYTES = 4000000,
    VALUE_BYTES_MAX = 700,
    TOKENS_MAX = 20000
};

struct event {
    bool right;
    char key; /* 0: absent */
    char value[VALUE_BYTES_MAX]; /* "": absent */
    int64_t time_ms;
    int64_t watermark_ms; /* when it comes */
};

/* The round at hand; the job reads its settings here. */
static struct {
    uint64_t seed;
    struct event events[EVENTS_MAX];
    int count;
    int64_t out_of_order_ms, keep_ms;
    weir_span span;
    char lines[LINES_BYTES]; /* what the definition gives */
    size_t size;
} now;

/* ---- The job --------------------------------------------------------------------------------- */

static const char *const names[][3] = {
    {"streams.inner", "streams.left", "streams.outer"},
    {"table.inner", "table.left", NULL},
    {"rows.inner", "rows.left", "rows.outer"},
    {"foreign.inner", "foreign.left", NULL},
    {"as_of.inner", "as_of.left", NULL},
};

/* The value's first letter; of some values there is none. */
static weir_bytes foreign_key(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)ctx, (void)arg;
    bool has = *(const char *)in->value.data != 'd';
    return (weir_bytes){has ? in->value.data : NULL, has ? 1 : 0};
}

static weir_stream *join(int which, weir_join_kind kind, const char *name, weir_stream *left,
                         weir_stream *right)
{
    void *arg = (void *)(uintptr_t)name;
    switch (which) {
    case 0:
        return weir_join_streams(left, name, right, kind, now.span, steps_join, arg);
    case 1:
        return weir_join_table(left, name, right, kind, steps_join, arg);
    case 2:
        return weir_join_tables(left, name, right, kind, steps_join, arg);
    case 3:
        return weir_join_foreign(left, name, right, kind, foreign_key, steps_join, arg);
    default:
        return weir_join_as_of(left, name, right, kind, now.keep_ms, steps_join, arg);
    }
}

static void define(weir_job *job)
{
    weir_stream *left, *right;
    steps_in_order(job, now.out_of_order_ms, &left, &right);
    for (int which = 0; which < 5; which++) {
        for (int kind = 0; kind < 3 && names[which][kind]; kind++) {
            const char *name = names[which][kind];
            steps_out(join(which, (weir_join_kind)kind, name, left, right), name);
        }
    }
}

/* ---- What the definitions say ---------------------------------------------------------------- */

static void say(const char *format, ...) WEIR_PRINTF(1, 2);
static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    now.size += (size_t)vsnprintf(now.lines + now.size, sizeof now.lines - now.size, format, args);
    va_end(args);
    assert_true(now.size < sizeof now.lines);
}

static const char *value_of(const struct event *event)
{
    return event ? event->value : ".";
}

static void say_joined(char key, const struct event *left, const struct event *right,
                       int64_t time_ms)
{
    say("%c=%s+%s@%" PRId64 " ", key ? key : '-', value_of(left), value_of(right), time_ms);
}

static int64_t later(const struct event *a, const struct event *b)
{
    return a && (!b || a->time_ms > b->time_ms) ? a->time_ms : b->time_ms;
}

/* What any join of streams rejects. True: it does. */
static bool say_rejected(const struct event *event, bool needs_key)
{
    if (!event->value[0] || (!event->key && needs_key)) {
        say("!no %s ", event->value[0] ? "key" : "value");
        return true;
    }
    return false;
}

/* From this watermark on an event is not kept. */
static int64_t end_of(const struct event *event)
{
    return event->time_ms + (event->right ? now.span.before_ms : now.span.after_ms) +
           now.span.grace_ms + 1;
}

static bool is_late(const struct event *event)
{
    int64_t other = event->right ? now.span.after_ms : now.span.before_ms;
    return event->watermark_ms >= end_of(event) + (other > 0 ? other : 0);
}

static bool is_pair(const struct event *first, const struct event *second)
{
    const struct event *left = first->right ? second : first;
    const struct event *right = first->right ? first : second;
    return first->right != second->right && first->key == second->key && first->key &&
           first->value[0] && second->value[0] && !is_late(first) && !is_late(second) &&
           right->time_ms >= left->time_ms - now.span.before_ms &&
           right->time_ms <= left->time_ms + now.span.after_ms &&
           second->watermark_ms < end_of(first);
}

static void define_streams(weir_join_kind kind)
{
    for (int i = 0; i < now.count; i++) {
        const struct event *one = &now.events[i];
        bool alone = kind == WEIR_OUTER || (kind == WEIR_LEFT && !one->right);
        if (say_rejected(one, !alone)) {
            continue;
        }
        if (one->key && is_late(one)) {
            say("!late ");
            continue;
        }
        for (int j = 0; j < now.count; j++) {
            const struct event *other = &now.events[j];
            bool pair = i < j ? is_pair(one, other) : is_pair(other, one);
            alone = alone && !pair;
            if (pair && i < j) {
                say_joined(one->key, one->right ? other : one, one->right ? one : other,
                           later(one, other));
            }
        }
        if (alone) {
            say_joined(one->key, one->right ? NULL : one, one->right ? one : NULL, one->time_ms);
        }
    }
}

/* The last of this side and key before the end-th; NULL when it removes the row, or there is none.
 */
static const struct event *row_at(int end, bool right, char key)
{
    for (int i = end - 1; i >= 0 && key; i--) {
        if (now.events[i].right == right && now.events[i].key == key) {
            return now.events[i].value[0] ? &now.events[i] : NULL;
        }
    }
    return NULL;
}

static void define_table(weir_join_kind kind)
{
    for (int i = 0; i < now.count; i++) {
        const struct event *one = &now.events[i];
        const struct event *row = row_at(i, true, one->key);
        if (one->right && !one->key) {
            say("!no key ");
        } else if (!one->right && !say_rejected(one, kind == WEIR_INNER) &&
                   (row || kind == WEIR_LEFT)) {
            say_joined(one->key, one, row, one->time_ms);
        }
    }
}

static bool has(weir_join_kind kind, const struct event *left, const struct event *right)
{
    return (left && right) || (left && kind != WEIR_INNER) || (right && kind == WEIR_OUTER);
}

/* The change from one pair of rows to another. */
static void say_change(weir_join_kind kind, char key, const struct event *const before[2],
                       const struct event *const after[2], int64_t time_ms)
{
    bool was = has(kind, before[0], before[1]), is = has(kind, after[0], after[1]);
    if (was || is) {
        say("%c", key);
        is ? say("=%s+%s", value_of(after[0]), value_of(after[1])) : (void)0;
        was ? say("<%s+%s", value_of(before[0]), value_of(before[1])) : (void)0;
        say("@%" PRId64 " ", time_ms);
    }
}

static void define_rows(weir_join_kind kind)
{
    for (int i = 0; i < now.count; i++) {
        const struct event *one = &now.events[i], *before[2], *after[2];
        if (!one->key) {
            say("!no key ");
            continue;
        }
        for (int side = 0; side < 2; side++) {
            before[side] = row_at(i, side, one->key);
            after[side] = row_at(i + 1, side, one->key);
        }
        if (before[one->right] || after[one->right]) { /* else a row goes that never was */
            say_change(kind, one->key, before, after, later(one, before[!one->right]));
        }
    }
}

static char foreign_of(const struct event *left)
{
    return left && left->value[0] != 'd' ? left->value[0] : '\0';
}

static void define_foreign(weir_join_kind kind)
{
    for (int i = 0; i < now.count; i++) {
        const struct event *one = &now.events[i];
        if (!one->key) {
            say("!no key ");
        }
        for (char key = 'a'; one->key && key <= 'd'; key++) {
            const struct event *left[2] = {row_at(i, false, key), row_at(i + 1, false, key)};
            char foreign[2] = {foreign_of(left[0]), foreign_of(left[1])};
            const struct event *before[2] = {left[0], row_at(i, true, foreign[0])};
            const struct event *after[2] = {left[1], row_at(i + 1, true, foreign[1])};
            bool about = one->right ? left[0] && foreign[0] == one->key && (before[1] || after[1])
                                    : key == one->key;
            if (!about) {
                continue;
            }
            /* The right row that gives a time: of the new foreign key where there is one. */
            bool wanted = left[1] && (foreign[1] || kind == WEIR_LEFT);
            say_change(kind, key, before, after,
                       one->right ? later(one, left[0])
                                  : later(one, wanted ? after[1] : before[1]));
        }
    }
}

static bool is_old(const struct event *event)
{
    return now.keep_ms > 0 && event->time_ms < event->watermark_ms - now.keep_ms;
}

/* The newest version at the left one's time, of those that have come when it is emitted. */
static const struct event *version_of(int left)
{
    const struct event *one = &now.events[left], *best = NULL;
    bool waits = one->time_ms >= one->watermark_ms;
    for (int i = 0; i < now.count && one->key; i++) {
        const struct event *version = &now.events[i];
        if (version->right && version->key == one->key && version->time_ms <= one->time_ms &&
            !is_old(version) && (waits ? version->watermark_ms <= one->time_ms : i < left) &&
            (!best || version->time_ms >= best->time_ms)) {
            best = version;
        }
    }
    return best && best->value[0] ? best : NULL;
}

static void define_as_of(weir_join_kind kind)
{
    for (int i = 0; i < now.count; i++) {
        const struct event *one = &now.events[i];
        if (one->right ? !one->key : say_rejected(one, kind == WEIR_INNER)) {
            one->right ? say("!no key ") : (void)0;
            continue;
        }
        if (one->key && is_old(one)) {
            say("!late ");
        } else if (!one->right && has(kind, one, version_of(i))) {
            say_joined(one->key, one, version_of(i), one->time_ms);
        }
    }
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static int by_text(const void *left, const void *right)
{
    const char *const *a = left, *const *b = right;
    return strcmp(*a, *b);
}

/* Sorts what stands between the blanks: dead letters are told apart from results, and results that
 * waited come when their time does. */
static char *sorted(const char *text)
{
    static const char *tokens[TOKENS_MAX];
    char *copy = strdup(text), *result = calloc(1, strlen(text) + 2), *save, *end = result;
    size_t count = 0;
    for (char *at = strtok_r(copy, " ", &save); at; at = strtok_r(NULL, " ", &save)) {
        assert_true(count < TOKENS_MAX);
        tokens[count++] = at;
    }
    qsort(tokens, count, sizeof *tokens, by_text);
    for (size_t i = 0; i < count; i++) {
        end += sprintf(end, "%s%s", i ? " " : "", tokens[i]);
    }
    free(copy);
    return result;
}

/* What came out, in order, without the dead letters. */
static char *results_of(const char *text)
{
    char *copy = strdup(text), *result = calloc(1, strlen(text) + 2), *save, *end = result;
    for (char *at = strtok_r(copy, " ", &save); at; at = strtok_r(NULL, " ", &save)) {
        if (strchr(at, '@')) {
            end += sprintf(end, "%s ", at);
        }
    }
    free(copy);
    return result;
}

static void compare(weir_test *test, int which, int kind)
{
    static void (*const definitions[])(weir_join_kind) = {define_streams, define_table, define_rows,
                                                          define_foreign, define_as_of};
    now.size = 0;
    now.lines[0] = '\0';
    definitions[which]((weir_join_kind)kind);
    char *answer = steps_answer(test, names[which][kind]);
    bool ordered = which >= 1 && which <= 3; /* the others wait for their time */
    for (int order = 0; order <= ordered; order++) {
        char *expected = order ? results_of(now.lines) : sorted(now.lines);
        char *found = order ? results_of(answer) : sorted(answer);
        if (strcmp(expected, found) != 0) {
            fprintf(stderr, "%s gives\n%s\nbut should\n%s\n", names[which][kind], found, expected);
            fail_msg("WEIR_SEED=%" PRIu64, now.seed);
        }
        free(expected);
        free(found);
    }
    free(answer);
}

/* ---- One round ------------------------------------------------------------------------------- */

static int64_t between(uint64_t *random, int64_t least, int64_t most)
{
    return least + (int64_t)(wr_random_next(random) % (uint64_t)(most - least + 1));
}

static void make_events(uint64_t *random, int most)
{
    int64_t clock_ms = between(random, -50, 50), highest_ms = INT64_MIN;
    int64_t spread_ms = between(random, 0, 40), pace_ms = between(random, 0, 6);
    int64_t longest = between(random, 0, 2) ? 0 : VALUE_BYTES_MAX - 20;
    now.count = (int)between(random, most / 2, most);
    for (int i = 0; i < now.count; i++) {
        struct event *event = &now.events[i];
        clock_ms += between(random, 0, pace_ms);
        event->right = between(random, 0, 1);
        event->key = between(random, 0, 19) ? (char)('a' + between(random, 0, 2)) : '\0';
        snprintf(event->value, 16, "%c%d", (char)('a' + between(random, 0, 3)), i);
        if (longest > 0) {
            size_t size = strlen(event->value), more = (size_t)between(random, 0, longest);
            memset(event->value + size, 'x', more);
            event->value[size + more] = '\0';
        }
        if (between(random, 0, 7) == 0) {
            event->value[0] = '\0';
        }
        event->time_ms = clock_ms - between(random, 0, spread_ms);
        event->watermark_ms = i ? highest_ms - now.out_of_order_ms : INT64_MIN / 2;
        highest_ms = event->time_ms > highest_ms ? event->time_ms : highest_ms;
    }
}

enum trouble { NO_TROUBLE, CRASH_AT_EACH, CRASH_SOMEWHERE, TROUBLES };

/* Runs, or drains, again and again until it does not crash. */
static void go(weir_test *test, bool drain)
{
    weir_status status = drain ? weir_test_drain(test) : weir_test_run(test);
    while (status != WEIR_OK) {
        if (!weir_test_crashed(test)) {
            fail_msg("WEIR_SEED=%" PRIu64 ": %s", now.seed, weir_test_error(test));
        }
        status = weir_test_restart(test, NULL);
        if (status == WEIR_OK) {
            status = drain ? weir_test_drain(test) : weir_test_run(test);
        }
    }
}

static void run_round(uint64_t seed)
{
    uint64_t random = seed;
    now.seed = seed;
    enum trouble trouble = (enum trouble)(seed % TROUBLES);
    now.out_of_order_ms = between(&random, 0, 3) ? between(&random, 0, 30) : 0;
    now.keep_ms = between(&random, 0, 1) ? between(&random, 1, 40) : 0;
    now.span.before_ms = between(&random, -10, 30);
    now.span.after_ms = between(&random, -now.span.before_ms, 30);
    now.span.grace_ms = between(&random, 0, 1) ? between(&random, 0, 20) : 0;
    make_events(&random, trouble == CRASH_AT_EACH ? EVENTS_MAX / 4 : EVENTS_MAX);
    weir_test_options options = {.epoch_records = between(&random, 0, 5),
                                 .cache_bytes = between(&random, -1, 0),
                                 .decide_late = between(&random, 0, 1)};
    weir_test *test = weir_test_new(define, &options);
    for (int i = 0; i < now.count;) {
        int end = trouble == CRASH_AT_EACH ? i + 1 : i + (int)between(&random, 1, 20);
        for (; i < end && i < now.count; i++) {
            const struct event *event = &now.events[i];
            weir_bytes key = {event->key ? &event->key : NULL, event->key ? 1 : 0};
            const char *value = event->value[0] ? event->value : NULL;
            steps_push(test, event->right, key, weir_text(value), event->time_ms);
        }
        if (trouble == CRASH_SOMEWHERE) {
            chance_crash(test, &random, PASSINGS_MAX);
        }
        go(test, false);
        if (trouble == CRASH_AT_EACH) {
            weir_test_crash(test);
            assert_int_equal(weir_test_restart(test, NULL), WEIR_OK);
        }
    }
    go(test, true);
    for (int which = 0; which < 5; which++) {
        for (int kind = 0; kind < 3 && names[which][kind]; kind++) {
            compare(test, which, kind);
        }
    }
    weir_test_free(test);
}

static void joins_are_what_their_definitions_say(void **state)
{
    (void)state;
    int64_t seed = chance_setting("WEIR_SEED", 1), rounds = chance_setting("WEIR_ROUNDS", ROUNDS);
    for (int64_t i = 0; i < rounds; i++) {
        run_round((uint64_t)seed + (uint64_t)i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(joins_are_what_their_definitions_say)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
