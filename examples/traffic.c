/* traffic: requests and error rate of each path of a web site in each minute, from its access log
 * in Apache's common or combined format, kept up to date while the log grows.
 *
 *     weir run build/examples/traffic.so -i lines=file:/var/log/apache2/access.log
 *     sqlite3 -readonly traffic.weir 'SELECT value FROM traffic ORDER BY key DESC LIMIT 10'
 *
 *     -D out_of_order_ms=N   how much earlier than its predecessors a line may be (10000)
 *     -D grace_ms=N          how long a minute that is over is still corrected (600000)
 *
 * Table `traffic` has a row for each minute and path: {"minute":"2015-05-17 10:05","path":"/a",
 * "requests":8,"errors":2,"error_rate":0.250}. A request that ended with a status of 400 or more is
 * an error.
 *
 * Late lines (a server writes a line when its request ends, with the time when it began): one
 * whose minute has been over for grace_ms goes to the sink `late`: key PATH, value STATUS, time as
 * logged. So the job keeps minutes that are not older; the table keeps all. A line of another
 * format is a dead letter (access_log.c says what exactly is wrong with one).
 *
 * Operators: weir_map, weir_times, weir_window_by with weir_tumbling and an aggregation by hand.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <weir.h>
#include <weir_ops.h>

/* HOST - - [17/May/2015:10:05:03 +0000] "GET /path?query HTTP/1.1" 200 ...: PATH and STATUS. */
static weir_record parse(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    size_t size = in->value.size;
    char *line = weir_scratch(ctx, size + 1), *path = weir_scratch(ctx, size + 1);
    char *status = weir_scratch(ctx, 4), month[4] = "";
    int zone = 0, used = 0; /* the zone: HHMM ahead, as one number */
    struct tm at = {.tm_year = 0};
    weir_record out = *in;
    if (!line || !path || !status) {
        return out;
    }
    memcpy(line, size ? in->value.data : "", size);
    line[size] = '\0';
    sscanf(line, "%*s %*[^[][%2d/%3s/%4d:%2d:%2d:%2d %5d] \"%*s %[^ ?\"]%*[^\"]\" %3[0-9]%n",
           &at.tm_mday, month, &at.tm_year, &at.tm_hour, &at.tm_min, &at.tm_sec, &zone, path,
           status, &used);
    const char *found = strstr(months, month);
    if (used == 0 || !found || (found - months) % 3 != 0) {
        weir_reject(ctx, "the line is not HOST - - [TIME] \"METHOD PATH VERSION\" STATUS ...");
        return out;
    }
    at.tm_mon = (int)(found - months) / 3;
    at.tm_year -= 1900;
    out.time_ms = (timegm(&at) - (zone / 100 * 60 + zone % 100) * 60) * 1000;
    out.key = weir_text(path);
    out.value = weir_text(status);
    return out;
}

/* What is kept of a path and minute. */
struct totals {
    int64_t requests, errors;
};

static weir_bytes add(weir_ctx *ctx, weir_bytes so_far, const weir_record *in,
                      const weir_aggregation *self)
{
    (void)self;
    struct totals *totals = weir_scratch(ctx, sizeof *totals);
    if (!totals) {
        return so_far;
    }
    *totals = (struct totals){0, 0};
    if (so_far.data) {
        memcpy(totals, so_far.data, sizeof *totals);
    }
    totals->requests++;
    totals->errors += *(const char *)in->value.data >= '4';
    return (weir_bytes){totals, sizeof *totals};
}

/* The row of the table. */
static weir_record report(weir_ctx *ctx, weir_bytes total, const weir_window *window,
                          const weir_aggregation *self)
{
    (void)self;
    struct totals totals;
    memcpy(&totals, total.data, sizeof totals);
    time_t start_s = (time_t)(window->start_ms / 1000);
    struct tm at;
    char minute[32];
    strftime(minute, sizeof minute, "%Y-%m-%d %H:%M", gmtime_r(&start_s, &at));
    weir_bytes path = weir_key(ctx), quoted = weir_json_quote(ctx, path);
    weir_record row = weir_reply(
        ctx, weir_format(ctx,
                         "{\"minute\":\"%s\",\"path\":%.*s,\"requests\":%" PRId64
                         ",\"errors\":%" PRId64 ",\"error_rate\":%.3f}",
                         minute, (int)quoted.size, (const char *)quoted.data, totals.requests,
                         totals.errors, (double)totals.errors / (double)totals.requests));
    row.key = weir_format(ctx, "%s %.*s", minute, (int)path.size, (const char *)path.data);
    return row;
}

WEIR_JOB(job)
{
    weir_name(job, "traffic");
    int64_t out_of_order_ms = weir_option_i64(job, "out_of_order_ms", 10000, 0, INT32_MAX);
    weir_windows minutes = weir_tumbling(60000);
    minutes.grace_ms = weir_option_i64(job, "grace_ms", 600000, 0, INT32_MAX);
    minutes.late = WEIR_LATE_SIDE;
    weir_aggregation traffic = {.add = add, .result = report};

    weir_stream *lines = weir_from(job, "lines", "file:access.log");
    weir_stream *requests = weir_map(lines, "parse", parse, NULL);
    requests = weir_times(requests, "times", NULL, NULL, out_of_order_ms, 0);
    weir_stream *rows = weir_window_by(requests, "minutes", minutes, traffic);
    weir_into(rows, "traffic", "table:traffic");
    weir_into(weir_side(rows, 1), "late", "log:late");
}
