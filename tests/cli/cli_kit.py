"""What the tests of the `weir` program share: run it, feed it, see how it ended.

The program is $WEIR_BUILD/weir (default: build/weir), jobs are $WEIR_BUILD/examples/NAME.so and
$WEIR_BUILD/tests/jobs/NAME.so.

SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", ROOT / "build")).resolve()
WEIR = BUILD / "weir"
COPY = BUILD / "examples" / "copy.so"
COUNT = BUILD / "examples" / "count.so"
WORDCOUNT = BUILD / "examples" / "wordcount.so"
JOBS = BUILD / "tests" / "jobs"
SECONDS_MAX = 300

USAGE, DATA, NO_INPUT, IO, AGAIN, PERMISSION, CONFIG = 64, 65, 66, 74, 75, 77, 78


class CliTest(unittest.TestCase):
    """A test with a folder of its own, which is the working directory of what it runs."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-cli."))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def weir(self, *args, stdin=b"", code=0, env=None):
        """Runs weir, which must end with `code`; gives its standard output and error as bytes."""
        done = subprocess.run([WEIR, *map(str, args)], cwd=self.folder, input=stdin,
                              capture_output=True, timeout=SECONDS_MAX,
                              env={**os.environ, **(env or {})})
        said = f"weir {' '.join(map(str, args))}: {done.returncode}\n" + \
            done.stderr.decode(errors="replace")
        self.assertEqual(done.returncode, code, said)
        return done.stdout, done.stderr

    def refuses(self, code, text, *args, stdin=b"", env=None):
        """Runs weir, which must end with `code`, saying `text` in one line, and nothing else."""
        out, err = self.weir(*args, stdin=stdin, code=code, env=env)
        self.assertIn(text, err.decode())
        self.assertEqual(out, b"")
        self.assertEqual(err.count(b"\n"), 1, err)
        return err.decode()

    def produce(self, store, topic, lines, *options):
        """Lines of bytes into a topic."""
        self.weir("produce", store, topic, *options, stdin=b"".join(l + b"\n" for l in lines))

    def records(self, store, topic, *options):
        """Records of a topic as weir consume --format json prints them."""
        out, _ = self.weir("consume", store, topic, "--format", "json", *options)
        return [json.loads(line) for line in out.decode().splitlines()]

    def text(self, store, topic, *options):
        return self.weir("consume", store, topic, *options)[0]

    def query(self, store, sql, *values):
        connection = sqlite3.connect(f"{(self.folder / store).as_uri()}?mode=ro", uri=True)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def change(self, store, sql, *values):
        """Breaks a store on purpose."""
        connection = sqlite3.connect(self.folder / store)
        try:
            with connection:
                changed = connection.execute(sql, values).rowcount
        finally:
            connection.close()
        self.assertGreater(changed, 0, f"nothing to break: {sql}")

    def files(self):
        return sorted(path.name for path in self.folder.iterdir())
