"""What the longer tests on a real broker share: weir and brokers killed at random moments, input
that goes on in between, and what must hold afterwards.

WEIR_SEED=N repeats the moments (not what the machine makes of them); WEIR_LONG, which is
`tests/run.sh --long`, kills and feeds as often as nobody wants to wait for each time.

SPDX-License-Identifier: Apache-2.0
"""

import os
import random
import threading
import time

import kafka_kit
from crash_runs import LONG, SANITIZED, fault_points

SEED = int(os.environ.get("WEIR_SEED", random.SystemRandom().randrange(1 << 32)))
KILLED = -9
AT_WORK = 1.5 if SANITIZED else 0.7  # seconds that a start and some transactions take

__all__ = ["AT_WORK", "KILLED", "LONG", "KillTest", "fault_points", "main", "often"]


def often(usual, long):
    return long if LONG else usual


class KillTest(kafka_kit.KafkaTest):
    """A test that kills, and counts its kills."""

    def setUp(self):
        super().setUp()
        self.rng = random.Random(f"{SEED} {self.id()}")
        self.kills = self.broker_kills = self.in_transaction = self.checked = 0
        self.fed = {}
        self.began = time.monotonic()
        self.addCleanup(self.sum_up)

    def sum_up(self):
        print(f"{self.id().partition('.')[2]}: seed {SEED}, {self.kills} kills of weir "
              f"({self.in_transaction} in a transaction), {self.broker_kills} of the broker, "
              f"{self.checked} records checked, {time.monotonic() - self.began:.0f} s", flush=True)

    # Input

    def feed(self, topic, count, *options):
        """More records that are different from all before."""
        first = self.fed.get(topic, 0)
        self.generate(topic, count, "--first", first, *options)
        self.fed[topic] = first + count

    # Kills

    def sizes(self):
        """Other epochs and transactions each time, most of them small."""
        return ["--epoch-records", self.rng.choice([20, 100, 100, 1000]),
                "--forward-ms", self.rng.choice([1, 10, 50, 100])]

    def pause(self, seconds=AT_WORK):
        """A moment of chance."""
        time.sleep(self.rng.random() * seconds)

    def start_and_kill(self, args, *topics, then=None):
        """A weir that is killed at a moment of chance: in half of all tries once it has sent
        something to one of the topics, which may take some seconds and may be never. `then`:
        called once it has started."""
        before = sum(map(self.records_in, topics))
        run = self.start_weir(*args, *self.sizes())
        if then:
            then()
        if not topics or self.rng.random() < 0.5:
            self.pause()
        else:
            give_up = time.monotonic() + 5 * AT_WORK
            while time.monotonic() < give_up and run.process.poll() is None and \
                    sum(map(self.records_in, topics)) == before:
                time.sleep(0.01)
            self.pause(0.1)
        self.kill_weir(run, *topics)

    def kill_weir(self, run, *topics):
        """kill -9; what ended by itself before is a failure."""
        code = run.process.poll()
        self.assertIsNone(code, run)
        self.assertEqual(run.kill(), KILLED, run)
        self.kills += 1
        self.in_transaction += any(end["stable"] != end["high"] for topic in topics
                                   for end in self.ends(topic))

    def kill_broker(self):
        self.broker.kill()
        self.broker_kills += 1

    def in_background(self, call, *args):
        """Something that happens beside the test's next lines; join() it."""
        thread = threading.Thread(target=call, args=args)
        thread.start()
        return thread

    # What must hold

    def check(self, what, source, target, *options):
        """verify.py: all of the source is in the target, once and in order; nothing is open."""
        self.wait_until_stable(target)
        said = self.verify(what, self.read_to("expected", source), self.read_to("seen", target),
                           *options)
        self.checked += int(said.split()[0])

    def check_store(self, *stores):
        for store in stores:
            self.weir("verify", store)


def main():
    kafka_kit.main()
