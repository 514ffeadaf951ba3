"""A log that grows and is rotated while `weir` follows it and is killed with -9 at random moments:
each line has its effect once, and those of one path in their order.

The writer is a thread that rotates by rename (and writes a little on into the renamed file, as
programs do), or by copying and truncating; also within a pattern that takes the rotated files in.
A gzip file is read through kills too. The job fails now and then, so that epochs are
undone. WEIR_SEED=N repeats the moments; WEIR_LONG lasts longer.

SPDX-License-Identifier: Apache-2.0
"""

import gzip
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from crash_runs import KILLED, LONG, SANITIZED, Failure, Job

SEED = int(os.environ.get("WEIR_SEED", random.SystemRandom().randrange(1 << 32)))
SECONDS = 60 if LONG else 3
UP = 0.9 if SANITIZED else 0.5  # seconds of one run, at most
DOWN = 0.4


class Writer(threading.Thread):
    """Appends numbered lines to a log, in pieces that end anywhere, and rotates it."""

    def __init__(self, path, how, rng):
        super().__init__()
        self.path, self.how, self.rng = path, how, rng
        self.lines = self.rotations = 0
        self.may_rotate = threading.Event()
        self.ends = threading.Event()
        self.error = None

    def rotated(self, number):
        return self.path.with_name(f"{self.path.name}.{number}")

    def make_room(self):
        """app.log.1 becomes app.log.2, and so on."""
        for number in range(self.rotations, 0, -1):
            os.rename(self.rotated(number), self.rotated(number + 1))
        self.rotations += 1

    def text(self, count):
        first, self.lines = self.lines, self.lines + count
        return "".join(f"line {i} {'x' * (i % 50)}\n" for i in range(first, self.lines)).encode()

    def append(self, file):
        text = self.text(self.rng.randrange(1, 30))
        cut = self.rng.randrange(len(text))
        for piece in (text[:cut], text[cut:]):
            os.write(file, piece)
            time.sleep(self.rng.random() * 0.01)

    def open(self):
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def rotate(self, file):
        self.make_room()
        if self.how == "copy":
            shutil.copyfile(self.path, self.rotated(1))
            os.truncate(self.path, 0)
            return file
        os.rename(self.path, self.rotated(1))
        for _ in range(self.rng.randrange(4)):
            self.append(file)
        if self.rng.randrange(3) == 0:
            os.write(file, self.text(1)[:-1])  # a last line without a newline
        os.close(file)
        return self.open()

    def run(self):
        file = self.open()
        try:
            while not self.ends.is_set():
                self.append(file)
                if self.may_rotate.is_set() and self.rng.randrange(12) == 0:
                    file = self.rotate(file)
            self.append(file)  # a last line without a newline waits for data in the next file
        except OSError as error:
            self.error = error
        finally:
            os.close(file)


class Follow(unittest.TestCase):
    def setUp(self):
        print(f"WEIR_SEED={SEED}")
        self.rng = random.Random(f"{SEED} {self.id()}")

    def first_run(self, job, out):
        """A new store begins with the file that is there: it must have a position before that file
        is rotated away."""
        process = job.start()
        until = time.monotonic() + 60
        while not out.stat().st_size and time.monotonic() < until:
            time.sleep(0.01)
        process.kill()
        job.end(process)
        self.assertGreater(out.stat().st_size, 0, job.said)

    def kill_for_a_while(self, job):
        """Runs, kills, runs. How often."""
        kills, until = 0, time.monotonic() + SECONDS
        while time.monotonic() < until:
            process = job.start()
            time.sleep(self.rng.random() ** 2 * UP + 0.02)
            process.kill()
            code = job.end(process)
            if code != KILLED:
                raise Failure(f"{job} ended with {code}; it said:\n{job.said}")
            kills += 1
            time.sleep(self.rng.random() ** 3 * DOWN)
        return kills

    def finish(self, job, out, lines):
        """Lets it read the rest, and stops it."""
        process = job.start()
        until = time.monotonic() + 60
        while out.read_bytes().count(b"\n") < lines and time.monotonic() < until:
            if process.poll() is not None:
                break
            time.sleep(0.02)
        time.sleep(0.3)  # what comes twice comes now
        process.send_signal(signal.SIGTERM)
        if job.end(process) != 0:
            raise Failure(f"{job} did not end well; it said:\n{job.said}")

    def follow(self, how, name, in_order=True):
        job = Job("file_copy", "-i", f"in=file:{name}?follow=true", "-D", "fail=37",
                  "--sync", "normal")
        out = job.folder / "out.txt"
        out.touch()
        writer = Writer(job.folder / "app.log", how, self.rng)
        writer.start()
        try:
            self.first_run(job, out)
            writer.may_rotate.set()
            kills = self.kill_for_a_while(job)
        finally:
            writer.ends.set()
            writer.join()
        self.assertIsNone(writer.error)
        self.finish(job, out, writer.lines)
        job.verify()
        got = [int(line.split()[1]) for line in out.read_text().splitlines()]
        if not in_order:
            got.sort()
        wrong = next((i for i, (a, b) in enumerate(zip(got, range(writer.lines))) if a != b), -1)
        what = f"{job}: {writer.lines} lines written, {len(got)} came; the first that differs is " \
            f"number {wrong}: {got[wrong:wrong + 4]}"
        self.assertEqual(wrong, -1, what)
        self.assertEqual(len(got), writer.lines, what)
        print(f"{how} {name}: {kills} kills, {writer.rotations} rotations, {writer.lines} lines")
        self.assertGreater(writer.rotations, 2)
        job.remove()

    def test_renamed(self):
        self.follow("rename", "app.log")

    def test_copied_and_truncated(self):
        self.follow("copy", "app.log")

    def test_renamed_within_a_pattern(self):
        self.follow("rename", "app.log*", in_order=False)

    def test_copied_within_a_pattern(self):
        self.follow("copy", "app.log*", in_order=False)

    def test_gzip(self):
        job = Job("file_copy", "-i", "in=file:in.gz?compression=gzip", "-D", "fail=999",
                  "--sync", "normal", "--epoch-records", 50)
        expected = "".join(f"{i} {'y' * (i % 90)}\n" for i in range(200000))
        with gzip.open(job.folder / "in.gz", "wt", compresslevel=1) as file:
            file.write(expected)
        kills = 0
        for turn in range(200):
            process = job.start()
            try:  # the first run has no time to be through
                process.wait(timeout=0.1 + self.rng.random() ** 2 * UP if turn else 0.05)
            except subprocess.TimeoutExpired:
                process.kill()
            code = job.end(process)
            kills += code == KILLED
            if code == 0:
                break
            self.assertEqual(code, KILLED, job.said)
        job.run()
        job.verify()
        self.assertTrue((job.folder / "out.txt").read_text() == expected, "not what was in it")
        print(f"gzip: {kills} kills")
        self.assertGreater(kills, 0)
        job.remove()


if __name__ == "__main__":
    unittest.main()
