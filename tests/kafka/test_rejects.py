"""kafka: dead letters go to a topic, in the same guarantee, and say where each came from.

SPDX-License-Identifier: Apache-2.0
"""

from kafka_kit import COPY, KafkaTest, main


class Rejects(KafkaTest):
    def copy(self, source, dead, *options):
        """Numbers into a table; the rest becomes dead letters."""
        return ["run", COPY, "-i", f"in={self.uri(source)}", "-o", "out=table:t?value=integer",
                "--rejects", self.uri(dead), *options]

    def records(self, source):
        """What is bad has an odd number; both kinds in both partitions."""
        records = [{"key": f"k{i}", "value": str(i) if i % 2 == 0 else f"bad {i}",
                    "partition": i // 2 % 2, "headers": [{"name": "own", "value": "x"}],
                    "time_ms": 1000 + i}
                   for i in range(40)]
        self.produce(source, records)
        return records

    def headers(self, record):
        return {header["name"]: header["value"] for header in record["headers"]}

    def origins(self, dead):
        """(topic, partition, offset) of each dead letter, by its headers; each once."""
        found = []
        for record in self.read(dead):
            headers = self.headers(record)
            found.append((headers["weir.topic"], int(headers["weir.partition"]),
                          int(headers["weir.offset"])))
        self.assertEqual(len(found), len(set(found)))
        return sorted(found)

    def expected(self, source, records):
        nexts, origins = [0, 0], []
        for record in records:
            partition = record["partition"]
            if record["value"].startswith("bad"):
                origins.append((source, partition, nexts[partition]))
            nexts[partition] += 1
        return sorted(origins)

    def test_each_says_where_it_came_from(self):
        """Key, value, headers and time as they were; topic, partition, offset and reason behind
        them."""
        source, dead = self.topic(2, retention_ms=-1), self.topic(retention_ms=-1)
        records = self.records(source)
        self.weir(*self.copy(source, dead, "--until-end"))

        self.assertEqual(self.origins(dead), self.expected(source, records))
        for record in self.read(dead):
            number = int(record["key"][1:])
            headers = self.headers(record)
            self.assertEqual((record["value"], record["time_ms"], headers["own"]),
                             (f"bad {number}", 1000 + number, "x"))
            self.assertEqual((headers["weir.source"], headers["weir.node"]), ("in", "out"))
            self.assertEqual(headers["weir.reason"], f"the value `bad {number}` is no integer")
            self.assertEqual(record["headers"][0]["name"], "own")
        self.assertEqual(self.query("copy.weir", "SELECT count(*) FROM reject"), [(20,)])

    def test_kills(self):
        """Each dead letter once, whenever the run is killed."""
        source, dead = self.topic(2, retention_ms=-1), self.topic(retention_ms=-1)
        records = self.records(source)
        args = self.copy(source, dead, "--epoch-records", 1, "--forward-ms", 1)
        for count in (1, 4, 9):
            run = self.start_weir(*args)
            self.wait_for(f"{count} dead letters", lambda: len(self.read(dead)) >= count)
            run.kill()
        self.weir(*args, "--until-end")
        self.wait_until_stable(dead)
        self.assertEqual(self.origins(dead), self.expected(source, records))


if __name__ == "__main__":
    main()
