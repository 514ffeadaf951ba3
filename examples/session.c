/* session: who was active from when to when. Lines of `events` are TIME_MS,USER; a session of a
 * user ends when nothing came for gap_ms, and gives one record: key USER, value START,END,COUNT.
 *
 *     weir run build/examples/session.so -i events=file:clicks.csv --drain -D gap_ms=60000
 *     weir consume session.weir sessions
 *
 *     -D gap_ms=N            events up to N ms apart are one session (1800000, half an hour)
 *     -D out_of_order_ms=N   how much earlier than its predecessors an event may be (0)
 *
 * How it works: a user's open sessions are slots, named by their start; an open session has a timer
 * of the same name, due as soon as no event can lengthen it any more. An event that lengthens a
 * session moves its timer, and one that fills the gap between two makes them one.
 *
 * Late events: an event whose session would be closed by now goes to the sink `late`, as it came,
 * and changes nothing. A late one that still meets an open session is counted there.
 * A line that is not TIME_MS,USER is a dead letter; `weir rejects` lists them.
 *
 * By hand, to show what the raw operator can do; visitors.c has sessions from weir_window_by.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>

enum { SIDE_LATE = 1 };
static const weir_bytes absent = {NULL, 0};

struct settings {
    int64_t gap_ms;
};

struct session {
    int64_t start_ms, end_ms; /* its first and its last event */
    int64_t count;
};

/* TIME_MS,USER: digits, a comma, something. */
static bool parse(weir_bytes line, int64_t *time_ms_out, weir_bytes *user_out)
{
    const char *text = line.data;
    size_t at = 0;
    *time_ms_out = 0;
    for (; at < line.size && at < 15 && text[at] >= '0' && text[at] <= '9'; at++) {
        *time_ms_out = *time_ms_out * 10 + (text[at] - '0');
    }
    if (at == 0 || at + 1 >= line.size || text[at] != ',') {
        return false;
    }
    *user_out = (weir_bytes){text + at + 1, line.size - at - 1};
    return true;
}

static int64_t time_of(const weir_record *in, void *arg)
{
    (void)arg;
    int64_t time_ms;
    weir_bytes user;
    return parse(in->value, &time_ms, &user) ? time_ms : 0; /* 0 moves no watermark */
}

static void by_user(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    int64_t time_ms;
    weir_record out = *in;
    if (parse(in->value, &time_ms, &out.key)) {
        weir_emit(ctx, &out);
    } else {
        weir_reject(ctx, "the line is not TIME_MS,USER");
    }
}

struct merge {
    struct session session; /* what the event and the sessions it meets become */
    int64_t gap_ms;
};

/* Takes one open session into the merge, if they meet. */
static bool absorb(weir_ctx *ctx, weir_bytes slot, weir_bytes value, void *arg)
{
    struct merge *merge = arg;
    struct session open;
    memcpy(&open, value.data, sizeof open);
    if (open.end_ms + merge->gap_ms >= merge->session.start_ms) {
        weir_put(ctx, slot, absent);
        weir_wake(ctx, slot, INT64_MAX); /* cancels its timer */
        if (open.start_ms < merge->session.start_ms) {
            merge->session.start_ms = open.start_ms;
        }
        if (open.end_ms > merge->session.end_ms) {
            merge->session.end_ms = open.end_ms;
        }
        merge->session.count += open.count;
    }
    return true;
}

static void add_event(weir_ctx *ctx, const weir_record *in, int64_t gap_ms)
{
    int64_t now = in->time_ms;
    struct merge merge = {{now, now, 1}, gap_ms};
    weir_scan(ctx, absent, weir_i64(ctx, now + gap_ms + 1), absorb, &merge);

    /* An event at end + gap still belongs to the session, and one at the watermark may still come:
     * the session closes one millisecond later. */
    int64_t closes_ms = merge.session.end_ms + gap_ms + 1;
    if (closes_ms <= weir_watermark(ctx)) { /* it met no open session: those close later */
        weir_emit_to(ctx, SIDE_LATE, in);
        return;
    }
    weir_bytes slot = weir_i64(ctx, merge.session.start_ms);
    weir_put(ctx, slot, (weir_bytes){&merge.session, sizeof merge.session});
    weir_wake(ctx, slot, closes_ms);
}

static void close_session(weir_ctx *ctx)
{
    weir_bytes slot = weir_timer(ctx);
    weir_bytes value = weir_get(ctx, slot);
    if (!value.data) {
        return; /* the read failed; the epoch will be undone */
    }
    struct session closed;
    memcpy(&closed, value.data, sizeof closed);
    char text[80];
    snprintf(text, sizeof text, "%" PRId64 ",%" PRId64 ",%" PRId64, closed.start_ms, closed.end_ms,
             closed.count);
    weir_record out = weir_reply(ctx, weir_text(text));
    weir_emit(ctx, &out);
    weir_put(ctx, slot, absent);
}

static void session(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct settings *settings = arg;
    if (in) {
        add_event(ctx, in, settings->gap_ms);
    } else {
        close_session(ctx);
    }
}

/* -D name=N, a number of milliseconds. */
static int64_t option_ms(weir_job *job, const char *name, const char *fallback)
{
    const char *text = weir_option(job, name, fallback);
    char *end;
    int64_t ms = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || ms < 0 || ms > INT32_MAX) {
        weir_refuse(job, "-D %s=%s is no number of milliseconds", name, text);
        return 0;
    }
    return ms;
}

WEIR_JOB(job)
{
    weir_name(job, "session");
    struct settings *settings = weir_alloc(job, sizeof *settings);
    settings->gap_ms = option_ms(job, "gap_ms", "1800000");
    int64_t out_of_order_ms = option_ms(job, "out_of_order_ms", "0");

    weir_stream *events = weir_from(job, "events", "file:events.csv");
    events = weir_times(events, "times", time_of, NULL, out_of_order_ms, 0);
    events = weir_through(events, "by-user", by_user, NULL);
    weir_stream *sessions = weir_through(events, "session", session, settings);
    weir_into(sessions, "sessions", "log:sessions");
    weir_into(weir_side(sessions, SIDE_LATE), "late", "log:late");
}
