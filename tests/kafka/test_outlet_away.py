"""A Kafka sink whose broker is away: at a start, in the middle, for long; and one that is new.

labels: own broker

SPDX-License-Identifier: Apache-2.0
"""

import time

from kafka_kit import COPY, KafkaTest, main


class Away(KafkaTest):
    def uses_shared_broker(self):
        return False

    def setUp(self):
        super().setUp()
        self.own_broker()
        self.written = 0

    def write(self, count, size=0):
        with open(self.folder / "in.txt", "a", encoding="utf-8") as file:
            file.writelines(f"{number} {'x' * size}\n"
                            for number in range(self.written, self.written + count))
        self.written += count

    def run_on(self, topic, *options, **parameters):
        return self.start_weir("run", COPY, "-s", "s.weir", "-i", "in=file:in.txt?follow=true",
                               "-o", f"out={self.uri(topic, **parameters)}", *options)

    def numbers(self, topic):
        self.wait_until_stable(topic)
        return [int(record["value"].split()[0]) for record in self.read(topic)]

    def wait_for_all(self, topic):
        self.wait_for("every line, once and in order",
                      lambda: self.numbers(topic) == list(range(self.written)))

    def decided(self):
        """Records that the store has taken."""
        return self.query("s.weir", "SELECT next FROM partition")[0][0]

    def test_killed_and_started_again(self):
        """The first sink of a new cluster, too, which has no topic of offsets yet."""
        topic = self.topic()
        self.write(100)
        run = self.run_on(topic, "--forward-ms", "20")
        self.wait_for_all(topic)
        for _ in range(3):
            self.write(100)
            self.broker.kill()
            self.write(100)
            self.wait_for("the store goes on", lambda: self.decided() == self.written)
            self.broker.start()
            self.wait_for_all(topic)
        self.assertEqual(run.stop(), 0, run)

    def test_away_for_longer_than_a_transaction(self):
        topic = self.topic()
        self.write(100)
        run = self.run_on(topic, "-X", "transaction.timeout.ms=1000", "--forward-ms", "20")
        self.wait_for_all(topic)
        self.write(100)
        self.broker.pause()
        self.write(100)
        self.wait_for("the store goes on", lambda: self.decided() == self.written)
        self.broker.resume()
        self.wait_for_all(topic)
        self.assertEqual(run.stop(), 0, run)

    def test_away_at_the_start(self):
        """A new store waits for it; one that sent already goes on, and sends when it is back."""
        topic = self.topic()
        self.write(10)
        self.broker.kill()
        run = self.run_on(topic)
        run.wait_until_says("waits for its brokers, up to 60 s")
        self.broker.start()
        self.wait_for_all(topic)
        run.kill()

        self.broker.kill()
        self.write(10)
        run = self.run_on(topic)
        self.wait_for("the store goes on", lambda: self.decided() == self.written)
        self.assertEqual(run.stop(), 0, run)
        self.assertIn("not all that is decided was forwarded", run.said())
        self.write(10)
        run = self.run_on(topic)
        self.wait_for("the store goes on", lambda: self.decided() == self.written)
        self.broker.start()
        self.wait_for_all(topic)
        self.assertEqual(run.stop(), 0, run)

    def test_at_least_once(self):
        """It waits, with nothing stored of what was not acknowledged, and loses nothing."""
        topic = self.topic()
        self.write(100)
        run = self.run_on(topic, "-d", "at-least-once", "--positions-ms", "10")
        self.wait_for("it sends", lambda: set(self.numbers(topic)) == set(range(self.written)))
        self.broker.kill()
        self.write(100)
        run.wait_until_says("no broker of")
        run.kill()
        run = self.run_on(topic, "-d", "at-least-once", "--positions-ms", "10")
        self.broker.start()
        self.wait_for("nothing is lost",
                      lambda: set(self.numbers(topic)) == set(range(self.written)))
        self.assertEqual(run.stop(), 0, run)

    def test_at_least_once_after_exactly_once(self):
        """What the run before had decided and not sent goes out first, however long that takes."""
        topic = self.topic()
        self.write(100)
        run = self.run_on(topic)
        self.wait_for_all(topic)
        self.broker.kill()
        self.write(100)
        self.wait_for("the store goes on", lambda: self.decided() == self.written)
        self.assertEqual(run.stop(), 0, run)
        self.write(100)
        run = self.run_on(topic, "-d", "at-least-once")
        run.wait_until_says("no broker of")
        self.broker.start()
        self.wait_for("all is sent", lambda: len(self.numbers(topic)) >= self.written)
        self.assertEqual(self.numbers(topic), list(range(self.written)))
        self.assertEqual(run.stop(), 0, run)

    def test_an_older_backup_started_while_it_is_away(self):
        """It decides, and is found out before it sends."""
        topic = self.topic()
        for backup in ("old.weir", "other.weir"):
            self.write(10)
            run = self.run_on(topic)
            self.wait_for_all(topic)
            self.assertEqual(run.stop(), 0, run)
            self.weir("backup", "s.weir", backup)
        self.broker.kill()
        (self.folder / "old.weir").rename(self.folder / "s.weir")
        for suffix in ("-wal", "-shm"):
            (self.folder / f"s.weir{suffix}").unlink(missing_ok=True)
        self.write(10)
        run = self.run_on(topic)
        self.wait_for("the store goes on", lambda: self.decided() == self.written)
        self.broker.start()
        self.assertEqual(run.end(), 78, run)
        self.assertIn("this store is an older backup", run.said())
        self.assertEqual(self.numbers(topic), list(range(20)))

    def test_no_more_waits_than_may(self):
        """Input is not read while backlog_bytes wait; all of it is, and sent, once they went. That
        is said once a minute at most, however often it comes and goes."""
        begun = time.monotonic()
        topic = self.topic()
        self.write(10)
        run = self.run_on(topic, "--epoch-records", "100", backlog_bytes="1M")
        self.wait_for_all(topic)
        self.broker.kill()
        self.write(40000, 100)
        run.wait_until_says("as much of its output waits in the store as may")
        self.assertLess(self.decided(), self.written)
        self.broker.start()
        run.wait_until_says("input is read on")
        self.wait_for_all(topic)
        self.assertEqual(run.stop(), 0, run)
        self.assertEqual(self.query("s.weir", "SELECT next FROM marker"), [(self.written,)])
        self.assertLessEqual(run.said().count("as much of its output waits"),
                             1 + (time.monotonic() - begun) / 60)


if __name__ == "__main__":
    main()
