"""The same small run on other brokers: Kafka 3.9.1 with a password, and 4.3.1 with TLS and a
password. Each has its own broker. Records go from Kafka to Kafka, weir and the broker are killed on
the way, and a read_committed reader finds each record once.

SPDX-License-Identifier: Apache-2.0
"""

from kafka_kit import COUNT, KafkaTest, main

RECORDS = 20000


class Legs(KafkaTest):
    def uses_shared_broker(self):
        return False

    def count(self, *options):
        source, target = self.topic(3), self.topic(2)
        self.generate(source, RECORDS, "--keys", 200, "--transaction", "input", "--abort-every", 5)
        args = ["run", COUNT, "-s", "count.weir", "-i", f"in={self.uri(source)}",
                "-o", f"out={self.uri(target)}", "--epoch-records", 500, "--forward-ms", 5,
                *options]
        run = self.start_weir(*args)
        self.wait_for_records(target, 1000)
        run.kill()
        run = self.start_weir(*args)
        run.wait_until_says("resuming")
        self.broker.kill()
        self.broker.start()
        run.kill()
        self.weir(*args, "--until-end")
        self.wait_until_stable(target)
        self.verify("count", self.read_to("expected", source), self.read_to("seen", target))
        self.weir("verify", "count.weir")

    def test_kafka_3(self):
        """By SCRAM, with which librdkafka 2.0.2 cannot get into Kafka 4."""
        self.own_broker("--version", "3.9.1", "--sasl")
        self.properties = [one.replace("=PLAIN", "=SCRAM-SHA-512") for one in self.properties]
        self.count(*(word for one in self.properties for word in ("-X", one)))

    def test_tls_and_password(self):
        """The password is in a file, and neither said nor stored."""
        self.own_broker("--tls", "--sasl")
        (self.folder / "password").write_text("secret\n")
        properties = [one for one in self.properties if not one.startswith("sasl.password")]
        self.count(*(word for one in properties for word in ("-X", one)),
                   "-X", "sasl.password=@password")
        for path in self.folder.glob("*"):
            if path.name.startswith(("count.weir", "run-")):
                self.assertNotIn(b"secret", path.read_bytes(), path)


if __name__ == "__main__":
    main()
