"""file: sources as people have files: patterns, files that are followed and rotated, gzip, and what
is said when they are not what was read before.

SPDX-License-Identifier: Apache-2.0
"""

import gzip
import os
import signal
import subprocess
import time
import unittest

from cli_kit import CONFIG, COPY, CliTest, DATA, NO_INPUT, PERMISSION, USAGE, WEIR


class Files(CliTest):
    def setUp(self):
        super().setUp()
        (self.folder / "d").mkdir()

    def put(self, name, data):
        path = self.folder / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def copy(self, uri, *options, code=0):
        """One run; gives what it said."""
        return self.weir("run", COPY, "-i", f"in=file:{uri}", "-o", "out=file:out.txt", *options,
                         code=code)[1].decode()

    def out(self):
        path = self.folder / "out.txt"
        return path.read_text(errors="replace") if path.exists() else ""

    def refused(self, code, text, uri, *options):
        said = self.copy(uri, "-q", *options, code=code)
        self.assertIn(text, said)
        return said

    def follow(self, uri, *options):
        process = subprocess.Popen(
            [WEIR, "run", COPY, "-i", f"in=file:{uri}", "-o", "out=file:out.txt", "--forward-ms",
             "1", *options], cwd=self.folder, stderr=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def wait_for(self, text):
        until = time.monotonic() + 60
        while self.out() != text and time.monotonic() < until:
            time.sleep(0.01)
        self.assertEqual(self.out(), text)

    def stop(self, process, code=0):
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1].decode()
        self.assertEqual(process.returncode, code, said)
        return said

    # ---- Patterns

    def test_a_folder_of_files(self):
        """Each run reads what is new in a folder, whatever else is in it."""
        self.put("d/b.log", "b1\nb2")
        self.put("d/a.log", "a1\n")
        self.put("d/binary.log", b"\x00\xff\x00\n\xfe")
        self.put("d/empty.log", "")
        (self.folder / "d/folder.log").mkdir()
        os.mkfifo(self.folder / "d/fifo.log")
        (self.folder / "d/dangling.log").symlink_to("nowhere")
        (self.folder / "d/link.log").symlink_to("a.log")
        self.copy("d/*.log")
        first = self.out()
        lines = ["a1", "b1", "b2", "\0\ufffd\0", "\ufffd"]
        self.assertEqual(sorted(first.splitlines()), sorted(lines))
        self.put("d/c.log", "c1\n")
        with (self.folder / "d/a.log").open("a") as file:
            file.write("a2\n")
        (self.folder / "d/binary.log").unlink()
        self.assertNotIn("warn", self.copy("d/*.log"))
        self.assertEqual(sorted(self.out()[len(first):].splitlines()), ["a2", "c1"])
        parts = [row[0] for row in self.query("copy.weir", "SELECT part FROM position")]
        self.assertEqual(len(parts), 5)
        self.assertTrue(all(part.startswith(str(self.folder.resolve())) for part in parts))
        self.weir("verify", "copy.weir")

    def test_nothing_matches(self):
        self.refused(NO_INPUT, "no file matches", "d/*.log")
        self.refused(NO_INPUT, "/d/x[0-9].log", "d/x[0-9].log")
        self.refused(NO_INPUT, "cannot open", "d/x%2A.log")

    def test_one_may_not_be_read(self):
        self.put("d/a.log", "a1\n")
        self.put("d/b.log", "b1\n").chmod(0)
        if os.geteuid() == 0:
            self.skipTest("root may read everything")
        self.refused(PERMISSION, "d/b.log", "d/*.log")

    def test_a_file_vanishes(self):
        """Read to its end, or not."""
        self.put("d/a.log", "a1\n")
        self.put("d/b.log", "b1\n")
        self.copy("d/*.log")
        (self.folder / "d/a.log").unlink()
        self.copy("d/*.log")
        self.change("copy.weir", "UPDATE progress SET next = 0 WHERE part LIKE '%/a.log'")
        said = self.refused(CONFIG, "not to its end", "d/*.log")
        self.assertIn("?missing=earliest", said)
        self.assertIn("going on without it", self.copy("d/*.log?missing=latest"))

    # ---- What was read before

    def test_missing_says_what_to_do(self):
        self.put("in.txt", "one\ntwo\n")
        self.copy("in.txt")
        self.put("new.txt", "three\nfour\n")
        os.rename(self.folder / "new.txt", self.folder / "in.txt")
        said = self.refused(CONFIG, "it was replaced", "in.txt")
        self.assertIn("?missing=earliest", said)
        self.assertIn("it was replaced", self.copy("in.txt?missing=earliest"))
        self.assertEqual(self.out(), "one\ntwo\nthree\nfour\n")
        self.put("in.txt", "xxx\n")
        self.refused(CONFIG, "it shrank", "in.txt")
        self.copy("in.txt?missing=latest")
        self.assertEqual(self.out(), "one\ntwo\nthree\nfour\n")

    # ---- Following

    def test_follow_a_rotated_log(self):
        """From before it is there, over both ways of rotation, stopped and started again."""
        process = self.follow("app.log?follow=true")
        self.put("app.log", "one\ntw")
        self.wait_for("one\n")
        with (self.folder / "app.log").open("a") as file:
            file.write("o\n")
        self.wait_for("one\ntwo\n")
        os.rename(self.folder / "app.log", self.folder / "app.log.1")
        self.put("app.log", "four\n")
        with (self.folder / "app.log.1").open("a") as file:
            file.write("three")
        self.wait_for("one\ntwo\nthree\nfour\n")
        said = self.stop(process)
        self.assertEqual(said.count("\n"), 2, said)  # the store, the sink: no warnings
        os.rename(self.folder / "app.log", self.folder / "app.log.1")
        self.put("app.log", "five\n")
        process = self.follow("app.log?follow=true")
        self.wait_for("one\ntwo\nthree\nfour\nfive\n")
        self.put("app.log.1", (self.folder / "app.log").read_bytes() + b"six\n")
        self.put("app.log", "7\n")
        self.wait_for("one\ntwo\nthree\nfour\nfive\nsix\n7\n")
        self.stop(process)
        self.copy("app.log?follow=true", "--until-end")
        self.assertEqual(self.out(), "one\ntwo\nthree\nfour\nfive\nsix\n7\n")

    def test_follow_a_folder(self):
        """Files that come while it runs; with --until-end only those that are there."""
        self.put("d/a.log", "a\n")
        self.copy("d/*.log?follow=true", "--until-end")
        process = self.follow("d/*.log?follow=true")
        self.put("d/b.log", "b\n")
        self.wait_for("a\nb\n")
        os.rename(self.folder / "d/b.log", self.folder / "d/c.log")
        with (self.folder / "d/c.log").open("a") as file:
            file.write("c\n")
        self.wait_for("a\nb\nc\n")
        self.stop(process)
        self.copy("d/*.log?follow=true", "--until-end")
        self.assertEqual(self.out(), "a\nb\nc\n")

    def test_follow_waits_for_a_folder(self):
        process = self.follow("later/app.log?follow=true")
        process.stderr.readline()
        (self.folder / "later").mkdir()
        self.put("later/app.log", "one\n")
        self.wait_for("one\n")
        self.stop(process)

    def test_known_loss_stops(self):
        """The log was cut with lines in it that no run has seen, and there is no copy."""
        self.put("app.log", "one\ntwo\n")
        self.copy("app.log?follow=true", "--until-end")
        self.put("app.log", "3\n")
        said = self.refused(CONFIG, "app.log", "app.log?follow=true", "--until-end")
        self.assertIn("?missing=earliest", said)
        self.copy("app.log?follow=true,missing=earliest", "--until-end")
        self.assertEqual(self.out(), "one\ntwo\n3\n")

    # ---- gzip

    def test_gzip(self):
        data = gzip.compress(b"".join(b"line %d\n" % i for i in range(5000)))
        self.put("d/a.gz", data)
        self.put("d/b.gz", gzip.compress(b"b1\n") + gzip.compress(b"b2"))
        self.refused(USAGE, "compression=gzip", "d/*.gz")
        self.refused(USAGE, "compression=gzip", "d/a.gz")
        self.copy("d/*.gz?compression=gzip")
        self.assertEqual(len(self.out().splitlines()), 5002)
        self.copy("d/*.gz?compression=gzip")
        self.assertEqual(len(self.out().splitlines()), 5002)

    def test_damaged_gzip(self):
        """What is whole is processed, and it goes on when the file was mended."""
        text = "".join(f"{i * 7919 % 100003}\n" for i in range(20000))
        data = gzip.compress(text.encode())
        self.put("in.gz", data[:len(data) // 2])
        self.refused(DATA, "(it is truncated)", "in.gz?compression=gzip")
        first = self.out()
        self.assertTrue(len(first) > 10000 and text.startswith(first))
        self.put("in.gz", data)
        self.copy("in.gz?compression=gzip")
        self.assertEqual(self.out(), text)

    def test_what_is_no_gzip(self):
        self.put("plain.gz", "one\n")
        self.refused(DATA, "is no gzip file", "plain.gz?compression=gzip")
        self.put("x.zst", b"\x28\xb5\x2f\xfd....")
        self.refused(USAGE, "decompress it first", "x.zst")
        self.refused(USAGE, "cannot be followed", "x.gz?compression=gzip&follow=true")
        self.copy("x.zst?compression=none")

    def test_check_opens_nothing(self):
        out, _ = self.weir("run", "--check", COPY, "-i",
                           "in=file:nowhere/*.log?follow=true&missing=latest")
        self.assertIn(b"nowhere/*.log", out)


if __name__ == "__main__":
    unittest.main()
