/* nexmark_q8: monitor new users: who registered and opened an auction in the same ten seconds.
 *
 *     SELECT P.id, P.name, P.window_start FROM
 *         (SELECT DISTINCT id, name, window_start FROM TUMBLE(person, 10 s)) P
 *     JOIN (SELECT DISTINCT seller, window_start FROM TUMBLE(auction, 10 s)) A
 *     ON P.id = A.seller AND P.window_start = A.window_start
 *
 * Of each person and window one total: two letters, the first P when the person registered, the
 * second A when an auction was opened, else -, then the name. Told when the window closes; those
 * that lack one of the two are dropped. Key of a result: the person's id.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "examples/nexmark/nexmark.h"

static weir_bytes add(weir_ctx *ctx, weir_bytes so_far, const weir_record *in,
                      const weir_aggregation *self)
{
    (void)self;
    struct nexmark_event event = nexmark_event(in->value);
    const char *seen = so_far.data ? so_far.data : "--";
    weir_bytes name = {NULL, 0};
    if (seen[0] == 'P') {
        name = (weir_bytes){seen + 2, so_far.size - 2};
    } else if (event.kind == NEXMARK_PERSON) {
        name = event.name;
    }
    char *total = weir_scratch(ctx, 2 + name.size);
    if (!total) {
        return (weir_bytes){NULL, 0};
    }
    total[0] = event.kind == NEXMARK_PERSON ? 'P' : seen[0];
    total[1] = event.kind == NEXMARK_AUCTION ? 'A' : seen[1];
    if (name.size > 0) {
        memcpy(total + 2, name.data, name.size);
    }
    return (weir_bytes){total, 2 + name.size};
}

static weir_record row_of(weir_ctx *ctx, weir_bytes total, const weir_window *window,
                          const weir_aggregation *self)
{
    (void)self;
    const char *seen = total.data;
    if (seen[0] != 'P' || seen[1] != 'A') {
        return weir_reply(ctx, (weir_bytes){"", 0});
    }
    struct nexmark_row row = nexmark_row(ctx);
    nexmark_raw(&row, "id", weir_key(ctx));
    nexmark_text(&row, "name", (weir_bytes){seen + 2, total.size - 2});
    nexmark_i64(&row, "window_start", window->start_ms);
    return weir_reply(ctx, nexmark_row_end(&row));
}

static bool has_both(const weir_record *in, void *arg)
{
    (void)arg;
    return in->value.size > 0;
}

WEIR_JOB(job)
{
    weir_windows windows = weir_tumbling(10000);
    windows.emit = WEIR_EMIT_CLOSED;
    windows.late = WEIR_LATE_SIDE;
    weir_aggregation both = {.add = add, .result = row_of};

    weir_stream *events = nexmark_events(job, NEXMARK_PERSON | NEXMARK_AUCTION);
    events = weir_key_by(events, "by_person", nexmark_by_person, NULL);
    weir_stream *rows = weir_window_by(events, "window", windows, both);
    weir_into(weir_filter(rows, "both", has_both, NULL), "results", "log:results");
}
