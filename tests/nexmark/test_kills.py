"""Each of Nexmark's queries, killed in the middle again and again with kill -9 and started with the
same command, against the oracle: nothing is lost, nothing is there twice.

SPDX-License-Identifier: Apache-2.0
"""

import os
import random
import unittest

import events
import oracle
from nexmark_kit import NexmarkTest, OUT_OF_ORDER_MS, QUERIES, rows_of

SEED = int(os.environ.get("WEIR_SEED", random.randrange(1 << 32)))
COUNT = 3000
KILLS = 20
KILLS_FEW = 4


class Kills(NexmarkTest):
    def test_killed_in_the_middle(self):
        self.addCleanup(print, f"WEIR_SEED={SEED}")
        chance = random.Random(SEED)
        arrivals = events.delayed(SEED, events.in_order(SEED, COUNT), 2 * OUT_OF_ORDER_MS)
        path = self.input("events.json", arrivals)
        right = oracle.Oracle(arrivals, OUT_OF_ORDER_MS)
        expected = {query: right.rows(query) for query in QUERIES}
        size = path.stat().st_size
        often = QUERIES if os.environ.get("WEIR_LONG") else chance.sample(QUERIES, 2)
        places = {query: sorted(chance.randrange(size) for _ in range(
            KILLS if query in often else KILLS_FEW)) for query in QUERIES}

        def check(query):
            job = self.query(query, f"{query}.weir", path, "--drain", "--epoch-records", 10)
            hits = 0
            for place in places[query]:
                if job.kill_at(place):
                    hits += 0 < job.position() < size
            self.assertGreater(hits, 0, "no kill hit the job in the middle: more input is needed")
            job.run()
            self.check(query, rows_of(job, query), expected[query])
            job.verify()

        self.each_query(check)


if __name__ == "__main__":
    unittest.main()
