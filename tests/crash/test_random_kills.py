"""`weir` killed 200 times at random moments: after each job's end the result is that of a run
without a crash, and `weir verify` finds nothing wrong after any kill.

A kill counts when it hit a process at work: one that had said which store it resumes. Some more
come while it still opens the store. WEIR_SEED=N repeats the moments (not what the machine makes of
them); WEIR_LONG kills ten times as often.

SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib
import random
import sqlite3
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from crash_results import Results, check
from crash_runs import KILLED, LONG, SANITIZED, Failure, Job

KILLS = 2000 if LONG else 200
SEED = int(os.environ.get("WEIR_SEED", random.SystemRandom().randrange(1 << 32)))
DELAY_MIN, DELAY_MAX = 0.01, 0.2 if SANITIZED else 0.15  # seconds after the start of work
IN_START_PERCENT = 10  # of the kills come before, while it opens the store

# rate: so slow that a run lasts for some kills, however fast the machine.
SLOW = "in=gen:keyed?records=4000&keys=40&size=60&rate=8000"
FAST = "in=gen:keyed?records=300000&keys=1000&size=100"
CONFIGURATIONS = [
    ("crash_all", ["-i", SLOW, "-D", "fail=301"], False),
    ("crash_all", ["-i", SLOW.replace("4000", "2000"), "--epoch-records", 1], False),
    ("crash_all", ["-i", SLOW, "--epoch-records", 1000, "--sync", "normal", "--drain"], False),
    ("crash_all", ["-i", SLOW + "&partitions=4", "-D", "partitions=several", "-D", "late=100",
                   "--epoch-ms", 5, "--cache", 0, "--drain"], True),
    ("survive_units", ["-i", SLOW, "-D", "do=clock", "-D", "n=40", "--drain"], True),
    ("count", ["-i", FAST, "-o", "out=table:out"], False),
    ("copy", ["-i", FAST, "-o", "out=file:out.txt", "--sync", "normal"], False),
]


def position(job):
    """How far the inputs were read; 0 before there is a store."""
    try:
        store = sqlite3.connect(f"{job.store.as_uri()}?mode=ro", uri=True)
        try:
            return store.execute("SELECT coalesce(sum(next), 0) FROM position").fetchone()[0]
        finally:
            store.close()
    except sqlite3.OperationalError:
        return 0


class RandomKills(unittest.TestCase):
    def setUp(self):
        self.rng = random.Random(SEED)
        self.kills = self.decided = self.missed = self.runs = 0

    def kill_once(self, job):
        """One start and kill. True when the job was done before it."""
        before = position(job)
        works = self.rng.randrange(100) >= IN_START_PERCENT
        process = job.start()
        if works:
            process.stderr.readline()  # which store: from here on it works
            time.sleep(DELAY_MIN + self.rng.random() ** 2 * DELAY_MAX)
        else:
            time.sleep(self.rng.random() * 0.05)
        process.kill()
        code = job.end(process)
        if code not in (0, KILLED):
            raise Failure(f"{job} ended with {code}; it said:\n{job.said}")
        job.verify()
        if works and code == KILLED:
            self.kills += 1
            self.decided += before < position(job)
        else:
            self.missed += 1
        return code == 0

    def run_with_kills(self, name, options, by_key, kills, expected):
        """Kills one job until it is done, or was killed so often."""
        until = self.kills + kills
        job = Job(name, *options)
        try:
            while self.kills < until and not self.kill_once(job):
                pass
            job.run()
            check(expected, Results().read(job), f"seed {SEED}: {job}", by_key)
            job.verify()
            self.runs += 1
        except Failure:
            print(f"WEIR_SEED={SEED}; its files are in {job.folder}")
            raise
        job.remove()

    def test_random_kills(self):
        print(f"WEIR_SEED={SEED}")
        for i, (name, options, by_key) in enumerate(CONFIGURATIONS):
            plain = Job(name, *options)
            plain.run()
            expected = Results().read(plain)
            plain.remove()
            until = KILLS * (i + 1) // len(CONFIGURATIONS)
            give_up = self.missed + 2 * KILLS
            while self.kills < until:
                self.run_with_kills(name, options, by_key, until - self.kills, expected)
                self.assertLess(self.missed, give_up, "kills hit nothing: a slower job?")
        print(f"{self.kills} kills hit a job at work, {self.decided} of them after it had decided"
              f" something new; {self.missed} did not; {self.runs} runs compared")
        self.assertGreaterEqual(self.kills, KILLS)
        self.assertGreater(self.decided, KILLS // 2, "the kills came too early")


if __name__ == "__main__":
    unittest.main()
