/* steps.c: see steps.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/kit.h"

enum { OUT_OF_ORDER_MS = 100000000 };

/* ---- The job --------------------------------------------------------------------------------- */

/* The side is in a header, so that keys and values can be absent. */
static void split(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_record out = *in;
    out.headers = NULL;
    out.header_count = 0;
    weir_emit_to(ctx, in->headers[0].name[0] == 'R', &out);
}

static weir_record show(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_record out = *in;
    size_t size = in->value.size + in->old.size + 2;
    char *text = weir_scratch(ctx, size);
    if (text && (in->value.data || in->old.data)) {
        int end = snprintf(text, size, "%s%.*s", in->value.data ? "=" : "", (int)in->value.size,
                           in->value.data ? (const char *)in->value.data : "");
        if (in->old.data) {
            text[end++] = '<';
            memcpy(text + end, in->old.data, in->old.size);
        }
        out.value = (weir_bytes){text, (size_t)end + in->old.size};
    }
    return out;
}

void steps_in_order(weir_job *job, int64_t out_of_order_ms, weir_stream **left_out,
                    weir_stream **right_out)
{
    weir_stream *in = weir_from(job, "in", NULL);
    in = weir_times(in, "times", NULL, NULL, out_of_order_ms, 0);
    *left_out = weir_through(in, "split", split, NULL);
    *right_out = weir_side(*left_out, 1);
}

void steps_in(weir_job *job, weir_stream **left_out, weir_stream **right_out)
{
    steps_in_order(job, OUT_OF_ORDER_MS, left_out, right_out);
}

void steps_out(weir_stream *results, const char *name)
{
    char show_name[40];
    snprintf(show_name, sizeof show_name, "show.%s", name);
    char sink_name[40];
    snprintf(sink_name, sizeof sink_name, "out.%s", name);
    weir_into(weir_map(results, show_name, show, NULL), sink_name, NULL);
}

void steps_reject(weir_ctx *ctx, const char *why, const char *name)
{
    char text[80];
    snprintf(text, sizeof text, "%s: %s", why, name);
    weir_reject(ctx, text);
}

weir_bytes steps_join(weir_ctx *ctx, const weir_record *left, const weir_record *right, void *arg)
{
    weir_bytes none = weir_text(".");
    weir_bytes values[] = {left ? left->value : none, right ? right->value : none};
    char *text = weir_scratch(ctx, values[0].size + values[1].size + 1), *end = text;
    for (int i = 0; text && i < 2; i++) {
        if (values[i].size == 1 && *(const char *)values[i].data == '!') {
            steps_reject(ctx, "loud", arg);
            return none;
        }
        if (i == 1) {
            *end++ = '+';
        }
        if (values[i].size > 0) {
            memcpy(end, values[i].data, values[i].size);
        }
        end += values[i].size;
    }
    return (weir_bytes){text, text ? (size_t)(end - text) : 0};
}

/* ---- Steps ----------------------------------------------------------------------------------- */

void steps_push(weir_test *test, bool right, weir_bytes key, weir_bytes value, int64_t time_ms)
{
    const weir_header side = {right ? "R" : "L", {NULL, 0}};
    weir_record record = {
        .key = key, .value = value, .time_ms = time_ms, .headers = &side, .header_count = 1};
    weir_test_push(test, "in", 0, &record);
}

static void push(weir_test *test, const char *step, size_t size)
{
    const char *at = memchr(step, '@', size), *is = memchr(step, '=', size);
    weir_bytes value = {NULL, 0};
    if (!at || size < 3 || step[1] != ':') {
        fail_msg("no step: %.*s", (int)size, step);
        return;
    }
    weir_bytes key = {step + 2, (size_t)((is ? is : at) - step - 2)};
    if (key.size == 1 && step[2] == '-') {
        key = (weir_bytes){NULL, 0};
    }
    if (is) {
        value = (weir_bytes){is + 1, (size_t)(at - is - 1)};
    }
    steps_push(test, step[0] != 'L', key, value, strtoll(at + 1, NULL, 10));
    kit_must(test, weir_test_run(test));
}

/* With a crash after the crash-th step. */
static int take(weir_test *test, const char *steps, int crash)
{
    int count = 0;
    for (const char *at = steps + strspn(steps, " "); *at; at += strspn(at, " ")) {
        size_t size = strcspn(at, " ");
        if (*at == 'W') {
            kit_must(test,
                     weir_test_advance(test, "in", strtoll(at + 2, NULL, 10) + OUT_OF_ORDER_MS));
        } else if (*at == 'D') {
            kit_must(test, weir_test_drain(test));
        } else if (*at != 'X') {
            push(test, at, size);
        }
        if (++count == crash || *at == 'X') {
            weir_test_crash(test);
            kit_must(test, weir_test_restart(test, NULL));
        }
        at += size;
    }
    return count;
}

void steps_take(weir_test *test, const char *steps)
{
    (void)take(test, steps, 0);
}

char *steps_answer(weir_test *test, const char *name)
{
    char *text = NULL, sink[40];
    size_t size;
    FILE *file = open_memstream(&text, &size);
    const char *blank = "";
    snprintf(sink, sizeof sink, "out.%s", name);
    for (size_t i = 0; i < weir_test_count(test, sink); i++, blank = " ") {
        const weir_record *record = weir_test_record(test, sink, i);
        fprintf(file, "%s%.*s%.*s@%lld", blank, record->key.data ? (int)record->key.size : 1,
                record->key.data ? (const char *)record->key.data : "-", (int)record->value.size,
                record->value.data ? (const char *)record->value.data : "",
                (long long)record->time_ms);
    }
    for (size_t i = 0; i < weir_test_rejects(test); i++) {
        const char *reason = weir_test_reason(test, i);
        if (strstr(reason, name)) {
            fprintf(file, "%s!%.*s", blank, (int)strcspn(reason, ":"), reason);
            blank = " ";
        }
    }
    fclose(file);
    return text;
}

static void check_answer(weir_test *test, const char *steps, const char *name, const char *expected,
                         int crash)
{
    char *answer = steps_answer(test, name);
    if (strcmp(answer, expected) != 0) {
        fail_msg("%s (with a crash after step %d)\n    %s gives    %s\n    but not  %s", steps,
                 crash, name, answer, expected);
    }
    free(answer);
}

void steps_check(void (*define)(weir_job *), const char *const *names,
                 const struct steps_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int steps = 0;
        for (int again = 0; again < 2; again++) {
            weir_test_options options = {.cache_bytes = again ? -1 : 0};
            int crash = again && steps ? 1 + (int)(i % (size_t)steps) : 0;
            weir_test *test = weir_test_new(define, &options);
            kit_must(test, weir_test_status(test));
            steps = take(test, cases[i].steps, crash);
            for (size_t j = 0; j < STEPS_ANSWERS_MAX; j++) {
                if (cases[i].answers[j]) {
                    check_answer(test, cases[i].steps, names[j], cases[i].answers[j], crash);
                }
            }
            weir_test_free(test);
        }
    }
}
