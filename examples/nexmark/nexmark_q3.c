/* nexmark_q3: local item suggestion: who in some states sells in category 10.
 *
 *     SELECT P.name, P.city, P.state, A.id FROM auction A JOIN person P ON A.seller = P.id
 *     WHERE A.category = 10 AND P.state IN ('or', 'id', 'ca')
 *
 * Both sides are tables of what came once and stays: a row is there as soon as both are, whichever
 * came first. Key of a result: the auction's id. Keeps both for ever.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "examples/nexmark/nexmark.h"

static bool is_local(const weir_record *in, void *arg)
{
    (void)arg;
    struct nexmark_event event = nexmark_event(in->value);
    static const char *const states[] = {"or", "id", "ca"};
    for (int i = 0; event.kind == NEXMARK_PERSON && i < 3; i++) {
        if (event.state.size == 2 && memcmp(event.state.data, states[i], 2) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_in_category(const weir_record *in, void *arg)
{
    (void)arg;
    struct nexmark_event event = nexmark_event(in->value);
    return event.kind == NEXMARK_AUCTION && event.auction.category == 10;
}

static weir_bytes seller(weir_ctx *ctx, const weir_record *in, void *arg)
{
    (void)arg;
    return nexmark_key(ctx, nexmark_event(in->value).auction.seller);
}

static weir_bytes row_of(weir_ctx *ctx, const weir_record *left, const weir_record *right,
                         void *arg)
{
    (void)arg;
    struct nexmark_event person = nexmark_event(right->value);
    struct nexmark_row row = nexmark_row(ctx);
    nexmark_text(&row, "name", person.name);
    nexmark_text(&row, "city", person.city);
    nexmark_text(&row, "state", person.state);
    nexmark_i64(&row, "id", nexmark_event(left->value).auction.id);
    return nexmark_row_end(&row);
}

WEIR_JOB(job)
{
    weir_stream *events = nexmark_events(job, NEXMARK_PERSON | NEXMARK_AUCTION);
    weir_stream *persons = weir_filter(events, "local", is_local, NULL);
    persons = weir_key_by(persons, "by_person", nexmark_by_person, NULL);
    weir_stream *auctions = weir_filter(events, "category", is_in_category, NULL);
    auctions = weir_key_by(auctions, "by_auction", nexmark_by_auction, NULL);
    weir_stream *rows =
        weir_join_foreign(auctions, "join", persons, WEIR_INNER, seller, row_of, NULL);
    weir_into(rows, "results", "log:results");
}
