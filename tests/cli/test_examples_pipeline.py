"""A pipeline of two example jobs: access_log writes a topic, errors reads it in the other store,
live. Both are killed with kill -9 at random; the result is what Python counts in the log.

SPDX-License-Identifier: Apache-2.0
"""

import collections
import os
import random
import subprocess
import time
import unittest

import test_examples_access_log as made_up
from example_kit import BUILD, ROOT, ExampleTest

KILLS = 12 if os.environ.get("WEIR_LONG") else 5


def make_log(rng, line_count):
    lines = []
    for _ in range(line_count):
        line = made_up.GOOD.replace(b"/a", b"/page%d" % rng.randrange(40))
        line = line.replace(b" 200 ", b" %d " % rng.choice([200, 200, 304, 404, 500]))
        lines.append(line if rng.randrange(20) else line[:rng.randrange(len(line))])
    return lines


def count_errors(lines):
    found = collections.Counter()
    for path, value, _time in made_up.count(lines)[0]:
        status = value.split(b" ")[0]
        if status >= b"400":
            found[status + b" " + path] += 1
    return found


class Running:
    """A job as a process, which is started again after each kill."""

    def __init__(self, test, job):
        self.test, self.job = test, job
        self.process = None

    def start(self, *options):
        said = open(self.test.folder / "said", "ab")
        self.process = subprocess.Popen([*self.job.command, *options], cwd=self.test.folder,
                                        stderr=said)
        said.close()
        self.test.addCleanup(self.stop)

    def stop(self):
        """Kills it; whether that hit it while it ran."""
        self.process.kill()
        code = self.process.wait()
        self.test.assertIn(code, (0, -9), (self.test.folder / "said").read_text())
        return code == -9

    def reaches(self, position):
        """Waits until it has read that far, or has ended."""
        give_up = time.monotonic() + 120
        while self.process.poll() is None and self.job.position() < position:
            self.test.assertLess(time.monotonic(), give_up, "the job does not get on")
            time.sleep(0.001)

    def ends(self):
        self.test.assertEqual(self.process.wait(120), 0, (self.test.folder / "said").read_text())


class Pipeline(ExampleTest):
    def test_both_killed(self):
        rng = random.Random(1)
        lines = make_log(rng, 5000)
        size = self.write("access.log", lines).stat().st_size
        requests = len(made_up.count(lines)[0])
        first = Running(self, self.job("access_log", "a.weir", "--epoch-records", 10))
        second = Running(self, self.job("errors", "b.weir", "-i",
                                        "requests=log:requests?store=a.weir", "--epoch-records", 5))
        first.start()
        first.reaches(1)
        second.start()
        hits = 0
        for i in range(1, KILLS + 1):
            first.reaches(size * i // (KILLS + 2) + rng.randrange(size // 20))
            hits += first.stop()
            first.start()
            second.reaches(requests * i // (KILLS + 2) + rng.randrange(requests // 20))
            hits += second.stop()
            second.start()
        first.ends()
        second.reaches(requests)
        self.assertTrue(second.stop(), "the second job ended, though its input goes on")
        second.start("--until-end")
        second.ends()

        self.assertGreater(hits, KILLS)
        found = dict(second.job.query("SELECT key, value FROM errors"))
        self.assertEqual({as_bytes(key): value for key, value in found.items()},
                         count_errors(lines))
        self.assertEqual(second.job.rejects(), [])
        first.job.verify()
        second.job.verify()

    # What errors reads need not come from access_log: what is no request is a dead letter.
    def test_no_requests(self):
        store = self.folder / "a.weir"
        values = b"/a\t404 1\n/b\t200 1\n/c\t404\n/d\tabc 1\n/e\t\n\t500 1\n404 1\n"
        subprocess.run([BUILD / "weir", "produce", store, "requests", "-K", "\\t"], input=values,
                       check=True)
        job = self.job("errors", "b.weir", "-i", f"requests=log:requests?store={store}",
                       "--until-end")
        job.run()
        found = dict(job.query("SELECT key, value FROM errors"))
        self.assertEqual(found, {b"404 /a": 1, b"500 ": 1})
        self.assertEqual(len(job.rejects()), 4)

    # The script says that all is equal, also over a log that is empty.
    def test_script(self):
        path = self.write("a log", make_log(random.Random(2), 3000))
        self.write("empty", [])
        for name in (path, self.folder / "empty"):
            done = subprocess.run([ROOT / "examples" / "pipeline.sh", name], text=True, timeout=300,
                                  env={**os.environ, "WEIR_BUILD": str(BUILD)}, cwd=self.folder,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertIn("equal to what awk counts", done.stdout)
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["a log", "empty"])


def as_bytes(key):
    return key if isinstance(key, bytes) else key.encode()


if __name__ == "__main__":
    unittest.main()
