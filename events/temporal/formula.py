"""Formulas of metric temporal logic over a sequence of events (pointwise semantics).

A formula is true or false at a position i of the sequence, with times t. Windows are closed intervals of milliseconds.

| formula | true at position i if |
|---|---|
| `Atom(n)` | the event at i matches the pattern number n |
| `Always(f, a..b)` | f is true at every j >= i with t[j] - t[i] in the window |
| `Eventually(f, a..b)` | f is true at some j >= i with t[j] - t[i] in the window |
| `Until(f, g, a..b)` | g is true at some such j, and f at every k with i <= k < j |
| `Historically`, `Once`, `Since` | the same with the past: j <= i |

Operators of the past may contain only atoms, connectives and operators of the past. Those of the future may contain
all.

Source: Koymans 1990 (MTL); Thati and Rosu 2005 (monitoring by progression); 018.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import TypeAlias

from events.event import Milliseconds


@dataclass(frozen=True, slots=True)
class Window:
    """The times from `low` to `high`, both included, relative to a position."""

    low: Milliseconds = 0
    high: Milliseconds = inf

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high:
            raise ValueError(f"a window must not be negative or end before it begins: {self.low:g} to {self.high:g}")


EVER = Window()


@dataclass(frozen=True, slots=True)
class Constant:
    """True or false everywhere."""

    value: bool


@dataclass(frozen=True, slots=True)
class Atom:
    """True where the event matches the pattern of this number."""

    number: int


@dataclass(frozen=True, slots=True)
class Not:
    """True where `inner` is false."""

    inner: "Formula"


@dataclass(frozen=True, slots=True)
class And:
    """True where both are."""

    left: "Formula"
    right: "Formula"


@dataclass(frozen=True, slots=True)
class Or:
    """True where one is."""

    left: "Formula"
    right: "Formula"


@dataclass(frozen=True, slots=True)
class Implies:
    """True where `left` is false or `right` is true. `left` is the trigger of a rule, for vacuity."""

    left: "Formula"
    right: "Formula"


@dataclass(frozen=True, slots=True)
class Always:
    """True where `inner` is true at all positions of the window ahead."""

    inner: "Formula"
    window: Window = EVER


@dataclass(frozen=True, slots=True)
class Eventually:
    """True where `inner` is true at one position of the window ahead."""

    inner: "Formula"
    window: Window = EVER


@dataclass(frozen=True, slots=True)
class Until:
    """True where `right` will be true within the window, and `left` is true until then."""

    left: "Formula"
    right: "Formula"
    window: Window = EVER


@dataclass(frozen=True, slots=True)
class Historically:
    """True where `inner` was true at all positions of the window behind."""

    inner: "Formula"
    window: Window = EVER


@dataclass(frozen=True, slots=True)
class Once:
    """True where `inner` was true at one position of the window behind."""

    inner: "Formula"
    window: Window = EVER


@dataclass(frozen=True, slots=True)
class Since:
    """True where `right` was true within the window behind, and `left` has been true since then."""

    left: "Formula"
    right: "Formula"
    window: Window = EVER


Past: TypeAlias = Historically | Once | Since
Future: TypeAlias = Always | Eventually | Until
Formula: TypeAlias = Constant | Atom | Not | And | Or | Implies | Past | Future


def parts(formula: Formula) -> tuple[Formula, ...]:
    """Return the formulas directly inside of a formula."""
    match formula:
        case Constant() | Atom():
            return ()
        case Not(inner) | Always(inner) | Eventually(inner) | Historically(inner) | Once(inner):
            return (inner,)
        case And(left, right) | Or(left, right) | Implies(left, right) | Until(left, right) | Since(left, right):
            return (left, right)


def has_future(formula: Formula) -> bool:
    """Say whether a formula contains an operator of the future."""
    return isinstance(formula, Always | Eventually | Until) or any(has_future(part) for part in parts(formula))


@lru_cache(maxsize=1000)
def has_past(formula: Formula) -> bool:
    """Say whether a formula contains an operator of the past."""
    return isinstance(formula, Historically | Once | Since) or any(has_past(part) for part in parts(formula))


def check_formula(formula: Formula) -> None:
    """Raise: ValueError if an operator of the past contains one of the future."""
    if isinstance(formula, Historically | Once | Since) and any(has_future(part) for part in parts(formula)):
        raise ValueError("an operator of the past (once, historically, since) must not contain one of the future")
    for part in parts(formula):
        check_formula(part)


def triggers(formula: Formula) -> list[Formula]:
    """Return the left sides of implications, without which the formula is fulfilled by doing nothing."""
    own = [formula.left] if isinstance(formula, Implies) and not has_future(formula.left) else []
    return own + [trigger for part in parts(formula) for trigger in triggers(part)]
