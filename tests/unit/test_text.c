/* test_text.c: the words, names, numbers and paths that users type.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/endpoint.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The nearest word is a slip or the beginning of it away; others are not offered. */
static void the_nearest_word_is_found(void **state)
{
    (void)state;
    static const char *const words[] = {"epoch-records", "epoch-ms", "input", "output", "until-end",
                                        "store",         "sync",     "stats", NULL};
    static const struct {
        const char *word, *nearest;
    } cases[] = {
        {"epoch-record", "epoch-records"},
        {"epochs-ms", "epoch-ms"},
        {"Input", "input"},
        {"ouptut", "output"},
        {"untilend", "until-end"},
        {"sotre", "store"},
        {"snyc", "sync"},
        {"inp", "input"},
        {"colour", NULL},
        {"x", NULL},
        {"", NULL},
        {"kafka", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *nearest = wr_nearest(cases[i].word, words);
        assert_string_equal(nearest ? nearest : "-", cases[i].nearest ? cases[i].nearest : "-");
    }
    char longer[200];
    memset(longer, 's', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_null(wr_nearest(longer, words));
}

static void names_are_checked(void **state)
{
    (void)state;
    char name[WR_NAME_BYTES_MAX + 2];
    memset(name, 'n', sizeof name);
    name[WR_NAME_BYTES_MAX] = '\0';
    assert_true(wr_name_is_valid(name));
    name[WR_NAME_BYTES_MAX] = 'n';
    name[WR_NAME_BYTES_MAX + 1] = '\0';
    assert_false(wr_name_is_valid(name));
    assert_true(wr_name_is_valid("a.B-c_9"));
    assert_false(wr_name_is_valid(""));
    assert_false(wr_name_is_valid("a b"));
    assert_false(wr_name_is_valid("a/b"));
    assert_false(wr_name_is_valid("\xc3\xa9"));
}

static void numbers_and_sizes_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool number, size;
        int64_t value;
    } cases[] = {
        {"0", true, true, 0},
        {"007", true, true, 7},
        {"-5", true, true, -5},
        {"9223372036854775807", true, true, INT64_MAX},
        {"-9223372036854775808", true, true, INT64_MIN},
        {"9223372036854775808", false, false, 0},
        {"1k", false, true, 1024},
        {"64M", false, true, 64 << 20},
        {"3g", false, true, INT64_C(3) << 30},
        {"1kB", false, false, 0},
        {"1.5k", false, false, 0},
        {"k", false, false, 0},
        {"", false, false, 0},
        {"-", false, false, 0},
        {"+1", false, false, 0},
        {" 1", false, false, 0},
        {"1 ", false, false, 0},
        {"0x10", false, false, 0},
        {"9007199254740993k", false, false, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t value = 0;
        assert_int_equal(wr_parse_number(cases[i].text, INT64_MIN, INT64_MAX, &value),
                         cases[i].number);
        assert_true(value == (cases[i].number ? cases[i].value : 0));
        value = 0;
        assert_int_equal(wr_parse_size(cases[i].text, INT64_MIN, INT64_MAX, &value), cases[i].size);
        assert_true(value == (cases[i].size ? cases[i].value : 0));
    }
    int64_t value = 0;
    assert_false(wr_parse_number("11", 0, 10, &value));
    assert_true(wr_parse_number("10", 0, 10, &value));
    assert_false(wr_parse_number("-1", 0, 10, &value));
    assert_false(wr_parse_size("1k", 0, 1000, &value));
}

/* Paths become absolute in the text alone: links are not followed, nothing has to exist. */
static void paths_become_absolute(void **state)
{
    (void)state;
    static const struct {
        const char *path, *absolute; /* a first `~` stands for the working directory */
    } cases[] = {
        {"in.txt", "~/in.txt"},
        {"./in.txt", "~/in.txt"},
        {"a/../in.txt", "~/in.txt"},
        {"a//b/./c", "~/a/b/c"},
        {"/x/y", "/x/y"},
        {"//x///y/", "/x/y"},
        {"/x/../../y", "/y"},
        {"/..", "/"},
        {"/", "/"},
        {"/x/...", "/x/..."},
        {".", "~"},
        {"/x/..y", "/x/..y"},
    };
    char here[4096];
    assert_non_null(getcwd(here, sizeof here));
    struct wr_arena arena;
    wr_arena_init(&arena, 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        char expected[8192];
        bool relative = cases[i].absolute[0] == '~';
        snprintf(expected, sizeof expected, "%s%s", relative ? here : "",
                 cases[i].absolute + relative);
        assert_string_equal(wr_path_absolute(cases[i].path, &arena), expected);
    }
    wr_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_word_is_found),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(numbers_and_sizes_are_read),
        cmocka_unit_test(paths_become_absolute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
