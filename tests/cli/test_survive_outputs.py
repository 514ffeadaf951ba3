"""A `file:` sink that someone else touched: shorter, replaced, with other bytes, gone, taken. The
run stops with 78 and leaves the file alone; once it is as it was, the job goes on. And sinks that
cannot be opened or written.

SPDX-License-Identifier: Apache-2.0
"""

import fcntl
import os
import unittest

from cli_kit import AGAIN, CONFIG, COPY, CliTest, IO, NO_INPUT

FIRST, SECOND = 400, 700


def lines(count):
    return b"".join(b"%020d" % i + b"x" * 10 + b"\n" for i in range(count))


class OutputTest(CliTest):
    """After a first run that wrote FIRST records into out.txt; the next has some more."""

    def setUp(self):
        super().setUp()
        self.path = self.folder / "out.txt"

    def command(self, records, output="file:out.txt"):
        return ("run", COPY, "-i", f"in=gen:keyed?size=30&records={records}", "-o",
                f"out={output}", "-s", "x.weir")

    def goes_on(self):
        self.weir(*self.command(SECOND))
        self.assertEqual(self.path.read_bytes(), lines(SECOND))
        self.weir("verify", "x.weir")


class Touched(OutputTest):
    def setUp(self):
        super().setUp()
        self.weir(*self.command(FIRST))
        self.assertEqual(self.path.read_bytes(), lines(FIRST))

    def refused(self, text, code=CONFIG):
        """Nothing is decided and the file, if there is one, stays as it is."""
        def state():
            data = self.path.read_bytes() if self.path.is_file() else None
            return data, self.query("x.weir", "SELECT next FROM position")
        before = state()
        error = self.refuses(code, text, *self.command(SECOND))
        self.assertIn("out.txt", error)
        self.assertEqual(state(), before)

    def test_untouched(self):
        self.goes_on()

    def test_shorter(self):
        os.truncate(self.path, 1000)
        self.refused("has 1000 bytes, and")
        self.path.write_bytes(lines(FIRST))
        self.goes_on()

    def test_empty(self):
        os.truncate(self.path, 0)
        self.refused("has 0 bytes, and")

    def test_gone(self):
        os.rename(self.path, self.folder / "away")
        self.refused("is missing, and")
        self.assertFalse(self.path.exists())
        os.rename(self.folder / "away", self.path)
        self.goes_on()

    def test_replaced_by_a_copy(self):
        """The same bytes in another file: what a careless editor leaves."""
        os.rename(self.path, self.folder / "away")
        self.path.write_bytes(lines(FIRST))
        self.refused("it was replaced")
        os.rename(self.folder / "away", self.path)
        self.goes_on()

    def test_other_bytes(self):
        """One bit, anywhere."""
        for at in (0, 5000, len(lines(FIRST)) - 1):
            data = bytearray(lines(FIRST))
            data[at] ^= 4
            self.path.write_bytes(data)
            self.refused("has other bytes than were forwarded")
        self.path.write_bytes(lines(FIRST))
        self.goes_on()

    def test_other_bytes_and_longer(self):
        data = bytearray(lines(FIRST) + b"more\n")
        data[7] ^= 1
        self.path.write_bytes(data)
        self.refused("has other bytes than were forwarded")

    def test_longer(self):
        """More at the end is what a crash leaves: it was never decided, and is cut off."""
        with open(self.path, "ab") as file:
            file.write(lines(FIRST + 50)[len(lines(FIRST)):-7])
        self.goes_on()

    def test_a_folder_in_its_place(self):
        os.rename(self.path, self.folder / "away")
        self.path.mkdir()
        self.refused("is a directory", code=IO)

    def test_a_fifo_in_its_place(self):
        os.rename(self.path, self.folder / "away")
        os.mkfifo(self.path)
        self.refused("is no regular file")

    def test_another_path(self):
        """The same sink into another file: also if that file is new."""
        error = self.refuses(CONFIG, "other.txt", *self.command(SECOND, "file:other.txt"))
        self.assertIn("forwarded", error)
        self.assertEqual(self.path.read_bytes(), lines(FIRST))

    def test_through_a_link(self):
        """A path that leads to the same file is the same sink."""
        (self.folder / "link").symlink_to("out.txt")
        self.weir(*self.command(SECOND, "file:link"))
        self.assertEqual(self.path.read_bytes(), lines(SECOND))

    def test_locked_by_another_writer(self):
        with open(self.path, "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.refused("another weir is writing", code=AGAIN)
        self.goes_on()


class New(OutputTest):
    def test_a_file_that_has_something(self):
        """It is not this store's: left alone, unless the job is to append to it."""
        self.path.write_bytes(b"mine\n")
        self.refuses(CONFIG, "has 5 bytes that this store has not written", *self.command(FIRST))
        self.assertEqual(self.path.read_bytes(), b"mine\n")
        self.weir(*self.command(FIRST, "file:out.txt?append=true"))
        self.assertEqual(self.path.read_bytes(), b"mine\n" + lines(FIRST))

    def test_what_was_there_is_touched_later(self):
        self.path.write_bytes(b"mine\n")
        self.weir(*self.command(FIRST, "file:out.txt?append=true"))
        self.path.write_bytes(b"Mine\n" + lines(FIRST))
        self.refuses(CONFIG, "other bytes", *self.command(SECOND, "file:out.txt?append=true"))

    def test_one_file_for_two_stores(self):
        """The second store must not write into what the first one keeps."""
        self.weir(*self.command(FIRST))
        self.refuses(CONFIG, "has not written", "run", COPY, "-i", "in=gen:keyed?records=10", "-o",
                     "out=file:out.txt", "-s", "y.weir")

    def test_no_such_folder(self):
        self.refuses(NO_INPUT, "nowhere/out.txt", *self.command(FIRST, "file:nowhere/out.txt"))

    def test_a_full_device(self):
        """/dev/full: each write fails as on a full disk."""
        _, err = self.weir(*self.command(FIRST, "file:/dev/full"), code=IO)
        self.assertIn("/dev/full", err.decode())
        self.weir("verify", "x.weir")


if __name__ == "__main__":
    unittest.main()
