"""`weir backup`: a whole copy while a job writes, or none; and a job that is started on it ends
with what an uninterrupted run has: tables, topics, state, timers, and its output file.

SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from cli_kit import AGAIN, COPY, DATA, IO, NO_INPUT, PERMISSION, USAGE, WEIR, CliTest
from crash_results import Results, check
from crash_runs import KILLED, Job

KEYED = "in=gen:keyed?records=60000&keys=50&size=60"
SLOW = "in=gen:keyed?records=60000&keys=50&size=60&rate=20000"


class Backup(CliTest):
    def backup_all(self, *args):
        return subprocess.run([WEIR, "backup", *args], cwd=self.folder, capture_output=True,
                              timeout=120)

    def test_a_copy_equals_its_store(self):
        self.weir("run", "-q", "-s", "s.weir", "-i", "in=gen:keyed?records=5000", COPY)
        os.chmod(self.folder / "s.weir", 0o640)
        out, err = self.weir("backup", "s.weir", "b.weir")
        copy = self.folder / "b.weir"
        self.assertRegex(out.decode(), rf"^b.weir: {copy.stat().st_size} bytes, as of epoch \d+\n$")
        self.assertEqual(err, b"")
        self.assertEqual(copy.stat().st_mode & 0o777, 0o640)
        self.assertEqual(copy.read_bytes()[18:20], b"\2\2")  # of a database with a WAL
        self.assertEqual([name for name in self.files() if name.startswith("b.")], ["b.weir"])
        self.weir("verify", "b.weir")
        self.assertRegex(self.weir("inspect", "b.weir")[0], rb"generation +1\n")
        self.assertEqual(self.records("b.weir", "out"), self.records("s.weir", "out"))
        self.weir("run", "-q", "-s", "b.weir", "-i", "in=gen:keyed?records=6000", COPY)
        self.assertEqual(len(self.records("b.weir", "out")), 6000)

    # The job is killed after the backup, and the store is what the backup was; the file sink is
    # ahead of it then, and is cut back.
    def test_a_restored_backup_goes_on_exactly(self):
        plain = Job("crash_all", "-i", KEYED, "--epoch-records", 500)
        plain.run()
        expected = Results().read(plain)
        plain.remove()
        rng = random.Random(7)
        for turn in range(2):
            job = Job("crash_all", "-i", SLOW, "--epoch-records", 500,
                      folder=self.folder / f"job{turn}")
            process = job.start()
            try:
                self.epochs(job, process, rng.randrange(5, 30))
                out, _err = self.weir("backup", job.store, job.folder / "copy.weir")
                made = int(out.split()[-1])
                self.epochs(job, process, made + 10)
            finally:
                process.kill()
                self.assertEqual(job.end(process), KILLED)
            self.weir("verify", job.folder / "copy.weir")
            for suffix in ("", "-wal", "-shm"):
                pathlib.Path(f"{job.store}{suffix}").unlink()
            shutil.copy(job.folder / "copy.weir", job.store)
            self.assertEqual(self.query(job.store, "SELECT max(number) FROM epoch"), [(made,)])
            job.command[job.command.index(SLOW)] = KEYED
            job.run()
            check(expected, Results().read(job), job)
            job.verify()

    def epochs(self, job, process, count):
        """Waits until so many are decided."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            self.assertIsNone(process.poll(), job)
            try:
                if self.query(job.store, "SELECT max(number) >= ? FROM epoch", count) == [(1,)]:
                    return
            except sqlite3.OperationalError:
                pass  # it is being made
            time.sleep(0.01)
        self.fail(f"no epoch {count}: {job}")

    # Each copy is a cut: as many records as its positions say. A stepwise copy that started over at
    # each write would never end.
    def test_copies_at_full_speed(self):
        process = subprocess.Popen([WEIR, "run", "-q", "-s", "s.weir", COPY, "--sync", "normal",
                                    "-i", "in=gen:keyed?size=100"], cwd=self.folder)
        try:
            while not (self.folder / "s.weir").exists() or \
                    (self.folder / "s.weir").stat().st_size < 30 << 20:
                time.sleep(0.01)
            for number in range(3):
                self.weir("backup", "s.weir", f"b{number}.weir")
            self.assertIsNone(process.poll())
        finally:
            process.kill()
            process.wait()
        counts = []
        for number in range(3):
            self.weir("verify", f"b{number}.weir")
            (read,), = self.query(f"b{number}.weir", "SELECT next FROM position")
            (wrote,), = self.query(f"b{number}.weir", "SELECT sum(next) FROM partition")
            self.assertEqual(read, wrote)
            counts.append(read)
        self.assertEqual(counts, sorted(counts))
        self.assertLess(counts[0], counts[2])

    def fill(self):
        """A store that takes some steps to copy."""
        self.weir("run", "-q", "-s", "s.weir", COPY, "--sync", "off",
                  "-i", "in=gen:keyed?records=400000&size=100")

    def in_the_middle(self, number):
        """Ends a backup by a signal once it has begun to write; its exit code."""
        process = subprocess.Popen([WEIR, "backup", "s.weir", "b.weir"], cwd=self.folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        partial = self.folder / "b.weir.partial"
        while process.poll() is None and not (partial.exists() and partial.stat().st_size):
            pass
        process.send_signal(number)
        return process.wait()

    def test_killed_in_the_middle(self):
        self.fill()
        killed = 0
        while not killed:
            killed = self.in_the_middle(signal.SIGKILL) == KILLED and \
                not (self.folder / "b.weir").exists()
            if not killed:  # it was done before
                (self.folder / "b.weir").unlink()
        self.assertIn("b.weir.partial", self.files())
        self.weir("backup", "s.weir", "b.weir")
        self.assertNotIn("b.weir.partial", self.files())
        self.weir("verify", "b.weir")

    def test_stopped_in_the_middle(self):
        self.fill()
        for number in (signal.SIGINT, signal.SIGTERM):
            stopped = False
            while not stopped:
                code = self.in_the_middle(number)
                self.assertIn(code, (0, -number))
                self.assertNotIn("b.weir.partial", self.files())
                stopped = not (self.folder / "b.weir").exists()
                (self.folder / "b.weir").unlink(missing_ok=True)

    def test_a_full_disk_leaves_nothing(self):
        self.weir("run", "-q", "-s", "s.weir", "-i", "in=gen:keyed?records=30000&size=100", COPY)
        disk = self.folder / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={1 << 20}", "weir-test", disk],
                       check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=True)
        said = self.refuses(IO, "disk full", "backup", "s.weir", "disk/b.weir")
        self.assertIn("disk/b.weir", said)
        self.assertEqual(os.listdir(disk), [])
        self.weir("verify", "s.weir")

    def test_refusals(self):
        self.weir("run", "-q", "-s", "s.weir", "-i", "in=gen:keyed?records=50", COPY)
        folder = self.folder
        (folder / "link").symlink_to("s.weir")
        (folder / "dangling").symlink_to("nowhere")
        os.link(folder / "s.weir", folder / "hard")
        (folder / "old").write_text("precious")
        (folder / "dir").mkdir()
        (folder / "left-wal").touch()
        (folder / "b.partial").mkdir()
        (folder / "c.partial").symlink_to("old")
        (folder / "empty").touch()
        (folder / "text").write_text("no store\n" * 100)
        before = self.files()
        for code, text, *args in (
                (USAGE, "exists, and is not overwritten", "s.weir", "old"),
                (USAGE, "exists", "s.weir", "dangling"),
                (USAGE, "the store itself", "s.weir", "s.weir"),
                (USAGE, "the store itself", "s.weir", "link"),
                (USAGE, "the store itself", "link", "s.weir"),
                (USAGE, "the store itself", "s.weir", "hard"),
                (USAGE, "the store itself", "s.weir", "dir/../s.weir-journal"),
                (USAGE, "the store itself", "link", "s.weir.lock"),
                (USAGE, "is a folder", "s.weir", "dir"),
                (USAGE, "names no file", "s.weir", "dir/"),
                (USAGE, "names no file", "s.weir", ""),
                (USAGE, "left-wal is there", "s.weir", "left"),
                (IO, "b.partial", "s.weir", "b"),
                (IO, "c.partial", "s.weir", "c"),
                (NO_INPUT, "none/b.weir", "s.weir", "none/b.weir"),
                (NO_INPUT, "none.weir", "none.weir", "b.weir"),
                (DATA, "empty", "empty", "b.weir"),
                (DATA, "no SQLite database", "text", "b.weir"),
                (USAGE, "FILE is missing", "s.weir"),
                (USAGE, "STORE is missing"),
                (USAGE, "--force", "s.weir", "b.weir", "--force")):
            self.refuses(code, text, "backup", *args)
        self.assertEqual(self.files(), before)
        self.assertEqual((folder / "old").read_text(), "precious")

    @unittest.skipIf(shutil.which("setpriv") is None, "needs setpriv")
    def test_a_folder_that_may_not_be_written(self):
        self.weir("run", "-q", "-s", "s.weir", "-i", "in=gen:keyed?records=50", COPY)
        (self.folder / "closed").mkdir(mode=0o555)
        os.chmod(self.folder, 0o755)
        done = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", WEIR, "backup",
                               "s.weir", "closed/b.weir"], cwd=self.folder, capture_output=True)
        self.assertEqual(done.returncode, PERMISSION, done.stderr)

    def test_one_at_a_time(self):
        self.fill()
        first = subprocess.Popen([WEIR, "backup", "s.weir", "b.weir"], cwd=self.folder,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        second = self.backup_all("s.weir", "b.weir")
        first.wait()
        self.assertEqual(sorted((first.returncode, second.returncode))[0], 0)
        self.assertIn(max(first.returncode, second.returncode), (USAGE, AGAIN))
        self.weir("verify", "b.weir")


if __name__ == "__main__":
    unittest.main()
