"""weir inspect and weir rejects: what they say about a store is what is in it.

SPDX-License-Identifier: Apache-2.0
"""

import json
import pathlib
import shutil
import signal
import subprocess
import time
import unittest

from cli_kit import (CONFIG, COPY, CliTest, DATA, JOBS, NO_INPUT, SECONDS_MAX, WEIR,
                     WORDCOUNT)


class Inspect(CliTest):
    def inspect(self, store):
        return json.loads(self.weir("inspect", store, "--json")[0])

    def test_a_word_count(self):
        """Job, graph, positions, state, sinks: all of it, in both forms."""
        text = b"a b a\nc\n"
        (self.folder / "in.txt").write_bytes(text)
        self.weir("run", WORDCOUNT)
        self.weir("run", WORDCOUNT)
        found = self.inspect("wordcount.weir")
        self.assertEqual(found["job"], "wordcount")
        self.assertEqual(found["store"], str((self.folder / "wordcount.weir").resolve()))
        self.assertRegex(found["id"], "^[0-9a-f]{32}$")
        self.assertEqual((found["format"], found["weir"], found["generation"]), (4, "0.1.0", 2))
        self.assertGreaterEqual(found["epoch"]["number"], 1)
        self.assertLess(abs(found["epoch"]["time_ms"] / 1000 - time.time()), 3600)
        nodes = {node["name"]: node for node in found["graph"]["nodes"]}
        self.assertEqual(list(nodes), ["lines", "split", "count", "counts"])
        self.assertEqual(nodes["count"]["inputs"], [{"from": "split", "side": 0}])
        self.assertEqual(nodes["counts"]["uri"], "table:counts?value=integer")
        [position] = found["inputs"]
        self.assertEqual((position["source"], position["next"]), ("lines", len(text)))
        self.assertEqual(pathlib.Path(position["part"]).name, "in.txt")
        self.assertTrue(position["identity"])
        state = {node["name"]: node["state_rows"] for node in found["nodes"]}
        self.assertEqual(state["count"], 3)
        self.assertEqual(state["split"], 0)
        bytes_of = {node["name"]: node["state_bytes"] for node in found["nodes"]}
        self.assertEqual(bytes_of["count"], 3 * (1 + 8))
        [sink] = found["sinks"]
        self.assertTrue(sink["guarantee"].startswith("exactly-once: "))
        for name in ["topics", "forwarders", "dead_letters"]:
            self.assertEqual(found[name], [])
        shown = self.weir("inspect", "wordcount.weir")[0].decode()
        for words in ["job         wordcount", "generation  2", "lines                source",
                      f"next {len(text)}, ", "3 rows, 27 bytes", "exactly-once: ",
                      "dead letters\n  none"]:
            self.assertIn(words, shown)

    def test_what_is_still_in_the_changelog(self):
        """After a kill, state that table `state` does not have is counted apart; the end of a run
        leaves none."""
        (self.folder / "in.txt").write_bytes(b"a b a\nc\na\n")
        run = ["run", WORDCOUNT, "--epoch-records", 1]
        self.weir(*run, code=-signal.SIGKILL, env={"WEIR_FAULT": "decide_before_end:3"})
        [count] = [node for node in self.inspect("wordcount.weir")["nodes"]
                   if node["name"] == "count"]
        self.assertNotIn("id", count)
        self.assertEqual((count["state_rows"], count["state_changes"]), (0, 3)) # a, b; c
        self.assertIn(b"0 rows, 0 bytes, and 3 changes still in the changelog",
                      self.weir("inspect", "wordcount.weir")[0])
        self.weir("verify", "wordcount.weir")
        self.weir(*run)
        found = {node["name"]: node for node in self.inspect("wordcount.weir")["nodes"]}["count"]
        self.assertEqual((found["state_rows"], found["state_changes"]), (3, 0))
        self.assertNotIn(b"changelog", self.weir("inspect", "wordcount.weir")[0])
        self.weir(*run, "-s", "other.weir", code=-signal.SIGKILL,
                  env={"WEIR_FAULT": "decide_before_end:3"})
        self.change("other.weir", "UPDATE epoch SET changes = zeroblob(20) WHERE number = 2")
        for command in [["inspect", "other.weir"], [*run, "-s", "other.weir"]]:
            self.refuses(DATA, "changes of state of epoch 2", *command)
        self.assertIn(b"epoch 2: the changes are damaged",
                      self.weir("verify", "other.weir", code=DATA)[0])

    def test_each_sink_says_what_it_guarantees(self):
        (self.folder / "in.txt").write_text("a\n")
        for uri, promise in [("log:out", "exactly-once: "), ("file:out.txt", "exactly-once: "),
                             ("stdout:", "at-least-once: "), ("null:", "nothing is kept"),
                             ("table:t", "exactly-once: "),
                             ("file:/dev/null", "at-least-once: ")]:
            store = uri.replace(":", "_").replace("/", "_") + ".weir"
            subprocess.run([WEIR, "run", COPY, "-s", store, "-o", f"out={uri}"], cwd=self.folder,
                           check=True, capture_output=True)
            [sink] = self.inspect(store)["sinks"]
            self.assertEqual((sink["name"], sink["uri"]), ("out", uri))
            self.assertTrue(sink["guarantee"].startswith(promise), sink)

    def test_a_forwarder(self):
        (self.folder / "in.txt").write_text("a\nbc\n")
        self.weir("run", COPY, "-o", "out=file:out.txt")
        [forwarder] = self.inspect("copy.weir")["forwarders"]
        self.assertEqual((forwarder["sink"], forwarder["next"], forwarder["backlog"],
                          forwarder["length"]), ("out", 2, 0, 5))
        self.assertEqual((forwarder["backlog_bytes"], forwarder["oldest_ms"],
                          forwarder["oldest_age_ms"]), (0, None, None))
        self.assertIn(b"next offset 2, 0 records still to be copied, 5 bytes outside",
                      self.weir("inspect", "copy.weir")[0])

    def test_topics(self):
        self.produce("s.weir", "t", [b"x"] * 3, "--partitions", 2)
        found = self.inspect("s.weir")
        [topic] = found["topics"]
        self.assertEqual((topic["name"], topic["retain_ms"], topic["retain_bytes"]), ("t", 0, 0))
        self.assertEqual([(p["first"], p["next"]) for p in topic["partitions"]], [(0, 3), (0, 0)])
        self.assertEqual(found["job"], "")
        self.assertIn(b"job         none yet", self.weir("inspect", "s.weir")[0])

    def test_while_a_job_runs(self):
        """Each look is an exact cut: as many records in the topic as the position says, and both
        move on."""
        process = subprocess.Popen([WEIR, "run", COPY, "-i", "in=gen:keyed?rate=20000", "-o",
                                    "out=log:out", "-s", "live.weir", "--epoch-ms", "5"],
                                   cwd=self.folder, stderr=subprocess.PIPE)
        try:
            seen, give_up = set(), time.monotonic() + SECONDS_MAX
            while len(seen) < 5 and time.monotonic() < give_up:
                if not (self.folder / "live.weir").exists():
                    continue
                done = subprocess.run([WEIR, "inspect", "live.weir", "--json"], cwd=self.folder,
                                      capture_output=True)
                if done.returncode == 0 and json.loads(done.stdout)["inputs"]:
                    found = json.loads(done.stdout)
                    [position], [topic] = found["inputs"], found["topics"]
                    self.assertEqual(topic["partitions"][0]["next"], position["next"])
                    seen.add(position["next"])
            self.assertGreaterEqual(len(seen), 5)
        finally:
            process.terminate()
            self.assertEqual(process.wait(), 0, process.stderr.read())
            process.stderr.close()

    def test_what_is_no_store(self):
        self.refuses(NO_INPUT, "nowhere.weir", "inspect", "nowhere.weir")
        (self.folder / "text.weir").write_text("no database " * 100)
        self.refuses(DATA, "text.weir", "inspect", "text.weir")
        (self.folder / "empty.weir").write_bytes(b"")
        self.refuses(DATA, "empty.weir", "inspect", "empty.weir")
        self.produce("new.weir", "t", [b"x"])
        self.weir("verify", "new.weir")
        shutil.copy(self.folder / "new.weir", self.folder / "newer.weir")
        shutil.copy(self.folder / "new.weir-wal", self.folder / "newer.weir-wal")
        subprocess.run(["sqlite3", "newer.weir", "PRAGMA user_version=99"], cwd=self.folder,
                       check=True)
        self.refuses(CONFIG, "format", "inspect", "newer.weir")
        self.assertNotIn("nowhere.weir", self.files())


class Rejects(CliTest):
    def test_each_dead_letter(self):
        """What the node got, from where, and why; nothing is cut in JSON."""
        lines = [b"fine", b"no\xff", b"", b"n" + b"o" * 300]
        (self.folder / "lines.txt").write_bytes(b"".join(line + b"\n" for line in lines))
        self.weir("run", JOBS / "cli_picky.so", "-s", "picky.weir", "-i", "in=file:lines.txt")
        out, _ = self.weir("rejects", "picky.weir", "--format", "json")
        letters = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([letter["offset"] for letter in letters], [5, 10])
        first, last = letters
        self.assertEqual((first["node"], first["input"], first["source"]), ("pick", 0, "in"))
        self.assertEqual(pathlib.Path(first["part"]).name, "lines.txt")
        self.assertEqual(first["reason"], "it begins with no\n(two lines)")
        self.assertEqual(first["value_base64"], "bm//")
        self.assertIsNone(first["key"])
        self.assertIsNone(first["timer"])
        self.assertEqual(last["value"], "n" + "o" * 300)
        self.assertEqual(letters[0]["epoch"], 1)
        text = self.weir("rejects", "picky.weir")[0].decode()
        self.assertEqual(len(text.splitlines()), 2)
        self.assertIn("lines.txt at 5: it begins with no (two lines); key null, value \"no\\xff\"",
                      text)
        self.assertIn("o\"..., time 0 ms", text)
        self.assertEqual(self.weir("rejects", "picky.weir", "-n", 1)[0].decode(),
                         text.splitlines(keepends=True)[0])
        self.assertIn(b"pick                 2, the last in epoch 1",
                      self.weir("inspect", "picky.weir")[0])

    def test_many(self):
        """More than fits one look."""
        (self.folder / "lines.txt").write_bytes(b"no\n" * 30000)
        self.weir("run", JOBS / "cli_picky.so", "-s", "picky.weir", "-i", "in=file:lines.txt")
        out, _ = self.weir("rejects", "picky.weir", "--format", "json")
        self.assertEqual([json.loads(line)["offset"] for line in out.splitlines()],
                         [3 * i for i in range(30000)])

    def test_none(self):
        self.produce("s.weir", "t", [b"x"])
        self.assertEqual(self.weir("rejects", "s.weir"), (b"", b""))
        self.refuses(NO_INPUT, "nowhere.weir", "rejects", "nowhere.weir")


if __name__ == "__main__":
    unittest.main()
