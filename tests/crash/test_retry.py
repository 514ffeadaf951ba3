"""`weir` killed while failing records and timers become dead letters, while dead letters are
queued, and while they are taken again: in the end all is as without a kill, each dead letter
counted.

WEIR_SEED=N repeats the moments; WEIR_LONG kills ten times as often.

SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib
import random
import sqlite3
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from crash_points import crash_everywhere
from crash_poisons import FIRST, REJECTING, queue, rejecting, retrying, weir_rejects
from crash_results import Results, check
from crash_runs import KILLED, LONG, WEIR, Failure, Job

KILLS = 300 if LONG else 15  # of each configuration
SEED = int(os.environ.get("WEIR_SEED", random.SystemRandom().randrange(1 << 32)))
POINTS = ("reject_before_undo", "reject_after_unit", "retry_after_unit", "retry_last_unit",
          "undo_before_replay", "fill_after_seal", "decide_after_positions", "decide_after_end")


def rows(job, query):
    store = sqlite3.connect(f"{job.store.as_uri()}?mode=ro", uri=True)
    try:
        return store.execute(query).fetchall()
    finally:
        store.close()


class Retry(unittest.TestCase):
    def setUp(self):
        self.rng = random.Random(SEED)

    def kill_at_random(self, job):
        """True when it was done before."""
        process = job.start()
        process.stderr.readline()
        time.sleep(self.rng.random() ** 2 * 0.2)
        process.kill()
        code = job.end(process)
        if code not in (0, KILLED):
            raise Failure(f"{job} ended with {code}; it said:\n{job.said}")
        job.verify()
        return code == 0

    def survive(self, configuration):
        """Killed at random until done, again and again."""
        print(f"WEIR_SEED={SEED}")
        configuration.learn()
        kills = 0
        while kills < KILLS:
            job = configuration.make()
            while not self.kill_at_random(job):
                kills += 1
            check(configuration.expected, Results().read(job), f"seed {SEED}: {job}")
            self.assertEqual(rows(job, "SELECT count(*) FROM retry"), [(0,)])
            job.remove()

    def test_random_kills_while_rejecting(self):
        self.survive(rejecting())

    def test_random_kills_while_retrying(self):
        self.survive(retrying("yes"))

    def test_random_kills_while_they_fail_again(self):
        self.survive(retrying("no"))

    def test_points_while_they_fail_again(self):
        """Killed at a point, and there again. (test_fault_points.py has the other two.)"""
        configuration = retrying("no", ["--epoch-records", 20], counts=(1, 3))
        configuration.learn()
        for point in POINTS:
            crash_everywhere(self, point, [configuration])

    def test_what_is_expected(self):
        """The uncrashed run's dead letters are those that the job's rules make, and mending leaves
        only the table's: every record has then been counted once."""
        job = rejecting().make()
        job.run()
        numbers = set(range(300))
        offsets = [offset for offset, in rows(job, "SELECT offset FROM reject WHERE source IS NOT"
                                                   " NULL AND node <> 'counts' ORDER BY 1")]
        self.assertEqual(offsets, sorted(n for n in numbers if n % 41 == 5 or n % 17 == 3))
        failed = rows(job, "SELECT count(*) FROM reject WHERE node = 'in'")[0][0]
        self.assertEqual(failed, len([n for n in numbers if n % 41 == 5]))
        refused = rows(job, "SELECT offset FROM reject WHERE node = 'counts' ORDER BY 1")
        self.assertEqual([n for n, in refused], sorted(n for n in numbers - set(offsets)
                                                       if n % 23 == 7))
        timers = rows(job, "SELECT count(*) FROM reject WHERE timer IS NOT NULL")[0][0]
        self.assertGreater(timers, 10)
        dead = (job.folder / "dead.txt").read_bytes().count(b"\n")
        self.assertEqual(dead, rows(job, "SELECT count(*) FROM reject")[0][0])
        weir_rejects(job.folder, "--retry")
        job = Job("poisons", "-i", FIRST, *REJECTING, "-D", "mended=yes", folder=job.folder)
        job.run()
        self.assertEqual(rows(job, "SELECT offset FROM reject WHERE node = 'counts' ORDER BY 1"),
                         refused)  # as the table got it: still no number
        self.assertEqual(rows(job, "SELECT count(*) FROM reject"), [(len(refused),)])
        self.assertEqual(rows(job, "SELECT sum(next) FROM partition JOIN topic ON topic.id = topic"
                                   " WHERE name = 'out'"), [(300,)])
        job.verify()
        job.remove()

    def test_kills_while_queueing(self):
        """`weir rejects --retry` and `--delete` do all or nothing."""
        job = rejecting().make()
        job.run()
        count = rows(job, "SELECT count(*) FROM reject")[0][0]
        outcomes = set()
        for i in range(20):
            act = "--delete" if i % 4 == 3 else "--retry"
            process = subprocess.Popen([WEIR, "rejects", "job.weir", act], cwd=job.folder,
                                       stdout=subprocess.DEVNULL)
            time.sleep(self.rng.random() * 0.06)
            process.kill()
            process.wait()
            left = rows(job, "SELECT (SELECT count(*) FROM reject), (SELECT count(*) FROM retry)")
            self.assertIn(left[0], [(count, 0), (count, count), (0, 0)])
            outcomes.add(left[0])
            if left[0] == (0, 0):
                break
            weir_rejects(job.folder, "--keep")
        job.verify()
        job.remove()


if __name__ == "__main__":
    unittest.main()
