"""The example jobs wordcount, copy and count against what Python computes from the same input,
without and with kill -9 in the middle.

SPDX-License-Identifier: Apache-2.0
"""

import collections
import random
import re
import unittest

from example_kit import ExampleTest

SMALL_EPOCHS = ("--epoch-records", 40)


def random_text(rng, line_count):
    """Lines of words, of bytes that are in no word (NUL, invalid UTF-8), and empty ones."""
    words = [b"w%d" % i for i in range(300)] + [b"The", b"the", b"THE", b"0", b"007"]
    gaps = [b" ", b"  ", b", ", b"_", b"-", b"\0", b"\xff\xfe", "é".encode(), b"\r", b"\t"]
    lines = []
    for _ in range(line_count):
        pieces = [rng.choice(words) + rng.choice(gaps) for _ in range(rng.randrange(12))]
        lines.append(rng.choice([b"", b" "]) + b"".join(pieces))
    return lines


def count_words(data):
    words = re.findall(rb"[A-Za-z0-9]+", data)
    return sorted(collections.Counter(words).items())


class WordCount(ExampleTest):
    def counts(self, job):
        return job.query("SELECT key, value FROM counts ORDER BY key")

    def check(self, data):
        path = self.folder / "a text"
        path.write_bytes(data)
        job = self.job("wordcount", "w.weir", "-i", "lines=file:a text")
        job.run()
        self.assertEqual(self.counts(job), count_words(data))
        job.verify()

    # Bytes of every kind, and a last line that ends without a newline.
    def test_any_bytes(self):
        self.check(b"\n".join(random_text(random.Random(1), 3000)) + b"\nlast")

    def test_all_256_bytes(self):
        self.check(bytes(range(256)) * 20)

    def test_empty_input(self):
        self.check(b"")

    def test_only_empty_lines(self):
        self.check(b"\n\n\n")

    # A line of exactly 1 MiB is the largest record there is.
    def test_one_line_of_one_mebibyte(self):
        self.check((b"ab " * (1 << 20))[: 1 << 20] + b"\nend\n")

    # The default input is in.txt in the working directory.
    def test_default_input(self):
        self.write("in.txt", [b"a b a"])
        job = self.job("wordcount", "w.weir")
        job.run()
        self.assertEqual(self.counts(job), [(b"a", 2), (b"b", 1)])

    # Killed in the middle, nothing is lost and nothing counted twice.
    def test_killed(self):
        path = self.write("in.txt", random_text(random.Random(2), 20000))
        job = self.job("wordcount", "w.weir", *SMALL_EPOCHS)
        job.run_with_kills(path.stat().st_size)
        self.assertEqual(self.counts(job), count_words(path.read_bytes()))
        job.verify()

    # Running it again after the end counts nothing again.
    def test_run_again(self):
        path = self.write("in.txt", random_text(random.Random(3), 100))
        job = self.job("wordcount", "w.weir")
        job.run()
        self.assertIn("resuming", job.run())
        self.assertEqual(self.counts(job), count_words(path.read_bytes()))


class Copy(ExampleTest):
    def check_lines(self, job, lines):
        records = job.topic("out")
        self.assertEqual([record["value"] for record in records], lines)
        self.assertEqual([record["offset"] for record in records], list(range(len(lines))))
        for record in records:
            self.assertIsNone(record["key"])
            self.assertEqual((record["partition"], record["time_ms"]), (0, 0))
            self.assertFalse(record["headers"])
        job.verify()

    def test_lines_in_a_topic(self):
        lines = random_text(random.Random(4), 2000)
        self.write("in.txt", lines)
        job = self.job("copy", "c.weir")
        job.run()
        self.check_lines(job, lines)

    def test_killed(self):
        lines = random_text(random.Random(5), 20000)
        path = self.write("in.txt", lines)
        job = self.job("copy", "c.weir", *SMALL_EPOCHS)
        job.run_with_kills(path.stat().st_size)
        self.check_lines(job, lines)

    # A file copied line by line into a file is the same file.
    def test_into_a_file_killed(self):
        path = self.write("in.txt", random_text(random.Random(6), 20000))
        job = self.job("copy", "c.weir", "-o", "out=file:out.txt", *SMALL_EPOCHS)
        job.run_with_kills(path.stat().st_size)
        self.assertEqual((self.folder / "out.txt").read_bytes(), path.read_bytes())

    # The generator's records arrive with their keys, values and times.
    def test_generated(self):
        job = self.job("copy", "c.weir", "-i", "in=gen:keyed?records=5000&keys=77&size=50")
        job.run()
        for i, record in enumerate(job.topic("out")):
            self.assertEqual(record["key"], b"%d" % (i * 2654435761 % 77))
            self.assertEqual(record["value"][:20], b"%020d" % i)
            self.assertEqual(len(record["value"]), 50)
            self.assertEqual((record["offset"], record["time_ms"]), (i, i))


class Count(ExampleTest):
    RECORDS, KEYS = 40000, 500

    def expected(self):
        seen = collections.Counter()
        for i in range(self.RECORDS):
            key = b"%d" % (i * 2654435761 % self.KEYS)
            seen[key] += 1
            yield key, b"%d" % seen[key], i

    def check(self, job):
        found = [(r["key"], r["value"], r["time_ms"]) for r in job.topic("out")]
        self.assertEqual(found, list(self.expected()))
        job.verify()

    def job_on(self, store, *options):
        uri = f"in=gen:keyed?records={self.RECORDS}&keys={self.KEYS}"
        return self.job("count", store, "-i", uri, *options)

    def test_running_counts(self):
        job = self.job_on("c.weir")
        job.run()
        self.check(job)

    # Without a cache every count is read back from the epochs or the store.
    def test_without_a_cache(self):
        job = self.job_on("c.weir", "--cache", 0, "--epoch-records", 700)
        job.run()
        self.check(job)

    def test_killed(self):
        job = self.job_on("c.weir", *SMALL_EPOCHS)
        job.run_with_kills(self.RECORDS)
        self.check(job)

    # An absent key is a key: lines have none, and are counted together.
    def test_absent_keys(self):
        self.write("in.txt", [b"x", b"y", b""])
        job = self.job("count", "c.weir")
        job.run()
        found = [(record["key"], record["value"]) for record in job.topic("out")]
        self.assertEqual(found, [(None, b"1"), (None, b"2"), (None, b"3")])


if __name__ == "__main__":
    unittest.main()
