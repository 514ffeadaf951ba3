"""What the tests that kill `weir` share: start a job, end it with SIGKILL at a fault point or at
any moment, start it again until it is done.

The program is $WEIR_BUILD/weir (default: build/weir), jobs are $WEIR_BUILD/examples/NAME.so and
$WEIR_BUILD/tests/jobs/NAME.so. Only processes that were started here are ended, by their id.

SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", ROOT / "build")).resolve()
WEIR = BUILD / "weir"
SANITIZED = os.environ.get("WEIR_SANITIZE", "none") not in ("", "none")
LONG = bool(os.environ.get("WEIR_LONG"))
SECONDS_MAX = 120  # of one process; reaching it is a failure

KILLED = -signal.SIGKILL


def fault_points():
    """Names of all fault points, from the list itself, so that none is forgotten."""
    text = (ROOT / "txn" / "base" / "fault.h").read_text()
    found = re.findall(r"^\s*X\((\d+),\s*(\w+)\)", text, re.M)
    names = [name for number, name in found if name != "none"]
    assert len(names) == len(found) - 1 and len(names) > 10, "the list in fault.h is not as it was"
    return names


def job_file(name):
    """An example, or a job that only tests use."""
    example = BUILD / "examples" / f"{name}.so"
    return example if example.exists() else BUILD / "tests" / "jobs" / f"{name}.so"


def has_tables(store):
    if not store.exists():
        return False
    connection = sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)
    try:
        return connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] > 0
    finally:
        connection.close()


class Failure(Exception):
    """A run that did what no run may do."""


class Job:
    """One job on one store, with what it needs, in a folder of its own."""

    def __init__(self, name, *options, folder=None, store="job.weir"):
        self.name = name
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="weir-crash."))
        self.folder.mkdir(exist_ok=True)
        self.store = self.folder / store
        self.options = [str(option) for option in options]
        self.command = [str(WEIR), "run", str(job_file(name)), "-s", store, *self.options]
        self.said = ""

    def remove(self):
        if not os.environ.get("WEIR_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, fault=None, **more):
        env = {**os.environ, **({"WEIR_FAULT": fault} if fault else {})}
        return subprocess.Popen(self.command, cwd=self.folder, env=env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **more)

    def end(self, process, seconds=SECONDS_MAX):
        """Waits for it, and gives its exit code; what it said is in `said`."""
        try:
            said = process.communicate(timeout=seconds)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            said = process.communicate()[1]
            self.said = said.decode(errors="replace")
            raise Failure(f"{self} did not end within {seconds} s; it said:\n{self.said}") from None
        self.said = said.decode(errors="replace")
        return process.returncode

    def run(self, fault=None):
        """One run: True when it was done, False when the fault point killed it."""
        code = self.end(self.start(fault))
        if code == 0:
            return True
        if code != KILLED or not fault:
            raise Failure(f"{self} ended with {code}; it said:\n{self.said}")
        return False

    def verify(self):
        """`weir verify` must find nothing wrong. It looks at a copy, so that the next run finds the
        files as the kill left them."""
        copy = self.folder / "verified"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for end in ("", "-wal"):
            file = pathlib.Path(f"{self.store}{end}")
            if file.exists():
                shutil.copyfile(file, copy / file.name)
        if not has_tables(copy / self.store.name):
            return  # killed before there was a store
        done = subprocess.run([WEIR, "verify", copy / self.store.name], capture_output=True,
                              timeout=SECONDS_MAX)
        if done.returncode != 0:
            raise Failure(f"weir verify of {self}'s store ended with {done.returncode}:\n"
                          f"{done.stdout.decode()}{done.stderr.decode()}")

    def __str__(self):
        return f"{self.name} in {self.folder}"
