"""Compile formulas to nodes, with negations moved to the formulas without a future."""

from dataclasses import dataclass, field

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
    has_future,
    has_past,
    parts,
)
from events.temporal.past import Letter
from events.temporal.states import Moment, Node, Reach, Settled, State, Watch, join


@dataclass(slots=True, eq=False)
class Present:
    """A formula without a future. `number` is its place among the values of a moment."""

    number: int
    positive: bool
    empty: bool | None

    def begin(self, moment: Moment) -> State:
        """Return its value at the event."""
        return Settled(moment.present[self.number] is self.positive, (moment.event,))


@dataclass(slots=True, eq=False)
class Pattern:
    """An atom."""

    bit: int
    positive: bool
    empty: bool | None

    def begin(self, moment: Moment) -> State:
        """Return whether the event matches."""
        return Settled((moment.letter & self.bit != 0) is self.positive, (moment.event,))


@dataclass(slots=True, eq=False)
class Both:
    """A conjunction, or a disjunction."""

    left: Node
    right: Node
    conjunction: bool
    empty: bool | None = field(init=False)

    def __post_init__(self) -> None:
        self.empty = _junction(self.left.empty, self.right.empty, conjunction=self.conjunction)

    def begin(self, moment: Moment) -> State:
        """Return the junction of both at the event. The right side is not begun if the left one decides."""
        left = self.left.begin(moment)
        if isinstance(left, Settled) and left.value is not self.conjunction:
            return left
        return join((left, self.right.begin(moment)), conjunction=self.conjunction)


@dataclass(slots=True, eq=False)
class Watching:
    """`eventually`, and with `wanted` false, `always`."""

    inner: Node
    wanted: bool
    window: Window
    empty: bool | None = None

    def begin(self, moment: Moment) -> State:
        """Open the window at the event, which is the first one in it."""
        low, high = _absolute(self.window, moment.now)
        return Watch(self.inner, self.wanted, low, high, moment.event).step(moment)


@dataclass(slots=True, eq=False)
class Reaching:
    """`until`, and with `wanted` false, its dual."""

    left: Node
    right: Node
    wanted: bool
    window: Window
    empty: bool | None = None

    def begin(self, moment: Moment) -> State:
        """Open the window at the event, which is the first one in it."""
        low, high = _absolute(self.window, moment.now)
        return Reach(self.left, self.right, self.wanted, low, high, moment.event).step(moment)


def _absolute(window: Window, now: Milliseconds) -> tuple[Milliseconds, Milliseconds]:
    """Return the bounds of a window that opens now. A lower bound that is reached is 0, which makes states equal."""
    return (now + window.low if window.low else 0.0), now + window.high


class Compiler:
    """Compiles one formula. `present` collects the formulas without a future that have a state or are composed."""

    def __init__(self) -> None:
        self.present: list[Formula] = []

    def compile(self, formula: Formula, *, positive: bool = True) -> Node:  # noqa: PLR0911  a case for each operator
        """Return the node of a formula, or of its negation."""
        if not has_future(formula):
            return self._leaf(formula, positive=positive)
        match formula:
            case Not(inner):
                return self.compile(inner, positive=not positive)
            case And(left, right):
                return Both(self.compile(left, positive=positive), self.compile(right, positive=positive), positive)
            case Or(left, right):
                return Both(self.compile(left, positive=positive), self.compile(right, positive=positive), not positive)
            case Implies(left, right):
                return self.compile(Or(Not(left), right), positive=positive)
            case Always(inner, window):
                return Watching(self.compile(inner, positive=positive), not positive, window)
            case Eventually(inner, window):
                return Watching(self.compile(inner, positive=positive), positive, window)
            case Until(left, right, window):
                sides = self.compile(left, positive=positive), self.compile(right, positive=positive)
                return Reaching(*sides, positive, window)
            case Constant() | Atom() | Once() | Since() | Historically():
                raise AssertionError(formula)

    def _leaf(self, formula: Formula, *, positive: bool) -> Node:
        empty = value_at_nothing(formula)
        empty = empty if positive or empty is None else not empty
        if isinstance(formula, Atom):
            return Pattern(1 << formula.number, positive, empty)
        self.present.append(formula)
        return Present(len(self.present) - 1, positive, empty)


def value_at_nothing(formula: Formula) -> bool | None:  # noqa: PLR0911  a case for each operator
    """Return the value of a formula without a future at an event that matches no pattern, or None if that differs."""
    match formula:
        case Constant(value):
            return value
        case Atom():
            return False
        case Not(inner):
            inside = value_at_nothing(inner)
            return None if inside is None else not inside
        case And(left, right):
            return _junction(value_at_nothing(left), value_at_nothing(right), conjunction=True)
        case Or(left, right):
            return _junction(value_at_nothing(left), value_at_nothing(right), conjunction=False)
        case Implies(left, right):
            return value_at_nothing(Or(Not(left), right))
        case _:
            return None


def unmoved_by_nothing(formula: Formula) -> bool:
    """Say whether an event that matches no pattern leaves the memory of a formula without a future as it is."""
    match formula:
        case Once(inner):
            own = value_at_nothing(inner) is False
        case Historically(inner):
            own = value_at_nothing(inner) is True
        case Since(left, right):
            own = value_at_nothing(left) is True and value_at_nothing(right) is False
        case _:
            own = True
    return own and all(unmoved_by_nothing(part) for part in parts(formula))


def _junction(left: bool | None, right: bool | None, *, conjunction: bool) -> bool | None:  # noqa: FBT001  truth values
    if (not conjunction) in (left, right):
        return not conjunction
    return None if left is None or right is None else conjunction


def value_of(formula: Formula, letter: Letter) -> bool:
    """Return whether a formula without a future could be true at an event: operators of the past count as true."""
    match formula:
        case Atom(number):
            return letter >> number & 1 == 1
        case Not(inner):
            return has_past(inner) or not value_of(inner, letter)
        case And(left, right):
            return value_of(left, letter) and value_of(right, letter)
        case Or(left, right):
            return value_of(left, letter) or value_of(right, letter)
        case Constant(value):
            return value
        case _:
            return True
