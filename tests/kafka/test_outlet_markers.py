"""What a Kafka sink's marker protects from: copies and older backups of a store, markers and topics
that are gone, a process that slept while another took over.

SPDX-License-Identifier: Apache-2.0
"""

import shutil

from kafka_kit import COPY, KafkaTest, main

CONFIG = 78
FORCE = ["--marker-from", "store"]


class Markers(KafkaTest):
    def setUp(self):
        super().setUp()
        self.written = 0

    def write(self, count):
        """So many lines more, each its number; all of them so far."""
        with open(self.folder / "in.txt", "a", encoding="utf-8") as file:
            file.writelines(f"{number}\n" for number in range(self.written, self.written + count))
        self.written += count

    def args(self, topic, *options, store="s.weir", follow=False):
        source = "in=file:in.txt" + ("?follow=true" if follow else "")
        return ["run", COPY, "-s", store, "-i", source, "-o", f"out={self.uri(topic)}", *options]

    def values(self, topic):
        self.wait_until_stable(topic)
        return [record["value"] for record in self.read(topic)]

    def all(self):
        return [str(number) for number in range(self.written)]

    def group_of(self, store="s.weir"):
        return f"weir.{self.query(store, 'SELECT value FROM meta WHERE key = ?', 'id')[0][0]}.out"

    def copy_store(self, copy):
        self.weir("backup", "s.weir", copy)

    def leave_unsent(self, topic):
        """Ten records that were decided and are not outside, and a store that says so."""
        self.write(10)
        self.weir(*self.args(topic), env={"WEIR_FAULT": "kafka_after_begin"}, code=-9)

    def test_runs_follow_each_other(self):
        topic = self.topic()
        for _ in range(3):
            self.write(10)
            self.weir(*self.args(topic))
        self.assertEqual(self.values(topic), self.all())

    def test_an_older_backup_is_refused(self):
        """What it would send next comes after what was sent since."""
        topic = self.topic()
        self.write(10)
        self.weir(*self.args(topic))
        self.copy_store("old.weir")
        self.write(10)
        self.weir(*self.args(topic))
        self.refuses(CONFIG, "records 10 to 19 were sent from elsewhere",
                     *self.args(topic, store="old.weir"))
        self.write(10)
        self.weir(*self.args(topic))
        self.assertEqual(self.values(topic), self.all())

    def test_a_copy_that_goes_its_own_way_is_refused(self):
        """Also when it has as many records: they are others."""
        topic = self.topic()
        self.write(10)
        self.weir(*self.args(topic))
        self.copy_store("copy.weir")
        self.write(10)
        self.weir(*self.args(topic))
        lines = (self.folder / "in.txt").read_text()
        (self.folder / "in.txt").write_text(lines.replace("10\n", "XX\n", 1))
        self.refuses(CONFIG, "sent from elsewhere", *self.args(topic, store="copy.weir"))

    def test_two_copies_at_once(self):
        """One goes on, the other stops; the topic has what the one sent, once."""
        topic = self.topic()
        self.write(10)
        self.weir(*self.args(topic))
        self.copy_store("copy.weir")
        first = self.start_weir(*self.args(topic, follow=True))
        self.write(10)
        self.wait_for("the first sends", lambda: self.values(topic) == self.all())
        self.refuses(CONFIG, "sent from elsewhere", *self.args(topic, store="copy.weir"))
        self.write(10)
        self.wait_for("the first goes on", lambda: self.values(topic) == self.all())
        self.assertEqual(first.stop(), 0, first)

    def test_a_copy_that_has_claimed_stops_the_other(self):
        """With the same records in both nothing tells them apart but who claimed last."""
        topic = self.topic()
        self.write(10)
        self.weir(*self.args(topic))
        self.copy_store("copy.weir")
        first = self.start_weir(*self.args(topic, follow=True))
        first.wait_until_says("resuming")
        second = self.start_weir(*self.args(topic, store="copy.weir", follow=True))
        second.wait_until_says("resuming")
        self.write(10)
        self.assertEqual(first.end(), CONFIG, first)
        self.assertIn("another copy of this store has taken over", first.said())
        self.wait_for("the second sends", lambda: self.values(topic) == self.all())
        self.assertEqual(second.stop(), 0, second)

    def test_a_lost_marker(self):
        """Nothing in doubt: it goes on. Else it stops, and --marker-from store goes on."""
        topic = self.topic()
        self.write(10)
        self.weir(*self.args(topic))
        self.tool("set-group", self.group_of(), topic, "delete")
        self.write(10)
        self.weir(*self.args(topic))
        self.assertEqual(self.values(topic), self.all())

        self.leave_unsent(topic)
        self.tool("set-group", self.group_of(), topic, "delete")
        error = self.refuses(CONFIG, "its marker is gone", *self.args(topic))
        self.assertIn("records 20 to 29", error)
        self.weir(*self.args(topic, *FORCE))
        self.assertEqual(self.values(topic), self.all())

    def test_a_marker_that_another_program_changed(self):
        topic = self.topic()
        self.write(10)
        self.weir(*self.args(topic))
        self.tool("set-group", self.group_of(), topic, 5)
        self.refuses(CONFIG, "another program changed it", *self.args(topic))
        self.tool("set-group", self.group_of(), topic, 5, "1 0123456789abcdef 01234567 0")
        self.refuses(CONFIG, "the marker was taken back", *self.args(topic))

    def test_a_topic_made_anew_between_runs(self):
        topic = self.topic()
        self.write(10)
        self.weir(*self.args(topic))
        self.leave_unsent(topic)
        self.tool("delete", topic)
        self.refuses(CONFIG, "there is no topic", *self.args(topic))
        self.tool("create", topic, 1)
        self.refuses(CONFIG, "out", *self.args(topic))
        self.weir(*self.args(topic, *FORCE))
        self.assertEqual(self.values(topic), self.all()[10:])

    def test_a_topic_made_anew_during_a_run(self):
        topic = self.topic()
        self.write(10)
        run = self.start_weir(*self.args(topic, follow=True))
        self.wait_for("it sends", lambda: self.values(topic) == self.all())
        self.tool("delete", topic)
        self.tool("create", topic, 1)
        self.write(10)
        self.assertEqual(run.end(), CONFIG, run)

    def test_another_topic_or_cluster_is_refused(self):
        topic, other = self.topic(), self.topic()
        self.write(10)
        self.weir(*self.args(topic))
        self.refuses(CONFIG, "it sent to", *self.args(other))
        self.weir(*self.args(other, "--drop-state", "out"))
        self.assertEqual(self.values(other), [])
        self.write(10)
        self.weir(*self.args(other))
        self.assertEqual(self.values(other), self.all()[10:])

    def test_a_dropped_sink_begins_anew_on_its_topic(self):
        topic = self.topic()
        self.write(10)
        self.weir(*self.args(topic))
        self.write(10)
        self.weir(*self.args(topic, "--drop-state", "out"))
        self.write(10)
        self.weir(*self.args(topic))
        self.assertEqual(self.values(topic), self.all())

    def test_a_moved_store_goes_on(self):
        topic = self.topic()
        self.write(10)
        self.weir(*self.args(topic))
        (self.folder / "elsewhere").mkdir()
        for suffix in ("", "-wal", "-shm"):
            if (self.folder / f"s.weir{suffix}").exists():
                shutil.move(self.folder / f"s.weir{suffix}",
                            self.folder / "elsewhere" / f"other.weir{suffix}")
        self.write(10)
        self.weir(*self.args(topic, store="elsewhere/other.weir"))
        self.assertEqual(self.values(topic), self.all())

    def test_a_process_that_slept_longer_than_its_transaction(self):
        """The broker gave its transaction up; nobody else has claimed, so it goes on."""
        topic = self.topic()
        self.write(10)
        run = self.start_weir(*self.args(topic, "-X", "transaction.timeout.ms=1000",
                                         "--forward-ms", "300", follow=True))
        self.wait_for("it sends", lambda: self.values(topic) == self.all())
        for _ in range(3):
            self.write(10)
            self.wait_for("a transaction is open or over",
                          lambda: self.records_in(topic) >= self.written)
            run.pause()
            self.wait_until_stable(topic)
            run.resume()
            self.wait_for("it goes on", lambda: self.values(topic) == self.all())
        self.assertEqual(run.stop(), 0, run)

    def test_at_least_once_after_exactly_once(self):
        """What was left in the log goes first, in transactions; then there is no log."""
        topic = self.topic()
        self.leave_unsent(topic)
        self.write(10)
        self.weir(*self.args(topic, "-d", "at-least-once"))
        self.assertEqual(self.values(topic), self.all())
        self.write(10)
        self.weir(*self.args(topic))
        self.assertEqual(self.values(topic), self.all())
        self.write(10)
        self.weir(*self.args(topic, "-d", "at-most-once"))
        self.assertEqual(self.values(topic), self.all())


if __name__ == "__main__":
    main()
