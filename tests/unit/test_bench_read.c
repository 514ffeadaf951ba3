/* test_bench_read.c: JSON lines of `weir bench` are read as they were written.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/bench/read.h"
#include "engine/bench/show.h"
#include "tests/lib/bench_results.h"

static char *lines_of(const struct wr_bench_results *results, size_t *size_out)
{
    char *text = NULL;
    FILE *file = open_memstream(&text, size_out);
    assert_non_null(file);
    wr_bench_lines(file, results);
    fclose(file);
    return text;
}

static weir_status read_again(const char *text, size_t size, struct wr_arena *arena,
                              struct wr_bench_results *results_out, struct wr_error *error)
{
    weir_bytes lines_read;
    FILE *file = fopen("again.jsonl", "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    weir_status status = wr_bench_read("again.jsonl", arena, results_out, &lines_read, error);
    assert_true(status != WEIR_OK || lines_read.size == size);
    return status;
}

/* What is read from lines makes the same lines; and two measurements in one file are two, one
 * behind the other. */
static void lines_are_read_again(void **state)
{
    (void)state;
    struct made *made = calloc(1, sizeof *made);
    assert_non_null(made);
    made_results(made, "weir bench 'a b'");
    size_t size = 0, size_again = 0;
    char *text = lines_of(&made->results, &size);
    struct wr_arena arena;
    struct wr_error error = {.status = WEIR_OK};
    struct wr_bench_results results;
    wr_arena_init(&arena, 0);
    read_again(text, size, &arena, &results, &error);
    assert_string_equal(error.text, "");
    char *again = lines_of(&results, &size_again);
    assert_string_equal(again, text);
    free(again);
    char *twice = calloc(1, 2 * size + 1);
    assert_non_null(twice);
    memcpy(twice, text, size);
    memcpy(twice + size, text, size);
    read_again(twice, 2 * size, &arena, &results, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(results.count, 2 * RESULTS);
    assert_int_equal(results.items[RESULTS].group, SIZES);
    assert_string_equal(results.command, "weir bench 'a b'\nweir bench 'a b'");
    free(twice);
    free(text);
    free(made);
    wr_arena_fini(&arena);
}

/* What is no line of ours is refused, with its number. */
static void other_lines_are_refused(void **state)
{
    (void)state;
    static const char machine[] = "{\"type\":\"machine\",\"cpu\":\"A\",\"cores\":2}\n";
    static const char cell[] = "\"job\":\"count\",\"kind\":\"loop\",\"sync\":\"full\"";
    static const char *const cases[][2] = {
        {"", "no figures"},
        {"x\n", "again.jsonl:1: "},
        {"[1]\n", "again.jsonl:1: "},
        {"{\"type\":\"run\"}\n", "\"job\""},
        {"{\"type\":\"other\"}\n", "\"type\""},
        {"{\"type\":\"run\",\"job\":\"count\",\"kind\":\"weir\",\"sync\":\"full\"}\n",
         "\"delivery\""},
        {"{\"type\":\"run\",%s,\"keys\":-1}\n", "\"keys\""},
        {"{\"type\":\"run\",%s,\"group\":123456789}\n", "\"group\""},
        {"{\"type\":\"run\",%s,\"records_per_s\":\"many\"}\n", "\"records_per_s\""},
        {"{\"type\":\"run\",%s}\n{\"type\":\"machine\",\"cpu\":\"B\"}\n", "another machine"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024] = "";
        const char *hole = strstr(cases[i][0], "%s");
        size_t before = hole ? (size_t)(hole - cases[i][0]) : strlen(cases[i][0]);
        snprintf(text, sizeof text, "%s%.*s%s%s", hole ? machine : "", (int)before, cases[i][0],
                 hole ? cell : "", hole ? hole + 2 : "");
        struct wr_arena arena;
        struct wr_error error = {.status = WEIR_OK};
        struct wr_bench_results results;
        wr_arena_init(&arena, 0);
        assert_int_not_equal(read_again(text, strlen(text), &arena, &results, &error), WEIR_OK);
        assert_int_equal(error.exit_code, WR_EXIT_DATA);
        if (!strstr(error.text, cases[i][1])) {
            fail_msg("case %zu: %s", i, error.text);
        }
        wr_arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read_again),
        cmocka_unit_test(other_lines_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
