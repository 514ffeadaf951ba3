"""The checker of the crash tests turns red: on one record lost, repeated, swapped or changed, in a
topic, a table and a file, and on what the store keeps.

SPDX-License-Identifier: Apache-2.0
"""

import copy
import json
import pathlib
import sqlite3
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from crash_results import Results, check, differences
from crash_runs import KILLED, Failure, Job, fault_points

KEYED = "in=gen:keyed?records=300&keys=20&size=40"
TOPIC, TABLE, FILE = "topic plain/0", "table latest", "file lines.txt"


class Checker(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.job = Job("crash_all", "-i", KEYED, "--epoch-records", 50)
        cls.job.run()
        cls.results = Results().read(cls.job)

    @classmethod
    def tearDownClass(cls):
        cls.job.remove()

    def setUp(self):
        self.found = copy.deepcopy(self.results)

    def is_red(self, part, text, by_key=True):
        """Both comparisons see it, each naming the part and what is wrong with it."""
        for mode in (False, True) if by_key else (False,):
            texts = differences(self.results, self.found, mode)
            self.assertTrue(any(t.startswith(part) and text in t for t in texts), (mode, texts))

    def change(self, part, field, value):
        """Changes one field of the eighth record of a topic, and nothing else."""
        offset, key, text = self.found.parts[part][7]
        record = json.loads(text)
        self.assertNotEqual(record[field], value)
        record[field] = value
        self.found.parts[part][7] = (offset, key, json.dumps(record, sort_keys=True))

    def renumber(self, part):
        """Gives the records of a topic offsets without a hole again."""
        items = self.found.parts[part]
        for i, (_, key, text) in enumerate(items):
            record = json.loads(text)
            record["offset"] = i
            items[i] = (i, key, json.dumps(record, sort_keys=True))

    # Everything is there to begin with, else green would mean nothing.
    def test_the_run_gave_something_of_each_kind(self):
        for part in (TOPIC, TABLE, FILE, "table counts", "file totals.txt", "dead letters", "state",
                     "timers", "positions"):
            self.assertGreater(len(self.results.parts[part]), 0, part)
        headers = [json.loads(item[2])["headers"] for item in self.results.parts[TOPIC]]
        self.assertTrue(any(headers))

    def test_the_same_run_again_is_green(self):
        again = Job("crash_all", "-i", KEYED, "--epoch-records", 50)
        again.run()
        check(self.results, Results().read(again), "the same run")
        again.remove()

    # One lost, in the middle and as the last one, of each kind.
    def test_lost(self):
        for part in self.results.parts:
            for at in (len(self.results.parts[part]) // 2, -1):
                self.setUp()
                del self.found.parts[part][at]
                self.is_red(part, "lost")

    def test_lost_with_offsets_closed_up(self):
        del self.found.parts[TOPIC][5]
        self.renumber(TOPIC)
        self.is_red(TOPIC, "lost")

    def test_all_of_a_part_lost(self):
        for part in self.results.parts:
            self.setUp()
            del self.found.parts[part]
            self.is_red(part, "lost")

    def test_repeated(self):
        for part in self.results.parts:
            self.setUp()
            items = self.found.parts[part]
            items.insert(len(items) // 2, items[len(items) // 2])
            self.is_red(part, "too much")

    def test_repeated_with_offsets_closed_up(self):
        self.found.parts[TOPIC].insert(5, self.found.parts[TOPIC][5])
        self.renumber(TOPIC)
        self.is_red(TOPIC, "too much")

    # In files and dead letters only one order is right; with several partitions any is.
    def test_swapped(self):
        for part in (FILE, "dead letters", TABLE):
            self.setUp()
            items = self.found.parts[part]
            items[7], items[8] = items[8], items[7]
            self.is_red(part, "not in order from item 7", by_key=False)

    def test_swapped_in_a_topic(self):
        items = self.found.parts[TOPIC]
        items[7], items[8] = items[8], items[7]
        self.renumber(TOPIC)
        self.is_red(TOPIC, "too much", by_key=False)

    def test_hole_in_the_offsets(self):
        offset, key, text = self.found.parts[TOPIC][-1]
        record = json.loads(text)
        record["offset"] = offset + 1
        self.found.parts[TOPIC][-1] = (offset + 1, key, json.dumps(record, sort_keys=True))
        self.is_red(TOPIC, "offset")

    def test_changed_value(self):
        self.change(TOPIC, "value", "other")
        self.is_red(TOPIC, "too much")

    # Absent, empty and text are three things.
    def test_changed_to_empty_or_absent(self):
        for value in ("", None):
            self.setUp()
            self.change(TOPIC, "value", value)
            self.is_red(TOPIC, "lost")

    def test_changed_key(self):
        self.change(TOPIC, "key", "other")
        self.is_red(TOPIC, "lost")

    def test_changed_header(self):
        for headers in ([], [{"name": "count", "value": "2"}], [{"name": "count", "value": None}]):
            self.setUp()
            offset, key, text = self.found.parts[TOPIC][7]
            if json.loads(text)["headers"] == headers:
                headers = [{"name": "x", "value": ""}]
            self.change(TOPIC, "headers", headers)
            self.is_red(TOPIC, "lost")

    def test_changed_time(self):
        self.change(TOPIC, "time_ms", 1)
        self.is_red(TOPIC, "lost")

    def test_changed_row(self):
        kind_of_key, key, kind, value = self.found.parts[TABLE][2]
        for changed in ((kind_of_key, key, kind, value + b"x"), (b"blob", key, kind, value),
                        (kind_of_key, key + b"x", kind, value)):
            self.setUp()
            self.found.parts[TABLE][2] = changed
            self.is_red(TABLE, "lost")

    def test_changed_line(self):
        self.found.parts[FILE][9] += b" "
        self.is_red(FILE, "too much")

    # A last line that lacks its newline is another file.
    def test_cut_line(self):
        self.assertEqual(self.found.parts[FILE].pop(), b"")
        self.is_red(FILE, "lost")

    # The same through the files themselves: what is read is what is there.
    def test_changed_on_disk(self):
        job = Job("crash_all", "-i", KEYED, "--epoch-records", 50)
        job.run()
        path = job.folder / "lines.txt"
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:20] + lines[21:]))
        store = sqlite3.connect(job.store)
        with store:
            store.execute("UPDATE latest SET value = 'x' WHERE key = (SELECT max(key) FROM latest)")
            store.execute("DELETE FROM reject WHERE id = 4")
        store.close()
        self.found = Results().read(job)
        self.is_red(FILE, "lost")
        self.is_red(TABLE, "too much")
        self.is_red("dead letters", "lost")
        with self.assertRaisesRegex(Failure, "differs from the uncrashed run"):
            check(self.results, self.found, "a changed run")
        job.remove()

    # One record fewer at the source shows in every part.
    def test_run_over_other_input(self):
        other = Job("crash_all", "-i", KEYED.replace("300", "299"), "--epoch-records", 50)
        other.run()
        self.found = Results().read(other)
        for part in (TOPIC, TABLE, FILE, "state", "positions"):
            self.is_red(part, "lost")
        other.remove()


class Runner(unittest.TestCase):
    # A crash that did not happen, and one that was none, are told apart.
    def test_fault_points_kill(self):
        job = Job("copy", "-i", KEYED)
        self.assertFalse(job.run("decide_before_end"))
        self.assertTrue(job.run("decide_before_end:1000"))
        self.assertEqual(job.end(job.start("open_after_generation")), KILLED)
        job.remove()

    def test_an_error_is_no_crash(self):
        job = Job("copy", "-i", "in=file:nowhere")
        with self.assertRaisesRegex(Failure, "ended with 66"):
            job.run("decide_before_end")
        job.remove()

    def test_the_list_is_read(self):
        self.assertIn("trim_after", fault_points())
        self.assertNotIn("none", fault_points())


if __name__ == "__main__":
    unittest.main()
