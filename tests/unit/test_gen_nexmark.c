/* test_gen_nexmark.c: the events of gen:nexmark: their form, their proportions, their times, and
 * that they never change.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/lib/gen_run.h"
#include "txn/base/bytes.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define BASE_MS INT64_C(1767225590000)

/* Event k alone. */
static const weir_record *event(struct gen_run *f, int64_t k)
{
    assert_int_equal(gen_seek(f, 0, k, NULL), WEIR_OK);
    assert_int_equal(gen_poll(f, 0), WR_SOURCE_MORE);
    assert_int_equal(f->polled.offsets[0], k);
    return &f->polled.records[0];
}

/* ---- Form ------------------------------------------------------------------------------------ */

static const char *const person_fields[] = {"id",   "name",  "email_address", "credit_card",
                                            "city", "state", "date_time",     "extra"};
static const char *const auction_fields[] = {"id",       "item_name", "description", "initial_bid",
                                             "reserve",  "date_time", "expires",     "seller",
                                             "category", "extra"};
static const char *const bid_fields[] = {"auction", "bidder",    "price", "channel",
                                         "url",     "date_time", "extra"};
static const struct {
    const char *name;
    const char *const *fields;
    size_t count;
} kinds[] = {{"Person", person_fields, COUNT(person_fields)},
             {"Auction", auction_fields, COUNT(auction_fields)},
             {"Bid", bid_fields, COUNT(bid_fields)}};

static size_t kind_of(int64_t k)
{
    return k % 50 == 0 ? 0 : k % 50 < 4 ? 1 : 2;
}

static int64_t number(const json_t *fields, const char *name)
{
    const json_t *value = json_object_get(fields, name);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static const char *text(const json_t *fields, const char *name)
{
    const json_t *value = json_object_get(fields, name);
    assert_true(json_is_string(value));
    return json_string_value(value);
}

static void between(int64_t least, int64_t value, int64_t most)
{
    if (value < least || value > most) {
        fail_msg("%" PRId64 " is not from %" PRId64 " to %" PRId64, value, least, most);
    }
}

static bool is_one_of(const char *word, const char *words)
{
    const char *found = strstr(words, word);
    return found && (found == words || found[-1] == ' ') && found[strlen(word)] == ' ';
}

static void check_person(int64_t k, const json_t *fields)
{
    assert_int_equal(number(fields, "id"), 1000 + k / 50);
    assert_true(is_one_of(text(fields, "state"), "az ca id or wa wy "));
    assert_non_null(strchr(text(fields, "name"), ' '));
    assert_non_null(strchr(text(fields, "email_address"), '@'));
    assert_int_equal(strlen(text(fields, "credit_card")), 19);
    assert_int_equal(strspn(text(fields, "credit_card"), "0123456789 "), 19);
    between(100, (int64_t)strlen(text(fields, "extra")), 190);
}

static void check_auction(int64_t k, const json_t *fields)
{
    assert_int_equal(number(fields, "id"), 1000 + k / 50 * 3 + k % 50 - 1);
    between(10, number(fields, "category"), 14);
    between(1000, number(fields, "seller"), 1000 + k / 50 + 10);
    between(100, number(fields, "initial_bid"), 100000000);
    between(100, number(fields, "reserve") - number(fields, "initial_bid"), 100000000);
    between(1, number(fields, "expires") - number(fields, "date_time"), 333);
    between(0, (int64_t)strlen(text(fields, "item_name")), 19);
    between(0, (int64_t)strlen(text(fields, "description")), 99);
    between(250, (int64_t)strlen(text(fields, "extra")), 550);
}

static void check_bid(int64_t k, const json_t *fields)
{
    const char *channel = text(fields, "channel"), *url = text(fields, "url");
    between(1000, number(fields, "auction"), 1000 + k / 50 * 3 + 2 + 10);
    between(1000, number(fields, "bidder"), 1000 + k / 50 + 10);
    between(100, number(fields, "price"), 100000000);
    assert_int_equal(strncmp(url, "https://www.nexmark.com/", 24), 0);
    size_t slashes = 0;
    for (const char *at = url; *at; at++) {
        slashes += *at == '/';
    }
    assert_int_equal(slashes, 6); /* two of https://, and one behind each of the host and three */
    if (strncmp(channel, "channel-", 8) == 0) {
        between(0, atoi(channel + 8), 9999);
    } else {
        assert_true(is_one_of(channel, "Google Facebook Baidu Apple "));
        assert_null(strstr(url, "channel_id"));
    }
    between(54, (int64_t)strlen(text(fields, "extra")), 81);
}

/* Each event is one JSON object of its kind, with exactly the fields of that, in their order. */
static void events_have_their_fields(void **state)
{
    (void)state;
    static void (*const checks[])(int64_t, const json_t *) = {check_person, check_auction,
                                                              check_bid};
    struct gen_run f;
    int64_t k = 0;
    gen_open(&f, "gen:nexmark?records=20000&seed=3");
    while (gen_poll(&f, 0) == WR_SOURCE_MORE) {
        for (size_t n = 0; n < f.polled.count; n++, k++) {
            const weir_record *record = &f.polled.records[n];
            size_t kind = kind_of(k), i = 0;
            json_t *root =
                json_loadb(record->value.data, record->value.size, JSON_REJECT_DUPLICATES, NULL);
            json_t *fields = json_object_get(root, kinds[kind].name);
            const char *name;
            json_t *value;
            assert_int_equal(json_object_size(root), 1);
            assert_int_equal(json_object_size(fields), kinds[kind].count);
            json_object_foreach(fields, name, value)
            {
                assert_string_equal(name, kinds[kind].fields[i++]);
            }
            assert_null(record->key.data);
            assert_int_equal(number(fields, "date_time"), record->time_ms);
            checks[kind](k, fields);
            json_decref(root);
        }
    }
    assert_int_equal(k, 20000);
    gen_close(&f);
}

/* ---- Proportions ----------------------------------------------------------------------------- */

/* Bids prefer what is hot, prices are log-uniform, and what queries look for is there. */
static void bids_are_distributed_as_said(void **state)
{
    (void)state;
    struct gen_run f;
    int64_t k = 0, bids = 0, hot_auction = 0, hot_bidder = 0, cheap = 0, dear = 0, ahead = 0;
    int64_t with_id = 0, hot_channel = 0, with_c = 0;
    gen_open(&f, "gen:nexmark?records=50000");
    while (gen_poll(&f, 0) == WR_SOURCE_MORE) {
        for (size_t n = 0; n < f.polled.count; n++, k++) {
            if (kind_of(k) != 2) {
                continue;
            }
            const weir_record *record = &f.polled.records[n];
            json_t *root = json_loadb(record->value.data, record->value.size, 0, NULL);
            const json_t *fields = json_object_get(root, "Bid");
            int64_t last = k / 50 * 3 + 2, price = number(fields, "price");
            bids++;
            hot_auction += number(fields, "auction") == 1000 + last / 100 * 100;
            hot_bidder += number(fields, "bidder") == 1001 + k / 50 / 100 * 100;
            ahead += number(fields, "auction") > 1000 + last;
            cheap += price < 10000;
            dear += price >= 1000000;
            with_id += strstr(text(fields, "url"), "&channel_id=") != NULL;
            hot_channel += strncmp(text(fields, "channel"), "channel-", 8) != 0;
            with_c += strchr(text(fields, "extra"), 'c') != NULL;
            json_decref(root);
        }
    }
    assert_int_equal(bids, 46000);
    between(bids * 48 / 100, hot_auction, bids * 54 / 100); /* 1/2, and some by chance */
    between(bids * 73 / 100, hot_bidder, bids * 78 / 100); /* 3/4 */
    between(bids * 3 / 100, ahead, bids * 7 / 100); /* 10 of 111 of a half */
    between(bids * 32 / 100, cheap, bids * 35 / 100); /* 2 of 6 powers of ten */
    between(bids * 32 / 100, dear, bids * 35 / 100);
    between(bids * 43 / 100, with_id, bids * 47 / 100); /* 9/10 of a half */
    between(bids * 48 / 100, hot_channel, bids * 52 / 100);
    between(bids * 85 / 100, with_c, bids * 97 / 100); /* 1 - (25/26)^67 */
    gen_close(&f);
}

/* Some events are late, from the first ones on, and none by more than 4 s. */
static void times_are_out_of_order_by_four_seconds(void **state)
{
    (void)state;
    struct gen_run f;
    int64_t k = 0, highest = INT64_MIN, latest = 0, late = 0, first_late = -1;
    gen_open(&f, "gen:nexmark?records=100000");
    while (gen_poll(&f, 0) == WR_SOURCE_MORE) {
        for (size_t n = 0; n < f.polled.count; n++, k++) {
            int64_t time_ms = f.polled.records[n].time_ms;
            highest = time_ms > highest ? time_ms : highest;
            int64_t by = highest - time_ms;
            latest = by > latest ? by : latest;
            late += by > 0;
            first_late = by > 0 && first_late < 0 ? k : first_late;
            between(BASE_MS + k / 10 - 4000, time_ms, BASE_MS + k / 10);
        }
    }
    between(3900, latest, 4000);
    between(12000, late, 13000); /* 1/8 */
    between(0, first_late, 50);
    gen_close(&f);
}

/* ---- The same for ever ----------------------------------------------------------------------- */

/* The sums were computed by a model in another language. */
static void events_never_change(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        uint32_t crc;
    } cases[] = {
        {"gen:nexmark?records=5000", 0xccaad860},
        {"gen:nexmark?records=5000,seed=1", 0x0b59a58b},
        {"gen:nexmark?records=5000,seed=9223372036854775807,partitions=3", 0x1ffb4376},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        gen_must_have_crc(cases[i].uri, cases[i].crc);
    }
}

/* Event k is the same wherever a run starts, and whichever partition has it. */
static void an_event_follows_from_its_number(void **state)
{
    (void)state;
    struct gen_run all, one, three;
    gen_open(&all, "gen:nexmark?seed=7");
    gen_open(&one, "gen:nexmark?seed=7");
    gen_open(&three, "gen:nexmark?seed=7,partitions=3");
    assert_int_equal(gen_poll(&all, 0), WR_SOURCE_MORE);
    for (size_t k = 0; k < all.polled.count; k += 17) {
        const weir_record *expected = &all.polled.records[k], *found = event(&one, (int64_t)k);
        assert_true(wr_bytes_equal(found->value, expected->value));
        assert_int_equal(found->time_ms, expected->time_ms);
        assert_int_equal(gen_seek(&three, k % 3, (int64_t)k / 3, NULL), WEIR_OK);
        assert_int_equal(gen_poll(&three, k % 3), WR_SOURCE_MORE);
        assert_true(wr_bytes_equal(three.polled.records[0].value, expected->value));
    }
    gen_close(&three);
    gen_close(&one);
    gen_close(&all);
}

/* Far from the beginning numbers are long, and events are still whole. */
static void the_last_events_are_whole(void **state)
{
    (void)state;
    struct gen_run f;
    gen_open(&f, "gen:nexmark");
    for (int64_t k = INT64_MAX - 100000; k < INT64_MAX - 2000; k += 997) {
        weir_bytes value = event(&f, k)->value;
        json_t *root = json_loadb(value.data, value.size, 0, NULL);
        assert_non_null(json_object_get(root, kinds[kind_of(k)].name));
        json_decref(root);
    }
    gen_close(&f);
}

static void the_identity_has_the_seed(void **state)
{
    (void)state;
    struct gen_run f;
    gen_open(&f, "gen:nexmark?seed=4&records=9&rate=3");
    assert_string_equal(f.source->partitions[0]->identity, "gen:nexmark;seed=4;partitions=1");
    assert_true(f.source->bounded);
    gen_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_have_their_fields),
        cmocka_unit_test(bids_are_distributed_as_said),
        cmocka_unit_test(times_are_out_of_order_by_four_seconds),
        cmocka_unit_test(events_never_change),
        cmocka_unit_test(an_event_follows_from_its_number),
        cmocka_unit_test(the_last_events_are_whole),
        cmocka_unit_test(the_identity_has_the_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
