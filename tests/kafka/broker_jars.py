"""What a Kafka broker of the tests is started from: its jars, fetched once by Maven into a cache,
and two things that make a start faster.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
VERSIONS = ("4.3.1", "3.9.1")
LOGGERS = {"3": "slf4j-reload4j"}  # by Kafka's first digit; else pom.xml's own
JAVA_VERSION_MIN = 17  # of Kafka 4
USAGE, NO_BROKER, UNAVAILABLE, NO_FOLDER, NOT_STARTED = 64, 66, 69, 73, 75


class Failure(Exception):
    """Ends the program with a text and an exit code."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def cache_folder():
    named = os.environ.get("WEIR_KAFKA_CACHE")
    if named:
        return pathlib.Path(named).resolve()
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(home).resolve() / "weir-kafka"


def find_java():
    home = os.environ.get("JAVA_HOME")
    found = shutil.which(os.path.join(home, "bin", "java")) if home else shutil.which("java")
    if not found:
        raise Failure(UNAVAILABLE, "no java; on Debian or Ubuntu: "
                                   "sudo apt-get install default-jre-headless maven")
    return os.path.realpath(found)


def need_version(java):
    said = subprocess.run([java, "-version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False).stdout.decode(errors="replace")
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    if not version or int(version[1]) < JAVA_VERSION_MIN:
        raise Failure(UNAVAILABLE, f"{java} is not Java {JAVA_VERSION_MIN} or later: "
                      + said.partition("\n")[0])


def last_lines(text, count):
    return "\n".join("    " + line for line in text.strip().splitlines()[-count:])


def run_quietly(command, code, doing, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **options)
    if done.returncode != 0:
        raise Failure(code, f"cannot {doing}: {command[0]} ended with {done.returncode}:\n"
                      + last_lines(done.stdout.decode(errors="replace"), 12))


class Jars:
    """One version's part of the cache: jars, an archive of their loaded classes, a formatted
    folder. The last two only save time: a start without them takes two seconds more."""

    def __init__(self, version):
        self.version = version
        self.java = find_java()
        self.folder = cache_folder() / f"kafka-{version}"
        self.jars = self.folder / "jars"
        self.formatted = self.folder / "formatted"
        stat = os.stat(self.java)
        mark = hashlib.sha256(f"{self.java} {stat.st_mtime_ns} {stat.st_size}".encode())
        self.archive = self.folder / f"classes-{mark.hexdigest()[:12]}.jsa"

    def classpath(self):
        return ":".join(sorted(map(str, self.jars.glob("*.jar"))))

    @contextlib.contextmanager
    def lock(self):
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = open(self.folder / "lock", "w")
        except OSError as error:
            raise Failure(UNAVAILABLE, f"cannot use the cache {self.folder}: {error.strerror}; "
                                       "name another with WEIR_KAFKA_CACHE") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def fetch(self, rehearse):
        """Has all of it afterwards, or fails; a second call does nothing. `rehearse` makes
        `formatted` and `archive`."""
        if self.jars.exists() and self.archive.exists():
            return
        need_version(self.java)
        with self.lock():
            if not self.jars.exists():
                self.fetch_jars()
            if not self.archive.exists():
                rehearse(self)

    def fetch_jars(self):
        maven = shutil.which("mvn")
        if not maven:
            raise Failure(UNAVAILABLE, "no mvn, and Kafka's jars are not in the cache; on Debian "
                                       "or Ubuntu: sudo apt-get install maven")
        fresh = self.folder / "jars.new"
        shutil.rmtree(fresh, ignore_errors=True)
        command = [maven, "-q", "-B", "-f", str(HERE / "pom.xml"), f"-Dkafka={self.version}",
                   "dependency:copy-dependencies", f"-DoutputDirectory={fresh}"]
        logger = LOGGERS.get(self.version.split(".")[0])
        if logger:
            command.append(f"-Dlogger={logger}")
        run_quietly(command, UNAVAILABLE, f"fetch the jars of Kafka {self.version}", cwd="/")
        fresh.rename(self.jars)
