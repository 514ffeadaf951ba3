"""A job that changed meets its store: --rename, --drop-state, --rewind, and every refusal at start,
followed as its text says.

SPDX-License-Identifier: Apache-2.0
"""

import json
import re
import sqlite3
import unittest

from cli_kit import BUILD, CONFIG, DATA, JOBS, NO_INPUT, USAGE, CliTest

JOB, STORE = JOBS / "change.so", "change.weir"
COUNT = BUILD / "examples" / "count.so"
KILLED = -9


class ChangeTest(CliTest):
    def run_job(self, *options, records=50, uri=None, code=0, env=None, **names):
        """One run of the job with these names of its nodes; gives what it said."""
        source = names.get("in_", "in")
        defines = [arg for name, value in names.items()
                   for arg in ("-D", f"{name.rstrip('_')}={value}")]
        uri = uri or f"gen:keyed?records={records}&keys=5"
        return self.weir("run", JOB, "-i", f"{source}={uri}", *defines, *options, code=code,
                         env=env)[1].decode()

    def refused(self, code, text, *options, **more):
        said = self.run_job(*options, code=code, **more)
        self.assertIn(text, said)
        return said

    def counts(self, topic="counts"):
        return [record["value"] for record in self.records(STORE, topic)]

    def sound(self):
        self.weir("verify", STORE)

    def dump(self):
        """All that a refused start must leave as it is."""
        tables = ["node", "watermark", "state", "timer", "topic", "changelog", "marker", "sink",
                  "reject"]
        rows = {table: self.query(STORE, f"SELECT * FROM {table}") for table in tables}
        rows["epoch"] = self.query(STORE, "SELECT number, time_ms, records, positions, offsets,"
                                          " changes FROM epoch")
        # A start brings what the newest epoch's row says of it into table progress.
        rows["progress"] = self.query(STORE, "SELECT kind, id, partition, source, part, first,"
                                             " next, bytes, crc, watermark_ms, idle, identity"
                                             " FROM progress_now ORDER BY 1, 2, 3, 4, 5")
        rows["meta"] = self.query(STORE, "SELECT * FROM meta WHERE key NOT IN"
                                         " ('generation', 'incarnation')")
        return rows

    def changes(self):
        found = self.query(STORE, "SELECT value FROM meta WHERE key = 'changes'")
        return json.loads(found[0][0]) if found else []


# What a run of n records with five keys gives: each key's count goes up by one every five.
def expected(n):
    return [str(i // 5 + 1) for i in range(n)]


class Rename(ChangeTest):
    def test_all_at_once(self):
        """Source, times, node and sink: it goes on as if nothing had happened."""
        self.run_job("-o", "out=file:out.txt")
        said = self.run_job("-o", "lines=file:out.txt", "--rename", "in=input", "--rename",
                            "when=timed", "--rename", "count=tally", "--rename", "out=lines",
                            records=80, in_="input", when="timed", count="tally", out="lines")
        self.assertIn("--rename count=tally: what the store keeps of `count` is now `tally`'s",
                      said)
        self.assertEqual((self.folder / "out.txt").read_text().split(), expected(80))
        self.assertEqual(self.counts("lasts").count("none"), 5)
        self.sound()
        self.assertEqual(self.changes()[0]["renamed"],
                         {"in": "input", "when": "timed", "count": "tally", "out": "lines"})
        number = self.changes()[0]["epoch"]
        self.assertEqual(self.query(STORE, "SELECT records FROM epoch WHERE number = ?", number),
                         [(0,)])
        self.assertEqual(self.query(STORE, "SELECT count(*) FROM node"), [(6,)])

    def test_done_already(self):
        """The same command again, as a service manager gives it."""
        self.run_job()
        options = ["--rename", "in=input", "--rename", "count=tally"]
        for records in [60, 70, 80]:
            said = self.run_job(*options, records=records, in_="input", count="tally")
            self.assertEqual("done already" in said, records > 60)
        self.assertEqual(self.counts(), expected(80))
        self.assertEqual(len(self.changes()), 1)
        # The runs before may have decided any number of epochs.
        self.assertRegex(self.weir("inspect", STORE)[0],
                         rb"changes\n  epoch %d +renamed in to input, renamed count to tally\n"
                         % self.changes()[0]["epoch"])
        self.sound()

    def test_swap(self):
        """A=B and B=A; the second start sees by the graph that it is done."""
        self.run_job()
        before = dict(self.query(STORE, "SELECT name, id FROM node"))
        for records in [60, 70]:
            said = self.run_job("--rename", "count=last", "--rename", "last=count", records=records,
                                count="last", last="count")
            self.assertEqual("done already" in said, records > 60)
        after = dict(self.query(STORE, "SELECT name, id FROM node"))
        self.assertEqual((after["last"], after["count"]), (before["count"], before["last"]))
        self.assertEqual(self.counts(), expected(70))
        self.sound()

    def test_chain(self):
        """A=B and B=C, where B lives on under another name."""
        self.run_job()
        for records in [60, 70]:
            said = self.run_job("--rename", "count=last", "--rename", "last=third",
                                records=records, count="last", last="third")
            self.assertEqual(said.count("done already"), 0 if records == 60 else 2)
        self.assertEqual(self.counts(), expected(70))
        self.sound()

    def test_dead_letters_go_with_it(self):
        """Their node and source are the new ones, so they can be taken again there."""
        self.weir("run", JOBS / "crash_all.so", "-i", "in=gen:keyed?records=100&keys=20&size=40")
        self.change("crash_all.weir", "UPDATE node SET name = 'count' WHERE name = 'tally'")
        self.change("crash_all.weir", "UPDATE reject SET node = 'count' WHERE node = 'tally'")
        self.weir("run", JOBS / "crash_all.so", "-i", "in=gen:keyed?records=120&keys=20&size=40",
                  "--rename", "count=tally")
        nodes = self.query("crash_all.weir", "SELECT DISTINCT node FROM reject ORDER BY 1")
        self.assertIn(("tally",), nodes)
        self.assertNotIn(("count",), nodes)
        self.weir("verify", "crash_all.weir")

    def test_mistakes(self):
        self.run_job()
        before = self.dump()
        for code, text, options, names in [
                (USAGE, "knows no `conut`; did you mean `count`?", ["conut=tally"],
                 {"count": "tally"}),
                (USAGE, "knows no `zzzzzz`; `weir inspect", ["zzzzzz=tally"], {"count": "tally"}),
                (USAGE, "job `change` has no node `tallly`; did you mean `tally`?",
                 ["count=tallly"], {"count": "tally"}),
                (USAGE, "still has a node `count`", ["count=last"], {}),
                (USAGE, "`count` is a node of weir_through, and in job `change` `in2` is a source",
                 ["count=in2"], {"count": "-", "in2": "in2"}),
                (USAGE, "`in` is a source, and in job `change` `tally` is a node of weir_through",
                 ["in=tally"], {"count": "tally", "in_": "inp"}),
                (CONFIG, "keeps something under both names", ["count=last"], {"count": "-"}),
                (USAGE, "another --rename gives the name `tally` too", ["count=tally", "in=tally"],
                 {"count": "tally", "in_": "inp"}),
                (USAGE, "it takes OLD=NEW", ["count=count"], {}),
                (USAGE, "it takes OLD=NEW", ["count=a b"], {"count": "tally"})]:
            args = [arg for option in options for arg in ("--rename", option)]
            if "in2" in names:
                args += ["-i", "in2=gen:keyed?records=5"]
            self.refused(code, text, *args, **names)
            self.assertEqual(self.dump(), before)
        self.refused(USAGE, "cannot be renamed; give one of them", "--rename", "count=tally",
                     "--drop-state", "count", count="tally")

    def test_both_have_state(self):
        """Either may be dropped, as the refusal says."""
        self.run_job()
        said = self.refused(CONFIG, "--drop-state last (then `count` is renamed)", "--rename",
                            "count=last", count="-")
        self.assertIn("--drop-state count (without --rename)", said)
        self.run_job("--rename", "count=last", "--drop-state", "last", count="-", records=60)
        self.assertEqual(self.query(STORE, "SELECT count(*) FROM state"), [(5,)])
        self.sound()

    def test_no_store_is_made(self):
        """A change wants a store that is there: a misspelt -s must not begin a new one."""
        for options in [["--rename", "a=count"], ["--drop-state", "count"],
                        ["--rewind", "in=earliest"]]:
            self.refused(NO_INPUT, "nowhere.weir", *options, "-s", "nowhere.weir")
        self.assertEqual(self.files(), [])


class DropState(ChangeTest):
    def test_removed_node(self):
        self.run_job()
        said = self.refused(CONFIG, "keeps state or timers of node `count`", count="-")
        self.assertIn("--drop-state count", said)
        said = self.run_job("--drop-state", "count", count="-", records=60)
        self.assertIn("--drop-state count: dropped 5 slots of state, 5 timers\n", said)
        self.assertEqual(self.query(STORE, "SELECT count(*) FROM timer"), [(0,)])
        self.assertEqual(self.query(STORE, "SELECT id FROM node WHERE name = 'count'"), [])
        self.assertEqual(self.changes()[0]["dropped"], ["count"])
        self.assertIn("done already", self.run_job("--drop-state", "count", count="-", records=70))
        self.sound()
        self.run_job(records=80)  # it comes back, and starts empty
        self.assertEqual(self.counts()[-10:], expected(10))

    def test_kept_node(self):
        """It starts empty, at the job's version, whatever it had."""
        self.run_job(version=3)
        said = self.refused(CONFIG, "this job knows version 2", version=2)
        self.assertIn("run the newer job, or start once with --drop-state count", said)
        said = self.run_job("--drop-state", "count", version=2, records=60)
        self.assertIn("start without this option from now on", said)
        said = self.refused(CONFIG, "has version 3 without a way to upgrade", version=3)
        self.assertIn("start once with --drop-state count", said)
        self.run_job("--drop-state", "count", version=3, records=70)
        self.assertEqual(self.counts(), expected(50) + expected(10) + expected(10))
        self.assertEqual(self.query(STORE, "SELECT version FROM node WHERE name = 'count'"), [(3,)])
        self.sound()

    def test_removed_source(self):
        self.run_job("-i", "more=gen:keyed?records=30&keys=5", in2="more")
        said = self.refused(CONFIG, "has read source `more` up to 30")
        self.assertIn("--drop-state more", said)
        said = self.run_job("--drop-state", "more", records=60)
        self.assertIn("dropped 1 position\n", said)
        self.assertEqual(self.query(STORE, "SELECT source, next FROM position"), [("in", 60)])
        self.sound()

    def test_source_renamed_by_its_refusal(self):
        """The refusal names the option, the new name included."""
        self.run_job()
        said = self.refused(CONFIG, "start once with --rename in=lines", in_="lines")
        option = re.search(r"--rename (\S+),", said)[1]
        self.run_job("--rename", option, in_="lines", records=60)
        said = self.refused(CONFIG, "start once with --rename count=tally", in_="lines",
                            count="tally")
        self.run_job("--rename", "count=tally", in_="lines", count="tally", records=70)
        self.assertEqual(self.counts(), expected(70))

    def test_state_that_is_still_in_the_changelog(self):
        """What a killed run left there is kept as well: each change of the job meets it."""
        few = ["--epoch-records", 10]
        self.run_job(*few, code=KILLED, env={"WEIR_FAULT": "decide_before_end:4"})
        self.assertEqual(self.query(STORE, "SELECT count(*) FROM state"), [(0,)])
        before = self.dump()
        gone = "state or timers of node `last`, and job `change` no longer has it"
        self.refused(CONFIG, gone, *few, last="-")
        self.refused(CONFIG, gone, *few, last="when", when="last")  # it is of another kind now
        self.refused(CONFIG, "and this job has version 2 without a way to upgrade", *few, version=2)
        self.assertEqual(self.dump(), before)
        self.assertIn("5 slots of state", self.run_job(*few, "--drop-state", "last", last="-"))
        self.assertEqual(self.counts(), expected(50))
        self.run_job(*few, records=70, last="-", version=2, upgrade="yes")
        self.assertEqual(self.counts(), expected(50) + [str(100 + i // 5 + 1) for i in range(20)])
        self.sound()

    def test_removed_outside_sink(self):
        """What is decided and not forwarded is not left behind in silence."""
        crash = {"WEIR_FAULT": "forward_before_send"}
        self.run_job("-o", "out=file:out.txt", code=KILLED, env=crash)
        before = self.dump()
        said = self.refused(CONFIG, "50 records of sink `out` that are decided and not yet "
                            "forwarded, and in job `change` it is gone", out="-")
        self.assertIn("--drop-state out", said)
        said = self.refused(CONFIG, "that goes nowhere outside now", "-o", "out=log:x")
        self.assertEqual(self.dump(), before)
        self.run_job("-o", "out=file:out.txt")  # as it was, once more
        self.assertEqual((self.folder / "out.txt").read_text().split(), expected(50))
        self.run_job(out="-")
        self.sound()

    def test_outside_sink_thrown_away(self):
        crash = {"WEIR_FAULT": "forward_before_send"}
        self.run_job("-o", "out=file:out.txt", code=KILLED, env=crash)
        said = self.run_job("--drop-state", "out", out="-", records=60)
        self.assertIn("--drop-state out: dropped 50 records not yet forwarded", said)
        self.assertEqual(self.query(STORE, "SELECT count(*) FROM topic WHERE outbox"), [(0,)])
        self.sound()

    def test_outside_sink_begins_anew(self):
        """A file that is gone: put it back, or forget it."""
        self.run_job("-o", "out=file:out.txt")
        (self.folder / "out.txt").unlink()
        said = self.refused(CONFIG, "is missing, and", "-o", "out=file:out.txt", records=60)
        self.assertIn("start once with --drop-state out", said)
        self.run_job("--drop-state", "out", "-o", "out=file:new.txt", records=60)
        self.assertEqual((self.folder / "new.txt").read_text().split(), expected(60)[50:])
        self.run_job("-o", "out=file:new.txt", records=70)
        self.assertEqual((self.folder / "new.txt").read_text().split(), expected(70)[50:])
        self.sound()

    def test_mistakes(self):
        self.run_job()
        before = self.dump()
        for text, name in [("knows no `conut`; did you mean `count`?", "conut"),
                           ("give --rewind in=earliest", "in"),
                           ("a sink that keeps no state", "out")]:
            self.refused(USAGE, text, "--drop-state", name)
            self.assertEqual(self.dump(), before)
        said = self.run_job("--drop-state", "third", "--rename", "count=fourth", count="fourth",
                            last="third", code=CONFIG)
        self.assertIn("keeps state or timers of node `last`", said)  # before anything is said
        said = self.run_job("--drop-state", "third", "--drop-state", "last", last="third")
        self.assertIn("--drop-state third: it is new and keeps nothing", said)

    def test_large_state(self):
        """Of many keys, all at once."""
        self.weir("run", COUNT, "-s", "big.weir", "-i", "in=gen:keyed?records=100000&keys=100000",
                  "-o", "out=null:")
        node = self.query("big.weir", "SELECT name FROM node JOIN state ON node = id LIMIT 1")[0][0]
        said = self.weir("run", COUNT, "-s", "big.weir", "-i",
                         "in=gen:keyed?records=100001&keys=100000", "-o", "out=null:",
                         "--drop-state", node)[1].decode()
        self.assertIn("dropped 100000 slots of state", said)
        self.assertEqual(self.query("big.weir", "SELECT count(*) FROM state"), [(1,)])
        self.weir("verify", "big.weir")


class Rewind(ChangeTest):
    def test_earliest(self):
        """All is read again; state stays; nothing is late."""
        self.run_job()
        said = self.run_job("--rewind", "in=earliest")
        self.assertIn("--rewind in=earliest: it is read from there; state stays as it is", said)
        self.assertEqual(self.counts(), expected(100))
        self.assertEqual(self.changes()[0]["rewound"], {"in": "earliest"})
        self.sound()
        self.run_job("--rewind", "in=earliest", "--drop-state", "count", "--drop-state", "last")
        self.assertEqual(self.counts(), expected(100) + expected(50))
        self.sound()

    def test_offset(self):
        self.run_job()
        self.run_job("--rewind", "in=45", records=55)
        self.assertEqual(len(self.counts()), 60)
        self.assertNotIn("late", " ".join(self.counts()))
        self.run_job("--rewind", "in=58", records=60)  # onwards too
        self.assertEqual(len(self.counts()), 62)
        self.assertEqual(self.changes()[1]["rewound"], {"in": 58})
        self.sound()

    def test_after_a_drain(self):
        """The end of time, to which --drain moved every node, is taken back."""
        more = ["-i", "more=gen:keyed?records=30&keys=5"]
        self.run_job(*more, "--drain", in2="more")
        self.run_job(*more, "--rewind", "in=earliest", in2="more")
        self.assertNotIn("late", " ".join(self.counts()))
        self.assertEqual(len(self.counts()), 130)
        self.sound()

    def test_another_file(self):
        """What the refusals of a changed input name."""
        lines = b"".join(b"%d\n" % i for i in range(20))
        (self.folder / "in.txt").write_bytes(lines)
        self.run_job(uri="file:in.txt")
        (self.folder / "in.txt").unlink()
        (self.folder / "in.txt").write_bytes(b"x" + lines)
        said = self.refused(CONFIG, "is not the file that was read so far", uri="file:in.txt")
        self.assertIn("--rewind in=earliest", said)
        self.run_job("--rewind", "in=earliest", uri="file:in.txt")
        self.assertEqual(len(self.counts()), 40)
        (self.folder / "in.txt").write_bytes(b"x0\n")
        said = self.refused(CONFIG, "shrank", uri="file:in.txt")
        self.assertIn("--rewind in=earliest", said)
        self.run_job("--rewind", "in=earliest", uri="file:in.txt")
        self.assertEqual(len(self.counts()), 41)
        said = self.refused(CONFIG, "which has no such partition", records=5)
        self.assertIn("--rewind in=earliest", said)
        self.run_job("--rewind", "in=earliest", records=5)
        said = self.refused(CONFIG, "these are not the records that were read so far",
                            uri="gen:keyed?records=9&keys=3")
        self.assertIn("--rewind in=earliest", said)
        self.run_job("--rewind", "in=earliest", uri="gen:keyed?records=9&keys=3")
        said = self.refused(CONFIG, "has only 4 records and would go on at 9",
                            uri="gen:keyed?records=4&keys=3")
        self.assertIn("--rewind in=earliest", said)
        self.run_job("--rewind", "in=earliest", uri="gen:keyed?records=4&keys=3")
        self.sound()

    def test_offset_in_a_file(self):
        (self.folder / "in.txt").write_bytes(b"one\ntwo\nthree\n")
        self.run_job(uri="file:in.txt")
        before = self.dump()
        for offset, text in [(5, "no line of"), (6, "no line of"), (15, "has only 14 bytes")]:
            self.refused(CONFIG, text, "--rewind", f"in={offset}", uri="file:in.txt")
            self.assertEqual(self.dump(), before)
        self.run_job("--rewind", "in=4", uri="file:in.txt")
        self.assertEqual(self.counts("lasts")[-1], "two")
        self.assertEqual(len(self.counts()), 5)
        self.run_job("--rewind", "in=14", uri="file:in.txt")
        self.assertEqual(len(self.counts()), 5)
        self.sound()

    def test_a_topic(self):
        """log: is read again from an offset, within what is kept."""
        self.produce("up.weir", "t", [b"k\t%d" % i for i in range(10)])
        uri = "log:t?store=up.weir"
        self.run_job("--until-end", uri=uri)
        self.run_job("--until-end", "--rewind", "in=7", uri=uri)
        self.assertEqual(len(self.counts()), 13)
        self.refused(CONFIG, "holds offsets from 0 to 10, so it cannot be read from 11",
                     "--until-end", "--rewind", "in=11", uri=uri + "&missing=latest")
        self.run_job("--until-end", "--rewind", "in=earliest", uri=uri)
        self.assertEqual(len(self.counts()), 23)
        for name in ["up.weir", "up.weir-wal", "up.weir-shm"]:
            (self.folder / name).unlink(missing_ok=True)
        self.produce("up.weir", "t", [b"k\t%d" % i for i in range(5)])
        said = self.refused(CONFIG, "another store", "--until-end", uri=uri)
        self.assertIn("--rewind in=earliest", said)
        self.run_job("--until-end", "--rewind", "in=earliest", uri=uri)
        self.assertEqual(len(self.counts()), 28)
        self.sound()

    def test_every_partition(self):
        uri = "gen:keyed?records=60&keys=5&partitions=3"
        self.run_job(uri=uri)
        self.run_job("--rewind", "in=15", uri=uri)
        self.assertEqual(len(self.counts()), 75)
        self.refused(CONFIG, "--rewind: partition 0 has only 20 records", "--rewind", "in=21",
                     uri=uri)
        self.run_job("--rewind", "in=earliest", uri=uri)
        self.assertEqual(len(self.counts()), 135)
        self.sound()

    def test_mistakes(self):
        self.run_job("-i", "more=gen:keyed?records=30&keys=5", in2="more")
        before = self.dump()
        more = ["-i", "more=gen:keyed?records=30&keys=5"]
        for text, option in [("has no source `im`; did you mean `in`?", "im=earliest"),
                             ("has no source `count`", "count=earliest"),
                             ("or an offset from 0 on", "in=latest"),
                             ("or an offset from 0 on", "in=-1"),
                             ("or an offset from 0 on", "in=9223372036854775808"),
                             ("--rewind", "in=")]:
            self.refused(USAGE, text, *more, "--rewind", option, in2="more")
            self.assertEqual(self.dump(), before)
        # A source that is new has nothing to go back over.
        other = [*more, "--drop-state", "more", "-i", "third=gen:keyed?records=5&keys=5"]
        self.refused(USAGE, "nothing of it was read yet", *other[2:], "--rewind", "third=3",
                     in2="third")
        self.assertEqual(self.dump(), before)
        said = self.run_job(*other[2:], "--rewind", "third=earliest", in2="third")
        self.assertIn("nothing of it was read yet", said)
        self.sound()


class AllOrNothing(ChangeTest):
    def test_a_later_check_refuses(self):
        """Renamed, dropped, rewound and upgraded; then a check says no: nothing was done."""
        self.run_job("-o", "out=log:counts?partitions=2")
        before = self.dump()
        change = ["--rename", "in=input", "--rename", "count=tally", "--rewind", "input=earliest"]
        names = {"in_": "input", "count": "tally"}
        # A node's state is gone; an upgrade fails; a topic has other partitions; the file is taken.
        self.refused(CONFIG, "node `last`", *change, **names, last="-")
        self.refused(DATA, "as asked for by -D upgrade", *change, **names, version=2,
                     upgrade="fail")
        self.refused(CONFIG, "2 partitions, not 3", *change, "-o", "out=log:counts?partitions=3",
                     **names, version=2, upgrade="yes")
        (self.folder / "full.txt").write_text("something\n")
        self.refused(CONFIG, "bytes that this store has not written", *change, "-o",
                     "out=file:full.txt", **names, version=2, upgrade="yes")
        self.assertEqual(self.dump(), before)
        self.sound()
        # The job as it was is taken still, and the changed one too.
        self.run_job("-o", "out=log:counts?partitions=2", records=60)
        self.run_job(*change, **names, version=2, upgrade="yes", records=60)
        self.assertEqual(self.query(STORE, "SELECT count(*) FROM state"), [(10,)])
        self.sound()

    def test_upgrade_of_a_renamed_node(self):
        self.run_job()
        self.run_job("--rename", "count=tally", count="tally", version=2, upgrade="yes", records=55)
        self.assertEqual(self.counts()[-5:], ["101"] * 5)
        self.assertEqual(self.query(STORE, "SELECT version FROM node WHERE name = 'tally'"), [(2,)])
        self.sound()


class OtherRefusals(ChangeTest):
    def test_partitions_of_a_topic(self):
        self.run_job("-o", "out=log:counts?partitions=2")
        said = self.refused(CONFIG, "has 2 partitions, not 3", "-o", "out=log:counts?partitions=3")
        command = re.search(r"\(weir (topics [^)]*)\)", said)[1].split()
        self.weir(*command)
        self.run_job("-o", "out=log:counts?partitions=3", records=60)
        self.assertEqual(len(self.counts()), 10)
        self.sound()

    def test_columns_of_a_table(self):
        self.run_job("-o", "out=table:counts?value=text")
        said = self.refused(CONFIG, "instead of (key", "-o", "out=table:counts?value=integer")
        self.assertIn("-o out=table:NAME", said)
        sql = re.search(r"sqlite3 \S+ '([^']*)'", said)[1]
        self.assertEqual(sql, 'DROP TABLE "counts"')
        connection = sqlite3.connect(self.folder / STORE)
        connection.execute(sql)
        connection.close()
        self.run_job("-o", "out=table:counts?value=integer", records=60)
        self.sound()

    def test_store_of_another_job(self):
        self.weir("run", COUNT, "-s", STORE, "-i", "in=gen:keyed?records=5", "-o", "out=null:")
        self.refused(CONFIG, "name another store with --store")
        self.run_job("--store", "mine.weir")

    def test_renamed_sink_without_the_option(self):
        self.run_job("-o", "out=file:out.txt")
        said = self.refused(CONFIG, "if it is the sink that has a new name, start once with "
                            "--rename OLD=lines", "-o", "lines=file:out.txt", out="lines")
        self.assertIn("?append=true", said)
        self.run_job("--rename", "out=lines", "-o", "lines=file:out.txt", out="lines", records=60)
        self.assertEqual((self.folder / "out.txt").read_text().split(), expected(60))

    def test_queued_dead_letters(self):
        """Of a node that is gone: the option for its new name, or the command to drop them."""
        self.weir("run", JOBS / "crash_all.so", "-i", "in=gen:keyed?records=100&keys=20&size=40")
        self.weir("rejects", "crash_all.weir", "--retry", "--node", "tally")
        self.change("crash_all.weir", "UPDATE node SET name = 'count' WHERE name = 'tally'")
        self.change("crash_all.weir", "UPDATE reject SET node = 'count' WHERE node = 'tally'")
        run = ["run", JOBS / "crash_all.so", "-i", "in=gen:keyed?records=100&keys=20&size=40"]
        self.refuses(CONFIG, "--rename count=tally", *run)  # for its state
        self.weir(*run, "--rename", "count=tally")
        self.assertEqual(self.query("crash_all.weir", "SELECT count(*) FROM retry"), [(0,)])
        self.weir("verify", "crash_all.weir")


if __name__ == "__main__":
    unittest.main()
