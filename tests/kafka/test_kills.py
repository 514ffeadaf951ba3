"""weir, the broker, and both killed with SIGKILL while a count goes from Kafka to Kafka: each
record is there once and in order, each count that was sent is right, and no transaction stays open.

At random moments, and at every fault point that such a job passes. WEIR_LONG: 50 kills of weir and
10 of the broker.

SPDX-License-Identifier: Apache-2.0
"""

import concurrent.futures
import re
import time

from kafka_kit import COPY, COUNT
from kill_kit import KILLED, KillTest, fault_points, main, often

SMALL = ["--epoch-records", 100, "--forward-ms", 2]  # many epochs, many transactions
KEYS = ["--keys", 300]
ABORTED = ["--transaction", "input", "--abort-every", 4]  # some of the input is

# Points that belong to what these jobs do not do: other modes, files, timers, statements,
# other stores.
ELSEWHERE = re.compile("deliver_|cut_|reject_|retry_|log_|sql_|start_(before|after)_change|"
                       "undo_|kafka_after_abort")


class Points(KillTest):
    """At each fault point, on the broker that all share."""

    def setUp(self):
        super().setUp()
        self.small, self.large = self.topic(4), self.topic(4)
        self.feed(self.small, 3000, *KEYS, *ABORTED)
        self.feed(self.large, 2500, "--size", 3000, *KEYS)  # so much that there are checkpoints

    def test_each_point(self):
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            points = [point for point in fault_points() if not ELSEWHERE.match(point)]
            tries = {point: pool.submit(self.crash_at, point) for point in points}
            never = [point for point in points if not tries[point].result()]
        self.assertEqual(never, [], "no job passed these")

    def crash_at(self, point):
        counted = [self.crash("count", point, count) for count in (1, 4)]
        return any(counted) or self.crash("copy", point, 1)

    def crash(self, job, point, passing):
        """Killed at this passing of the point, again at the restart, then run to the end."""
        program, source, partition = ((COUNT, self.small, "key") if job == "count" else
                                      (COPY, self.large, "source"))
        target, name = self.topic(4), f"{job}-{point}-{passing}"
        args = ["run", program, "-s", f"{name}.weir", "-i", f"in={self.uri(source)}", "-o",
                f"out={self.uri(target, partition=partition)}", "--until-end", *SMALL]
        run = self.start_weir(*args, env={"WEIR_FAULT": f"{point}:{passing}"})
        if run.end() == 0:
            return False
        again = self.start_weir(*args, env={"WEIR_FAULT": f"{point}:{passing}"})
        codes = [run.end(), again.end()]
        self.assertEqual(codes[0], KILLED, run)
        self.assertIn(codes[1], (KILLED, 0), again)
        self.kills += codes.count(KILLED)
        self.weir(*args)
        self.wait_until_stable(target)
        said = self.verify(job, self.read_to(f"{name}.in", source),
                           self.read_to(f"{name}.out", target))
        self.checked += int(said.split()[0])
        self.check_store(f"{name}.weir")
        return True


class Random(KillTest):
    """At moments of chance; each test has a broker of its own."""

    def setUp(self):
        super().setUp()
        self.own_broker()
        self.source, self.target = self.topic(4), self.topic(3)
        self.args = ["run", COUNT, "-s", "count.weir", "-i", f"in={self.uri(self.source)}",
                     "-o", f"out={self.uri(self.target)}"]

    def uses_shared_broker(self):
        return False

    def finish(self):
        self.weir(*self.args, "--until-end")
        self.check("count", self.source, self.target)
        self.check_store("count.weir")

    def finish_running(self, run):
        """The same, by the process that there is: it has got over all of it."""
        self.wait_for_records(self.target, self.fed[self.source])
        self.assertEqual(run.stop(), 0, run)
        self.finish()

    def test_weir(self):
        for _ in range(often(8, 50)):
            self.feed(self.source, 5000, *KEYS, *ABORTED)
            self.start_and_kill(self.args, self.target)
            self.check_store("count.weir")
        self.finish()

    def test_broker(self):
        """It comes back by itself: one process all the way."""
        self.feed(self.source, 1000, *KEYS)
        run = self.start_weir(*self.args, *self.sizes())
        self.wait_for_records(self.target, 1)
        for _ in range(often(2, 10)):
            self.feed(self.source, 20000, *KEYS)
            self.pause()
            self.kill_broker()
            self.pause()
            self.broker.start()
        self.feed(self.source, 1000, *KEYS)
        self.finish_running(run)

    def test_both(self):
        """Weir a moment before the broker, or after it; and weir starts while there is none."""
        for turn in range(often(2, 10)):
            self.feed(self.source, 10000, *KEYS)
            run = self.start_weir(*self.args, *self.sizes())
            self.pause()
            if turn % 2 == 0:
                self.kill_broker()
                self.pause(0.2)
                self.kill_weir(run)
            else:
                self.kill_weir(run)
                self.kill_broker()
            start = self.in_background(self.broker.start)
            run = self.start_weir(*self.args, *self.sizes())
            start.join()
            self.pause()
            self.kill_weir(run)
            self.check_store("count.weir")
        self.finish()

    def test_a_transaction_that_is_given_up(self):
        """The broker is away for longer than a record may wait to be sent: the transaction is
        aborted, and what was in it is sent again; also when weir is killed just then."""
        args = [*self.args, *SMALL, "-X", "message.timeout.ms=1000"]
        run = self.start_weir(*args, env={"WEIR_FAULT": "kafka_after_abort"})
        while run.process.poll() is None:
            self.starve(run)
        self.assertEqual(run.end(), KILLED, run)
        self.kills += 1
        run = self.start_weir(*args)
        self.starve(run)
        self.finish_running(run)

    def starve(self, run):
        """Keeps the broker from answering for a while, with records on their way."""
        before = self.records_in(self.target)
        self.feed(self.source, 20000, *KEYS)
        self.wait_for("records", lambda: self.records_in(self.target) > before or
                      run.process.poll() is not None)
        self.broker.pause()
        time.sleep(2)
        self.broker.resume()


if __name__ == "__main__":
    main()
