"""Evaluate formulas without operators of the future, event by event.

Each operator keeps what it needs of the past: a few times, never the whole stream.
"""

from collections import deque
from collections.abc import Callable
from math import inf
from typing import TypeAlias

from events.event import Milliseconds
from events.temporal.formula import (
    And,
    Atom,
    Constant,
    Formula,
    Historically,
    Implies,
    Not,
    Once,
    Or,
    Since,
    Window,
    has_past,
)

Letter: TypeAlias = int
"""The patterns that an event matches: bit n is set for pattern n."""
Evaluate: TypeAlias = Callable[[Letter, Milliseconds], bool]
"""Takes the next event. It must be called once for each event, in order."""

Make: TypeAlias = Callable[[], Evaluate]
"""Makes an evaluator that has seen nothing. Each key of a rule has its own, so making one must be cheap."""


def evaluator(formula: Formula) -> Evaluate:
    """Return what evaluates a formula of the past at each event. Raises: ValueError if it has a future."""
    return maker(formula)()


def maker(formula: Formula) -> Make:  # noqa: PLR0911  a case for each operator
    """Return what makes evaluators of a formula. What has no memory is shared by all of them."""
    if not has_past(formula):
        shared = _without_memory(formula)
        return lambda: shared
    match formula:
        case Not(inner):
            return _negated(maker(inner))
        case And(left, right):
            return _joined(_both, maker(left), maker(right))
        case Or(left, right):
            return _joined(_either, maker(left), maker(right))
        case Implies(left, right):
            return _joined(_either, maker(Not(left)), maker(right))
        case Once(inner, window):
            return _since(maker(Constant(True)), maker(inner), window)
        case Historically(inner, window):
            return _negated(_since(maker(Constant(True)), maker(Not(inner)), window))
        case Since(left, right, window):
            return _since(maker(left), maker(right), window)
        case _:
            raise ValueError(_FUTURE)


def _without_memory(formula: Formula) -> Evaluate:
    match formula:
        case Constant(value):
            return lambda _letter, _now: value
        case Atom(number):
            bit = 1 << number
            return lambda letter, _now: letter & bit != 0
        case Not(inner):
            return _negation(_without_memory(inner))
        case And(left, right):
            return _both(_without_memory(left), _without_memory(right))
        case Or(left, right):
            return _either(_without_memory(left), _without_memory(right))
        case Implies(left, right):
            return _either(_without_memory(Not(left)), _without_memory(right))
        case _:
            raise ValueError(_FUTURE)


_FUTURE = "an operator of the future cannot be evaluated at the event itself"


def _negated(inner: Make) -> Make:
    return lambda: _negation(inner())


def _joined(join: Callable[[Evaluate, Evaluate], Evaluate], left: Make, right: Make) -> Make:
    return lambda: join(left(), right())


def _since(left: Make, right: Make, window: Window) -> Make:
    return lambda: _Since(left(), right(), window)


def _negation(inner: Evaluate) -> Evaluate:
    return lambda letter, now: not inner(letter, now)


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
