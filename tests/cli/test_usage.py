"""The command line of `weir`: help that teaches, and mistakes that are named with what was meant.

SPDX-License-Identifier: Apache-2.0
"""

import unittest

from cli_kit import CONFIG, COPY, CliTest, JOBS, NO_INPUT, USAGE

SUBCOMMANDS = ["run", "inspect", "verify", "topics", "produce", "consume", "rejects", "backup",
               "bench"]


class Help(CliTest):
    def test_version(self):
        """--version says which weir, and with which libraries."""
        out, _ = self.weir("--version")
        self.assertRegex(out.decode(), r"^weir 0\.1\.0 \(SQLite 3\.\d+.*\)\n$")
        self.assertEqual(self.weir("version")[0], out)

    def test_alone_it_prints_usage_and_64(self):
        out, err = self.weir(code=USAGE)
        self.assertEqual(out, b"")
        for name in SUBCOMMANDS:
            self.assertIn(f"  weir {name} ", err.decode())

    def test_help_of_all_and_of_each(self):
        """Each subcommand has help with an example, the same in all three ways to ask for it."""
        self.assertIn("weir run build/examples/wordcount.so", self.weir("--help")[0].decode())
        self.assertEqual(self.weir("help")[0], self.weir("-h")[0])
        for name in SUBCOMMANDS:
            out, err = self.weir(name, "--help")
            text = out.decode()
            self.assertEqual(err, b"")
            self.assertEqual(self.weir("help", name)[0], out)
            self.assertEqual(self.weir(name, "-h")[0], out)
            self.assertTrue(text.startswith(f"usage: weir {name} "))
            self.assertRegex(text, "\nExamples?\n  ")
        self.assertIn("Exit codes", self.weir("help", "run")[0].decode())

    def test_help_fits_a_terminal(self):
        for args in [["--help"]] + [["help", name] for name in SUBCOMMANDS]:
            for line in self.weir(*args)[0].decode().splitlines():
                self.assertLessEqual(len(line), 80, line)

    def test_help_names_every_option_of_run(self):
        text = self.weir("help", "run")[0].decode()
        names = """input output store delivery epoch-records epoch-ms positions-ms forward-ms sync
                   cache wal-max until-end drain on-error rejects rejects-max define rename
                   drop-state rewind config check stats quiet verbose property marker-from"""
        for option in names.split():
            self.assertIn(f"--{option} ", text)

    def test_later_options_are_absent(self):
        text = self.weir("help", "run")[0].decode()
        for option in ["--shards", "--metrics"]:
            self.assertNotIn(option, text)
            self.refuses(USAGE, f"unknown option {option}", "run", COPY, option, "x")


KAFKA = ["--check", COPY, "-i", "in=kafka://h:9092/a", "-o", "out=kafka://h:9092/b"]


class Kafka(CliTest):
    """What is said of Kafka on the command line; no broker is asked."""

    def test_check_lists_brokers_topics_and_names_of_properties(self):
        """Values of -X are not shown, wherever they come from."""
        (self.folder / "secret").write_text("hunter2\n")
        out, err = self.weir("run", *KAFKA, "-X", "security.protocol=sasl_ssl",
                             "-X", "in:sasl.password=hunter2", "-X", "ssl.key.password=@secret")
        text = out.decode()
        for line in ["input  in kafka://h:9092/a", "output out kafka://h:9092/b from in",
                     "kafka  security.protocol=...", "kafka  in:sasl.password=...",
                     "kafka  ssl.key.password=..."]:
            self.assertIn(line + "\n", text)
        self.assertNotIn("hunter2", text + err.decode())
        self.assertEqual(self.files(), ["secret"])

    def test_properties_that_are_wrong(self):
        """The nearest right one or what it takes is said, the value never."""
        for given, text in [
                ("securty.protocol=hunter2", "did you mean security.protocol?"),
                ("sasl.usrname=hunter2", "did you mean sasl.username?"),
                ("security.protocol=hunter2", "it takes plaintext, ssl"),
                ("linger.ms=hunter2", "it takes 0 .. 900000"),
                ("error_cb=hunter2", "does not take that value"),
                ("zzzzzzzz=hunter2", "no property of librdkafka; its CONFIGURATION.md"),
                ("hunter2", "[NAME:]PROPERTY=VALUE"),
                ("=hunter2", "[NAME:]PROPERTY=VALUE"),
                ("a b:linger.ms=5", "no name of a source or sink"),
                ("ot:linger.ms=5", "did you mean `out`?"),
                ("zebra:linger.ms=5", "no source or sink of Kafka of this name")]:
            err = self.refuses(USAGE, text, "run", *KAFKA, "-X", given)
            self.assertNotIn("hunter2", err)
        self.refuses(NO_INPUT, "cannot open no/such", "run", *KAFKA, "-X", "ssl.ca.pem=@no/such")

    def test_properties_that_the_protocol_owns(self):
        for name in ["isolation.level", "enable.auto.commit", "enable.auto.offset.store",
                     "auto.commit.interval.ms", "auto.offset.reset", "transactional.id",
                     "group.id", "group.instance.id", "enable.idempotence", "acks",
                     "request.required.acks", "max.in.flight",
                     "max.in.flight.requests.per.connection", "partition.assignment.strategy",
                     "bootstrap.servers", "metadata.broker.list", "enable.partition.eof",
                     "delivery.report.only.error", "plugin.library.paths"]:
            self.refuses(CONFIG, f"-X {name} cannot be set", "run", *KAFKA, "-X", f"out:{name}=1")

    def test_what_is_for_kafka_alone(self):
        """Said of a job that has nothing to do with Kafka, it is a mistake."""
        self.refuses(USAGE, "neither reads nor writes", "run", "--check", COPY, "-i",
                     "in=file:a", "-X", "linger.ms=5")
        self.refuses(USAGE, "is for sinks of Kafka", "run", "--check", COPY, "-i",
                     "in=kafka://h/a", "--marker-from", "store")
        self.refuses(USAGE, "did you mean store?", "run", *KAFKA, "--marker-from", "stoer")
        self.refuses(USAGE, "both write to kafka://i:1,h:9092/b", "run", *KAFKA, "--rejects",
                     "kafka://i:1,h:9092/b")

    def test_properties_in_a_file(self):
        """Config files have them too, by the long name; the environment may hold the secret."""
        file = self.folder / "job.conf"
        file.write_text("property sasl.password=${HOME}x\nproperty out:linger.ms=7\n"
                        "marker-from store\n")
        out, _ = self.weir("run", *KAFKA, "-c", "job.conf")
        self.assertIn("kafka  sasl.password=...\nkafka  out:linger.ms=...\n", out.decode())
        file.write_text("\nproperty linger.ms=hunter2\n")
        err = self.refuses(USAGE, "job.conf:2: -X linger.ms", "run", *KAFKA, "-c", "job.conf")
        self.assertNotIn("hunter2", err)


class Mistakes(CliTest):
    def test_misspelt_subcommand(self):
        self.refuses(USAGE, "did you mean weir inspect?", "inspekt", "x.weir")
        self.refuses(USAGE, "unknown subcommand zebra", "zebra")
        self.refuses(USAGE, "unknown subcommand zebra", "help", "zebra")
        self.refuses(USAGE, "did you mean --version?", "--versoin")

    def test_misspelt_option(self):
        """The nearest right one is named, and a prefix is no option."""
        for given, meant in [("--epoch-record=5", "--epoch-records"), ("--until", "--until-end"),
                             ("--untill-end", "--until-end"), ("--imput=a=b", "--input"),
                             ("--outptu=a=b", "--output"), ("--deliver=x", "--delivery")]:
            self.refuses(USAGE, f"did you mean {meant}?", "run", COPY, given)
        self.refuses(USAGE, "did you mean --follow?", "consume", "x.weir", "t", "--folow")
        self.assertEqual(self.files(), [])

    def test_values_out_of_range(self):
        """The range is named."""
        for args, text in [
                (["--epoch-records", "0"], "from 1 to 16777216"),
                (["--epoch-records", "12x"], '--epoch-records is "12x"'),
                (["--epoch-ms", "-1"], "from 1 to 3600000"),
                (["--positions-ms", "99999999"], "from 0 to 3600000"),
                (["--forward-ms", ""], "from 1 to 3600000"),
                (["--cache", "2T"], "from 0 to 1024G"),
                (["--wal-max", "1"], "from 1M to 1024G"),
                (["--sync", "ful"], "did you mean full?"),
                (["--sync", "zebra"], "it takes full, normal or off"),
                (["--delivery", "exactly-onc"], "did you mean exactly-once?"),
                (["-d", "at-lest-once"], "did you mean at-least-once?"),
                (["--drop-state", "a b"], "it takes the name of a node"),
                (["--rename", "old"], "it takes OLD=NEW"),
                (["--rejects-max", "x"], "from 0 to"),
                (["--on-error", "sto"], "did you mean stop?"),
                (["-i", "nonsense"], '--input is "nonsense"; it takes NAME=URI'),
                (["-D", "=x"], '--define is "=x"; it takes NAME=VALUE'),
                (["-s"], "option -s needs a value, FILE"),
                (["--check=yes"], "option --check takes no value"),
        ]:
            self.refuses(USAGE, text, "run", COPY, *args)
        self.assertEqual(self.files(), [])

    def test_operands(self):
        self.refuses(USAGE, "JOB.so is missing", "run")
        self.refuses(USAGE, "two jobs, a.so and b.so", "run", "a.so", "b.so")
        for name in ["inspect", "verify", "topics", "rejects"]:
            self.refuses(USAGE, "STORE is missing", name)
            self.refuses(USAGE, "one argument too many", name, "a.weir", "b.weir")
        for name in ["produce", "consume"]:
            self.refuses(USAGE, "STORE is missing", name)
            self.refuses(USAGE, "TOPIC is missing", name, "a.weir")
            self.refuses(USAGE, "one argument too many", name, "a.weir", "b", "c")
        self.assertEqual(self.files(), [])

    def test_fault_that_does_not_exist(self):
        env = {"WEIR_FAULT": "decide_befor_end:2"}
        self.refuses(USAGE, "did you mean decide_before_end?", "topics", "x.weir", env=env)


class Loading(CliTest):
    def test_no_such_job(self):
        self.refuses(NO_INPUT, "cannot open the job nowhere.so", "run", "nowhere.so")

    def test_not_a_shared_object(self):
        (self.folder / "text.so").write_text("this is no program\n")
        self.refuses(CONFIG, "cannot load the job text.so", "run", "text.so")

    def test_a_name_without_slash_is_this_folders(self):
        """As ./NAME: what is loaded must not depend on the linker's path."""
        (self.folder / "mine.so").symlink_to(COPY)
        (self.folder / "in.txt").write_text("a\n")
        self.weir("run", "mine.so", "-o", "out=null:")
        self.assertIn("copy.weir", self.files())

    def test_a_file_name_that_is_no_job_name(self):
        """Names the store all the same, with _ for what a name may not have."""
        (self.folder / "my picky job.so").symlink_to(JOBS / "cli_picky.so")
        (self.folder / "in.txt").write_text("a\n")
        self.weir("run", "my picky job.so", "-i", "in=file:in.txt")
        self.assertIn("my_picky_job.weir", self.files())

    def test_a_library_that_is_no_job(self):
        self.refuses(CONFIG, "has no weir_define", "run", JOBS / "cli_no_job.so")

    def test_a_job_for_another_abi(self):
        """Said even when it wants functions that this weir does not have."""
        self.refuses(CONFIG, "was compiled for ABI 2, this weir has 1: compile it again", "run",
                     JOBS / "cli_other_abi.so")

    def test_a_job_that_wants_more_than_there_is(self):
        self.refuses(CONFIG, "weir_of_a_later_version", "run", JOBS / "cli_unresolved.so")


if __name__ == "__main__":
    unittest.main()
