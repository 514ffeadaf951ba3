"""The checker of Nexmark's results turns red for one row that is lost, doubled or changed, and the
oracle's answers to a few events are those worked out by hand.

SPDX-License-Identifier: Apache-2.0
"""

import unittest

import events
import oracle


def bid(auction, bidder, price, date_time, **more):
    return "Bid", {"auction": auction, "bidder": bidder, "price": price, "channel": "apple",
                   "url": "https://h/a/b/c", "date_time": date_time, "extra": "ccx", **more}


def person(number, date_time, state="or"):
    return "Person", {"id": number, "name": f"n{number}", "email_address": "", "credit_card": "",
                      "city": "Bend", "state": state, "date_time": date_time, "extra": ""}


def auction(number, seller, date_time, expires, category=10):
    return "Auction", {"id": number, "item_name": "", "description": "", "initial_bid": 1,
                       "reserve": 1, "date_time": date_time, "expires": expires,
                       "seller": seller, "category": category, "extra": ""}


def answer(query, arrivals, out_of_order_ms=0, drained=True):
    rows = oracle.Oracle(arrivals, out_of_order_ms, drained).rows(query)
    return sorted(tuple(row.values()) for row in rows)


class Checker(unittest.TestCase):
    def test_red_for_each_fault(self):
        right = oracle.Oracle(events.in_order(1, 800), 4000)
        for query in oracle.QUERIES:
            rows = right.rows(query)
            self.assertTrue(rows, query)
            self.assertEqual(oracle.differences(query, list(reversed(rows)), rows), "")
            self.assertNotEqual(oracle.differences(query, rows[1:], rows), "")
            self.assertNotEqual(oracle.differences(query, rows + rows[:1], rows), "")
            for name, value in rows[-1].items():
                for other in (str(value) + "x", None, 1e300):
                    changed = rows[:-1] + [{**rows[-1], name: other}]
                    if not isinstance(other, float):
                        if name in oracle.QUERIES[query][1]:
                            continue  # is no number: canonical stops
                    self.assertNotEqual(oracle.differences(query, changed, rows), "")
            name, value = next(iter(rows[-1].items()))
            more = rows[:-1] + [{**rows[-1], "another": 1}]
            fewer = rows[:-1] + [{key: value for key, value in rows[-1].items() if key != name}]
            self.assertNotEqual(oracle.differences(query, more, rows), "")
            self.assertNotEqual(oracle.differences(query, fewer, rows), "")

    # Types count: 1 is not "1" and not 1.0, but where a column is REAL.
    def test_red_for_another_type(self):
        rows = [{"auction": 123, "price": 5}]
        self.assertNotEqual(oracle.differences("q2", [{"auction": "123", "price": 5}], rows), "")
        self.assertNotEqual(oracle.differences("q2", [{"auction": 123, "price": 5.0}], rows), "")
        rows = [{"category": 10, "avg_price": 5.0}]
        self.assertEqual(oracle.differences("q4", [{"category": 10, "avg_price": 5}], rows), "")


class ByHand(unittest.TestCase):
    # A window is closed by an event at its end; what is in it comes too late then.
    def test_hopping_windows(self):
        arrivals = [bid(1, 1, 5, 11_000), bid(2, 1, 5, 12_000), bid(1, 1, 5, 11_999)]
        self.assertEqual(answer("q5", arrivals), [
            (2000, 1, 1), (4000, 1, 2), (6000, 1, 2), (8000, 1, 2), (10_000, 1, 2),
            (12_000, 2, 1)])
        self.assertEqual(answer("q5", arrivals, 0, False), [(2000, 1, 1)])

    def test_highest_bids_that_tie(self):
        arrivals = [bid(1, 1, 5, 10_000), bid(2, 2, 7, 19_999), bid(3, 3, 7, 10_001),
                    bid(4, 4, 9, 20_000), bid(5, 5, 99, 19_999)]
        self.assertEqual(answer("q7", arrivals), [
            (10_000, 2, 2, 7, 19_999), (10_000, 3, 3, 7, 10_001), (20_000, 4, 4, 9, 20_000)])

    def test_new_users(self):
        arrivals = [person(1, 10_000), auction(1, 1, 19_999, 0), auction(2, 1, 19_999, 0),
                    person(2, 19_999), auction(3, 2, 20_000, 0), auction(4, 2, 19_999, 0)]
        self.assertEqual(answer("q8", arrivals), [(1, "n1", 10_000)])

    # Ten seconds apart are one session, unless the first is closed by then; a late one is merged
    # into an open one, and left out when there is none.
    def test_sessions(self):
        self.assertEqual(answer("q11", [bid(1, 1, 5, 0), bid(1, 1, 5, 10_000),
                                        bid(1, 1, 5, 20_001)]),
                         [(1, 1, 20_001, 30_001), (1, 2, 0, 20_000)])
        self.assertEqual(answer("q11", [bid(1, 1, 5, 0), bid(1, 2, 5, 10_000),
                                        bid(1, 1, 5, 10_000)]),
                         [(1, 1, 0, 10_000), (1, 1, 10_000, 20_000), (2, 1, 10_000, 20_000)])
        self.assertEqual(answer("q11", [bid(1, 1, 5, 30_000), bid(1, 1, 5, 20_000),
                                        bid(1, 2, 5, 20_000)]), [(1, 2, 20_000, 40_000)])

    def test_winning_bids(self):
        arrivals = [bid(1, 1, 9, 99), bid(1, 2, 5, 200), auction(1, 7, 100, 200),
                    bid(1, 3, 5, 100), bid(1, 4, 5, 100), bid(1, 5, 9, 201)]
        self.assertEqual(answer("q9", arrivals), [(1, 3, 5, 100)])
        self.assertEqual(answer("q4", arrivals), [(10, 5.0)])

    def test_parts_of_urls(self):
        urls = {"https://h/a/b/c/d": ("a", "b", "c"), "https://h/a/": ("a", "", ""),
                "https://h": ("", "", ""), "": ("", "", ""), "x": ("", "", ""),
                "https://h//b": ("", "b", "")}
        for url, parts in urls.items():
            self.assertEqual(answer("q22", [bid(1, 1, 5, 0, url=url)]),
                             [(1, 1, 5, "apple", *parts)], url)

    def test_channel_ids(self):
        urls = {"u?channel_id=1&x": "1", "u?channel_id=&x": "", "u?channel_id=7": "7", "u": None}
        for url, number in urls.items():
            rows = [] if number is None else [(1, 1, 5, "other", number)]
            self.assertEqual(answer("q21", [bid(1, 1, 5, 0, url=url, channel="other")]), rows, url)
        self.assertEqual(answer("q21", [bid(1, 1, 5, 0, channel="FaceBook")]),
                         [(1, 1, 5, "FaceBook", "2")])


if __name__ == "__main__":
    unittest.main()
