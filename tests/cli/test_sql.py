"""Sinks of statements, `sql:FILE`: what a user does with them, and what is said of wrong ones.

SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import random
import signal
import subprocess
import time
import unittest

from cli_kit import CONFIG, COPY, DATA, NO_INPUT, USAGE, WEIR, CliTest
from example_kit import ExampleTest

STORE = "s.weir"
OUT = "out=sql:told.sql"

TOTALS = """-- What each customer has ordered, and every order.
-- name: setup
CREATE TABLE IF NOT EXISTS orders(id INTEGER PRIMARY KEY, customer TEXT NOT NULL, amount INTEGER
    CHECK(amount > 0), at_ms INTEGER);
CREATE TABLE IF NOT EXISTS customers(name TEXT PRIMARY KEY, orders INTEGER, total INTEGER)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS epochs(records INTEGER, amount INTEGER);
CREATE INDEX IF NOT EXISTS orders_customer ON orders(customer);
CREATE VIEW IF NOT EXISTS best AS SELECT name, total FROM customers ORDER BY total DESC;
CREATE TRIGGER IF NOT EXISTS counted AFTER INSERT ON orders BEGIN
    INSERT INTO customers VALUES(new.customer, 1, new.amount)
        ON CONFLICT DO UPDATE SET orders = orders + 1, total = total + excluded.total;
END;
-- name: record
INSERT INTO orders VALUES(:value ->> '$.id', :value ->> '$.customer', :value ->> '$.amount',
    :time_ms);
-- name: batch
INSERT INTO epochs SELECT :count, sum(json(value ->> '$.value') ->> '$.amount')
    FROM json_each(:records);
"""


def order(number, customer="ann", amount=5):
    return json.dumps({"id": number, "customer": customer, "amount": amount})


class Sql(CliTest):
    def write(self, name, text):
        (self.folder / name).write_text(text)

    def lines(self, lines):
        self.write("in.txt", "".join(f"{line}\n" for line in lines))

    def run_job(self, *options, code=0):
        return self.weir("run", "-q", COPY, "-s", STORE, "-i", "in=file:in.txt", "-o", OUT,
                         *options, code=code)[1].decode()

    def refused(self, code, text, *options):
        said = self.run_job(*options, code=code)
        self.assertIn(text, said)
        return said

    # A table and an aggregate of it are kept, each record once, through several runs; what is
    # refused is a dead letter, and is taken again when it can be.
    def test_tables_are_kept(self):
        self.write("told.sql", TOTALS)
        bad = [order(1), "no JSON", order(3, amount=-1), "{}"]
        self.lines([order(1), order(2, "bob", 7), *bad])
        said = self.run_job()
        self.assertIn("4 dead letters", said)
        self.assertEqual(self.query(STORE, "SELECT * FROM best"), [("bob", 7), ("ann", 5)])
        self.assertEqual(self.query(STORE, "SELECT sum(records), sum(amount) FROM epochs"),
                         [(2, 12)])
        reasons = [reason for reason, in self.query(STORE, "SELECT reason FROM reject ORDER BY id")]
        for reason, text in zip(reasons, [
                "UNIQUE constraint failed: orders.id", "malformed JSON",
                "CHECK constraint failed: amount > 0", "NOT NULL constraint failed"], strict=True):
            self.assertIn(text, reason)
            self.assertIn("(line 15 of told.sql)", reason)
        self.assertEqual(self.query(STORE, "SELECT DISTINCT source, node FROM reject"),
                         [("in", "out")])
        self.assertEqual(self.query(STORE, "SELECT offset FROM reject WHERE value = ?", b"{}"),
                         [(sum(len(line) + 1 for line in [order(1), order(2, "bob", 7),
                                                          *bad[:3]]),)])
        self.lines([order(1), order(2, "bob", 7), *bad, order(9, "cy", 100)])
        self.run_job()
        self.assertEqual(self.query(STORE, "SELECT * FROM best LIMIT 1"), [("cy", 100)])
        self.write("told.sql", TOTALS.replace("INSERT INTO orders", "INSERT OR IGNORE INTO orders"))
        self.weir("rejects", STORE, "--retry", "--reason", "UNIQUE")
        self.assertNotIn("dead letter ", self.run_job())
        self.assertEqual(self.query(STORE, "SELECT count(*) FROM reject"), [(3,)])
        self.assertEqual(self.query(STORE, "SELECT count(*), sum(amount) FROM orders"), [(3, 112)])
        self.weir("verify", STORE)

    # The same in each mode and with epochs of each size; at a clean stop all modes agree.
    def test_modes_and_sizes(self):
        self.write("told.sql", TOTALS)
        self.lines([order(n, f"c{n % 7}", n % 4) for n in range(200)])  # every fourth is refused
        expected = None
        for mode in ("exactly-once", "at-least-once", "at-most-once"):
            for size in (1, 7, 1000):
                for name in self.folder.glob("s.weir*"):
                    name.unlink()
                self.run_job("-d", mode, "--epoch-records", size)
                found = self.query(STORE, "SELECT * FROM customers"), \
                    self.query(STORE, "SELECT * FROM orders"), \
                    self.query(STORE, "SELECT sum(records), sum(amount) FROM epochs"), \
                    self.query(STORE, "SELECT offset, reason FROM reject ORDER BY id")
                expected = expected or found
                self.assertEqual(found, expected, f"{mode}, {size}")
                self.assertEqual(len(found[3]), 50)

    # --check lists the sections without a store, and finds what is wrong with them.
    def test_check(self):
        self.write("told.sql", TOTALS)
        options = ["run", COPY, "--check", "-o", OUT]
        out, _ = self.weir(*options)
        self.assertIn(b"output out sql:told.sql (setup, record, batch) from in", out)
        self.write("told.sql", "-- name: rekord\nSELECT 1;")
        self.refuses(USAGE, "told.sql, line 1: no section is called \"rekord\"; did you mean"
                     " record?", *options)
        (self.folder / "told.sql").unlink()
        self.refuses(NO_INPUT, "sink `out`: cannot open told.sql", *options)
        self.refuses(USAGE, "names no file; write sql:PATH", "run", COPY, "--check", "-o",
                     "out=sql:")
        self.refuses(USAGE, "take none", "run", COPY, "--check", "-o", "out=sql:told.sql?key=text")
        self.refuses(USAGE, "is a sink and cannot be a source", "run", COPY, "--check", "-i",
                     "in=sql:told.sql")
        self.assertEqual(self.files(), [])

    # What is wrong is said at the start, with its line; no new store is left with half a setup.
    def test_refused_at_start(self):
        self.lines([order(1)])
        for code, says, text in [
                (USAGE, "line 3, section `record`: `DELETE FROM state`: it changes `state`, which "
                        "is weir's own", "-- name: record\n\nDELETE FROM state;"),
                (USAGE, "there is no parameter :valeu; did you mean :value?",
                 "-- name: record\nSELECT :valeu;"),
                (USAGE, "near \"FORM\": syntax error",
                 "-- name: record\nSELECT 1;\nDELETE\nFORM t;"),
                (CONFIG, "UNIQUE constraint failed",
                 "-- name: setup\nCREATE TABLE t(a UNIQUE); INSERT INTO t VALUES(1), (1);\n"
                 "-- name: record\nSELECT 1;")]:
            self.write("told.sql", text)
            self.refused(code, says)
            self.assertEqual(self.query(STORE, "SELECT * FROM sqlite_schema WHERE name = 't'"), [])
        self.write("told.sql", TOTALS)
        self.refused(CONFIG, "leave --rejects out", "--rejects", "log:dead")
        self.refuses(CONFIG, "not to statements", "run", COPY, "--rejects", "sql:told.sql")
        self.run_job()
        self.assertEqual(self.query(STORE, "SELECT count(*) FROM orders"), [(1,)])

    # A failing batch stops the run and says why; mended, the epoch is decided once.
    def test_a_failing_batch_stops(self):
        self.lines(["a", "b"])
        self.write("told.sql", "-- name: setup\nCREATE TABLE IF NOT EXISTS t(v UNIQUE);\n"
                               "-- name: batch\nINSERT INTO t VALUES(1), (:count - :count + 1);\n")
        said = self.refused(DATA, "section `batch`: UNIQUE constraint failed: t.v")
        self.assertIn("nothing is lost", said)
        self.write("told.sql", "-- name: batch\nINSERT INTO t VALUES(:count);\n")
        self.run_job()
        self.assertEqual(self.query(STORE, "SELECT * FROM t"), [(2,)])

    # A statement that never ends does not keep the run from being stopped.
    def test_a_statement_without_end(self):
        self.lines(["a"])
        self.write("told.sql", "-- name: record\nWITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT"
                               " i + 1 FROM n) SELECT count(*) FROM n;\n")
        process = subprocess.Popen(
            [WEIR, "run", COPY, "-s", STORE, "-i", "in=file:in.txt", "-o", OUT], cwd=self.folder,
            stderr=subprocess.PIPE)
        said = process.stderr.readline()  # it has started
        self.assertIn(b"new store", said)
        for _ in range(2):  # a second signal ends it at once
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 128 + signal.SIGINT)
        self.write("told.sql", "-- name: record\nSELECT 1;\n")
        self.run_job()

    # inspect shows the sink, verify and backup take the user's tables, views and triggers.
    def test_other_commands(self):
        self.write("told.sql", TOTALS)
        self.lines([order(n) for n in range(10)])
        self.run_job()
        out, _ = self.weir("inspect", STORE)
        self.assertIn(b"sql:told.sql", out)
        sinks = json.loads(self.weir("inspect", "--json", STORE)[0])["sinks"]
        self.assertEqual([sink["uri"] for sink in sinks], ["sql:told.sql"])
        self.assertIn("exactly-once: decided in one transaction", sinks[0]["guarantee"])
        self.assertEqual(self.query(STORE, "SELECT kind FROM sink"), [("sql",)])
        self.weir("verify", STORE)
        self.weir("backup", STORE, "copy.weir")
        self.weir("verify", "copy.weir")
        self.assertEqual(self.query("copy.weir", "SELECT * FROM best"), [("ann", 50)])

    # Whatever is in the file, a run ends with an exit code and a text, and the store is whole.
    def test_garbage(self):
        self.lines([order(1)])
        rng = random.Random(11)
        words = ["-- name: record\n", "-- name: setup\n", "-- name: batch\n", "SELECT ", ":key",
                 ":records", "CREATE TABLE ", "t(a)", ";", "(", "'", "\"", "/*", "INSERT INTO t ",
                 "state", "\n", "VALUES(", ")", "\0", "\xff", "--", "DROP ", "BEGIN", "x'", " "]
        for i in range(40):
            text = "".join(rng.choices(words, k=rng.randrange(40)))
            if i % 2:
                text = "-- name: record\nSELECT 1;\n" + text
            (self.folder / "told.sql").write_bytes(text.encode("latin-1"))
            done = subprocess.run([WEIR, "run", "-q", COPY, "-s", f"g{i}.weir", "-i",
                                   "in=file:in.txt", "-o", OUT], cwd=self.folder,
                                  capture_output=True, timeout=60)
            self.assertIn(done.returncode, (0, USAGE, DATA, CONFIG), f"{text!r}: {done.stderr}")
            self.assertEqual(done.returncode != 0, b"weir: " in done.stderr, f"{text!r}")
            if (self.folder / f"g{i}.weir").exists():
                self.weir("verify", f"g{i}.weir")
        (self.folder / "told.sql").write_bytes(os.urandom(4096))
        self.refused(USAGE, "told.sql")


class Kills(ExampleTest):
    """However a run is killed: sums, audit and dead letters agree with the input."""

    COUNT = 6000

    def setUp(self):
        super().setUp()
        (self.folder / "told.sql").write_text(TOTALS)
        self.input = self.write("in.txt", [order(n, f"c{n % 13}", n % 4).encode()
                                           for n in range(self.COUNT)])
        self.copy = self.job("copy", STORE, "-q", "-i", "in=file:in.txt", "-o", OUT,
                             "--epoch-records", 20)

    def run_and_check(self):
        self.copy.run()
        good = [n for n in range(self.COUNT) if n % 4]
        told = [(len(good), sum(n % 4 for n in good))]
        query = self.copy.query
        self.assertEqual(query("SELECT count(*), sum(amount) FROM orders"), told)
        self.assertEqual(query("SELECT sum(orders), sum(total) FROM customers"), told)
        self.assertEqual(query("SELECT sum(records), sum(amount) FROM epochs"), told)
        self.assertEqual(query("SELECT count(*), count(DISTINCT offset) FROM reject"),
                         [(self.COUNT // 4, self.COUNT // 4)])
        self.copy.verify()

    # At any moment, the start included, twenty times.
    def test_at_any_moment(self):
        rng = random.Random(7)
        for _ in range(20):
            process = subprocess.Popen(self.copy.command, cwd=self.folder,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(rng.uniform(0.02, 0.2))
            process.kill()
            process.wait()
        self.run_and_check()

    def test_in_the_middle(self):
        self.copy.run_with_kills(self.input.stat().st_size)
        self.run_and_check()


if __name__ == "__main__":
    unittest.main()
