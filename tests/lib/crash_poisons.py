"""The job `poisons` while it rejects what fails, and while it takes dead letters again: what the
tests that kill it share.

SPDX-License-Identifier: Apache-2.0
"""

import subprocess

from crash_points import Configuration
from crash_runs import Job, SECONDS_MAX, WEIR

FIRST = "in=gen:keyed?records=300&keys=10&size=20"
REJECTING = ("--on-error", "reject", "--rejects", "file:dead.txt")


def weir_rejects(folder, *options):
    return subprocess.run([WEIR, "rejects", "job.weir", *options], cwd=folder, check=True,
                          capture_output=True, timeout=SECONDS_MAX).stdout


def queue(folder):
    """A first run leaves dead letters of each kind; all of them are queued."""
    Job("poisons", "-i", FIRST, *REJECTING, folder=folder).run()
    weir_rejects(folder, "--retry")


def rejecting(options=(), counts=(1, 4)):
    return Configuration("reject what fails", "poisons", ["-i", FIRST, *REJECTING, *options],
                         counts)


def retrying(mended, options=(), counts=(1, 4), first=FIRST.replace("300", "600")):
    return Configuration(f"take dead letters again, mended={mended}", "poisons",
                         ["-i", first, *REJECTING, "-D", f"mended={mended}", *options],
                         counts, prepare=queue)
