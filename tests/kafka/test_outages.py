"""The broker is away for long in the middle of a run, and at its start: what does not need it goes
on, its output waits in the store up to a limit, and all of it arrives once when it is back. Each
test has its own broker. WEIR_LONG: it is away for 20 s.

SPDX-License-Identifier: Apache-2.0
"""

import hashlib
import json
import time

from kafka_kit import COPY, JOBS
from kill_kit import KillTest, main, often

TWO = JOBS / "kafka_table.so"
AWAY = often(2, 20)


class Outages(KillTest):
    def setUp(self):
        super().setUp()
        self.own_broker()
        self.target = self.topic(1)
        self.written = 0

    def uses_shared_broker(self):
        return False

    def line(self, number):
        """So long that some thousands fill a backlog."""
        return f"line {number} {hashlib.sha512(str(number).encode()).hexdigest()}"

    def write(self, count):
        with open(self.folder / "in.txt", "a", encoding="ascii") as file:
            file.writelines(f"{self.line(n)}\n" for n in range(self.written, self.written + count))
        self.written += count

    def args(self, *options, store="two.weir", **parameters):
        """A file, to a table and to a topic."""
        return ["run", TWO, "-s", store, "-i", "in=file:in.txt?follow=true", "-o", "table=table:t",
                "-o", f"out={self.uri(self.target, **parameters)}", "--forward-ms", 10,
                "--epoch-records", 500, *options]

    def rows(self, store="two.weir"):
        if not (self.folder / store).exists() or not self.query(
                store, "SELECT 1 FROM sqlite_schema WHERE name = 't'"):
            return 0
        return self.query(store, "SELECT count(*) FROM t")[0][0]

    def stats(self):
        lines = (self.folder / "stats").read_text().splitlines()
        return json.loads(lines[-1]) if lines else {}

    def arrived(self):
        self.wait_until_stable(self.target)
        seen = [record["value"] for record in self.read(self.target)]
        self.assertEqual(seen, [self.line(n) for n in range(self.written)])
        self.checked += len(seen)

    def wait_for_all(self):
        self.wait_for("all lines sent", lambda: len(self.read(self.target)) >= self.written)

    def said_once(self, run, text):
        """Once it runs: a broker on a busy machine may be slow to answer at first."""
        running = run.said().partition(" epoch ")[2]
        self.assertEqual(running.count(text), 1, run)

    def test_the_rest_goes_on(self):
        self.write(5000)
        run = self.start_weir(*self.args("--stats", "stats"))
        self.wait_for_records(self.target, 1)
        self.kill_broker()
        self.write(5000)
        self.wait_for("the table goes on", lambda: self.rows() == self.written)
        run.wait_until_says("no broker of")
        self.wait_for("a backlog", lambda: self.stats().get("backlog_records", 0) >= 5000)
        until = time.monotonic() + AWAY
        while time.monotonic() < until:
            self.write(1000)
            self.wait_for("the table goes on", lambda: self.rows() == self.written)
        self.broker.start()
        run.wait_until_says("answers again")
        self.wait_for_all()
        self.said_once(run, "no broker of")
        self.said_once(run, "answers again")
        self.assertEqual(run.stop(), 0, run)
        self.arrived()

    def test_killed_while_it_is_away(self):
        """The backlog is in the store: who starts again while there is no broker goes on with the
        rest, and sends all of it when there is one."""
        self.write(5000)
        run = self.start_weir(*self.args())
        self.wait_for_records(self.target, 1)
        self.kill_broker()
        for _ in range(often(2, 10)):
            self.write(3000)
            self.wait_for("the table goes on", lambda: self.rows() == self.written)
            self.kill_weir(run)
            run = self.start_weir(*self.args(*self.sizes()))
        run.wait_until_says("resuming")
        self.assertEqual(run.stop(), 0, run)
        run = self.start_weir(*self.args())
        self.broker.start()
        self.wait_for_all()
        self.assertEqual(run.stop(), 0, run)
        self.arrived()
        self.check_store("two.weir")

    def test_a_full_backlog_holds_the_input(self):
        self.write(1000)
        args = self.args(backlog_bytes="1M")
        run = self.start_weir(*args)
        self.wait_for_records(self.target, 1000)
        self.kill_broker()
        self.write(30000)
        run.wait_until_says("waits for sink out")
        self.kill_weir(run)
        held = self.rows()
        self.assertLess(held, self.written)
        run = self.start_weir(*args)
        run.wait_until_says("waits for sink out")
        self.assertLess(self.rows(), self.written)
        self.broker.start()
        run.wait_until_says("input is read on")
        self.wait_for_all()
        self.assertEqual(run.stop(), 0, run)
        self.arrived()

    def test_a_new_store_waits(self):
        """Nothing is decided for a sink that was never looked at."""
        self.write(1000)
        self.broker.down()
        run = self.start_weir(*self.args())
        run.wait_until_says("looked at before anything is read")
        self.assertEqual(self.rows(), 0)
        self.kill_weir(run)
        run = self.start_weir(*self.args())
        self.broker.start()
        self.wait_for_all()
        self.assertEqual(run.stop(), 0, run)
        self.arrived()


if __name__ == "__main__":
    main()
