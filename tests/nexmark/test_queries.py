"""Each of Nexmark's queries against the oracle: events in order, out of order, late, without
--drain, in several partitions; with any size of epochs and of the cache, into tables and topics.

SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import random
import unittest

import events
import oracle
from nexmark_kit import NexmarkTest, OUT_OF_ORDER_MS, QUERIES, rows_of

SEED = int(os.environ.get("WEIR_SEED", random.randrange(1 << 32)))
COUNT = 2000
SETTINGS = ((), ("--epoch-records", 1), ("--epoch-records", 7, "--cache", 0),
            ("--epoch-records", 1000, "--cache", "64k"))


class Queries(NexmarkTest):
    def setUp(self):
        super().setUp()
        self.addCleanup(print, f"WEIR_SEED={SEED}")
        self.random = random.Random(f"{SEED} {self.id()}")

    def check_all(self, arrivals, *options, drained=True, sink=None):
        """Each query over these events, with settings that nothing may depend on."""
        path = self.input("events.json", arrivals)
        right = oracle.Oracle(arrivals, OUT_OF_ORDER_MS, drained)
        expected = {query: right.rows(query) for query in QUERIES}
        settings = {query: self.random.choice(SETTINGS) for query in QUERIES}

        def check(query):
            more = ("-o", "results=log:results") if sink == "log" else ()
            job = self.query(query, f"{query}.weir", path, *settings[query], *options, *more)
            job.run()
            self.check(query, rows_of(job, query, sink), expected[query])
            self.assertEqual(job.rejects(), [])

        self.each_query(check)
        return expected

    def test_in_order_into_topics(self):
        expected = self.check_all(events.in_order(SEED, COUNT), "--drain", sink="log")
        for query, rows in expected.items():
            self.assertTrue(rows, f"{query} has no results: other events are needed")

    def test_out_of_order(self):
        arrivals = events.delayed(SEED, events.in_order(SEED + 1, COUNT), OUT_OF_ORDER_MS)
        self.check_all(arrivals, "--drain")

    # What gen:nexmark makes, over midnight, out of order.
    def test_generated(self):
        source = f"gen:nexmark?records={2 * COUNT},seed={SEED}"
        copy = self.job("copy", "copy.weir", "-i", f"in={source}", "-o", "out=file:events.json")
        copy.run()
        text = (self.folder / "events.json").read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        right = oracle.Oracle([event for line in lines for event in line.items()],
                              OUT_OF_ORDER_MS)
        expected = {query: right.rows(query) for query in QUERIES}

        def check(query):
            job = self.query(query, f"{query}.weir", "unused", "-i", f"events={source}", "--drain")
            job.run()
            self.check(query, rows_of(job, query), expected[query])

        self.each_query(check)

    # Late by up to 30 s: windows take what comes before they close, and nothing else.
    def test_late_and_without_drain(self):
        arrivals = events.delayed(SEED, events.in_order(SEED + 2, COUNT), 30_000)
        self.check_all(arrivals, "--until-end", drained=False)

    # Which partition is read when is not known, so nothing is late, and no two times are the same.
    def test_partitions(self):
        arrivals = events.delayed(SEED, events.in_order(SEED + 3, COUNT, True), OUT_OF_ORDER_MS)
        right = oracle.Oracle(arrivals, OUT_OF_ORDER_MS)
        expected = {query: right.rows(query) for query in QUERIES}
        parts = [[], [], []]
        for event in arrivals:
            self.random.choice(parts).append(event)
        for number, part in enumerate(parts):
            self.input(f"part{number}.json", part)

        def check(query):
            job = self.query(query, f"{query}.weir", self.folder / "part*.json", "--drain",
                             "--epoch-records", 100)
            job.run()
            self.check(query, rows_of(job, query), expected[query])

        self.each_query(check)


if __name__ == "__main__":
    unittest.main()
