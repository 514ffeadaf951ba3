/* top10: the ten pages that are asked for most, in a table that is right after every request. It
 * reads topic `requests` of access_log.c, in which the key of a record is the page, live, while
 * that job writes it; any stream will do whose keys are to be ranked:
 *
 *     weir run build/examples/access_log.so -i lines=file:/var/log/apache2/access.log
 *     weir run build/examples/top10.so --until-end
 *     sqlite3 -readonly top10.weir 'SELECT key, value FROM top10 ORDER BY key'
 *
 *     weir run build/examples/top10.so -i requests=gen:keyed?records=100000,keys=100
 *
 *     -D n=N   so many (10)
 *
 * Table `top10`: key RANK, value REQUESTS PAGE; of pages with the same number the one that has it
 * longer comes first.
 *
 * How changes work: `count` emits what the count of a page is now, and in the record's `old` what
 * it was before. `top` takes that row away and puts the new one in its place, and emits a change
 * for each rank at which another row stands now. Both keep a row for each page, for ever.
 *
 * Operators: weir_aggregate with weir_count, weir_key_by, weir_top.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <weir.h>
#include <weir_ops.h>

/* REQUESTS PAGE: the page goes into the value, since the key is to be one for all. */
static weir_record row_of(weir_ctx *ctx, weir_bytes total, const weir_window *window,
                          const weir_aggregation *self)
{
    (void)window, (void)self;
    weir_bytes page = weir_key(ctx);
    return weir_reply(ctx, weir_format(ctx, "%.*s %.*s", (int)total.size, (const char *)total.data,
                                       (int)page.size, (const char *)page.data));
}

/* All pages are ranked together: one key. */
static weir_bytes all(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)ctx, (void)in, (void)arg;
    return weir_text("all");
}

/* The digits that the value begins with; there is a space behind them. */
static bool requests_of(const weir_record *in, void *arg, int64_t *out)
{
    (void)arg;
    *out = strtoll(in->value.data, NULL, 10);
    return true;
}

static weir_record ranked(weir_ctx *ctx, const weir_record *row, int64_t rank, void *arg)
{
    (void)arg;
    weir_record out = *row;
    out.key = weir_format(ctx, "%" PRId64, rank);
    return out;
}

WEIR_JOB(job)
{
    weir_name(job, "top10");
    int64_t n = weir_option_i64(job, "n", 10, 1, 10000);
    weir_aggregation count = weir_count();
    count.result = row_of;

    weir_stream *requests = weir_from(job, "requests", "log:requests?store=access_log.weir");
    weir_stream *counts = weir_aggregate(requests, "count", count);
    counts = weir_key_by(counts, "all", all, NULL);
    weir_stream *top = weir_top(counts, "top", n, true, requests_of, ranked, NULL);
    weir_into(top, "top10", "table:top10?key=integer");
}
