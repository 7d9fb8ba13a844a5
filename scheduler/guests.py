"""Which labels the runs on each node carry: what anti-affinity and spread look at."""

from collections import Counter
from collections.abc import Mapping

from scheduler.run import Labels


class Guests:
    """How many runs of each label set are on each column. A copy costs nothing until one of the two is changed."""

    def __init__(self) -> None:
        self._sets: dict[Labels, dict[int, int]] = {}
        self._own: set[Labels] | None = set()
        """The label sets whose counts no copy shares; None: not even the outer dict is our own."""

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

    def carrying(self, wanted: Labels) -> Mapping[int, int]:
        """Return the number of runs on each column that carry all of the wanted labels."""
        need = set(wanted)
        found = [columns for labels, columns in self._sets.items() if need.issubset(labels)]
        if len(found) == 1:
            return found[0]
        total: Counter[int] = Counter()
        for columns in found:
            total.update(columns)
        return total

    def copy(self) -> "Guests":
        """Return counts that can be changed without changing these."""
        twin = Guests()
        twin._sets, twin._own = self._sets, None
        self._own = None
        return twin
