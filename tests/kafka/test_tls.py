"""kafka, own broker: TLS and a password by -X: it works, from a file of options too;
what is wrong is said with its cause; and the password is in no output, however much is asked for.

SPDX-License-Identifier: Apache-2.0
"""

from kafka_kit import COPY, KafkaTest, main


class Tls(KafkaTest):
    def uses_shared_broker(self):
        return False

    def setUp(self):
        super().setUp()
        self.own_broker("--tls", "--sasl")
        self.given = dict(one.split("=", 1) for one in self.properties)
        self.secret = self.given["sasl.password"]

    def options(self, **changed):
        """-X for each property, with ssl_ca_location=None without it."""
        given = {**self.given, **{name.replace("_", "."): value
                                  for name, value in changed.items()}}
        return [word for name, value in given.items() if value is not None
                for word in ("-X", f"{name}={value}")]

    def test_all_from_a_file(self):
        """Options, and the password in another file; nothing at -v or of librdkafka's has it."""
        source, target = self.topic(2, retention_ms=-1), self.topic(retention_ms=-1)
        self.generate(source, 100)
        (self.folder / "password").write_text(self.secret + "\n")
        given = {**self.given, "sasl.password": "@password", "debug": "security,conf,broker"}
        (self.folder / "kafka.conf").write_text(
            "".join(f"property {name}={value}\n" for name, value in given.items())
            + f"input in={self.uri(source)}\noutput out={self.uri(target)}\nuntil-end\n")

        _, err = self.weir("run", COPY, "-c", "kafka.conf", "-v")

        self.assertEqual(len(self.read(target)), 100)
        self.assertIn(b"librdkafka: ", err)
        shown = self.weir("inspect", "copy.weir", *self.options())[0]
        self.assertIn(b"end 50, lag 0, ", shown)
        for text in (err, shown, (self.folder / "copy.weir").read_bytes()):
            self.assertNotIn(b"password=" + self.secret.encode(), text)
            self.assertNotIn(self.secret.encode() + b"\n", text)

    def test_what_is_wrong_is_said(self):
        """Password, authority, protocol: the line says which."""
        source = self.topic(retention_ms=-1)
        for text, changed in [
                ("Authentication failed", {"sasl_password": "wrong"}),
                ("certificate verify failed", {"ssl_ca_location": None}),
                ("no broker of", {"security_protocol": "sasl_plaintext"}),
                ("no broker of", {"security_protocol": "plaintext"})]:
            run = self.start_weir("run", COPY, "-s", f"{len(text)}.weir", "-i",
                                  f"in={self.uri(source)}", "-o", "out=log:out",
                                  *self.options(**changed))
            run.wait_until_says("it is tried again until one answers")
            self.assertIn(text, run.said())
            self.assertNotIn("wrong", run.said())
            run.kill()


if __name__ == "__main__":
    main()
