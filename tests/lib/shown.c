/* shown.c: see shown.h.
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

#include "tests/lib/shown.h"
#include "txn/base/random.h"

enum { LINE_MAX_BYTES = 4096, CRASHES_MAX = 3 };

static const weir_bytes absent = {NULL, 0};

/* ---- The job's ends -------------------------------------------------------------------------- */

static weir_bytes part_of(const char *text, size_t size)
{
    if (size == 1 && *text == '-') {
        return absent;
    }
    return size == 2 && memcmp(text, "''", 2) == 0 ? (weir_bytes){"", 0} : (weir_bytes){text, size};
}

/* OLD>NEW in the value becomes a change. */
static void read_change(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_record out = *in;
    const char *text = in->value.data, *arrow = text ? memchr(text, '>', in->value.size) : NULL;
    if (arrow) {
        out.old = part_of(text, (size_t)(arrow - text));
        out.value = part_of(arrow + 1, in->value.size - (size_t)(arrow + 1 - text));
    }
    weir_emit(ctx, &out);
}

weir_stream *shown_in(weir_job *job, int64_t out_of_order_ms)
{
    weir_stream *in = weir_from(job, "in", NULL);
    in = weir_times(in, "in.time", NULL, NULL, out_of_order_ms, 0);
    return weir_through(in, "in.change", read_change, NULL);
}

static void print_bytes(FILE *out, weir_bytes bytes)
{
    if (!bytes.data || bytes.size == 0) {
        fputs(bytes.data ? "''" : "-", out);
    } else {
        fwrite(bytes.data, 1, bytes.size, out);
    }
}

static void show(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    if (weir_input(ctx) > 0) {
        fprintf(out, "#%u ", weir_input(ctx) + 1);
    }
    print_bytes(out, in->key);
    fputc(' ', out);
    print_bytes(out, in->old);
    fputc('>', out);
    print_bytes(out, in->value);
    fprintf(out, " @%lld", (long long)in->time_ms);
    for (size_t i = 0; i < in->header_count; i++) {
        fprintf(out, " %s=", in->headers[i].name);
        print_bytes(out, in->headers[i].value);
    }
    fclose(out);
    weir_record record = {.value = {text, size}, .time_ms = in->time_ms};
    weir_emit(ctx, &record);
    free(text);
}

weir_stream *shown_out(weir_stream *stream)
{
    weir_stream *node = weir_through(stream, "shown", show, NULL);
    weir_into(node, "out", NULL);
    return node;
}

/* ---- A run ----------------------------------------------------------------------------------- */

/* Pushes the record of a line; false: it is none, but moves time. */
static bool push(weir_test *test, const char *line)
{
    char copy[LINE_MAX_BYTES];
    snprintf(copy, sizeof copy, "%s", line);
    char *value = strchr(copy, ' '), *time = strrchr(copy, '@');
    if (*copy == '^' || *copy == '$') {
        return false;
    }
    if (!value || !time || time < value + 2) {
        fail_msg("no record: %s", line);
    }
    weir_record record = {.key = part_of(copy, (size_t)(value - copy)),
                          .value = part_of(value + 1, (size_t)(time - 1 - (value + 1))),
                          .time_ms = strtoll(time + 1, NULL, 10)};
    weir_test_push(test, "in", 0, &record);
    return true;
}

static weir_status run_line(weir_test *test, const char *line)
{
    if (*line == '^') {
        return weir_test_advance(test, "in", strtoll(line + 1, NULL, 10));
    }
    return *line == '$' ? weir_test_drain(test) : weir_test_run(test);
}

static void fail_run(const weir_test *test, const char *line)
{
    fail_msg("at `%s`: %s", line, weir_test_error(test));
}

/* Runs what a line asks for, through `crashes` crashes at the given fault point and those after. */
static void run_through(weir_test *test, const char *line, enum shown_crash crash, int *point)
{
    if (crash == SHOWN_FAULTS) {
        *point = weir_test_fault(*point) ? *point : 0;
        weir_test_crash_at(test, weir_test_fault((*point)++), 1);
    }
    for (int crashes = 0; run_line(test, line) != WEIR_OK;) {
        if (!weir_test_crashed(test) || ++crashes > CRASHES_MAX) {
            fail_run(test, line);
        }
        if (weir_test_restart(test, NULL) != WEIR_OK) {
            fail_run(test, line);
        }
    }
    if (crash == SHOWN_CRASH) {
        weir_test_crash(test);
        if (weir_test_restart(test, NULL) != WEIR_OK) {
            fail_run(test, line);
        }
    }
}

static char *what_came_out(weir_test *test)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    for (size_t i = 0; i < weir_test_count(test, "out"); i++) {
        const weir_record *record = weir_test_record(test, "out", i);
        fprintf(out, "%.*s\n", (int)record->value.size, (const char *)record->value.data);
    }
    for (size_t i = 0; i < weir_test_rejects(test); i++) {
        fprintf(out, "! %s\n", weir_test_reason(test, i));
    }
    fclose(out);
    return text;
}

char *shown_run(void (*define)(weir_job *), const char *lines, const weir_test_options *options,
                bool step, enum shown_crash crash)
{
    weir_test *test = weir_test_new(define, options);
    if (weir_test_status(test) != WEIR_OK) {
        fail_run(test, "the start");
    }
    int point = 0;
    while (*lines) {
        char line[LINE_MAX_BYTES];
        size_t size = strcspn(lines, "\n");
        assert_in_range(size, 1, sizeof line - 1);
        memcpy(line, lines, size);
        line[size] = '\0';
        lines += size + (lines[size] == '\n');
        if (*line == '^' || *line == '$') {
            run_through(test, "what was pushed", SHOWN_NO_CRASH, &point);
        }
        if (!push(test, line) || step || crash != SHOWN_NO_CRASH) {
            run_through(test, line, crash, &point);
        }
    }
    run_through(test, "the end", SHOWN_NO_CRASH, &point);
    char *text = what_came_out(test);
    weir_test_free(test);
    return text;
}

/* Frees what was found. */
static void must_equal(char *found, const char *expected, size_t run)
{
    if (strcmp(found, expected) != 0) {
        print_error("run %zu gives\n%s\ninstead of\n%s\n", run, found, expected);
    }
    assert_string_equal(found, expected);
    free(found);
}

void shown_check(void (*define)(weir_job *), const char *lines, const char *expected)
{
    static const struct {
        weir_test_options options;
        bool step;
        enum shown_crash crash;
    } runs[] = {
        {{0}, false, SHOWN_NO_CRASH},
        {{.epoch_records = 1, .cache_bytes = -1}, false, SHOWN_NO_CRASH},
        {{.epoch_records = 2, .decide_late = true}, false, SHOWN_NO_CRASH},
        {{0}, true, SHOWN_CRASH},
        {{.epoch_records = 1, .cache_bytes = -1}, true, SHOWN_FAULTS},
    };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        char *found = shown_run(define, lines, &runs[i].options, runs[i].step, runs[i].crash);
        must_equal(found, expected, i);
    }
}

void shown_values(void (*define)(weir_job *), const char *lines, const char *expected)
{
    must_equal(shown_run(define, lines, NULL, false, SHOWN_NO_CRASH), expected, 0);
}

char *shown_random(void (*define)(weir_job *), const char *lines, uint64_t *random)
{
    static const int64_t caches[] = {-1, 300, 2000, 0};
    uint64_t chance = wr_random_next(random);
    weir_test_options options = {.epoch_records =
                                     chance & 1 ? 1 + (int64_t)((chance >> 1) % 20) : 0,
                                 .cache_bytes = caches[(chance >> 10) % 4],
                                 .decide_late = (chance >> 12) & 1};
    bool step = (chance >> 13) & 1;
    return shown_run(define, lines, &options, step, (enum shown_crash)((chance >> 14) % 3));
}

void shown_refused(void (*define)(weir_job *), const char *text)
{
    weir_test *test = weir_test_new(define, NULL);
    assert_int_equal(weir_test_status(test), WEIR_MISUSE);
    if (!strstr(weir_test_error(test), text)) {
        fail_msg("`%s` does not say `%s`", weir_test_error(test), text);
    }
    weir_test_free(test);
}
