"""Kafka and the rest of weir together, killed at random: a topic of the store between two jobs,
tables, files, dead letters, and what each other delivery mode promises.

SPDX-License-Identifier: Apache-2.0
"""

import collections

from kafka_kit import COPY, COUNT
from kill_kit import KillTest, main, often

RECORDS = often(8000, 50000)
KILLS = often(4, 20)


class MixedTest(KillTest):
    def run_and_kill(self, args, *topics, between=None):
        """Killed some times; then run to the end of its input."""
        for _ in range(KILLS):
            self.start_and_kill(args, *topics)
            if between:
                between()
        self.weir(*args, "--until-end")


class Mixtures(MixedTest):
    def test_through_another_jobs_topic(self):
        """Kafka to log:, another job from there to Kafka; both run and are killed at once."""
        source, target = self.topic(4), self.topic(3)
        self.feed(source, 1, "--keys", 200)
        first = ["run", COUNT, "-s", "first.weir", "-i", f"in={self.uri(source)}",
                 "-o", "out=log:counted?partitions=2"]
        second = ["run", COPY, "-s", "second.weir", "-i", "in=log:counted?store=first.weir",
                  "-o", f"out={self.uri(target)}"]
        self.weir(*first, "--until-end")
        self.feed(source, RECORDS, "--keys", 200, "--transaction", "in", "--abort-every", 5)
        for _ in range(KILLS):
            runs = [self.start_weir(*args, *self.sizes()) for args in (first, second)]
            self.rng.shuffle(runs)
            for run in runs:
                self.pause()
                self.kill_weir(run, target)
        self.weir(*first, "--until-end")
        self.weir(*second, "--until-end")
        self.check("count", source, target)
        self.check_store("first.weir", "second.weir")

    def test_into_a_table(self):
        source = self.topic(4)
        self.feed(source, RECORDS, "--keys", 200)
        self.run_and_kill(["run", COUNT, "-i", f"in={self.uri(source)}",
                           "-o", "out=table:counts?value=integer"])
        expected = collections.Counter(record["key"] for record in self.read(source))
        self.assertEqual(dict(self.query("count.weir", "SELECT key, value FROM counts")), expected)
        self.checked += expected.total()

    def test_from_a_file(self):
        """Each line once, in order, though the file grows between the kills."""
        target, lines = self.topic(), 0

        def grow():
            nonlocal lines
            with open(self.folder / "in.txt", "a", encoding="ascii") as file:
                file.writelines(f"line {number}\n" for number in range(lines, lines + 2000))
            lines += 2000

        grow()
        self.run_and_kill(["run", COPY, "-i", "in=file:in.txt?follow=true",
                           "-o", f"out={self.uri(target)}"], target, between=grow)
        self.wait_until_stable(target)
        self.assertEqual([record["value"] for record in self.read(target)],
                         [f"line {number}" for number in range(lines)])
        self.checked += lines


class DeadLetters(MixedTest):
    def test_each_once(self):
        """Among good records, with where it came from; what is good goes to a topic too."""
        source, good, dead = self.topic(3), self.topic(3), self.topic(2)
        records = [{"key": f"k{n % 50}", "value": f"bad {n}" if n % 3 == 0 else str(n),
                    "partition": n % 3, "headers": [{"name": "own", "value": str(n)}]}
                   for n in range(RECORDS // 2)]
        self.produce(source, records)
        args = ["run", COPY, "-i", f"in={self.uri(source)}", "-o", "out=table:t?value=integer",
                "--rejects", self.uri(dead)]
        self.run_and_kill(args, dead)
        self.wait_until_stable(dead)
        expected = {(record["partition"], record["offset"]): record for record in self.read(source)
                    if record["value"].startswith("bad")}
        seen = self.read(dead)
        for record in seen:
            headers = {header["name"]: header["value"] for header in record["headers"]}
            origin = expected.pop((int(headers["weir.partition"]), int(headers["weir.offset"])))
            self.assertEqual(headers["weir.topic"], source)
            self.assertEqual((record["key"], record["value"], headers["own"]),
                             (origin["key"], origin["value"], origin["headers"][0]["value"]))
            self.assertEqual(headers["weir.reason"], f"the value `{record['value']}` is no integer")
        self.assertEqual(expected, {}, "lost")
        self.checked += len(seen)


class Modes(MixedTest):
    def setUp(self):
        super().setUp()
        self.source, self.target = self.topic(3), self.topic(3)
        self.feed(self.source, RECORDS)
        self.args = ["run", COPY, "-i", f"in={self.uri(self.source)}",
                     "-o", f"out={self.uri(self.target, partition='source')}"]

    def seen(self):
        """The ids in each partition of the target, in order."""
        found = collections.defaultdict(list)
        for record in self.read(self.target):
            found[record["partition"]].append(int(record["value"].split()[0]))
        return found

    def expected(self):
        return {partition: list(range(partition, RECORDS, 3)) for partition in range(3)}

    def positions(self):
        if not (self.folder / "copy.weir").exists():
            return {}
        tables = self.query("copy.weir", "SELECT 1 FROM sqlite_schema WHERE name = 'position'")
        rows = self.query("copy.weir", "SELECT part, next FROM position") if tables else []
        return {int(part.rpartition("/")[2]): following for part, following in rows}

    def test_at_least_once(self):
        """Nothing is lost; a position is stored only once all below it is acknowledged; what comes
        again comes in order."""
        repeated = 0
        for _ in range(KILLS):
            self.start_and_kill([*self.args, "--delivery", "at-least-once", "--positions-ms",
                                 self.rng.choice([1, 100])], self.target)
            seen = self.seen()
            for partition, following in self.positions().items():
                below = set(self.expected()[partition][:following])
                self.assertLessEqual(below, set(seen[partition]))
        self.weir(*self.args, "--until-end", "--delivery", "at-least-once")
        seen = self.seen()
        for partition, ids in self.expected().items():
            self.assertEqual(list(dict.fromkeys(seen[partition])), ids)
            repeated += len(seen[partition]) - len(ids)
        self.checked += RECORDS
        print(f"at-least-once: {repeated} came again")

    def test_at_most_once(self):
        """Nothing comes twice, and what comes is in order."""
        for _ in range(KILLS):
            self.start_and_kill([*self.args, "--delivery", "at-most-once"], self.target)
        self.weir(*self.args, "--until-end", "--delivery", "at-most-once")
        self.wait_until_stable(self.target)
        lost = 0
        for partition, ids in self.expected().items():
            seen = self.seen()[partition]
            self.assertEqual(seen, sorted(set(seen)))
            self.assertLessEqual(set(seen), set(ids))
            lost += len(ids) - len(seen)
        self.checked += RECORDS
        print(f"at-most-once: {lost} were lost")

    def test_one_mode_after_the_other(self):
        """A store that changes its mode loses nothing but what at-most-once may lose, and repeats
        nothing but what at-least-once may repeat: here only stopped, so neither."""
        for mode in ("exactly-once", "at-least-once", "at-most-once", "exactly-once"):
            before = self.records_in(self.target)
            run = self.start_weir(*self.args, *self.sizes(), "--delivery", mode)
            self.feed(self.source, 2000)
            self.wait_for_records(self.target, before + 1)
            self.assertEqual(run.stop(), 0, run)
        self.weir(*self.args, "--until-end")
        self.check("copy", self.source, self.target)


if __name__ == "__main__":
    main()
