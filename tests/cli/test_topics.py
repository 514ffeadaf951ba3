"""weir produce, consume and topics: what goes into an embedded topic comes out, byte for byte.

SPDX-License-Identifier: Apache-2.0
"""

import base64
import os
import random
import subprocess
import time
import unittest

from cli_kit import (AGAIN, CONFIG, COPY, CliTest, DATA, NO_INPUT, PERMISSION, SECONDS_MAX, USAGE,
                     WEIR)

MIB = 1024 * 1024


class Produce(CliTest):
    def test_lines_become_records(self):
        """No key, the line as value, offsets from 0, the time when it was read."""
        before = int(time.time() * 1000)
        self.produce("s.weir", "t", [b"one", b"", b"t\xc3\xbcr\r", b"\ttab"])
        after = int(time.time() * 1000)
        records = self.records("s.weir", "t")
        self.assertEqual([r["value"] for r in records], ["one", "", "t\u00fcr\r", "\ttab"])
        for offset, record in enumerate(records):
            self.assertEqual(list(record), ["topic", "partition", "offset", "time_ms", "key",
                                            "value", "headers"])
            self.assertEqual((record["topic"], record["partition"], record["offset"]),
                             ("t", 0, offset))
            self.assertIsNone(record["key"])
            self.assertEqual(record["headers"], [])
            self.assertTrue(before <= record["time_ms"] <= after)

    def test_the_last_line_needs_no_newline(self):
        self.weir("produce", "s.weir", "t", stdin=b"a\nb")
        self.weir("produce", "s.weir", "t", stdin=b"c\n")
        self.weir("produce", "s.weir", "t", stdin=b"")
        self.assertEqual(self.text("s.weir", "t"), b"\ta\n\tb\n\tc\n")

    def test_no_lines_still_make_the_topic(self):
        self.weir("produce", "s.weir", "t", "--partitions", 3)
        self.assertEqual(self.records("s.weir", "t"), [])
        self.assertIn(b"2 of 3", self.weir("topics", "s.weir")[0])

    def test_keys(self):
        """-K splits at the first delimiter; a line without it has no key."""
        lines = [b"k\tv\tw", b"plain", b"\tv", b"k\t"]
        self.produce("s.weir", "t", lines, "-K", "\\t")
        self.assertEqual([(r["key"], r["value"]) for r in self.records("s.weir", "t")],
                         [("k", "v\tw"), (None, "plain"), ("", "v"), ("k", "")])
        self.produce("s.weir", "u", [b"a::b:c", b"a:b"], "-K::")
        self.assertEqual([(r["key"], r["value"]) for r in self.records("s.weir", "u")],
                         [("a", "b:c"), (None, "a:b")])
        self.produce("s.weir", "v", [b"a\x01b"], "--key-delimiter=\\x01")
        self.assertEqual(self.text("s.weir", "v"), b"a\tb\n")

    def test_empty_and_absent_are_two_things(self):
        """-Z makes what is empty absent, and nothing else."""
        self.produce("s.weir", "t", [b"=", b"k=", b"=v"], "-K=", "-Z")
        self.assertEqual([(r["key"], r["value"]) for r in self.records("s.weir", "t")],
                         [(None, None), ("k", None), (None, "v")])

    def test_headers_keep_their_order(self):
        self.produce("s.weir", "t", [b"x"], "-H", "b=2", "-H", "a=1=1", "-H", "b=", "-H", "none")
        self.assertEqual(self.records("s.weir", "t")[0]["headers"],
                         [{"name": "b", "value": "2"}, {"name": "a", "value": "1=1"},
                          {"name": "b", "value": ""}, {"name": "none", "value": None}])

    def test_times(self):
        self.produce("s.weir", "t", [b"x", b"y"], "-T", "1234567890123")
        self.produce("s.weir", "t", [b"z"], "-T", "-5")
        self.assertEqual([r["time_ms"] for r in self.records("s.weir", "t")],
                         [1234567890123, 1234567890123, -5])

    def test_bytes_that_are_not_text(self):
        """Any byte but newline; JSON says base64 where it is not UTF-8, text prints it as it is."""
        key, value = b"\xff\x00k", bytes(b for b in range(256) if b not in (0x0a, 0x3d))
        nul, overlong, surrogate = b"a\x00b", b"\xc0\xaf", b"\xed\xa0\x80"
        self.produce("s.weir", "t", [key + b"=" + value, nul, overlong, surrogate,
                                     "\U0001d11e \"\\\x1f".encode()], "-K=")
        records = self.records("s.weir", "t")
        self.assertEqual(list(records[0])[4:6], ["key_base64", "value_base64"])
        self.assertEqual(base64.b64decode(records[0]["key_base64"]), key)
        self.assertEqual(base64.b64decode(records[0]["value_base64"]), value)
        self.assertEqual(records[1]["value"], "a\0b")
        self.assertEqual(base64.b64decode(records[2]["value_base64"]), overlong)
        self.assertEqual(base64.b64decode(records[3]["value_base64"]), surrogate)
        self.assertEqual(records[4]["value"], "\U0001d11e \"\\\x1f")
        self.assertTrue(self.text("s.weir", "t").startswith(key + b"\t" + value + b"\n\t" + nul))

    def test_murmur2_placement(self):
        """Where Kafka's Java client puts these keys (positive murmur2 modulo partitions)."""
        hashes = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536,
                  b"a-little-bit-longer-string": -1486304829, b"abc": 479470107, b"": 275646681,
                  b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971}
        self.produce("s.weir", "t", [key + b"=x" for key in hashes], "-K=", "--partitions", 7)
        placed = {r["key"].encode(): r["partition"] for r in self.records("s.weir", "t")}
        self.assertEqual(placed, {k: (h & 0x7fffffff) % 7 for k, h in hashes.items()})

    def test_absent_keys_go_to_partition_0(self):
        self.produce("s.weir", "t", [b"x"] * 10, "--partitions", 4)
        self.assertEqual({r["partition"] for r in self.records("s.weir", "t")}, {0})

    def test_a_partition_by_hand(self):
        self.produce("s.weir", "t", [b"k=x"], "-K=", "--partitions", 4, "-p", 3)
        self.assertEqual(self.records("s.weir", "t")[0]["partition"], 3)
        self.refuses(USAGE, "has partitions 0 to 3", "produce", "s.weir", "t", "-p", 4)

    def test_partitions_are_fixed(self):
        self.produce("s.weir", "t", [b"x"], "--partitions", 4)
        self.refuses(CONFIG, "topic t of s.weir has 4", "produce", "s.weir", "t", "--partitions", 5)
        self.produce("s.weir", "t", [b"y"])
        self.assertEqual(len(self.records("s.weir", "t")), 2)

    def test_the_largest_record(self):
        """1 MiB goes in, also with a delimiter; one byte more is 65 with the line's number, and
        the lines before it are in."""
        largest = b"x" * MIB
        self.produce("s.weir", "t", [b"a", largest, largest[:-1] + b"=k"[:1]])
        self.produce("s.weir", "t", [b"k=" + largest[1:]], "-K=")
        records = self.records("s.weir", "t")
        self.assertEqual([len(r["value"]) for r in records], [1, MIB, MIB, MIB - 1])
        for lines, number in ([b"b", largest + b"x", b"c"], 2), ([largest * 3], 1):
            stdin = b"\n".join(lines) + b"\n"
            error = self.refuses(DATA, f"line {number} of standard input", "produce", "s.weir", "t",
                                 stdin=stdin)
            self.assertIn(str(MIB), error)
        self.refuses(DATA, "line 1 of standard input", "produce", "s.weir", "t", "-H", "h=v",
                     stdin=largest + b"\n")
        self.assertEqual([r["value"] for r in self.records("s.weir", "t", "-o", 4)], ["b"])

    def test_a_slow_pipe_is_decided_in_time(self):
        """A line is in the topic while the pipe stays open."""
        with subprocess.Popen([WEIR, "produce", "s.weir", "t"], cwd=self.folder,
                              stdin=subprocess.PIPE) as process:
            process.stdin.write(b"first\nsecond, not yet whole")
            process.stdin.flush()
            give_up = time.monotonic() + SECONDS_MAX
            while time.monotonic() < give_up:
                done = subprocess.run([WEIR, "consume", "s.weir", "t"], cwd=self.folder,
                                      capture_output=True)
                if done.stdout:
                    break
                time.sleep(0.01)
            self.assertEqual(done.stdout, b"\tfirst\n")
            self.refuses(AGAIN, str(process.pid), "produce", "s.weir", "t")
            process.stdin.write(b"\nthird")
            process.stdin.close()
            self.assertEqual(process.wait(), 0)
        self.assertEqual(self.text("s.weir", "t"),
                         b"\tfirst\n\tsecond, not yet whole\n\tthird\n")

    def test_kill_in_the_middle_loses_nothing_decided(self):
        """What a reader saw before kill -9 is there after it: a beginning of the input."""
        lines = [b"%d" % i for i in range(400000)]
        env = {**os.environ, "WEIR_FAULT": "decide_before_end:2"}
        done = subprocess.run([WEIR, "produce", "s.weir", "t"], cwd=self.folder, env=env,
                              input=b"\n".join(lines), capture_output=True)
        self.assertEqual(done.returncode, -9)
        kept = self.text("s.weir", "t").split(b"\n")[:-1]
        self.assertTrue(0 < len(kept) < len(lines))
        self.assertEqual(kept, [b"\t" + line for line in lines[:len(kept)]])
        self.produce("s.weir", "t", [b"on"])
        self.assertEqual(self.text("s.weir", "t", "-o", len(kept)), b"\ton\n")

    def test_mistakes(self):
        for args, text in [(["-K", ""], "is empty"), (["-K", "\\q"], "escape that is not known"),
                           (["-K", "x" * 65], "too long"),
                           (["--partitions", "0"], "from 1 to 4096"),
                           (["--partition", "-1"], "from 0 to 4095"), (["-T", "now"], "--time-ms"),
                           (["--sync", "of"], "did you mean off?")]:
            self.refuses(USAGE, text, "produce", "s.weir", "t", *args)
        self.refuses(USAGE, "a name is 1 to 64 of", "produce", "s.weir", "a/b")
        self.refuses(USAGE, "a name is 1 to 64 of", "produce", "s.weir", "x" * 65)
        self.refuses(NO_INPUT, "nowhere/s.weir", "produce", "nowhere/s.weir", "t")
        self.assertEqual(self.files(), [])

    def test_a_folder_that_may_not_be_written(self):
        if os.geteuid() == 0:
            self.skipTest("root may write anywhere")
        (self.folder / "locked").mkdir(mode=0o500)
        self.refuses(PERMISSION, "locked/s.weir", "produce", "locked/s.weir", "t")

    def test_a_job_reads_and_writes_what_produce_made(self):
        """A topic that a job makes takes lines when the job does not run."""
        (self.folder / "in.txt").write_text("a\nb\n")
        self.weir("run", COPY, "-s", "job.weir", "-o", "out=log:out")
        self.produce("job.weir", "out", [b"by hand"])
        (self.folder / "in.txt").write_text("a\nb\nc\n")
        self.weir("run", COPY, "-s", "job.weir", "-o", "out=log:out")
        self.assertEqual(self.text("job.weir", "out"), b"\ta\n\tb\n\tby hand\n\tc\n")
        self.weir("verify", "job.weir")


class Consume(CliTest):
    def setUp(self):
        super().setUp()
        self.produce("s.weir", "even", [b"%d=%d" % (i % 10, i) for i in range(1000)], "-K=",
                     "--partitions", 4)

    def test_each_partition_in_order(self):
        """Partition after partition, offsets without holes, everything once."""
        records = self.records("s.weir", "even")
        self.assertEqual(sorted(int(r["value"]) for r in records), list(range(1000)))
        self.assertEqual(records, sorted(records, key=lambda r: (r["partition"], r["offset"])))
        for partition in range(4):
            part = self.records("s.weir", "even", "-p", partition)
            self.assertEqual(part, [r for r in records if r["partition"] == partition])
            self.assertEqual([r["offset"] for r in part], list(range(len(part))))
            self.assertEqual([int(r["value"]) for r in part], sorted(int(r["value"]) for r in part))

    def test_offsets(self):
        partition = self.records("s.weir", "even")[0]["partition"]
        part = self.records("s.weir", "even", "-p", partition)
        self.assertEqual(self.records("s.weir", "even", "-p", partition, "-o", 7), part[7:])
        self.assertEqual(self.records("s.weir", "even", "-p", partition, "-o", 7, "-n", 3),
                         part[7:10])
        self.assertEqual(self.records("s.weir", "even", "-o", "beginning", "-n", 1), part[:1])
        self.assertEqual(self.records("s.weir", "even", "-o", "end"), [])
        self.assertEqual(self.records("s.weir", "even", "-p", partition, "-o", 99999), [])
        self.assertEqual(self.records("s.weir", "even", "-n", 0), [])

    def test_what_retention_removed(self):
        """A topic begins where it begins: who asks for what is gone gets the rest, and is told."""
        self.weir("run", COPY, "-q", "-s", "r.weir", "-i", "in=gen:keyed?records=60000", "-o",
                  "out=log:out?retain_bytes=100k", "--epoch-records", 1000)
        [(first,)] = self.query("r.weir", "SELECT first FROM partition")
        self.assertGreater(first, 0)
        _, err = self.weir("consume", "r.weir", "out", "-o", 0)
        self.assertIn(f"begins at offset {first} now: its retention".encode(), err)
        self.assertEqual(self.weir("consume", "r.weir", "out")[1], b"")
        self.assertEqual(self.records("r.weir", "out", "-o", 0), self.records("r.weir", "out"))
        offsets = [r["offset"] for r in self.records("r.weir", "out")]
        self.assertEqual(offsets, list(range(first, 60000)))

    def test_follow(self):
        """Records come out while they go in, across producers."""
        process = subprocess.Popen([WEIR, "consume", "s.weir", "even", "-o", "end", "--follow",
                                    "-n", "5"], cwd=self.folder, stdout=subprocess.PIPE)
        sent = 0
        while process.poll() is None and sent < 10000:  # it starts at the end, whenever that is
            self.produce("s.weir", "even", [b"late=%d" % sent], "-K=")
            sent += 1
        out, _ = process.communicate(timeout=SECONDS_MAX)
        self.assertEqual(process.returncode, 0)
        seen = [int(line.removeprefix(b"late\t")) for line in out.splitlines()]
        self.assertEqual(seen, list(range(seen[0], seen[0] + 5)))

    def test_a_reader_that_has_had_enough(self):
        """A closed pipe ends it quietly."""
        lines = [b"x" * 100] * 100000
        self.produce("s.weir", "big", lines)
        process = subprocess.Popen([WEIR, "consume", "s.weir", "big"], cwd=self.folder,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.read(10)
        process.stdout.close()
        self.assertEqual(process.stderr.read(), b"")
        process.stderr.close()
        self.assertEqual(process.wait(), 0)

    def test_a_full_disk_is_74(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([WEIR, "consume", "s.weir", "even"], cwd=self.folder, stdout=full,
                                  stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 74)
        self.assertIn(b"cannot write to standard output", done.stderr)

    def test_mistakes(self):
        self.refuses(NO_INPUT, "did you mean even?", "consume", "s.weir", "evne")
        self.refuses(NO_INPUT, "s.weir has no topic zebra", "consume", "s.weir", "zebra")
        self.refuses(NO_INPUT, "nowhere.weir", "consume", "nowhere.weir", "t")
        self.refuses(USAGE, "has partitions 0 to 3", "consume", "s.weir", "even", "-p", 4)
        self.refuses(USAGE, "did you mean beginning?", "consume", "s.weir", "even", "-o",
                     "begining")
        self.refuses(USAGE, "did you mean json?", "consume", "s.weir", "even", "--format", "jsn")
        (self.folder / "text.weir").write_text("this is not a database, but it is long enough " * 9)
        self.refuses(DATA, "text.weir", "consume", "text.weir", "t")

    def test_reading_makes_no_files(self):
        """Beside a store that nobody has open, a reader leaves nothing."""
        before = self.files()
        self.text("s.weir", "even")
        self.weir("topics", "s.weir")
        self.weir("inspect", "s.weir")
        left = [name for name in self.files() if name not in before]
        self.assertEqual([n for n in left if n not in ("s.weir-wal", "s.weir-shm")], [])
        self.assertNotIn("nowhere.weir", self.files())


class Random(CliTest):
    def test_anything_comes_back(self):
        """Random keys, values and splits over several producers, against a list."""
        seed = int(os.environ.get("WEIR_SEED", random.randrange(1 << 30)))
        print(f"WEIR_SEED={seed}")
        rng = random.Random(seed)
        expected = []
        for _ in range(4):
            lines = []
            for _ in range(rng.randrange(300)):
                key, value = (bytes(rng.choice(b"ab\x00\xff\xc3\xa4\r") for _ in
                                    range(rng.choice((0, 1, 3, 300)))) for _ in range(2))
                lines.append(key + b"\t" + value)
                expected.append((key, value))
            self.produce("s.weir", "t", lines, "-K\\t", "--partitions", 1)
        records = self.records("s.weir", "t")

        def field(record, name):
            encoded = record.get(f"{name}_base64")
            return record[name].encode() if encoded is None else base64.b64decode(encoded)
        self.assertEqual([(field(r, "key"), field(r, "value")) for r in records], expected)
        self.assertEqual([r["offset"] for r in records], list(range(len(expected))))


class Topics(CliTest):
    def test_a_line_for_each_partition(self):
        self.produce("s.weir", "a", [b"x"] * 3)
        self.produce("s.weir", "b", [b"k=x"] * 2, "-K=", "--partitions", 2)
        lines = self.weir("topics", "s.weir")[0].decode().splitlines()
        self.assertEqual(lines[0].split(), "TOPIC PARTITION FIRST NEXT RECORDS BYTES RETENTION"
                         .split())
        rows = [line.split() for line in lines[1:]]
        self.assertEqual([row[:4] for row in rows], [["a", "0", "of", "1"], ["b", "0", "of", "2"],
                                                     ["b", "1", "of", "2"]])
        self.assertEqual(rows[0][4:7], ["0", "3", "3"])
        self.assertEqual(int(rows[1][6]) + int(rows[2][6]), 2)
        self.assertGreater(int(rows[0][7]), 0)
        self.assertTrue(lines[1].endswith("for ever"))

    def test_retention_is_shown(self):
        (self.folder / "in.txt").write_text("a\n")
        self.weir("run", COPY, "-o", "out=log:out?retain_ms=5000&retain_bytes=1M")
        self.assertIn(b"5000 ms, 1048576 bytes", self.weir("topics", "copy.weir")[0])

    def test_no_store(self):
        self.refuses(NO_INPUT, "nowhere.weir", "topics", "nowhere.weir")
        self.refuses(NO_INPUT, "nowhere.weir", "topics", "nowhere.weir", "--delete", "t")
        self.assertEqual(self.files(), [])

    def test_create(self):
        """By option or by word; the topic is as asked for, and empty."""
        self.weir("topics", "s.weir", "--create", "a", "--partitions", 3, "--retain-ms", 5000,
                  "--retain-bytes", "2k")
        self.weir("topics", "s.weir", "create", "b")
        self.assertEqual(self.query("s.weir", "SELECT name, partitions, retain_ms, retain_bytes"
                                    " FROM topic ORDER BY id"),
                         [("a", 3, 5000, 2048), ("b", 1, 0, 0)])
        self.produce("s.weir", "a", [b"k=v"], "-K=")
        self.assertEqual(len(self.records("s.weir", "a")), 1)
        self.refuses(USAGE, "has topic a already, of 3 partitions", "topics", "s.weir", "create",
                     "a")
        self.assertEqual(len(self.records("s.weir", "a")), 1)
        self.weir("verify", "s.weir")

    def test_delete(self):
        """The topic goes with its records, and its id is not given again."""
        self.weir("topics", "s.weir", "create", "a")
        self.produce("s.weir", "b", [b"x"] * 1000)
        self.weir("topics", "s.weir", "delete", "b")
        self.assertEqual(self.query("s.weir", "SELECT count(*) FROM log"), [(0,)])
        self.refuses(NO_INPUT, "s.weir has no topic b", "consume", "s.weir", "b")
        self.refuses(NO_INPUT, "s.weir has no topic b", "topics", "s.weir", "--delete", "b")
        self.produce("s.weir", "b", [b"y"])
        self.assertEqual(self.query("s.weir", "SELECT id, name FROM topic"), [(1, "a"), (3, "b")])
        self.assertEqual([(r["offset"], r["value"]) for r in self.records("s.weir", "b")],
                         [(0, "y")])
        self.weir("verify", "s.weir")

    def test_a_topic_that_a_job_writes(self):
        """Is deleted by force only; the next run makes it again."""
        (self.folder / "in.txt").write_text("a\n")
        self.weir("run", COPY, "-s", "job.weir", "-o", "out=log:out")
        error = self.refuses(CONFIG, "written by sink out of job copy", "topics", "job.weir",
                             "delete", "out")
        self.assertIn("--force", error)
        self.weir("topics", "job.weir", "delete", "out", "--force")
        self.weir("verify", "job.weir")
        (self.folder / "in.txt").write_text("a\nb\n")
        self.weir("run", COPY, "-s", "job.weir", "-o", "out=log:out")
        self.assertEqual(self.text("job.weir", "out"), b"\tb\n")

    def test_while_a_job_runs(self):
        """Neither is possible; the list is."""
        self.weir("topics", "s.weir", "create", "a")
        with subprocess.Popen([WEIR, "produce", "s.weir", "a"], cwd=self.folder,
                              stdin=subprocess.PIPE) as process:
            process.stdin.write(b"x\n")
            process.stdin.flush()
            give_up = time.monotonic() + SECONDS_MAX
            while not self.text("s.weir", "a") and time.monotonic() < give_up:
                time.sleep(0.01)
            for args in ["--create", "b"], ["--delete", "a"]:
                self.refuses(AGAIN, str(process.pid), "topics", "s.weir", *args)
            self.weir("topics", "s.weir")
        self.assertEqual(process.returncode, 0)

    def test_mistakes(self):
        for args, text in [(["craete", "t"], "did you mean create?"),
                           (["create"], "TOPIC is missing"),
                           (["create", "a", "b"], "one argument too many"),
                           (["--create", "a/b"], "a name is 1 to 64 of"),
                           (["--create", "a", "--partitions", "0"], "from 1 to 4096"),
                           (["--create", "a", "--delete", "b"], "one topic is made or deleted"),
                           (["--partitions", "2"], "give --create TOPIC too"),
                           (["--force"], "--force goes with --delete")]:
            self.refuses(USAGE, text, "topics", "s.weir", *args)
        self.refuses(USAGE, "STORE is missing", "topics")
        self.assertEqual(self.files(), [])


if __name__ == "__main__":
    unittest.main()
