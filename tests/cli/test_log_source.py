"""`weir run` with another job's topic as its input: what is refused, and what it leaves alone.

SPDX-License-Identifier: Apache-2.0
"""

import re
import subprocess
import time
import unittest

from cli_kit import (AGAIN, CONFIG, COPY, DATA, NO_INPUT, SECONDS_MAX, USAGE, WEIR, CliTest)


class LogSource(CliTest):
    def setUp(self):
        super().setUp()
        self.produce("a.weir", "t", [b"%d" % i for i in range(100)])

    def run_copy(self, uri, *options):
        return ("run", COPY, "-q", "-s", "b.weir", "-i", f"in={uri}", "--until-end", *options)

    def test_a_copy(self):
        self.weir(*self.run_copy("log:t?store=a.weir"))
        read, written = self.records("a.weir", "t"), self.records("b.weir", "out")
        self.assertEqual([{**r, "topic": "out"} for r in read], written)

    def test_what_is_no_store(self):
        (self.folder / "text.weir").write_text("this is not a database, but it is long enough " * 9)
        for uri, code, text in [("log:t?store=text.weir", DATA, "text.weir"),
                                ("log:t?store=none.weir", NO_INPUT, "start that one first"),
                                ("log:u?store=a.weir", NO_INPUT, "those it has: t"),
                                ("log:t", USAGE, "write log:t?store=FILE"),
                                ("log:t?store=a.weir&missing=oldest", USAGE, "earliest"),
                                ("log:t?store=b.weir", USAGE, "this job's own store"),
                                ("log:t?store=./b.weir", NO_INPUT, "b.weir")]:
            self.refuses(code, text, *self.run_copy(uri))
        self.assertNotIn("b.weir", self.files())

    def test_the_own_store_by_another_name(self):
        self.weir(*self.run_copy("log:t?store=a.weir"))
        (self.folder / "link.weir").symlink_to("b.weir")
        self.refuses(USAGE, "this job's own store", *self.run_copy("log:out?store=link.weir"))

    def test_the_other_store_is_no_output(self):
        for suffix in "", "-wal", "-shm":
            self.refuses(USAGE, "this run's own input", *self.run_copy(
                "log:t?store=a.weir", "-o", f"out=file:a.weir{suffix}?append=true"))
        self.weir("verify", "a.weir")
        self.refuses(USAGE, "name another file with --rejects file:PATH", *self.run_copy(
            "log:t?store=a.weir", "--rejects", "file:a.weir?append=true"))

    def test_another_topic_is_refused(self):
        self.produce("a.weir", "u", [b"x"])
        self.weir(*self.run_copy("log:t?store=a.weir"))
        error = self.refuses(CONFIG, "which has no such partition",
                             *self.run_copy("log:u?store=a.weir"))
        self.assertIn("missing=earliest", error)
        self.weir(*self.run_copy("log:u?store=a.weir&missing=earliest"))
        self.assertEqual(self.text("b.weir", "out").count(b"\n"), 101)

    def test_what_it_advises_can_be_typed(self):
        """Also where the URI has missing= already."""
        for uri in ("log:t?store=a.weir", "log:t?store=a.weir&missing=fail",
                    "log:t?missing=fail&store=a.weir"):
            self.weir(*self.run_copy("log:t?store=a.weir"))
            self.weir("topics", "a.weir", "--delete", "t")
            self.produce("a.weir", "t", [b"new"])
            error = self.refuses(CONFIG, "deleted and made again", *self.run_copy(uri))
            advised = re.search("-i 'in=([^']*)'", error).group(1)
            before = self.text("b.weir", "out").count(b"\n")
            self.weir(*self.run_copy(advised))
            self.assertEqual(self.text("b.weir", "out").count(b"\n"), before + 1)

    def test_a_partition_that_was_never_read_is_in_no_way(self):
        """What was chosen for another topic holds, although one partition has no record yet with
        which that would be stored."""
        def make(text):
            self.weir("topics", "a.weir", "--create", "two", "--partitions", 2)
            self.produce("a.weir", "two", [text], "-p", 0)
        make(b"old")
        self.weir(*self.run_copy("log:two?store=a.weir"))
        self.weir("topics", "a.weir", "--delete", "two")
        make(b"new")
        error = self.refuses(CONFIG, "made again", *self.run_copy("log:two?store=a.weir"))
        self.assertIn("partition 0", error)
        self.weir(*self.run_copy("log:two?store=a.weir&missing=earliest"))
        self.produce("a.weir", "two", [b"more"], "-p", 1)
        self.weir(*self.run_copy("log:two?store=a.weir"))
        self.assertEqual(self.text("b.weir", "out").split(), [b"old", b"new", b"more"])

    def test_what_is_before_damage_is_decided(self):
        """And is not read again by the next start."""
        self.produce("a.weir", "t", [b"more"])
        self.change("a.weir", "UPDATE log SET batch = CAST(substr(batch, 1, 43) || x'00' AS BLOB)"
                    " WHERE first_offset = 100")
        for _ in range(2):
            self.refuses(DATA, "topic t, partition 0, offset 100",
                         *self.run_copy("log:t?store=a.weir"))
            self.assertEqual(self.query("b.weir", "SELECT next FROM position"), [(100,)])
        self.assertEqual(self.text("b.weir", "out").count(b"\n"), 100)

    def test_a_store_that_is_replaced(self):
        """Under a reader that waits: it says so within seconds."""
        self.weir("backup", "a.weir", "copy.weir")
        process = subprocess.Popen([WEIR, "run", COPY, "-q", "-s", "b.weir", "-i",
                                    "in=log:t?store=a.weir"], cwd=self.folder,
                                   stderr=subprocess.PIPE)
        give_up = time.monotonic() + SECONDS_MAX
        while not (self.folder / "b.weir").exists() and time.monotonic() < give_up:
            time.sleep(0.01)
        (self.folder / "copy.weir").rename(self.folder / "a.weir")
        _, err = process.communicate(timeout=SECONDS_MAX)
        self.assertEqual(process.returncode, AGAIN, err)
        self.assertIn(b"was replaced", err)

    def test_what_a_power_cut_may_take_back_is_said(self):
        for sync, said in ("full", False), ("normal", True), ("off", True):
            _, err = self.weir("run", COPY, "-s", f"{sync}.weir", "-i", "in=log:t?store=a.weir",
                               "--until-end", "--sync", sync)
            self.assertEqual(b"what another process has already read" in err, said, err)


if __name__ == "__main__":
    unittest.main()
