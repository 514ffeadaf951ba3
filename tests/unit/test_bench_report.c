/* test_bench_report.c: the page of made-up results: complete, of its own, and nothing from outside
 * gets out of its place. Skipped where there is no gnuplot. With WEIR_REPORT=DIR the page is left
 * there, to be looked at.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
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

/* ---- Made-up results ------------------------------------------------------------------------- */

enum { REPEATS = 5, SIZES = 4, KINDS = 7, RESULTS = SIZES * KINDS };

static const struct {
    enum wr_bench_kind kind;
    enum wr_delivery delivery;
    double rates[SIZES]; /* at 1, 100, 10,000, adaptive */
} kinds[KINDS] = {
    {WR_BENCH_WEIR, WR_EXACTLY_ONCE, {5150, 291000, 941000, 1310000}},
    {WR_BENCH_WEIR, WR_AT_LEAST_ONCE, {5180, 294000, 938000, 1305000}},
    {WR_BENCH_WEIR, WR_AT_MOST_ONCE, {4400, 262000, 915000, 1302000}},
    {WR_BENCH_NO_POSITIONS, WR_EXACTLY_ONCE, {5210, 296000, 945000, 1312000}},
    {WR_BENCH_LOOP, WR_EXACTLY_ONCE, {4700, 180000, 402000, 0}},
    {WR_BENCH_RAW_OVERWRITE, WR_EXACTLY_ONCE, {6800, 450000, 2400000, 3100000}},
    {WR_BENCH_RAW_APPEND, WR_EXACTLY_ONCE, {3100, 260000, 2000000, 2900000}},
};
static const int64_t sizes[SIZES] = {1, 100, 10000, 0};

struct made {
    struct wr_bench_job job;
    struct wr_bench_results results;
    struct wr_bench_result items[RESULTS];
    struct wr_bench_sample runs[RESULTS][REPEATS], slow[RESULTS][2][1];
};

static void make_runs(struct wr_bench_sample *runs, size_t count, double rate, bool weir)
{
    for (size_t i = 0; i < count; i++) {
        struct wr_bench_sample *run = &runs[i];
        for (size_t f = 0; f < WR_BENCH_FIGURES; f++) {
            run->figures[f] = NAN;
        }
        double now = rate * (0.96 + 0.02 * (double)(i * 3 % 5));
        double us = 1e6 / now;
        *run = (struct wr_bench_sample){.records = (int64_t)now, .epochs = 100, .seconds = 1};
        for (size_t f = 0; f < WR_BENCH_FIGURES; f++) {
            run->figures[f] = NAN;
        }
        run->figures[WR_BENCH_RECORDS_PER_S] = now;
        run->figures[WR_BENCH_MB_PER_S] = now * 108 / 1e6;
        run->figures[WR_BENCH_BYTES_PER_RECORD] = 60 + us * 40;
        run->figures[WR_BENCH_FSYNCS_PER_RECORD] = us / 200;
        run->figures[WR_BENCH_CPU_S_PER_MILLION] = 0.8 + us / 5;
        run->figures[WR_BENCH_RSS_KIB] = 41000;
        if (weir) {
            const double times[] = {us, us * 3, us * 5, us * 20};
            memcpy(&run->figures[WR_BENCH_DECIDE_P50_US], times, sizeof times);
            run->figures[WR_BENCH_READ_S] = 0.02 * 1e6 / us / 1e6;
            run->figures[WR_BENCH_OPERATORS_S] = 0.5 / us;
            run->figures[WR_BENCH_APPLY_S] = 0.1 + 0.3 / us;
            run->figures[WR_BENCH_FSYNC_S] = 0.9 - 0.6 / us;
        }
    }
}

static void make_latency(struct made *made, size_t at, double rate)
{
    struct wr_bench_result *result = &made->items[at];
    result->latency_count = 2;
    for (size_t i = 0; i < 2; i++) {
        double share = i == 0 ? 0.5 : 0.8, us = 900 + (double)at * 40 + 2e9 * share / rate / 1e3;
        const double times[] = {us, us * 4 * (1 + share), us * 9 * (1 + share), us * 20};
        struct wr_bench_sample *run = made->slow[at][i];
        make_runs(run, 1, rate * share, false);
        memcpy(&run->figures[WR_BENCH_LATENCY_P50_US], times, sizeof times);
        result->latency[i] = (struct wr_bench_latency){.percent = i == 0 ? 50 : 80,
                                                       .rate = (int64_t)(rate * share),
                                                       .runs = run,
                                                       .run_count = 1};
    }
}

static void make_damage(struct wr_bench_result *result)
{
    struct wr_bench_damage *damage = &result->damage;
    result->has_damage = true;
    damage->kills = 3;
    damage->expected = 2000000;
    damage->repeated = result->cell.delivery == WR_AT_LEAST_ONCE ? 212343 : 0;
    damage->lost = result->cell.delivery == WR_AT_MOST_ONCE ? 45234 : 0;
    damage->state_errors = result->cell.delivery == WR_EXACTLY_ONCE ? 0 : 731;
    wr_histogram_add(&damage->recovery, 41000, 2);
    wr_histogram_add(&damage->recovery, 63000, 1);
}

static const char *const hostile = "</pre></script><script>alert('1')</script>&\"<img src=x>\xff";

static void make(struct made *made)
{
    memset(made, 0, sizeof *made);
    made->job.name = hostile;
    made->results.items = made->items;
    made->results.count = RESULTS;
    made->results.repeats = REPEATS;
    made->results.command = hostile;
    made->results.machine = (struct wr_bench_machine){.time = "2026-01-02T03:04:05Z",
                                                      .cpu = "<b>A \"fast\" one</b>",
                                                      .kernel = "Linux 6.1",
                                                      .system = "Debian",
                                                      .file_system = "ext4 on /dev/vda",
                                                      .versions = "weir, SQLite",
                                                      .cores = 2,
                                                      .memory_kib = 8 << 20,
                                                      .load = 0.5,
                                                      .fsync_us_p50 = 181,
                                                      .fsync_us_p99 = 420,
                                                      .fsync_us_max = 911};
    for (size_t i = 0; i < RESULTS; i++) {
        size_t size = i / KINDS, kind = i % KINDS;
        struct wr_bench_result *result = &made->items[i];
        result->cell = (struct wr_bench_cell){.kind = kinds[kind].kind,
                                              .job = &made->job,
                                              .delivery = kinds[kind].delivery,
                                              .epoch_records = sizes[size],
                                              .keys = 100000,
                                              .value_bytes = 100};
        result->group = size;
        result->runs = made->runs[i];
        double rate = kinds[kind].rates[size];
        if (rate > 0) {
            result->run_count = REPEATS;
            make_runs(result->runs, REPEATS, rate, kind < 4);
        }
        if (kind < 3 && (size == 0 || size == 3)) {
            make_latency(made, i, rate);
        }
        if (kind < 3 && size == 3) {
            make_damage(result);
        }
    }
}

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
    make(made);
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
    assert_non_null(strstr(page, "hand-written SQLite loop"));
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
        cmocka_unit_test(a_missing_gnuplot_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
