"""A program that keeps a snapshot open makes the write-ahead log grow: the run says so, naming the
cause, goes on, and stops with 75 at --wal-max; once the program has ended, it goes on exactly.

SPDX-License-Identifier: Apache-2.0
"""

import re
import sqlite3
import subprocess
import time
import unittest

from cli_kit import AGAIN, COPY, COUNT, WEIR, CliTest

MIB = 1 << 20
RECORDS = 300000
KEYED = f"in=gen:keyed?records={RECORDS}&keys=1000&size=100"
WARNING = re.compile(rb"Z warning epoch \d+: the write-ahead log of \S+/s\.weir has grown to (\d+) "
                     rb"MiB, because a program that reads the store keeps a snapshot open; end it")


class Wal(CliTest):
    def setUp(self):
        super().setUp()
        self.weir("run", "-q", "-s", "s.weir", "-i", "in=gen:keyed?records=1000&size=100", COPY)

    def snapshot(self):
        """What an idle sqlite3 shell in a transaction holds."""
        reader = sqlite3.connect(f"{(self.folder / 's.weir').as_uri()}?mode=ro", uri=True,
                                 isolation_level=None)
        self.addCleanup(reader.close)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM epoch").fetchall()
        return reader

    def wal(self):
        return (self.folder / "s.weir-wal").stat().st_size

    def test_stops_at_the_limit_and_goes_on_exactly(self):
        reader = self.snapshot()
        _, err = self.weir("run", "-q", "-s", "s.weir", "--wal-max", "16M", "-i", KEYED, COPY,
                           code=AGAIN)
        lines = err.splitlines()
        self.assertEqual(len(lines), 2, err)
        said = WARNING.search(lines[0])
        self.assertTrue(said, err)
        self.assertGreaterEqual(int(said[1]), 8, err)  # one epoch may bring it far beyond
        self.assertRegex(lines[1], rb"error epoch \d+: stopped: the write-ahead log of \S+/s.weir "
                                   rb"has grown to \d+ bytes, over --wal-max 16777216, because a "
                                   rb"program that reads the store keeps a snapshot open; end it "
                                   rb"and start again, nothing is lost")
        self.assertGreater(self.wal(), 16 * MIB)

        # As long as it is there, a start comes to the same end.
        self.weir("run", "-q", "-s", "s.weir", "--wal-max", "16M", "-i", KEYED, COPY, code=AGAIN)

        reader.close()
        self.weir("run", "-q", "-s", "s.weir", "--wal-max", "16M", "-i", KEYED, COPY)
        values = [record["value"] for record in self.records("s.weir", "out")]
        self.assertEqual([int(value[:20]) for value in values], list(range(RECORDS)))
        self.weir("verify", "s.weir")
        self.assertLess(self.wal(), 64 * MIB + 1)

    # The same with a state that is rewritten: the limit counts the log, not the store.
    def test_warned_of_once_then_released(self):
        reader = self.snapshot()
        run = subprocess.Popen([WEIR, "run", "-q", "-s", "s.weir", "--wal-max", "24M", COPY,
                                "-i", "in=gen:keyed?size=100,rate=50000"], cwd=self.folder,
                               stderr=subprocess.PIPE)
        try:
            self.assertTrue(WARNING.search(run.stderr.readline()))
            self.assertGreater(self.wal(), 12 * MIB)
            reader.close()
            with open(self.folder / "s.weir-wal", "rb", buffering=0) as wal:
                salts = wal.read(24)[16:]
                while wal.seek(16) == 16 and wal.read(8) == salts:  # it has not started over
                    self.assertIsNone(run.poll())
                    time.sleep(0.02)
            # The next one is news.
            reader = self.snapshot()
            self.assertTrue(WARNING.search(run.stderr.readline()))
            reader.close()
            run.terminate()
            self.assertEqual(run.stderr.read(), b"")
            self.assertEqual(run.wait(), 0)
        finally:
            run.kill()
            run.wait()
            run.stderr.close()
        self.weir("verify", "s.weir")

    # Readers that come and go are none of this.
    def test_short_readers_are_not_said(self):
        run = subprocess.Popen([WEIR, "run", "-q", "-s", "c.weir", "--wal-max", "64M", COUNT,
                                "-i", "in=gen:keyed?records=1000000&keys=50000", "-o",
                                "out=table:counts"], cwd=self.folder, stderr=subprocess.PIPE)
        while run.poll() is None:
            try:
                self.query("c.weir", "SELECT count(*) FROM counts")
            except sqlite3.OperationalError:
                pass  # not made yet
            time.sleep(0.01)
        self.assertEqual((run.returncode, run.stderr.read()), (0, b""))
        run.stderr.close()


if __name__ == "__main__":
    unittest.main()
