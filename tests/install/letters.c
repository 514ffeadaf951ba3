/* letters.c: a job as a user of an installed weir writes it: how many lines begin with each letter.
 * letters.cc is the same one in C++.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <weir.h>
#include <weir_ops.h>

static bool has_letter(const weir_record *in, void *arg)
{
    (void)arg;
    return in->value.size > 0;
}

static weir_record by_letter(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)ctx, (void)arg;
    weir_record out = *in;
    out.key = (weir_bytes){in->value.data, 1};
    return out;
}

static void count(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)in, (void)arg;
    static const weir_bytes only = {NULL, 0};
    int64_t seen = 0;
    weir_to_i64(weir_get(ctx, only), &seen);
    weir_put(ctx, only, weir_i64(ctx, seen + 1));

    char text[24];
    snprintf(text, sizeof text, "%" PRId64, seen + 1);
    weir_record out = weir_reply(ctx, weir_text(text));
    weir_emit(ctx, &out);
}

WEIR_JOB(job)
{
    weir_name(job, "letters");
    weir_stream *lines =
        weir_filter(weir_from(job, "lines", "file:in.txt"), "some", has_letter, NULL);
    weir_stream *keyed = weir_map(lines, "by-letter", by_letter, NULL);
    weir_into(weir_through(keyed, "count", count, NULL), "counts", "table:counts?value=integer");
}
