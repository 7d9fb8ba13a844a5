"""The checkers of histories: nothing is found in clean ones, and every anomaly that is put in is found."""

from dataclasses import dataclass, field, replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.checkers.history import Action, Anomaly, Entry, Kind, Operation, Poll, Process, Rebalance, Send, Status
from events.checkers.log import broken, check_history

PRODUCER, CONSUMER, OTHER = Process(0), Process(1), Process(2)
P = "orders/0"


@dataclass
class Clean:
    """A history without anomalies: a producer, two partitions, gaps between offsets, a consumer that reads all."""

    seed: int
    entries: list[Entry] = field(default_factory=list)
    sent: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: {"orders/0": [], "orders/1": []})

    def __post_init__(self) -> None:
        random, value = Random(self.seed), 0
        for _ in range(random.randint(8, 20)):
            actions: list[Action] = []
            partition = random.choice(sorted(self.sent))
            for _ in range(random.randint(1, 2)):
                value += 1
                log = self.sent[partition]
                offset = (log[-1][0] if log else -1) + random.choice([1, 1, 2])
                log.append((offset, value))
                actions.append(Send(partition=partition, value=value, offset=offset))
            self.add(PRODUCER, *actions)
        for partition, log in self.sent.items():
            while len(log) < 6:
                value += 1
                log.append(((log[-1][0] if log else -1) + 1, value))
                self.add(PRODUCER, Send(partition=partition, value=value, offset=log[-1][0]))
            for start in range(0, len(log), 3):
                self.add(CONSUMER, Poll(records={partition: log[start : start + 3]}))

    def add(self, process: Process, *actions: Action, status: Status = Status.OK) -> None:
        self.entries.append(Operation(number=len(self.entries), process=process, actions=tuple(actions), status=status))

    def polls(self, partition: str = P) -> list[int]:
        """Return where in the history the polls of a partition are."""
        return [
            at
            for at, entry in enumerate(self.entries)
            if isinstance(entry, Operation) and any(partition in poll.records for poll in entry.polls)
        ]

    def change_poll(self, at: int, records: list[tuple[int, int]], partition: str = P) -> None:
        entry = self.entries[at]
        assert isinstance(entry, Operation)
        self.entries[at] = replace(entry, actions=(Poll(records={partition: records}),))

    def drop_value(self, value: int) -> None:
        """Let no reader see a value."""
        for at in self.polls():
            entry = self.entries[at]
            assert isinstance(entry, Operation)
            self.change_poll(at, [record for record in entry.polls[0].records[P] if record[1] != value])  # type: ignore[misc]

    @property
    def log(self) -> list[tuple[int, int]]:
        return self.sent[P]


def lost(clean: Clean) -> None:
    clean.drop_value(clean.log[1][1])


def unseen(clean: Clean) -> None:
    clean.drop_value(clean.log[-1][1])


def duplicate(clean: Clean) -> None:
    end = clean.log[-1][0]
    clean.add(CONSUMER, Poll(records={P: [(end + 1, clean.log[0][1])]}))


def inconsistent(clean: Clean) -> None:
    clean.add(OTHER, Poll(records={P: [(clean.log[0][0], 9999)]}))


def poll_skip(clean: Clean) -> None:
    clean.add(OTHER, Poll(records={P: clean.log[:1]}))
    clean.add(OTHER, Poll(records={P: clean.log[2:]}))


def poll_back(clean: Clean) -> None:
    clean.add(OTHER, Poll(records={P: clean.log[:3]}))
    clean.add(OTHER, Poll(records={P: clean.log[1:]}))


def int_poll_skip(clean: Clean) -> None:
    clean.add(OTHER, Poll(records={P: clean.log[:1]}), Poll(records={P: clean.log[2:]}))


def int_poll_back(clean: Clean) -> None:
    clean.add(OTHER, Poll(records={P: clean.log[:3]}), Poll(records={P: clean.log[1:]}))


def beyond(clean: Clean, *steps: int) -> list[Send]:
    """Return sends behind the end of the log, which is then read in its order."""
    end = clean.log[-1][0]
    sends = [Send(partition=P, value=10_000 + step, offset=end + step) for step in steps]
    clean.add(CONSUMER, Poll(records={P: sorted((end + step, 10_000 + step) for step in steps)}))
    return sends


def send_back(clean: Clean) -> None:
    for send in beyond(clean, 2, 1):
        clean.add(OTHER, send)


def int_send_back(clean: Clean) -> None:
    clean.add(OTHER, *beyond(clean, 2, 1))


def int_send_skip(clean: Clean) -> None:
    first, between, last = beyond(clean, 1, 2, 3)
    clean.add(OTHER, first, last)
    clean.add(Process(3), between)


def aborted(clean: Clean) -> None:
    (send,) = beyond(clean, 1)
    clean.add(OTHER, send, status=Status.FAIL)


def precommitted(clean: Clean) -> None:
    end = clean.log[-1][0] + 1
    clean.add(OTHER, Send(partition=P, value=5000, offset=end), Poll(records={P: [(end, 5000)]}))


def write_cycle(clean: Clean) -> None:
    other = "orders/1"
    here, there = clean.log[-1][0], clean.sent[other][-1][0]
    for process, at, value in ((OTHER, 1, 7000), (Process(3), 2, 8000)):
        back = 3 - at
        clean.add(
            process,
            Send(partition=P, value=value, offset=here + at),
            Send(partition=other, value=value + 1, offset=there + back),
        )
    clean.add(CONSUMER, Poll(records={other: [(there + 1, 8001), (there + 2, 7001)]}))
    clean.add(CONSUMER, Poll(records={P: [(here + 1, 7000), (here + 2, 8000)]}))


INJECTIONS = {
    Kind.LOST_WRITE: lost,
    Kind.UNSEEN: unseen,
    Kind.DUPLICATE: duplicate,
    Kind.INCONSISTENT_OFFSETS: inconsistent,
    Kind.POLL_SKIP: poll_skip,
    Kind.NONMONOTONIC_POLL: poll_back,
    Kind.INT_POLL_SKIP: int_poll_skip,
    Kind.INT_NONMONOTONIC_POLL: int_poll_back,
    Kind.NONMONOTONIC_SEND: send_back,
    Kind.INT_NONMONOTONIC_SEND: int_send_back,
    Kind.INT_SEND_SKIP: int_send_skip,
    Kind.ABORTED_READ: aborted,
    Kind.PRECOMMITTED_READ: precommitted,
    Kind.WRITE_CYCLE: write_cycle,
}


def kinds(found: list[Anomaly]) -> set[Kind]:
    return {anomaly.kind for anomaly in found}


@given(st.integers(0, 10_000))
def test_a_clean_history_has_no_anomaly(seed: int) -> None:
    assert check_history(Clean(seed).entries) == []


def test_every_kind_has_an_injection() -> None:
    assert set(INJECTIONS) == set(Kind)


@pytest.mark.parametrize("kind", list(Kind))
@given(st.integers(0, 10_000))
def test_an_injected_anomaly_is_found(kind: Kind, seed: int) -> None:
    clean = Clean(seed)
    INJECTIONS[kind](clean)

    assert kind in kinds(check_history(clean.entries))


@pytest.mark.parametrize("kind", [Kind.UNSEEN, Kind.LOST_WRITE, Kind.POLL_SKIP, Kind.INT_POLL_SKIP])
def test_what_readers_do_is_not_blamed_on_writers(kind: Kind) -> None:
    """Only the anomaly itself, and what a lost message implies for the polls around it."""
    clean = Clean(5)
    INJECTIONS[kind](clean)

    allowed = {kind, Kind.POLL_SKIP, Kind.INT_POLL_SKIP}
    assert kinds(check_history(clean.entries)) <= allowed


@pytest.mark.parametrize("kind", [Kind.INT_SEND_SKIP, Kind.WRITE_CYCLE])
def test_what_kafka_allows_is_told_and_excused(kind: Kind) -> None:
    clean = Clean(3)
    INJECTIONS[kind](clean)
    found = check_history(clean.entries)

    assert all(anomaly.excuse for anomaly in found if anomaly.kind is kind)
    assert broken(found) == []


@pytest.mark.parametrize("kind", [Kind.POLL_SKIP, Kind.NONMONOTONIC_POLL])
def test_a_rebalance_excuses_where_the_next_poll_begins_and_no_more(kind: Kind) -> None:
    clean = Clean(3)
    INJECTIONS[kind](clean)
    last = clean.entries.pop()
    assert isinstance(last, Operation)
    clean.entries.append(Rebalance(number=len(clean.entries), process=OTHER))
    clean.entries.append(replace(last, number=len(clean.entries)))
    assert broken(check_history(clean.entries)) == []

    clean.add(OTHER, Poll(records={P: clean.log[:1]}))
    assert kinds(broken(check_history(clean.entries))) == {Kind.NONMONOTONIC_POLL}


def test_a_rebalance_during_an_operation_excuses_its_polls() -> None:
    clean = Clean(3)
    int_poll_back(clean)
    last = clean.entries.pop()
    assert isinstance(last, Operation)
    clean.entries.append(replace(last, rebalanced=frozenset({P})))

    assert kinds(check_history(clean.entries)) == {Kind.INT_NONMONOTONIC_POLL}
    assert broken(check_history(clean.entries)) == []


def test_what_an_aborted_transaction_has_read_is_read_again() -> None:
    clean = Clean(3)
    for status in (Status.FAIL, Status.UNKNOWN, Status.OK):
        clean.add(OTHER, Poll(records={P: clean.log[:3]}), status=status)

    assert check_history(clean.entries) == []


def test_a_message_is_lost_if_another_one_of_its_transaction_was_read() -> None:
    """Nobody said that the transaction was committed, but what was read of it shows it."""
    clean = Clean(3)
    sends = beyond(clean, 1, 2)
    clean.drop_value(sends[0].value)  # type: ignore[arg-type]
    clean.add(OTHER, *sends, status=Status.UNKNOWN)

    assert Kind.LOST_WRITE in kinds(check_history(clean.entries))


def test_an_operation_without_an_answer_accuses_nobody() -> None:
    """It may have been written or not: it is neither lost nor aborted."""
    clean = Clean(1)
    clean.add(OTHER, Send(partition=P, value=77, offset=None), status=Status.UNKNOWN)
    clean.add(CONSUMER, Poll(records={P: [(clean.log[-1][0] + 1, 77)]}))

    assert check_history(clean.entries) == []
