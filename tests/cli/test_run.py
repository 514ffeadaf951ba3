"""weir run: where options come from (command line, config file), stores, statistics, --check.

SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

from cli_kit import (AGAIN, CONFIG, COPY, COUNT, CliTest, NO_INPUT, SECONDS_MAX, USAGE, WEIR,
                     WORDCOUNT)

STATS = """records_in records_out rejects late epochs seconds records_per_s decide_ms_p50
           decide_ms_p99 fsyncs bytes_written store_bytes wal_bytes lag_records backlog_records
           watermark_ms timers generation waiting_for""".split()


class Options(CliTest):
    def setUp(self):
        super().setUp()
        (self.folder / "in.txt").write_text("a\nb\n")

    def test_options_stand_on_either_side_of_the_job(self):
        self.weir("run", COPY, "-s", "a.weir", "-o", "out=log:x")
        self.weir("run", "-s", "b.weir", "-o", "out=log:x", COPY)
        self.weir("run", "--store=c.weir", "--", COPY)
        self.assertEqual(self.text("a.weir", "x"), b"\ta\n\tb\n")
        self.assertEqual(self.text("b.weir", "x"), b"\ta\n\tb\n")
        self.assertEqual(self.text("c.weir", "out"), b"\ta\n\tb\n")

    def test_a_config_file(self):
        """Its options count; the command line wins; what can be repeated adds up."""
        (self.folder / "job.conf").write_text(
            "# where to\n"
            "store    = ${WEIR_TEST_FOLDER}/from-file.weir\n"
            "input    in=file:${WEIR_TEST_FOLDER}/in.txt\n"
            "output   out=log:from-file\n"
            "epoch-ms = 5\n"
            "until-end\n"
            "quiet    = true\n")
        env = {"WEIR_TEST_FOLDER": str(self.folder)}
        _, err = self.weir("run", COPY, "-c", "job.conf", env=env)
        self.assertEqual(err, b"")
        self.assertEqual(self.text("from-file.weir", "from-file"), b"\ta\n\tb\n")
        self.weir("run", "-s", "mine.weir", "-o", "out=log:mine", COPY, "--config=job.conf",
                  env=env)
        self.assertEqual(self.text("mine.weir", "mine"), b"\ta\n\tb\n")

    def test_a_later_config_file_wins(self):
        (self.folder / "1.conf").write_text("store 1.weir\noutput out=log:one\n")
        (self.folder / "2.conf").write_text("store 2.weir\n")
        self.weir("run", COPY, "-c", "1.conf", "-c", "2.conf")
        self.assertEqual(self.text("2.weir", "one"), b"\ta\n\tb\n")

    def test_mistakes_in_a_config_file(self):
        for text, said in [("epoch-ms = 5\nepoch-record 5\n", "job.conf:2: unknown option"
                            " epoch-record; did you mean epoch-records?"),
                           ("sync = never\n", "job.conf:1: --sync is \"never\""),
                           ("store ${WEIR_TEST_UNSET}\n", "no variable WEIR_TEST_UNSET"),
                           ("input nonsense\n", "job.conf:1: --input is \"nonsense\"")]:
            (self.folder / "job.conf").write_text(text)
            self.refuses(USAGE, said, "run", COPY, "-c", "job.conf")
        self.refuses(NO_INPUT, "nowhere.conf", "run", COPY, "-c", "nowhere.conf")
        self.assertEqual(self.files(), ["in.txt", "job.conf"])

    def test_names_that_the_job_does_not_have(self):
        self.refuses(USAGE, "imput", "run", COPY, "-i", "imput=file:in.txt")
        self.refuses(USAGE, "oot", "run", COPY, "-o", "oot=null:")

    def test_check_runs_nothing(self):
        out, _ = self.weir("run", "--check", WORDCOUNT)
        for word in ["wordcount", "lines", "counts", "table:counts"]:
            self.assertIn(word, out.decode())
        self.assertEqual(self.files(), ["in.txt"])
        self.refuses(USAGE, "imput", "run", "--check", WORDCOUNT, "-i", "imput=file:in.txt")


class Stores(CliTest):
    def setUp(self):
        super().setUp()
        (self.folder / "in.txt").write_text("a\n")

    def test_the_first_line_says_which_store_and_how(self):
        _, err = self.weir("run", COPY)
        store = str((self.folder / "copy.weir").resolve())
        lines = err.decode().splitlines()
        self.assertEqual(lines[0], f"new store {store}, reading from the beginning")
        self.assertIn("exactly-once", lines[1])
        _, err = self.weir("run", COPY)
        self.assertRegex(err.decode().splitlines()[0],
                         f"^resuming {store}, epoch [0-9]+, generation 2$")
        _, err = self.weir("run", "-q", COPY)
        self.assertEqual(err, b"")

    def test_another_jobs_store(self):
        self.weir("run", COPY, "-s", "x.weir")
        self.refuses(CONFIG, "x.weir", "run", COUNT, "-s", "x.weir")

    def test_two_at_once(self):
        """The second ends at once, naming the first; what only reads does not mind."""
        process = subprocess.Popen([WEIR, "run", COPY, "-i", "in=gen:keyed?rate=1000", "-o",
                                    "out=log:out", "-s", "x.weir"], cwd=self.folder,
                                   stderr=subprocess.PIPE)
        try:
            process.stderr.readline()
            error = self.refuses(AGAIN, "in use by process", "run", COPY, "-s", "x.weir")
            self.assertIn(str(process.pid), error)
            self.refuses(AGAIN, str(process.pid), "produce", "x.weir", "t")
            for name in ["inspect", "topics", "rejects", "verify"]:
                self.weir(name, "x.weir")
        finally:
            process.terminate()
            process.stderr.read()
            process.stderr.close()
            self.assertEqual(process.wait(), 0)

    def test_stop_by_signal_is_0(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen([WEIR, "run", COUNT, "-i", "in=gen:keyed?rate=5000", "-o",
                                        "out=log:out", "-s", f"{number}.weir"], cwd=self.folder,
                                       stderr=subprocess.PIPE)
            process.stderr.readline()
            give_up = time.monotonic() + SECONDS_MAX
            while time.monotonic() < give_up and \
                    not self.query(f"{number}.weir", "SELECT * FROM position WHERE next > 0"):
                time.sleep(0.01)
            process.send_signal(number)
            err = process.stderr.read()
            process.stderr.close()
            self.assertEqual(process.wait(), 0, err)
            self.weir("verify", f"{number}.weir")


class Stats(CliTest):
    def test_lines_and_totals(self):
        """Each line has every name; the last has the totals."""
        self.weir("run", "-q", COUNT, "-i", "in=gen:keyed?records=20000&keys=10", "-o",
                  "out=log:out", "--stats", "stats.json", "-s", "x.weir")
        lines = (self.folder / "stats.json").read_text().splitlines()
        for line in lines:
            self.assertEqual(list(json.loads(line)), STATS)
        last = json.loads(lines[-1])
        self.assertEqual((last["records_in"], last["records_out"], last["rejects"]),
                         (20000, 20000, 0))
        self.assertEqual(last["generation"], 1)
        self.assertGreater(last["epochs"], 0)
        self.assertGreater(last["fsyncs"], 0)
        self.assertGreater(last["store_bytes"] + last["wal_bytes"], 20000)
        self.assertAlmostEqual(last["records_per_s"], 20000 / last["seconds"],
                               delta=0.05 * last["records_per_s"] + 1)

    def test_begun_anew_but_nothing_else_is_overwritten(self):
        """A file of statistics is written again; the store, an input, an output or any other file
        is left alone, also by a run that is refused for another reason."""
        run = ("run", COPY, "-i", "in=file:in.txt", "-o", "out=file:out.txt", "-s", "x.weir")
        (self.folder / "in.txt").write_text("a\nb\n")
        for file in ("in.txt", "x.weir", "x.weir-wal", "in.txt"):
            self.refuses(USAGE, "is not overwritten; name another one", *run, "--stats", file)
        self.assertEqual((self.folder / "in.txt").read_text(), "a\nb\n")
        for _ in range(2):
            self.weir(*run, "--stats", "stats.json")
            self.assertEqual(len((self.folder / "stats.json").read_text().splitlines()), 1)
        self.refuses(USAGE, "is not overwritten", *run, "--stats", "out.txt")
        self.assertEqual((self.folder / "out.txt").read_text(), "a\nb\n")
        self.refuses(78, "is the store of job", "run", COUNT, "-i", "in=gen:keyed?records=10",
                     "-s", "x.weir", "--stats", "stats.json")
        self.assertNotEqual((self.folder / "stats.json").read_text(), "")
        self.weir("verify", "x.weir")

    def test_not_into_an_empty_input_or_output(self):
        run = ("run", COPY, "-i", "in=file:in.txt", "-o", "out=file:out.txt", "-s", "y.weir")
        (self.folder / "in.txt").write_text("")
        for file in ("in.txt", "out.txt"):
            self.refuses(USAGE, "is not overwritten", *run, "--stats", file)
            self.assertEqual((self.folder / file).read_text(), "")

    def test_to_standard_output(self):
        out, _ = self.weir("run", COUNT, "-i", "in=gen:keyed?records=10", "-o", "out=null:",
                           "--stats", "-", "-s", "x.weir")
        self.assertEqual(json.loads(out.splitlines()[-1])["records_in"], 10)


if __name__ == "__main__":
    unittest.main()
