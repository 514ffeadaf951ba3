"""What each delivery mode promises, and what it does not: `weir` killed 200 times in each at random
moments, and at the fault points of their transactions.

    exactly-once    nothing is lost, nothing is repeated
    at-least-once   nothing is lost; some is repeated, and state counts it twice
    at-most-once    nothing is repeated; some is lost

Each record has a number, so what was lost or repeated is told record by record, in a topic, in a
file and in a sum of state. WEIR_SEED=N repeats the moments; WEIR_LONG kills ten times as often.

SPDX-License-Identifier: Apache-2.0
"""

import collections
import os
import pathlib
import random
import sqlite3
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from crash_runs import KILLED, LONG, SANITIZED, SECONDS_MAX, WEIR, Failure, Job

KILLS = 2000 if LONG else 200
SEED = int(os.environ.get("WEIR_SEED", random.SystemRandom().randrange(1 << 32)))
DELAY_MIN, DELAY_MAX = 0.01, 0.2 if SANITIZED else 0.12

RECORDS = 4000
SLOW = f"in=gen:keyed?records={RECORDS}&keys=40&size=60&rate=8000"
FEW = "in=gen:keyed?records=600&keys=40&size=60"
EXACTLY, LEAST, MOST = "exactly-once", "at-least-once", "at-most-once"


class Outcome:
    """What one job made of its input: records lost and repeated in each of its outputs."""

    def __init__(self, job, records):
        store = sqlite3.connect(f"{job.store.as_uri()}?mode=ro", uri=True)
        try:
            self.counted = store.execute("SELECT coalesce(sum(value), 0) FROM counts").fetchone()[0]
            self.position = store.execute("SELECT next FROM position").fetchone()[0]
        finally:
            store.close()
        done = subprocess.run([WEIR, "consume", job.store, "topic", "--format", "text"],
                              capture_output=True, timeout=SECONDS_MAX, check=True)
        topic = [line.split(b"\t", 1)[1] for line in done.stdout.splitlines()]
        lines = (job.folder / "lines.txt").read_bytes().splitlines()
        self.outputs = {"topic": self.numbers(topic), "file": self.numbers(lines)}
        self.lost, self.repeated = {}, {}
        for name, numbers in self.outputs.items():
            seen = collections.Counter(numbers)
            self.lost[name] = records - len(seen)
            self.repeated[name] = sum(seen.values()) - len(seen)
            if seen and not 0 <= min(seen) <= max(seen) < records:
                raise Failure(f"{job}: {name} holds a record that was never read")

    @staticmethod
    def numbers(values):
        if any(len(value) != 60 for value in values):
            raise Failure("a record is cut or two hang together")
        return [int(value[:20]) for value in values]

    def check(self, mode, records, about):
        """Raises Failure when it is not what the mode promises."""
        def must(true, what):
            if not true:
                raise Failure(f"{about}: {what}; lost {self.lost}, repeated {self.repeated}, "
                              f"counted {self.counted}, position {self.position}")
        must(self.position == records, "the input was not read to its end")
        must(self.counted == len(self.outputs["topic"]), "state and topic disagree")
        if mode in (EXACTLY, LEAST):
            must(not any(self.lost.values()), "records were lost")
        if mode in (EXACTLY, MOST):
            must(not any(self.repeated.values()), "records were repeated")
            for name, numbers in self.outputs.items():
                must(numbers == sorted(numbers), f"{name} is out of order")
            must(self.outputs["topic"] == self.outputs["file"], "topic and file disagree")


class RandomKills(unittest.TestCase):
    def kill_all(self, mode, *options, kills_max=KILLS):
        """Kills until it was done so often; gives lost and repeated over all jobs."""
        rng = random.Random(f"{SEED} {mode}")
        kills = missed = lost = repeated = jobs = 0
        print(f"WEIR_SEED={SEED}, {mode}")
        while kills < kills_max:
            job = Job("deliver", "-d", mode, "-i", SLOW, *options)
            done = False
            while not done and kills < kills_max:
                process = job.start()
                process.stderr.readline()  # which store: from here on it works
                time.sleep(DELAY_MIN + rng.random() ** 2 * DELAY_MAX)
                process.kill()
                code = job.end(process)
                if code not in (0, KILLED):
                    raise Failure(f"{job} ended with {code}; it said:\n{job.said}")
                job.verify()
                done = code == 0
                kills += not done
                missed += done
                self.assertLess(missed, KILLS, "kills hit nothing: a slower job?")
            job.run()
            job.verify()
            outcome = Outcome(job, RECORDS)
            outcome.check(mode, RECORDS, f"WEIR_SEED={SEED} {job}")
            lost += sum(outcome.lost.values())
            repeated += sum(outcome.repeated.values())
            jobs += 1
            job.remove()
        print(f"{mode}: {kills} kills over {jobs} jobs: {lost} lost, {repeated} repeated")
        return lost, repeated

    def test_exactly_once(self):  # test_random_kills.py kills it more
        self.assertEqual(self.kill_all(EXACTLY, kills_max=KILLS // 4), (0, 0))

    def test_at_least_once_repeats(self):
        lost, repeated = self.kill_all(LEAST, "--positions-ms", 40)
        self.assertEqual(lost, 0)
        self.assertGreater(repeated, 0, "it is no test of at-least-once if nothing is repeated")

    def test_at_most_once_loses(self):
        lost, repeated = self.kill_all(MOST)
        self.assertGreater(lost, 0, "it is no test of at-most-once if nothing is lost")
        self.assertEqual(repeated, 0)


class FaultPoints(unittest.TestCase):
    """Killed twice at a point, once it was passed some times, with epochs of 50 records."""

    def crash(self, mode, point, *options):
        job = Job("deliver", "-d", mode, "-i", FEW, "--epoch-records", 50, *options)
        self.assertFalse(job.run(f"{point}:4"), f"{mode} never passes {point}")
        job.verify()
        if not job.run(f"{point}:2"):
            job.verify()
            job.run()
        job.verify()
        outcome = Outcome(job, 600)
        outcome.check(mode, 600, f"{mode}, {point}: {job}")
        job.remove()
        return outcome

    def test_between_the_transactions_of_at_most_once(self):
        outcome = self.crash(MOST, "deliver_after_positions")
        self.assertEqual(outcome.lost, {"topic": 100, "file": 100})  # the epochs at hand

    def test_before_the_positions_of_at_most_once(self):
        outcome = self.crash(MOST, "deliver_before_positions")
        self.assertEqual(outcome.lost, {"topic": 0, "file": 0})

    def test_between_the_transactions_of_at_least_once(self):
        outcome = self.crash(LEAST, "deliver_before_positions", "--positions-ms", 0)
        self.assertGreaterEqual(outcome.repeated["topic"], 100)
        self.assertGreaterEqual(outcome.repeated["file"], 100)

    def test_after_the_positions_of_at_least_once(self):
        self.crash(LEAST, "deliver_after_positions", "--positions-ms", 0)

    def test_between_file_and_store_of_at_least_once(self):
        outcome = self.crash(LEAST, "deliver_after_send")
        self.assertGreaterEqual(outcome.repeated["file"], outcome.repeated["topic"] + 100)

    def test_all_other_points(self):
        for mode in (LEAST, MOST):
            for point in ["decide_after_begin", "decide_after_state", "decide_after_logs",
                          "decide_after_positions", "decide_before_end", "decide_after_end",
                          "drop_before", "fill_after_seal"]:
                with self.subTest(mode=mode, point=point):
                    self.crash(mode, point, "--positions-ms", 0)


class Changing(unittest.TestCase):
    """One store run in one mode after the other."""

    def test_modes_may_change(self):
        job = Job("deliver", "-i", FEW, "--epoch-records", 50)
        command = list(job.command)
        for at, mode in enumerate([EXACTLY, LEAST, MOST, LEAST, EXACTLY]):
            job.command = [*command, "-d", mode]
            if at < 4:
                self.assertFalse(job.run("stop_before_end" if at == 9 else "drop_after:2"))
            else:
                job.run()
            job.verify()
        outcome = Outcome(job, 600)
        self.assertEqual(outcome.position, 600)
        job.remove()

    def test_a_clean_stop_stores_all_positions(self):
        job = Job("deliver", "-d", LEAST, "-i", FEW)
        job.run()
        job.run()  # nothing is left to read
        Outcome(job, 600).check(EXACTLY, 600, f"{job}")
        job.remove()

    def test_half_a_line_is_cut(self):
        """A line that a kill cut short must not hang together with the next one."""
        job = Job("deliver", "-d", LEAST, "-i", FEW, "--epoch-records", 50)
        self.assertFalse(job.run("drop_after:4"))
        with open(job.folder / "lines.txt", "ab") as lines:
            lines.write(b"000000000000")
        job.run()
        Outcome(job, 600).check(LEAST, 600, f"{job}")
        job.remove()


class Checker(unittest.TestCase):
    """It must turn red."""

    def test_on_one_record_lost_repeated_or_swapped(self):
        job = Job("deliver", "-i", FEW)
        job.run()
        lines = (job.folder / "lines.txt").read_bytes().splitlines(keepends=True)
        for mode, damaged in [(LEAST, lines[:7] + lines[8:]),
                              (MOST, lines[:7] + lines[6:]),
                              (EXACTLY, lines[:7] + lines[8:]),
                              (EXACTLY, lines[:7] + lines[6:]),
                              (EXACTLY, lines[:6] + [lines[7], lines[6]] + lines[8:])]:
            (job.folder / "lines.txt").write_bytes(b"".join(damaged))
            with self.assertRaises(Failure):
                Outcome(job, 600).check(mode, 600, f"{job}")
        job.remove()


if __name__ == "__main__":
    unittest.main()
