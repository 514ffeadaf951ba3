"""verify.py turns red on one loss, one duplicate, one swap and one record that nobody wrote, in
each of its checks; and stays green where there is none. No broker is needed: own broker.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib
import io
import pathlib
import tempfile
import unittest

import verify

# (partition, key, value): two partitions of three keys each, every value once.
INPUT = [(n % 2, f"k{n % 6}", str(n)) for n in range(60)]


def lines(records):
    """Offsets have gaps, as control records leave them."""
    return "".join(f"{partition}\t{3 * n}\t{key}\t{value}\n"
                   for n, (partition, key, value) in enumerate(records))


def counts(step):
    so_far, outputs = {}, []
    for partition, key, value in INPUT:
        so_far[key] = step(so_far.get(key, 0), int(value))
        outputs.append((partition, key, str(so_far[key])))
    return outputs


COUNTS = counts(lambda so_far, _value: so_far + 1)
SUMS = counts(lambda so_far, value: so_far + value)
CHECKS = [
    (["copy"], INPUT), (["copy", "--order", "source"], INPUT), (["copy", "--order", "key"], INPUT),
    (["count"], COUNTS), (["sum"], SUMS)]


def run(words):
    """Its exit code, and what it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = verify.main(list(map(str, words)))
    return code, said.getvalue()


class Verify(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def run_on(self, options, seen, expected=None):
        files = []
        for name, records in (("expected", expected or INPUT), ("seen", seen)):
            files.append(pathlib.Path(self.folder.name) / name)
            files[-1].write_text(lines(records))
        return run([*options[:1], *files, *options[1:]])

    def is_red(self, options, seen, text, expected=None):
        code, said = self.run_on(options, seen, expected)
        self.assertEqual(code, 1, f"{options}: {said}")
        self.assertIn(text, said)
        self.assertEqual(said.count("\n"), 1, said)

    def test_what_is_right_is_green(self):
        for options, good in CHECKS:
            self.assertEqual(self.run_on(options, good)[0], 0, options)
        self.assertEqual(self.run_on(["copy", "--order", "none"], INPUT[::-1])[0], 0)

    def test_one_loss(self):
        for options, good in CHECKS:
            for place in (0, 30, 59):
                self.is_red(options, good[:place] + good[place + 1:], "1 lost")

    def test_one_duplicate(self):
        for options, good in CHECKS:
            for place in (0, 30, 59):
                self.is_red(options, good + [good[place]], "1 repeated")
                self.is_red(options, good[:place] + [good[place]] + good[place:], "1 repeated")

    def test_one_swap(self):
        """Of two neighbours within a key, which are six apart."""
        for options, good in CHECKS:
            swapped = [*good]
            swapped[20], swapped[26] = good[26], good[20]
            code, said = self.run_on(options, swapped)
            self.assertEqual(code, 1, f"{options}: {said}")
            self.assertIn("out of order", said)
            self.assertNotIn("lost", said)

    def test_swap_of_neighbours_in_a_partition(self):
        swapped = [*INPUT]
        swapped[20], swapped[22] = INPUT[22], INPUT[20]
        for options in (["copy"], ["copy", "--order", "source"]):
            self.is_red(options, swapped, "1 out of order")
        self.assertEqual(self.run_on(["copy", "--order", "key"], swapped)[0], 0)

    def test_record_from_nowhere(self):
        for options, good in CHECKS:
            self.is_red(options, good + [(1, "k1", "999")], "1 never expected")

    def test_other_partition(self):
        moved = [*INPUT]
        moved[20] = (1, *INPUT[20][1:])
        code, said = self.run_on(["copy"], moved)
        self.assertEqual(code, 1, said)
        self.assertEqual(self.run_on(["copy", "--order", "key"], moved)[0], 0)
        self.assertEqual(self.run_on(["copy", "--order", "source"], moved)[0], 0)

    def test_equal_records(self):
        """Equal ones are told apart by their number only."""
        same = [(0, "k", "v")] * 4
        for options in (["copy"], ["copy", "--order", "key"], ["copy", "--order", "none"]):
            self.assertEqual(self.run_on(options, same, same)[0], 0)
            self.is_red(options, same[1:], "1 lost", same)
            self.is_red(options, same + same[:1], "1 repeated", same)

    def test_reader_at_fault(self):
        """Offsets that fall are no finding about the writer."""
        path = pathlib.Path(self.folder.name) / "bad"
        path.write_text("0\t5\tk\tv\n0\t5\tk\tv\n")
        self.assertEqual(run(["copy", path, path])[0], 65)

    def test_open_transaction(self):
        path = pathlib.Path(self.folder.name) / "ends"
        for stable, expected in ((7, 0), (5, 1)):
            path.write_text(f'{{"partition":0,"low":0,"high":7,"stable":{stable}}}\n')
            self.assertEqual(run(["ends", path])[0], expected)


if __name__ == "__main__":
    unittest.main()
