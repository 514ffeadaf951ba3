"""What a run says while it lives: log lines with time, level and epoch; what it waits for when it
is stuck; and that it can be stopped then.

Being stuck is said after ten seconds, so all that is stuck here is stuck at the same time.

SPDX-License-Identifier: Apache-2.0
"""

import datetime
import os
import re
import signal
import sqlite3
import subprocess
import threading
import time
import unittest

from cli_kit import AGAIN, COPY, DATA, JOBS, SECONDS_MAX, WEIR, CliTest

OPERATE = JOBS / "operate.so"
STAMP = r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})Z (error|warning|notice|debug) epoch (\d+): (.+)$"
RECORDS = 30000
KEYED = f"in=gen:keyed?records={RECORDS}&size=100"


class Run:
    """A run of weir in a folder of its own, and the lines that it says, with when they came."""

    def __init__(self, folder, *args, stdout=subprocess.DEVNULL):
        folder.mkdir(exist_ok=True)
        self.folder, self.lines, self.started = folder, [], time.monotonic()
        # A thread that hangs is left behind on purpose.
        options = os.environ.get("TSAN_OPTIONS", "") + ":report_thread_leaks=0"
        self.process = subprocess.Popen([WEIR, "run", *map(str, args)], cwd=folder, stdout=stdout,
                                        stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, "TSAN_OPTIONS": options})
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            self.lines.append((time.monotonic() - self.started, line.rstrip("\n")))

    def said(self):
        return "\n".join(line for _, line in self.lines)

    def wait_for(self, text):
        """Until a line has this in it; the line."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for _, line in list(self.lines):
                if text in line:
                    return line
            time.sleep(0.02)
        raise AssertionError(f"it never said \"{text}\", but:\n{self.said()}")

    def end(self, number=None):
        """Its exit code, and the seconds that the signal took."""
        began = time.monotonic()
        if number:
            self.process.send_signal(number)
        code = self.process.wait(timeout=SECONDS_MAX)
        self.reader.join()
        self.process.stderr.close()
        return code, time.monotonic() - began

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.end()


class Operate(CliTest):
    def run_in(self, name, *args, **more):
        run = Run(self.folder / name, *args, **more)
        self.addCleanup(run.kill)
        return run

    # The first lines are plain, all others are stamped; -v says what happens, -q only what matters.
    def test_log_lines(self):
        run = self.run_in("v", "-v", "-s", "s.weir", COPY, "-i", KEYED, "--epoch-records", 100)
        self.assertEqual(run.end()[0], 0, run.said())
        lines = run.said().splitlines()
        self.assertEqual(lines[0], f"new store {self.folder.resolve()}/v/s.weir, reading from the "
                                   "beginning")
        self.assertTrue(lines[1].startswith("sink out (log:out): exactly-once"))
        stamps = [re.match(STAMP, line) for line in lines[2:]]
        self.assertTrue(stamps and all(stamps), run.said())
        when = [datetime.datetime.fromisoformat(stamp[1]) for stamp in stamps]
        self.assertEqual(when, sorted(when))
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        self.assertLess(abs((now - when[-1]).total_seconds()), 60)
        self.assertEqual({stamp[2] for stamp in stamps}, {"debug"})
        self.assertIn("epoch 0: input in: 0, from 0", run.said())
        self.assertRegex(run.said(), r"epoch 300: \d+ epochs? decided in \d+ ms: \d+ records")

        again = self.run_in("v", "-q", "-s", "s.weir", COPY, "-i", KEYED)
        self.assertEqual(again.end()[0], 0)
        self.assertEqual(again.said(), "")

    # An error while it lives is stamped, with the last decided epoch; one before is not.
    def test_the_error_that_ends_it(self):
        run = self.run_in("e", "-q", "-s", "s.weir", JOBS / "survive_units.so", "-D", "do=fatal",
                          "-i", "in=gen:keyed?records=1000", "--epoch-records", 10)
        self.assertEqual(run.end()[0], DATA)
        self.assertEqual(len(run.lines), 1)
        stamp = re.match(STAMP, run.lines[0][1])
        self.assertEqual((stamp[2], int(stamp[3]) in (8, 9)), ("error", True), stamp)
        self.refuses(66, "weir: ", "run", "-i", "in=file:nowhere", COPY)
        self.refuses(64, "weir: ", "run", "--qiet", COPY)

    # All that can be stuck, at once.
    def test_stuck(self):
        waiting = self.run_in("input", "-s", "s.weir", COPY, "-i", "in=gen:keyed?rate=1,size=20")
        hangs = self.run_in("hangs", "-s", "s.weir", OPERATE, "-D", "hang=12345", "-i", KEYED)
        goes_on = self.run_in("goes-on", "-s", "s.weir", OPERATE, "-D", "hang=777", "-i", KEYED)
        twice = self.run_in("twice", "-s", "s.weir", OPERATE, "-D", "hang=0", "-i", KEYED)
        retries = self.run_in("retries", "-s", "s.weir", OPERATE, "-D", "retry=2000", "-i", KEYED)
        fifo = self.unread("fifo")
        forwards = self.run_in("fifo", "-s", "s.weir", COPY, "-i", KEYED, "-o", "out=file:out")
        self.unread("direct")
        direct = self.run_in("direct", "-s", "s.weir", COPY, "-i", KEYED, "-o", "out=file:out",
                             "--delivery", "at-least-once")
        pipe = self.run_in("pipe", "-s", "s.weir", COPY, "-i", KEYED, "-o", "out=stdout:",
                           stdout=subprocess.PIPE)
        locked = self.locked()

        self.is_stuck(hangs, "waits for an operator: the function of node `passes` has not")
        self.is_stuck(goes_on, "waits for an operator: the function of node `passes` has not")
        self.is_stuck(retries, "the service is away; tried again in")
        self.is_stuck(forwards, "waits for sink out (file:out): it has taken nothing for 10 s")
        self.is_stuck(direct, "waits for sink out (file:out): it has taken nothing for 10 s")
        self.is_stuck(pipe, "waits for sink out (stdout:): it has taken nothing for 10 s")
        self.assertEqual(locked.end()[0], AGAIN, locked.said())
        self.assertRegex(locked.said().splitlines()[-1],
                         "error epoch [0-9]+: .*another program keeps it locked")

        for run in (goes_on, retries):
            (run.folder / "go").touch()
        goes_on.wait_for("waited for an operator: it goes on, after ")
        for run in (goes_on, retries):
            self.assertEqual(run.end()[0], 0, run.said())
            self.is_whole(run)

        twice.process.send_signal(signal.SIGTERM)
        hangs.process.send_signal(signal.SIGTERM)
        direct.process.send_signal(signal.SIGTERM)
        pipe.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        code, seconds = twice.end(signal.SIGTERM)
        self.assertEqual(code, 128 + signal.SIGTERM)
        self.assertLess(seconds, 5)
        for run, text in ((hangs, "stopped while an operator, the store or a sink did not answer"),
                          (direct, "stopped while"),
                          (pipe, "not all that is decided was forwarded")):
            code, seconds = run.end()
            self.assertEqual(code, 0)
            self.assertIn(text, run.said().splitlines()[-1])
            self.assertLess(seconds, 30)
        pipe.process.stdout.close()
        (hangs.folder / "go").touch()
        rest = self.run_in("hangs", "-q", "-s", "s.weir", OPERATE, "-D", "hang=12345", "-i", KEYED)
        self.assertEqual(rest.end()[0], 0, rest.said())
        self.is_whole(rest)

        os.set_blocking(fifo, True)
        got = b""
        while got.count(b"\n") < RECORDS:
            got += os.read(fifo, 1 << 16)
        self.assertEqual([int(line[:20]) for line in got.splitlines()], list(range(RECORDS)))
        self.assertEqual(forwards.end()[0], 0, forwards.said())
        self.assertIn("waited for a sink: it goes on, after ", forwards.said())

        self.assertEqual(waiting.end(signal.SIGTERM)[0], 0)
        self.assertEqual(len(waiting.lines), 2, waiting.said())

    def unread(self, name):
        """A FIFO that somebody has opened, and does not read; its descriptor."""
        (self.folder / name).mkdir()
        os.mkfifo(self.folder / name / "out")
        fifo = os.open(self.folder / name / "out", os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, fifo)
        return fifo

    def locked(self):
        """A run whose store a foreign program has locked for writing."""
        self.weir("run", "-q", "-s", "locked.weir", COPY, "-i", "in=gen:keyed?records=10")
        rival = sqlite3.connect(self.folder / "locked.weir", isolation_level=None)
        self.addCleanup(rival.close)
        run = self.run_in("locked", "-s", "../locked.weir", COPY, "-i", "in=gen:keyed?rate=1000")
        run.wait_for("sink out")
        rival.execute("PRAGMA wal_autocheckpoint=0")
        rival.execute("BEGIN IMMEDIATE")
        return run

    def is_stuck(self, run, text):
        """It says so after ten seconds, once."""
        line = run.wait_for(text)
        self.assertRegex(line, STAMP)
        self.assertEqual(re.match(STAMP, line)[2], "warning")
        came, = [when for when, said in run.lines if said == line]
        self.assertGreater(came, 9)
        self.assertEqual(sum("warning" in said for _, said in run.lines), 1, run.said())

    def is_whole(self, run):
        values = [record["value"] for record in self.records(run.folder / "s.weir", "out")]
        self.assertEqual([int(value[:20]) for value in values], list(range(RECORDS)))


if __name__ == "__main__":
    unittest.main()
