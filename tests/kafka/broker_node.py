"""A Kafka broker of the tests: one process, one folder with all it has, started and stopped.

SPDX-License-Identifier: Apache-2.0
"""

import base64
import contextlib
import json
import os
import pathlib
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid

from broker_jars import NO_BROKER, NO_FOLDER, NOT_STARTED, USAGE, Failure, Jars, last_lines, \
    run_quietly

HOST = "127.0.0.1"
START_SECONDS_MAX = 120
STOP_SECONDS_MAX = 20
SAYS_STARTED = b"Kafka Server started"
USER, PASSWORD = "weir", "secret"
# Below the ports that outgoing connections get, which could take one while its broker is away.
PORTS = range(15000, 32000)

# What starts fastest here: the compiler's second stage pays only after a minute.
JVM = ["-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]

LOG4J = """log4j.rootLogger=INFO, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{HH:mm:ss.SSS} %p %m%n
"""

PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "INTERNAL",
    # One node holds all replicas, and few internal partitions are made quickly.
    "offsets.topic.num.partitions": "3",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "3",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # A broker that was killed is let in again only when the one before it counts as dead: this
    # long after the start (9 s by default).
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "200",
    # Transactions whose time is over are aborted at once (10 s by default).
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    # Records of tests may be as old as they like.
    "log.retention.ms": "-1",
    # Small, for two cores and 512 MB.
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "log.cleaner.dedupe.buffer.size": "4194304",
}


# ---- Processes


def start_time(pid):
    """When a process started, in the kernel's ticks; None when it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def wait_for_end(process, seconds):
    return bool(select.select([process], [], [], seconds)[0])


def end_with_parent(parent, process):
    """Leaves a process behind that kills the broker when `parent` ends, and ends with it."""
    if os.fork() != 0:
        os.wait()
        return
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    ended = select.select([parent, process], [], [])[0]
    if process not in ended:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGKILL)
    os._exit(0)


def can_listen(port):
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port():
    for port in random.sample(PORTS, 1000):
        if can_listen(port):
            return port
    raise Failure(NOT_STARTED, "no free port was found")


class Broker:
    """All of it is in its folder: broker.json says how it is started, and which process it is."""

    def __init__(self, folder):
        self.folder = folder
        self.notes = folder / "broker.json"
        self.log = folder / "log"
        self.data = folder / "data"

    def read_notes(self):
        try:
            return json.loads(self.notes.read_text())
        except FileNotFoundError as error:
            raise Failure(NO_BROKER, f"{self.folder} holds no broker; make one with: "
                                     f"broker up {self.folder}") from error

    def write_notes(self, notes):
        fresh = self.folder / "broker.json.new"
        fresh.write_text(json.dumps(notes, indent=2) + "\n")
        fresh.rename(self.notes)

    def address(self):
        return f"{HOST}:{self.read_notes()['port']}"

    def process(self):
        """A descriptor of its process, which cannot become another's; None when it does not run."""
        pid, started = self.read_notes().get("process") or (0, 0)
        if start_time(pid) != started:
            return None
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        if start_time(pid) == started:
            return process
        os.close(process)
        return None

    def signal(self, number):
        """True when there was a process to send it to."""
        process = self.process() if self.notes.exists() else None
        if process is None:
            return False
        with os.fdopen(process):
            signal.pidfd_send_signal(process, number)
            if number == signal.SIGKILL:
                wait_for_end(process, STOP_SECONDS_MAX)
        return True

    def stop(self, seconds=STOP_SECONDS_MAX):
        process = self.process()
        if process is None:
            return False
        with os.fdopen(process):
            signal.pidfd_send_signal(process, signal.SIGCONT)
            signal.pidfd_send_signal(process, signal.SIGTERM)
            if not wait_for_end(process, seconds):
                signal.pidfd_send_signal(process, signal.SIGKILL)
                wait_for_end(process, STOP_SECONDS_MAX)
        return True

    # Making one

    def make(self, kit, port, properties, security, jvm):
        """Lays out the folder; nothing runs yet."""
        if self.notes.exists():
            raise Failure(USAGE, f"{self.folder} holds a broker already; "
                                 f"broker start {self.folder} starts it again")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if any(self.folder.iterdir()):
                raise Failure(NO_FOLDER, f"{self.folder} is not empty, and not a broker's")
        except OSError as error:
            raise Failure(NO_FOLDER, f"cannot make {self.folder}: {error.strerror}") from error
        chosen = {**PROPERTIES, "log.dirs": str(self.data), **self.secure(security), **properties}
        notes = {"version": kit.version, "java": kit.java, "jvm": jvm, "port": port,
                 "any_port": port == 0, "properties": chosen, "security": security or "PLAINTEXT"}
        self.place(notes)
        self.format(kit, security)
        self.write_notes(notes)

    def place(self, notes):
        """Gives it ports: the clients', its own, the controller's."""
        client = notes["port"] = free_port() if notes["any_port"] else notes["port"]
        own, controller = free_port(), free_port()
        listeners = f"CLIENT://{HOST}:{client},INTERNAL://{HOST}:{own}"
        lines = {
            "listeners": f"{listeners},CONTROLLER://{HOST}:{controller}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map":
                f"CLIENT:{notes['security']},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.quorum.voters": f"1@{HOST}:{controller}",
            **notes["properties"]
        }
        text = "".join(f"{name}={value}\n" for name, value in lines.items())
        (self.folder / "server.properties").write_text(text)

    def format(self, kit, security):
        cluster, folder_id = (base64.urlsafe_b64encode(uuid.uuid4().bytes)[:22].decode()
                              for _ in range(2))
        if kit.formatted.exists() and not (security or "").startswith("SASL"):
            shutil.copytree(kit.formatted, self.data)
            (self.data / "meta.properties").write_text(
                f"version=1\nnode.id=1\ncluster.id={cluster}\ndirectory.id={folder_id}\n")
            return
        command = [kit.java, "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp",
                   kit.classpath(), "kafka.tools.StorageTool", "format", "-t", cluster,
                   "-c", str(self.folder / "server.properties")]
        if (security or "").startswith("SASL"):
            for kind in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
                command += ["--add-scram", f"{kind}=[name={USER},password={PASSWORD}]"]
        run_quietly(command, NOT_STARTED, f"format {self.data}")

    def secure(self, security):
        """Makes certificates and users as asked for, and client.properties, which says how
        librdkafka gets in."""
        broker, client = {}, {}
        if security:
            client["security.protocol"] = security.lower()
        if "SSL" in (security or ""):
            self.make_certificates()
            broker |= {"listener.name.client.ssl.keystore.type": "PEM",
                       "listener.name.client.ssl.keystore.location": self.folder / "broker.pem"}
            client["ssl.ca.location"] = self.folder / "ca.pem"
        if "SASL" in (security or ""):
            module = "org.apache.kafka.common.security"
            prefix = "listener.name.client"
            broker |= {
                f"{prefix}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
                f"{prefix}.plain.sasl.jaas.config":
                    f'{module}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'}
            for kind in ("scram-sha-256", "scram-sha-512"):
                broker[f"{prefix}.{kind}.sasl.jaas.config"] = \
                    f"{module}.scram.ScramLoginModule required;"
            client |= {"sasl.mechanism": "PLAIN", "sasl.username": USER,
                       "sasl.password": PASSWORD}
        text = "".join(f"{name}={value}\n" for name, value in client.items())
        (self.folder / "client.properties").write_text(text)
        return {name: str(value) for name, value in broker.items()}

    def make_certificates(self):
        """ca.pem signs broker.pem: key, certificate and the authority's, in one file."""
        names = self.folder / "names"
        names.write_text(f"subjectAltName=IP:{HOST},DNS:localhost\n")
        new_key = "-newkey rsa:2048 -nodes -keyout".split()
        for step in (
                ["req", "-x509", *new_key, "ca.key", "-out", "ca.pem", "-days", "3650",
                 "-subj", "/CN=weir test authority"],
                ["req", *new_key, "broker.key", "-out", "broker.csr", "-subj", "/CN=localhost"],
                ["x509", "-req", "-in", "broker.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                 "-CAcreateserial", "-days", "3650", "-extfile", "names", "-out", "broker.crt"]):
            run_quietly([shutil.which("openssl") or "openssl", *step], NOT_STARTED,
                        "make certificates", cwd=self.folder)
        parts = ("broker.key", "broker.crt", "ca.pem")
        (self.folder / "broker.pem").write_text(
            "".join((self.folder / part).read_text() for part in parts))

    # Starting it

    def start(self, parent=None):
        notes = self.read_notes()
        running = self.process()
        if running is not None:
            os.close(running)
            raise Failure(USAGE, f"the broker in {self.folder} runs already")
        for _ in range(5):
            try:
                self.start_once(notes, parent)
                return
            except Failure as failure:
                moved = notes["any_port"] and "Address already in use" in str(failure)
                if not moved or notes.get("was_up"):
                    raise
            self.place(notes)
        raise Failure(NOT_STARTED, "each port that was free was taken a moment later")

    def start_once(self, notes, parent):
        kit = Jars(notes["version"])
        command = [notes["java"], *notes["jvm"]]
        if kit.archive.exists() and kit.archive.stat().st_size > 0:
            command += ["-Xshare:auto", f"-XX:SharedArchiveFile={kit.archive}"]
        if kit.version.startswith("3."):
            settings = self.folder / "log4j.properties"
            settings.write_text(LOG4J)
            command.append(f"-Dlog4j.configuration=file:{settings}")
        logger = "-Dorg.slf4j.simpleLogger."
        command += [logger + "showDateTime=true", logger + "dateTimeFormat=HH:mm:ss.SSS",
                    logger + "showThreadName=false", logger + "showShortLogName=true",
                    "-cp", kit.classpath(), "kafka.Kafka", str(self.folder / "server.properties")]
        with open(self.log, "ab") as log:
            logged = log.tell()
            child = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL,
                                     stdout=log, stderr=log, start_new_session=True)
        process = os.pidfd_open(child.pid)
        try:
            self.write_notes({**notes, "process": [child.pid, start_time(child.pid)]})
            if parent is not None:
                end_with_parent(parent, process)
            self.wait_until_started(child, logged)
            self.write_notes({**notes, "was_up": True,
                              "process": [child.pid, start_time(child.pid)]})
        except BaseException:
            child.kill()
            child.wait()
            raise
        finally:
            os.close(process)

    def wait_until_started(self, child, logged):
        give_up = time.monotonic() + START_SECONDS_MAX
        with open(self.log, "rb") as log:
            log.seek(logged)
            said = b""
            while SAYS_STARTED not in said:
                if child.poll() is not None or time.monotonic() > give_up:
                    said += log.read()
                    what = "did not start in time" if child.returncode is None else \
                        f"ended with {child.returncode}"
                    text = said.decode(errors="replace")
                    why = [line for line in text.splitlines() if re.search("ERROR|Exception", line)]
                    raise Failure(NOT_STARTED, f"the broker in {self.folder} {what}; in its log:\n"
                                  + last_lines("\n".join(why[:12]) or text, 12))
                time.sleep(0.02)
                said += log.read()


def rehearse(kit):
    """Starts and stops a broker once, for what the next ones start faster with. A failure is not
    said here: who starts a broker sees it then."""
    with tempfile.TemporaryDirectory(prefix="rehearsal.", dir=kit.folder) as folder:
        broker = Broker(pathlib.Path(folder) / "broker")
        classes = pathlib.Path(folder) / "classes.jsa"
        try:
            broker.make(kit, 0, {}, None, [*JVM, f"-XX:ArchiveClassesAtExit={classes}"])
            shutil.rmtree(kit.formatted, ignore_errors=True)
            shutil.copytree(broker.data, kit.formatted)
            broker.start()
            broker.stop(START_SECONDS_MAX)
            classes.rename(kit.archive)
        except (Failure, OSError):
            broker.signal(signal.SIGKILL)
            kit.archive.touch()  # of no use, and not tried again


def fetch(version):
    kit = Jars(version)
    kit.fetch(rehearse)
    return kit
