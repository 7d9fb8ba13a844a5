"""Which labels the runs on each node carry: what anti-affinity and spread look at."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from scheduler.values.node_arrays import Amounts, Domains
from scheduler.values.run import Labels

MOST_TALLIES = 64
"""Questions whose answers are kept up to date. Few rules are ever different; where they are, answers are worked out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tally:
    """How many runs that carry all of `need` each domain has."""

    need: frozenset[tuple[str, str]]
    domains: Domains
    numbers: Amounts


class LabelCounts:
    """How many runs of each label set are on each column. A copy costs nothing until one of the two is changed."""

    def __init__(self) -> None:
        self._sets: dict[Labels, dict[int, int]] = {}
        self._own: set[Labels] | None = set()
        """The label sets whose counts no copy shares; None: not even the outer dict is our own."""
        self._tallies: dict[tuple[str, Labels], _Tally] = {}
        self._our_tallies: set[tuple[str, Labels]] = set()
        """Those that no copy shares."""

    def count(self, labels: Labels, column: int, times: int) -> None:
        """Count runs that carry exactly `labels` in, or out with a negative number."""
        if self._own is None:
            self._sets, self._own = dict(self._sets), set()
        if labels not in self._own:
            self._sets[labels] = dict(self._sets.get(labels, ()))
            self._own.add(labels)
        columns = self._sets[labels]
        columns[column] = columns.get(column, 0) + times
        if not columns[column]:
            del columns[column]
            if not columns:
                del self._sets[labels]
                self._own.discard(labels)
        self._tally(labels, column, times)

    def by_domain(self, topology: str, domains: Domains, wanted: Labels) -> Amounts:
        """Return how many runs that carry all of the wanted labels each domain of a topology has; not to be changed."""
        key = (topology, wanted)
        known = self._tallies.get(key)
        if known is not None and known.domains is domains:
            return known.numbers
        if len(self._tallies) >= MOST_TALLIES:
            self._tallies.clear()
            self._our_tallies.clear()
        need = frozenset(wanted)
        numbers = np.zeros(len(domains.names), dtype=np.int64)
        for columns in self._carrying(need):
            _add(numbers, domains, columns)
        self._tallies[key] = _Tally(need=need, domains=domains, numbers=numbers)
        self._our_tallies.add(key)
        return numbers

    def copy(self) -> "LabelCounts":
        """Return counts that can be changed without changing these."""
        twin = LabelCounts()
        twin._sets, twin._own, twin._tallies = self._sets, None, dict(self._tallies)
        self._own = None
        self._our_tallies.clear()
        return twin

    def _carrying(self, need: frozenset[tuple[str, str]]) -> list[Mapping[int, int]]:
        return [columns for labels, columns in self._sets.items() if need.issubset(labels)]

    def _tally(self, labels: Labels, column: int, times: int) -> None:
        """Keep up to date what was asked for."""
        for key, tally in self._tallies.items():
            domain = tally.domains.of[column]
            if domain >= 0 and tally.need.issubset(labels):
                self._our_numbers(key)[domain] += times

    def _our_numbers(self, key: tuple[str, Labels]) -> Amounts:
        """Return the numbers of an answer, such as no copy shares."""
        tally = self._tallies[key]
        if key not in self._our_tallies:
            tally = self._tallies[key] = replace(tally, numbers=tally.numbers.copy())
            self._our_tallies.add(key)
        return tally.numbers


def _add(numbers: Amounts, domains: Domains, columns: Mapping[int, int]) -> None:
    where = domains.of[np.fromiter(columns.keys(), dtype=np.intp, count=len(columns))]
    how_many = np.fromiter(columns.values(), dtype=np.int64, count=len(columns))
    np.add.at(numbers, where[where >= 0], how_many[where >= 0])
