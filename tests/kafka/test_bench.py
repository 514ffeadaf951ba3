"""`weir bench --kafka`: every cell completes, what kills of weir and of the broker left is what
each mode says, and nothing is left behind. Never how fast anything was.

SPDX-License-Identifier: Apache-2.0
"""

import json

import kafka_kit

RECORDS = 20000
# Small, and on whatever disk this is.
OPTIONS = ["--json", "--sync", "off", "-n", RECORDS, "--keys", 500, "--repeat", 1, "--rate", 2000,
           "--seconds", 0.5]
UNAVAILABLE, NO_INPUT = 69, 66


class Bench(kafka_kit.KafkaTest):
    def bench(self, *options):
        """The cells; the folder is left as it was."""
        before = self.files()
        out, _ = self.weir("bench", *OPTIONS, *options)
        self.assertEqual(self.files(), before)
        rows = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(rows[0]["type"], "machine")
        for row in rows[1:]:
            if row["type"] == "run":
                self.assertEqual(row["records"], RECORDS, row)
            self.assertEqual(row["input"], "kafka")
        return [row for row in rows if row["type"] == "cell"]

    def must_be_whole(self, cell, kills, lost=0, repeated=0):
        self.assertEqual(cell["kills"], kills, cell)
        self.assertEqual(cell["expected"], RECORDS, cell)
        found = [cell[name] for name in ("lost", "repeated", "reordered")]
        wanted = [cell[name] if most is None else most
                  for name, most in (("lost", lost), ("repeated", repeated), ("reordered", 0))]
        self.assertEqual(found, wanted, cell)


class Shared(Bench):
    def test_copy_in_each_mode(self):
        """The modes and both loops, latency, a kill of each mode."""
        cells = self.bench("--kafka", self.kafka, "--job", "copy", "--kills", 1)
        self.assertEqual([(cell["kind"], cell["delivery"]) for cell in cells], [
            ("weir", "exactly-once"), ("weir", "at-least-once"), ("weir", "at-most-once"),
            ("loop", None), ("loop_at_least_once", None)])
        self.assertEqual({cell["forward_ms"] for cell in cells}, {100})
        self.assertEqual({cell["output"] for cell in cells}, {"kafka"})
        self.must_be_whole(cells[0], 1)
        self.must_be_whole(cells[1], 1, repeated=None)
        self.must_be_whole(cells[2], 1, lost=None)
        for cell in cells[:3]:
            self.assertIsNone(cell["state_errors"])
            self.assertGreater(cell["latency_us_p50"], 0)
        self.assertIsNone(cells[3]["kills"])

    def test_count_into_topic_and_store(self):
        """Each count of the output is worked out again; two forward intervals are two groups."""
        cells = self.bench("--kafka", self.kafka, "--job", "count", "--delivery", "exactly-once",
                           "--forward-ms", "20,50", "--kills", 2)
        self.assertEqual([(cell["kind"], cell["output"], cell["forward_ms"]) for cell in cells], [
            ("weir", "kafka", 20), ("loop", "kafka", 20), ("loop_at_least_once", "kafka", 20),
            ("weir", "kafka", 50), ("loop", "kafka", 50), ("loop_at_least_once", "kafka", 50),
            ("weir", "log", None), ("loop", "log", None)])
        for cell in (cells[0], cells[6]):
            self.must_be_whole(cell, 2)
            self.assertEqual(cell["state_errors"], 0)
        self.assertIsNone(cells[3]["kills"])


class Own(Bench):
    def uses_shared_broker(self):
        return False

    def test_the_broker_is_killed_too(self):
        """A script's broker is started, killed while weir works, started again, and stopped."""
        cells = self.bench("--kafka", kafka_kit.BROKER, "--job", "count", "--delivery",
                           "exactly-once", "--kills", 1)
        self.must_be_whole(cells[0], 1)
        self.assertEqual(cells[0]["state_errors"], 0)
        self.assertEqual(cells[0]["broker_kills"], 1)

    def test_no_broker(self):
        self.refuses(UNAVAILABLE, "failed with exit code 1", "bench", "--sync", "off", "--kafka",
                     "/bin/false")
        self.refuses(NO_INPUT, "no program that can be run", "bench", "--sync", "off", "--kafka",
                     "./nothing")


if __name__ == "__main__":
    kafka_kit.main()
