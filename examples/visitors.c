/* visitors: the sessions of each visitor of a web site, from its access log in Apache's common or
 * combined format: from when to when, and how many requests. A session ends when nothing has come
 * for half an hour. A visitor is what a line begins with, the address.
 *
 *     weir run build/examples/visitors.so -i lines=file:/var/log/apache2/access.log --drain
 *     weir consume visitors.weir sessions
 *
 *     -D gap_ms=N            requests up to N ms apart are one session (1800000)
 *     -D out_of_order_ms=N   how much earlier than its predecessors a line may be (10000)
 *
 * Topic `sessions` has a record for each session that is over: key VISITOR, value
 * START,END,REQUESTS with the times of its first and last request in milliseconds. --drain ends
 * those still open.
 *
 * Late lines: one that can lengthen no open session is a dead letter, as is a line that is of
 * another format. What the job keeps is the open sessions.
 *
 * Operators: weir_map, weir_times, weir_window_by with weir_session and weir_count. session.c does
 * the same by hand, to show what is behind it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <weir.h>
#include <weir_ops.h>

/* HOST - - [17/May/2015:10:05:03 +0000] ...: the line with HOST as its key. */
static weir_record parse(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char *line = weir_scratch(ctx, in->value.size + 1),
         *host = weir_scratch(ctx, in->value.size + 1);
    char month[4] = "";
    int zone = 0, used = 0; /* the zone: HHMM ahead, as one number */
    struct tm at = {.tm_year = 0};
    weir_record out = *in;
    if (!line || !host) {
        return out;
    }
    memcpy(line, in->value.data ? in->value.data : "", in->value.size);
    line[in->value.size] = '\0';
    sscanf(line, "%s %*[^[][%2d/%3s/%4d:%2d:%2d:%2d %5d]%n", host, &at.tm_mday, month, &at.tm_year,
           &at.tm_hour, &at.tm_min, &at.tm_sec, &zone, &used);
    const char *found = strstr(months, month);
    if (used == 0 || !found || (found - months) % 3 != 0) {
        weir_reject(ctx, "the line does not begin with HOST - - [DD/Mon/YYYY:HH:MM:SS +HHMM]");
        return out;
    }
    at.tm_mon = (int)(found - months) / 3;
    at.tm_year -= 1900;
    out.time_ms = (timegm(&at) - (zone / 100 * 60 + zone % 100) * 60) * 1000;
    out.key = weir_text(host);
    return out;
}

/* START,END,REQUESTS. A session's window is [first, last + gap). */
static weir_record report(weir_ctx *ctx, weir_bytes total, const weir_window *window,
                          const weir_aggregation *self)
{
    const int64_t *gap_ms = self->arg;
    return weir_reply(ctx, weir_format(ctx, "%" PRId64 ",%" PRId64 ",%.*s", window->start_ms,
                                       window->end_ms - *gap_ms, (int)total.size,
                                       (const char *)total.data));
}

WEIR_JOB(job)
{
    weir_name(job, "visitors");
    int64_t out_of_order_ms = weir_option_i64(job, "out_of_order_ms", 10000, 0, INT32_MAX);
    int64_t *gap_ms = weir_alloc(job, sizeof *gap_ms);
    *gap_ms = weir_option_i64(job, "gap_ms", 1800000, 1, INT32_MAX);
    weir_windows sessions = weir_session(*gap_ms);
    sessions.emit = WEIR_EMIT_CLOSED;
    weir_aggregation requests = weir_count();
    requests.result = report;
    requests.arg = gap_ms;

    weir_stream *lines = weir_from(job, "lines", "file:access.log");
    weir_stream *visits = weir_map(lines, "parse", parse, NULL);
    visits = weir_times(visits, "times", NULL, NULL, out_of_order_ms, 0);
    visits = weir_window_by(visits, "visitors", sessions, requests);
    weir_into(visits, "sessions", "log:sessions");
}
