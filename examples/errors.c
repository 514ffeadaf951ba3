/* errors: which pages fail, and how: the second job of a pipeline. It reads topic `requests` of
 * access_log.c in that job's store, live, while that job writes it: key PATH, value "STATUS BYTES".
 * Table `errors` has a count for each "STATUS PATH" from 400 on.
 *
 *     weir run build/examples/errors.so -i requests=log:requests?store=access_log.weir
 *     sqlite3 -readonly errors.weir 'SELECT value, key FROM errors ORDER BY value DESC LIMIT 10'
 *
 * Each job decides alone, in its own store, and either may be killed: this one keeps, with its
 * counts, how far it has read the other's topic. examples/pipeline.sh shows that.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <weir.h>

static const weir_bytes only = {NULL, 0}; /* the absent slot: here a key has one value */

/* Passes on what failed, with key "STATUS PATH". */
static void failed(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    const char *value = in->value.data;
    if (!in->key.data || in->value.size < 5 || value[0] < '1' || value[0] > '5' ||
        value[3] != ' ') {
        weir_reject(ctx, "no request: the key is a path, the value is STATUS BYTES");
        return;
    }
    if (value[0] < '4') {
        return;
    }
    char *key = weir_scratch(ctx, 4 + in->key.size);
    if (!key) {
        return;
    }
    memcpy(key, value, 4); /* the status and the space */
    memcpy(key + 4, in->key.data, in->key.size);
    weir_record out = *in; /* time and headers go along */
    out.key = (weir_bytes){key, 4 + in->key.size};
    weir_emit(ctx, &out);
}

static void count(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)in, (void)arg;
    int64_t seen = 0;
    weir_to_i64(weir_get(ctx, only), &seen); /* nothing stored yet: stays 0 */
    seen++;
    weir_put(ctx, only, weir_i64(ctx, seen));

    char text[24];
    snprintf(text, sizeof text, "%" PRId64, seen);
    weir_record out = weir_reply(ctx, weir_text(text));
    weir_emit(ctx, &out);
}

WEIR_JOB(job)
{
    weir_name(job, "errors");
    weir_stream *requests = weir_from(job, "requests", "log:requests?store=access_log.weir");
    weir_stream *errors = weir_through(requests, "failed", failed, NULL);
    weir_into(weir_through(errors, "count", count, NULL), "errors", "table:errors?value=integer");
}
