"""Two `weir` processes, the second reading the topic that the first one writes, either killed: in
the end the second one's result is that of a run in which neither was.

Kills come at random moments, and at fault points of either. WEIR_SEED=N repeats the moments;
WEIR_LONG kills ten times as often.

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

from crash_results import Results, check
from crash_runs import KILLED, LONG, SANITIZED, SECONDS_MAX, WEIR, Failure, Job

KILLS = 300 if LONG else 30
SEED = int(os.environ.get("WEIR_SEED", random.SystemRandom().randrange(1 << 32)))
DELAY_MAX = 0.25 if SANITIZED else 0.15

INPUT = "in=gen:keyed?keys=40&size=60"
SLOW, RECORDS = "&rate=8000", 4000

# What reads, what its topic has, and whether the order between partitions is open.
READERS = [
    ("crash_all", ["-D", "fail=301"], 1, False),
    ("crash_all", ["-D", "fail=301", "-D", "partitions=several", "-D", "late=100",
                   "--epoch-ms", 5, "--cache", 0], 3, True),
    ("count", ["-o", "out=table:out"], 1, False),
    ("copy", ["--epoch-records", 7], 1, False),
]

# Fault points of the reader, and of the writer while the reader lives.
READER_POINTS = ["log_after_look", "log_after_look:3", "log_after_poll", "log_after_poll:9",
                 "fill_before_seal:2", "decide_before_end:2", "decide_after_end:3", "drop_before:2",
                 "undo_before_replay"]
WRITER_POINTS = ["decide_after_logs:2", "decide_before_end:3", "decide_after_end:3",
                 "checkpoint_after", "trim_after"]


class Pipeline:
    """A writer and a reader in one folder."""

    def __init__(self, reader, options, partitions, records=RECORDS, pace=SLOW, topic=""):
        self.writer = Job("copy", "-q", "-i", f"{INPUT}&records={records}{pace}", "-o",
                          f"out=log:mid?partitions={partitions}{topic}", store="a.weir")
        self.options = ["-i", "in=log:mid?store=a.weir", *options]
        self.name = reader
        self.reader = self.job()

    def job(self, *more):
        return Job(self.name, "-q", *self.options, *more, folder=self.writer.folder,
                   store="b.weir")

    def finish(self):
        """Both to the end: the writer, then the reader with what is left."""
        if not self.writer.run():
            raise Failure("the writer did not end")
        last = self.job("--until-end", "--drain")
        last.run()
        last.verify()
        return Results().read(last)

    def start_reader(self, fault=None):
        """Waits for the store that it reads."""
        give_up = time.monotonic() + SECONDS_MAX
        while not ready(self.writer.store) and time.monotonic() < give_up:
            time.sleep(0.005)
        return self.reader.start(fault)

    def remove(self):
        self.writer.remove()


def ready(store):
    """The topic is there."""
    try:
        connection = sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)
        try:
            return connection.execute("SELECT count(*) FROM topic").fetchone()[0] > 0
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return False


def position(store):
    try:
        connection = sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)
        try:
            return connection.execute("SELECT coalesce(sum(next), 0) FROM position").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return 0


def wait_for(condition, process, what):
    give_up = time.monotonic() + SECONDS_MAX
    while not condition():
        if time.monotonic() > give_up or process.poll() is not None:
            raise Failure(f"{what} did not happen; the process ended with {process.poll()}")
        time.sleep(0.005)


class Kills(unittest.TestCase):
    def setUp(self):
        self.rng = random.Random(SEED)

    def expected(self, reader):
        plain = Pipeline(*reader[:3], pace="")
        found = plain.finish()
        plain.remove()
        return found

    def kill_until_done(self, pipeline):
        """Kills either until the writer is done; gives how often."""
        writer, reader = pipeline.writer.start(), pipeline.start_reader()
        kills = [0, 0]
        while writer.poll() is None:
            time.sleep(self.rng.random() ** 2 * DELAY_MAX)
            if writer.poll() is None and self.rng.random() < 0.5:
                writer.kill()
                kills[0] += pipeline.writer.end(writer) == KILLED
                writer = pipeline.writer.start()
            else:
                reader.kill()
                code = pipeline.reader.end(reader)
                if code != KILLED:
                    raise Failure(f"{pipeline.reader} ended with {code}: {pipeline.reader.said}")
                kills[1] += 1
                reader = pipeline.start_reader()
        if pipeline.writer.end(writer) != 0:
            raise Failure(f"{pipeline.writer} ended badly: {pipeline.writer.said}")
        reader.kill()
        pipeline.reader.end(reader)
        return kills

    def test_random_kills(self):
        print(f"WEIR_SEED={SEED}")
        total = [0, 0]
        for i, reader in enumerate(READERS):
            expected = self.expected(reader)
            while sum(total) < KILLS * (i + 1) // len(READERS):
                pipeline = Pipeline(*reader[:3])
                try:
                    kills = self.kill_until_done(pipeline)
                    check(expected, pipeline.finish(), f"seed {SEED}: {pipeline.reader}", reader[3])
                except Failure:
                    print(f"WEIR_SEED={SEED}; its files are in {pipeline.writer.folder}")
                    raise
                pipeline.remove()
                total = [a + b for a, b in zip(total, kills)]
        print(f"{total[0]} kills of the writer, {total[1]} of the reader")

    def test_fault_points_of_the_reader(self):
        expected = self.expected(READERS[0])
        pipeline = Pipeline(*READERS[0][:3])
        writer = pipeline.writer.start()
        for point in READER_POINTS:
            reader = pipeline.start_reader(point)
            if writer.poll() is None:
                self.assertEqual(pipeline.reader.end(reader), KILLED, point)
            else:
                reader.kill()
                pipeline.reader.end(reader)
        self.assertEqual(pipeline.writer.end(writer), 0)
        check(expected, pipeline.finish(), str(pipeline.reader))
        pipeline.remove()

    # The reader lives through it all, and sees what is decided once.
    def test_fault_points_of_the_writer(self):
        expected = self.expected(READERS[0])  # slower, and so much that no stall is overtaken
        pipeline = Pipeline(*READERS[0][:3], pace="&rate=2500", topic="&retain_bytes=200k")
        for point in WRITER_POINTS:
            writer = pipeline.writer.start(point)
            if point == WRITER_POINTS[0]:
                reader = pipeline.start_reader()
            self.assertIn(pipeline.writer.end(writer), (0, KILLED), point)
        writer = pipeline.writer.start()
        wait_for(lambda: position(pipeline.reader.store) == RECORDS, reader, "reading all")
        self.assertEqual(pipeline.writer.end(writer), 0)
        reader.kill()
        pipeline.reader.end(reader)
        first = sqlite3.connect(f"{pipeline.writer.store.as_uri()}?mode=ro", uri=True)
        self.assertGreater(first.execute("SELECT first FROM partition").fetchone()[0], 0)
        first.close()
        check(expected, pipeline.finish(), str(pipeline.reader))
        pipeline.remove()

    # By age, while nothing is decided. A reader that was away is told, and may go on.
    def test_retention_of_an_idle_job(self):
        job = Job("copy", "-q", "-i", "in=log:t?store=source.weir", "-o",
                  "out=log:mid?retain_ms=50", "--epoch-records", 10, store="a.weir")
        reader = ["copy", "-q", "-i", "in=log:mid?store=a.weir", "--until-end"]

        def produce(count):
            lines = b"".join(b"%d\n" % i for i in range(count))
            subprocess.run([WEIR, "produce", "source.weir", "t"], cwd=job.folder, input=lines,
                           check=True, timeout=SECONDS_MAX)

        def first():
            store = sqlite3.connect(f"{job.store.as_uri()}?mode=ro", uri=True)
            found = store.execute("SELECT first FROM partition").fetchone()
            store.close()
            return found[0] if found else -1

        produce(100)
        process = job.start()
        wait_for(lambda: ready(job.store) and first() == 90, process, "trimming")
        Job(*reader, folder=job.folder, store="b.weir").run()
        produce(100)
        wait_for(lambda: first() == 190, process, "trimming")
        late = Job(*reader, folder=job.folder, store="b.weir")
        self.assertEqual(late.end(late.start()), 78, late.said)
        self.assertIn("retention has removed the records up to 189", late.said)
        reader[3] += "&missing=earliest"
        late = Job(*reader, folder=job.folder, store="b.weir")
        late.run()
        self.assertIn("going on at offset 190", late.said)
        self.assertEqual(position(late.store), 200)
        process.terminate()
        self.assertEqual(job.end(process), 0)
        job.verify()
        job.remove()


if __name__ == "__main__":
    unittest.main()
