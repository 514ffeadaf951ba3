"""Inputs of every kind: empty, without a final newline, with any bytes, with lines at and over the
limit; and files that shrank, were replaced or vanished, between runs and during one.

SPDX-License-Identifier: Apache-2.0
"""

import os
import random
import subprocess
import time
import unittest

from cli_kit import CONFIG, COPY, DATA, NO_INPUT, PERMISSION, SECONDS_MAX, WEIR, CliTest

MEBIBYTE = 1 << 20
FILES = ("run", COPY, "-i", "in=file:in.txt", "-o", "out=file:out.txt", "-s", "x.weir")


class InputTest(CliTest):
    def write(self, data, name="in.txt"):
        (self.folder / name).write_bytes(data)

    def read(self, name="out.txt"):
        return (self.folder / name).read_bytes()

    def next(self):
        return self.query("x.weir", "SELECT next FROM position")

    def rejects(self):
        return self.query("x.weir", "SELECT offset, reason, length(value) FROM reject ORDER BY id")


class Bytes(InputTest):
    def copies(self, data, out=None):
        self.write(data)
        self.weir(*FILES)
        self.assertEqual(self.read(), data if out is None else out)
        self.weir("verify", "x.weir")

    def test_empty(self):
        self.copies(b"")
        self.weir(*FILES)  # and once more

    def test_one_byte(self):
        self.copies(b"\n")

    def test_only_newlines(self):
        self.copies(b"\n" * 5000)

    def test_no_final_newline(self):
        """The last line counts; the file that is written has its newline."""
        self.copies(b"a\nb", out=b"a\nb\n")

    def test_nul_bytes_and_invalid_utf_8(self):
        rng = random.Random(5)
        self.copies(bytes(rng.choices(b"\0\xff\xc3\x28\xed\xa0\x80\n\r\t a", k=200000)) + b"\n")

    def test_every_byte(self):
        self.copies(bytes(range(256)) * 50 + b"\n")

    def test_any_bytes_in_a_table(self):
        """As keys: text where it is text, else blobs; the count job keys by the absent key, so
        words are the keys here."""
        self.write(b"a\0b \xff\xfe ok\n")
        self.weir("run", COPY.parent / "wordcount.so", "-i", "lines=file:in.txt", "-s", "x.weir")
        rows = self.query("x.weir", "SELECT typeof(key), key FROM counts ORDER BY key")
        self.assertEqual(rows, [("text", "a"), ("text", "b"), ("text", "ok")])


class Limits(InputTest):
    def test_a_record_of_one_mebibyte_and_one_byte_more(self):
        """The first passes, the second is a dead letter, and what comes after passes."""
        self.write(b"x" * MEBIBYTE + b"\n" + b"y" * (MEBIBYTE + 1) + b"\nafter\n")
        self.weir(*FILES)
        self.assertEqual(self.read(), b"x" * MEBIBYTE + b"\nafter\n")
        (offset, reason, _), = self.rejects()
        self.assertEqual(offset, MEBIBYTE + 1)
        self.assertIn("1048576", reason)
        self.weir("verify", "x.weir")

    def test_a_line_of_40_mebibytes(self):
        """More than an epoch may hold: a dead letter as well, in bounded memory."""
        self.write(b"a\n" + b"z" * (40 * MEBIBYTE) + b"\nb\n")
        self.weir(*FILES)
        self.assertEqual(self.read(), b"a\nb\n")
        self.assertEqual([row[0] for row in self.rejects()], [2])

    def test_the_last_line_too_long_and_without_newline(self):
        self.write(b"a\n" + b"z" * (MEBIBYTE + 1))
        self.weir(*FILES)
        self.assertEqual((self.read(), [row[0] for row in self.rejects()]), (b"a\n", [2]))

    def test_many_large_records(self):
        """Forty of the largest: more than an epoch's bytes, so several epochs."""
        data = b"".join(b"%04d" % i + b"x" * (MEBIBYTE - 4) + b"\n" for i in range(40))
        self.write(data)
        self.weir(*FILES)
        self.assertEqual(self.read(), data)
        self.assertGreater(self.query("x.weir", "SELECT count(*) FROM epoch")[0][0], 1)


class Changed(InputTest):
    """After a first run over in.txt. Each refusal leaves the store and the output as they were;
    with the right file back, the job goes on."""

    FIRST = b"".join(b"line %d\n" % i for i in range(500))

    def setUp(self):
        super().setUp()
        self.write(self.FIRST)
        self.weir(*FILES)

    def refused(self, code, text):
        before = self.next(), self.read()
        self.refuses(code, text, *FILES)
        self.assertEqual((self.next(), self.read()), before)

    def test_grown(self):
        with open(self.folder / "in.txt", "ab") as file:
            file.write(b"more\n")
        self.weir(*FILES)
        self.assertEqual(self.read(), self.FIRST + b"more\n")

    def test_shrank(self):
        inode = (self.folder / "in.txt").stat().st_ino
        os.truncate(self.folder / "in.txt", 2000)
        self.assertEqual((self.folder / "in.txt").stat().st_ino, inode)
        self.refused(CONFIG, "shrank")
        self.write(self.FIRST + b"more\n")  # the same inode, its bytes back
        self.weir(*FILES)
        self.assertEqual(self.read(), self.FIRST + b"more\n")

    def test_shrank_to_nothing(self):
        os.truncate(self.folder / "in.txt", 0)
        self.refused(CONFIG, "shrank")

    def test_replaced(self):
        """By a file with the same bytes, but another inode."""
        os.rename(self.folder / "in.txt", self.folder / "old.txt")
        self.write(self.FIRST + b"more\n")
        self.refused(CONFIG, "replaced")
        os.rename(self.folder / "old.txt", self.folder / "in.txt")
        self.weir(*FILES)

    def test_other_bytes(self):
        """In the same file, as long."""
        self.write(b"L" + self.FIRST[1:])
        self.refused(CONFIG, "its first bytes differ")

    def test_vanished(self):
        os.rename(self.folder / "in.txt", self.folder / "old.txt")
        self.refused(NO_INPUT, "cannot open")

    def test_not_readable(self):
        if os.geteuid() == 0:
            return  # root may read everything; test_survive_disk does this as another user
        os.chmod(self.folder / "in.txt", 0)
        self.refused(PERMISSION, "ermission")

    def test_a_folder_now(self):
        os.rename(self.folder / "in.txt", self.folder / "old.txt")
        (self.folder / "in.txt").mkdir()
        self.refused(NO_INPUT, "is a directory")

    def test_another_path(self):
        self.write(self.FIRST, "other.txt")
        before = self.next(), self.read()
        self.refuses(CONFIG, "other.txt", "run", COPY, "-i", "in=file:other.txt", "-o",
                     "out=file:out.txt", "-s", "x.weir")
        self.assertEqual((self.next(), self.read()), before)

    def test_a_last_line_that_grew(self):
        """It was counted as it was: what comes behind is no line of its own, and no part of it."""
        with open(self.folder / "in.txt", "ab") as file:
            file.write(b"cut")
        self.weir(*FILES)
        self.assertEqual(self.read(), self.FIRST + b"cut\n")
        with open(self.folder / "in.txt", "ab") as file:
            file.write(b" off\n")
        self.refused(DATA, "has grown since")

    def test_a_last_line_that_got_its_newline(self):
        with open(self.folder / "in.txt", "ab") as file:
            file.write(b"cut")
        self.weir(*FILES)
        with open(self.folder / "in.txt", "ab") as file:
            file.write(b"\nmore\n")
        self.weir(*FILES)
        self.assertEqual(self.read(), self.FIRST + b"cut\nmore\n")


class ChangedDuringRun(InputTest):
    """While a job reads it. What was decided stays; with the bytes back, the job goes on."""

    LINES = [b"line %d\n" % i for i in range(300000)]
    WHOLE = b"".join(LINES)

    def run_and(self, change):
        """Starts the copy, changes the file once something was decided; gives how it ended."""
        self.write(self.WHOLE)
        command = [*map(str, FILES), "--epoch-records", "200"]
        process = subprocess.Popen([WEIR, *command], cwd=self.folder, stderr=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        give_up = time.monotonic() + SECONDS_MAX
        while self.position() == 0:
            self.assertLess(time.monotonic(), give_up, "the job does not get on")
        change()
        said = process.communicate(timeout=SECONDS_MAX)[1].decode()
        self.assertLess(self.position(), len(self.WHOLE), "it was over before the change")
        return process.returncode, said

    def position(self):
        try:
            return (self.next() or [(0,)])[0][0]
        except Exception:  # no store yet, or no table
            return 0

    def test_shrank(self):
        code, said = self.run_and(lambda: os.truncate(self.folder / "in.txt", 1000))
        self.assertEqual(code, CONFIG, said)
        self.assertIn("shrank", said)
        self.assertTrue(self.WHOLE.startswith(self.read()))
        self.write(self.WHOLE)
        self.weir(*FILES)
        self.assertEqual(self.read(), self.WHOLE)

    def test_unlinked(self):
        """An open file that loses its name is still read whole, as ever in Unix."""
        link = self.folder / "kept.txt"

        def unlink():
            os.link(self.folder / "in.txt", link)
            os.unlink(self.folder / "in.txt")

        self.write(self.WHOLE[:2000000])
        process = subprocess.Popen([WEIR, *map(str, FILES)], cwd=self.folder,
                                   stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        process.stderr.readline()
        unlink()
        said = process.communicate(timeout=SECONDS_MAX)[1].decode()
        self.assertEqual(process.returncode, 0, said)
        out = self.read()
        self.assertEqual(out[:2000000], self.WHOLE[:2000000])
        os.rename(link, self.folder / "in.txt")
        self.weir(*FILES)
        self.assertEqual(self.read(), out)


if __name__ == "__main__":
    unittest.main()
