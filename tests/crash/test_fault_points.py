"""`weir` killed at each fault point: after restarts the result is that of a run without a crash,
record for record.

Each point is tried in each configuration that passes it: killed at its COUNT-th passing, killed
there again at the restart, then run to the end. A point that no configuration passes is a failure.

SPDX-License-Identifier: Apache-2.0
"""

import pathlib
import random
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from crash_points import Configuration, add_tests
from crash_poisons import rejecting, retrying, weir_rejects
from crash_results import Results, check
from crash_runs import Job

SMALL_EPOCHS = ("--epoch-records", 50)
KEYED = "in=gen:keyed?records=600&keys=20&size=40"
UNDO = ("-D", "fail=97")  # undoes epochs; results do not change


def lines_of_any_bytes(folder):
    rng = random.Random(3)
    alphabet = b"ab\0\xff\r\t\xc3\xa9"
    lines = [b"%d " % n + bytes(rng.choices(alphabet, k=rng.randrange(60))) for n in range(600)]
    (folder / "in.txt").write_bytes(b"\n".join(lines))  # the last line without newline


TOLD = """
-- name: setup
CREATE TABLE IF NOT EXISTS audit(id INTEGER PRIMARY KEY AUTOINCREMENT, who, at, offset);
CREATE TABLE IF NOT EXISTS totals(id INTEGER PRIMARY KEY, who UNIQUE, n, sum);
CREATE TRIGGER IF NOT EXISTS once BEFORE INSERT ON audit
    WHEN EXISTS (SELECT 1 FROM audit WHERE offset = new.offset)
BEGIN SELECT RAISE(ABORT, 'told twice'); END;
CREATE VIEW IF NOT EXISTS look AS SELECT who, sum FROM totals;
-- name: record
INSERT INTO audit(who, at, offset) VALUES(:key, :time_ms, :offset);
INSERT INTO totals(who, n, sum) VALUES(:key, 1, :offset)
    ON CONFLICT(who) DO UPDATE SET n = n + 1, sum = sum + excluded.sum;
SELECT json('refused') WHERE :offset % 9 = 8;
"""


TELLING = ("-o", "out=sql:told.sql")


def told(folder):
    (folder / "told.sql").write_text(TOLD)


def told_again(folder):
    """A first run leaves dead letters of statements; all are queued, half will be refused again."""
    told(folder)
    Job("copy", "-i", KEYED.replace("600", "300"), *TELLING, folder=folder).run()
    weir_rejects(folder, "--retry")
    (folder / "told.sql").write_text(TOLD.replace("% 9", "% 18"))


def another_store(folder):
    """A topic of two partitions, in batches of 50, in the store of another job."""
    job = Job("copy", "-q", "-i", KEYED, "-o", "out=log:out?partitions=2", *SMALL_EPOCHS,
              folder=folder, store="other.weir")
    job.run()


CONFIGURATIONS = [
    # Every kind of sink, state, timers, rejects, headers, epochs that are undone.
    Configuration("everything", "crash_all", ["-i", KEYED, *SMALL_EPOCHS, *UNDO], (1, 4, 11)),
    # Lines of any bytes, nothing cached, and every timer at the end; so many epochs that there are
    # checkpoints.
    Configuration("lines", "crash_all",
                  ["-i", "in=file:in.txt", "--epoch-records", 10, "--cache", 0, "--drain"], (3,),
                  prepare=lines_of_any_bytes),
    # The plainest jobs, to the plainest sinks.
    Configuration("copy to a file", "copy", ["-i", KEYED, "-o", "out=file:out", *SMALL_EPOCHS],
                  (2,)),
    Configuration("count into a table", "count",
                  ["-i", KEYED, "-o", "out=table:out", *SMALL_EPOCHS], (2,)),
    # Statements, some of which refuse their record.
    Configuration("tell statements", "copy",
                  ["-i", KEYED, *TELLING, *SMALL_EPOCHS], (2, 60), prepare=told),
    Configuration("tell statements again",
                  "copy", ["-i", KEYED, *TELLING, *SMALL_EPOCHS], (2,), prepare=told_again),
    # What another job has written, read to where it ended.
    Configuration("another job's topic", "copy",
                  ["-i", "in=log:out?store=other.weir", "--until-end", *SMALL_EPOCHS], (3,),
                  by_key=True, prepare=another_store),
    # Failing records and timers become dead letters, which are then taken again.
    rejecting(SMALL_EPOCHS, (2,)),
    retrying("yes", SMALL_EPOCHS, (2,)),
]


class FaultPoints(unittest.TestCase):
    """And one test a fault point, added below."""

    @classmethod
    def setUpClass(cls):
        for configuration in CONFIGURATIONS:
            configuration.learn()

    # However records are put into epochs, the result is the same: else a crash could not be told.
    def test_epochs_do_not_matter(self):
        everything = CONFIGURATIONS[0]
        for options in (["--epoch-records", 1], ["--epoch-records", 7, "--cache", 0], []):
            job = Job("crash_all", "-i", KEYED, *options)
            job.run()
            check(everything.expected, Results().read(job), f"{options}: {job}")
            job.remove()

    # What retention leaves, in whole batches, is the end of what a run without it has.
    def test_retention(self):
        plain = Job("copy", "-i", KEYED, *SMALL_EPOCHS)
        plain.run()
        whole = Results().read(plain).parts["topic out/0"]
        plain.remove()
        faults = ("decide_after_logs:9", "trim_before:2", "trim_after:3", "decide_after_end:10")
        for fault in faults:
            job = Job("copy", "-i", KEYED, "-o", "out=log:out?retain_bytes=12k", *SMALL_EPOCHS)
            self.assertFalse(job.run(fault))
            job.verify()
            job.run()
            kept = Results().read(job).parts["topic out/0"]
            self.assertEqual(kept, whole[-len(kept):], fault)
            self.assertTrue(100 <= len(kept) <= 400, f"{fault}: {len(kept)} of {len(whole)}")
            job.verify()
            job.remove()


add_tests(FaultPoints, CONFIGURATIONS)

if __name__ == "__main__":
    unittest.main()
