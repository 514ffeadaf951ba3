/* nexmark_q16: statistics of a channel and day: query 15 for each channel, with the minute of its
 * latest bid.
 *
 *     SELECT channel, DATE(date_time) AS day, MAX(MINUTE(date_time)) AS minute, COUNT(*) ...
 *     FROM bid GROUP BY channel, day
 *
 * A table: key DAY/CHANNEL.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "examples/nexmark/nexmark.h"

static weir_bytes by_channel(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    struct nexmark_event bid = nexmark_event(in->value);
    weir_bytes day = nexmark_day(ctx, bid.date_time);
    char *key = weir_scratch(ctx, day.size + 1 + bid.channel.size);
    if (!key || !day.data) {
        return (weir_bytes){NULL, 0};
    }
    memcpy(key, day.data, day.size);
    key[day.size] = '/';
    memcpy(key + day.size + 1, bid.channel.data, bid.channel.size);
    return (weir_bytes){key, day.size + 1 + bid.channel.size};
}

static void head(struct nexmark_row *row, const struct nexmark_event *event, int64_t minute)
{
    nexmark_text(row, "channel", event->channel);
    nexmark_text(row, "day", nexmark_day(row->ctx, event->date_time));
    nexmark_minute_text(row, "minute", minute);
}

WEIR_JOB(job)
{
    weir_stream *bids = nexmark_events(job, NEXMARK_BID);
    bids = weir_key_by(bids, "by_channel", by_channel, NULL);
    weir_into(nexmark_count_ranks(bids, "count", head), "results", "log:results");
}
