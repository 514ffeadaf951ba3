"""The shapes of Kafka's own system tests: a copier in three processes over nine partitions, killed
and started at random, and running counts and sums of which every single one is checked.

WEIR_LONG: 100,000 ids, as Kafka has them.

SPDX-License-Identifier: Apache-2.0
"""

import concurrent.futures
import json

from kafka_kit import COPY, COUNT, JOBS
from kill_kit import KillTest, main, often

IDS = often(20000, 100000)
PIECES = often(4, 20)  # between which weir is killed
ABORTED = ["--transaction", "ids", "--abort-every", 3]

class Shapes(KillTest):
    def test_copier_in_three_processes(self):
        """Kafka's group copier: nine partitions in, nine out, each process has three of them, and
        a store and producer of its own; some of the input is aborted, and so is what was being
        sent at each kill."""
        source, target = self.topic(9), self.topic(9)
        self.copied = False
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            copiers = [pool.submit(self.copy, source, target, partitions)
                       for partitions in ("0-2", "3-5", "6-8")]
            try:
                for _ in range(PIECES):
                    before = self.records_in(target)
                    self.feed(source, IDS // PIECES, "--keys", IDS, *ABORTED)
                    self.wait_for_records(target, before + 1)
            finally:
                self.copied = True
        self.kills = sum(copier.result() for copier in copiers)
        self.check("copy", source, target)
        self.check_store("copy-0-2.weir", "copy-3-5.weir", "copy-6-8.weir")

    def copy(self, source, target, partitions):
        """A process and its successors; gives how many were killed."""
        args = ["run", COPY, "-s", f"copy-{partitions}.weir",
                "-i", f"in={self.uri(source, partitions=partitions)}",
                "-o", f"out={self.uri(target, partition='source')}"]
        kills = 0
        while kills < often(4, 20) or not self.copied:
            run = self.start_weir(*args, *self.sizes())
            self.pause()
            self.assertIsNone(run.process.poll(), run)
            run.kill()
            kills += 1
        self.weir(*args, "--until-end")
        return kills

    def test_every_sum_is_right(self):
        """Values between -999 and 999, so that sums go up and down and none tells by itself where
        it belongs."""
        def feed(source):
            lines = (json.dumps({"key": f"k{self.rng.randrange(700)}",
                                 "value": str(self.rng.randrange(-999, 1000))})
                     for _ in range(IDS // PIECES))
            self.tool("produce", source, stdin="".join(f"{line}\n" for line in lines).encode())

        self.kill_often("sum", JOBS / "kafka_sum.so", feed)

    def test_every_count_is_right(self):
        """Each key is in all partitions of the source."""
        def feed(source):
            self.feed(source, IDS // PIECES, "--keys", 700, *ABORTED)

        self.kill_often("count", COUNT, feed)

    def kill_often(self, what, job, feed):
        source, target = self.topic(4), self.topic(3)
        args = ["run", job, "-s", "job.weir", "-i", f"in={self.uri(source)}",
                "-o", f"out={self.uri(target)}"]
        for _ in range(PIECES):
            self.start_and_kill(args, target, then=lambda: feed(source))
        self.weir(*args, "--until-end")
        self.check(what, source, target)
        self.check_store("job.weir")


if __name__ == "__main__":
    main()
