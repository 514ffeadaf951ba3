"""What the tests on a real broker share: brokers, topics, the tests' own client, weir.

The broker is, in this order: $WEIR_KAFKA (HOST:PORT, somebody's own), the one that ctest started
for all tests (shared_broker.py), or one that this test starts and ends. A test that must kill or
pause its broker has one of its own, by own_broker().

A test file ends with `kafka_kit.main()`, which exits with 77 (skipped) where no broker can be had.

SPDX-License-Identifier: Apache-2.0
"""

import atexit
import functools
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "cli"), str(HERE.parent / "lib")]

from cli_kit import BUILD, COPY, COUNT, JOBS, ROOT, WEIR, CliTest  # for tests to import from here

TOOL = BUILD / "tests" / "kafka_tool"
BROKER = HERE / "broker"
SHARED = BUILD / "kafka-broker"
WAIT_SECONDS = 180  # for what takes a second: the machine may be busy
SKIPPED = 77
# What a broker says that drops the end of a transaction, its markers, as it starts.
DROPPED = "likely deleted already and hence can be skipped"

__all__ = ["BUILD", "COPY", "COUNT", "JOBS", "ROOT", "WEIR", "Broker", "KafkaTest", "Run", "main"]


def wait_for(what, condition, seconds=WAIT_SECONDS):
    """Calls condition() until it gives something true, and gives that."""
    give_up = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > give_up:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Broker:
    """A broker of its own, of which this process is the parent."""

    def __init__(self, folder, *options):
        self.folder = pathlib.Path(folder)
        self.address = self.act("up", *options, "--with-parent", os.getpid())

    def act(self, command, *options):
        done = subprocess.run([BROKER, command, self.folder, *map(str, options)],
                              capture_output=True, check=False)
        if done.returncode != 0:
            raise AssertionError(done.stderr.decode(errors="replace"))
        return done.stdout.decode().strip()

    def kill(self):
        self.act("kill")

    def start(self):
        self.act("start", "--with-parent", os.getpid())

    def pause(self):
        self.act("pause")

    def resume(self):
        self.act("resume")

    def down(self):
        self.act("down")

    def log(self):
        return self.act("log")

    def properties(self):
        """What librdkafka needs to get in, as ["NAME=VALUE", ...]: empty without --tls, --sasl."""
        return (self.folder / "client.properties").read_text().split()


class Run:
    """A weir that runs beside the test, its standard error in a file."""

    def __init__(self, test, args, env):
        test.runs += 1
        self.name = f"weir {' '.join(map(str, args))}"
        self.log = test.folder / f"run-{test.runs}.err"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([WEIR, *map(str, args)], cwd=test.folder,
                                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                            stderr=log, env={**os.environ, **env})

    def said(self):
        return self.log.read_text(errors="replace")

    def wait_until_says(self, text):
        def says():
            if text in self.said():
                return True
            if self.process.poll() is not None:
                raise AssertionError(f"{self} ended and never said {text!r}")
            return False
        wait_for(f"{self.name} says {text!r}", says)

    def kill(self):
        self.process.kill()
        return self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        """SIGTERM; gives its exit code."""
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        return self.end()

    def end(self):
        """Waits for it; gives its exit code."""
        try:
            return self.process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self} does not end") from None

    def __str__(self):
        return f"{self.name}: {self.process.poll()}; it said:\n{self.said()}"


class Wrong(AssertionError):
    """The verifier saw something lost, repeated, out of order or other than it must be."""


class KafkaTest(CliTest):
    """A test with a folder and a broker; what CliTest has, too: weir(), refuses(), query()..."""

    def setUp(self):
        super().setUp()
        self.runs = 0
        self.broker = None
        self.kafka = None  # HOST:PORT
        self.properties = []
        if self.uses_shared_broker():
            self.kafka = shared()

    def _callTestMethod(self, method):
        """That something does not end says nothing where the broker itself has lost the end of a
        transaction. What the verifier finds wrong is never excused."""
        try:
            super()._callTestMethod(method)
        except Wrong:
            raise
        except (AssertionError, subprocess.TimeoutExpired):
            if self.broker and DROPPED in self.broker.log():
                self.skipTest("the broker, started again after its kill, has not ended a "
                              "transaction that it had committed (docs/KAFKA.md, Limits)")
            raise

    def uses_shared_broker(self):
        """False in tests that call own_broker()."""
        return True

    def own_broker(self, *options):
        """A broker that may be killed, made with these options of tests/kafka/broker."""
        if os.environ.get("WEIR_KAFKA"):
            self.skipTest("it needs a broker to kill, and WEIR_KAFKA names one to be left alone")
        self.broker = Broker(self.folder / f"broker-{random.randrange(1 << 32):x}", *options)
        self.addCleanup(self.broker.kill)
        self.kafka = self.broker.address
        self.properties = self.broker.properties()
        return self.broker

    # The tests' own client

    def tool(self, *args, stdin=b"", code=0):
        """Runs kafka_tool; gives its output as bytes."""
        options = [word for one in self.properties for word in ("-X", one)]
        done = subprocess.run([TOOL, "-b", self.kafka, *options, *map(str, args)], input=stdin,
                              capture_output=True, timeout=WAIT_SECONDS)
        self.assertEqual(done.returncode, code, f"kafka_tool {' '.join(map(str, args))}: "
                         f"{done.returncode}\n{done.stderr.decode(errors='replace')}")
        return done.stdout

    def lines(self, *args):
        return [json.loads(line) for line in self.tool(*args).splitlines()]

    def topic(self, partitions=1, name="t", **config):
        """A new topic with a name that no other test has; min_insync_replicas=1 is the config
        min.insync.replicas=1."""
        topic = f"{name}-{random.randrange(1 << 48):x}"
        self.tool("create", topic, partitions,
                  *(f"{key.replace('_', '.')}={value}" for key, value in config.items()))
        return topic

    def produce(self, topic, records, *options):
        """Records as dictionaries: key, value, headers, time_ms, partition, as read() gives them;
        what is not there is absent, and Kafka's partition for that key."""
        text = "".join(json.dumps(record) + "\n" for record in records)
        self.tool("produce", topic, *options, stdin=text.encode())

    def generate(self, topic, count, *options):
        """Records that kafka_tool makes: --first, --keys, --size, --partitions."""
        self.tool("produce", topic, "--count", count, *options)

    def read(self, topic, *options, isolation="read_committed"):
        """All records there are now, as dictionaries, partitions mixed."""
        return self.lines("read", topic, "--isolation", isolation, *options)

    def read_to(self, path, topic, isolation="read_committed"):
        """The same in verify.py's format, for many."""
        path = self.folder / path
        path.write_bytes(self.tool("read", topic, "--format", "raw", "--isolation", isolation))
        return path

    def ends(self, topic):
        """For each partition: low, high, and stable, the end for a read_committed reader."""
        return self.lines("ends", topic)

    def records_in(self, topic):
        """Offsets used in a topic, control records and aborted ones too."""
        return sum(end["high"] for end in self.ends(topic))

    def stable_in(self, topic):
        """The same, up to the first open transaction."""
        return sum(end["stable"] for end in self.ends(topic))

    def wait_until_stable(self, topic):
        """No transaction hangs: read_committed ends where read_uncommitted does."""
        wait_for(f"no open transaction in {topic}",
                 lambda: all(end["stable"] == end["high"] for end in self.ends(topic)))

    def wait_for_records(self, topic, count):
        """Until a read_committed reader may see so many offsets."""
        return wait_for(f"{count} offsets in {topic}", lambda: self.stable_in(topic) >= count)

    def wait_for(self, what, condition):
        return wait_for(what, condition)

    def group(self, group, topic):
        """Of each partition: offset (None: none) and metadata, as committed."""
        return self.lines("group", group, topic)

    # weir

    def uri(self, topic, **parameters):
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        return f"kafka://{self.kafka}/{topic}" + ("?" + query if query else "")

    def start_weir(self, *args, env=None):
        """A Run; killed at the end of the test if it still runs."""
        run = Run(self, args, env or {})
        self.addCleanup(run.kill)
        return run

    def verify(self, *args, code=0):
        """Runs verify.py on files of read_to(); gives what it said."""
        done = subprocess.run([sys.executable, HERE / "verify.py", *map(str, args)],
                              cwd=self.folder, capture_output=True, check=False)
        said = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
        if done.returncode != code:
            raise Wrong(said)
        return said


def shared():
    """HOST:PORT of the broker that no test harms."""
    named = os.environ.get("WEIR_KAFKA")
    if named:
        return named
    up = subprocess.run([BROKER, "status", SHARED], capture_output=True, check=False)
    if up.returncode == 0:
        return up.stdout.split()[0].decode()
    return own_shared().address


@functools.cache
def own_shared():
    """One for all tests of this process, when no ctest has started one."""
    folder = tempfile.mkdtemp(prefix="weir-kafka.")
    broker = Broker(pathlib.Path(folder) / "broker", *SHARED_OPTIONS)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(broker.kill)
    return broker


# As most clusters are run, so that a deleted topic is not made again by whoever asks about it.
SHARED_OPTIONS = ["-c", "auto.create.topics.enable=false"]


def cannot():
    """Why there can be no broker; None when there can."""
    if os.environ.get("WEIR_KAFKA"):
        return None
    if os.environ.get("WEIR_KAFKA_SKIP"):
        return os.environ["WEIR_KAFKA_SKIP"]
    done = subprocess.run([BROKER, "fetch"], capture_output=True, check=False)
    return None if done.returncode == 0 else done.stderr.decode(errors="replace").strip()


def main():
    """Runs the tests of the file that calls it."""
    reason = cannot()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    done = unittest.main(exit=False, verbosity=1).result
    for test, why in done.skipped:
        print(f"skipped: {test}: {why}")
    if not done.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIPPED if done.testsRun == len(done.skipped) else 0)
