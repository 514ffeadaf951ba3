"""examples/systemd/weir@.service: systemd takes it without a warning; and its rules name each exit
code once, as the program has them. Skipped where systemd-analyze is missing.

SPDX-License-Identifier: Apache-2.0
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from cli_kit import ROOT, WEIR

UNIT = ROOT / "examples" / "systemd" / "weir@.service"
RESTARTED = {"unavailable", "io", "again"}


def exit_codes():
    """{name: number} of txn/base/error.h, without 0."""
    text = (ROOT / "txn" / "base" / "error.h").read_text()
    found = {name.lower(): int(number)
             for name, number in re.findall(r"WR_EXIT_(\w+) = (\d+)", text)}
    assert found.pop("ok") == 0 and len(found) >= 9
    return found


class Systemd(unittest.TestCase):
    def setUp(self):
        self.text = UNIT.read_text()

    def setting(self, name):
        found, = re.findall(rf"^{name}=(.*)$", self.text, re.M)
        return found

    @unittest.skipIf(shutil.which("systemd-analyze") is None, "needs systemd-analyze")
    def test_systemd_takes_it(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-systemd."))
        self.addCleanup(shutil.rmtree, folder)
        unit = folder / "weir@wordcount.service"
        unit.write_text(self.text.replace("/usr/local/bin/weir", str(WEIR)))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no",
                               unit], capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_each_exit_code_has_its_rule(self):
        codes = exit_codes()
        never = {int(code) for code in self.setting("RestartPreventExitStatus").split()}
        self.assertEqual(never, {codes[name] for name in codes if name not in RESTARTED})
        self.assertEqual(self.setting("Restart"), "on-failure")
        comments = "\n".join(re.findall(r"^#(.*)$", self.text, re.M))
        for number in codes.values():
            self.assertRegex(comments, rf"\b{number}  ", number)

    # The bounded wait of a stop, and some more.
    def test_a_stop_has_its_time(self):
        waits = re.search(r"END_WAIT_MS = (\d+)", (ROOT / "engine" / "loop.c").read_text())
        self.assertGreater(int(self.setting("TimeoutStopSec")) * 1000, int(waits[1]))


if __name__ == "__main__":
    sys.exit(unittest.main())
