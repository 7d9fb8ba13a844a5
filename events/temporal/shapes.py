"""Monitors for two common shapes of rules, many times faster than progression and equal to it.

An *invariant* is `always(f)` with f about the present and the past. A *response* is `always(p -> within(d, q))` with p
and q about the event alone; its whole state is the oldest event that still waits for its answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TypeAlias

from events.event import Event, Milliseconds
from events.temporal.formula import EVER, Always, Eventually, Formula, Implies, has_future, has_past
from events.temporal.past import Evaluate, Letter, Make, evaluator, maker

MOST_ATOMS = 8
"""A response over more patterns than this has no table of its letters."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """A formula must be true at each event. `make` makes its evaluators."""

    make: Make

    def start(self) -> "InvariantMonitor":
        """Return a monitor that has seen nothing."""
        return InvariantMonitor(self.make())


@dataclass(frozen=True, slots=True)
class Response:
    """For each letter whether it asks and whether it answers, and the time for the answer."""

    asks: tuple[bool, ...]
    answers: tuple[bool, ...]
    within: Milliseconds

    def start(self) -> "ResponseMonitor":
        """Return a monitor that has seen nothing."""
        return ResponseMonitor(self)


Shape: TypeAlias = Invariant | Response


def shape_of(formula: Formula, atoms: int) -> Shape | None:
    """Return the shape of a formula, or None if it has neither."""
    if not isinstance(formula, Always) or formula.window != EVER:
        return None
    inner = formula.inner
    if not has_future(inner):
        return Invariant(maker(inner))
    if not (isinstance(inner, Implies) and isinstance(inner.right, Eventually) and inner.right.window.low == 0):
        return None
    sides = inner.left, inner.right.inner
    if atoms > MOST_ATOMS or any(has_future(side) or has_past(side) for side in sides):
        return None
    asks, answers = (_table(side, atoms) for side in sides)
    return Response(asks, answers, inner.right.window.high)


def _table(formula: Formula, atoms: int) -> tuple[bool, ...]:
    evaluate = evaluator(formula)
    return tuple(evaluate(letter, 0.0) for letter in range(2**atoms))


class InvariantMonitor:
    """Evaluates the formula at each event."""

    __slots__ = ("_evaluate", "deadline", "value", "witness")

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate = evaluate
        self.deadline: Milliseconds = inf
        self.value: bool | None = None
        self.witness: Sequence[Event] = ()

    def observe(self, letter: Letter, event: Event) -> None:
        """Settle as false if the formula is false at the event."""
        if not self._evaluate(letter, event.at) and self.value is None:
            self.value, self.witness = False, (event,)

    def advance(self, _now: Milliseconds) -> None:
        """Do nothing: time alone breaks no invariant."""

    def close(self, _end: Milliseconds) -> None:
        """Settle as true: it held until the end."""
        if self.value is None:
            self.value = True


class ResponseMonitor:
    """Remembers the oldest question without an answer: of all that wait, it is due first."""

    __slots__ = ("_shape", "deadline", "origin", "value")

    def __init__(self, shape: Response) -> None:
        self._shape = shape
        self.deadline: Milliseconds = inf
        self.origin: Event | None = None
        self.value: bool | None = None

    @property
    def witness(self) -> Sequence[Event]:
        """Return the question that had no answer in time."""
        return () if self.origin is None or self.value is not False else (self.origin,)

    def observe(self, letter: Letter, event: Event) -> None:
        """Take an answer to everything that waits, or a question."""
        if event.at > self.deadline:
            self.value = False
        elif self.value is not None:
            return
        elif self._shape.answers[letter]:
            self.origin, self.deadline = None, inf
        elif self.origin is None and self._shape.asks[letter]:
            self.origin, self.deadline = event, event.at + self._shape.within

    def advance(self, now: Milliseconds) -> None:
        """Settle as false if the answer is overdue."""
        if now > self.deadline:
            self.value = False

    def close(self, end: Milliseconds) -> None:
        """Settle, unless an answer may still come within its window."""
        if self.value is None:
            if self.origin is None:
                self.value = True
            elif self.deadline <= end or self.deadline == inf:
                self.value = False
