#!/usr/bin/env python3
"""tests/model/test_at_least_once.py: a model of --delivery at-least-once to Kafka, without a log.

    tests/model/test_at_least_once.py     all states; each mutant is caught

A process reads records from the stored position, seals an epoch of some, produces them, waits for
their acknowledgements, decides their effects, and later stores a position. It may die at any step;
what it had produced and not heard of is there or not. Nothing may be lost; some may come twice.
SPDX-License-Identifier: Apache-2.0
"""

import sys
from collections import deque, namedtuple

RECORDS = 5

State = namedtuple("State", "stored effects visible process")
# effects: below which records all have taken effect; visible: the set of records outside.
# reading > sent > heard > reading; at: the next to read; upto: the end of the sealed epoch; known:
# below which all is acknowledged and decided.
Process = namedtuple("Process", "stage at upto known")

RULES = dict(
    heard=True,  # effects are decided once all records of the epoch are acknowledged
    known=True,  # a position is stored once its epoch is decided
)


def successors(state, rules):
    process = state.process
    if process is None:
        yield state._replace(process=Process("reading", state.stored, state.stored, state.stored))
        return
    yield state._replace(process=None)
    stage, at, upto, known = process
    if stage == "reading":
        for end in range(at + 1, RECORDS + 1):
            yield state._replace(process=Process("sent", at, end, known))
    if stage == "sent":
        for number in range(at, upto):  # delivered; the answer may not have come
            yield state._replace(visible=state.visible | {number})
        if not rules.heard or all(number in state.visible for number in range(at, upto)):
            yield state._replace(process=process._replace(stage="heard"))
    if stage == "heard":
        yield state._replace(effects=max(state.effects, upto),
                             process=Process("reading", upto, upto, upto))
    position = known if rules.known else upto
    if position > state.stored:
        yield state._replace(stored=position)


def explore(rules):
    first = State(0, 0, frozenset(), None)
    seen, waiting, repeats = {first}, deque([first]), False
    while waiting:
        state = waiting.popleft()
        if not set(range(state.stored)) <= state.visible or state.effects < state.stored:
            return len(seen), "loss: a record below the stored position has no effect"
        if state.process and state.process.stage == "sent":
            repeats = repeats or state.process.at in state.visible
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
    print("as designed    %6d states: %s" % (states, wrong or "holds"))
    failed = wrong is not None
    for rule in RULES:
        states, wrong = explore(kind(**{**RULES, rule: False}))
        print("without %-6s %6d states: %s" % (rule, states, wrong or "holds"))
        failed = failed or wrong is None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
