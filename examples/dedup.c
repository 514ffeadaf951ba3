/* dedup: events that come twice or more, once: two collectors hear the same sensors, and each sends
 * again what it is not sure to have sent.
 *
 *     printf '%s\n' '{"id":"s1-7","time":1000,"heat":20}' '{"id":"s2","time":2000}' >a.json
 *     printf '%s\n' '{"id":"s2","time":2000}' '{"id":"s1-8","time":3000}' >b.json
 *     weir run build/examples/dedup.so
 *     weir consume dedup.weir events
 *
 *     -D ttl_ms=N            how long an id is remembered, by event time (3600000, an hour)
 *     -D out_of_order_ms=N   how much earlier than its predecessors an event may be (60000)
 *
 * Lines of `a` and `b` are JSON objects with a text `id` and a `time` in milliseconds. The first
 * one of each id goes on as it is, with the id as its key and that time; a line that is no such
 * object is a dead letter.
 *
 * What is kept is the ids of the last hour: an event that comes again later passes again. The hour
 * is the events' own, as far as both inputs have come, so a restart or a pause forgets nothing; an
 * input that is silent for a minute does not hold the other one back.
 *
 * Operators: weir_merge, weir_map with weir_json, weir_times, weir_deduplicate.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <weir.h>
#include <weir_ops.h>

enum { IDLE_MS = 60000 };

static weir_record parse(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_record out = *in;
    const weir_json *event = weir_json_parse(ctx, in->value);
    out.key = weir_json_text(weir_json_field(event, "id"));
    if (!out.key.data || !weir_json_i64(weir_json_field(event, "time"), &out.time_ms)) {
        weir_reject(ctx, "no JSON object with a text `id` and a number `time`");
    }
    return out;
}

WEIR_JOB(job)
{
    weir_name(job, "dedup");
    int64_t ttl_ms = weir_option_i64(job, "ttl_ms", 3600000, 1, INT32_MAX);
    int64_t out_of_order_ms = weir_option_i64(job, "out_of_order_ms", 60000, 0, INT32_MAX);

    weir_stream *a = weir_from(job, "a", "file:a.json");
    weir_stream *b = weir_from(job, "b", "file:b.json");
    weir_stream *events = weir_map(weir_merge(a, "both", b), "parse", parse, NULL);
    events = weir_times(events, "times", NULL, NULL, out_of_order_ms, IDLE_MS);
    weir_into(weir_deduplicate(events, "once", NULL, NULL, ttl_ms), "events", "log:events");
}
