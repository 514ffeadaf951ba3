/* bench_odd.c: a job that does what a job should not, by -D how=: `clock` gives out the time, so
 * that no two runs are alike; `reject` refuses every third record; `abort` and `exit` end
 * the process at the tenth record that it sees.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weir.h>

enum { ENDS_AT = 10 };

struct odd {
    const char *how;
    int seen;
};

static void do_odd(weir_ctx *ctx, const weir_record *in, void *arg)
{
    struct odd *odd = arg;
    int64_t count = 0;
    struct timespec now;
    char text[32];
    bool ends = ++odd->seen == ENDS_AT;
    if (ends && strcmp(odd->how, "abort") == 0) {
        abort();
    }
    if (ends && strcmp(odd->how, "exit") == 0) {
        exit(0);
    }
    if (strcmp(odd->how, "reject") == 0 && in->time_ms % 3 == 0) {
        weir_reject(ctx, "a third");
        return;
    }
    weir_to_i64(weir_get(ctx, weir_text("count")), &count);
    weir_put(ctx, weir_text("count"), weir_i64(ctx, count + 1));
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof text, "%" PRId64,
             strcmp(odd->how, "clock") == 0 ? (int64_t)now.tv_nsec : count);
    weir_record out = weir_reply(ctx, weir_text(text));
    weir_emit(ctx, &out);
}

WEIR_JOB(job)
{
    struct odd *odd = weir_alloc(job, sizeof *odd);
    odd->how = weir_option(job, "how", "");
    odd->seen = 0;
    weir_into(weir_through(weir_from(job, "in", NULL), "odd", do_odd, odd), "out", "log:out");
}
