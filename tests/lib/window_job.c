/* window_job.c: see window_job.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/window_job.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct window_job now; /* a define function is given nothing of the test's */

void window_job_set(const struct window_job *job)
{
    now = *job;
}

static weir_bytes append(weir_ctx *ctx, weir_bytes so_far, weir_bytes value, void *arg)
{
    (void)arg;
    char *text = weir_scratch(ctx, so_far.size + value.size);
    if (!text) {
        return (weir_bytes){NULL, 0};
    }
    memcpy(text, so_far.data, so_far.size);
    memcpy(text + so_far.size, value.data, value.size);
    return (weir_bytes){text, so_far.size + value.size};
}

weir_aggregation window_job_letters(void)
{
    return weir_reduce(append, NULL);
}

static int size_of(weir_bytes bytes)
{
    return (int)bytes.size;
}

static const char *text_of(weir_bytes bytes)
{
    return bytes.data ? bytes.data : "";
}

/* A result as text, since sinks do not keep `old`. */
static weir_record show(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    size_t room = in->value.size + in->old.size + 200;
    char *text = weir_scratch(ctx, room);
    weir_bytes start = {"?", 1}, end = {"?", 1}, value = in->value;
    if (!text) {
        return *in;
    }
    if (in->header_count == 2 && strcmp(in->headers[0].name, "window_start") == 0 &&
        strcmp(in->headers[1].name, "window_end") == 0) {
        start = in->headers[0].value;
        end = in->headers[1].value;
    }
    value = value.data ? value : weir_text("-");
    int size =
        snprintf(text, room, "%.*s..%.*s %.*s%s%.*s at %" PRId64, size_of(start), text_of(start),
                 size_of(end), text_of(end), size_of(value), text_of(value),
                 in->old.data ? " was " : "", size_of(in->old), text_of(in->old), in->time_ms);
    weir_record out = *in;
    out.value = (weir_bytes){text, (size_t)size};
    out.old = (weir_bytes){NULL, 0};
    return out;
}

void window_job_define(weir_job *job)
{
    weir_stream *in = weir_from(job, "in", NULL);
    in = weir_times(in, "times", NULL, NULL, now.out_of_order_ms, 0);
    weir_stream *windows = weir_window_by(in, "windows", now.windows, now.aggregation);
    weir_into(weir_map(windows, "show", show, NULL), "out", NULL);
    weir_into(weir_side(windows, 1), "late", NULL);
}

void window_job_push(weir_test *test, const char *records)
{
    char key[32], value[32];
    int64_t time_ms;
    int size;
    while (sscanf(records, " %31s %" SCNd64 " %31[^; ]%n", key, &time_ms, value, &size) == 3) {
        weir_test_text(test, "in", strcmp(key, "-") == 0 ? NULL : key,
                       strcmp(value, "-") == 0 ? NULL : value, time_ms);
        records += size;
        records += *records == ';';
    }
}

weir_test *window_job_new(const struct window_job *job, const char *records)
{
    window_job_set(job);
    weir_test *test = weir_test_new(window_job_define, NULL);
    window_job_push(test, records);
    return test;
}

char *window_job_text(weir_test *test)
{
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    if (!file) {
        abort();
    }
    for (size_t i = 0; i < weir_test_count(test, "out"); i++) {
        const weir_record *out = weir_test_record(test, "out", i);
        fprintf(file, "%.*s %.*s; ", size_of(out->key), text_of(out->key), size_of(out->value),
                text_of(out->value));
    }
    for (size_t i = 0; i < weir_test_count(test, "late"); i++) {
        const weir_record *late = weir_test_record(test, "late", i);
        fprintf(file, "late %.*s %" PRId64 " %.*s; ", size_of(late->key), text_of(late->key),
                late->time_ms, size_of(late->value), text_of(late->value));
    }
    for (size_t i = 0; i < weir_test_rejects(test); i++) {
        fprintf(file, "rejected %s; ", weir_test_reason(test, i));
    }
    fclose(file);
    return text;
}

char *window_job_run(const struct window_job *job, const char *records, bool drain)
{
    weir_test *test = window_job_new(job, records);
    weir_test_run(test);
    if (drain) {
        weir_test_drain(test);
    }
    char *text =
        weir_test_status(test) == WEIR_OK ? window_job_text(test) : strdup(weir_test_error(test));
    weir_test_free(test);
    return text;
}

/* Frees what was found. */
static void must_equal(const char *what, char *found, const char *expected)
{
    if (strcmp(found, expected) != 0) {
        fail_msg("%s:\n  found    %s\n  expected %s", what, found, expected);
    }
    free(found);
}

void window_job_found(weir_test *test, const char *expected)
{
    must_equal("so far", window_job_text(test), expected);
}

void window_job_gives(const char *what, const struct window_job *job, const char *records,
                      bool drain, const char *expected)
{
    must_equal(what, window_job_run(job, records, drain), expected);
}
