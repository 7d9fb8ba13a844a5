"""Evaluate one formula over one sequence of events, as they come."""

from math import inf
from typing import TypeAlias

from events.event import Event, Milliseconds, Topic
from events.temporal.formula import EVER, Atom, Formula, check_formula, has_past, parts
from events.temporal.nodes import Compiler, Watching, unmoved_by_nothing
from events.temporal.past import Evaluate, Letter, maker
from events.temporal.shapes import InvariantMonitor, ResponseMonitor, shape_of
from events.temporal.states import Moment, Node, Settled, State, Watch

_ANY_EVENT = Event(topic=Topic(""), type="")


class CompiledFormula:
    """A formula that is ready to be monitored over any number of sequences. Raises: ValueError if it is not allowed."""

    def __init__(self, formula: Formula) -> None:
        check_formula(formula)
        self._shape = shape_of(formula, atoms_in(formula))
        self._stays_new: dict[Letter, bool] = {}
        compiler = Compiler()
        self.root: Node = compiler.compile(formula)
        self.present = tuple(compiler.present)
        self.makers = tuple(maker(formula) for formula in self.present)
        self.skips_nothing = all(unmoved_by_nothing(part) for part in self.present)
        """Whether an event that matches no pattern needs not be shown to the formulas without a future."""
        root = self.root
        forever = isinstance(root, Watching) and not root.wanted and root.window == EVER
        self.rests_on_nothing = forever and isinstance(root, Watching) and root.inner.empty is True
        """Whether events that match no pattern can be left out: an unbounded `always` of what holds at all of them."""
        self.has_memory = any(has_past(part) for part in self.present)
        """Whether a monitor knows something of the past beside its state."""

    def start(self) -> "AnyMonitor":
        """Return the fastest monitor for the formula."""
        return Monitor(self) if self._shape is None else self._shape.start()

    def stays_new(self, letter: Letter) -> bool:
        """Say whether a new monitor is as new after an event with this letter, whatever its time."""
        known = self._stays_new.get(letter)
        if known is None:
            monitor = Monitor(self)
            monitor.observe(letter, _ANY_EVENT)
            known = self._stays_new[letter] = self.as_new(monitor)
        return known

    def as_new(self, monitor: "AnyMonitor") -> bool:
        """Say whether a new monitor would go on in the same way: an unbounded `always` without an open obligation."""
        if self.has_memory or monitor.value is not None:
            return False
        if isinstance(monitor, Monitor):
            root, state = self.root, monitor.state
            forever = isinstance(root, Watching) and not root.wanted and root.window == EVER
            return forever and isinstance(state, Watch) and isinstance(root, Watching) and state.node is root.inner
        return isinstance(monitor, InvariantMonitor) or monitor.origin is None


class Monitor:
    """The evaluation of a formula at the first event of a sequence.

    `state` is None before that event. Times never decrease.
    """

    __slots__ = ("_compiled", "_present", "deadline", "quiet", "state")

    def __init__(self, compiled: CompiledFormula) -> None:
        self._compiled = compiled
        self._present: tuple[Evaluate, ...] = tuple(make() for make in compiled.makers)
        self.state: State | None = None
        self.deadline: Milliseconds = inf
        self.quiet = False

    @property
    def value(self) -> bool | None:
        """Return the value, or None while it is open."""
        return self.state.value if isinstance(self.state, Settled) else None

    @property
    def witness(self) -> tuple[Event, ...]:
        """Return the events that settled the value."""
        return self.state.witness if isinstance(self.state, Settled) else ()

    def observe(self, letter: Letter, event: Event) -> None:
        """Take the next event, which matches the patterns of `letter`."""
        now = event.at
        if now > self.deadline:
            self.advance(now)
        if not letter and self.quiet:
            return
        present = tuple([evaluate(letter, now) for evaluate in self._present])
        moment = Moment(letter, now, event, present)
        state = self._compiled.root.begin(moment) if self.state is None else self.state.step(moment)
        self._take(state)

    def advance(self, now: Milliseconds) -> None:
        """Take note that all later events arrive at `now` or after it."""
        if self.state is not None and now > self.deadline:
            self._take(self.state.expire(now))

    def close(self, end: Milliseconds) -> None:
        """End the sequence. What has no end of its own ends now; a window that is still open leaves the value open."""
        if self.state is not None:
            self._take(self.state.close(end))

    def _take(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            self.deadline = state.deadline
            self.quiet = self._compiled.skips_nothing and state.quiet


AnyMonitor: TypeAlias = Monitor | InvariantMonitor | ResponseMonitor


def atoms_in(formula: Formula) -> int:
    """Return how many patterns a formula speaks about: the highest number, plus one."""
    own = formula.number + 1 if isinstance(formula, Atom) else 0
    return max([own, *map(atoms_in, parts(formula))])
