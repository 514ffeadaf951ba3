/* test_op_streams.c: random records with few keys and values, out of order, through the operators
 * that keep one value for each key, with random epochs, caches, crashes and restarts: what comes
 * out is, line for line, what a naive definition says.
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

enum { ROUNDS = 10, ROUNDS_LONG = 300, RECORDS = 60, KEYS = 3, TOP = 3, DISORDER = 20, TTL = 15 };

static weir_bytes value_of(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)ctx, (void)arg;
    return in->value;
}

static weir_bytes joined(weir_ctx *ctx, weir_bytes so_far, weir_bytes value, void *arg)
{
    (void)arg;
    return weir_format(ctx, "%.*s,%.*s", (int)so_far.size, (const char *)so_far.data,
                       (int)value.size, (const char *)value.data);
}

static void define(weir_job *job)
{
    weir_stream *in = shown_in(job, DISORDER);
    weir_stream *out = shown_out(weir_deduplicate(in, "once", value_of, NULL, TTL));
    const weir_aggregation aggregations[] = {weir_count(),
                                             weir_count_distinct(NULL, NULL),
                                             weir_sum(NULL, NULL),
                                             weir_min(NULL, NULL),
                                             weir_max(NULL, NULL),
                                             weir_average(NULL, NULL),
                                             weir_reduce(joined, NULL)};
    static const char *const names[] = {"count", "ids", "sum", "min", "max", "average", "join"};
    for (size_t i = 0; i < 7; i++) {
        (void)weir_with(out, weir_aggregate(in, names[i], aggregations[i]));
    }
    (void)weir_with(out, weir_top(in, "top", TOP, false, NULL, NULL, NULL));
}

/* ---- The naive definition -------------------------------------------------------------------- */

struct record {
    int key; /* KEYS: absent */
    bool absent; /* value */
    int64_t value, time_ms;
};

/* sum / count, rounded half to even at the 17th digit. */
static void print_quotient(char *text, int64_t sum, int64_t count)
{
    typedef unsigned __int128 wide;
    wide number = (uint64_t)(sum < 0 ? -sum : sum), by = (uint64_t)count, whole = 1;
    size_t places = 0;
    for (size_t i = 0; i < 16; i++) {
        whole *= 10;
    }
    while (number % by != 0 && number / by < whole) {
        number *= 10;
        places++;
    }
    uint64_t quotient = (uint64_t)(number / by);
    wide twice = number % by * 2;
    quotient += twice > by || (twice == by && quotient % 2);
    char digits[64];
    int size = snprintf(digits, sizeof digits, "%0*" PRIu64, (int)places + 1, quotient);
    size_t point = (size_t)size - places;
    while (places > 0 && digits[size - 1] == '0') {
        size--;
        places--;
    }
    sprintf(text, "%s%.*s%s%.*s", sum < 0 ? "-" : "", (int)point, digits, places ? "." : "",
            (int)places, digits + point);
}

/* What each aggregation makes of the records of a key: all of them, each time. */
static void print_total(char *text, size_t which, const struct record *records, size_t count)
{
    int64_t sum = 0, least = INT64_MAX, most = INT64_MIN, ids = 0;
    char list[16 * RECORDS] = "";
    for (size_t i = 0; i < count; i++) {
        bool seen = false;
        for (size_t j = 0; j < i; j++) {
            seen = seen || records[j].value == records[i].value;
        }
        ids += !seen;
        sum += records[i].value;
        least = records[i].value < least ? records[i].value : least;
        most = records[i].value > most ? records[i].value : most;
        sprintf(list + strlen(list), "%s%" PRId64, i ? "," : "", records[i].value);
    }
    const int64_t numbers[] = {(int64_t)count, ids, sum, least, most};
    if (count == 0) {
        strcpy(text, "-");
    } else if (which < 5) {
        sprintf(text, "%" PRId64, numbers[which]);
    } else if (which == 5) {
        print_quotient(text, sum, (int64_t)count);
    } else {
        strcpy(text, list);
    }
}

static bool is_better(const struct record *a, const struct record *b)
{
    return a->value > b->value || (a->value == b->value && a->time_ms < b->time_ms);
}

/* The row of a rank: one that exactly so many are before. NULL: none. */
static const struct record *ranked(const struct record *records, size_t count, size_t rank)
{
    for (size_t i = 0; i < count; i++) {
        size_t before = 0;
        for (size_t j = 0; j < count; j++) {
            before += is_better(&records[j], &records[i]) ||
                      (j < i && !is_better(&records[i], &records[j]));
        }
        if (before == rank) {
            return &records[i];
        }
    }
    return NULL;
}

static void print_top(FILE *out, const struct record *records, size_t count)
{
    const struct record *last = &records[count - 1];
    for (size_t rank = 0; rank < TOP; rank++) {
        const struct record *was = ranked(records, count - 1, rank);
        const struct record *is = ranked(records, count, rank);
        if (!is || (was && was->value == is->value && was->time_ms == is->time_ms)) {
            continue;
        }
        char old[32] = "-";
        if (was) {
            sprintf(old, "%" PRId64, was->value);
        }
        fprintf(out, "#9 k%d/%zu %s>%" PRId64 " @%" PRId64 " rank=%zu\n", last->key, rank + 1, old,
                is->value, last->time_ms, rank + 1);
    }
}

/* Whether no record of the same id is remembered: one that passed before, and whose time to live
 * the watermark has not reached. */
static bool passes(const struct record *records, const bool *passed, size_t at)
{
    int64_t highest = INT64_MIN / 2;
    bool known = false;
    for (size_t i = 0; i < at; i++) {
        highest = records[i].time_ms > highest ? records[i].time_ms : highest;
    }
    for (size_t i = 0; i < at; i++) {
        known = known || (passed[i] && records[i].key == records[at].key &&
                          records[i].value == records[at].value &&
                          records[i].time_ms + TTL > highest - DISORDER);
    }
    return !known;
}

static void print_key(char *text, int key)
{
    if (key == KEYS) {
        strcpy(text, "-");
    } else {
        sprintf(text, "k%d", key);
    }
}

static void print_rejects(FILE *out, const struct record *record)
{
    if (record->absent) {
        fprintf(out, "! no id: the first record of each id passes\n");
    }
    for (size_t i = 0; i < 7 && (record->absent || record->key == KEYS); i++) {
        fprintf(out, "! %s\n",
                record->key == KEYS ? "no key: an aggregate keeps one value for each key"
                                    : "no value: there is nothing to add");
    }
    if (record->absent || record->key == KEYS) {
        fprintf(out, "! %s\n",
                record->key == KEYS ? "no key: the best rows of each key are kept"
                                    : "no value: there is no row");
    }
}

/* What the last of these records brings out. */
static void print_record(FILE *out, const struct record *records, bool *passed, size_t count)
{
    struct record mine[RECORDS];
    const struct record *last = &records[count - 1];
    char key[8], old[1024], now[1024];
    size_t mine_count = 0;
    if (last->absent) {
        return;
    }
    print_key(key, last->key);
    passed[count - 1] = passes(records, passed, count - 1);
    if (passed[count - 1]) {
        fprintf(out, "%s ->%" PRId64 " @%" PRId64 "\n", key, last->value, last->time_ms);
    }
    for (size_t i = 0; i < count && last->key < KEYS; i++) {
        if (records[i].key == last->key && !records[i].absent) {
            mine[mine_count++] = records[i];
        }
    }
    for (size_t i = 0; i < 7 && mine_count > 0; i++) {
        print_total(old, i, mine, mine_count - 1);
        print_total(now, i, mine, mine_count);
        fprintf(out, "#%zu %s %s>%s @%" PRId64 "\n", i + 2, key, old, now, last->time_ms);
    }
    if (mine_count > 0) {
        print_top(out, mine, mine_count);
    }
}

static char *expect(const struct record *records, size_t count)
{
    char *text = NULL;
    size_t size = 0;
    bool passed[RECORDS] = {false};
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    for (size_t i = 1; i <= count; i++) {
        print_record(out, records, passed, i);
    }
    for (size_t i = 0; i < count; i++) {
        print_rejects(out, &records[i]);
    }
    fclose(out);
    return text;
}

/* ---- The test -------------------------------------------------------------------------------- */

static uint64_t below(uint64_t *random, uint64_t limit)
{
    return wr_random_next(random) % limit;
}

static void make_records(uint64_t *random, struct record *records, size_t count)
{
    int64_t time_ms = 1000;
    for (size_t i = 0; i < count; i++) {
        time_ms += (int64_t)below(random, 6);
        records[i] = (struct record){.key = (int)below(random, KEYS),
                                     .absent = below(random, 25) == 0,
                                     .value = (int64_t)below(random, 9) - 4,
                                     .time_ms = time_ms - (int64_t)below(random, DISORDER + 10)};
        if (below(random, 20) == 0) {
            records[i].key = KEYS;
        }
    }
}

static void print_lines(char *text, const struct record *records, size_t count)
{
    *text = '\0';
    for (size_t i = 0; i < count; i++) {
        char key[8], value[24] = "-";
        print_key(key, records[i].key);
        if (!records[i].absent) {
            sprintf(value, "%" PRId64, records[i].value);
        }
        sprintf(text + strlen(text), "%s %s @%" PRId64 "\n", key, value, records[i].time_ms);
    }
}

static void what_comes_out_is_what_the_definition_says(void **state)
{
    (void)state;
    int64_t rounds = chance_setting("WEIR_ROUNDS", getenv("WEIR_LONG") ? ROUNDS_LONG : ROUNDS);
    uint64_t seed = (uint64_t)chance_setting("WEIR_SEED", 1);
    for (int64_t i = 0; i < rounds; i++) {
        uint64_t random = seed + (uint64_t)i;
        struct record records[RECORDS];
        char lines[RECORDS * 64];
        size_t count = 1 + (size_t)below(&random, RECORDS);
        make_records(&random, records, count);
        print_lines(lines, records, count);
        char *expected = expect(records, count), *found = shown_random(define, lines, &random);
        if (strcmp(found, expected) != 0) {
            print_error("%s", lines);
            print_error("seed %" PRIu64 " gives\n%s\ninstead of\n%s\n", seed + (uint64_t)i, found,
                        expected);
        }
        assert_string_equal(found, expected);
        free(expected);
        free(found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_out_is_what_the_definition_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
