"""Two of one: two processes on one store, a store that was taken over by a later generation, the
store of another job, of a newer format, two writers of one file; and stopping by signals.

SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from cli_kit import AGAIN, CONFIG, COPY, COUNT, NO_INPUT, SECONDS_MAX, WEIR, CliTest
from crash_results import Results, differences
from crash_runs import Job, job_file

SLOW = "in=gen:keyed?keys=50&size=30&rate=3000"  # and for ever


class RivalTest(CliTest):
    def start(self, *args, env=None):
        """A job that runs until it is told to stop; it is at work when this returns."""
        process = subprocess.Popen([WEIR, *map(str, args)], cwd=self.folder, stderr=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   env={**os.environ, **(env or {})})
        self.addCleanup(self.kill, process)
        self.assertIn(b".weir, ", process.stderr.readline())
        return process

    def kill(self, process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def end(self, process):
        said = process.communicate(timeout=SECONDS_MAX)[1].decode()
        return process.returncode, said

    def position(self, store):
        try:
            return self.query(store, "SELECT coalesce(sum(next), 0) FROM position")[0][0]
        except sqlite3.OperationalError:
            return 0

    def wait_for(self, store, position, process=None):
        give_up = time.monotonic() + SECONDS_MAX
        while self.position(store) < position:
            self.assertLess(time.monotonic(), give_up, "the job does not get on")
            self.assertTrue(process is None or process.poll() is None, "the job ended")
            time.sleep(0.005)


class Rivals(RivalTest):
    def test_second_process_ends_at_once(self):
        """With 75 and the holder's process id; the first is not disturbed."""
        first = self.start("run", COPY, "-i", SLOW, "-s", "x.weir")
        self.wait_for("x.weir", 1)
        for command in (["run", COPY, "-i", SLOW], ["run", COUNT, "-i", SLOW]):
            error = self.refuses(AGAIN, "in use by process", *command, "-s", "x.weir")
            self.assertIn(f"process {first.pid};", error)
        self.wait_for("x.weir", self.position("x.weir") + 100, first)
        first.send_signal(signal.SIGTERM)
        self.assertEqual(self.end(first)[0], 0)
        self.weir("verify", "x.weir")

    def test_the_store_by_another_name(self):
        """A link to the store, and a path through a linked folder, are the same store."""
        first = self.start("run", COPY, "-i", SLOW, "-s", "x.weir")
        (self.folder / "link.weir").symlink_to("x.weir")
        (self.folder / "here").symlink_to(".")
        for name in ("link.weir", "here/x.weir", self.folder / "x.weir"):
            self.refuses(AGAIN, f"process {first.pid};", "run", COPY, "-i", SLOW, "-s", name)

    def test_the_store_by_a_hard_link(self):
        """It would have a lock and a write-ahead log of its own: refused under either name."""
        first = self.start("run", COPY, "-i", SLOW, "-s", "x.weir")
        self.wait_for("x.weir", 1, first)
        os.link(self.folder / "x.weir", self.folder / "hard.weir")
        self.refuses(CONFIG, "has 2 names (hard links)", "run", COPY, "-i", SLOW, "-s", "hard.weir")
        first.send_signal(signal.SIGTERM)
        self.assertEqual(self.end(first)[0], 0)
        self.refuses(CONFIG, "remove the others", "run", COPY, "-i", SLOW, "-s", "x.weir")
        (self.folder / "hard.weir").unlink()
        self.weir("run", COPY, "-i", "in=gen:keyed?keys=50&size=30&records=100000", "-s", "x.weir")
        self.weir("verify", "x.weir")

    def test_a_lock_that_nobody_holds(self):
        """The lock file of a killed process is no obstacle, whatever stands in it."""
        (self.folder / "x.weir.lock").write_text("1\n")
        self.weir("run", COPY, "-i", "in=gen:keyed?records=10", "-s", "x.weir")

    def test_the_store_is_taken_away(self):
        """Renamed, removed, or another file in its place: nothing more is decided into a file that
        nobody would find. Given back its name, it goes on."""
        for how in ("renamed", "removed", "replaced"):
            store = self.folder / f"{how}.weir"
            process = self.start("run", COPY, "-i", SLOW, "-s", store)
            self.wait_for(store, 1, process)
            os.rename(store, self.folder / "away")
            if how == "replaced":
                store.write_bytes(b"")
            code, said = self.end(process)
            self.assertEqual(code, NO_INPUT, said)
            self.assertIn("was removed, renamed or replaced while this run used it", said)
            if how == "removed":
                continue
            os.replace(self.folder / "away", store)
            before = self.position(store)
            self.assertGreater(before, 0)
            self.weir("run", COPY, "-i", f"in=gen:keyed?keys=50&size=30&records={before + 10}",
                      "-s", store)
            self.assertEqual(self.position(store), before + 10)
            self.weir("verify", store)

    def test_overtaken(self):
        """Someone raised the generation: the job stops with 75, and has decided nothing more."""
        process = self.start("run", COUNT, "-i", SLOW, "-o", "out=log:out", "-s", "x.weir")
        self.wait_for("x.weir", 1, process)
        other = sqlite3.connect(self.folder / "x.weir", timeout=60, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
        before = self.dump(other)
        other.execute("COMMIT")
        code, said = self.end(process)
        self.assertEqual((code, self.dump(other)), (AGAIN, before), said)
        self.assertIn("generation", said)
        other.close()
        self.weir("verify", "x.weir")

    def dump(self, connection):
        return [connection.execute(f"SELECT * FROM {table}").fetchall() for table in
                ("meta", "epoch", "progress", "state", "log", "changelog", "timer", "marker")]

    def test_overtaken_while_forwarding(self):
        """The same where nothing but a marker is left to decide: the file is not sent twice."""
        process = self.start("run", COPY, "-i", SLOW, "-o", "out=file:out.txt", "-s", "x.weir")
        self.wait_for("x.weir", 500, process)
        self.change("x.weir", "UPDATE meta SET value = value + 1 WHERE key = 'generation'")
        self.assertEqual(self.end(process)[0], AGAIN)
        next_offset = self.position("x.weir")
        self.weir("run", COPY, "-i", f"in=gen:keyed?keys=50&size=30&records={next_offset + 10}",
                  "-o", "out=file:out.txt", "-s", "x.weir", code=0)
        lines = (self.folder / "out.txt").read_bytes().splitlines()
        self.assertEqual([int(line[:20]) for line in lines], list(range(next_offset + 10)))


class OtherStores(CliTest):
    def setUp(self):
        super().setUp()
        self.weir("run", COPY, "-i", "in=gen:keyed?records=10", "-s", "x.weir")

    def unchanged(self, *refused):
        before = (self.folder / "x.weir").read_bytes()
        self.refuses(*refused)
        self.assertEqual((self.folder / "x.weir").read_bytes(), before)

    def test_store_of_another_job(self):
        self.unchanged(CONFIG, "it is the store of job `copy`, and this job is `count`",
                       "run", COUNT, "-i", "in=gen:keyed?records=10", "-s", "x.weir")

    def test_newer_format(self):
        self.change_header(60, (1000).to_bytes(4, "big"))  # user_version, of SQLite's file header
        for command in (["run", COPY, "-i", "in=gen:keyed?records=10", "-s"], ["inspect"],
                        ["verify"], ["topics"]):
            self.unchanged(CONFIG, "its format is 1000", *command, "x.weir")

    def test_other_databases_and_files(self):
        """Neither is touched."""
        sqlite3.connect(self.folder / "y.weir").execute("CREATE TABLE mine(x)").connection.close()
        (self.folder / "z.weir").write_text("a letter\n" * 1000)
        for name, text in (("y.weir", "not a store"), ("z.weir", "z.weir")):
            before = (self.folder / name).read_bytes()
            self.refuses(65, text, "run", COPY, "-i", "in=gen:keyed?records=10", "-s", name)
            self.refuses(65, text, "inspect", name)
            self.assertEqual((self.folder / name).read_bytes(), before)

    def change_header(self, at, data):
        path = self.folder / "x.weir"
        self.query("x.weir", "SELECT 1")
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(data)


class Signals(RivalTest):
    INPUT = "in=gen:keyed?keys=40&size=60"

    def stop(self, process, number):
        process.send_signal(number)
        code, said = self.end(process)
        self.assertEqual(code, 0, said)

    def test_stopped_again_and_again(self):
        """SIGTERM and SIGINT: all that was read is decided and forwarded, and the next run goes on;
        the whole is that of one run."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            before = self.position("job.weir")
            process = self.start("run", job_file("crash_all"), "-i", self.INPUT + "&rate=5000",
                                 "-s", "job.weir",
                                 *(["--epoch-ms", 10] if number == signal.SIGINT else []))
            self.wait_for("job.weir", before + 300, process)
            self.stop(process, number)
            offsets = self.query("job.weir", "SELECT next FROM partition JOIN topic ON"
                                 " topic.id = topic WHERE outbox = 1 ORDER BY topic")
            markers = self.query("job.weir", "SELECT next FROM marker ORDER BY sink")
            self.assertEqual(markers, offsets, "decided, but not forwarded")
        bounded = ("-i", f"{self.INPUT}&records={self.position('job.weir')}")
        whole = Job("crash_all", *bounded, folder=self.folder / "one")
        whole.run()
        stopped = Job("crash_all", *bounded, folder=self.folder)
        stopped.run()  # no record is left, only timers that the last one made due
        self.assertEqual(differences(Results().read(whole), Results().read(stopped)), [])

    def test_stopped_while_idle(self):
        """At a moment where nothing comes: one record a second."""
        process = self.start("run", COPY, "-i", "in=gen:keyed?rate=1", "-s", "x.weir")
        self.wait_for("x.weir", 1, process)
        self.stop(process, signal.SIGINT)

    def test_second_sigint_ends_at_once(self):
        """And the store is as after any crash. The first cannot end: nobody reads the FIFO."""
        no_leaks = os.environ.get("TSAN_OPTIONS", "") + ":report_thread_leaks=0"  # they are left
        os.mkfifo(self.folder / "pipe")
        reader = os.open(self.folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        process = self.start("run", COPY, "-i", "in=gen:keyed?records=200000", "-s", "x.weir",
                             "-o", "out=file:pipe", env={"TSAN_OPTIONS": no_leaks})
        self.wait_for("x.weir", 2000, process)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        self.assertIsNone(process.poll(), "nothing was left to wait for")
        process.send_signal(signal.SIGINT)
        code, said = self.end(process)
        self.assertEqual(code, 128 + signal.SIGINT, said)
        os.close(reader)
        self.weir("verify", "x.weir")
        self.weir("run", COPY, "-i", "in=gen:keyed?records=200000", "-s", "x.weir", "-o",
                  "out=null:", "--check")


if __name__ == "__main__":
    unittest.main()
