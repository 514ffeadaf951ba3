"""What the tests of Nexmark's jobs share: run the job of a query over events, and compare what it
leaves with the oracle.

SPDX-License-Identifier: Apache-2.0
"""

import concurrent.futures
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))

from example_kit import ExampleTest  # noqa: E402

import events as event_maker  # noqa: E402
import oracle  # noqa: E402

OUT_OF_ORDER_MS = 4000
PROCESSES = 2
QUERIES = list(oracle.QUERIES)


class NexmarkTest(ExampleTest):
    def input(self, name, events):
        return event_maker.write(self.folder / name, events)

    def query(self, query, store, path, *options):
        """The job of a query from `path`, with a sink that shows what it leaves: updating ones a
        table. Without fsync, which a killed process does not need."""
        if query == "q13":
            side = self.write(f"{store}.csv", [b"%d,%s" % (key, value.encode())
                                               for key, value in oracle.SIDE])
            options = ("-i", f"side=file:{side}", *options)
        sink = "table:results" if oracle.QUERIES[query][0] else "log:results"
        return self.job(f"nexmark_{query}", store, "-i", f"events=file:{path}",
                        "-o", f"results={sink}", "-D", f"out_of_order_ms={OUT_OF_ORDER_MS}",
                        "--sync", "normal", *options)

    def each_query(self, check, queries=None):
        """check(query) of each, two at a time; all that is wrong is told at the end."""
        wrong = []
        with concurrent.futures.ThreadPoolExecutor(PROCESSES) as pool:
            running = {query: pool.submit(check, query) for query in queries or QUERIES}
            for query, future in running.items():
                try:
                    future.result()
                except AssertionError as error:
                    wrong.append(f"{query}: {error}")
        self.assertFalse(wrong, "\n".join(wrong))

    def check(self, query, found, expected):
        text = oracle.differences(query, found, expected)
        self.assertFalse(text, text)


def rows_of(job, query, sink=None):
    """What a job left in its sink, as dicts: of a table and of an updating query's topic, the row
    that each key has in the end."""
    sink = sink or ("table" if oracle.QUERIES[query][0] else "log")
    if sink == "table":
        return [json.loads(value) for value, in job.query("SELECT value FROM results")]
    records = job.topic("results")
    if not oracle.QUERIES[query][0]:
        return [json.loads(record["value"]) for record in records]
    rows = {}
    for record in records:
        rows[record["key"]] = record["value"]
    return [json.loads(value) for value in rows.values() if value is not None]
