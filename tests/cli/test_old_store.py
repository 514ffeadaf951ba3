"""Stores that older builds made: every tool reads them without a change on the disk, and a run
resumes them; what comes out is what today's build gives without an interruption.

Each format of the store keeps a fixture; docs/TESTING.md says how one is made.

SPDX-License-Identifier: Apache-2.0
"""

import gzip
import hashlib
import json
import pathlib
import re
import sqlite3
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from cli_kit import CONFIG, JOBS, ROOT, CliTest
from crash_results import Results, check
from crash_runs import Job

FIXTURES = ROOT / "tests" / "fixtures"
OPTIONS = ["-i", "in=gen:keyed?records=600&keys=20&size=40", "-o", "lines=log:lines", "-o",
           "totals=log:totals"]
FORMAT = int(re.search(r"#define WR_STORE_FORMAT (\d+)",
                       (ROOT / "txn" / "store_sql.h").read_text())[1])
STORE = "job.weir"


class OldStores(CliTest):
    def formats(self):
        """Each older format: its number, with its store unpacked."""
        for number in range(1, FORMAT):
            for file in self.folder.glob(f"{STORE}*"):
                file.unlink()
            packed = (FIXTURES / f"store-format-{number}.gz").read_bytes()
            (self.folder / STORE).write_bytes(gzip.decompress(packed))
            yield number

    def digest(self):
        return hashlib.sha256((self.folder / STORE).read_bytes()).hexdigest()

    def number(self):
        return self.query(STORE, "PRAGMA user_version")[0][0]

    def test_every_tool_reads_it(self):
        for number in self.formats():
            before = self.digest()
            self.assertEqual(self.number(), number)
            self.assertIn(b"epoch", self.weir("inspect", STORE)[0])
            json.loads(self.weir("inspect", STORE, "--json")[0])
            self.assertIn(b"ok: ", b"".join(self.weir("verify", STORE)))
            topics = self.weir("topics", STORE)[0].decode()
            for topic in ["plain", "lines", "mixed", "windows", "totals"]:
                self.assertIn(topic, topics)
                kept = self.query(STORE, "SELECT sum(next) FROM partition JOIN topic ON id = topic"
                                         " WHERE name = ?", topic)[0][0]
                self.assertEqual(len(self.records(STORE, topic)), kept)
            rejects = self.query(STORE, "SELECT count(*) FROM reject")[0][0]
            self.assertGreater(rejects, 0)
            self.assertEqual(self.weir("rejects", STORE)[0].count(b"\n"), rejects)
            self.assertEqual(self.digest(), before)
            wal = self.folder / f"{STORE}-wal"
            self.assertEqual(wal.stat().st_size if wal.exists() else 0, 0)

    def test_a_run_resumes_it(self):
        """To the end, and record for record."""
        whole = Job("crash_all", *OPTIONS, folder=self.folder / "whole")
        whole.run()
        expected = Results().read(whole)
        whole.remove()
        for number in self.formats():
            done = self.query(STORE, "SELECT next FROM position")[0][0]
            self.assertTrue(0 < done < 600, done)
            job = Job("crash_all", *OPTIONS, folder=self.folder)
            job.run()
            self.assertIn("resuming ", job.said)
            self.assertEqual(self.number(), FORMAT)
            check(expected, Results().read(job), f"a store of format {number}")
            job.verify()

    def test_it_is_changed_too(self):
        """The first start of the newer build may be one with a changed job."""
        for _ in self.formats():
            said = self.weir("run", JOBS / "crash_all.so", "-s", STORE, *OPTIONS, "--rewind",
                             "in=0", "--drop-state", "tally")[1].decode()
            self.assertIn("--drop-state tally: dropped", said)
            self.assertEqual(self.number(), FORMAT)
            self.weir("verify", STORE)

    def test_a_newer_one_is_refused(self):
        self.weir("run", JOBS / "crash_all.so", "-s", STORE, *OPTIONS)
        self.change(STORE, "UPDATE meta SET value = '9.8' WHERE key = 'weir'")
        connection = sqlite3.connect(self.folder / STORE)
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
        connection.close()
        for command in [["inspect", STORE], ["verify", STORE], ["topics", STORE],
                        ["consume", STORE, "plain"], ["rejects", STORE],
                        ["run", JOBS / "crash_all.so", "-s", STORE, *OPTIONS]]:
            self.refuses(CONFIG, "use weir 9.8, which made it", *command)


if __name__ == "__main__":
    unittest.main()
