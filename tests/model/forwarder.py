#!/usr/bin/env python3
"""tests/model/forwarder.py: a model of forwarding to Kafka, for test_forwarder.py to explore.

One store, or two copies of one, each with a process that may die at any step, copy the logs of one
or two sinks to topics of a broker that may be away, time transactions out, lose a marker or a
topic. docs/KAFKA.md has the protocol in words. Long because it is one protocol. Five properties
must hold in each state:

  order    what is visible in all topics is the beginning of one store's logs, each entry once
  decided  nothing is visible that is not decided
  loss     nothing more becomes visible in a topic that lost records, until a person said so, and
           what a start needs of a log is still there
  cause    a process stops only where something has happened that a person must know of
  life     another state can be reached in which all that a store decided is visible

An entry of a log is 3 * offset + tag; the tag says whose it is: 0 of both copies, from before they
parted, 1 the first's, 2 the second's. A marker's CRC is the tag of the last entry below it.

A broker that is away is one that does not answer yet: every step may be put off for ever. A process
that is paused and wakes up is one that is dead, whose last request arrives late.

SPDX-License-Identifier: Apache-2.0
"""

import itertools
from collections import namedtuple

State = namedtuple("State", "stores processes topics current sending late stray parted faults")
Store = namedtuple("Store", "ends trims rows")  # each by sink; a row is None or Row
Row = namedtuple("Row", "next base")  # next - base: how many records the topic has got
Topic = namedtuple("Topic", "records marker base lost")  # base, lost: what only the model knows
Marker = namedtuple("Marker", "next owner crc base")  # owner: whose incarnation, or None
# stage: opened > read > (ending > ended > idle > open)*, and fenced from anywhere; claim: None >
# outside (acknowledged) > known (its rows are decided); clean: at the open nothing was in doubt.
Process = namedtuple("Process", "stage cursors upto bases claim clean")
Sending = namedtuple("Sending", "owner first upto bases gone marked prepared orphan")

# What is looked at: how many sinks, entries of each log at most, whether the store is copied (or an
# older backup put back), how often a marker is lost, a topic is made again; whether the broker
# refuses the topic for good.
Scope = namedtuple("Scope", "sinks entries copies lose recreate refused",
                   defaults=(False, 0, 0, False))

# The rules. Switched off, each is a mutant, and one of the properties must be seen to fail.
RULES = dict(
    settle=True,  # the marker is read after what is in doubt has been settled
    marker=True,  # a start goes on from the marker, not from what the store knows
    in_transaction=True,  # the marker moves in the records' transaction
    all_markers=True,  # of all sinks, not of one
    fence=True,  # a start takes the producer over from an older one
    new_producer=True,  # what is in doubt is never carried on with the same producer
    incarnation=True,  # fenced: only on if the marker is still our own
    start_over=True,  # fenced before the claim: from the start, whoever did it
    claim=True,  # a start writes its incarnation outside
    crc=True,  # the marker must fit the log
    all_sinks=True,  # each sink's marker is checked
    missing_stops=True,  # a marker that is missing beside a row is no first run
    row_behind=True,  # a row is written behind the outside marker, the first too
    row_first=True,  # nothing is sent before the claim's rows are decided
    decide_checked=True,  # nothing is decided for a sink that never was checked
    trim_row=True,  # a log is trimmed below decided rows only
    trim_known=True,  # and never below what is still being sent
    ends=True,  # a start compares the topic's end with the marker
    ends_in_marker=True,  # with the one outside, not only with the row
    reports=True,  # offsets in delivery reports never fall
    look=True,  # a person who answers for a marker looks at the topic
    sync=True,  # what is decided survives a power cut
)


def entries(state, store, sink, first, upto):
    fork = state.parted[sink] if state.parted else upto
    return tuple(3 * n + (0 if n < fork else 1 + store) for n in range(first, upto))


def crc(state, store, sink, upto):
    return entries(state, store, sink, upto - 1, upto)[0] % 3 if upto else 0


def put(items, at, value):
    return items[:at] + (value,) + items[at + 1:]


class Violation(Exception):
    pass


class Model:
    def __init__(self, scope, uncaused=False, **rules):
        self.uncaused = uncaused  # stops without a cause are not looked at
        self.scope = scope
        self.rules = namedtuple("Rules", RULES)(**{**RULES, **rules})
        self.sinks = range(scope.sinks)
        self.zero = (0,) * scope.sinks

    def first(self):
        none = (None,) * self.scope.sinks
        return State((Store(self.zero, self.zero, none), None), (None, None),
                     (Topic((), None, 0, False),) * self.scope.sinks, None, None, False, None,
                     None, (self.scope.lose, self.scope.recreate))

    # ---- The broker ------------------------------------------------------------------------

    def append(self, state, sending):
        """The broker has completed a transaction: records and markers are there at once."""
        topics = list(state.topics)
        for sink in self.sinks:
            topic = topics[sink]
            new = entries(state, sending.owner, sink, sending.first[sink], sending.upto[sink])
            if new and sending.gone[sink]:
                topics[sink] = topic = topic._replace(lost=True)
            elif new and topic.lost:
                raise Violation("loss: goes on in a topic that has lost records")
            else:
                topics[sink] = topic = topic._replace(records=topic.records + new)
            claims = sending.first == sending.upto
            if sending.marked and (sink == 0 or claims or self.rules.all_markers):
                topics[sink] = topic._replace(marker=self.marker(state, sending, sink))
        state = state._replace(topics=tuple(topics))
        self.check(state)
        return state

    def marker(self, state, sending, sink):
        owner = None if sending.orphan else sending.owner
        return Marker(sending.upto[sink], owner,
                      crc(state, sending.owner, sink, sending.upto[sink]), sending.bases[sink])

    def check(self, state):
        for store, held in enumerate(state.stores):
            if held and all(topic.records == entries(state, store, sink, topic.base,
                                                     topic.base + len(topic.records))
                            for sink, topic in enumerate(state.topics)):
                if all(topic.base + len(topic.records) <= end
                       for topic, end in zip(state.topics, held.ends)):
                    return
                raise Violation("decided: visible and not decided")
        raise Violation("order: a duplicate, a gap, or two stores' records")

    def broker(self, state):
        sending = state.sending
        if sending and sending.prepared:
            after = self.append(state._replace(sending=None), sending)
            for at, process in enumerate(state.processes):
                if process and process.stage == "ending" and at == sending.owner \
                        and not sending.orphan:
                    after = self.moved(after, at, process._replace(stage="ended"))
            yield after
        elif sending:
            if state.late:  # the request to end the transaction arrives
                yield state._replace(sending=sending._replace(prepared=True), late=False)
            # Timed out: aborted, and its owner is fenced without a rival.
            yield state._replace(sending=None, current=None, late=False)
        if state.stray:  # only where a rule is missing: nobody has fenced it, or waited for it
            yield self.append(state._replace(stray=None), state.stray._replace(orphan=True))

    def accidents(self, state):
        lose, recreate = state.faults
        for sink, topic in enumerate(state.topics):
            if lose and topic.marker:
                yield state._replace(topics=put(state.topics, sink, topic._replace(marker=None)),
                                     faults=(lose - 1, recreate))
            if recreate and state.stores[0].rows[sink]:
                yield self.recreated(state, sink)
        if self.scope.copies and not state.parted:
            yield state._replace(stores=state.stores[:1] * 2, parted=state.stores[0].ends)
        if not self.rules.sync and state.stores[0].ends[0] > state.stores[0].trims[0]:
            held = state.stores[0]
            state = state._replace(stores=put(state.stores, 0, held._replace(
                ends=put(held.ends, 0, held.ends[0] - 1))))
            self.check(state)
            yield state

    def recreated(self, state, sink):
        """Records, marker, and what an open transaction had put there, are gone."""
        topic, sending = state.topics[sink], state.sending
        if sending:
            sending = sending._replace(gone=put(sending.gone, sink, True))
        topic = Topic((), None, topic.base, topic.lost or bool(topic.records))
        return state._replace(topics=put(state.topics, sink, topic), sending=sending,
                              faults=(state.faults[0], state.faults[1] - 1))

    # ---- A process -------------------------------------------------------------------------

    def moved(self, state, at, process):
        if not process or process.stage in ("opened", "fenced"):  # no producer any more
            current = None if state.current == at else state.current
            state = state._replace(current=current)
        if process and process.stage == "fenced":
            process = process._replace(cursors=self.zero, upto=self.zero)
        if process and process.claim:
            process = process._replace(clean=None)
        return state._replace(processes=put(state.processes, at, process))

    def stop(self, state, at, why, cause):
        if not cause and not self.uncaused:
            raise Violation("cause: stops without one: " + why)
        return self.moved(state, at, None)  # and may be started again

    def cause(self, state):
        """Whether something has happened that a person must know of."""
        return state.faults != (self.scope.lose, self.scope.recreate) or bool(state.parted)

    # ---- A start ---------------------------------------------------------------------------

    def opened(self, state, at):
        """The store is open, the broker may be away. The old incarnation is nobody's now."""
        held = state.stores[at]
        clean = tuple(row is not None and row.next == end
                      for row, end in zip(held.rows, held.ends))
        topics = tuple(topic._replace(marker=topic.marker._replace(owner=None))
                       if topic.marker and topic.marker.owner == at else topic
                       for topic in state.topics)
        sending = state.sending
        if sending and sending.owner == at:
            sending = sending._replace(orphan=True)
        if not self.rules.row_behind:
            rows = tuple(row or Row(0, 0) for row in held.rows)
            state = state._replace(stores=put(state.stores, at, held._replace(rows=rows)))
        state = state._replace(topics=topics, sending=sending)
        clean = clean if self.scope.lose else (False,) * self.scope.sinks
        process = Process("opened", self.zero, self.zero, self.zero, None, clean)
        return self.moved(state, at, process)

    def settled(self, state, at):
        """init_transactions: what was open is aborted, what is in doubt is waited for."""
        sending = state.sending
        if sending and sending.prepared and self.rules.settle:
            return None
        stray = sending if sending and (sending.prepared or not self.rules.fence) else state.stray
        return state._replace(current=at, sending=None, stray=stray, late=False)

    def read(self, state, at, answer):
        """After settling: read the markers, check them. The next state, or a reason to stop."""
        held, process = state.stores[at], state.processes[at]
        topics, cursors, bases = [], [], []
        for sink in self.sinks:
            topic, row, end = state.topics[sink], held.rows[sink], held.ends[sink]
            marker, base = topic.marker, row.base if row else 0
            sent = row.next - base if row else 0
            if not self.rules.marker:
                marker = Marker(row.next if row else 0, None, 0, base)
            if marker:
                cursor = marker.next
                fits = cursor <= end and marker.crc == crc(state, at, sink, cursor)
                if not self.rules.crc:
                    fits = cursor <= end
                if not fits and (sink == 0 or self.rules.all_sinks):
                    return "the marker is another store's"
                if self.rules.ends_in_marker:
                    base, sent = marker.base, marker.next - marker.base
            elif row is None or not self.rules.missing_stops:
                cursor = 0
            elif answer:
                cursor = topic.base + len(topic.records) if self.rules.look else row.next
            elif process.clean[sink]:
                cursor = row.next
            else:
                return "the marker is missing"
            if len(topic.records) < sent and self.rules.ends:
                if not answer:
                    return "the topic was recreated"
                cursor, base = row.next, row.next - len(topic.records)
            if not self.rules.ends_in_marker:
                base = cursor - len(topic.records)  # all that is known is where the topic ends now
            if answer and topic.lost:  # accepted: the topic goes on from here
                topic = topic._replace(base=cursor - len(topic.records), lost=False)
            if cursor < held.trims[sink]:
                raise Violation("loss: the log is trimmed above its marker")
            topics.append(topic)
            cursors.append(cursor)
            bases.append(base)
        cursors = tuple(cursors)
        process = process._replace(stage="read", cursors=cursors, upto=cursors, bases=tuple(bases))
        return self.moved(state._replace(topics=tuple(topics)), at, process)

    def start(self, state, at, answer):
        if self.scope.refused:  # no such topic, or not allowed
            return self.stop(state, at, "refused", True)
        after = self.settled(state, at)
        if after is None:
            return None
        result = self.read(after, at, answer)
        if isinstance(result, State):
            if not self.rules.claim:
                process = result.processes[at]
                result = self.moved(result, at, process._replace(stage="idle", claim="outside"))
            return result
        return self.stop(after, at, result, self.cause(after))

    def resumed(self, state, at):
        """Fenced, or in doubt: a new producer, and on only if the marker is still our own."""
        process = state.processes[at]
        if not process.claim and self.rules.start_over:
            return self.moved(state, at, process._replace(stage="opened"))
        after = self.settled(state, at)
        if after is None:
            return None
        markers = [topic.marker for topic in state.topics]
        if self.rules.incarnation and any(not m or m.owner != at for m in markers):
            return self.stop(after, at, "another copy is running", self.cause(after))
        cursors = tuple(m.next if m else 0 for m in markers)
        return self.moved(after, at, process._replace(stage="idle", cursors=cursors, upto=cursors,
                                                      claim=process.claim or "outside"))

    # ---- Sending ---------------------------------------------------------------------------

    def run(self, state, at):
        """One step of a process that lives."""
        process = state.processes[at]
        stage = process.stage
        yield self.dead(state, at)
        yield from self.decided(state, at)
        if stage == "opened":
            yield self.start(state, at, False)
            if self.cause(state):
                yield self.start(state, at, True)
        elif stage == "fenced":
            yield self.resumed(state, at)
        elif stage == "ended":  # the answer comes, or never does
            yield self.answered(state, at)
            yield self.moved(state, at, process._replace(stage="fenced"))
        elif stage == "marking":
            yield self.answered(state, at)
        elif state.current != at:
            yield self.moved(state, at, process._replace(stage="fenced"))
        elif stage == "read":
            yield self.begun(state, at, process.cursors, "ending")
        elif stage == "idle":
            yield from self.idle(state, at)
        elif stage == "open":
            yield self.reported(state, at)
            yield self.moved(state._replace(sending=None), at,
                             process._replace(stage="idle", upto=process.cursors))
        elif stage == "ending":
            if self.rules.new_producer or not process.claim:
                yield self.moved(state, at, process._replace(stage="fenced"))
            elif state.sending and not state.sending.prepared:  # aborts, and sends again
                yield self.moved(state._replace(sending=None), at,
                                 process._replace(stage="idle", upto=process.cursors))

    def dead(self, state, at):
        """Killed, or paused: what it had begun it may still end, as long as nobody fences it."""
        if state.processes[at].stage == "open" and state.current == at:
            state = self.reported(state, at)
        return self.moved(state, at, None)

    def decided(self, state, at):
        """Operators decide more, before the broker has answered only where a check once passed."""
        process, held = state.processes[at], state.stores[at]
        checked = process.claim or all(held.rows) or not self.rules.decide_checked
        for sink in self.sinks:
            if checked and held.ends[sink] < self.scope.entries[sink]:
                ends = put(held.ends, sink, held.ends[sink] + 1)
                yield state._replace(stores=put(state.stores, at, held._replace(ends=ends)))

    def idle(self, state, at):
        """The rows follow, the logs are trimmed below them; markers are renewed; more is sent."""
        process, held = state.processes[at], state.stores[at]
        rows = tuple(map(Row, process.cursors, process.bases))
        if rows != held.rows:
            after = held._replace(rows=rows, trims=process.cursors)
            yield self.moved(state._replace(stores=put(state.stores, at, after)), at,
                             process._replace(claim="known"))
            if not self.rules.trim_row:
                after = held._replace(trims=process.cursors)
                yield state._replace(stores=put(state.stores, at, after))
        elif process.claim != "known":
            yield self.moved(state, at, process._replace(claim="known"))
        if process.claim != "known" and self.rules.row_first:
            return
        yield self.begun(state, at, process.cursors, "ending")  # renewed
        for upto in itertools.product(*(range(cursor, end + 1) for cursor, end
                                        in zip(process.cursors, held.ends))):
            if upto != process.cursors:
                yield self.begun(state, at, upto, "open")

    def begun(self, state, at, upto, stage):
        process = state.processes[at]
        marked = stage == "ending" and self.rules.in_transaction
        gone = (False,) * self.scope.sinks
        sending = Sending(at, process.cursors, upto, process.bases, gone, marked, False, False)
        late = state.late or stage == "ending"
        return self.moved(state._replace(sending=sending, late=late), at,
                          process._replace(stage=stage, upto=upto))

    def reported(self, state, at):
        """All records are delivered: look at where, then send the markers."""
        process, held = state.processes[at], state.stores[at]
        for sink, topic in enumerate(state.topics):
            fell = len(topic.records) < process.cursors[sink] - process.bases[sink]
            if fell and process.upto[sink] > process.cursors[sink] and self.rules.reports:
                return self.stop(state._replace(sending=None), at, "the topic was recreated", True)
        if not self.rules.trim_known:
            state = state._replace(stores=put(state.stores, at, held._replace(trims=process.upto)))
        sending = state.sending
        if sending:
            sending = sending._replace(marked=self.rules.in_transaction)
        return self.moved(state._replace(sending=sending, late=True), at,
                          process._replace(stage="ending"))

    def answered(self, state, at):
        process = state.processes[at]
        if not self.rules.in_transaction and process.stage == "ended":
            return self.moved(state, at, process._replace(stage="marking"))
        done = process._replace(stage="idle", cursors=process.upto,
                                claim=process.claim or "outside")
        if process.stage == "marking":
            state = self.append(state, Sending(at, process.upto, process.upto, process.bases,
                                               self.zero, True, True, False))
        return self.moved(state, at, done)

    def successors(self, state):
        yield from self.broker(state)
        yield from self.accidents(state)
        for at, process in enumerate(state.processes):
            if process:
                yield from self.run(state, at)
            elif state.stores[at]:
                yield self.opened(state, at)

    def all_visible(self, state):
        return any(held and all(
            topic.records == entries(state, at, sink, topic.base, held.ends[sink])
            for sink, topic in enumerate(state.topics)) for at, held in enumerate(state.stores))
