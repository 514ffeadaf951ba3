"""The example job access_log over a real log, killed in the middle, against what Python finds.

The log is access.log in $WEIR_TEST_DATA, by default in ../shared/data beside the project. Without
it the test is skipped, and says so.
SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib
import sys
import unittest

import test_examples_access_log as made_up
from example_kit import ROOT

LOG = pathlib.Path(os.environ.get("WEIR_TEST_DATA", ROOT.parent / "shared" / "data"), "access.log")


class RealLog(made_up.LogTest):
    def test_real_log(self):
        lines = LOG.read_bytes().split(b"\n")[:-1]
        job = self.job("access_log", "a.weir", "-i", f"lines=file:{LOG}", "--epoch-records", 100)
        job.run_with_kills(LOG.stat().st_size)
        self.check(job, lines)
        self.assertGreater(len(made_up.count(lines)[0]), len(lines) * 9 // 10)


if __name__ == "__main__":
    if not LOG.exists():
        print(f"skipped: there is no {LOG}; set WEIR_TEST_DATA to a folder that has an access.log")
        sys.exit(77)
    unittest.main()
