"""weir rejects, --on-error reject, --rejects, --rejects-max: which dead letters are shown, queued,
deleted, taken again, and what is said about each.

SPDX-License-Identifier: Apache-2.0
"""

import json
import signal
import subprocess
import unittest

from cli_kit import (AGAIN, CONFIG, COPY, CliTest, DATA, JOBS, NO_INPUT, SECONDS_MAX, USAGE, WEIR)

POISONS = JOBS / "poisons.so"
INPUT = "in=gen:keyed?records=120&keys=5&size=20"
STORE = "poisons.weir"


def poisons(numbers):
    return [n for n in numbers if n % 41 == 5]


def unlucky(numbers):
    return [n for n in numbers if n % 17 == 3]


class Rejects(CliTest):
    def run_job(self, *options, records=120, code=0, env=None):
        return self.weir("run", POISONS, "-i", INPUT.replace("120", str(records)), "--on-error",
                         "reject", *options, code=code, env=env)[1].decode()

    def rejects(self, *options):
        return self.weir("rejects", STORE, *options)[0].decode()

    def offsets(self, *options):
        lines = self.rejects("--format", "json", *options).splitlines()
        return [json.loads(line)["offset"] for line in lines]

    def count(self, *options):
        return int(self.rejects("--count", *options))

    def test_which_ones(self):
        """Filters choose by node, source, reason and number, together."""
        self.run_job()
        everything = range(120)
        self.assertEqual(self.offsets("--node", "in"), poisons(everything))
        self.assertEqual(self.offsets("--reason", "unlucky", "--source", "in"), unlucky(everything))
        self.assertEqual(self.offsets("--reason", "poison 46"), [46])
        self.assertEqual(self.offsets("--reason", "POISON"), [])
        self.assertEqual(self.offsets("--source", "nowhere"), [])
        self.assertEqual(self.offsets("--reason", "unlucky", "-n", 2), [3, 20])
        all_ids = [json.loads(line)["id"] for line in
                   self.rejects("--format", "json").splitlines()]
        self.assertEqual(all_ids, list(range(1, len(all_ids) + 1)))
        self.assertEqual(self.count(), len(all_ids))
        self.assertEqual((self.count("--id", 3), self.count("--id", "2-5")), (1, 4))
        self.assertEqual((self.count("--id", "2-5", "-n", 3), self.count("-n", 0)), (3, 0))
        timers = [line for line in self.rejects().splitlines() if " tally timer " in line]
        self.assertEqual(len(timers), self.count("--reason", "unlucky count") +
                         self.count("--reason", "a timer at"))
        self.assertGreater(len(timers), 0)

    def test_what_is_wrong_with_the_command(self):
        self.run_job(records=4)
        for options, text in [(["--retry", "--delete"], "one of --count, --retry"),
                              (["--id", "x"], "--id"), (["--id", "-3"], "--id"),
                              (["--id", "5-3"], "from 5"), (["--id", "3-"], "--id"),
                              (["--retri"], "did you mean --retry?")]:
            self.refuses(USAGE, text, "rejects", STORE, *options)
        for option in ["--retry", "--delete", "--count"]:
            self.refuses(NO_INPUT, "nowhere.weir", "rejects", "nowhere.weir", option)
        self.assertFalse((self.folder / "nowhere.weir").exists())

    def test_queue_keep_delete(self):
        """Each says how many there were, and does what it says in the store."""
        self.run_job()
        some, every = self.count("--reason", "unlucky", "--source", "in"), self.count()
        chosen = ["--reason", "unlucky", "--source", "in"]
        self.assertEqual(self.rejects("--retry", *chosen),
                         f"{some} match, {some} queued: the next run takes them again\n")
        self.assertEqual(self.rejects("--retry", "--id", "1-5").split(",")[0], "5 match")
        self.assertIn("queued before", self.rejects("--retry", *chosen))
        queued = [line for line in self.rejects().splitlines()
                  if line.endswith(", queued to be taken again")]
        self.assertEqual(len(queued), self.query(STORE, "SELECT count(*) FROM retry")[0][0])
        shown = [json.loads(line)["queued"] for line in
                 self.rejects("--format", "json").splitlines()]
        self.assertEqual((shown.count(True), len(shown)), (len(queued), every))
        self.assertIn(b" queued to be taken again\n", self.weir("inspect", STORE)[0])
        self.assertEqual(self.rejects("--keep"),
                         f"{every} match, {len(queued)} taken off the queue\n")
        self.assertEqual(self.rejects("--retry", "--node", "nobody"),
                         "0 match, 0 queued: the next run takes them again\n")
        self.rejects("--retry", "--id", 1)
        self.assertEqual(self.rejects("--delete", "-n", 3), "3 match, 3 deleted\n")
        self.assertEqual(self.query(STORE, "SELECT count(*) FROM retry"), [(0,)])
        self.assertEqual(self.rejects("--delete"), f"{every - 3} match, {every - 3} deleted\n")
        self.assertEqual(self.rejects(), "")
        self.weir("verify", STORE)

    def test_taken_again(self):
        """The next run takes them first, and says so."""
        self.run_job()
        left = self.count("--node", "counts")
        self.rejects("--retry")
        said = self.run_job("-D", "mended=yes", records=130)
        self.assertIn("dead letters are queued, taken again first\n", said)
        self.assertEqual((self.count(), self.count("--node", "counts")), (left, left))
        out = self.records(STORE, "out")
        self.assertEqual(len(out), 130)
        values = [record["value"].split(" of ")[1] for record in out]
        self.assertEqual(sorted(map(int, values)), list(range(130)))
        self.assertEqual(values[-10:], [str(n) for n in range(120, 130)])
        self.assertEqual(self.query(STORE, "SELECT sum(records) FROM epoch"), [(130,)])

    def test_the_node_is_gone(self):
        self.run_job(records=4)
        self.rejects("--retry", "--node", "tally")
        # The state of that node would be refused first; without any the letter is what minds.
        self.change(STORE, "DELETE FROM state")
        self.change(STORE, "DELETE FROM timer")
        _, said = self.weir("run", POISONS, "-i", INPUT, "-D", "node=other", code=CONFIG)
        self.assertIn(b"1 dead letter of", said)
        self.assertIn(b"--rename tally=NEW", said)
        self.assertIn(b"--delete --node tally", said)
        self.rejects("--keep")
        self.weir("run", POISONS, "-i", INPUT, "-D", "node=other", "--on-error", "reject")

    def test_a_cut_record_stays(self):
        """Of a line over the limit not all was kept: it cannot be taken again."""
        (self.folder / "in.txt").write_bytes(b"a\n" + b"x" * (1 << 20) + b"y\nb\n")
        self.weir("run", COPY, "-i", "in=file:in.txt", "-o", "out=log:out", "-s", STORE)
        said = self.rejects("--retry")
        self.assertIn("1 match, 0 queued", said)
        self.assertIn("1 cannot be taken again: they were over 1048576 bytes", said)
        self.assertEqual(self.rejects("--delete"), "1 match, 1 deleted\n")

    def test_while_a_job_runs(self):
        """Looking goes on; what changes the store waits (75)."""
        job = subprocess.Popen([WEIR, "run", POISONS, "-i", INPUT + "&rate=20", "--on-error",
                                "reject"], cwd=self.folder, stderr=subprocess.PIPE)
        try:
            job.stderr.readline()
            self.count()
            for act in ["--retry", "--keep", "--delete"]:
                self.refuses(AGAIN, str(job.pid), "rejects", STORE, act)
        finally:
            job.send_signal(signal.SIGTERM)
            job.communicate(timeout=SECONDS_MAX)
        self.assertEqual(job.returncode, 0)

    def test_the_cap(self):
        """Over --rejects-max the run stops with what to do; then it goes on where it was."""
        said = self.run_job("--rejects-max", 4, code=DATA)
        self.assertIn("may hold no more than 4 dead letters (--rejects-max)", said)
        self.assertIn("weir rejects", said)
        self.assertLessEqual(self.count(), 4)
        self.run_job("--rejects-max", 4, code=DATA)
        self.rejects("--delete")
        before = self.query(STORE, "SELECT next FROM position")
        self.run_job("--rejects-max", 4, code=DATA)
        self.assertGreaterEqual(self.query(STORE, "SELECT next FROM position"), before)
        self.run_job()
        self.assertEqual(self.query(STORE, "SELECT next FROM position"), [(120,)])

    def test_the_cap_when_the_store_holds_none(self):
        """There is nothing to look at then, and no room to be made."""
        said = self.run_job("--rejects-max", 0, code=DATA)
        self.assertIn("it holds none yet", said)
        self.assertNotIn("weir rejects", said)

    def test_a_filter_that_matches_none(self):
        """Is said, since a name may be misspelt; the output is empty all the same."""
        self.run_job()
        for filter in (("--node", "taly"), ("--source", "xx"), ("--reason", "zz"), ("--id", 999)):
            out, said = self.weir("rejects", STORE, *filter)
            self.assertEqual(out, b"")
            self.assertIn(b"no dead letter of the store matches", said)
        self.rejects("--delete")
        self.assertEqual(self.weir("rejects", STORE), (b"", b""))

    def test_both_modes_are_named(self):
        _, said = self.weir("run", POISONS, "-i", INPUT, code=DATA)
        self.assertIn(b"offset 5 failed 5 times: node `tally`: poison 5; mend", said)
        self.assertIn(b"--on-error reject", said)
        said = self.run_job()
        self.assertIn("becomes a dead letter (--on-error reject): node `tally`: poison 5", said)


class Sink(CliTest):
    """The sink of --rejects."""

    def run_job(self, *options, code=0, env=None):
        return self.weir("run", POISONS, "-i", INPUT, "--on-error", "reject", *options, code=code,
                         env=env)[1].decode()

    def test_a_topic(self):
        """Key, value, time as the node got them, and headers that say where from and why."""
        said = self.run_job("--rejects", "log:dead")
        self.assertIn("sink rejects (log:dead): exactly-once: ", said)
        dead = self.records("poisons.weir", "dead")
        rows = self.query("poisons.weir",
                          "SELECT key, value, time_ms, source, part, offset, node, reason FROM"
                          " reject ORDER BY id")
        self.assertEqual(len(dead), len(rows))
        for record, (key, value, time_ms, source, part, offset, node, reason) in zip(dead, rows):
            headers = {header["name"]: header.get("value") for header in record["headers"]}
            self.assertEqual(record["key"], key.decode())
            self.assertEqual(record["value"], value.decode() if value is not None else None)
            self.assertEqual(record["time_ms"], time_ms)
            self.assertEqual((headers["weir.node"], headers["weir.reason"]), (node, reason))
            self.assertEqual(headers.get("weir.source"), source)
            self.assertEqual(headers.get("weir.partition"), part)
            self.assertEqual(headers.get("weir.offset"),
                             str(offset) if offset is not None else None)
            self.assertEqual("weir.timer" in headers, source is None)
        [sink] = [sink for sink in json.loads(self.weir("inspect", "poisons.weir", "--json")[0])
                  ["sinks"] if sink["name"] == "rejects"]
        self.assertEqual(sink["uri"], "log:dead")

    def test_check_lists_it(self):
        out, _ = self.weir("run", POISONS, "-i", INPUT, "--rejects", "file:dead.txt", "--check")
        self.assertIn(b"output rejects file:dead.txt", out)

    def test_what_is_wrong_with_it(self):
        for uri, text in [("lgo:dead", "sink `rejects`: "), ("table:reject", "weir's own"),
                          ("log:out", "log:out")]:
            self.refuses(USAGE, text, "run", "-q", POISONS, "-i", INPUT, "--rejects", uri)

    def test_a_sink_that_comes_and_goes(self):
        """What an earlier run has not brought outside waits, and a run without --rejects says so;
        with it again all of it comes, once."""
        self.run_job("--rejects", "file:dead.txt", code=-signal.SIGKILL,
                     env={"WEIR_FAULT": "forward_before_send"})
        waiting = self.query("poisons.weir", "SELECT next FROM partition JOIN topic ON topic.id ="
                                             " topic WHERE name = 'rejects'")[0][0]
        self.assertGreater(waiting, 0)
        said = self.run_job()
        self.assertIn(f"{waiting} dead letters of an earlier run wait to be forwarded", said)
        said = self.run_job("--rejects", "log:dead")
        self.assertIn("wait to be forwarded", said)
        said = self.run_job("--rejects", "file:dead.txt")
        self.assertNotIn("wait to be forwarded", said)
        lines = (self.folder / "dead.txt").read_bytes().count(b"\n")
        self.assertEqual(lines, waiting)
        self.weir("verify", "poisons.weir")


if __name__ == "__main__":
    unittest.main()
