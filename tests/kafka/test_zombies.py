"""A weir that was stopped (SIGSTOP) in the middle of a transaction, and wakes up too late: the
broker has given its transaction up, or another process has taken over. What it had begun never
becomes visible; it goes on where that is right, and otherwise ends with a clear word. Each test has
its own broker.

SPDX-License-Identifier: Apache-2.0
"""

import shutil
import sqlite3

from kafka_kit import COUNT
from kill_kit import KillTest, main, often

RECORDS = 20000
CONFIG, AGAIN, NO_INPUT = 78, 75, 66
GIVES_UP_SOON = ["-c", "transaction.abort.timed.out.transaction.cleanup.interval.ms=200"]


class Zombies(KillTest):
    def setUp(self):
        super().setUp()
        self.own_broker(*GIVES_UP_SOON)
        self.source, self.target = self.topic(4), self.topic(3)
        self.feed(self.source, RECORDS, "--keys", 300)

    def uses_shared_broker(self):
        return False

    def args(self, store="count.weir"):
        return ["run", COUNT, "-s", store, "-i", f"in={self.uri(self.source)}",
                "-o", f"out={self.uri(self.target)}", "--epoch-records", 100, "--forward-ms", 5,
                "-X", "transaction.timeout.ms=2000"]

    def is_open(self):
        return any(end["stable"] != end["high"] for end in self.ends(self.target))

    def is_writing(self):
        """Whether the store is locked by a transaction of its own."""
        store = sqlite3.connect(self.folder / "count.weir", isolation_level=None, timeout=0)
        try:
            store.execute("BEGIN IMMEDIATE")
            store.execute("ROLLBACK")
            return False
        except sqlite3.OperationalError:
            return True
        finally:
            store.close()

    def pause_in_transaction(self, run):
        """SIGSTOP, with records of an open transaction in the topic, and none in the store."""
        self.wait_for_records(self.target, 1)
        while True:
            self.pause(0.1)
            self.assertIsNone(run.process.poll(), run)
            run.pause()
            if self.is_open() and not self.is_writing():
                return
            run.resume()
            if self.stable_in(self.target) >= self.fed[self.source]:
                self.feed(self.source, RECORDS, "--keys", 300)

    def take_over(self, store):
        """Another process goes on to the end."""
        self.weir(*self.args(store), "--until-end")
        self.check("count", self.source, self.target)

    def wake(self, *codes):
        """The zombie ends, and has changed nothing."""
        self.zombie.resume()
        self.assertIn(self.zombie.end(), codes, self.zombie)
        said = self.zombie.said().splitlines()
        self.check("count", self.source, self.target)
        return said[-1]

    def begin(self):
        self.zombie = self.start_weir(*self.args())
        self.pause_in_transaction(self.zombie)

    def move(self, target, *names):
        (self.folder / target).mkdir()
        for name in names:
            if (self.folder / name).exists():
                (self.folder / name).rename(self.folder / target / name)

    def test_longer_than_the_timeout(self):
        """Nobody else was there: it sends again what the broker has aborted, and goes on."""
        run = self.start_weir(*self.args())
        for _ in range(often(2, 10)):
            self.pause_in_transaction(run)
            self.wait_until_stable(self.target)
            run.resume()
            self.feed(self.source, 1000, "--keys", 300)
        self.wait_for_records(self.target, self.fed[self.source])
        self.assertEqual(run.stop(), 0, run)
        self.weir(*self.args(), "--until-end")
        self.check("count", self.source, self.target)
        self.check_store("count.weir")

    def test_a_copy_took_over(self):
        self.begin()
        (self.folder / "copy").mkdir()
        for path in self.folder.glob("count.weir*"):
            shutil.copy(path, self.folder / "copy")
        self.take_over("copy/count.weir")
        self.assertIn("another copy of this store has taken over", self.wake(CONFIG))
        late = self.start_weir(*self.args(), "--until-end")
        if late.end() != 0:  # 0: all that it had decided is what the other one has sent
            self.assertEqual(late.end(), CONFIG, late)
            self.assertRegex(late.said(), "records were sent|does not fit the log in the store")
        self.check("count", self.source, self.target)
        self.check_store("copy/count.weir")

    def test_the_lock_was_removed(self):
        self.begin()
        self.refuses(AGAIN, str(self.zombie.process.pid), *self.args())
        (self.folder / "count.weir.lock").unlink()
        self.take_over("count.weir")
        said = self.wake(CONFIG, AGAIN)
        self.assertRegex(said, "overtaken|another copy of this store has taken over")
        self.check_store("count.weir")
        self.weir(*self.args(), "--until-end")
        self.check("count", self.source, self.target)

    def test_the_store_was_moved(self):
        self.begin()
        self.move("moved", "count.weir", "count.weir-wal", "count.weir-shm", "count.weir.lock")
        self.refuses(AGAIN, str(self.zombie.process.pid), *self.args("moved/count.weir"))
        (self.folder / "moved" / "count.weir.lock").unlink()
        self.take_over("moved/count.weir")
        self.assertRegex(self.wake(NO_INPUT, CONFIG), "was removed, renamed or replaced|"
                         "another copy of this store has taken over")
        self.check_store("moved/count.weir")
        self.weir(*self.args("moved/count.weir"), "--until-end")
        self.check("count", self.source, self.target)


if __name__ == "__main__":
    main()
