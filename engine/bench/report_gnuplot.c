/* report_gnuplot.c: gnuplot as a child process: found in PATH, tried, run on a script; and the SVG
 * that it leaves, taken into the page.
 *
 * The child runs in the report's folder with `-d`, so that nobody's start-up file has a say, and
 * what it prints goes to gnuplot.log there, which is removed when all is well.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/bench/report_inner.h"

/* ---- Finding and running it ------------------------------------------------------------------ */

/* In PATH's absolute folders only: what lies in the working directory is not run. */
weir_status wr_report_gnuplot_find(char path_out[PATH_MAX], struct wr_error *error)
{
    const char *at = getenv("PATH");
    while (at && *at) {
        size_t size = strcspn(at, ":");
        int used = snprintf(path_out, PATH_MAX, "%.*s/gnuplot", (int)size, at);
        struct stat status;
        if (*at == '/' && used > 0 && used < PATH_MAX && stat(path_out, &status) == 0 &&
            S_ISREG(status.st_mode) && access(path_out, X_OK) == 0) {
            return WEIR_OK;
        }
        at += size + (at[size] == ':');
    }
    return wr_fail(error, WEIR_FATAL, WR_EXIT_UNAVAILABLE,
                   "cannot draw the plots of --report: there is no gnuplot in PATH; install it "
                   "(Debian, Ubuntu: apt-get install gnuplot-nox), or leave --report out");
}

/* Never returns. */
static void child(const char *gnuplot, const char *folder, const char *script)
{
    const char *const arguments[] = {gnuplot, "-d", script, NULL};
    const char *const environment[] = {"LC_ALL=C.UTF-8", NULL};
    wr_bench_child_begin();
    if (chdir(folder) == 0) {
        int in = open("/dev/null", O_RDONLY);
        int out = open("gnuplot.log", O_CREAT | O_TRUNC | O_WRONLY, 0666);
        if (in >= 0 && out >= 0 && dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && dup2(out, 2) >= 0) {
            execve(gnuplot, (char *const *)(uintptr_t)arguments,
                   (char *const *)(uintptr_t)environment);
        }
    }
    _exit(127);
}

/* The first line with a word in it of what the child printed; empty: none. */
static void first_words(const char *log, char *text_out, size_t size)
{
    char line[256] = "";
    text_out[0] = '\0';
    FILE *file = fopen(log, "re");
    while (file && !text_out[0] && fgets(line, sizeof line, file)) {
        if (line[strcspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")]) {
            wr_bench_text_copy(text_out, size, wr_bytes(line, strlen(line)));
        }
    }
    if (file) {
        fclose(file);
    }
}

weir_status wr_report_gnuplot(const char *folder, const char *script, struct wr_error *error)
{
    char gnuplot[PATH_MAX], log[PATH_MAX], words[200];
    WR_TRY(wr_report_gnuplot_find(gnuplot, error));
    if (snprintf(log, sizeof log, "%s/gnuplot.log", folder) >= (int)sizeof log) {
        return wr_fail(error, WEIR_FATAL, WR_EXIT_USAGE, "--report %s: the path is too long",
                       folder);
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        child(gnuplot, folder, script);
    }
    if (pid < 0) {
        return wr_fail_errno(error, "cannot start %s for --report", gnuplot);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        unlink(log);
        return WEIR_OK;
    }
    first_words(log, words, sizeof words);
    return wr_fail(error, WEIR_FATAL, WR_EXIT_UNAVAILABLE,
                   "%s failed on %s/%s (%s %d)%s%s; weir needs gnuplot 5.4 or later with its "
                   "terminal svg; what it said is in %s",
                   gnuplot, folder, script, WIFSIGNALED(status) ? "signal" : "exit code",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                   words[0] ? ": " : "", words, log);
}

/* ---- What it drew ---------------------------------------------------------------------------- */

/* With a NUL behind it; the caller's to free. */
static weir_status read_whole(const char *path, char **text_out, struct wr_error *error)
{
    enum { SVG_BYTES_MAX = 16 * 1024 * 1024 }; /* a plot has some ten thousand bytes */
    struct stat status;
    *text_out = NULL;
    FILE *file = fopen(path, "re");
    if (!file || fstat(fileno(file), &status) != 0) {
        wr_fail_errno(error, "cannot read the plot %s", path);
    } else if (status.st_size > SVG_BYTES_MAX) {
        wr_fail(error, WEIR_FATAL, WR_EXIT_DATA, "the plot %s is too large", path);
    } else if (!(*text_out = malloc((size_t)status.st_size + 1))) {
        wr_fail_memory(error);
    } else {
        (*text_out)[fread(*text_out, 1, (size_t)status.st_size, file)] = '\0';
    }
    if (file) {
        fclose(file);
    }
    return *text_out ? WEIR_OK : error->status;
}

/* What gnuplot calls its parts is the same in each plot, and a page wants names that are its own:
 * each gets a prefix, where it is given and where it is used. */
static void put_with_prefix(FILE *page, const char *svg, const char *prefix)
{
    static const struct {
        const char *from, *to;
    } names[] = {
        {" id='", " id='"},           {" id=\"", " id=\""},
        {"xlink:href='#", "href='#"}, {"xlink:href=\"#", "href=\"#"},
        {"url(#", "url(#"},
    };
    while (*svg) {
        size_t i = 0;
        while (i < sizeof names / sizeof names[0] &&
               strncmp(svg, names[i].from, strlen(names[i].from)) != 0) {
            i++;
        }
        if (i < sizeof names / sizeof names[0]) {
            fprintf(page, "%s%s-", names[i].to, prefix);
            svg += strlen(names[i].from);
        } else {
            putc(*svg++, page);
        }
    }
}

weir_status wr_report_svg(FILE *page, const char *path, const char *prefix, const char *title,
                          const char *description, struct wr_error *error)
{
    char *svg = NULL;
    WR_TRY(read_whole(path, &svg, error));
    const char *begin = strstr(svg, "<svg");
    const char *box = begin ? strstr(begin, "viewBox=\"") : NULL;
    const char *body = box ? strstr(box, "</desc>") : NULL;
    if (!body || !strstr(body, "</svg>")) {
        free(svg);
        return wr_fail(error, WEIR_FATAL, WR_EXIT_UNAVAILABLE,
                       "gnuplot left no whole plot in %s; the figures are in results.jsonl there",
                       path);
    }
    box += strlen("viewBox=\"");
    fprintf(page,
            "<svg class=\"plot\" role=\"img\" aria-labelledby=\"%s-title %s-text\" "
            "viewBox=\"%.*s\">\n<title id=\"%s-title\">",
            prefix, prefix, (int)strcspn(box, "\"<>"), box, prefix);
    wr_bench_text_html(page, title);
    fprintf(page, "</title>\n<desc id=\"%s-text\">", prefix);
    wr_bench_text_html(page, description);
    fputs("</desc>", page);
    put_with_prefix(page, body + strlen("</desc>"), prefix);
    free(svg);
    return WEIR_OK;
}
