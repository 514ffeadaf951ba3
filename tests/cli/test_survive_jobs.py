"""Jobs that do not load, graphs that are wrong, records and units at their limits, operators that
fail: a clear error with the right code, and nothing lost.

SPDX-License-Identifier: Apache-2.0
"""

import os
import unittest

from cli_kit import BUILD, CONFIG, COPY, COUNT, CliTest, DATA, JOBS, NO_INPUT, USAGE

GRAPHS, UNITS = JOBS / "survive_graphs.so", JOBS / "survive_units.so"
MEBIBYTE = 1 << 20
BUG = 70


class Loading(CliTest):
    def test_what_is_no_job(self):
        (self.folder / "text.so").write_text("int main(void) { return 0; }\n")
        (self.folder / "cut.so").write_bytes(COPY.read_bytes()[:2000])
        (self.folder / "empty.so").touch()
        for job, code in (("nowhere.so", NO_INPUT), ("text.so", CONFIG), ("cut.so", CONFIG),
                          ("empty.so", CONFIG), (JOBS / "cli_no_job.so", CONFIG),
                          (JOBS / "cli_other_abi.so", CONFIG), (BUILD / "weir", CONFIG)):
            self.assertIn(os.path.basename(job), self.refuses(code, "", "run", job))
        self.assertEqual(self.files(), ["cut.so", "empty.so", "text.so"])

    def test_a_folder(self):
        self.weir("run", self.folder, code=CONFIG)


class Graphs(CliTest):
    """Said before anything is opened: no store is made."""

    def test_a_right_one(self):
        self.weir("run", GRAPHS)
        self.assertIn("survive_graphs.weir", self.files())

    def test_wrong_ones(self):
        for graph, text in [
                ("no source", "no source"),
                ("cycle of one", "cycle"),
                ("cycle of three", "cycle"),
                ("unnamed node", "name"),
                ("empty name", "name"),
                ("unnamed sink", "name"),
                ("unnamed source", "name"),
                ("twice-named nodes", "`twice`"),
                ("node named as the source", "`in`"),
                ("twice-named sinks", "`sink`"),
                ("name with a blank", "two words"),
                ("long name", "64"),
                ("job name", "../elsewhere"),
                ("no function", "`idle` has no function"),
                ("side 16", "15"),
                ("sixty-five inputs", "64 inputs"),
                ("too many nodes", "1024"),
                ("URI of nothing", "nonsense"),
                ("table of weir's own", "meta"),
                ("two sinks into one table", "`other` and `another` both write to table:Same"),
                ("two sinks into one topic", "`other` and `another` both write to log:same"),
                ("no URI", "-i in="),
        ]:
            for check in ([], ["--check"]):
                with self.subTest(graph=graph, check=check):
                    self.refuses(USAGE, text, "run", GRAPHS, "-D", f"graph={graph}", *check)
                    self.assertEqual(self.files(), [])


class Units(CliTest):
    def unit(self, what, n=0, *options, code=0, records=1):
        return self.weir("run", UNITS, "-s", "x.weir", "-D", f"do={what}", "-D", f"n={n}", "-i",
                         f"in=gen:keyed?records={records}", *options, code=code)[1].decode()

    def fails(self, text, *args, code=DATA, **more):
        """With this text and the origin; the store is sound and says nothing of the record."""
        said = self.unit(*args, code=code, **more)
        self.assertIn(text, said)
        self.assertIn("source `in`, partition 0, offset", said)
        self.weir("verify", "x.weir")
        return said

    def next(self):
        rows = self.query("x.weir", "SELECT next FROM position")
        return rows[0][0] if rows else 0

    def test_emits_one_mebibyte_and_one_byte_more(self):
        """Headers and keys count, too; here there are none."""
        self.unit("emit", MEBIBYTE)
        self.assertEqual(len(self.records("x.weir", "out")[0]["value"]), MEBIBYTE)
        said = self.fails("a record of 1048577 bytes", "emit", MEBIBYTE + 1, records=2)
        self.assertIn("1048576", said)
        self.assertEqual(self.next(), 1)

    def test_one_unit_larger_than_an_epoch(self):
        self.unit("flood", 12000)
        self.assertEqual(self.query("x.weir", "SELECT next FROM partition"), [(12000,)])
        self.fails("over the limit of 16777216 bytes", "flood", 20000, records=2)
        self.assertEqual(self.query("x.weir", "SELECT next FROM partition"), [(12000,)])

    def test_many_large_units(self):
        """Each fills most of an epoch; with small memory and no error."""
        self.unit("flood", 12000, records=10)
        self.assertEqual(self.query("x.weir", "SELECT next FROM partition"), [(120000,)])

    def test_state_larger_than_an_epoch(self):
        self.unit("put", 10 * MEBIBYTE)
        self.assertEqual(self.query("x.weir", "SELECT length(value) FROM state"),
                         [(10 * MEBIBYTE,)])
        self.fails("", "put", 17 * MEBIBYTE, records=2)
        self.fails("over the limit of 16777216 bytes", "slots", 20000, records=2)
        self.assertEqual(self.query("x.weir", "SELECT length(value) FROM state"),
                         [(10 * MEBIBYTE,)])

    def test_poison(self):
        """The fifth failure of one record stops the run, naming it; all before it is decided when
        epochs are small, and a mended job goes on with that record."""
        said = self.fails("failed 5 times: node `run`: poison 7", "abort", 0, "--epoch-records", 10,
                          records=200)
        self.assertIn("offset 99", said)
        self.assertIn(self.next(), (80, 90))
        self.unit("nothing", records=200)
        self.assertEqual([int(r["value"][:20]) for r in self.records("x.weir", "out")],
                         list(range(200)))

    def test_fatal(self):
        self.fails("the end 7", "fatal", records=200)

    def test_misuse(self):
        """A mistake of the job's is a bug, not bad data."""
        self.fails("weir_reject after a put", "misuse", records=200, code=BUG)

    def test_retry(self):
        """Is waited for, and counts for nothing: seven times here."""
        self.unit("retry", 7, records=200)
        self.assertEqual([int(r["value"][:20]) for r in self.records("x.weir", "out")],
                         list(range(200)))

    def test_topic_with_other_partitions(self):
        self.weir("run", COUNT, "-i", "in=gen:keyed?records=5", "-o", "out=log:out?partitions=2")
        self.refuses(CONFIG, "partitions", "run", COUNT, "-i", "in=gen:keyed?records=5", "-o",
                     "out=log:out?partitions=3")


if __name__ == "__main__":
    unittest.main()
