"""A full disk: the run ends with 74 and says so; with space freed it goes on, and the result is
that of a run that never met it. The disk is a small tmpfs, in a mount namespace of its own.

SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from cli_kit import COPY, IO, CliTest
from crash_results import Results, check
from crash_runs import KILLED, Job

DISK_BYTES = 24 << 20
KEYED = "in=gen:keyed?records=3000&keys=40&size=200"
OPTIONS = ("-i", KEYED, "--epoch-records", 100)


class DiskFull(CliTest):
    @classmethod
    def setUpClass(cls):
        plain = Job("crash_all", *OPTIONS)
        plain.run()
        cls.expected = Results().read(plain)
        plain.remove()

    def setUp(self):
        super().setUp()
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "weir-test", self.disk],
                       check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=True)

    def leave(self, free):
        """Fills the disk until so many bytes are free."""
        with open(self.disk / "ballast", "ab", buffering=0) as file:
            space = os.statvfs(self.disk)
            more = space.f_bavail * space.f_frsize - free
            os.ftruncate(file.fileno(), max(0, os.fstat(file.fileno()).st_size + min(more, 0)))
            while more > 0:
                more -= file.write(b"x" * min(more, 1 << 16))

    def full(self, job):
        """One run, which must meet the full disk; True when it was done instead."""
        code = job.end(job.start())
        if code == 0:
            return True
        self.assertEqual(code, IO, job.said)
        self.assertRegex(job.said, "full|No space left")
        return False

    def is_right(self, job):
        check(self.expected, Results().read(job), job)
        job.verify()

    def test_space_comes_in_steps(self):
        """Each run gets a bit further, or not even so far as to open the store."""
        job = Job("crash_all", *OPTIONS, folder=self.disk)
        free, met, done = 0, 0, False
        while not done:
            self.leave(free)
            done = self.full(job)
            met += not done
            free += 3 << 16
        os.unlink(self.disk / "ballast")
        self.assertGreater(met, 5)
        self.is_right(job)

    def test_nothing_is_free(self):
        """Not even for the lock file; freed, the job starts anew."""
        job = Job("crash_all", *OPTIONS, folder=self.disk)
        self.leave(0)
        self.assertFalse(self.full(job))
        os.unlink(self.disk / "ballast")
        job.run()
        self.is_right(job)

    def test_full_then_killed(self):
        """A crash in the recovery from a full disk."""
        job = Job("crash_all", *OPTIONS, folder=self.disk)
        self.leave(3 << 20)
        self.assertFalse(self.full(job))
        os.unlink(self.disk / "ballast")
        self.assertEqual(job.end(job.start("decide_before_end:2")), KILLED, job.said)
        job.run()
        self.is_right(job)

    def test_only_the_file_sink_is_full(self):
        """The store is elsewhere: what is decided waits there until the file has room."""
        folder = self.folder / "store"
        job = Job("copy", "-i", KEYED, "-o", f"out=file:{self.disk}/out.txt", folder=folder)
        self.leave(100000)
        self.assertFalse(self.full(job))
        self.assertIn("out.txt", job.said)
        os.unlink(self.disk / "ballast")
        job.run()
        values = [b"%020d" % i + b"x" * 180 for i in range(3000)]
        self.assertEqual((self.disk / "out.txt").read_bytes().splitlines(), values)
        job.verify()

    def test_file_size_limit(self):
        """`ulimit -f`: an error as any other, not a signal that ends the process."""
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (700000, 700000))
        job = Job("copy", "-i", KEYED, folder=self.folder / "limited")
        self.assertEqual(job.end(job.start(preexec_fn=limit)), IO, job.said)
        job.run()
        records = self.records(job.store, "out")
        self.assertEqual([int(record["value"][:20]) for record in records], list(range(3000)))
        self.weir("run", COPY, "--check")


def main():
    """Once more in a mount namespace of its own, so that no mount is left behind."""
    if os.environ.get("WEIR_UNSHARED"):
        unittest.main()
    unshare = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    probe = ["sh", "-c", "mkdir probe && mount -t tmpfs -o size=4096 none probe && umount probe"]
    try:
        able = subprocess.run([*unshare, *probe], cwd=tempfile.mkdtemp(), capture_output=True)
    except FileNotFoundError:
        able = None
    if not able or able.returncode != 0:
        print("skipped: this user may not mount a tmpfs, not even in a namespace of its own")
        sys.exit(77)
    os.environ["WEIR_UNSHARED"] = "yes"
    sys.exit(subprocess.run([*unshare, sys.executable, *sys.argv]).returncode)


if __name__ == "__main__":
    main()
