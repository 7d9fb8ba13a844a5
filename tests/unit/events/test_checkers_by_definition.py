"""The checkers find in histories of every kind exactly what the definitions of Jepsen find in them."""

from collections import Counter
from random import Random

from harness.naive_log import Found, Jepsen

from events.checkers.history import Action, Kind, Operation, Poll, Process, Send, Status
from events.checkers.log import check_history

HISTORIES = 2000
JUDGED = set(Kind) - {Kind.WRITE_CYCLE}


class World:
    """A log of two partitions, clients that mostly behave, and now and then one that does not."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.logs: dict[str, list[tuple[int, int]]] = {"orders/0": [], "orders/1": []}
        self.positions: dict[tuple[int, str], int] = {}
        self.next_value = 0
        self.strange = self.random.choice([0.0, 0.1, 0.2])

    def odd(self) -> bool:
        return self.random.random() < self.strange

    def history(self) -> list[Operation]:
        return [self.operation(number) for number in range(self.random.randint(2, 16))]

    def operation(self, number: int) -> Operation:
        process = Process(self.random.randrange(3))
        status = self.random.choices(list(Status), [8, 1, 1])[0]
        kept = dict(self.positions)
        actions = tuple(self.action(process, status) for _ in range(self.random.choice([1, 1, 2, 3])))
        if status is not Status.OK and not self.odd():
            self.positions = kept
        return Operation(number=number, process=process, actions=actions, status=status)

    def action(self, process: Process, status: Status) -> Action:
        partition = self.random.choice(sorted(self.logs))
        return self.send(partition, status) if self.random.random() < 0.5 else self.poll(process, partition)

    def send(self, partition: str, status: Status) -> Send:
        log = self.logs[partition]
        self.next_value += 1
        offset = (log[-1][0] if log else -1) + self.random.choice([1, 1, 2])
        written = status is Status.OK or (status is Status.UNKNOWN and self.random.random() < 0.5)
        if written is not self.odd():
            log.append((offset, self.next_value))
            if self.odd() and self.odd():
                log.append((offset + 1, self.next_value))
        if self.odd() and self.odd():
            offset = self.random.randrange(offset + 2)
        told = offset if status is not Status.UNKNOWN or self.random.random() < 0.7 else None
        return Send(partition=partition, value=self.next_value, offset=told)

    def poll(self, process: Process, partition: str) -> Poll:
        log, key = self.logs[partition], (process, partition)
        start = self.positions.get(key, 0)
        if self.odd():
            start = self.random.randrange(len(log) + 1)
        end = min(len(log), start + self.random.randint(0, 4))
        self.positions[key] = end
        records = [record for record in log[start:end] if not self.odd()]
        return Poll(records={partition: records} if records else {})


def without_doubt(found: set[Found]) -> set[Found]:
    """Leave out what is a matter of choice where a value or an offset is ambiguous."""
    unclear = {partition for kind, partition in found if kind in {Kind.DUPLICATE, Kind.INCONSISTENT_OFFSETS}}
    plain = {Kind.DUPLICATE, Kind.INCONSISTENT_OFFSETS, Kind.ABORTED_READ, Kind.PRECOMMITTED_READ}
    return {(kind, partition) for kind, partition in found if partition not in unclear or kind in plain}


def test_every_history_is_judged_as_the_definitions_say() -> None:
    met: Counter[Kind] = Counter()
    for seed in range(HISTORIES):
        history = World(seed).history()
        found = {(anomaly.kind, anomaly.partition) for anomaly in check_history(history) if anomaly.kind in JUDGED}
        lost = {partition for kind, partition in found if kind is Kind.LOST_WRITE}
        found = {one for one in found if one[0] is not Kind.UNSEEN or one[1] not in lost}

        assert without_doubt(found) == without_doubt(Jepsen(history).found()), f"seed {seed}: {history}"
        met.update(kind for kind, _ in without_doubt(found))

    assert set(met) == JUDGED
    assert min(met.values()) > 5, met
