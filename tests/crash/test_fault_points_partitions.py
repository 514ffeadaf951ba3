"""`weir` killed at each fault point while it reads several partitions: after restarts each key has
the records of a run without a crash. How partitions take turns is open, so order is not compared.

SPDX-License-Identifier: Apache-2.0
"""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from crash_points import Configuration, add_tests

SMALL_EPOCHS = ("--epoch-records", 50)
KEYED = "in=gen:keyed?records=600&keys=20&size=40&partitions=4"

CONFIGURATIONS = [
    # State, windows over all partitions, every kind of sink: a key's records are in one partition.
    Configuration("partitions", "crash_all",
                  ["-i", KEYED, *SMALL_EPOCHS, "-D", "partitions=several", "-D", "late=100",
                   "--drain"], (1, 4), by_key=True),
    # A key's records in several partitions.
    Configuration("keys in several partitions", "copy",
                  ["-i", KEYED.replace("keys=20", "keys=21"), "-o", "out=log:out?partitions=3",
                   *SMALL_EPOCHS], (3,), by_key=True),
]


class FaultPointsOfPartitions(unittest.TestCase):
    """One test a fault point, added below."""

    @classmethod
    def setUpClass(cls):
        for configuration in CONFIGURATIONS:
            configuration.learn()


add_tests(FaultPointsOfPartitions, CONFIGURATIONS, needed=False)

if __name__ == "__main__":
    unittest.main()
