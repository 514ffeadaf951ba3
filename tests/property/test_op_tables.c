/* test_op_tables.c: random changes of a table, through operators that take changes: filter,
 * map_values, key_by, aggregates that subtract, top-N; with random epochs, caches, crashes and
 * restarts. Each change that comes out must replace what was there, and the tables at the end must
 * be what a naive definition makes of the rows that the input leaves.
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
#include <weir_ops.h>

#include "tests/lib/chance.h"
#include "tests/lib/shown.h"
#include "txn/base/random.h"

enum { ROUNDS = 10, ROUNDS_LONG = 300, CHANGES = 80, KEYS = 6, GROUPS = 3, TOP = 2 };
/* Numbers are multiples of 60, so that averages of up to six of them are whole. */
enum { ROWS_MAX = 256, TEXT_MAX = 64, AGGREGATES = 4, STEP = 60 };

/* ---- The job: values are GROUP NUMBER KEY, such as a:120:k3 ---------------------------------- */

static bool number_of(const weir_record *in, void *arg, int64_t *out)
{
    (void)arg;
    *out = strtoll((const char *)in->value.data + 2, NULL, 10);
    return true;
}

static bool is_even(const weir_record *in, void *arg)
{
    int64_t number = 0;
    return number_of(in, arg, &number) && number / STEP % 2 == 0;
}

static weir_bytes group_of(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)ctx, (void)arg;
    return (weir_bytes){in->value.data, 1};
}

static weir_bytes text_of_number(weir_ctx *ctx, const weir_record *in, void *arg)
{
    int64_t number = 0;
    (void)number_of(in, arg, &number);
    return weir_format(ctx, "%" PRId64, number);
}

static void define(weir_job *job)
{
    weir_stream *rows = weir_table(shown_in(job, 0), "rows");
    weir_stream *out = shown_out(weir_map_values(rows, "numbers", text_of_number, NULL));
    weir_stream *even = weir_filter(rows, "even", is_even, NULL);
    weir_stream *groups = weir_key_by(even, "groups", group_of, NULL);
    const weir_aggregation aggregations[AGGREGATES] = {weir_count(), weir_sum(number_of, NULL),
                                                       weir_average(number_of, NULL),
                                                       weir_count_distinct(text_of_number, NULL)};
    static const char *const names[AGGREGATES] = {"count", "sum", "average", "ids"};
    for (size_t i = 0; i < AGGREGATES; i++) {
        (void)weir_with(out, weir_aggregate(groups, names[i], aggregations[i]));
    }
    (void)weir_with(out, weir_top(groups, "top", TOP, true, number_of, NULL, NULL));
    /* What the groups say, as a table again, counted once more. */
    weir_stream *again =
        weir_table(weir_aggregate(groups, "sums", weir_sum(number_of, NULL)), "of");
    weir_stream *digits = weir_key_by(again, "digits", group_of, NULL);
    (void)weir_with(out, weir_aggregate(digits, "groups.of", weir_count()));
}

/* ---- Tables, as lines KEY VALUE -------------------------------------------------------------- */

struct rows {
    char keys[ROWS_MAX][TEXT_MAX], values[ROWS_MAX][TEXT_MAX];
    size_t count;
};

static size_t find(const struct rows *rows, const char *key)
{
    size_t at = 0;
    while (at < rows->count && strcmp(rows->keys[at], key) != 0) {
        at++;
    }
    return at;
}

static void set(struct rows *rows, const char *key, const char *value)
{
    size_t at = find(rows, key);
    if (strcmp(value, "-") == 0) {
        if (at < rows->count) {
            rows->count--;
            memmove(rows->keys[at], rows->keys[rows->count], TEXT_MAX);
            memmove(rows->values[at], rows->values[rows->count], TEXT_MAX);
        }
        return;
    }
    assert_true(at < ROWS_MAX);
    rows->count += at == rows->count;
    snprintf(rows->keys[at], TEXT_MAX, "%s", key);
    snprintf(rows->values[at], TEXT_MAX, "%s", value);
}

/* The tables that the lines which came out leave; an `old` that is not what was there, or a change
 * of nothing to nothing, is an error. */
static bool replay(const char *lines, struct rows *rows)
{
    rows->count = 0;
    while (*lines) {
        char key[TEXT_MAX] = "", number[8] = "", old[TEXT_MAX], value[TEXT_MAX], name[TEXT_MAX];
        int size = 0;
        if (*lines == '#' && sscanf(lines, "%7s %n", number, &size) != 1) {
            return false;
        }
        if (sscanf(lines + size, "%63s %63[^>]>%63s", name, old, value) != 3) {
            return false;
        }
        snprintf(key, sizeof key, "%.7s%.50s", number, name);
        size_t at = find(rows, key);
        const char *is = at < rows->count ? rows->values[at] : "-";
        if (strcmp(is, old) != 0 || (strcmp(old, "-") == 0 && strcmp(value, "-") == 0)) {
            print_error("%.*s: it was %s\n", (int)strcspn(lines, "\n"), lines, is);
            return false;
        }
        set(rows, key, value);
        lines += strcspn(lines, "\n");
        lines += *lines == '\n';
    }
    return true;
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* All of them, sorted. */
static void print_rows(const struct rows *rows, char *text)
{
    static char lines[ROWS_MAX][2 * TEXT_MAX];
    for (size_t i = 0; i < rows->count; i++) {
        snprintf(lines[i], sizeof lines[i], "%s %s\n", rows->keys[i], rows->values[i]);
    }
    qsort(lines, rows->count, sizeof *lines, compare);
    *text = '\0';
    for (size_t i = 0; i < rows->count; i++) {
        strcat(text, lines[i]);
    }
}

/* ---- The naive definition -------------------------------------------------------------------- */

struct change {
    int key;
    bool gone;
    char group;
    int number;
};

/* The rows that are left, each with when it came. */
struct left {
    struct change rows[KEYS];
    size_t came[KEYS], count;
};

static void rows_left(const struct change *changes, size_t count, struct left *left)
{
    left->count = 0;
    for (int key = 0; key < KEYS; key++) {
        for (size_t i = count; i > 0; i--) {
            if (changes[i - 1].key == key) {
                left->rows[left->count] = changes[i - 1];
                left->came[left->count] = i - 1;
                left->count += !changes[i - 1].gone;
                break;
            }
        }
    }
}

static void setf(struct rows *rows, const char *value, const char *format, ...)
{
    char key[TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(key, sizeof key, format, args);
    va_end(args);
    set(rows, key, value);
}

/* Whether any row of a group ever was there: its sums stay, as 0. */
static bool ever(const struct change *changes, size_t count, char group)
{
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        found = found || (!changes[i].gone && changes[i].group == group &&
                          changes[i].number / STEP % 2 == 0);
    }
    return found;
}

static void expect_top(const struct left *left, char group, struct rows *rows)
{
    for (size_t i = 0; i < left->count; i++) {
        const struct change *row = &left->rows[i];
        size_t before = 0;
        if (row->group != group || row->number / STEP % 2 != 0) {
            continue;
        }
        for (size_t j = 0; j < left->count; j++) {
            const struct change *other = &left->rows[j];
            before += other->group == group && other->number / STEP % 2 == 0 &&
                      (other->number > row->number ||
                       (other->number == row->number && left->came[j] < left->came[i]));
        }
        if (before < TOP) {
            char value[TEXT_MAX];
            sprintf(value, "%c:%d:k%d", group, row->number, row->key);
            setf(rows, value, "#6%c/%zu", group, before + 1);
        }
    }
}

static int64_t expect_group(const struct left *left, char group, struct rows *rows)
{
    int64_t count = 0, sum = 0, ids = 0;
    char value[TEXT_MAX];
    for (size_t i = 0; i < left->count; i++) {
        const struct change *row = &left->rows[i];
        if (row->group != group || row->number / STEP % 2 != 0) {
            continue;
        }
        bool seen = false;
        for (size_t j = 0; j < i; j++) {
            seen = seen || (left->rows[j].group == group && left->rows[j].number == row->number);
        }
        ids += !seen;
        sum += row->number;
        count++;
    }
    sprintf(value, "%" PRId64, count);
    setf(rows, value, "#2%c", group);
    sprintf(value, "%" PRId64, sum);
    setf(rows, value, "#3%c", group);
    sprintf(value, "%" PRId64, ids);
    setf(rows, value, "#5%c", group);
    sprintf(value, "%" PRId64, count ? sum / count : 0);
    setf(rows, count ? value : "-", "#4%c", group);
    return sum;
}

/* How many groups have a sum that begins so; there are none with 0 in the end. */
static void expect_digit(const int64_t *sums, size_t count, struct rows *rows)
{
    for (size_t i = 0; i < count; i++) {
        int same = 0;
        char mine[TEXT_MAX], other[TEXT_MAX];
        sprintf(mine, "%" PRId64, sums[i]);
        for (size_t j = 0; j < count; j++) {
            sprintf(other, "%" PRId64, sums[j]);
            same += *mine == *other;
        }
        sprintf(other, "%d", same);
        setf(rows, other, "#7%c", *mine);
    }
}

static void expect(const struct change *changes, size_t count, struct rows *rows)
{
    struct left left;
    int64_t sums[GROUPS];
    size_t groups = 0;
    rows->count = 0;
    rows_left(changes, count, &left);
    for (size_t i = 0; i < left.count; i++) {
        char value[TEXT_MAX];
        sprintf(value, "%d", left.rows[i].number);
        setf(rows, value, "k%d", left.rows[i].key);
    }
    for (char group = 'a'; group < 'a' + GROUPS; group++) {
        if (ever(changes, count, group)) {
            sums[groups++] = expect_group(&left, group, rows);
            expect_top(&left, group, rows);
        }
    }
    expect_digit(sums, groups, rows);
}

/* ---- The test -------------------------------------------------------------------------------- */

static uint64_t below(uint64_t *random, uint64_t limit)
{
    return wr_random_next(random) % limit;
}

static void make_changes(uint64_t *random, struct change *changes, size_t count, char *lines)
{
    *lines = '\0';
    for (size_t i = 0; i < count; i++) {
        struct change *change = &changes[i];
        *change = (struct change){.key = (int)below(random, KEYS),
                                  .gone = below(random, 4) == 0,
                                  .group = (char)('a' + below(random, GROUPS)),
                                  .number = ((int)below(random, 9) - 4) * STEP};
        char value[TEXT_MAX] = "-";
        if (!change->gone) {
            sprintf(value, "%c:%d:k%d", change->group, change->number, change->key);
        }
        sprintf(lines + strlen(lines), "k%d %s @%zu\n", change->key, value, i / 3);
    }
}

/* A count of groups that came to 0 stays, and is no part of what is compared. */
static void drop_none(struct rows *rows)
{
    for (size_t i = rows->count; i > 0; i--) {
        if (strncmp(rows->keys[i - 1], "#7", 2) == 0 && strcmp(rows->values[i - 1], "0") == 0) {
            char key[TEXT_MAX];
            strcpy(key, rows->keys[i - 1]);
            set(rows, key, "-");
        }
    }
}

static void changes_leave_what_a_recomputation_leaves(void **state)
{
    (void)state;
    static struct rows expected, found;
    static char lines[CHANGES * TEXT_MAX], mine[ROWS_MAX * TEXT_MAX], other[ROWS_MAX * TEXT_MAX];
    int64_t rounds = chance_setting("WEIR_ROUNDS", getenv("WEIR_LONG") ? ROUNDS_LONG : ROUNDS);
    uint64_t seed = (uint64_t)chance_setting("WEIR_SEED", 1);
    for (int64_t i = 0; i < rounds; i++) {
        uint64_t random = seed + (uint64_t)i;
        struct change changes[CHANGES];
        size_t count = 1 + (size_t)below(&random, CHANGES);
        make_changes(&random, changes, count, lines);
        expect(changes, count, &expected);
        char *out = shown_random(define, lines, &random);
        bool fine = replay(out, &found);
        drop_none(&found);
        print_rows(&expected, mine);
        print_rows(&found, other);
        if (!fine || strcmp(mine, other) != 0) {
            print_error("%s\nseed %" PRIu64 " gives\n%s\nwhich leaves\n%s\ninstead of\n%s\n", lines,
                        seed + (uint64_t)i, out, other, mine);
        }
        assert_true(fine);
        assert_string_equal(other, mine);
        free(out);
    }
}

/* The comparison sees a loss, a duplicate and a swap. */
static void what_is_wrong_is_seen(void **state)
{
    (void)state;
    static struct rows rows;
    assert_true(replay("a ->1 @1\na 1>2 @2\n#2 a ->5 @3\na 2>- @4\n", &rows));
    assert_int_equal(rows.count, 1);
    assert_string_equal(rows.keys[0], "#2a");
    assert_false(replay("a ->1 @1\na 2>3 @3\n", &rows));
    assert_false(replay("a ->1 @1\na 1>2 @2\na 1>2 @2\n", &rows));
    assert_false(replay("a 1>2 @2\na ->1 @1\n", &rows));
    assert_false(replay("! no key\n", &rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_leave_what_a_recomputation_leaves),
        cmocka_unit_test(what_is_wrong_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
