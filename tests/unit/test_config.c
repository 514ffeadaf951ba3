/* test_config.c: options from a file (-c), and the reader of command lines.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/cli/cli.h"
#include "txn/base/arena.h"

static const struct wr_option table[] = {
    {"input", 'i', "NAME=URI", 1}, {"epoch-ms", '\0', "N", 2}, {"until-end", '\0', NULL, 3},
    {"verbose", 'v', NULL, 4},     {"number", 'n', "N", 5},    {"config", 'c', "FILE", 6},
    {"help", 'h', NULL, 7},        {NULL, '\0', NULL, 0},
};

/* What the reader saw: "input[a=b] until-end *operand* ". */
struct seen {
    char text[4096];
};

static weir_status note(void *context, const struct wr_option *option, const char *value,
                        struct wr_error *error)
{
    struct seen *seen = context;
    char one[1024];
    if (!option) {
        snprintf(one, sizeof one, "*%s* ", value);
    } else if (value) {
        snprintf(one, sizeof one, "%s[%s] ", option->name, value);
    } else {
        snprintf(one, sizeof one, "%s ", option->name);
    }
    strncat(seen->text, one, sizeof seen->text - strlen(seen->text) - 1);
    if (option && option->id == 2) {
        int64_t number = 0;
        return wr_option_number("epoch-ms", value, 1, 100, &number, error);
    }
    return WEIR_OK;
}

/* ---- The file -------------------------------------------------------------------------------- */

static weir_status read_bytes(const char *text, size_t size, struct seen *seen,
                              struct wr_error *error)
{
    FILE *file = fopen("job.conf", "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    fclose(file);
    struct wr_arena arena;
    wr_arena_init(&arena, 0);
    *seen = (struct seen){""};
    *error = (struct wr_error){.status = WEIR_OK};
    weir_status status = wr_config_read("job.conf", "weir run", table, &arena, note, seen, error);
    wr_arena_fini(&arena);
    return status;
}

/* Each form of a line gives the option that it names. */
static void lines_are_options(void **state)
{
    (void)state;
    static const struct {
        const char *text, *seen;
    } cases[] = {
        {"", ""},
        {"\n\n  \n", ""},
        {"# a comment\n   # another\n", ""},
        {"input a=b", "input[a=b] "},
        {"input = a=b\n", "input[a=b] "},
        {"input=a=b\n", "input[a=b] "},
        {"\tinput\t a=b c \t\r\n", "input[a=b c] "},
        {"input a=file:x#y # no comment\n", "input[a=file:x#y # no comment] "},
        {"input a=1\ninput b=2\n", "input[a=1] input[b=2] "},
        {"until-end\n", "until-end "},
        {"until-end = true\n", "until-end "},
        {"until-end = false\n", ""},
        {"epoch-ms 5", "epoch-ms[5] "},
        {"input a=${WEIR_TEST_VALUE}/${WEIR_TEST_VALUE}\n", "input[a=v w/v w] "},
        {"input a=${WEIR_TEST_EMPTY}.\n", "input[a=.] "},
        {"input a=$${WEIR_TEST_VALUE} $HOME $\n", "input[a=${WEIR_TEST_VALUE} $HOME $] "},
    };
    setenv("WEIR_TEST_VALUE", "v w", 1);
    setenv("WEIR_TEST_EMPTY", "", 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct seen seen;
        struct wr_error error;
        weir_status status = read_bytes(cases[i].text, strlen(cases[i].text), &seen, &error);
        assert_string_equal(error.text, "");
        assert_int_equal(status, WEIR_OK);
        assert_string_equal(seen.text, cases[i].seen);
    }
}

/* A value is as long as it likes. */
static void a_line_has_no_limit(void **state)
{
    (void)state;
    struct seen seen;
    struct wr_error error;
    char text[3000];
    memset(text, 'x', sizeof text);
    memcpy(text, "input a=", 8);
    assert_int_equal(read_bytes(text, sizeof text, &seen, &error), WEIR_OK);
    assert_int_equal(strncmp(seen.text, "input[a=xxxx", 12), 0);
}

/* A mistake is a usage error that names file, line and what to do. */
static void mistakes_name_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"\nepoch-m 5\n", "job.conf:2: unknown option epoch-m; did you mean epoch-ms?"},
        {"#\n#\nepoch-ms 500\n", "job.conf:3: epoch-ms is \"500\"; give a whole number"},
        {"epoch-ms\n", "job.conf:1: option epoch-ms needs a value, N"},
        {"epoch-ms = \n", "job.conf:1: option epoch-ms needs a value, N"},
        {"--epoch-ms 5\n", "job.conf:1: option --epoch-ms; leave the dashes out"},
        {"until-end maybe\n", "job.conf:1: until-end is \"maybe\"; leave the value out"},
        {"config other.conf\n", "job.conf:1: config stands on the command line only"},
        {"input a=${WEIR_TEST_NOT_SET}\n",
         "job.conf:1: the environment has no variable WEIR_TEST_NOT_SET"},
        {"input a=${}\n", "job.conf:1: \"${\" without a name"},
        {"input a=${A\n", "job.conf:1: \"${\" without a name"},
        {"= 5\n", "job.conf:1: unknown option ;"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct seen seen;
        struct wr_error error;
        weir_status status = read_bytes(cases[i].text, strlen(cases[i].text), &seen, &error);
        assert_int_equal(status, WEIR_MISUSE);
        assert_int_equal(error.exit_code, WR_EXIT_USAGE);
        if (strncmp(error.text, cases[i].error, strlen(cases[i].error)) != 0) {
            fail_msg("got: %s\nwanted: %s", error.text, cases[i].error);
        }
    }
}

static void a_nul_byte_is_refused(void **state)
{
    (void)state;
    struct seen seen;
    struct wr_error error;
    assert_int_equal(read_bytes("input a\0=b\n", 11, &seen, &error), WEIR_MISUSE);
    assert_non_null(strstr(error.text, "job.conf:1: a NUL byte"));
}

static void a_missing_file_is_66(void **state)
{
    (void)state;
    struct wr_arena arena;
    struct seen seen = {""};
    struct wr_error error = {.status = WEIR_OK};
    wr_arena_init(&arena, 0);
    weir_status status =
        wr_config_read("nowhere.conf", "weir run", table, &arena, note, &seen, &error);
    wr_arena_fini(&arena);
    assert_int_equal(status, WEIR_FATAL);
    assert_int_equal(error.exit_code, WR_EXIT_NO_INPUT);
}

/* ---- The command line ------------------------------------------------------------------------ */

static weir_status parse(const char *line, struct seen *seen, struct wr_error *error)
{
    char copy[256], *argv[32];
    int argc = 0;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    *seen = (struct seen){""};
    *error = (struct wr_error){.status = WEIR_OK};
    return wr_options_parse("weir run", table, argc, argv, note, seen, error);
}

/* Options in any form and place. */
static void command_lines_are_read(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"job.so", "*job.so* "},
        {"job.so --input a=b -v", "*job.so* input[a=b] verbose "},
        {"--input=a=b job.so", "input[a=b] *job.so* "},
        {"-i a=b -ia=c", "input[a=b] input[a=c] "},
        {"-vvn5", "verbose verbose number[5] "},
        {"-vn 5 -", "verbose number[5] *-* "},
        {"--number -3", "number[-3] "},
        {"-n -3 -- -v --x", "number[-3] *-v* *--x* "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct seen seen;
        struct wr_error error;
        assert_int_equal(parse(cases[i][0], &seen, &error), WEIR_OK);
        assert_string_equal(seen.text, cases[i][1]);
    }
}

/* No abbreviations, and each mistake says what is nearly right. */
static void misspelt_options_are_named(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"--until", "unknown option --until; did you mean --until-end?"},
        {"--untilend", "unknown option --untilend; did you mean --until-end?"},
        {"--epoch_ms=5", "unknown option --epoch_ms; did you mean --epoch-ms?"},
        {"--zebra", "unknown option --zebra; see weir run --help"},
        {"-until-end", "unknown option -until-end; did you mean --until-end?"},
        {"-z", "unknown option -z; see weir run --help"},
        {"-i", "option -i needs a value, NAME=URI"},
        {"--input", "option --input needs a value, NAME=URI"},
        {"--verbose=1", "option --verbose takes no value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct seen seen;
        struct wr_error error;
        assert_int_equal(parse(cases[i][0], &seen, &error), WEIR_MISUSE);
        assert_int_equal(error.exit_code, WR_EXIT_USAGE);
        if (!strstr(error.text, cases[i][1])) {
            fail_msg("got: %s\nwanted: %s", error.text, cases[i][1]);
        }
    }
}

static void values_name_their_range(void **state)
{
    (void)state;
    struct wr_error error = {.status = WEIR_OK};
    int64_t value = 0;
    assert_int_equal(wr_option_size("--cache", "3M", 0, 1LL << 40, &value, &error), WEIR_OK);
    assert_int_equal(value, 3 << 20);
    assert_int_equal(wr_option_size("--wal-max", "1k", 1 << 20, 1LL << 40, &value, &error),
                     WEIR_MISUSE);
    assert_non_null(strstr(error.text, "from 1M to 1024G"));
    wr_error_clear(&error);
    assert_int_equal(wr_option_number("--epoch-ms", "0", 1, 3600000, &value, &error), WEIR_MISUSE);
    assert_non_null(strstr(error.text, "from 1 to 3600000"));
    wr_error_clear(&error);
    const char *const choices[] = {"full", "normal", "off", NULL};
    int index = 0;
    assert_int_equal(wr_option_choice("--sync", "norml", choices, &index, &error), WEIR_MISUSE);
    assert_non_null(strstr(error.text, "did you mean normal?"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_options),           cmocka_unit_test(a_line_has_no_limit),
        cmocka_unit_test(mistakes_name_file_and_line), cmocka_unit_test(a_nul_byte_is_refused),
        cmocka_unit_test(a_missing_file_is_66),        cmocka_unit_test(command_lines_are_read),
        cmocka_unit_test(misspelt_options_are_named),  cmocka_unit_test(values_name_their_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
