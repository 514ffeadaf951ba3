/* test_bench_text.c: text from outside made harmless, and numbers as people read them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/bench/machine.h"
#include "engine/bench/text.h"

static void assert_copied(size_t room, const char *from, const char *expected)
{
    char text[64];
    wr_bench_text_copy(text, room, wr_bytes(from, strlen(from)));
    assert_string_equal(text, expected);
}

/* Spaces are one each and none at an end; what is no printable character is a question mark; what
 * does not fit is cut between characters. */
static void copies_are_printable(void **state)
{
    (void)state;
    assert_copied(64, " AMD \t EPYC\n", "AMD EPYC");
    assert_copied(64, "a\x01\x7f\xff\xc0\x80z", "a?????z");
    assert_copied(64, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
                  "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    assert_copied(64, "\xed\xa0\x80", "???");
    assert_copied(64,
                  "a\xe2\x80\xae"
                  "b",
                  "a?b");
    assert_copied(4, "ab\xe2\x82\xac", "ab");
    assert_copied(3, "a b", "a");
    assert_copied(1, "a", "");
}

static void assert_written(void (*write)(FILE *, const char *), const char *from,
                           const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    write(file, from);
    fclose(file);
    assert_string_equal(text, expected);
    free(text);
}

/* No text can leave its string. */
static void json_is_quoted(void **state)
{
    (void)state;
    assert_written(wr_bench_text_json, "a\"b\\c\n\xff\xc3\xa9",
                   "\"a\\\"b\\\\c\\u000a\\ufffd\xc3\xa9\"");
    assert_written(wr_bench_text_json, "", "\"\"");
}

/* No text can become a tag, an entity, or leave an attribute. */
static void html_is_escaped(void **state)
{
    (void)state;
    assert_written(wr_bench_text_html, "<b a='1' c=\"2\">&amp;</b>\n",
                   "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;amp;&lt;/b&gt;\n");
    assert_written(wr_bench_text_html, "\x1b[0m\xe2\x80\xae", "\xef\xbf\xbd[0m\xef\xbf\xbd");
}

/* At least three digits, and commas. */
static void numbers_are_readable(void **state)
{
    (void)state;
    static const struct {
        double number;
        const char *text;
    } cases[] = {
        {0, "0"},          {1234567.4, "1,234,567"}, {999.6, "1,000"},  {99.96, "100"},
        {12.34, "12.3"},   {9.999, "10.0"},          {0.9756, "0.98"},  {0.01234, "0.012"},
        {-1234, "-1,234"}, {0.0012, "0.0012"},       {-12.34, "-12.3"}, {1e30, "1e+30"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[WR_BENCH_NUMBER_MAX];
        assert_string_equal(wr_bench_text_number(text, cases[i].number), cases[i].text);
    }
    char text[WR_BENCH_NUMBER_MAX];
    assert_string_equal(wr_bench_text_count(text, INT64_MIN), "-9,223,372,036,854,775,808");
    assert_string_equal(wr_bench_text_count(text, 100), "100");
}

/* The machine has a kernel and a disk, and its line is one. */
static void the_machine_is_described(void **state)
{
    (void)state;
    struct wr_bench_machine machine;
    struct wr_error error = {.status = WEIR_OK};
    assert_int_equal(wr_bench_machine_look(".", &machine, &error), WEIR_OK);
    assert_true(machine.kernel[0] && machine.versions[0] && machine.file_system[0]);
    assert_true(machine.cores > 0 && machine.memory_kib > 0);
    assert_true(machine.fsync_us_p50 > 0 && machine.fsync_us_p50 <= machine.fsync_us_max);
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    wr_bench_machine_line(file, &machine, "weir bench --dir 'a \"b\"'");
    fclose(file);
    assert_ptr_equal(strchr(text, '\n'), text + size - 1);
    assert_non_null(strstr(text, "\"command\":\"weir bench --dir 'a \\\"b\\\"'\""));
    free(text);
    assert_int_equal(wr_bench_machine_look("./none", &machine, &error), WEIR_FATAL);
    assert_int_equal(error.exit_code, WR_EXIT_NO_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_are_printable),     cmocka_unit_test(json_is_quoted),
        cmocka_unit_test(html_is_escaped),          cmocka_unit_test(numbers_are_readable),
        cmocka_unit_test(the_machine_is_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
