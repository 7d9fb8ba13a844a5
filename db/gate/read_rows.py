"""The waiting runs that a pass has read, and how far it has read the order of the queue."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row

from db.gate.pass_locks import name_claim, owner_claim
from db.gate.queue_rows import Noted, noted, queued
from model.claims import conflicting
from model.ids import ExecutionId, GroupId
from scheduler.values.order import rank
from scheduler.values.pool import PoolSettings, Strategy
from scheduler.values.run import Queued, Rank, owners_of


@dataclass(slots=True, kw_only=True)
class ReadRows:
    """The rows that a pass looks at, and what was last written about them. `snapshot` is the version of its nodes."""

    runs: dict[ExecutionId, Queued] = field(default_factory=dict)
    notes: dict[ExecutionId, Noted] = field(default_factory=dict)
    last: set[ExecutionId] = field(default_factory=set)
    """Of each shape of which there may be more rows, the last one that was read."""
    whole: Rank | None = None
    """Up to this place in the order every row was read; None where nobody knows."""
    in_order: int = 0
    """So many of the first of the order were read, if there are as many."""
    snapshot: int = 0

    def add(self, rows: Iterable[Row[Any]]) -> None:
        """Add rows; the same row again changes nothing."""
        for row in rows:
            if row.execution_id not in self.runs:
                run = queued(row)
                self.runs[run.execution_id] = run
                self.notes[run.execution_id] = noted(row)

    def add_heads(self, rows: Sequence[Row[Any]]) -> None:
        """Add the first rows of each shape, and others: of those nobody knows how many there are."""
        self.add(rows)
        read: dict[tuple[int, int], int] = {}
        for row in rows:
            if row.most is not None:
                key = (row.priority, row.shape)
                read[key] = read.get(key, 0) + 1
        most = next((row.most for row in rows if row.most is not None), 0)
        self.last = {run.execution_id for key, run in self._last_of_each().items() if read.get(key, most) >= most}

    def see_how_far(self, rows: Sequence[Row[Any]], limits: PoolSettings) -> None:
        """Note up to which place in the order every row was read: where shares have no say in it."""
        if limits.strategy is Strategy.FAIR_SHARE:
            return
        first = [row.execution_id for row in rows if row.part == "first"]
        if len(first) >= self.in_order:
            self.whole = rank(self.runs[first[-1]], limits)
        else:
            self.last = set()  # nobody else waits

    def _last_of_each(self) -> dict[tuple[int, int], Queued]:
        """Return the last run of each shape that was read; a group was read whole, so nothing follows it."""
        last: dict[tuple[int, int], Queued] = {}
        for run in self.runs.values():
            key = (run.priority, self.notes[run.execution_id].shape)
            if run.group is None and (key not in last or last[key].seq < run.seq):
                last[key] = run
        return last

    def groups(self) -> set[GroupId]:
        """Return the groups that a row was read of."""
        return {run.group for run in self.runs.values() if run.group is not None}

    def busy(self, ours: Collection[str]) -> frozenset[ExecutionId]:
        """Return over whom this pass may not decide, as it has not got all their locks; groups are so as a whole."""
        out = {key: run.group for key, run in self.runs.items() if not all(claim in ours for claim in claims_of(run))}
        torn = {group for group in out.values() if group is not None}
        return frozenset(out) | {key for key, run in self.runs.items() if run.group in torn}

    def claims(self) -> set[str]:
        """Return the locks that decide over these runs where there are several pools."""
        return {claim for run in self.runs.values() for claim in claims_of(run)}

    def names(self) -> set[str]:
        """Return the entries of claims that conflict with what is asked for."""
        asked = {entry for run in self.runs.values() for entry in run.exclusive}
        return {other for entry in asked for other in conflicting(entry)}


def claims_of(run: Queued) -> list[str]:
    """Return the locks that decide over one run where there are several pools."""
    return [*map(owner_claim, owners_of(run)), *{name_claim(entry) for entry in run.exclusive}]
