"""The example job join against the two tables that its inputs describe.

The inputs are read side by side in no order between them. So a run's output for one key must be
what some interleaving of that key's two sides gives; its last record is the same in all of them.

SPDX-License-Identifier: Apache-2.0
"""

import collections
import random
import unittest

from example_kit import ExampleTest

TOMBSTONE = None


def random_side(rng, name, keys, count):
    """Lines of one side: a third deletions, some values empty."""
    lines = []
    for i in range(count):
        key = b"k%d" % rng.randrange(keys)
        value = rng.choice([b"", b"%s%d" % (name, i), b"%s%d\twith a tab" % (name, i)])
        lines.append(key if rng.random() < 0.3 else key + b"\t" + value)
    return lines


def by_key(lines):
    """For each key its values in order; None is a deletion."""
    values = collections.defaultdict(list)
    for line in lines:
        key, tab, value = line.partition(b"\t")
        values[key].append(value if tab else None)
    return values


def outcome(left, right):
    """What one record must give: a list of no or one value. A side never heard of is ..."""
    if left is None or right is None:
        return [TOMBSTONE]
    if left is ... or right is ...:
        return []
    return [left + b"\t" + right]


def is_some_interleaving(left, right, found):
    """Whether `found` comes out of `left` and `right`, each in its order, interleaved somehow."""
    reached = {(0, 0): {0}}  # after i left and j right ones: how many of `found` may be out
    for i in range(len(left) + 1):
        for j in range(len(right) + 1):
            counts = reached.setdefault((i, j), set())
            steps = ([(i - 1, j)] if i else []) + ([(i, j - 1)] if j else [])
            out = outcome(left[i - 1] if i else ..., right[j - 1] if j else ...)
            for step in steps:
                for count in reached[step]:
                    if found[count:count + len(out)] == out:
                        counts.add(count + len(out))
    return len(found) in reached[len(left), len(right)]


class Join(ExampleTest):
    def arrange(self, seed, keys, count):
        rng = random.Random(seed)
        self.left = random_side(rng, b"l", keys, count)
        self.right = random_side(rng, b"r", keys, count)
        left, right = self.write("left.tsv", self.left), self.write("right.tsv", self.right)
        return left.stat().st_size + right.stat().st_size

    def table(self):
        """The joined table: the keys whose last value is present on both sides."""
        left, right = by_key(self.left), by_key(self.right)
        both = [key for key in left if left[key][-1] is not None
                and key in right and right[key][-1] is not None]
        return sorted((key, left[key][-1] + b"\t" + right[key][-1]) for key in both)

    def check_topic(self, job):
        found = collections.defaultdict(list)
        for record in job.topic("joined"):
            found[record["key"]].append(record["value"])
        left, right = by_key(self.left), by_key(self.right)
        self.assertLessEqual(set(found), set(left) | set(right))
        for key in set(left) | set(right):
            self.assertTrue(is_some_interleaving(left[key], right[key], found[key]), key)
        job.verify()

    def read_table(self, job):
        return job.query("SELECT key, value FROM joined ORDER BY key")

    # The checker itself: one record lost, repeated, swapped is no interleaving.
    def test_the_checker_turns_red(self):
        left, right = [b"a", None, b"b"], [b"x", b"y"]
        good = [b"a\tx", TOMBSTONE, b"b\tx", b"b\ty"]
        self.assertTrue(is_some_interleaving(left, right, good))
        self.assertFalse(is_some_interleaving(left, right, good[:-1]))
        self.assertFalse(is_some_interleaving(left, right, good[:1] + good))
        self.assertFalse(is_some_interleaving(left, right, good[:2] + good[:1:-1]))

    def test_table(self):
        self.arrange(1, keys=300, count=3000)
        job = self.job("join", "j.weir")
        job.run()
        self.assertEqual(self.read_table(job), self.table())

    def test_topic(self):
        self.arrange(2, keys=200, count=3000)
        job = self.job("join", "j.weir", "-o", "joined=log:joined")
        job.run()
        self.check_topic(job)

    def test_table_killed(self):
        total = self.arrange(3, keys=300, count=15000)
        job = self.job("join", "j.weir", "--epoch-records", 40)
        job.run_with_kills(total)
        self.assertEqual(self.read_table(job), self.table())

    def test_topic_killed(self):
        total = self.arrange(4, keys=1000, count=15000)
        job = self.job("join", "j.weir", "-o", "joined=log:joined", "--epoch-records", 40)
        job.run_with_kills(total)
        self.check_topic(job)

    # A deletion is remembered, also over a restart: what the other side says later gives a
    # tombstone, not silence.
    def test_a_deletion_is_remembered(self):
        self.write("left.tsv", [b"a"])
        right = self.write("right.tsv", [])
        job = self.job("join", "j.weir", "-o", "joined=log:joined")
        job.run()
        self.assertEqual([r["value"] for r in job.topic("joined")], [TOMBSTONE])
        right.write_bytes(b"a\tx\nb\ty\n")
        job.run()
        found = [(r["key"], r["value"]) for r in job.topic("joined")]
        self.assertEqual(found, [(b"a", TOMBSTONE)] * 2)

    # An empty value is a value.
    def test_empty_values(self):
        self.write("left.tsv", [b"a\t", b"\tempty key"])
        self.write("right.tsv", [b"a\t", b"\t"])
        job = self.job("join", "j.weir")
        job.run()
        self.assertEqual(self.read_table(job), [(b"", b"empty key\t"), (b"a", b"\t")])


if __name__ == "__main__":
    unittest.main()
