/* report.c: the files of a report, and the order in which they are made. See report.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/bench/report.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/bench/report_inner.h"

/* ---- Before anything is measured ------------------------------------------------------------- */

static weir_status join(const char *folder, const char *name, char path_out[PATH_MAX],
                        struct wr_error *error)
{
    if (snprintf(path_out, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_USAGE, "--report %s: the path is too long",
                       folder);
    }
    return WEIR_OK;
}

static weir_status check_empty(const char *folder, struct wr_error *error)
{
    DIR *entries = opendir(folder);
    if (!entries) {
        return wr_fail_errno(error, "cannot read %s, for --report", folder);
    }
    static const char *const harmless[] = {".", "..", "gnuplot.log", "check.gp"};
    size_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(entries))) {
        count++;
        for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++) {
            count -= strcmp(entry->d_name, harmless[i]) == 0;
        }
    }
    closedir(entries);
    return count == 0 ? WEIR_OK
                      : wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                                "--report %s: the folder holds something else than a report of "
                                "weir; name a new one",
                                folder);
}

/* An earlier report is known by the page's first bytes. */
static weir_status check_folder(const char *folder, struct wr_error *error)
{
    static const char mark[] = WR_REPORT_MARK;
    char path[PATH_MAX], begin[sizeof mark] = "";
    WR_TRY(join(folder, "index.html", path, error));
    FILE *page = fopen(path, "re");
    if (!page) {
        return check_empty(folder, error);
    }
    size_t size = fread(begin, 1, sizeof mark - 1, page);
    fclose(page);
    return size == sizeof mark - 1 && memcmp(begin, mark, size) == 0
               ? WEIR_OK
               : wr_fail(error, WEIR_FATAL, WR_EXIT_CONFIG,
                         "--report %s: its index.html was not made by weir bench; name another "
                         "folder",
                         folder);
}

/* Opens a file of the report to write it; NULL: the error is set. */
static FILE *begin_file(const char *folder, const char *name, struct wr_error *error)
{
    char path[PATH_MAX];
    if (join(folder, name, path, error) != WEIR_OK) {
        return NULL;
    }
    FILE *file = fopen(path, "we");
    if (!file) {
        wr_fail_errno(error, "cannot write %s", path);
    }
    return file;
}

static weir_status end_file(FILE *file, const char *folder, const char *name,
                            struct wr_error *error)
{
    bool failed = ferror(file) != 0;
    if (fclose(file) != 0 || failed) {
        return wr_fail_errno(error, "cannot write %s/%s", folder, name);
    }
    return WEIR_OK;
}

weir_status wr_bench_report_check(const char *folder, struct wr_error *error)
{
    char gnuplot[PATH_MAX];
    WR_TRY(wr_report_gnuplot_find(gnuplot, error));
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        return wr_fail_errno(error, "cannot make the folder %s, for --report", folder);
    }
    WR_TRY(check_folder(folder, error));
    static const char script[] = "check.gp";
    FILE *file = begin_file(folder, script, error);
    if (!file) {
        return error->status;
    }
    fprintf(file, "if (GPVAL_VERSION < 5.4) exit status 3\n"
                  "set terminal svg dynamic noenhanced\n");
    WR_TRY(end_file(file, folder, script, error));
    weir_status status = wr_report_gnuplot(folder, script, error);
    char path[PATH_MAX];
    if (join(folder, script, path, error) == WEIR_OK) {
        unlink(path);
    }
    return status;
}

/* ---- Afterwards ------------------------------------------------------------------------------ */

static weir_status write_lines(const char *folder, weir_bytes lines, struct wr_error *error)
{
    FILE *file = begin_file(folder, "results.jsonl", error);
    if (!file) {
        return error->status;
    }
    fwrite(lines.data, 1, lines.size, file);
    return end_file(file, folder, "results.jsonl", error);
}

static weir_status draw(const char *folder, const struct wr_bench_results *results,
                        struct wr_error *error)
{
    FILE *script = begin_file(folder, "plots.gp", error);
    if (!script) {
        return error->status;
    }
    fprintf(script, "# The plots of a report of weir bench: gnuplot -d plots.gp\n");
    struct wr_report_section section = {.results = results};
    bool any = false;
    while (wr_report_section_next(&section)) {
        for (size_t i = 0; i < WR_PLOTS; i++) {
            if (wr_report_plot_has((enum wr_report_plot)i, &section)) {
                wr_report_plot(script, (enum wr_report_plot)i, &section);
                any = true;
            }
        }
    }
    WR_TRY(end_file(script, folder, "plots.gp", error));
    return any ? wr_report_gnuplot(folder, "plots.gp", error) : WEIR_OK;
}

static weir_status write_page(const char *folder, const struct wr_bench_results *results,
                              weir_bytes lines, struct wr_error *error)
{
    static const char name[] = "index.html.new";
    char from[PATH_MAX], to[PATH_MAX];
    WR_TRY(join(folder, name, from, error));
    WR_TRY(join(folder, "index.html", to, error));
    FILE *page = begin_file(folder, name, error);
    if (!page) {
        return error->status;
    }
    weir_status status = wr_report_page(page, folder, results, lines, error);
    if (status != WEIR_OK) {
        fclose(page);
        unlink(from);
        return status;
    }
    WR_TRY(end_file(page, folder, name, error));
    if (rename(from, to) != 0) {
        return wr_fail_errno(error, "cannot rename %s to %s", from, to);
    }
    return WEIR_OK;
}

weir_status wr_bench_report(const char *folder, const struct wr_bench_results *results,
                            weir_bytes lines, struct wr_error *error)
{
    WR_TRY(write_lines(folder, lines, error)); /* first: they are what took the time */
    WR_TRY(draw(folder, results, error));
    return write_page(folder, results, lines, error);
}
