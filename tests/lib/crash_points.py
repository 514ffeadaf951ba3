"""A job killed at a fault point and started again, compared with a run without a crash.

SPDX-License-Identifier: Apache-2.0
"""

import concurrent.futures

from crash_results import Results, check
from crash_runs import Job, fault_points

AT_ONCE = 3  # they wait for the disk most of the time

# A point that is passed only after another crash: the file is then longer than its marker.
AFTER = {"cut_before": "forward_after_sync:2", "cut_after": "forward_after_sync:2"}


class Configuration:
    """A job, its input and options; and what a run without a crash gives."""

    def __init__(self, name, job, options, counts, by_key=False, prepare=None):
        self.name, self.job, self.options, self.counts = name, job, options, counts
        self.by_key, self.prepare = by_key, prepare
        self.expected = None

    def make(self):
        job = Job(self.job, *self.options)
        if self.prepare:
            self.prepare(job.folder)
        return job

    def learn(self):
        job = self.make()
        job.run()
        job.verify()
        self.expected = Results().read(job)
        job.remove()

    def crash(self, point, count):
        """True when the point was passed so often, and all came out as without a crash."""
        job = self.make()
        if point in AFTER and job.run(AFTER[point]):
            return False
        if job.run(f"{point}:{count}"):
            job.remove()
            return False
        job.verify()
        if not job.run(f"{point}:{count}"):
            job.run()
        check(self.expected, Results().read(job), f"{self.name}, {point}:{count}: {job}",
              self.by_key)
        job.remove()
        return True


def crash_everywhere(test, point, configurations, needed=True):
    """Each configuration killed at the point, at each of its counts; where it is not passed so
    often, at the first passing. With `needed`, a point that is never passed fails the test."""
    def try_one(configuration, count):
        return configuration.crash(point, count) or count > 1 and configuration.crash(point, 1)

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        tries = [pool.submit(try_one, configuration, count)
                 for configuration in configurations for count in configuration.counts]
    passed = sum(each.result() for each in tries)
    if needed:
        test.assertGreater(passed, 0, f"no configuration ever passes {point}")


def add_tests(case, configurations, needed=True):
    """One test a fault point."""
    def add(point):
        setattr(case, f"test_{point}",
                lambda self: crash_everywhere(self, point, configurations, needed))
    for point in fault_points():
        # deliver_: of the other modes, test_delivery.py; kafka_: kafka/test_outlet.py
        if not point.startswith(("deliver_", "kafka_")):
            add(point)
