"""Lines that are no events are dead letters with a reason, move no watermark and leave the results
as they are; what a job writes can be read whatever is in its events.

SPDX-License-Identifier: Apache-2.0
"""

import json
import random
import unittest

import events
import oracle
from nexmark_kit import NexmarkTest, OUT_OF_ORDER_MS, QUERIES, rows_of

PRICE = b'{"Bid":{"auction":1,"bidder":1,"price":%s,"channel":"c","url":"u","date_time":%s,' \
        b'"extra":"e"}}'
NO_JSON = (b"", b"{", b"Bid", b"\xff\xfe", b'{"Bid":{}} x', b'{"Bid":' * 100, b"\x00")
NO_EVENT = (b"{}", b"[]", b"1", b'"Bid"', b'{"bid":{}}', b'{"Bid":{},"Person":{}}')
WRONG_FIELD = (b'{"Bid":{}}', b'{"Bid":[]}', b'{"Person":{"id":1}}', b'{"Auction":7}',
               PRICE % (b"1.5", b"5"), PRICE % (b'"1"', b"5"), PRICE % (b"null", b"5"),
               PRICE % (b"9223372036854775808", b"5"), PRICE % (b"1", b"9223372036854775807"),
               PRICE % (b"1", b"253402300800000"))


class Garbage(NexmarkTest):
    def test_dead_letters(self):
        arrivals = events.in_order(7, 1000)
        lines = [events.line(event) for event in arrivals]
        garbage = list(NO_JSON + NO_EVENT + WRONG_FIELD)
        for line in garbage:
            lines.insert(random.Random(line).randrange(len(lines)), line)
        path = self.write("events.json", lines)
        right = oracle.Oracle(arrivals, OUT_OF_ORDER_MS)
        expected = {query: right.rows(query) for query in QUERIES}

        def check(query):
            job = self.query(query, f"{query}.weir", path, "--drain")
            job.run()
            self.check(query, rows_of(job, query), expected[query])
            reasons = job.rejects()
            self.assertEqual(len(reasons), len(garbage), reasons)
            letters = [bytes(value) for value, in
                       job.query("SELECT CAST(value AS BLOB) FROM reject")]
            self.assertEqual(sorted(letters), sorted(garbage))

        self.each_query(check, ("q0", "q5", "q11", "q16"))

    def test_reasons(self):
        path = self.write("events.json", [b"{", b'{"Bid":{},"Person":1}', b'{"Bid":{"auction":1}}',
                                          PRICE % (b"1", b"253402300800000")])
        job = self.query("q0", "q0.weir", path)
        job.run()
        self.assertEqual(job.rejects(), [
            "the line is no JSON value",
            "the line is no object with one of Person, Auction and Bid",
            "Bid: `bidder` is not there or no whole number of 64 bits",
            "Bid: `date_time` is not there or no time of the years 1 to 9999 in milliseconds since "
            "1970"])

    # Numbers and texts at the edge of what they can be come through as they are.
    def test_extremes(self):
        numbers = (0, -1, 1, 999, 1000, 1001, -999, -1000, 10**15, 2**63 - 1, -2**63)
        texts = ("", "\x00", "\x7f\x1f", "\"\\/", "é\u2028😀", "c" * 100_000)
        times = (-62135596800000, -1, 0, 253402300799999)
        arrivals = []
        for i in range(40):
            arrivals.append(("Bid", {
                "auction": numbers[i % 11], "bidder": numbers[-i % 11], "price": numbers[i % 11],
                "channel": texts[i % 6], "url": "https://h/" + texts[-i % 6],
                "date_time": times[i % 4], "extra": texts[i % 6]}))
        path = self.input("events.json", arrivals)
        job = self.query("q0", "q0.weir", path)
        job.run()
        fields = ("auction", "bidder", "price", "date_time", "extra")
        self.check("q0", rows_of(job, "q0"),
                   [{name: bid[name] for name in fields} for _, bid in arrivals])
        job = self.query("q1", "q1.weir", path)
        job.run()
        for record, (_, bid) in zip(job.topic("results"), arrivals, strict=True):
            price = json.loads(record["value"], parse_float=lambda text: text)["price"]
            whole, thousandths = price.lstrip("-").split(".")
            exact = int(whole + thousandths) * (-1 if price.startswith("-") else 1)
            self.assertEqual(exact, bid["price"] * 908 if bid["price"] else 0)
        for query in ("q2", "q5", "q7", "q10", "q11", "q14", "q15", "q16", "q18", "q19", "q21",
                      "q22"):
            job = self.query(query, f"{query}.weir", path, "--drain")
            job.run()
            self.assertEqual(job.rejects(), [])
            rows_of(job, query)

    def test_side_of_any_bytes(self):
        path = self.input("events.json", [events.Maker(1).bid()])
        number = json.loads(path.read_text())["Bid"]["auction"]
        side = self.write("side.csv", [b"%d,old" % number, b"no comma", b"",
                                       b"%d,\xff,\"\x00" % number])
        job = self.query("q13", "q13.weir", path, "-i", f"side=file:{side}")
        job.run()
        self.assertEqual([row["value"] for row in rows_of(job, "q13")], ["\ufffd,\"\x00"])
        self.assertEqual(job.rejects(), ["the line is not KEY,VALUE"] * 2)

    # A second auction with an id that is there is nobody's row.
    def test_ids_are_unique(self):
        maker = events.Maker(1)
        maker.auctions = 4
        kind, fields = maker.auction()
        path = self.input("events.json", [(kind, fields), (kind, fields)])
        for query in ("q4", "q9", "q20"):
            job = self.query(query, f"{query}.weir", path)
            job.run()
            self.assertEqual(job.rejects(), ["a second auction with this id"])

    # Fields that no query reads may be missing, and there may be others.
    def test_other_fields(self):
        path = self.write("events.json", [
            b'{"Person":{"id":1,"name":"n","city":"c","state":"or","date_time":5},"x":1}',
            b'{"Auction":{"id":7,"seller":1,"category":10,"date_time":5,"expires":9,"y":[{}]}}'])
        job = self.query("q3", "q3.weir", path)
        job.run()
        self.check("q3", rows_of(job, "q3"), [{"name": "n", "city": "c", "state": "or", "id": 7}])

    def test_option(self):
        job = self.query("q0", "q0.weir", "events.json", "-D", "out_of_order_ms=x")
        self.assertIn("out_of_order_ms", job.run(64))


if __name__ == "__main__":
    unittest.main()
