"""A second evaluation of temporal formulas, straight from their definition, over the whole sequence."""

from collections.abc import Iterable, Sequence
from math import inf

from events.temporal.formula import (
    Always,
    And,
    Atom,
    Constant,
    Eventually,
    Formula,
    Historically,
    Implies,
    Not,
    Once,
    Or,
    Since,
    Until,
    Window,
)

Trace = Sequence[tuple[float, int]]
"""Times and letters."""


def negate(value: bool | None) -> bool | None:  # noqa: FBT001  a truth value
    return None if value is None else not value


def conjunction(values: Iterable[bool | None]) -> bool | None:
    known = list(values)
    if False in known:
        return False
    return None if None in known else True


def disjunction(values: Iterable[bool | None]) -> bool | None:
    return negate(conjunction(negate(value) for value in values))


class Naive:
    """Kleene's three values. `now` is the clock; if `ended`, the sequence has ended there."""

    def __init__(self, trace: Trace, now: float, *, ended: bool) -> None:
        self.trace, self.now, self.ended = trace, now, ended

    def value(self, formula: Formula, i: int = 0) -> bool | None:  # noqa: C901, PLR0911  a case for each operator
        match formula:
            case Constant(value):
                return value
            case Atom(number):
                return bool(self.trace[i][1] >> number & 1)
            case Not(inner):
                return negate(self.value(inner, i))
            case And(left, right):
                return conjunction([self.value(left, i), self.value(right, i)])
            case Or(left, right):
                return disjunction([self.value(left, i), self.value(right, i)])
            case Implies(left, right):
                return disjunction([negate(self.value(left, i)), self.value(right, i)])
            case Always(inner, window):
                return self.value(Not(Eventually(Not(inner), window)), i)
            case Eventually(inner, window):
                return self.value(Until(Constant(True), inner, window), i)
            case Until(left, right, window):
                return self._until(left, right, window, i)
            case Historically(inner, window):
                return self.value(Not(Once(Not(inner), window)), i)
            case Once(inner, window):
                return self.value(Since(Constant(True), inner, window), i)
            case Since(left, right, window):
                return disjunction(
                    conjunction([self.value(right, j), *(self.value(left, k) for k in range(j + 1, i + 1))])
                    for j in range(i + 1)
                    if window.low <= self.trace[i][0] - self.trace[j][0] <= window.high
                )

    def _until(self, left: Formula, right: Formula, window: Window, i: int) -> bool | None:
        start, count = self.trace[i][0], len(self.trace)
        found = [
            conjunction([self.value(right, j), *(self.value(left, k) for k in range(i, j))])
            for j in range(i, count)
            if start + window.low <= self.trace[j][0] <= start + window.high
        ]
        end = start + window.high
        if (end > self.now or (end == self.now and not self.ended)) and not (self.ended and end == inf):
            found.append(conjunction([None, *(self.value(left, k) for k in range(i, count))]))
        return disjunction(found)
