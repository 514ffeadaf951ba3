/* test_bench_report.c: the page of made-up results: complete, of its own, and nothing from outside
 * gets out of its place. Skipped where there is no gnuplot. With WEIR_REPORT=DIR the page is left
 * there, to be looked at.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/bench/report.h"
#include "tests/lib/bench_results.h"

static const char *const hostile = "</pre></script><script>alert('1')</script>&\"<img src=x>\xff";

/* ---- The page -------------------------------------------------------------------------------- */

static const char lines[] = "{\"job\":\"</pre><script>\"}\n{\"cell\":2}\n";

static const char *folder_of(void)
{
    const char *kept = getenv("WEIR_REPORT");
    return kept ? kept : "report";
}

static char *read_page(void)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/index.html", folder_of());
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    char *text = calloc(1, 4 << 20);
    assert_non_null(text);
    size_t size = fread(text, 1, (4 << 20) - 1, file);
    assert_true(size > 0 && strlen(text) == size);
    fclose(file);
    return text;
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;
    while ((text = strstr(text, what))) {
        text += strlen(what);
        count++;
    }
    return count;
}

static struct made *report(void)
{
    struct wr_error error = {.status = WEIR_OK};
    weir_status status = wr_bench_report_check(folder_of(), &error);
    if (status != WEIR_OK && error.exit_code == WR_EXIT_UNAVAILABLE) {
        print_message("skipped: %s\n", error.text);
        skip();
    }
    assert_int_equal(status, WEIR_OK);
    struct made *made = malloc(sizeof *made);
    assert_non_null(made);
    made_results(made, hostile);
    status =
        wr_bench_report(folder_of(), &made->results, wr_bytes(lines, sizeof lines - 1), &error);
    assert_string_equal(error.text, "");
    assert_int_equal(status, WEIR_OK);
    return made;
}

/* Five plots, each with its table and a text for those who do not see it; and nothing is loaded
 * from elsewhere. */
static void a_page_is_complete(void **state)
{
    (void)state;
    struct made *made = report();
    char *page = read_page();
    assert_int_equal(count_of(page, "<svg class=\"plot\" role=\"img\" aria-labelledby="), 5);
    assert_int_equal(count_of(page, "</svg>"), 5);
    assert_int_equal(count_of(page, "<table>"), 5);
    assert_non_null(strstr(page, ">941,000 <small>903,360&ndash;978,640</small></td>"));
    assert_non_null(strstr(page, "212,343"));
    assert_non_null(strstr(page, "hand-written loop"));
    assert_non_null(strstr(page, "181 µs (median"));
    assert_non_null(strstr(page, "</html>\n"));
    static const char *const outside[] = {"http:", "https:",  "<link",   "<img",   "<iframe",
                                          "src=",  "@import", "<script", "<object"};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        assert_int_equal(count_of(page, outside[i]), i == 5 ? count_of(page, "&lt;img src=") : 0);
    }
    free(page);
    free(made);
}

/* What a path, a command line or a processor calls itself stays text. */
static void what_is_from_outside_is_escaped(void **state)
{
    (void)state;
    struct made *made = report();
    char *page = read_page();
    assert_true(count_of(page, "&lt;/pre&gt;&lt;/script&gt;&lt;script&gt;alert(&#39;1&#39;)") > 5);
    assert_non_null(strstr(page, "&lt;b&gt;A &quot;fast&quot; one&lt;/b&gt;"));
    assert_non_null(strstr(page, "{&quot;job&quot;:&quot;&lt;/pre&gt;&lt;script&gt;&quot;}\n"));
    assert_null(strstr(page, "alert('1')"));
    assert_null(strchr(page, '\xff'));
    free(page);
    free(made);
}

/* No name is given twice, so that each plot is drawn with its own. */
static void names_in_the_page_are_its_own(void **state)
{
    (void)state;
    struct made *made = report();
    char *page = read_page();
    size_t looked = 0;
    for (const char *at = page; (at = strstr(at, " id=")); looked++) {
        char name[200] = "";
        size_t size = 5 + strcspn(at + 5, "'\"") + 1;
        assert_true(size < sizeof name);
        memcpy(name, at, size);
        assert_int_equal(count_of(page, name), 1);
        at += size;
    }
    assert_true(looked > 50);
    free(page);
    free(made);
}

/* The second report replaces the first; what is no report is left alone. */
static void only_a_report_is_replaced(void **state)
{
    (void)state;
    free(report());
    free(report());
    struct wr_error error = {.status = WEIR_OK};
    assert_int_equal(mkdir("site", 0777), 0);
    FILE *file = fopen("site/index.html", "we");
    assert_non_null(file);
    fprintf(file, "<!doctype html>\n<title>Mine</title>\n");
    fclose(file);
    assert_int_not_equal(wr_bench_report_check("site", &error), WEIR_OK);
    assert_int_equal(error.exit_code, WR_EXIT_CONFIG);
    wr_error_clear(&error);
    assert_int_equal(rename("site/index.html", "site/notes"), 0);
    assert_int_not_equal(wr_bench_report_check("site", &error), WEIR_OK);
    assert_int_equal(error.exit_code, WR_EXIT_CONFIG);
    wr_error_clear(&error);
    assert_int_not_equal(wr_bench_report_check("none/at/all", &error), WEIR_OK);
    assert_int_equal(error.exit_code, WR_EXIT_NO_INPUT);
}

/* One size, one run, nothing to compare with, no latency, no kills: what there is. */
static void little_is_enough(void **state)
{
    (void)state;
    struct made *made = report();
    struct wr_error error = {.status = WEIR_OK};
    made->job.name = "count";
    made->results.items = &made->items[RESULTS - KINDS];
    made->results.count = 1;
    made->items[RESULTS - KINDS].run_count = 1;
    made->items[RESULTS - KINDS].latency_count = 0;
    made->items[RESULTS - KINDS].has_damage = false;
    assert_int_equal(wr_bench_report_check("little", &error), WEIR_OK);
    assert_int_equal(wr_bench_report("little", &made->results, wr_bytes("", 0), &error), WEIR_OK);
    assert_int_equal(access("little/throughput.svg", R_OK), 0);
    assert_int_not_equal(access("little/ratio.svg", R_OK), 0);
    assert_int_not_equal(access("little/gnuplot.log", R_OK), 0);
    made->results.count = 0;
    assert_int_equal(wr_bench_report("little", &made->results, wr_bytes("", 0), &error), WEIR_OK);
    free(made);
}

/* One mode, killed, of a job that keeps no state: the plot has no series of state, which would hold
 * no number, and gnuplot would crash of it. Where nothing was killed there is no such plot. */
static void a_series_without_a_number_is_left_out(void **state)
{
    (void)state;
    struct made *made = report();
    struct wr_error error = {.status = WEIR_OK};
    struct wr_bench_result *only = &made->items[RESULTS - KINDS];
    made->job.name = "copy";
    made->results.items = only;
    made->results.count = 1;
    only->has_damage = true;
    only->damage = (struct wr_bench_damage){.kills = 3, .expected = 10, .state_errors = -1};
    assert_int_equal(wr_bench_report_check("stateless", &error), WEIR_OK);
    wr_bench_report("stateless", &made->results, wr_bytes("", 0), &error);
    assert_string_equal(error.text, "");
    assert_int_equal(access("stateless/damage.svg", R_OK), 0);
    only->has_damage = false;
    only->damage = (struct wr_bench_damage){.why_not = "of chance", .state_errors = -1};
    assert_int_equal(wr_bench_report_check("unkilled", &error), WEIR_OK);
    wr_bench_report("unkilled", &made->results, wr_bytes("", 0), &error);
    assert_string_equal(error.text, "");
    assert_int_not_equal(access("unkilled/damage.svg", R_OK), 0);
    free(made);
}

/* Without gnuplot the check says which package has it, and leaves nothing behind. */
static void a_missing_gnuplot_is_named(void **state)
{
    (void)state;
    struct wr_error error = {.status = WEIR_OK};
    const char *path = getenv("PATH");
    char kept[8192];
    snprintf(kept, sizeof kept, "%s", path ? path : "");
    assert_int_equal(mkdir("bin", 0777), 0);
    assert_int_equal(symlink("/bin/true", "bin/gnuplot"), 0);
    setenv("PATH", "bin:/nowhere", 1); /* what is in the working directory is not run */
    assert_int_not_equal(wr_bench_report_check("unmade", &error), WEIR_OK);
    setenv("PATH", kept, 1);
    assert_int_equal(error.exit_code, WR_EXIT_UNAVAILABLE);
    assert_non_null(strstr(error.text, "gnuplot-nox"));
    assert_int_not_equal(access("unmade", F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_complete),
        cmocka_unit_test(what_is_from_outside_is_escaped),
        cmocka_unit_test(names_in_the_page_are_its_own),
        cmocka_unit_test(only_a_report_is_replaced),
        cmocka_unit_test(little_is_enough),
        cmocka_unit_test(a_series_without_a_number_is_left_out),
        cmocka_unit_test(a_missing_gnuplot_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
