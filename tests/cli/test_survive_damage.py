"""Damaged stores: cut off anywhere, or with bits flipped anywhere. Whatever is done with one ends,
in time, with a code that says so; what CRCs cover is never given out wrong; and a write-ahead log
that lost its end is only an earlier moment, from which the job goes on to the right result.

WEIR_SEED=N repeats the places; WEIR_LONG tries ten times as many.

SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from cli_kit import AGAIN, CONFIG, DATA, IO, SECONDS_MAX, WEIR, CliTest
from crash_results import Results, check
from crash_runs import LONG, SANITIZED, Failure, Job

SEED = int(os.environ.get("WEIR_SEED", random.SystemRandom().randrange(1 << 32)))
TRIES = 400 if LONG else 20 if SANITIZED else 40
FIRST, ALL = (["-i", f"in=gen:keyed?records={records}&keys=20&size=60", "--epoch-records", 30]
              for records in (300, 400))


def first_run(folder):
    job = Job("crash_all", *FIRST, folder=folder)
    job.run()
    return job


class DamageTest(CliTest):
    """`first` is after a first run, `expected` what a second run over more records must give."""

    @classmethod
    def setUpClass(cls):
        print(f"WEIR_SEED={SEED}")
        cls.rng = random.Random(SEED)
        cls.first = Job("crash_all", *FIRST)
        cls.first.run()
        cls.topics = cls.read_topics(cls.first)
        whole = Job("crash_all", *ALL)
        whole.run()
        cls.expected = Results().read(whole)
        whole.remove()

    @classmethod
    def tearDownClass(cls):
        cls.first.remove()

    @staticmethod
    def read_topics(job):
        """What `weir consume` gives of each topic, with its exit code."""
        found = {}
        for topic in ("plain", "mixed", "windows"):
            done = subprocess.run([WEIR, "consume", job.store, topic, "--format", "json"],
                                  capture_output=True, timeout=SECONDS_MAX)
            found[topic] = done.returncode, done.stdout
        return found

    def copy(self, number):
        """The first run's files in a folder of their own, so that file sinks are the same files by
        name, and are given to the copy by identity."""
        folder = self.folder / str(number)
        shutil.copytree(self.first.folder, folder)
        job = Job("crash_all", *ALL, folder=folder)
        self.own_the_files(job)
        return job

    def own_the_files(self, job):
        """Markers name the file they count by device and inode: those of the copy now."""
        store = sqlite3.connect(job.store)
        with store:
            for sink, name in (("lines", "lines.txt"), ("totals", "totals.txt")):
                found = (job.folder / name).stat()
                store.execute("UPDATE marker SET identity = ? WHERE sink = ?",
                              (f"dev:{found.st_dev};inode:{found.st_ino}", sink))
        self.into_one_file(store)
        store.close()

    def into_one_file(self, store):
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def ends(self, job, *command):
        """The exit code of a command on a damaged store: any of these, but no signal and no bug."""
        done = subprocess.run([WEIR, *map(str, command)], capture_output=True, timeout=SECONDS_MAX,
                              cwd=job.folder, stdin=subprocess.DEVNULL)
        said = f"{command}: {done.returncode}: {done.stderr.decode(errors='replace')}"
        self.assertIn(done.returncode, (0, DATA, IO, AGAIN, CONFIG), said)
        if done.returncode:
            self.assertTrue(done.stderr.strip(), said)
        return done.returncode

    def survives(self, job, about):
        """Every command on the damaged store; then no record that was written may be another one,
        unless verify sees it. (State has no CRC: what is computed from it later may be.)"""
        sound = self.ends(job, "verify", job.store.name) == 0
        for command in ("inspect", "topics", "rejects"):
            self.ends(job, command, job.store.name)
        for topic, (code, text) in self.read_topics(job).items():
            self.assertIn(code, (0, DATA, IO, CONFIG, 66), about)
            whole = self.topics[topic][1]
            if sound:
                self.assertEqual((code, text), (0, whole), f"{about}: {topic}, and verify says ok")
            elif code == 0 and text:
                self.assertLessEqual(set(text.splitlines()), set(whole.splitlines()),
                                     f"{about}: {topic} has records that never were")
        code = self.ends(job, *job.command[1:])
        if code == 0 and self.ends(job, "verify", job.store.name) == 0:
            for topic, (_, text) in self.read_topics(job).items():
                gone = set(self.topics[topic][1].splitlines()) - set(text.splitlines())
                self.assertEqual(gone, set(), f"{about}: {topic}, run again, and verify says ok")
        return sound

    def flip(self, path, bits, start=0):
        data = bytearray(path.read_bytes())
        places = [self.rng.randrange(start * 8, len(data) * 8) for _ in range(bits)]
        for place in places:
            data[place // 8] ^= 1 << place % 8
        path.write_bytes(data)
        return f"WEIR_SEED={SEED}: bits {places} of {path.name}"


class Flips(DamageTest):
    def test_bits_flipped_anywhere(self):
        for i in range(TRIES):
            job = self.copy(i)
            bits = (1, 1, 3, 100)[i % 4]
            about = self.flip(job.store, bits)
            with self.subTest(about):
                sound = self.survives(job, about)
                self.assertFalse(sound and bits == 100, f"{about}: verify saw none of them")
            shutil.rmtree(job.folder)

    def test_a_page_of_zeros_or_of_another_page(self):
        for i in range(TRIES // 4):
            job = self.copy(i)
            data = bytearray(job.store.read_bytes())
            pages = len(data) // 8192
            at, other = self.rng.randrange(pages), self.rng.randrange(pages)
            page = bytes(8192) if i % 2 else data[other * 8192:(other + 1) * 8192]
            data[at * 8192:(at + 1) * 8192] = page
            job.store.write_bytes(data)
            about = f"WEIR_SEED={SEED}: page {at} replaced by {'zeros' if i % 2 else other}"
            with self.subTest(about):
                self.survives(job, about)
            shutil.rmtree(job.folder)

    def test_bits_flipped_in_each_batch(self):
        """The CRC covers all of a batch: verify sees each flip, and consume never gives one out."""
        job = self.copy("batch")
        store = sqlite3.connect(job.store, isolation_level=None)
        batches = store.execute("SELECT id, batch FROM log WHERE topic IN (SELECT id FROM topic"
                                " WHERE outbox = 0)").fetchall()
        for row, batch in self.rng.sample(batches, min(len(batches), TRIES // 2)):
            place = self.rng.randrange(len(batch) * 8)
            damaged = bytearray(batch)
            damaged[place // 8] ^= 1 << place % 8
            store.execute("UPDATE log SET batch = ? WHERE id = ?", (bytes(damaged), row))
            about = f"WEIR_SEED={SEED}: bit {place} of batch {row}"
            self.assertEqual(self.ends(job, "verify", job.store.name), DATA, about)
            topics = self.read_topics(job)
            codes = sorted(code for code, _ in topics.values())
            newer = place < 16  # its format or compression looks like a newer weir's
            self.assertIn(codes, [[0, 0, DATA], [0, 0, CONFIG]][:1 + newer], about)
            for topic, (_, text) in topics.items():
                self.assertTrue(self.topics[topic][1].startswith(text) or "windows,mixed".find(
                    topic) >= 0 and set(text.splitlines()) < set(
                        self.topics[topic][1].splitlines()), about)
            store.execute("UPDATE log SET batch = ? WHERE id = ?", (batch, row))
        store.close()
        job.verify()


class Cuts(DamageTest):
    def test_store_cut_anywhere(self):
        """Also to nothing, and by one byte, which is one of a page's padding at best."""
        size = self.copy("size").store.stat().st_size
        lengths = [0, 1, 100, 8192, size - 1, size - 8193]
        lengths += [self.rng.randrange(size) for _ in range(TRIES // 4)]
        for i, length in enumerate(lengths):
            job = self.copy(i)
            os.truncate(job.store, length)
            about = f"WEIR_SEED={SEED}: cut to {length} of {size} bytes"
            with self.subTest(about):
                sound = self.survives(job, about)
                self.assertFalse(sound and length < size - 8192, f"{about}, and verify says ok")
            shutil.rmtree(job.folder)


class WriteAheadLog(DamageTest):
    """Here the decided epochs are in the write-ahead log alone: no checkpoint has run yet."""

    def into_one_file(self, store):
        pass

    def copy(self, number):
        """A first run of its own for each, as files sinks know their file by its inode."""
        first = first_run(self.folder / str(number))
        return Job("crash_all", *ALL, folder=first.folder)

    def wal(self, job):
        return pathlib.Path(f"{job.store}-wal")

    def goes_on(self, job, about):
        """The job's own end, or 65 where nothing is left; never a wrong result."""
        pathlib.Path(f"{job.store}-shm").unlink(missing_ok=True)
        code = self.ends(job, *job.command[1:])
        if code == 0:
            try:
                check(self.expected, Results().read(job), about)
                job.verify()
            except Failure as failure:
                self.fail(str(failure))
        return code == 0

    def test_lost_its_end(self):
        """Cut off anywhere, as a power cut may with --sync normal: an earlier epoch, and files that
        are longer than it knows."""
        right = 0
        for i in range(max(TRIES // 4, 10)):
            job = self.copy(i)
            size = self.wal(job).stat().st_size
            self.assertEqual(job.store.stat().st_size % 8192, 0)
            length = self.rng.randrange(size // 3, size) if i else size - 1
            os.truncate(self.wal(job), length)
            about = f"WEIR_SEED={SEED}: cut to {length} of {size} bytes"
            with self.subTest(about):
                right += self.goes_on(job, about)
            shutil.rmtree(job.folder)
        self.assertGreater(right, 5)

    def test_bits_flipped(self):
        """Its frames have checksums: from the first damaged one on, it is as if cut off."""
        right = 0
        for i in range(max(TRIES // 4, 10)):
            job = self.copy(i)
            size = self.wal(job).stat().st_size
            about = self.flip(self.wal(job), self.rng.choice((1, 5)), start=size // 3)
            with self.subTest(about):
                right += self.goes_on(job, about)
            shutil.rmtree(job.folder)
        self.assertGreater(right, 5)


if __name__ == "__main__":
    unittest.main()
