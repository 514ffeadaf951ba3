"""What a Kafka sink sends is there once, in order, from whatever crash: weir killed at each of its
fault points, two sinks in one transaction, where records go and how they arrive.

SPDX-License-Identifier: Apache-2.0
"""

import concurrent.futures

from kafka_kit import COPY, JOBS, KafkaTest, main

TWO = JOBS / "kafka_two.so"
KILLED = -9
AT_ONCE = 3  # they wait most of the time
LINES = [str(number) for number in range(3000)]
SMALL = ["--epoch-records", "50", "--forward-ms", "1"]  # many transactions

POINTS = ["kafka_after_settle", "kafka_after_read", "kafka_after_claim", "kafka_after_begin",
          "kafka_after_produce", "kafka_after_markers", "kafka_before_end", "kafka_during_end",
          "kafka_after_end", "forward_before_send", "forward_after_send", "forward_after_sync",
          "forward_after_marker", "trim_before", "trim_after", "decide_after_logs",
          "decide_after_end"]
ONCE = {"kafka_after_settle", "kafka_after_read", "kafka_after_claim"}  # passed once a start


def murmur2(key):
    """As org.apache.kafka.common.utils.Utils has it."""
    mask, factor = 0xffffffff, 0x5bd1e995
    size = len(key)
    value = (0x9747b28c ^ size) & mask
    for at in range(0, size - size % 4, 4):
        word = int.from_bytes(key[at:at + 4], "little") * factor & mask
        word = (word ^ word >> 24) * factor & mask
        value = (value * factor & mask) ^ word
    rest = key[size - size % 4:]
    if rest:
        value = (value ^ int.from_bytes(rest, "little")) * factor & mask
    value = (value ^ value >> 13) * factor & mask
    return value ^ value >> 15


class OutletTest(KafkaTest):
    def write(self, lines, mode="w"):
        with open(self.folder / "in.txt", mode, encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)

    def seen(self, topic):
        """What a read_committed reader sees. Kafka acknowledges a transaction a moment before it
        can be read."""
        self.wait_until_stable(topic)
        return self.read(topic)

    def values(self, topic):
        return [record["value"] for record in self.seen(topic)]

    def store_id(self, store):
        return self.query(store, "SELECT value FROM meta WHERE key = 'id'")[0][0]

    def marker(self, store, sink, topic):
        """Its next log offset, incarnation, CRC and ends, as Kafka has them; None: none."""
        found = self.group(f"weir.{self.store_id(store)}.{sink}", topic)[0]
        if found["offset"] is None:
            return None
        version, *fields = found["metadata"].split()
        self.assertEqual(version, "1")
        return (found["offset"], *fields)


class Shared(OutletTest):
    def test_killed_at_each_point(self):
        """Both sinks have every record once, whichever moment weir died at; after the next run no
        transaction is open, and store and topic agree on what was sent."""
        self.write(LINES)
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            tries = {(point, count): pool.submit(self.kill_at, point, count) for point in POINTS
                     for count in ((1,) if point in ONCE else (1, 3))}
        for (point, count), each in tries.items():
            with self.subTest(point=point, count=count):
                each.result()

    def kill_at(self, point, count):
        plain, keyed = self.topic(), self.topic(3)
        store = f"{point}-{count}.weir"
        args = ["run", TWO, "-s", store, "-o", f"plain={self.uri(plain)}",
                "-o", f"keyed={self.uri(keyed)}", *SMALL]
        killed = self.start_weir(*args, env={"WEIR_FAULT": f"{point}:{count}"}).end() == KILLED
        self.assertTrue(killed or count > 1, point)
        self.weir(*args)
        for sink, topic in (("plain", plain), ("keyed", keyed)):
            self.assertEqual(self.query(store, "SELECT next FROM marker WHERE sink = ?", sink),
                             [(len(LINES),)])
            self.wait_for(f"{sink}'s marker at the end", lambda sink=sink, topic=topic:
                          self.marker(store, sink, topic)[0] == len(LINES))
        self.assertEqual(self.values(plain), LINES)
        records = self.seen(keyed)
        self.assertEqual(sorted((record["value"] for record in records), key=int), LINES)
        for partition in range(3):
            offsets = [int(record["headers"][0]["value"]) for record in records
                       if record["partition"] == partition]
            self.assertEqual(offsets, sorted(offsets))

    def test_records_arrive_as_they_are(self):
        """Where the Java client would put them, with their times and headers; nothing of weir's
        own."""
        topic = self.topic(7)
        lines = ["a", "", "some longer line", "x" * 5000] + [f"k{n}" for n in range(60)]
        self.write(lines)
        self.weir("run", TWO, "-o", f"keyed={self.uri(topic)}")
        offset = 0
        seen = {record["time_ms"]: record for record in self.seen(topic)}
        self.assertEqual(len(seen), len(lines))
        for line in lines:
            record = seen[1600000000000 + offset]
            self.assertEqual(record["key"], line)
            self.assertEqual(record["value"], line or None)
            self.assertEqual(record["partition"], (murmur2(line.encode()) & 0x7fffffff) % 7)
            self.assertEqual(record["headers"], [
                {"name": "offset", "value": str(offset)}, {"name": "absent", "value": None},
                {"name": "offset", "value": ""}])
            offset += len(line) + 1

    def test_partition_by_hand_and_by_source(self):
        """?partition=N and ?partition=source; without a key records go as their source's do."""
        fixed, source, keyless = self.topic(4), self.topic(2), self.topic(2)
        for number in range(3):
            (self.folder / f"in{number}.txt").write_text(f"{number}\n" * 3)
        for topic, query in ((fixed, {"partition": 2}), (source, {"partition": "source"}),
                             (keyless, {})):
            self.weir("run", COPY, "-s", f"{topic}.weir", "-i", "in=file:in[0-9].txt",
                      "-o", f"out={self.uri(topic, **query)}")
        self.assertEqual({record["partition"] for record in self.seen(fixed)}, {2})
        for topic in (source, keyless):
            where = {}
            for record in self.seen(topic):
                where.setdefault(record["value"], set()).add(record["partition"])
                self.assertEqual(record["headers"], [])
            self.assertEqual({value: len(parts) for value, parts in where.items()},
                             {"0": 1, "1": 1, "2": 1})
            self.assertEqual(len({next(iter(parts)) for parts in where.values()}), 2)
        self.refuses(78, "has 4 partitions", "run", COPY, "-s", "new.weir", "-i", "in=file:in0.txt",
                     "-o", f"out={self.uri(fixed, partition=4)}")


if __name__ == "__main__":
    main()
