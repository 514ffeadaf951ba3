"""Time in the real program: what an undone epoch at the end of the input replays, and when an input
counts as idle. labels: threads

SPDX-License-Identifier: Apache-2.0
"""

import signal
import subprocess
import unittest

from cli_kit import JOBS, WEIR, CliTest

JOB = JOBS / "review_time.so"
ONE_EPOCH = ("--epoch-ms", "60000")  # the records are in the same epoch as what fails


class TimeTest(CliTest):
    def lines(self, *options, high=("100", "200"), low=("1", "2")):
        """What the job says, with these lines as its inputs."""
        (self.folder / "high.txt").write_text("".join(line + "\n" for line in high))
        (self.folder / "low.txt").write_text("".join(line + "\n" for line in low))
        for old in ("out.txt", "s.weir", "s.weir-wal", "s.weir-shm"):
            (self.folder / old).unlink(missing_ok=True)
        self.weir("run", "-q", "-s", "s.weir", *ONE_EPOCH, *options, JOB)
        return (self.folder / "out.txt").read_text().splitlines()

    def test_a_timer_that_fails_when_the_input_has_ended_is_replayed_with_its_records(self):
        # It fires when the lower of two inputs has ended. The undone epoch has all records; a run
        # that took the input for read would end well and leave them.
        unharmed = self.lines()
        self.assertIn("timer 52 fine", unharmed)
        for how in ("abort", "retry"):
            self.assertEqual(self.lines("-D", f"fail={how}"), unharmed, how)

    def test_a_timer_that_fails_at_the_end_of_time_does_not_make_records_late(self):
        unharmed = self.lines("--drain")
        self.assertIn("timer 250 fine", self.lines("--drain", low=()))
        self.assertFalse([line for line in unharmed if "late" in line])
        for how in ("abort", "retry"):
            self.assertEqual(self.lines("--drain", "-D", f"fail={how}"), unharmed, how)

    def test_a_retry_that_lasts_is_said_once_and_does_not_keep_the_run_from_stopping(self):
        (self.folder / "high.txt").write_text("100\n200\n")
        (self.folder / "low.txt").write_text("1\n2\n")
        run = subprocess.Popen([WEIR, "run", "-q", "-s", "s.weir", "-D", "fail=ever", JOB],
                               cwd=self.folder, stderr=subprocess.PIPE)
        try:
            self.assertIn(b"it fails; tried again in", run.stderr.readline())
            run.send_signal(signal.SIGTERM)
            self.assertEqual(run.stderr.read(), b"")
            self.assertEqual(run.wait(), 0)
        finally:
            run.kill()
            run.wait()
            run.stderr.close()
        self.assertNotIn("timer", (self.folder / "out.txt").read_text())

    def test_an_input_is_not_idle_because_the_operators_are_slow(self):
        # Two partitions, of which the second waits while the first one's records are slow.
        self.weir("run", "-q", "-s", "s.weir", "-D", "slow_ms=300", "-D", "idle_ms=100",
                  "-i", "low=gen:keyed?records=0", "-i", "high=gen:keyed?records=4096,partitions=2",
                  JOB)
        late = [line for line in (self.folder / "out.txt").read_text().splitlines()
                if line.startswith("record") and line.endswith("late")]
        self.assertEqual(late, [])

    def test_the_longest_idle_time_means_never(self):
        self.weir("run", "-q", "-s", "s.weir", "-D", f"idle_ms={2**63 - 1}",
                  "-i", "low=gen:keyed?records=0", "-i", "high=gen:keyed?records=4096,partitions=2",
                  JOB)
        late = [line for line in (self.folder / "out.txt").read_text().splitlines()
                if line.startswith("record") and line.endswith("late")]
        self.assertEqual(late, [])


if __name__ == "__main__":
    unittest.main()
