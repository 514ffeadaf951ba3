"""`weir` killed while it starts with a changed job: the store is then one that the old job still
takes, or one that the new job takes without any option, and never something in between. Which one
it is, `changes` in table meta tells.

SPDX-License-Identifier: Apache-2.0
"""

import concurrent.futures
import os
import pathlib
import random
import shutil
import sqlite3
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from crash_results import Results, check
from crash_runs import KILLED, LONG, Job

SEED = int(os.environ.get("WEIR_SEED", random.SystemRandom().randrange(1 << 32)))
RANDOM_KILLS = 200 if LONG else 6  # of each case
POINTS = ["open_after_generation", "start_before_change", "start_after_change", "start_before_end",
          "start_after_end", "fill_first_unit", "decide_after_end", "forward_after_sync"]
AT_ONCE = 3  # they wait for the disk most of the time

# State of many keys, so that dropping or upgrading it takes a while.
OLD = ["-i", "in=gen:keyed?records=3000&keys=2000&size=20", "-o", "out=file:out.txt"]
INPUT = "gen:keyed?records=3400&keys=2000&size=20"

CASES = {  # the job as it is now, and what its first start is told
    "renamed and upgraded":
        (["-i", f"input={INPUT}", "-o", "lines=file:out.txt", "-D", "in=input", "-D", "when=timed",
          "-D", "count=last", "-D", "last=tally", "-D", "out=lines", "-D", "version=2", "-D",
          "upgrade=yes"],
         ["--rename", "in=input", "--rename", "when=timed", "--rename", "count=last", "--rename",
          "last=tally", "--rename", "out=lines"]),
    "dropped and rewound":
        (["-i", f"in={INPUT}", "-o", "out=file:out.txt", "-D", "last=-"],
         ["--drop-state", "last", "--drop-state", "count", "--rewind", "in=earliest"]),
    "rewound to an offset":
        (["-i", f"in={INPUT}", "-o", "out=file:out.txt"], ["--rewind", "in=2500"]),
}


def was_changed(job):
    store = sqlite3.connect(f"{job.store.as_uri()}?mode=ro", uri=True)
    try:
        return store.execute("SELECT count(*) FROM meta WHERE key = 'changes'").fetchone()[0] > 0
    finally:
        store.close()


class ChangeKilled(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-crash."))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        old = Job("change", *OLD, folder=cls.folder / "old")
        old.run()
        cls.expected = {}
        for name in CASES:
            now, change = CASES[name]
            job = cls.copy(name, [*now, *change])
            job.run()
            job.verify()
            assert was_changed(job)
            cls.expected[name] = Results().read(job)

    @classmethod
    def copy(cls, name, options, of="old"):
        """The folder as the old job (or a kill) left it, and a job on it."""
        folder = cls.folder / f"{name} {random.randrange(1 << 60):x}"
        shutil.copytree(cls.folder / of, folder)
        # A file that is forwarded to is known by its inode: the copy is that file now.
        return Job("change", *options, folder=cls.adopt(folder))

    @staticmethod
    def adopt(folder):
        inode = (folder / "out.txt").stat()
        store = sqlite3.connect(folder / "job.weir")
        with store:
            store.execute("UPDATE marker SET identity = ?",
                          (f"dev:{inode.st_dev};inode:{inode.st_ino}",))
        store.close()
        return folder

    def end_well(self, name, job, about):
        """After a kill: the old job goes on, or the new one does."""
        now, change = CASES[name]
        job.verify()
        changed = was_changed(job)
        if not changed:
            old = self.copy("old again", OLD, of=job.folder.name)
            old.run()
            old.verify()
            old.remove()
        job.command = Job("change", *now, *([] if changed else change), folder=job.folder).command
        job.run()
        job.verify()
        check(self.expected[name], Results().read(job), f"{about}: {job}")
        job.remove()
        return changed

    def test_at_fault_points(self):
        """Killed at each point of a start, and at some behind it."""
        def kill(name, point):
            now, change = CASES[name]
            job = self.copy(name, [*now, *change])
            self.assertFalse(job.run(point), f"{point} is not passed")
            return self.end_well(name, job, f"{name}, {point}")

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for name in CASES:
                changed = list(pool.map(lambda point, name=name: kill(name, point), POINTS))
                first = POINTS.index("start_after_end")
                self.assertEqual(changed, [i >= first for i in range(len(POINTS))], name)

    def test_at_random(self):
        """And at any moment."""
        rng = random.Random(SEED)
        def kill(name, seconds):
            now, change = CASES[name]
            job = self.copy(name, [*now, *change])
            process = job.start()
            time.sleep(seconds)
            process.kill()
            self.assertIn(job.end(process), (0, KILLED), job.said)
            self.end_well(name, job, f"{name}, WEIR_SEED={SEED}")

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for name, (now, change) in CASES.items():
                begun = time.monotonic()
                self.copy(name, [*now, *change]).run()
                longest = (time.monotonic() - begun) * AT_ONCE
                moments = [rng.random() * longest for _ in range(RANDOM_KILLS)]
                list(pool.map(lambda seconds, name=name: kill(name, seconds), moments))


if __name__ == "__main__":
    unittest.main()
