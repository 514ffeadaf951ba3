/* poison.c: see poison.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/poison.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLAKY_MAX = 4096, HUGE_BYTES = 600000, HUGE_COUNT = 40 };

/* A job's functions get nothing that lasts longer than an instance: these do. */
static struct poison poison;
static int flaky_left[FLAKY_MAX]; /* by offset, failures yet to come, plus one; 0: not seen */

struct poison *poison_begin(void)
{
    memset(&poison, 0, sizeof poison);
    memset(flaky_left, 0, sizeof flaky_left);
    return &poison;
}

static void note_origin(weir_ctx *ctx)
{
    const char *source;
    int32_t partition;
    int64_t offset;
    weir_origin(ctx, &source, &partition, &offset);
    snprintf(poison.last_origin, sizeof poison.last_origin, "%s %d %lld",
             source ? source : "(none)", (int)partition, (long long)offset);
}

static bool flaky(weir_ctx *ctx, int times)
{
    int64_t offset;
    weir_origin(ctx, NULL, NULL, &offset);
    int *left = &flaky_left[offset % FLAKY_MAX];
    *left = *left ? *left : times + 1;
    if (*left > 1) {
        (*left)--;
        return true;
    }
    return false;
}

/* Whether what is to be done with `text` went wrong. */
static bool goes_wrong(weir_ctx *ctx, const char *text)
{
    bool flakes = strncmp(text, "flaky", 5) == 0 && flaky(ctx, atoi(text + 6));
    if (flakes || (strcmp(text, "poison") == 0 && !poison.mended)) {
        poison.failed++;
        weir_fail(ctx, WEIR_ABORT, "%s as asked", text);
        return true;
    }
    if (strcmp(text, "fatal") == 0) {
        weir_fail(ctx, WEIR_FATAL, "fatal as asked");
        return true;
    }
    if (strcmp(text, "bad") == 0 && !poison.mended) {
        weir_reject(ctx, "bad as asked");
        return true;
    }
    return false;
}

static void emit_huge(weir_ctx *ctx)
{
    void *bytes = weir_scratch(ctx, HUGE_BYTES);
    for (int i = 0; bytes && i < HUGE_COUNT; i++) {
        memset(bytes, 'h', HUGE_BYTES);
        weir_record out = weir_reply(ctx, (weir_bytes){bytes, HUGE_BYTES});
        weir_emit(ctx, &out);
    }
}

static void emit_text(weir_ctx *ctx, unsigned side, const char *text)
{
    weir_record out = weir_reply(ctx, weir_text(text));
    weir_emit_to(ctx, side, &out);
}

static void act(weir_ctx *ctx, const weir_record *in, void *arg)
{
    char text[200], answer[240];
    weir_bytes what = in ? in->value : weir_timer(ctx);
    int size = what.size < sizeof text - 1 ? (int)what.size : (int)sizeof text - 1;
    (void)arg;
    snprintf(text, sizeof text, "%.*s", size, what.data ? (const char *)what.data : "");
    poison.calls++;
    note_origin(ctx);
    if (goes_wrong(ctx, text)) {
        return;
    }
    if (!in) {
        snprintf(answer, sizeof answer, "fired %s", text);
        emit_text(ctx, 0, answer);
    } else if (strcmp(text, "huge") == 0) {
        emit_huge(ctx);
    } else if (strncmp(text, "wake", 4) == 0) {
        weir_wake(ctx, text[4] ? weir_text(text + 5) : (weir_bytes){NULL, 0}, in->time_ms + 10);
    } else if (strncmp(text, "number ", 7) == 0) {
        emit_text(ctx, 1, text + 7);
    } else {
        int64_t seen = 0;
        weir_to_i64(weir_get(ctx, weir_text("n")), &seen);
        weir_put(ctx, weir_text("n"), weir_i64(ctx, seen + 1));
        snprintf(answer, sizeof answer, "%lld %s", (long long)seen + 1, text);
        emit_text(ctx, 0, answer);
    }
}

static void define(weir_job *job, const char *name)
{
    weir_stream *node = weir_through(weir_from(job, "in", NULL), name, act, NULL);
    weir_into(node, "out", NULL);
    weir_into(weir_side(node, 1), "numbers", "table:numbers?value=integer");
}

void poison_define(weir_job *job)
{
    define(job, "node");
}

void poison_define_renamed(weir_job *job)
{
    define(job, "renamed");
}
