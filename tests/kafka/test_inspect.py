"""kafka: weir inspect asks brokers where topics end, and shows what the store knows when they do
not answer.

SPDX-License-Identifier: Apache-2.0
"""

import json
import time

from kafka_kit import COPY, KafkaTest, main


class Inspect(KafkaTest):
    def inspect(self, *options):
        text = self.weir("inspect", "copy.weir", *options)[0].decode()
        return text, json.loads(self.weir("inspect", "copy.weir", "--json", *options)[0])

    def test_position_end_and_lag(self):
        """Of each partition; lag is what came after the last run, the end that of what is
        committed."""
        topic = self.topic(3, retention_ms=-1)
        self.produce(topic, [{"value": str(i), "partition": i % 2} for i in range(7)])
        self.weir("run", COPY, "-i", f"in={self.uri(topic)}", "-o", "out=log:out", "--until-end")
        self.produce(topic, [{"value": str(i), "partition": 1} for i in range(5)])

        text, found = self.inspect()

        inputs = {row["part"]: (row["next"], row["end"], row["lag"]) for row in found["inputs"]}
        self.assertEqual(inputs[f"{topic}/0"], (4, 4, 0))
        self.assertEqual(inputs[f"{topic}/1"], (3, 8, 5))
        self.assertIn(f"{topic}/1: next 3, end 8, lag 5, ", text)
        self.assertEqual(found["brokers"], [{"name": "in", "brokers": self.kafka, "topic": topic,
                                             "error": None}])
        self.assertNotIn("are not known", text)

    def test_markers_and_backlog(self):
        """Of a sink: the marker in the store and outside; what was decided and is not yet sent, in
        records, bytes and age."""
        source, target = self.topic(retention_ms=-1), self.topic(retention_ms=-1)
        self.generate(source, 1000)
        args = ["run", COPY, "-i", f"in={self.uri(source)}", "-o", f"out={self.uri(target)}",
                "--until-end"]
        self.weir(*args)
        text, found = self.inspect()
        [forwarder] = found["forwarders"]
        self.assertEqual((forwarder["next"], forwarder["backlog"], forwarder["backlog_bytes"],
                          forwarder["oldest_age_ms"]), (1000, 0, 0, None))
        self.assertRegex(forwarder["incarnation"], "^[0-9a-f]{16}$")
        self.assertEqual(forwarder["outside"], {"next": 1000,
                                                "incarnation": forwarder["incarnation"]})
        self.assertIn("next offset 1000, 0 records still to be copied, incarnation "
                      + forwarder["incarnation"], text)
        [sink] = found["sinks"]
        self.assertTrue(sink["guarantee"].startswith("exactly-once: in Kafka's transactions"), sink)
        self.assertIn("marker outside: 1000, incarnation " + forwarder["incarnation"], text)

        self.generate(source, 500)  # decided, and not sent
        run = self.start_weir(*args, env={"WEIR_FAULT": "kafka_after_produce"})
        run.end()
        text, found = self.inspect()
        [forwarder] = found["forwarders"]
        self.assertGreater(forwarder["backlog"], 0)
        self.assertGreater(forwarder["backlog_bytes"], forwarder["backlog"])
        self.assertGreaterEqual(forwarder["oldest_age_ms"], 0)
        self.assertIn(f"{forwarder['backlog']} records still to be copied "
                      f"({forwarder['backlog_bytes']} bytes, the oldest decided ", text)

    def test_no_broker(self):
        """The store is shown all the same, and why the rest is not; in two seconds and not for each
        endpoint."""
        topic = self.topic(retention_ms=-1)
        self.produce(topic, [{"value": "a"}])
        self.weir("run", COPY, "-i", f"in={self.uri(topic)}", "-o", "out=log:out", "--until-end")
        begun = time.monotonic()

        text, found = self.inspect("-X", "in:security.protocol=ssl")

        self.assertLess(time.monotonic() - begun, 60)
        self.assertIn(f"{topic}/0: next 1, watermark", text)
        self.assertIn("brokers (ends and markers outside are not known)\n  source in: cannot look "
                      f"up topic {topic}: no broker of {self.kafka} answers within ", text)
        self.assertIn("no broker", found["brokers"][0]["error"])
        self.assertEqual(found["inputs"][0]["next"], 1)
        self.assertNotIn("end", found["inputs"][0])

    def test_a_topic_that_is_gone(self):
        topic = self.topic(retention_ms=-1)
        self.produce(topic, [{"value": "a"}])
        self.weir("run", COPY, "-i", f"in={self.uri(topic)}", "-o", "out=log:out", "--until-end")
        self.tool("delete", topic)
        self.wait_for("the topic is gone", lambda: "there is no topic" in self.inspect()[0])

    def test_properties(self):
        """Those of weir run, refused as there."""
        self.refuses(78, "-X acks cannot be set", "inspect", "x.weir", "-X", "acks=1")
        self.refuses(64, "did you mean linger.ms?", "inspect", "x.weir", "-X", "linge.ms=1")


if __name__ == "__main__":
    main()
