#!/usr/bin/env python3
"""tests/model/test_forwarder.py: all states of the model in forwarder.py, and of its mutants.

    tests/model/test_forwarder.py               the design holds, each mutant is caught
    tests/model/test_forwarder.py --long        longer logs, more at once; WEIR_LONG=1 does it too
    tests/model/test_forwarder.py --show RULE   the shortest way to what goes wrong without it

A model that finds nothing proves nothing: so each rule is taken away, and the check must then fail.
SPDX-License-Identifier: Apache-2.0
"""

import gc
import os
import sys
import time
from collections import deque

from forwarder import RULES, Model, Scope, Violation

STATES_MAX = 8000000

ALONE = Scope(1, (3,), lose=1, recreate=1)
SINKS = Scope(2, (2, 1), lose=1, recreate=1)
REFUSED = Scope(1, (1,), refused=True)
COPIES = Scope(1, (2,), copies=True)
COPIED_SINKS = Scope(2, (1, 1), copies=True)

DESIGN = [ALONE, SINKS, REFUSED, COPIES]
DESIGN_LONG = [Scope(1, (5,), lose=2, recreate=2), Scope(2, (3, 2), lose=2, recreate=1),
               Scope(2, (2, 2), lose=1, recreate=2), COPIED_SINKS, Scope(1, (3,), copies=True)]

MUTANTS = {  # the rule that is missing: where to look, what goes wrong
    "settle": (ALONE, "order"),
    "marker": (ALONE, "order"),
    "in_transaction": (ALONE, "order"),
    "all_markers": (SINKS, "order"),
    "fence": (ALONE, "order"),
    "new_producer": (ALONE, "order"),
    "incarnation": (COPIES, "order"),
    "start_over": (ALONE, "cause"),
    "claim": (ALONE, "cause"),
    "crc": (COPIES, "order"),
    "all_sinks": (COPIED_SINKS, "order"),
    "missing_stops": (ALONE, "loss"),
    "row_behind": (ALONE, "cause"),
    "row_first": (ALONE, "order"),
    "decide_checked": (REFUSED, "life"),
    "trim_row": (ALONE, "loss"),
    "trim_known": (ALONE, "loss"),
    "ends": (ALONE, "loss"),
    "ends_in_marker": (ALONE, "loss"),
    "reports": (ALONE, "loss"),
    "look": (ALONE, "order"),
    "sync": (ALONE, "decided"),
}
# What no rule can tell: a marker that was lost, beside a store that is an older copy.
LIMIT = Scope(1, (1,), copies=True, lose=1)


def explore(model, shortest=True):
    """Visits all states. (how many, what is wrong or None, the way to it)."""
    numbers, waiting, before, good = {}, deque(), [], []

    def add(state, by):
        number = numbers.get(state)
        if number is None:
            number = numbers[state] = len(before)
            before.append([])
            waiting.append(state)
            if model.all_visible(state):
                good.append(number)
        before[number].append(by)

    add(model.first(), 0)
    try:
        while waiting:
            state = waiting.popleft() if shortest else waiting.pop()
            number = numbers[state]
            for after in model.successors(state):
                if after is not None:
                    add(after, number)
            if len(numbers) > STATES_MAX:
                raise SystemExit("too many states: " + str(model.scope))
    except Violation as violation:
        return len(numbers), str(violation), way(list(numbers), before, number)
    reached = set(good)
    while good:
        for number in before[good.pop()]:
            if number not in reached:
                reached.add(number)
                good.append(number)
    stuck = [number for number in range(len(numbers)) if number not in reached]
    if stuck:
        return len(numbers), "life: nothing leads out of here", way(list(numbers), before, stuck[0])
    return len(numbers), None, []


def way(states, before, number):
    path = [states[number]]
    while number:
        number = before[number][0]
        path.append(states[number])
    return path[::-1]


def changes(old, new, name=""):
    """What differs between two states, as NAME.FIELD: NEW."""
    if old == new:
        return []
    if not isinstance(new, tuple) or type(old) != type(new) or len(old) != len(new):
        return ["%s: %s" % (name, brief(new))]
    fields = getattr(new, "_fields", range(len(new)))
    return [line for field, a, b in zip(fields, old, new)
            for line in changes(a, b, "%s.%s" % (name, field) if name else str(field))]


def brief(value):
    if hasattr(value, "_fields"):
        return "(%s)" % ", ".join("%s %s" % (field, brief(part))
                                  for field, part in zip(value._fields, value))
    if isinstance(value, tuple):
        return "(%s)" % " ".join(map(brief, value))
    return str(value)


def show(path, wrong):
    for at, (old, new) in enumerate(zip(path, path[1:]), 1):
        print("%3d  %s" % (at, "\n     ".join(changes(old, new))))
    print("     " + wrong)


def mutant(rule):
    scope, expected = MUTANTS[rule]
    return Model(scope, uncaused=expected != "cause", **{rule: False}), expected


def main():
    if "--show" in sys.argv:
        model, _ = mutant(sys.argv[sys.argv.index("--show") + 1])
        _, wrong, path = explore(model)
        show(path, wrong)
        return 0
    failed = 0
    for scope in DESIGN + DESIGN_LONG * ("--long" in sys.argv or "WEIR_LONG" in os.environ):
        began = time.time()
        states, wrong, path = explore(Model(scope))
        print("%-66s %8d states, %.0f s: %s" % (str(scope)[5:], states, time.time() - began,
                                              wrong or "holds"), flush=True)
        if wrong:
            failed += 1
            show(path, wrong)
    for rule in RULES:
        model, expected = mutant(rule)
        states, wrong, _ = explore(model, shortest=False)
        caught = wrong is not None and wrong.startswith(expected)
        failed += not caught
        print("without %-15s %8d states: %s%s" % (rule, states, wrong or "holds",
                                                  "" if caught else " (expected: %s)" % expected))
    states, wrong, _ = explore(Model(LIMIT), shortest=False)
    print("the limit               %8d states: %s" % (states, wrong or "holds"))
    if not wrong:
        print("docs/KAFKA.md names a limit that is none")
    return 1 if failed or not wrong else 0


if __name__ == "__main__":
    gc.disable()  # all that is made is kept
    sys.exit(main())
