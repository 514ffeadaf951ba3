/* fraud: a small payment, and the next one of the same card, within a minute, is a large one: who
 * has stolen a card tries it first. The pattern of Flink's tutorial on its DataStream API.
 *
 *     printf '%s\n' 1000,ann,50 9000,ann,60000 9500,bob,60000 >payments.csv
 *     weir run build/examples/fraud.so
 *     weir consume fraud.weir alerts
 *
 * Lines of `payments` are TIME_MS,CARD,CENTS, in the order of their times. Topic `alerts` has a
 * record for each payment that is to be looked at: key CARD, value as the payment's, which is
 * CENTS, and its time. Small is less than 1.00, large more than 500.00; -D small=CENTS and
 * -D large=CENTS say otherwise. A payment exactly a minute later still counts.
 *
 * What is kept is a time for each card whose last payment was small, and a timer that takes it away
 * when the minute is over: the raw operator, weir_through, with weir_put and weir_wake. Without
 * the timer the job would keep something of each card that was ever used so, for ever.
 *
 * A line that is none, or is earlier than one before it, is a dead letter.
 *
 * Operators: weir_map, weir_times, weir_through.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <weir.h>
#include <weir_ops.h>

enum { WITHIN_MS = 60000 };
static const weir_bytes absent = {NULL, 0};

struct limits {
    int64_t small, large; /* cents */
};

/* Takes what is before the first comma off the front of `rest`. */
static bool take(weir_bytes *rest, weir_bytes *field_out)
{
    const char *text = rest->data, *comma = rest->size > 0 ? memchr(text, ',', rest->size) : NULL;
    if (!comma) {
        return false;
    }
    *field_out = (weir_bytes){text, (size_t)(comma - text)};
    *rest = (weir_bytes){comma + 1, rest->size - field_out->size - 1};
    return true;
}

/* Digits and nothing else, 15 at most. */
static bool number(weir_bytes text, int64_t *out)
{
    const char *digits = text.data;
    *out = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (i == 15 || digits[i] < '0' || digits[i] > '9') {
            return false;
        }
        *out = *out * 10 + (digits[i] - '0');
    }
    return text.size > 0;
}

/* TIME_MS,CARD,CENTS: a record with CARD as key and CENTS as value. */
static weir_record parse(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    weir_record out = *in;
    weir_bytes time;
    int64_t cents;
    if (!take(&out.value, &time) || !take(&out.value, &out.key) || out.key.size == 0 ||
        !number(time, &out.time_ms) || !number(out.value, &cents)) {
        weir_reject(ctx, "the line is not TIME_MS,CARD,CENTS");
    }
    return out;
}

/* Keeps the time of a card's last payment, if it was small. */
static void look(weir_ctx *ctx, const weir_record *in, void *arg)
{
    const struct limits *limits = arg;
    int64_t cents = 0, small_ms;
    if (!in) { /* the minute after a small payment is over */
        weir_put(ctx, absent, absent);
        return;
    }
    if (in->time_ms < weir_watermark(ctx)) {
        weir_reject(ctx, "earlier than a payment before it");
        return;
    }
    number(in->value, &cents);
    bool after_small = weir_to_i64(weir_get(ctx, absent), &small_ms);
    if (cents < limits->small) {
        weir_put(ctx, absent, weir_i64(ctx, in->time_ms));
        weir_wake(ctx, absent, in->time_ms + WITHIN_MS + 1); /* moves the one there was */
    } else if (after_small) {
        weir_put(ctx, absent, absent);
        weir_wake(ctx, absent, INT64_MAX); /* cancels it */
    }
    /* A record finds the timers fired that its predecessors made due, so the time is looked at. */
    if (after_small && in->time_ms <= small_ms + WITHIN_MS && cents > limits->large) {
        weir_emit(ctx, in);
    }
}

WEIR_JOB(job)
{
    weir_name(job, "fraud");
    struct limits *limits = weir_alloc(job, sizeof *limits);
    limits->small = weir_option_i64(job, "small", 100, 0, INT64_MAX);
    limits->large = weir_option_i64(job, "large", 50000, 0, INT64_MAX);

    weir_stream *payments = weir_from(job, "payments", "file:payments.csv");
    payments = weir_map(payments, "parse", parse, NULL);
    payments = weir_times(payments, "times", NULL, NULL, 0, 0);
    weir_into(weir_through(payments, "look", look, limits), "alerts", "log:alerts");
}
