"""The ground that the tests of Kafka stand on: the broker's script and the tests' own client do
what the other tests take for granted.

SPDX-License-Identifier: Apache-2.0
"""

import base64
import os
import subprocess

from kafka_kit import BROKER, KafkaTest, main

RECORDS = [
    {"partition": 0, "key": "k", "value": "v", "time_ms": 1234567890123, "headers": [
        {"name": "a", "value": "b"}, {"name": "a", "value": None}, {"name": "empty", "value": ""},
        {"name": "x", "value_base64": base64.b64encode(b"\xff\xfe").decode()}]},
    {"partition": 1, "key": None, "value": None, "time_ms": 1, "headers": []},
    {"partition": 1, "key": "", "value": "", "time_ms": 2, "headers": []},
    {"partition": 2, "key": "é\0\"\\\n\t€", "value_base64": base64.b64encode(b"\0\x80").decode(),
     "time_ms": 3, "headers": []},
]
# As Kafka's own tests have them.
MURMUR2 = {"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
           "a-little-bit-longer-string": -1486304829, "abc": 479470107}


def by_partition(records):
    return sorted(records, key=lambda record: (record["partition"], record["time_ms"]))


def without_offsets(records):
    return [{name: value for name, value in record.items() if name != "offset"}
            for record in by_partition(records)]


class Shared(KafkaTest):
    def test_round_trip(self):
        """Null against empty, headers, timestamps, bytes that are no text."""
        topic = self.topic(3)
        self.produce(topic, RECORDS)
        self.assertEqual(without_offsets(self.read(topic)), RECORDS)

    def test_placement_by_key(self):
        """Without a partition a record goes where the Java client would put its key."""
        topic = self.topic(100)
        self.produce(topic, [{"key": key} for key in MURMUR2])
        self.assertEqual(
            {record["key"]: record["partition"] for record in self.read(topic)},
            {key: (number & 0x7fffffff) % 100 for key, number in MURMUR2.items()})

    def test_aborted_is_not_seen(self):
        """By a read_committed reader; another sees it, and both come to the end."""
        topic = self.topic(3)
        self.produce(topic, RECORDS, "--transaction", topic, "--then", "abort")
        self.assertEqual(self.read(topic), [])
        self.assertEqual(len(self.read(topic, isolation="read_uncommitted")), len(RECORDS))
        self.assertTrue(all(end["stable"] == end["high"] > 0 for end in self.ends(topic)))
        self.produce(topic, RECORDS, "--transaction", topic)
        self.assertEqual(without_offsets(self.read(topic)), RECORDS)

    def test_open_transaction(self):
        """It holds read_committed readers back until another takes its id."""
        topic = self.topic(3)
        self.produce(topic, RECORDS, "--transaction", topic, "--then", "leave")
        self.assertEqual(self.read(topic), [])
        self.assertTrue(all(end["stable"] < end["high"] for end in self.ends(topic)))
        self.produce(topic, RECORDS, "--transaction", topic)
        self.wait_until_stable(topic)
        self.assertEqual(without_offsets(self.read(topic)), RECORDS)

    def test_generator(self):
        """Makes the same records each time; those of aborted transactions come again."""
        plain, transactional = self.topic(4), self.topic(4)
        self.generate(plain, 5000, "--keys", 50, "--size", 30)
        self.generate(transactional, 5000, "--keys", 50, "--size", 30, "--transaction", plain,
                      "--per-transaction", 300, "--abort-every", 4)
        expected = self.read_to("plain", plain)
        self.verify("copy", expected, self.read_to("seen", transactional))
        everything = self.read_to("all", transactional, isolation="read_uncommitted")
        self.assertIn("repeated", self.verify("copy", expected, everything, code=1))
        records = self.read(plain)
        self.assertEqual(len({record["key"] for record in records}), 50)
        self.assertEqual({len(record["value"]) for record in records}, {30})

    def test_groups(self):
        topic, group = self.topic(2), self.topic(1)
        none = {"offset": None, "metadata": None}
        self.assertEqual(self.group(group, topic), [{"partition": p, **none} for p in (0, 1)])
        self.tool("set-group", group, topic, 17, "1 abc", "--partition", 1)
        self.assertEqual(self.group(group, topic), [
            {"partition": 0, **none}, {"partition": 1, "offset": 17, "metadata": "1 abc"}])
        self.tool("set-group", group, topic, "delete", "--partition", 1)
        self.assertEqual(self.group(group, topic)[1], {"partition": 1, **none})
        self.tool("set-group", group, topic, 3)
        self.tool("delete-group", group)
        self.assertEqual(self.group(group, topic)[0], {"partition": 0, **none})

    def test_topics(self):
        topic = self.topic(2, retention_ms="1000000000000")
        self.tool("create", topic, 2, code=1)  # there already
        self.tool("add-partitions", topic, 3)
        self.generate(topic, 30)
        self.tool("delete-records", topic, 1, 4)
        self.assertEqual([end["low"] for end in self.ends(topic)], [0, 4, 0])
        self.assertEqual(len(self.read(topic)), 26)
        self.tool("delete", topic)
        self.tool("read", topic, code=66)


class Own(KafkaTest):
    def uses_shared_broker(self):
        return False

    def check_broker(self):
        """What was acknowledged survives kill -9, and an open transaction is still open."""
        topic = self.topic(3)
        self.produce(topic, RECORDS, "--transaction", "t")
        self.produce(topic, RECORDS, "--transaction", "u", "--then", "leave")
        self.broker.kill()
        self.assertEqual(subprocess.run([BROKER, "status", self.broker.folder], check=False,
                                        stdout=subprocess.DEVNULL).returncode, 1)
        self.broker.start()
        self.assertEqual(without_offsets(self.read(topic)), RECORDS)
        self.assertTrue(all(end["stable"] < end["high"] for end in self.ends(topic)))
        self.produce(topic, RECORDS, "--transaction", "u", "--then", "abort")
        self.assertEqual(without_offsets(self.read(topic)), RECORDS)

    def test_killed_and_started(self):
        self.own_broker()
        self.check_broker()
        self.broker.down()
        self.broker.start()
        self.broker.pause()
        self.broker.resume()
        self.topic()

    def test_kafka_3(self):
        self.own_broker("--version", "3.9.1")
        self.check_broker()

    def test_tls_and_password(self):
        self.own_broker("--tls", "--sasl", "--partitions", 2)
        topic = self.topic(3)
        self.produce(topic, RECORDS)
        self.assertEqual(without_offsets(self.read(topic)), RECORDS)
        self.properties = [one for one in self.properties if "password" not in one]
        self.tool("topics", "-X", "sasl.password=wrong", "--seconds-max", 1, code=69)

    def test_ends_with_its_parent(self):
        folder = self.folder / "broker"
        subprocess.run(["sh", "-c", f"'{BROKER}' up '{folder}' --with-parent $$; exit 0"],
                       check=True, stdout=subprocess.DEVNULL)

        def ended():
            return subprocess.run([BROKER, "status", folder], check=False,
                                  stdout=subprocess.DEVNULL).returncode == 1
        self.wait_for("the broker ends with its parent", ended)

    def test_refusals(self):
        for code, words in ((64, ["frob"]), (64, ["up"]), (66, ["start", "none"]),
                            (66, ["down", "none"]), (73, ["up", os.curdir])):
            (self.folder / "something").touch()
            done = subprocess.run([BROKER, *words], cwd=self.folder, capture_output=True,
                                  check=False)
            self.assertEqual(done.returncode, code, done)
            self.assertEqual(done.stderr.count(b"\n"), 1, done)


if __name__ == "__main__":
    main()
