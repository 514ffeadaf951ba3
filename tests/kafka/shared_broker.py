"""The broker that all tests of one ctest run share: `up` before the first of them, `down` after the
last. It lives in $WEIR_BUILD/kafka-broker, where kafka_kit.py finds it, and dies with ctest.
`$WEIR_BUILD/kafka-broker/address` has HOST:PORT, for tests in C.

SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib
import shutil
import subprocess
import sys

import kafka_kit


def parent_of(pid):
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text(errors="replace")
    return int(stat.rpartition(")")[2].split()[1])


def broker(*words):
    return subprocess.run([kafka_kit.BROKER, *map(str, words)], stderr=subprocess.STDOUT,
                          stdout=subprocess.PIPE, check=False)


def up():
    # ctest runs scratch.sh, which runs this.
    ctest = parent_of(os.getppid())
    down()
    done = broker("up", kafka_kit.SHARED, *kafka_kit.SHARED_OPTIONS, "--with-parent", ctest)
    print(done.stdout.decode(errors="replace"), end="")
    if done.returncode == 0:
        (kafka_kit.SHARED / "address").write_bytes(done.stdout)
    return done.returncode


def down():
    """Without ceremony: all of it goes."""
    if kafka_kit.SHARED.exists():
        broker("kill", kafka_kit.SHARED)
        shutil.rmtree(kafka_kit.SHARED)
    return 0


if __name__ == "__main__":
    why = kafka_kit.cannot()
    if why:
        print(f"skipped: {why}")
        sys.exit(kafka_kit.SKIPPED)
    if os.environ.get("WEIR_KAFKA"):
        print("WEIR_KAFKA names a broker")
        sys.exit(0)
    sys.exit({"up": up, "down": down}[sys.argv[1]]())
