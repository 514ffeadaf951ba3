"""`weir bench`: every cell completes, the JSON lines have their fields, what kills did is right,
and nothing is left behind. Never how fast anything was.

SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

from cli_kit import AGAIN, CONFIG, COPY, IO, JOBS, NO_INPUT, USAGE, WEIR, CliTest

FIELDS = """job delivery epoch_records sync repeat records seconds records_per_s
            ratio_to_at_least_once decide_us_p50 decide_us_p99 decide_us_p999 decide_us_max
            latency_us_p50 latency_us_p99 latency_us_p999 bytes_per_record fsyncs_per_record
            cpu_s_per_million rss_kib kills lost repeated reordered state_errors
            recovery_ms""".split()
BUG = 70
ODD = JOBS / "bench_odd.so"
MODES = ["exactly-once", "at-least-once", "at-most-once"]
KINDS = ["weir", "weir", "weir", "no_positions", "loop", "raw_overwrite", "raw_append"]


class Bench(CliTest):
    def bench(self, *args, code=0):
        """Its standard output and error; the folder must be as it was. The disk may be one that is
        in memory."""
        before = self.files()
        out, err = self.weir("bench", *args, code=code)
        self.assertEqual(self.files(), before)
        return out.decode(), err.decode()

    def lines(self, *args):
        """The JSON lines of a bench, by their type; each has all fields."""
        found = {"machine": [], "run": [], "latency": [], "cell": []}
        for line in self.bench("--json", "--sync", "off", *args)[0].splitlines():
            row = json.loads(line)
            found[row["type"]].append(row)
            if row["type"] != "machine":
                self.assertEqual([name for name in FIELDS if name not in row], [])
        self.assertEqual(len(found["machine"]), 1)
        return found

    def test_every_cell_completes(self):
        """Two jobs, two epoch sizes, all modes and baselines, runs by records, kills, latency."""
        found = self.lines("--job", "count,wordcount", "--epoch-records", "10,adaptive",
                           "--records", "400", "--repeat", "2", "--kills", "1", "--rate", "20000",
                           "--keys", "50")
        self.assertEqual([row["kind"] for row in found["cell"]], KINDS * 4)
        self.assertEqual([row["delivery"] for row in found["cell"][:3]], MODES)
        self.assertEqual(len(found["run"]), len(KINDS) * 4 * 2)
        self.assertEqual(len(found["latency"]), 3 * 4)
        for row in found["run"]:
            self.assertEqual(row["records"] if row["kind"] == "weir" else 400, 400, row)
            self.assertIn(row["repeat"], (1, 2))
            self.assertGreater(row["records_per_s"], 0)
            self.assertGreater(row["ratio_to_at_least_once"], 0)
            self.assertGreater(row["cpu_s_per_million"], 0)
            self.assertGreater(row["rss_kib"], 0)
            self.assertIsNone(row["latency_us_p50"])
            self.assertIsNone(row["lost"])
        for row in found["run"]:
            if row["kind"] == "weir":
                self.assertGreater(row["bytes_per_record"], 0)
                self.assertGreater(row["decide_us_p50"], 0)
                self.assertGreaterEqual(row["decide_us_max"], row["decide_us_p50"])
            if row["delivery"] == "at-least-once":
                self.assertEqual(row["ratio_to_at_least_once"], 1)
        for row in found["latency"]:
            self.assertEqual((row["records"], row["rate"]), (400, 20000))
            self.assertGreater(row["latency_us_p50"], 0)
            self.assertLessEqual(row["latency_us_p50"], row["latency_us_p999"])
        for row in found["cell"]:
            self.assertIsNone(row["repeat"])
            self.assertEqual(row["runs"], 2)

    def test_what_kills_do(self):
        """Exactly-once loses and repeats nothing; at-least-once loses nothing; at-most-once repeats
        nothing."""
        found = self.lines("--epoch-records", "20", "--records", "2000", "--repeat", "1", "--kills",
                           "4", "--rate", "1000000", "--keys", "50")
        damage = {row["delivery"]: row for row in found["cell"] if row["kind"] == "weir"}
        self.assertEqual(list(damage), MODES)
        for mode, row in damage.items():
            self.assertEqual((row["kills"], row["expected"]), (4, 2000), mode)
        exact, least, most = (damage[mode] for mode in MODES)
        for name in ("lost", "repeated", "reordered", "state_errors"):
            self.assertEqual(exact[name], 0, name)
        self.assertEqual(least["lost"], 0)
        self.assertEqual(most["repeated"], 0)
        for row in found["cell"]:
            if row["kind"] != "weir":
                self.assertIsNone(row["lost"])

    def test_queries_of_nexmark(self):
        """They are built in and read their own events; no loop was written by hand; exactly-once
        loses and repeats nothing of a row or a table's changes."""
        found = self.lines("--job", "nexmark_q0,nexmark_q17", "--epoch-records", "100",
                           "--records", "3000", "--repeat", "1", "--kills", "1", "--rate",
                           "1000000", "--delivery", "exactly-once")
        self.assertEqual([row["kind"] for row in found["cell"]],
                         [kind for kind in KINDS[2:] if kind != "loop"] * 2)
        for row in found["cell"]:
            self.assertEqual((row["keys"], row["value_bytes"]), (0, 0))
            if row["kind"] == "weir":
                self.assertEqual([row["kills"], row["expected"]], [1, 3000 * 46 // 50], row["job"])
                for name in ("lost", "repeated", "reordered"):
                    self.assertEqual(row[name], 0, name)
                self.assertEqual(row["state_errors"], 0 if row["job"] == "nexmark_q17" else None)
        self.refuses(USAGE, "did you mean nexmark_q0?", "bench", "--job", "nexmark_q6")
        self.refuses(USAGE, "did you mean nexmark_q5?", "bench", "--job", "nexmrk_q5")

    def test_the_table(self):
        """For people: the machine, the command, a row a cell, within 100 columns."""
        out, err = self.bench("--sync", "off", "--records", "300", "--repeat", "1", "--kills", "1",
                              "--rate", "100000", "--keys", "50", "--job", "copy")
        self.assertEqual(err, "")
        self.assertTrue(out.startswith("weir bench --sync off --records 300 "))
        for line in out.splitlines():
            self.assertLessEqual(len(line), 100, line)
        for name in MODES:
            self.assertEqual(len([x for x in out.splitlines() if x.startswith(name)]), 5, name)
        for name in ("no positions", "loop", "raw overwrite", "raw append"):
            self.assertEqual(len([x for x in out.splitlines() if x.startswith(name)]), 2, name)
        self.assertIn("\ncopy, sync off", out)

    def test_runs_by_seconds(self):
        """They end; latency then is at two rates that follow from the throughput."""
        found = self.lines("--seconds", "0.05", "--repeat", "1", "--kills", "0",
                           "--epoch-records", "adaptive", "--delivery", "exactly-once")
        cell = found["cell"][0]
        self.assertEqual([rate["rate_percent"] for rate in cell["latency"]], [50, 80])
        self.assertEqual(cell["latency"][0]["rate"], int(cell["records_per_s"] / 2))
        self.assertIsNone(cell["ratio_to_at_least_once"])
        self.assertIsNone(cell["kills"])
        self.assertEqual([row["kind"] for row in found["cell"]], [KINDS[0], *KINDS[3:]])

    def test_a_job_of_ones_own(self):
        """A JOB.so: its inputs are generated, its outputs stay in the store; no loop is written."""
        join = COPY.with_name("join.so")
        found = self.lines("--job", f"{COPY},{join}", "--records", "200", "--repeat", "1",
                           "--kills", "0", "--epoch-records", "adaptive", "--rate", "100000")
        self.assertEqual([row["kind"] for row in found["cell"]], (KINDS[:4] + KINDS[5:]) * 2)
        self.assertEqual({row["job"] for row in found["run"]}, {str(COPY), str(join)})
        self.assertEqual({row["records"] for row in found["run"] if row["kind"] == "weir"}, {200})

    def test_a_job_of_ones_own_is_killed(self):
        found = self.lines("--job", COPY, "--records", "2000", "--repeat", "1", "--kills", "2",
                           "--epoch-records", "20", "--rate", "1000000", "--delivery",
                           "exactly-once")
        cell = found["cell"][0]
        self.assertEqual((cell["kills"], cell["lost"], cell["repeated"]), (2, 0, 0))

    def test_a_job_that_fails(self):
        """Its error is the bench's, with the cell; its exit code too."""
        err = self.bench("--job", COPY, "-D", "no=1", "--sync", "off", "--kills",
                         "0", "--seconds", "0.05", "--repeat", "1", code=USAGE)[1]
        self.assertIn("cannot measure", err)

    def test_a_job_of_chance(self):
        """Nothing is killed, which has no figures; why, once, below the table."""
        args = ["--job", ODD, "-D", "how=clock", "--sync", "off", "--records", "300", "--repeat",
                "1", "--kills", "1", "--epoch-records", "adaptive", "--rate", "100000"]
        out, err = self.bench(*args)
        self.assertEqual(err.count("was not killed"), 1, err)
        self.assertEqual(err.count("\n"), 1, err)
        rows = [line.split() for line in out.splitlines() if line.startswith("exactly-once")]
        self.assertEqual(rows[2], ["exactly-once", "adaptive"] + ["-"] * 8)
        for line in self.bench(*args, "--json")[0].splitlines():
            row = json.loads(line)
            for name in ("kills", "expected", "lost", "repeated", "reordered", "recovery_ms"):
                self.assertIsNone(row.get(name), row)

    def test_dead_letters(self):
        """Are told once, and not where to look for them: that store is gone."""
        err = self.bench("--job", ODD, "-D", "how=reject", "--sync", "off", "--records", "300",
                         "--repeat", "2", "--kills", "0", "--delivery", "exactly-once",
                         "--epoch-records", "adaptive", "--rate", "100000")[1]
        self.assertIn(f"job {ODD} rejected 200 of its 600 records", err)
        self.assertEqual(err.count("\n"), 1, err)

    def test_a_job_that_ends_the_process(self):
        """It crashed, or ended by itself: nobody killed it, and to start again is no help."""
        for how, text in [("abort", "crashed by signal 6"), ("exit", "by itself before it was")]:
            err = self.bench("--job", ODD, "-D", f"how={how}", "--sync", "off", "--kills", "0",
                             "--seconds", "0.05", "--repeat", "1", code=BUG)[1]
            self.assertIn(text, err)
            self.assertIn("exactly-once, epoch 1, sync off", err)

    def test_mistakes(self):
        """Nothing is measured, and the nearest right word is named."""
        for args, text in [
                (["--delivery", "exatly-once"], "did you mean exactly-once?"),
                (["--sync", "full,ful"], "did you mean full?"),
                (["--epoch-records", "1,adaptve"], "did you mean adaptive?"),
                (["--job", "cuont"], "did you mean count?"),
                (["--epoch-records", "16777217"], "from 1 to 16777216"),
                (["--epoch-records", "0"], "adaptive"),
                (["--delivery", ""], "empty list"),
                (["--delivery", ","], "empty item"),
                (["--epoch-records", "1,,2"], "empty item"),
                (["--epoch-ms", "5,"], "empty item"),
                (["--sync", ",off"], "empty item"),
                (["--dir", ""], "takes a folder"),
                (["--seconds", "x"], "from 0.01 to 86400"),
                (["--seconds", "1", "--records", "5"], "give one"),
                (["--repeat", "0"], "from 1 to 1000"),
                (["--kils", "1"], "did you mean --kills?"),
                (["count"], "takes no operands"),
                (["-D", "a=b"], "JOB.so"),
                (["--kafka", "localhost"], "HOST:PORT"),
                (["--kafka", "localhost:1", "--broker-kills", "1"], "starts itself"),
                (["--kafka", "localhost:1", "--job", "wordcount"], "copy and count"),
                (["--kafka", "localhost:1", "--epoch-records", "1"], "--epoch-records"),
                (["--kafka", "localhost:1", "--forward-ms", "0"], "--forward-ms"),
                (["--forward-ms", "10"], "is for --kafka"),
        ]:
            self.refuses(USAGE, text, "bench", *args)
        if os.path.ismount("/dev/shm"):
            self.refuses(USAGE, "in memory", "bench", "--dir", "/dev/shm", "--sync", "off,full")
        self.refuses(NO_INPUT, "no.so", "bench", "--job", "./no.so")
        self.refuses(NO_INPUT, "/nowhere", "bench", "--sync", "off", "--dir", "/nowhere")
        (self.folder / "not.so").write_text("not a job")
        self.refuses(CONFIG, "not.so", "bench", "--job", "not.so")

    def test_a_full_output(self):
        """What cannot be written ends it, before the next run."""
        with open("/dev/full", "wb") as full:
            done = subprocess.run([WEIR, "bench", "--sync", "off", "--seconds", "60"],
                                  cwd=self.folder, stdout=full, stderr=subprocess.PIPE, timeout=300)
        self.assertEqual(done.returncode, IO)
        self.assertIn(b"standard output", done.stderr)
        self.assertEqual(self.files(), [])


class Stopped(CliTest):
    def begin(self):
        """A bench whose first run lasts; returns when its store is there."""
        bench = subprocess.Popen([WEIR, "bench", "--sync", "off", "--seconds", "100"],
                                 cwd=self.folder, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE)
        self.addCleanup(bench.stderr.close)
        self.addCleanup(bench.kill)
        while not list(self.folder.glob("weir-bench-*/run/bench.weir")):
            self.assertIsNone(bench.poll())
            time.sleep(0.02)
        return bench

    def children(self, bench):
        path = pathlib.Path(f"/proc/{bench.pid}/task/{bench.pid}/children")
        return [int(word) for word in path.read_text().split()]

    def test_signals(self):
        """Ends by the signal; its folder and its child are gone."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            bench = self.begin()
            children = self.children(bench)
            self.assertEqual(len(children), 1)
            bench.send_signal(number)
            err = bench.communicate(timeout=300)[1]
            self.assertEqual(bench.returncode, -number)
            self.assertIn(b"stopped by a signal", err)
            self.assertFalse(os.path.exists(f"/proc/{children[0]}"))
            self.assertEqual(self.files(), [])

    def test_a_child_is_killed(self):
        """By somebody else: that is said, with the cell, and nothing is left."""
        bench = self.begin()
        os.kill(self.children(bench)[0], signal.SIGKILL)
        err = bench.communicate(timeout=300)[1].decode()
        self.assertEqual(bench.returncode, AGAIN)
        self.assertIn("cannot measure count, exactly-once, epoch 1, sync off", err)
        self.assertIn("signal 9", err)
        self.assertEqual(self.files(), [])

    def test_the_parent_is_killed(self):
        """Its child ends with it."""
        bench = self.begin()
        child = self.children(bench)[0]
        bench.kill()
        bench.wait(timeout=300)
        until = time.monotonic() + 300
        while os.path.exists(f"/proc/{child}") and time.monotonic() < until:
            state = pathlib.Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0]
            if state == "Z":  # dead; nobody here waits for orphans
                break
            time.sleep(0.02)
        else:
            self.assertFalse(os.path.exists(f"/proc/{child}"))


if __name__ == "__main__":
    unittest.main()
