"""Evaluate formulas without operators of the future, event by event.

Each operator keeps what it needs of the past: a few times, never the whole stream.
"""

from collections import deque
from collections.abc import Callable
from functools import lru_cache
from math import inf
from typing import TypeAlias

from events.event import Milliseconds
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
    has_past,
)

Letter: TypeAlias = int
"""The patterns that an event matches: bit n is set for pattern n."""
Evaluate: TypeAlias = Callable[[Letter, Milliseconds], bool]
"""Takes the next event. It must be called once for each event, in order."""

MOST_FORMULAS = 1000


def evaluator(formula: Formula) -> Evaluate:
    """Return what evaluates a formula of the past at each event. Raises: ValueError if it has a future.

    What has no memory is shared by all evaluators, since each key of a rule has its own.
    """
    return _with_memory(formula) if has_past(formula) else _without_memory(formula)


@lru_cache(maxsize=MOST_FORMULAS)
def _without_memory(formula: Formula) -> Evaluate:
    return _with_memory(formula)


def _with_memory(formula: Formula) -> Evaluate:  # noqa: C901, PLR0911  a case for each operator
    match formula:
        case Constant(value):
            return lambda _letter, _now: value
        case Atom(number):
            bit = 1 << number
            return lambda letter, _now: letter & bit != 0
        case Not(inner):
            negated = evaluator(inner)
            return lambda letter, now: not negated(letter, now)
        case And(left, right):
            return _both(evaluator(left), evaluator(right))
        case Or(left, right):
            return _either(evaluator(left), evaluator(right))
        case Implies(left, right):
            return _either(evaluator(Not(left)), evaluator(right))
        case Once(inner, window):
            return _Since(_always, evaluator(inner), window)
        case Historically(inner, window):
            broken = _Since(_always, evaluator(Not(inner)), window)
            return lambda letter, now: not broken(letter, now)
        case Since(left, right, window):
            return _Since(evaluator(left), evaluator(right), window)
        case Always() | Eventually() | Until():
            raise ValueError("an operator of the future cannot be evaluated at the event itself")


def _always(_letter: Letter, _now: Milliseconds) -> bool:
    return True


def _both(left: Evaluate, right: Evaluate) -> Evaluate:
    """Return the conjunction. Both sides see every event, so neither is skipped."""
    return lambda letter, now: left(letter, now) & right(letter, now)


def _either(left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda letter, now: left(letter, now) | right(letter, now)


class _Since:
    """`left since right`. It keeps the times of `right` since which `left` has held, and drops those behind the window.

    If the window begins at the event itself, the newest time alone is enough; if it has no end, the oldest one.
    """

    def __init__(self, left: Evaluate, right: Evaluate, window: Window) -> None:
        self._left, self._right, self._window = left, right, window
        self._times: deque[Milliseconds] = deque()

    def __call__(self, letter: Letter, now: Milliseconds) -> bool:
        holds, begins = self._left(letter, now), self._right(letter, now)
        times, window = self._times, self._window
        if not holds:
            times.clear()
        if begins:
            if window.low == 0:
                times.clear()  # the newest time serves until it leaves the window, which it does last
            if window.high != inf or window.low == 0 or not times:
                times.append(now)  # without an end of the window, the oldest time is enough
        while times and now - times[0] > window.high:
            times.popleft()
        return bool(times) and now - times[0] >= window.low
