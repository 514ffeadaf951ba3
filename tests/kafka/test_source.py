"""kafka: sources on a real broker: records arrive unchanged, each exactly once, by position; what
happens when topics grow, are cut, or are deleted and made again, and when the broker is away.

SPDX-License-Identifier: Apache-2.0
"""

import base64
import json
import re

from kafka_kit import COPY, COUNT, JOBS, KafkaTest, main

CONFIG, NO_INPUT, USAGE = 78, 66, 64


class Source(KafkaTest):
    def topic(self, partitions=1, name="source", **config):
        """Generated records are old, and would be removed any minute."""
        return super().topic(partitions, name, **{"retention_ms": -1, **config})

    def copy(self, topic, *options, store="copy.weir", code=0, **parameters):
        """Reads the topic to its end into log:out; what it said."""
        return self.weir("run", COPY, "-s", store, "-i", f"in={self.uri(topic, **parameters)}",
                         "-o", "out=log:out", "--until-end", *options, code=code)[1].decode()

    def follow(self, topic, *options, store="copy.weir", env=None, **parameters):
        """The same, without end."""
        return self.start_weir("run", COPY, "-s", store, "-i",
                               f"in={self.uri(topic, **parameters)}", "-o", "out=log:out",
                               *options, env=env)

    def out(self, store="copy.weir"):
        return self.records(store, "out")

    def values(self, store="copy.weir"):
        return [record["value"] for record in self.out(store)]

    def ids(self, store="copy.weir"):
        return [int(value.split()[0]) for value in self.values(store)]

    def positions(self, store="copy.weir"):
        return dict(self.query(store, "SELECT part, next FROM position"))

    def wait_for_out(self, count, store="copy.weir"):
        """Until so many records were decided."""
        def decided():
            if not (self.folder / store).exists():
                return False
            made = self.query(store, "SELECT 1 FROM sqlite_master WHERE name = 'topic'")
            made = made and self.query(store, "SELECT 1 FROM topic WHERE name = 'out'")
            return made and len(self.out(store)) >= count
        self.wait_for(f"{count} records in {store}", decided)

    def wait_for_positions(self, expected, store="copy.weir"):
        def decided():
            if not (self.folder / store).exists():
                return False
            rows = self.query(store, "SELECT 1 FROM sqlite_master WHERE name = 'position'")
            return rows and self.positions(store) == expected
        self.wait_for(f"positions {expected}", decided)

    def content(self, name):
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def numbers(self, first, count):
        return [{"value": str(n), "partition": 0} for n in range(first, first + count)]


class Records(Source):
    def test_records_arrive_as_they_were_sent(self):
        """Absent against empty, headers that repeat, bytes that are no text, times."""
        topic = self.topic()
        odd = base64.b64encode(bytes([0, 255, 128])).decode()
        sent = [
            {"key": None, "value": None}, {"key": "", "value": ""}, {"key": "k", "value": None},
            {"key": None, "value": "v", "time_ms": 1},
            {"key": "k", "value": "", "time_ms": 1600000000123},
            {"key": "h", "value": "v", "headers": [
                {"name": "a", "value": "1"}, {"name": "a", "value": None},
                {"name": "", "value": ""}, {"name": "a", "value_base64": odd}]},
            {"key_base64": odd, "value_base64": odd},
        ]
        self.produce(topic, sent)
        there = self.read(topic)
        self.copy(topic)
        self.assertEqual(len(there), len(sent))
        fields = ("key", "value", "key_base64", "value_base64", "headers", "time_ms")
        for theirs, ours in zip(there, self.out()):
            for field in fields:
                self.assertEqual(theirs.get(field) or [] if field == "headers"
                                 else theirs.get(field),
                                 ours.get(field) or [] if field == "headers" else ours.get(field))
        self.assertEqual(self.out()[3]["time_ms"], 1)
        self.assertIsNone(self.out()[2]["value"])
        self.assertEqual(self.out()[4]["value"], "")

    def test_a_record_over_the_limit_is_a_dead_letter(self):
        topic = self.topic(max_message_bytes=4000000)
        self.properties = ["message.max.bytes=4000000"]
        self.produce(topic, [{"value": "a"}, {"key": "big", "value": "x" * 1048576},
                             {"value": "b"}])
        self.copy(topic)
        self.assertEqual(self.values(), ["a", "b"])
        said = self.weir("rejects", "copy.weir")[0].decode()
        self.assertIn("record of 1048579 bytes; the limit is 1048576", said)

    def test_each_record_of_all_partitions_comes_once(self):
        topic = self.topic(4)
        self.generate(topic, 20000)
        self.copy(topic)
        self.assertEqual(sorted(self.ids()), list(range(20000)))
        self.assertEqual(self.positions(), {f"{topic}/{n}": 5000 for n in range(4)})
        self.generate(topic, 1000, "--first", 20000)
        self.copy(topic)
        self.assertEqual(sorted(self.ids()), list(range(21000)))

    def test_undone_epochs_are_read_again(self):
        """Failures in the midst of polls: the source is sought back each time."""
        topic = self.topic(3)
        self.generate(topic, 20000)
        self.weir("run", JOBS / "file_copy.so", "-D", "fail=700", "-i", f"in={self.uri(topic)}",
                  "-o", "out=log:out", "--until-end")
        self.assertEqual(sorted(self.ids("file_copy.weir")), list(range(20000)))

    def test_positions_are_shown_in_a_group(self):
        topic = self.topic(2)
        self.generate(topic, 100)
        self.copy(topic)
        self.assertEqual([row["offset"] for row in self.group("weir.copy", topic)], [50, 50])


class Positions(Source):
    def test_transactions(self):
        """Aborted records are not read, and the end is a control record: nothing is left over."""
        topic = self.topic()
        self.generate(topic, 1000, "--transaction", f"x-{topic}", "--per-transaction", 100,
                      "--abort-every", 3)
        self.copy(topic)
        self.assertEqual(self.ids(), list(range(1000)))
        self.assertEqual(self.positions()[f"{topic}/0"], self.ends(topic)[0]["high"])
        self.assertGreater(self.ends(topic)[0]["high"], 1000)

    def test_the_end_is_that_of_what_is_committed(self):
        """An open transaction: the run ends before it, and reads it when it has ended."""
        topic = self.topic()
        self.generate(topic, 10)
        self.generate(topic, 10, "--first", 10, "--transaction", f"x-{topic}",
                      "--per-transaction", 10, "--then", "leave")
        self.copy(topic)
        self.assertEqual(self.ids(), list(range(10)))
        self.generate(topic, 10, "--first", 20, "--transaction", f"x-{topic}")  # fences the first
        self.copy(topic)
        self.assertEqual(self.ids(), list(range(10)) + list(range(20, 30)))

    def test_an_aborted_end_is_told_without_a_record(self):
        """Nothing but an aborted transaction since: position and lag move all the same."""
        topic = self.topic()
        self.generate(topic, 10)
        run = self.follow(topic, "--stats", "stats")
        self.wait_for_positions({f"{topic}/0": 10})
        self.generate(topic, 5, "--first", 10, "--transaction", f"x-{topic}", "--then", "abort")
        self.wait_until_stable(topic)  # the broker says that it will be aborted before it is
        end = self.ends(topic)[0]["high"]
        self.assertGreater(end, 15)
        self.wait_for_positions({f"{topic}/0": end})
        self.assertEqual(run.stop(), 0)
        last = (self.folder / "stats").read_text().splitlines()[-1]
        self.assertEqual(json.loads(last)["lag_records"], 0)
        self.assertEqual(json.loads(last)["records_in"], 10)

    def test_where_it_begins(self):
        topic = self.topic()
        self.produce(topic, [{"value": str(n), "time_ms": 1700000000000 + 1000 * n}
                             for n in range(10)])
        for start, first in (("earliest", 0), ("7", 7), ("@1700000003500", 4), ("latest", 10),
                             ("2023-11-14T22:13:28Z", 8), ("2100-01-01", 10)):
            store = re.sub("[^0-9a-z]", "", start) + ".weir"
            self.copy(topic, store=store, start=start)
            self.assertEqual(self.values(store), [str(n) for n in range(first, 10)], start)
            self.assertEqual(self.positions(store)[f"{topic}/0"], 10)
        self.assertIn("holds offsets from 0 to 10", self.copy(topic, store="far.weir", start=11,
                                                              code=CONFIG))
        self.copy(topic, store="far.weir", start=11, missing="earliest")
        self.assertEqual(len(self.values("far.weir")), 10)

    def test_the_latest_offset_is_chosen_once(self):
        """Decided before the first record, so that a kill loses none that came later."""
        topic = self.topic(2)
        self.generate(topic, 10)
        run = self.follow(topic, start="latest")
        self.wait_for_positions({f"{topic}/0": 5, f"{topic}/1": 5})
        run.kill()
        self.generate(topic, 10, "--first", 10)
        self.copy(topic, start="latest")
        self.assertEqual(sorted(self.ids()), list(range(10, 20)))

    def test_a_part_of_the_partitions(self):
        topic = self.topic(4)
        self.generate(topic, 40)
        self.copy(topic, partitions="1-2")
        self.assertEqual(sorted(n % 4 for n in self.ids()), [1] * 10 + [2] * 10)
        self.copy(topic, partitions="0-2+3")
        self.assertEqual(sorted(self.ids()), list(range(40)))
        said = self.copy(topic, partitions="2-4", store="n.weir", code=NO_INPUT)
        self.assertIn("asks for partition 4 too", said)
        self.assertIn(f"{topic}/0", self.copy(topic, partitions="1", code=CONFIG))

    def test_new_partitions_are_read_from_their_beginning(self):
        topic = self.topic(1)
        self.generate(topic, 10)
        run = self.follow(topic, start="latest")
        self.wait_for_positions({f"{topic}/0": 10})
        self.tool("add-partitions", topic, 3)
        self.generate(topic, 30, "--first", 10, "--partitions", 3)
        self.wait_for_out(30)
        self.assertEqual(run.stop(), 0)
        self.assertEqual(sorted(self.ids()), list(range(10, 40)))
        self.tool("add-partitions", topic, 4)
        self.generate(topic, 40, "--first", 40, "--partitions", 4)
        self.copy(topic, start="latest")
        self.assertEqual(sorted(self.ids()), list(range(10, 80)))

    def test_rewinding(self):
        topic = self.topic(2)
        self.generate(topic, 20)
        self.copy(topic, start="latest")
        self.copy(topic, "--rewind", "in=8", start="latest")
        self.assertEqual(sorted(self.ids()), [16, 17, 18, 19])
        self.copy(topic, "--rewind", "in=earliest", start="latest")
        self.assertEqual(len(self.ids()), 24)
        self.assertIn("holds offsets from 0 to 10",
                      self.copy(topic, "--rewind", "in=11", missing="latest", code=CONFIG))


class Missing(Source):
    """What was read of a topic is not what it has now."""

    def remake(self, topic, partitions=1):
        self.tool("delete", topic)
        self.wait_for(f"{topic} is gone",
                      lambda: topic not in self.tool("topics").decode())
        self.tool("create", topic, partitions, "retention.ms=-1")

    def test_records_that_retention_removed(self):
        topic = self.topic()
        self.generate(topic, 10)
        self.copy(topic)
        self.generate(topic, 90, "--first", 10)
        self.tool("delete-records", topic, 0, 60)
        said = self.copy(topic, code=CONFIG)
        self.assertIn("read up to offset 10, and the records up to 59 are gone", said)
        self.assertIn("missing=earliest", said)
        self.copy(topic, missing="earliest")
        self.assertEqual(self.ids(), list(range(10)) + list(range(60, 100)))
        self.copy(topic)

    def test_records_that_are_removed_while_it_reads(self):
        """A run that was held up for longer than records are kept."""
        topic = self.topic()
        self.generate(topic, 10)
        run = self.follow(topic, "-X", "fetch.message.max.bytes=2000", missing="earliest")
        self.wait_for_out(10)
        run.pause()
        for first in range(10, 5010, 500):
            self.generate(topic, 500, "--first", first)
        self.tool("delete-records", topic, 0, 5000)
        run.resume()
        self.wait_for_positions({f"{topic}/0": 5010})
        self.assertEqual(run.stop(), 0)
        self.assertIn("are gone", run.said())
        ids = self.ids()
        self.assertEqual(ids[-10:], list(range(5000, 5010)))
        self.assertEqual(ids, sorted(set(ids)))

    def test_no_such_topic(self):
        self.assertIn("there is no topic nowhere", self.copy("nowhere", code=NO_INPUT))

    def test_a_topic_that_was_deleted(self):
        topic = self.topic()
        self.generate(topic, 10)
        run = self.follow(topic)
        self.wait_for_out(10)
        self.tool("delete", topic)
        self.assertEqual(run.end(), NO_INPUT)
        self.assertIn("was deleted while it was read", run.said())
        self.assertIn("was deleted since it was read", self.copy(topic, code=NO_INPUT))

    def test_a_topic_that_was_made_again(self):
        """As long as before, shorter, longer: each is noticed, and so is what to do."""
        for count in (10, 5, 30):
            topic = self.topic()
            store = f"{count}.weir"
            self.generate(topic, 10)
            self.copy(topic, store=store)
            self.remake(topic)
            self.produce(topic, [{"value": str(100 + n)} for n in range(count)])
            said = self.copy(topic, store=store, code=CONFIG)
            self.assertIn("deleted and made again", said)
            self.copy(topic, store=store, missing="earliest")
            self.assertEqual(self.ids(store), list(range(10)) + list(range(100, 100 + count)))
            self.copy(topic, store=store)
            self.copy(topic, "--rewind", "in=earliest", store=store)
            self.assertEqual(len(self.ids(store)), 10 + 2 * count)

    def test_a_topic_that_is_made_again_while_it_is_read(self):
        topic = self.topic()
        self.generate(topic, 10)
        run = self.follow(topic)
        self.wait_for_out(10)
        run.pause()
        self.remake(topic)
        self.produce(topic, self.numbers(100, 3))
        run.resume()
        self.assertIn(run.end(), (CONFIG, NO_INPUT))
        self.assertIn("deleted", run.said())
        self.assertEqual(self.ids(), list(range(10)))

    def test_a_topic_with_fewer_partitions(self):
        topic = self.topic(3)
        self.generate(topic, 30)
        self.copy(topic)
        self.remake(topic, 2)
        self.assertIn("has 2 partitions", self.copy(topic, code=CONFIG))

    def test_another_input(self):
        one, two = self.topic(), self.topic()
        self.generate(one, 10)
        self.generate(two, 10)
        self.copy(one)
        self.assertIn("has no such partition", self.copy(two, code=CONFIG))


class Outages(Source):
    def uses_shared_broker(self):
        return False

    def test_a_broker_that_is_not_there_yet(self):
        """The run waits for it, and begins as it would have."""
        broker = self.own_broker()
        topic = self.topic(2)
        self.generate(topic, 10)
        broker.down()
        run = self.follow(topic, "--stats", "stats")
        bounded = self.follow(topic, "--until-end", store="bounded.weir")
        run.wait_until_says("the run goes on")
        bounded.wait_until_says("waiting up to 60 s")
        self.wait_for("it waits for the broker",
                      lambda: '"waiting_for":"broker"' in self.content("stats"))
        self.assertIn("no broker of", run.said())
        broker.start()
        self.wait_for_out(10)
        self.assertIn("answers again", run.said())
        self.assertEqual(bounded.end(), 0)
        self.assertEqual(sorted(self.ids("bounded.weir")), list(range(10)))

        # Killed while it reads. A run that begins now knows its partitions from the store.
        broker.kill()
        self.wait_for("it says so", lambda: run.said().count("no broker of") == 2)
        run.kill()
        run = self.follow(topic, "--stats", "again")
        run.wait_until_says("the run goes on")
        self.wait_for("it runs", lambda: self.content("again"))
        broker.start()
        self.generate(topic, 1000, "--first", 10)
        self.wait_for_out(1010)
        self.assertEqual(run.stop(), 0)
        self.copy(topic)
        self.assertEqual(sorted(self.ids()), list(range(1010)))

    def test_compaction_leaves_gaps(self):
        self.own_broker("-c", "log.cleaner.backoff.ms=100")
        topic = self.topic(cleanup_policy="compact", segment_bytes=1048576, segment_ms=100,
                           min_cleanable_dirty_ratio=0.01)
        for first in (0, 3000):
            self.generate(topic, 3000, "--first", first, "--keys", 10, "--size", 1000)
            self.wait_for("compaction", lambda: len(self.read(topic)) < 2500)
            there = [record["offset"] for record in self.read(topic)]
            self.copy(topic)
            self.assertEqual(self.positions(), {f"{topic}/0": first + 3000})
        self.assertEqual(self.ids()[-1], 5999)
        self.assertLessEqual(set(there) - set(range(3000)), set(self.ids()))
        self.assertLess(len(self.ids()), 6000)


class Kills(Source):
    def test_a_job_that_is_killed_counts_each_record_once(self):
        """kill -9 at moments of its own: in the end each key has its count."""
        topic = self.topic(3)
        self.generate(topic, 30000, "--keys", 7)
        options = ["-i", f"in={self.uri(topic)}", "-o", "out=table:counts", "--epoch-records", 500]
        for fault in ("fill_first_unit:3", "decide_before_end:5", "decide_after_end:7",
                      "drop_before:6", "fill_after_seal:9"):
            run = self.start_weir("run", COUNT, *options, env={"WEIR_FAULT": fault})
            self.assertEqual(run.end(), -9)
        self.weir("run", COUNT, *options, "--until-end")
        counts = {key: int(value)
                  for key, value in self.query("count.weir", "SELECT * FROM counts")}
        expected = {}
        for record in self.read(topic):
            expected[record["key"]] = expected.get(record["key"], 0) + 1
        self.assertEqual(counts, expected)
        self.assertEqual(sum(self.positions("count.weir").values()), 30000)


if __name__ == "__main__":
    main()
