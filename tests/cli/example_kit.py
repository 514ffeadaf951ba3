"""What the tests of the example jobs share: run a job, kill it in the middle, read its results.

The program is $WEIR_BUILD/weir (default: build/weir), the jobs are $WEIR_BUILD/examples/NAME.so.

SPDX-License-Identifier: Apache-2.0
"""

import base64
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", ROOT / "build")).resolve()
WEIR = BUILD / "weir"
RUN_SECONDS_MAX = 300


class ExampleTest(unittest.TestCase):
    """A test with a folder of its own; with WEIR_KEEP=1 it stays."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-example."))
        self.addCleanup(self.tidy)

    def tidy(self):
        if os.environ.get("WEIR_KEEP"):
            print(f"{self.id()}: files kept in {self.folder}")
        else:
            shutil.rmtree(self.folder)

    def write(self, name, lines):
        path = self.folder / name
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return path

    def job(self, name, store, *options):
        return Job(self, name, self.folder / store, list(map(str, options)))


class Job:
    """One example job on one store."""

    def __init__(self, test, name, store, options):
        self.test = test
        self.store = store
        self.command = [WEIR, "run", BUILD / "examples" / f"{name}.so", "-s", store, *options]

    def run(self, code=0):
        """Runs to the end, which must be with `code`; returns what was said on stderr."""
        done = subprocess.run(self.command, cwd=self.test.folder, capture_output=True, text=True,
                              timeout=RUN_SECONDS_MAX)
        self.test.assertEqual(done.returncode, code, done.stderr)
        return done.stderr

    def position(self):
        """How far the decided epochs have read, over all inputs; 0 before the first."""
        try:
            rows = self.query("SELECT coalesce(sum(next), 0) FROM position")
        except sqlite3.OperationalError:
            return 0
        return rows[0][0]

    def kill_at(self, position):
        """Runs until `position` is decided, and kills the job there with SIGKILL. True when that
        hit a running job."""
        with open(self.test.folder / "log", "wb") as log:
            process = subprocess.Popen(self.command, cwd=self.test.folder, stderr=log)
            give_up = time.monotonic() + RUN_SECONDS_MAX
            while process.poll() is None and self.position() < position:
                self.test.assertLess(time.monotonic(), give_up, "the job does not get on")
                time.sleep(0.001)
            process.kill()
            code = process.wait()
        text = (self.test.folder / "log").read_text()
        self.test.assertIn(code, (0, -9), text)
        return code == -9

    def run_with_kills(self, total, kills=3):
        """Runs to the end of inputs of `total` bytes with kills spread over it, of which at least
        two must hit it in the middle."""
        hits = 0
        for i in range(kills):
            if self.kill_at(total * (i + 1) // (kills + 1)):
                hits += 0 < self.position() < total
        self.test.assertGreaterEqual(hits, 2, "the job was over too early: more input is needed")
        self.run()

    def query(self, sql):
        store = sqlite3.connect(f"{self.store.as_uri()}?mode=ro", uri=True)
        try:
            store.text_factory = bytes
            return store.execute(sql).fetchall()
        finally:
            store.close()

    def topic(self, topic):
        """All records of an embedded topic, as `weir consume --format json` prints them, with keys
        and values as bytes (None: absent)."""
        done = subprocess.run([WEIR, "consume", self.store, topic, "--format", "json"],
                              capture_output=True, text=True, timeout=RUN_SECONDS_MAX)
        self.test.assertEqual(done.returncode, 0, done.stderr)
        records = [json.loads(line) for line in done.stdout.split("\n") if line]
        for record in records:
            for field in ("key", "value"):
                record[field] = as_bytes(record, field)
        return records

    def rejects(self):
        """The reasons of all dead letters."""
        return [reason.decode() for reason, in self.query("SELECT reason FROM reject ORDER BY id")]

    def verify(self):
        done = subprocess.run([WEIR, "verify", self.store], capture_output=True, text=True)
        self.test.assertEqual(done.returncode, 0, done.stdout + done.stderr)


def as_bytes(record, field):
    encoded = record.get(f"{field}_base64")
    if encoded is not None:
        return base64.b64decode(encoded)
    text = record[field]
    return None if text is None else text.encode()
