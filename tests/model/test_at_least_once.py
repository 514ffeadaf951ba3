#!/usr/bin/env python3
"""tests/model/test_at_least_once.py: a model of --delivery at-least-once to Kafka, without a log.

    tests/model/test_at_least_once.py     all states; each mutant is caught

A process reads records from the stored position, seals an epoch of some, produces them, decides
their effects without waiting for an answer, and, once all is acknowledged, stores a position. It
may die at any step; what it had produced is then there or not. Nothing may be lost; some may come
twice.
SPDX-License-Identifier: Apache-2.0
"""

import sys
from collections import deque, namedtuple

RECORDS = 5

# effects: below which record all have taken effect; visible: the set of records outside.
State = namedtuple("State", "stored effects visible process")
# Below which records all are produced, and, of this process's, have taken effect.
Process = namedtuple("Process", "produced decided")

RULES = dict(
    acknowledged=True,  # a position is stored once all below it is acknowledged
    decided=True,  # and once its epoch is decided
)


def successors(state, rules):
    process = state.process
    if process is None:
        yield state._replace(process=Process(state.stored, state.stored))
        return
    yield state._replace(process=None)
    if process.decided == process.produced:
        for end in range(process.produced + 1, RECORDS + 1):
            yield state._replace(process=process._replace(produced=end))
    else:
        yield state._replace(effects=max(state.effects, process.produced),
                             process=process._replace(decided=process.produced))
    for number in range(state.stored, process.produced):
        yield state._replace(visible=state.visible | {number})
    position = process.decided if rules.decided else process.produced
    acknowledged = set(range(state.stored, position)) <= state.visible
    if position > state.stored and (acknowledged or not rules.acknowledged):
        yield state._replace(stored=position)


def explore(rules):
    first = State(0, 0, frozenset(), None)
    seen, waiting, repeats = {first}, deque([first]), False
    while waiting:
        state = waiting.popleft()
        if not set(range(state.stored)) <= state.visible or state.effects < state.stored:
            return len(seen), "loss: a record below the stored position has no effect"
        if state.process and state.stored in state.visible:
            repeats = repeats or state.process.produced == state.stored  # it will be produced again
        for after in successors(state, rules):
            if after not in seen:
                seen.add(after)
                waiting.append(after)
    if not any(len(state.visible) == RECORDS == state.stored for state in seen):
        return len(seen), "life: the end is not reached"
    return len(seen), None if repeats else "a crash repeats nothing: the model is too narrow"


def main():
    kind = namedtuple("Rules", RULES)
    states, wrong = explore(kind(**RULES))
    print("as designed           %6d states: %s" % (states, wrong or "holds"))
    failed = wrong is not None
    for rule in RULES:
        states, wrong = explore(kind(**{**RULES, rule: False}))
        print("without %-13s %6d states: %s" % (rule, states, wrong or "holds"))
        failed = failed or wrong is None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
