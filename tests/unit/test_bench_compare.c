/* test_bench_compare.c: the comparison of `weir bench --kills`, fed with damage of every kind: each
 * turns its own figure and no other.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/bench/compare.h"
#include "txn/base/bytes.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* An output: "TIME KEY VALUE"; "-" is an absent key or value, "''" an empty one; "/" before the
 * time: of the second partition. */
struct output {
    bool second;
    long long time_ms;
    char key[16], value[16];
};

static weir_bytes bytes_of(const char *text)
{
    if (strcmp(text, "-") == 0) {
        return (weir_bytes){NULL, 0};
    }
    return strcmp(text, "''") == 0 ? (weir_bytes){text, 0} : weir_text(text);
}

/* Feeds one side: outputs with a comma and a space between. */
static weir_status feed(struct wr_compare *compare, bool expected, const char *outputs,
                        struct wr_error *error)
{
    while (*outputs) {
        struct output output = {.second = *outputs == '/'};
        struct wr_compared record = {0};
        int length = 0;
        outputs += output.second;
        assert_int_equal(sscanf(outputs, "%lld %15[^ ,] %15[^ ,]%n", &output.time_ms, output.key,
                                output.value, &length),
                         3);
        WR_TRY(wr_compare_stream(compare, "out", output.second, &record.stream, error));
        record.time_ms = output.time_ms;
        record.key = bytes_of(output.key);
        record.value = bytes_of(output.value);
        WR_TRY(expected ? wr_compare_expect(compare, &record, error)
                        : wr_compare_find(compare, &record, error));
        outputs += length;
        outputs += strspn(outputs, ", ");
    }
    return WEIR_OK;
}

static struct wr_difference compare_texts(bool stateful, const char *expected, const char *found)
{
    struct wr_error error = {.status = WEIR_OK};
    struct wr_compare *compare = NULL;
    struct wr_difference difference;
    assert_int_equal(wr_compare_new(stateful, 100, &compare, &error), WEIR_OK);
    assert_int_equal(feed(compare, true, expected, &error), WEIR_OK);
    assert_int_equal(feed(compare, false, found, &error), WEIR_OK);
    wr_compare_end(compare, &difference);
    wr_compare_free(compare);
    return difference;
}

static void must_be(const char *what, const struct wr_difference *difference, int lost,
                    int repeated, int reordered, int state_errors)
{
    char found[128], expected[128];
    snprintf(found, sizeof found, "%lld lost, %lld repeated, %lld reordered, %lld state errors",
             (long long)difference->lost, (long long)difference->repeated,
             (long long)difference->reordered, (long long)difference->state_errors);
    snprintf(expected, sizeof expected, "%d lost, %d repeated, %d reordered, %d state errors", lost,
             repeated, reordered, state_errors);
    if (strcmp(found, expected) != 0) {
        fail_msg("%s: %s; expected: %s", what, found, expected);
    }
}

/* What a count of keys a and b gives, over six records in two partitions' worth of order. */
static const char counted[] = "0 a 1, 1 b 1, 2 a 2, 3 a 3, 4 b 2, 5 a 4";

/* Each kind of damage to the output of a job that counts. */
static void each_damage_turns_its_own_figure(void **state)
{
    (void)state;
    static const struct {
        const char *what, *found;
        int lost, repeated, reordered, state_errors;
    } cases[] = {
        {"nothing", counted, 0, 0, 0, 0},
        {"a duplicate", "0 a 1, 1 b 1, 2 a 2, 2 a 2, 3 a 3, 4 b 2, 5 a 4", 0, 1, 0, 0},
        {"a duplicate much later", "0 a 1, 1 b 1, 2 a 2, 3 a 3, 4 b 2, 0 a 1, 5 a 4", 0, 1, 0, 0},
        {"a loss", "0 a 1, 1 b 1, 3 a 3, 4 b 2, 5 a 4", 1, 0, 0, 0},
        {"the first is lost", "1 b 1, 2 a 2, 3 a 3, 4 b 2, 5 a 4", 1, 0, 0, 0},
        {"a swap", "0 a 1, 2 a 2, 1 b 1, 3 a 3, 4 b 2, 5 a 4", 0, 0, 1, 0},
        {"two swaps", "1 b 1, 0 a 1, 2 a 2, 3 a 3, 5 a 4, 4 b 2", 0, 0, 2, 0},
        {"the last comes first", "5 a 4, 0 a 1, 1 b 1, 2 a 2, 3 a 3, 4 b 2", 0, 0, 1, 1},
        {"a wrong count in the end", "0 a 1, 1 b 1, 2 a 2, 3 a 3, 4 b 2, 5 a 3", 0, 0, 0, 1},
        {"two wrong counts", "0 a 1, 1 b 1, 2 a 2, 3 a 3, 4 b 1, 5 a 5", 0, 0, 0, 2},
        {"a wrong count, made good", "0 a 1, 1 b 1, 2 a 7, 3 a 3, 4 b 2, 5 a 4", 0, 0, 0, 0},
        {"nobody's time", "0 a 1, 9 a 1, 1 b 1, 2 a 2, 3 a 3, 4 b 2, 5 a 4", 0, 1, 0, 0},
        {"nobody's key", "0 a 1, 1 b 1, 2 a 2, 2 c 1, 3 a 3, 4 b 2, 5 a 4", 0, 1, 0, 1},
        {"another key", "0 a 1, 1 b 1, 2 b 2, 3 a 3, 4 b 2, 5 a 4", 1, 1, 0, 0},
        {"the last is lost", "0 a 1, 1 b 1, 2 a 2, 3 a 3, 4 b 2", 1, 0, 0, 1},
        {"a key is lost", "0 a 1, 2 a 2, 3 a 3, 5 a 4", 2, 0, 0, 1},
        {"all is lost", "", 6, 0, 0, 2},
        {"a replay that counts on", "0 a 1, 1 b 1, 2 a 2, 3 a 3, 1 b 2, 2 a 4, 3 a 5, 4 b 3, 5 a 6",
         0, 3, 0, 2},
        {"a replay that starts over", "0 a 1, 1 b 1, 0 a 1, 1 b 1, 2 a 2, 3 a 3, 4 b 2, 5 a 4", 0,
         2, 0, 0},
        {"a hole, counted on", "0 a 1, 1 b 1, 4 b 2, 5 a 2", 2, 0, 0, 1},
        {"the wrong partition", "0 a 1, 1 b 1, /2 a 2, 3 a 3, 4 b 2, 5 a 4", 1, 1, 0, 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wr_difference difference = compare_texts(true, counted, cases[i].found);
        must_be(cases[i].what, &difference, cases[i].lost, cases[i].repeated, cases[i].reordered,
                cases[i].state_errors);
        assert_int_equal(difference.expected, 6);
    }
}

/* Without state a value is what was put in, so a wrong one is another record. */
static void without_state_a_record_is_its_value_too(void **state)
{
    (void)state;
    static const struct {
        const char *what, *found;
        int lost, repeated, reordered;
    } cases[] = {
        {"nothing", "0 a x, 1 - '', 2 '' -, 3 a x", 0, 0, 0},
        {"another value", "0 a y, 1 - '', 2 '' -, 3 a x", 1, 1, 0},
        {"empty for absent", "0 a x, 1 '' '', 2 '' '', 3 a x", 2, 2, 0},
        {"a duplicate", "0 a x, 0 a x, 1 - '', 2 '' -, 3 a x", 0, 1, 0},
        {"a loss at the end", "0 a x, 1 - '', 2 '' -", 1, 0, 0},
        {"a swap", "0 a x, 2 '' -, 1 - '', 3 a x", 0, 0, 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wr_difference difference =
            compare_texts(false, "0 a x, 1 - '', 2 '' -, 3 a x", cases[i].found);
        must_be(cases[i].what, &difference, cases[i].lost, cases[i].repeated, cases[i].reordered,
                -1);
    }
}

/* A line that holds a word twice gives two outputs that only their counts tell apart. */
static void equal_identities_are_told_apart_by_their_number(void **state)
{
    (void)state;
    static const char expected[] = "0 a 1, 0 b 1, 0 a 2, 1 a 3";
    static const struct {
        const char *what, *found;
        int lost, repeated, reordered, state_errors;
    } cases[] = {
        {"nothing", "0 a 1, 0 b 1, 0 a 2, 1 a 3", 0, 0, 0, 0},
        {"one of two lost", "0 a 1, 0 b 1, 1 a 3", 1, 0, 0, 0},
        {"three of two", "0 a 1, 0 b 1, 0 a 2, 0 a 2, 1 a 3", 0, 1, 0, 0},
        {"the line again", "0 a 1, 0 b 1, 0 a 2, 0 a 3, 0 b 2, 0 a 4, 1 a 5", 0, 3, 0, 2},
        {"its words swapped", "0 b 1, 0 a 1, 0 a 2, 1 a 3", 0, 0, 1, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wr_difference difference = compare_texts(true, expected, cases[i].found);
        must_be(cases[i].what, &difference, cases[i].lost, cases[i].repeated, cases[i].reordered,
                cases[i].state_errors);
    }
}

/* Order counts within a partition; how two of them were read is no order. */
static void partitions_have_an_order_of_their_own(void **state)
{
    (void)state;
    static const char expected[] = "0 a x, /1 b x, 2 a y, /3 b y";
    struct wr_difference apart = compare_texts(false, expected, "/1 b x, /3 b y, 0 a x, 2 a y");
    struct wr_difference swapped = compare_texts(false, expected, "0 a x, 2 a y, /3 b y, /1 b x");
    struct wr_difference moved = compare_texts(false, expected, "0 a x, /2 a y, /1 b x, /3 b y");
    must_be("read one after the other", &apart, 0, 0, 0, -1);
    must_be("swapped in one", &swapped, 0, 0, 1, -1);
    must_be("moved to the other", &moved, 1, 1, 0, -1);
}

/* Absent and empty keys are two keys, in each partition. */
static void keys_of_partitions_are_apart(void **state)
{
    (void)state;
    static const char expected[] = "0 - 1, 1 '' 1, /0 - 1, /1 '' 1";
    struct wr_difference same = compare_texts(true, expected, expected);
    struct wr_difference wrong = compare_texts(true, expected, "0 - 1, 1 '' 1, /0 - 1, /1 '' 2");
    must_be("the same", &same, 0, 0, 0, 0);
    must_be("one of four", &wrong, 0, 0, 0, 1);
}

/* A job without output, and one that should have none. */
static void nothing_can_be_compared(void **state)
{
    (void)state;
    struct wr_difference nothing = compare_texts(true, "", "");
    struct wr_difference unasked = compare_texts(true, "", "0 a 1");
    must_be("nothing", &nothing, 0, 0, 0, 0);
    must_be("unasked", &unasked, 0, 1, 0, 1);
}

/* The limit counts both sides, and says what to do. */
static void too_many_records_are_refused(void **state)
{
    (void)state;
    struct wr_error error = {.status = WEIR_OK};
    struct wr_compare *compare = NULL;
    assert_int_equal(wr_compare_new(true, 3, &compare, &error), WEIR_OK);
    assert_int_equal(feed(compare, true, "0 a 1, 1 a 2", &error), WEIR_OK);
    assert_int_equal(feed(compare, false, "0 a 1, 1 a 2", &error), WEIR_MISUSE);
    assert_int_equal(error.exit_code, WR_EXIT_USAGE);
    assert_non_null(strstr(error.text, "--records"));
    wr_compare_free(compare);
}

/* Against counting by hand over many records: every 7th missing, every 11th twice. */
static void many_records_are_counted_exactly(void **state)
{
    (void)state;
    enum { RECORDS = 200000, KEYS = 1000 };
    struct wr_error error = {.status = WEIR_OK};
    struct wr_compare *compare = NULL;
    struct wr_difference difference;
    struct wr_compared record = {0};
    int64_t lost = 0, repeated = 0;
    assert_int_equal(wr_compare_new(true, RECORDS * 3, &compare, &error), WEIR_OK);
    assert_int_equal(wr_compare_stream(compare, "out", 0, &record.stream, &error), WEIR_OK);
    for (int i = 0; i < RECORDS; i++) {
        char key[16], value[16];
        snprintf(key, sizeof key, "%d", i * 31 % KEYS);
        snprintf(value, sizeof value, "%d", i / KEYS);
        record.time_ms = i;
        record.key = weir_text(key);
        record.value = weir_text(value);
        assert_int_equal(wr_compare_expect(compare, &record, &error), WEIR_OK);
        bool misses = i % 7 == 0, doubles = i % 11 == 0;
        for (int n = 0; n < (misses ? 0 : 1) + doubles; n++) {
            assert_int_equal(wr_compare_find(compare, &record, &error), WEIR_OK);
        }
        lost += misses && !doubles;
        repeated += !misses && doubles;
    }

    wr_compare_end(compare, &difference);

    assert_int_equal(difference.lost, lost);
    assert_int_equal(difference.repeated, repeated);
    assert_int_equal(difference.reordered, 0);
    assert_in_range(difference.state_errors, KEYS / 14, KEYS / 7 + 1); /* those of the last round */
    wr_compare_free(compare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_damage_turns_its_own_figure),
        cmocka_unit_test(without_state_a_record_is_its_value_too),
        cmocka_unit_test(equal_identities_are_told_apart_by_their_number),
        cmocka_unit_test(partitions_have_an_order_of_their_own),
        cmocka_unit_test(keys_of_partitions_are_apart),
        cmocka_unit_test(nothing_can_be_compared),
        cmocka_unit_test(too_many_records_are_refused),
        cmocka_unit_test(many_records_are_counted_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
