"""Much of one thing: one key for all records, timers that are all due at once, many keys at once.
The right result, in memory that has a bound.

SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from cli_kit import COUNT, JOBS, WEIR, CliTest
from crash_runs import KILLED, SANITIZED

UNITS = JOBS / "survive_units.so"
MANY = 50000 if SANITIZED else 1000000
MEBIBYTE = 1 << 20


class Load(CliTest):
    def run_in(self, mebibytes, *args):
        """Runs to the end, in at most so much memory (which sanitizers do not let one measure)."""
        with open(self.folder / "said", "wb") as said:
            process = subprocess.Popen([WEIR, *map(str, args)], cwd=self.folder, stderr=said,
                                       stdin=subprocess.DEVNULL, stdout=said)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        text = (self.folder / "said").read_text()
        self.assertEqual(process.returncode, 0, text)
        used = usage.ru_maxrss * 1024 / MEBIBYTE
        print(f"{used:.0f} MiB: {' '.join(map(str, args[-6:]))}")
        if not SANITIZED:
            self.assertLess(used, mebibytes, text)
        return text

    def test_one_key_for_all(self):
        self.run_in(200, "run", COUNT, "-s", "x.weir", "-i", f"in=gen:keyed?keys=1&records={MANY}",
                    "-o", "out=table:out")
        self.assertEqual(self.query("x.weir", "SELECT * FROM out"), [("0", str(MANY))])
        self.weir("verify", "x.weir")

    def test_one_key_in_many_epochs_without_a_cache(self):
        some = MANY // 50
        self.run_in(200, "run", COUNT, "-s", "x.weir", "-i", f"in=gen:keyed?keys=1&records={some}",
                    "-o", "out=table:out", "--epoch-records", 100, "--cache", 0)
        self.assertEqual(self.query("x.weir", "SELECT * FROM out"), [("0", str(some))])

    def test_a_key_for_each(self):
        self.run_in(250, "run", COUNT, "-s", "x.weir", "-i",
                    f"in=gen:keyed?keys={MANY}&records={MANY}", "-o", "out=table:out")
        self.assertEqual(self.query("x.weir", "SELECT count(*), sum(value) FROM out"),
                         [(MANY, MANY)])

    # All due at one time: a hundred each of so many keys.
    def timers(self, *options):
        keys = MANY // 100
        return ("run", UNITS, "-s", "x.weir", "-D", "do=timers", "-D", "n=100", "-i",
                f"in=gen:keyed?keys={keys}&records={keys}", *options)

    def fired_all(self):
        self.assertEqual(self.query("x.weir", "SELECT count(*) FROM timer"), [(0,)])
        self.assertEqual(self.query("x.weir", "SELECT count(*), min(length(value)) FROM state"),
                         [(MANY // 100, 8)])
        last = (100).to_bytes(8, "big", signed=True)
        last = bytes([last[0] ^ 0x80]) + last[1:]
        self.assertEqual(self.query("x.weir", "SELECT DISTINCT value FROM state"), [(last,)])
        self.assertEqual(self.query("x.weir", "SELECT next FROM partition"), [(MANY,)])
        self.weir("verify", "x.weir")

    def test_timers_all_due_at_once(self):
        """The end of time makes them due."""
        self.run_in(300, *self.timers("--drain"))
        self.fired_all()

    def test_timers_of_an_earlier_run(self):
        """They come from the store, and are not all loaded."""
        self.run_in(300, *self.timers())
        self.assertEqual(self.query("x.weir", "SELECT count(*) FROM timer"), [(MANY,)])
        self.run_in(300, *self.timers("--drain"))
        self.fired_all()

    def test_killed_while_timers_fire(self):
        self.run_in(300, *self.timers())
        for count in (1, 2, 3):
            self.weir(*self.timers("--drain", "--epoch-records", MANY // 10), code=KILLED,
                      env={"WEIR_FAULT": f"decide_before_end:{count + 1}"})
        self.run_in(300, *self.timers("--drain"))
        self.fired_all()


if __name__ == "__main__":
    unittest.main()
