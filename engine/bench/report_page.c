/* report_page.c: the page of a report: HTML that needs nothing beside it. What comes from outside
 * (the job's path, the command, what the system says of itself) goes through wr_bench_text_html.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/bench/report_inner.h"

/* ---- Its look -------------------------------------------------------------------------------- */

/* One column, for a phone as for a desk; light, or dark where the reader's system is. Plots stay on
 * white. */

static const char style[] =
    ":root{--ink:#1d1d1f;--soft:#5c6066;--paper:#fff;--card:#f5f6f7;--line:#d9dce0;--link:#0060a8}"
    "\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e8e8ea;--soft:#a3a8ae;--paper:#17181a;"
    "--card:#212326;--line:#3a3d42;--link:#7cc0ff;color-scheme:dark}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;max-width:66rem;padding:1.5rem 1rem 4rem;color:var(--ink);"
    "background:var(--paper);font:1rem/1.55 system-ui,sans-serif}\n"
    "h1{font-size:1.75rem;line-height:1.2;margin:0 0 .25rem}\n"
    "h2{font-size:1.35rem;margin:2.75rem 0 .5rem;border-top:1px solid var(--line);"
    "padding-top:1.25rem}\n"
    "h3{font-size:1.1rem;margin:2rem 0 .25rem}\n"
    "p,ul{margin:.5rem 0}li{margin:.3rem 0}a{color:var(--link)}\n"
    ".soft,caption,small{color:var(--soft)}small{font-size:.8em;white-space:nowrap}\n"
    "figure{margin:1rem 0}\n"
    ".wide{overflow-x:auto;border-radius:.5rem}\n"
    ".card{background:#fff;border:1px solid var(--line)}\n"
    "svg.plot{display:block;width:100%;min-width:34rem;height:auto}\n"
    "table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums;"
    "min-width:100%}\n"
    "caption{text-align:left;padding:.25rem 0;font-size:.85rem}\n"
    "th,td{padding:.3rem .5rem;text-align:right;border-bottom:1px solid var(--line);"
    "vertical-align:bottom;white-space:nowrap}\n"
    "th{font-weight:600}tbody th{font-weight:400;text-align:left}"
    "thead th:nth-child(-n+2),dt{text-align:left}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:.75rem 0}\n"
    "dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}\n"
    "pre{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.75rem;"
    "overflow-x:auto;font-size:.8rem;line-height:1.4}\n"
    "pre.command{white-space:pre-wrap;overflow-wrap:anywhere}\n"
    "summary{cursor:pointer}\n"
    "@media print{body{max-width:none}h3,figure{break-inside:avoid}}\n";

/* ---- Above the plots ------------------------------------------------------------------------- */

static void put_fact(FILE *page, const char *name, const char *text)
{
    if (text[0]) {
        fprintf(page, "<dt>%s</dt><dd>", name);
        wr_bench_text_html(page, text);
        fprintf(page, "</dd>\n");
    }
}

static void put_machine(FILE *page, const struct wr_bench_results *results)
{
    const struct wr_bench_machine *machine = &results->machine;
    char text[256], p50[WR_BENCH_NUMBER_MAX], p99[WR_BENCH_NUMBER_MAX], max[WR_BENCH_NUMBER_MAX];
    fprintf(page, "<h2 id=\"machine\">Measured on</h2>\n<dl>\n");
    snprintf(text, sizeof text, "%s%s%d core%s", machine->cpu, machine->cpu[0] ? ", " : "",
             machine->cores, machine->cores == 1 ? "" : "s");
    put_fact(page, "processor", text);
    snprintf(text, sizeof text, "%.1f GiB", (double)machine->memory_kib / 1048576);
    put_fact(page, "memory", text);
    put_fact(page, "kernel", machine->kernel);
    put_fact(page, "system", machine->system);
    put_fact(page, "file system", machine->file_system);
    snprintf(text, sizeof text,
             "%s µs (median; p99 %s µs, longest %s µs): one page of 4 KiB overwritten, fdatasync",
             wr_bench_text_number(p50, machine->fsync_us_p50),
             wr_bench_text_number(p99, machine->fsync_us_p99),
             wr_bench_text_number(max, machine->fsync_us_max));
    put_fact(page, "disk's fsync", text);
    snprintf(text, sizeof text, "%.2f processes in the minute before", machine->load);
    put_fact(page, "load", text);
    put_fact(page, "versions", machine->versions);
    put_fact(page, "begun", machine->time);
    fprintf(page, "</dl>\n<p>The command:</p>\n<pre class=\"command\">");
    wr_bench_text_html(page, results->command ? results->command : "");
    fprintf(page, "</pre>\n");
}

static void put_head(FILE *page, const struct wr_bench_results *results)
{
    fprintf(page,
            "%s " WEIR_VERSION "\">\n"
            "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
            "<title>What delivery costs: weir bench</title>\n<style>\n%s</style></head>\n<body>\n"
            "<main>\n<h1>What delivery costs</h1>\n<p class=\"soft\">Exactly-once next to "
            "at-least-once and at-most-once, measured by weir bench, ",
            WR_REPORT_MARK, style);
    wr_bench_text_html(page, results->machine.time);
    fprintf(page, "</p>\n");
    wr_report_summary(page, results);
    put_machine(page, results);
}

/* ---- A plot with its table ------------------------------------------------------------------- */

static const struct {
    const char *title, *text;
} plots[WR_PLOTS] = {
    {"Throughput",
     "Records per second by how many records a transaction decides. Adaptive epochs take what is "
     "there whenever the disk is free. Points are medians, bars reach from the slowest to the "
     "fastest run; series stand a little beside one another so that equal ones show."},
    {"Next to at-least-once",
     "The same, each run divided by the at-least-once run beside it, which ran within seconds of "
     "it. The line at 1 is at-least-once; what lies within the bars is no difference."},
    {"Latency", "From the time at which a record was due to be sent, whether or not anything was "
                "ready to take "
                "it, to the time at which it was decided: a stall counts against every record that "
                "it delayed. "
                "Each column reaches from the median to p99.9."},
    {"Lost and repeated",
     "The job was killed with kill -9 again and again, at random moments and at chosen ones, and "
     "started again each time until its input was done. Then its output was compared, record by "
     "record, with what the input implies."},
    {"Where the time goes", "How the time that threads were busy is spent. In weir, reading and "
                            "operators are one thread's, "
                            "applying (everything of a transaction but its fsync) and fsync "
                            "another's: they run at the same "
                            "time, so their sum can be more than the time that passed. The loop "
                            "has one thread, and all of "
                            "its work counts as applying."},
};

static void put_title(char *text, size_t size, size_t plot, const struct wr_report_section *section)
{
    snprintf(text, size, "%s: %s, sync %s", plots[plot].title, section->like->job->name,
             wr_bench_sync_name(section->like->sync));
}

static weir_status put_plot(FILE *page, const char *folder, size_t plot,
                            const struct wr_report_section *section, struct wr_error *error)
{
    char name[64], path[PATH_MAX], prefix[64], title[512];
    wr_report_plot_name((enum wr_report_plot)plot, section, name, sizeof name);
    snprintf(prefix, sizeof prefix, "%.*s", (int)strcspn(name, "."), name);
    put_title(title, sizeof title, plot, section);
    fprintf(page,
            "<h3>%s</h3>\n<figure><div class=\"wide card\" tabindex=\"0\" role=\"group\" "
            "aria-label=\"plot: %s\">\n",
            plots[plot].title, plots[plot].title);
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_USAGE, "--report %s: the path is too long",
                       folder);
    }
    WR_TRY(wr_report_svg(page, path, prefix, title, plots[plot].text, error));
    fprintf(page, "</div>\n<figcaption>%s</figcaption></figure>\n", plots[plot].text);
    wr_report_table(page, (enum wr_report_plot)plot, section);
    return WEIR_OK;
}

static weir_status put_section(FILE *page, const char *folder,
                               const struct wr_report_section *section, struct wr_error *error)
{
    const struct wr_bench_cell *like = section->like;
    char keys[WR_BENCH_NUMBER_MAX], bytes[WR_BENCH_NUMBER_MAX];
    fprintf(page, "<h2 id=\"section-%zu\">Job ", section->number + 1);
    wr_bench_text_html(page, like->job->name);
    if (like->route != WR_BENCH_GENERATED) {
        fprintf(page, ", %s", wr_bench_route_name(like->route));
    }
    if (like->forward_ms > 0) {
        fprintf(page, " each %s ms", wr_bench_text_count(keys, like->forward_ms));
    }
    fprintf(page, ", sync %s</h2>\n<p class=\"soft\">%s keys, values of %s bytes",
            wr_bench_sync_name(like->sync), wr_bench_text_count(keys, like->keys),
            wr_bench_text_count(bytes, like->value_bytes));
    if (like->cache_bytes > 0) {
        fprintf(page, ", a cache of %s MiB",
                wr_bench_text_number(bytes, (double)like->cache_bytes / 1048576));
    }
    fprintf(page, "</p>\n");
    for (size_t i = 0; i < WR_PLOTS; i++) {
        if (wr_report_plot_has((enum wr_report_plot)i, section)) {
            WR_TRY(put_plot(page, folder, i, section, error));
        }
    }
    return WEIR_OK;
}

/* ---- The whole ------------------------------------------------------------------------------- */

static void put_method(FILE *page)
{
    fprintf(page,
            "<h2 id=\"method\">How it was measured</h2>\n<ul>\n"
            "<li>Each run is a process of its own on a new store, fed by a generator in the same "
            "process, or from a topic of Kafka that was filled before.</li>\n"
            "<li>What is compared ran interleaved: one run of each, then the next of each, so that "
            "what else the machine does falls on all alike.</li>\n"
            "<li>The hand-written loop is what an expert would write with SQLite alone: the same "
            "input, counts in memory, a row for each output record, counts and position in the "
            "same transaction. Beside adaptive epochs it takes 10,000 records a transaction. From "
            "Kafka to Kafka it is librdkafka by hand, with a transaction for each interval, and "
            "without.</li>\n"
            "<li>Raw bytes: a file in which as many bytes are written and synced for each "
            "transaction as weir's store wrote, with nothing else done; overwritten within a file "
            "of full length, or appended.</li>\n"
            "<li>No positions stored: weir without the half that makes it exactly-once, effects "
            "only.</li>\n</ul>\n");
}

weir_status wr_report_page(FILE *page, const char *folder, const struct wr_bench_results *results,
                           weir_bytes lines, struct wr_error *error)
{
    put_head(page, results);
    struct wr_report_section section = {.results = results};
    while (wr_report_section_next(&section)) {
        WR_TRY(put_section(page, folder, &section, error));
    }
    put_method(page);
    fprintf(page, "<h2 id=\"raw\">The figures as they came</h2>\n<p>The lines of JSON that all of "
                  "this was made from; also in results.jsonl beside this page. weir-bench(1) "
                  "says what is in them.</p>\n<details><summary>Show them</summary>\n<pre>");
    const char *at = lines.data, *end = at + lines.size;
    while (at < end) { /* in lines, since what escapes wants a NUL at the end */
        char text[4096];
        size_t size = (size_t)(end - at) < sizeof text - 1 ? (size_t)(end - at) : sizeof text - 1;
        while (size > 1 && at + size < end && ((unsigned char)at[size] & 0xc0) == 0x80) {
            size--; /* whole characters */
        }
        memcpy(text, at, size);
        text[size] = '\0';
        wr_bench_text_html(page, text);
        at += size;
    }
    fprintf(page, "</pre></details>\n</main>\n</body></html>\n");
    return WEIR_OK;
}
