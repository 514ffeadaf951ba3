"""What the user may not do: a folder or a file that may only be read, an input that may not. 77,
with the path, and nothing half made. Where the tests run as root, weir runs as another user here.

SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib
import shutil
import subprocess
import sys
import unittest

from cli_kit import BUILD, COPY, PERMISSION, SECONDS_MAX, WEIR, CliTest

NOBODY = 65534


class Permission(CliTest):
    def setUp(self):
        super().setUp()
        os.chmod(self.folder, 0o777)
        (self.folder / "in.txt").write_bytes(b"a\nb\n")
        self.command = [COPY, "-i", "in=file:in.txt", "-s", "x.weir"]

    def nobody(self, *args):
        """Runs weir as a user without privileges; gives its exit code and what it said."""
        become = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        done = subprocess.run([WEIR, *map(str, args)], cwd=self.folder, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=SECONDS_MAX, **become)
        return done.returncode, done.stderr.decode()

    def forbidden(self, path, *args):
        before = {p.name: p.stat().st_size for p in self.folder.iterdir() if p.is_file()}
        code, said = self.nobody(*args)
        self.assertEqual(code, PERMISSION, said)
        self.assertIn(path, said)
        self.assertRegex(said, "ermission|may only be read|read-only")
        after = {p.name: p.stat().st_size for p in self.folder.iterdir() if p.is_file()}
        self.assertEqual(before, after)

    def test_allowed(self):
        """Else the others would prove nothing."""
        code, said = self.nobody("run", *self.command)
        self.assertEqual(code, 0, said)

    def test_new_store_in_a_read_only_folder(self):
        os.chmod(self.folder, 0o555)
        self.forbidden("x.weir", "run", *self.command)
        os.chmod(self.folder, 0o777)

    def test_store_in_a_read_only_folder(self):
        self.nobody("run", *self.command)
        os.chmod(self.folder, 0o555)
        for name in ("x.weir.lock", "x.weir-wal", "x.weir-shm"):
            if (self.folder / name).exists():
                os.unlink(self.folder / name)
        self.forbidden("x.weir", "run", *self.command)
        os.chmod(self.folder, 0o777)

    def test_store_that_may_only_be_read(self):
        self.nobody("run", *self.command)
        for path in self.folder.glob("x.weir*"):
            os.chmod(path, 0o444)
        self.forbidden("x.weir", "run", *self.command)

    def test_input_that_may_not_be_read(self):
        os.chmod(self.folder / "in.txt", 0)
        self.forbidden("in.txt", "run", *self.command)

    def test_output_that_may_not_be_written(self):
        (self.folder / "out.txt").touch()
        os.chmod(self.folder / "out.txt", 0o444)
        code, said = self.nobody("run", *self.command, "-o", "out=file:out.txt")
        self.assertEqual(code, PERMISSION, said)
        self.assertIn("out.txt", said)
        os.chmod(self.folder / "out.txt", 0o666)
        code, said = self.nobody("run", *self.command, "-o", "out=file:out.txt")
        self.assertEqual(((self.folder / "out.txt").read_bytes(), code), (b"a\nb\n", 0), said)

    def test_job_that_may_not_be_read(self):
        shutil.copyfile(COPY, self.folder / "job.so")
        os.chmod(self.folder / "job.so", 0)
        self.forbidden("job.so", "run", "./job.so", *self.command[1:])


def others_can_run_it():
    """Whether the build can be reached by a user without privileges."""
    return os.geteuid() != 0 or all(
        folder.stat().st_mode & 1 for folder in [*(BUILD / "x").parents, *WEIR.parents])


if __name__ == "__main__":
    if os.geteuid() == 0:
        if not others_can_run_it():
            print(f"skipped: another user than root cannot reach {BUILD}")
            sys.exit(77)
        scratch = pathlib.Path(os.environ.get("TMPDIR", "/tmp"))
        for path in (scratch, *scratch.parents):
            if not path.stat().st_mode & 1 and path.name.startswith("weir-test"):
                os.chmod(path, path.stat().st_mode | 0o11)
    unittest.main()
