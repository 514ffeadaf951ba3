"""`weir consume --group`: each group goes on where it got to, whatever ended it, on its own.

SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import random
import signal
import subprocess
import time
import unittest

from cli_kit import (AGAIN, CONFIG, COPY, DATA, PERMISSION, SECONDS_MAX, USAGE, WEIR, CliTest)


class Groups(CliTest):
    def setUp(self):
        super().setUp()
        self.produce("s.weir", "t", [b"%d" % i for i in range(100)])

    def values(self, group, *options):
        return [r["value"] for r in self.records("s.weir", "t", "-G", group, *options)]

    def position(self, group, topic="t", partition="0"):
        text = (self.folder / f"s.weir.{group}.group").read_text()
        return json.loads(text)["topics"][topic]["next"].get(partition) if text else None

    def follow(self, group, *options, out=subprocess.PIPE):
        return subprocess.Popen([WEIR, "consume", "s.weir", "t", "-G", group, "--follow", *options],
                                cwd=self.folder, stdout=out, stderr=subprocess.PIPE)

    def wait_for(self, condition):
        give_up = time.monotonic() + SECONDS_MAX
        while not condition():
            self.assertLess(time.monotonic(), give_up)
            time.sleep(0.005)

    def test_it_goes_on(self):
        self.assertEqual(self.values("g", "-n", 3), ["0", "1", "2"])
        self.assertEqual(self.values("g", "-n", 0), [])
        self.assertEqual(self.values("g")[:2], ["3", "4"])
        self.assertEqual(self.values("g"), [])
        self.produce("s.weir", "t", [b"more"])
        self.assertEqual(self.values("g"), ["more"])

    def test_groups_are_isolated(self):
        """From each other, and from who reads without a group."""
        self.assertEqual(len(self.values("a")), 100)
        self.assertEqual(self.values("b", "-n", 1), ["0"])
        self.assertEqual(len(self.records("s.weir", "t")), 100)
        self.assertEqual(self.values("a"), [])
        self.assertEqual(self.values("b", "-n", 1), ["1"])

    def test_topics_and_partitions_of_a_group(self):
        """One file keeps them all; --partition moves only its own."""
        self.produce("s.weir", "u", [b"%d=x" % i for i in range(50)], "-K=", "--partitions", 3)
        self.records("s.weir", "t", "-G", "g", "-n", 5)
        part = self.records("s.weir", "u", "-G", "g", "-p", 1)
        self.assertEqual(self.position("g"), 5)
        self.assertEqual(self.position("g", "u", "1"), len(part))
        self.assertIsNone(self.position("g", "u", "0"))
        rest = self.records("s.weir", "u", "-G", "g")
        self.assertEqual({r["partition"] for r in rest}, {0, 2})
        self.assertEqual(len(part) + len(rest), 50)

    def test_where_a_new_group_starts(self):
        """--offset counts where the group has no position; --reset makes it count."""
        self.assertEqual(self.values("end", "-o", "end"), [])
        self.assertEqual(self.position("end"), 100)
        self.assertEqual(self.values("g", "-o", 98), ["98", "99"])
        self.assertEqual(self.values("g", "-o", 97), [])
        self.assertEqual(self.values("g", "-o", 97, "--reset"), ["97", "98", "99"])
        self.assertEqual(len(self.values("g", "--reset")), 100)
        self.assertEqual(self.values("g", "--reset", "-o", 5000), [])
        self.assertEqual(self.position("g"), 100)

    def test_signals(self):
        """SIGTERM and SIGINT end it well: what was printed is kept."""
        for number in signal.SIGTERM, signal.SIGINT:
            process = self.follow("g", "--reset")
            lines = [process.stdout.readline() for _ in range(100)]
            self.assertEqual(lines[99], b"\t99\n")
            process.send_signal(number)
            out, err = process.communicate(timeout=SECONDS_MAX)
            self.assertEqual((process.returncode, out, err), (0, b"", b""))
            self.assertEqual(self.position("g"), 100)

    def test_following_keeps_in_time(self):
        """Without an end, within a second or so."""
        process = self.follow("g")
        self.wait_for(lambda: (self.folder / "s.weir.g.group").exists()
                      and self.position("g") == 100)
        self.produce("s.weir", "t", [b"more"])
        self.wait_for(lambda: self.position("g") == 101)
        process.kill()
        process.communicate()

    def test_a_pipe_that_nobody_reads(self):
        """Ends two seconds after the signal, and keeps what was written by then at the latest."""
        self.produce("s.weir", "t", [b"x" * 1000] * 2000)
        process = self.follow("g")
        self.assertEqual(process.stdout.read(3), b"\t0\n")  # it has begun; then the pipe is full
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(SECONDS_MAX), -signal.SIGTERM)
        process.communicate()
        self.assertEqual(self.values("g")[0], "0")

    def test_kill_9_loses_nothing(self):
        """Killed at any moment: each piece of output goes on at or before where the last ended."""
        seed = int(os.environ.get("WEIR_SEED", random.randrange(1 << 30)))
        print(f"WEIR_SEED={seed}")
        rng = random.Random(seed)
        self.weir("run", COPY, "-q", "-s", "s2.weir", "-i", "in=gen:keyed?records=200000&size=20",
                  "-o", "out=log:out", "--epoch-records", 1000)
        (self.folder / "s.weir").unlink()
        ended, seen = 0, set()
        for i in range(10):
            with open(self.folder / "out", "w+b") as out:
                process = subprocess.Popen([WEIR, "consume", "s2.weir", "out", "-G", "g"],
                                           cwd=self.folder, stdout=out)
                if i < 9:
                    time.sleep(rng.random() * 0.2)
                    process.kill()
                process.wait()
                out.seek(0)
                numbers = [int(line.split(b"\t")[1]) for line in out.read().splitlines(True)
                           if line.endswith(b"\n")]
            if numbers:
                self.assertLessEqual(numbers[0], ended)
                self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))
                ended = max(ended, numbers[-1] + 1)
                seen.update(numbers)
        self.assertEqual(len(seen), 200000)

    def test_retention_overtook_it(self):
        """It goes on at the first record that is kept, and says so."""
        def run(records):
            self.weir("run", COPY, "-q", "-s", "r.weir", "-i", f"in=gen:keyed?records={records}",
                      "-o", "out=log:out?retain_bytes=100k", "--epoch-records", 1000)
        run(1000)
        self.records("r.weir", "out", "-G", "g", "-n", 10)
        run(60000)
        [(first,)] = self.query("r.weir", "SELECT first FROM partition")
        self.assertGreater(first, 10)
        out, err = self.weir("consume", "r.weir", "out", "-G", "g", "--format", "json")
        self.assertIn(f"begins at offset {first} now".encode(), err)
        offsets = [json.loads(line)["offset"] for line in out.splitlines()]
        self.assertEqual(offsets, list(range(first, 60000)))

    def test_an_older_copy(self):
        """Its position is beyond the end: it starts again, and says so."""
        self.weir("backup", "s.weir", "copy.weir")
        self.produce("s.weir", "t", [b"more"])
        self.values("g")
        for name in self.files():
            if name in ("s.weir", "s.weir-wal", "s.weir-shm"):
                (self.folder / name).unlink()
        (self.folder / "copy.weir").rename(self.folder / "s.weir")
        out, err = self.weir("consume", "s.weir", "t", "-G", "g")
        self.assertIn(b"put back to an older copy", err)
        self.assertEqual(out.count(b"\n"), 100)

    def test_a_topic_made_again(self):
        self.values("g")
        self.weir("topics", "s.weir", "delete", "t")
        self.produce("s.weir", "t", [b"new"])
        out, err = self.weir("consume", "s.weir", "t", "-G", "g")
        self.assertIn(b"deleted and made again", err)
        self.assertEqual(out, b"\tnew\n")

    def test_one_process_at_a_time(self):
        process = self.follow("g")
        self.assertEqual(process.stdout.readline(), b"\t0\n")
        self.refuses(AGAIN, f"in use by process {process.pid}", "consume", "s.weir", "t", "-G", "g")
        self.assertEqual(len(self.values("other")), 100)
        process.kill()
        process.communicate()
        self.assertEqual(len(self.values("g", "--reset")), 100)

    def test_damaged_files(self):
        """Are refused, with what to do."""
        self.values("g")
        path = self.folder / "s.weir.g.group"
        good = path.read_text()
        other = json.loads(good)
        other["store"] = "0" * 32
        for text, code, words in [
                ("{", DATA, "is damaged"), ("[]", DATA, "no format"),
                ("\0\xff", DATA, "is damaged"),
                (good.replace('"format": 1', '"format": 2'), CONFIG, "has format 2"),
                (good.replace("100", "-1"), DATA, "is damaged"),
                (good.replace("100", '"x"'), DATA, "is damaged"),
                (good.replace('"topics"', '"topic"'), DATA, "no topics"),
                (json.dumps(other), CONFIG, "another store's"),
                (good.replace('"group": "g"', '"group": "h"'), CONFIG, "another group's")]:
            path.write_text(text, encoding="latin-1")
            error = self.refuses(code, words, "consume", "s.weir", "t", "-G", "g")
            if code == DATA:
                self.assertIn("delete it", error)
        path.write_text("")  # a crash when it was made
        self.assertEqual(len(self.values("g")), 100)

    def test_a_folder_that_may_not_be_written(self):
        if os.geteuid() == 0:
            self.skipTest("root may write anywhere")
        self.folder.chmod(0o500)
        self.addCleanup(self.folder.chmod, 0o700)
        self.refuses(PERMISSION, "s.weir.g.group", "consume", "s.weir", "t", "-G", "g")

    def test_mistakes(self):
        for name in "", "a/b", "x" * 65, "a b":
            self.refuses(USAGE, "a name is 1 to 64", "consume", "s.weir", "t", "-G", name)
        self.refuses(USAGE, "--reset goes with --group", "consume", "s.weir", "t", "--reset")
        self.assertEqual([n for n in self.files() if n.endswith(".group")], [])

    def test_topics_lists_them(self):
        self.values("g", "-n", 30)
        lines = self.weir("topics", "s.weir")[0].decode().splitlines()
        self.assertEqual(lines[-2].split(), ["GROUP", "TOPIC", "PARTITION", "NEXT", "LAG"])
        self.assertEqual(lines[-1].split(), ["g", "t", "0", "of", "1", "30", "70"])


class Damage(CliTest):
    def test_what_is_before_a_damaged_batch_is_printed(self):
        """And counts for the group; the error comes each time."""
        for i in range(3):
            self.produce("s.weir", "t", [b"%d" % i])
        self.change("s.weir", "UPDATE log SET batch = CAST(substr(batch, 1, 43) || x'00' AS BLOB)"
                    " WHERE first_offset = 2")
        both = b"\t0\n\t1\n"
        for options, printed in ([], both), (["-G", "g"], both), (["-G", "g"], b""):
            out, err = self.weir("consume", "s.weir", "t", *options, code=DATA)
            self.assertEqual(out, printed)
            self.assertIn(b"the batch at offset 2", err)


if __name__ == "__main__":
    unittest.main()
