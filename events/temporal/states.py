"""The state of a formula under evaluation: what remains to be shown, and how an event changes it (formula progression).

A state is settled (true or false, with the events that settled it), or a condition on the events still to come, with
absolute times. Its value is that of Kleene's three-valued logic over the events seen so far: it is settled as soon as
that logic settles it, and never otherwise.

States are never changed. Of two obligations over the same formula in one junction, only the one that decides is kept.
So with windows that begin at the event itself, the size of a state does not grow with the stream.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Protocol, TypeAlias

from events.event import Event, Milliseconds
from events.temporal.past import Letter

MOST_WITNESSES = 4


@dataclass(slots=True)
class Moment:
    """The event that a state meets: its letter, its time, and the values there of the formulas without a future."""

    letter: Letter
    now: Milliseconds
    event: Event
    present: tuple[bool, ...] = ()


class Node(Protocol):
    """A compiled formula. `empty` is its value at an event that matches no pattern, or None if that differs."""

    empty: bool | None

    def begin(self, moment: Moment) -> "State":
        """Return the state of the formula at this event."""
        ...


@dataclass(slots=True, unsafe_hash=True)
class Settled:
    """True or false for good. `witness` are the events that settled it."""

    value: bool
    witness: tuple[Event, ...] = field(default=(), compare=False)

    @property
    def deadline(self) -> Milliseconds:
        """Return infinity: time changes nothing."""
        return inf

    @property
    def quiet(self) -> bool:
        """Say that nothing changes it."""
        return True

    def step(self, _moment: Moment) -> "State":
        """Return itself."""
        return self

    def expire(self, _now: Milliseconds) -> "State":
        """Return itself."""
        return self

    def close(self, _end: Milliseconds) -> "State":
        """Return itself."""
        return self


@dataclass(slots=True, unsafe_hash=True)
class Watch:
    """`node` takes the value `wanted` at an event of the window: eventually, and with `wanted` false, not always.

    It settles as `wanted` when that happens, and as the opposite when the window is over. The window counts from
    `origin`.
    """

    node: Node
    wanted: bool
    low: Milliseconds
    high: Milliseconds
    origin: Event = field(compare=False)

    @property
    def deadline(self) -> Milliseconds:
        """Return the end of the window."""
        return self.high

    @property
    def quiet(self) -> bool:
        """Say whether an event that matches no pattern leaves it as it is."""
        return self.node.empty is (not self.wanted)

    def step(self, moment: Moment) -> "State":
        """Return what remains after an event, which does not lie behind the window."""
        if moment.now < self.low:
            return self
        found = self.node.begin(moment)
        if isinstance(found, Settled):
            return found if found.value is self.wanted else self
        return join((found, self), conjunction=not self.wanted)

    def expire(self, now: Milliseconds) -> "State":
        """Settle if all later events lie behind the window."""
        return Settled(not self.wanted, (self.origin,)) if now > self.high else self

    def close(self, end: Milliseconds) -> "State":
        """Settle if the window is over by `end`, or has no end of its own."""
        return Settled(not self.wanted, (self.origin,)) if self.high <= end or self.high == inf else self


@dataclass(slots=True, unsafe_hash=True)
class Reach:
    """`left until right`; with `wanted` false its dual, in which both sides are negated.

    The dual settles as false when `right` is false within the window and `left` was false at all events before.
    """

    left: Node
    right: Node
    wanted: bool
    low: Milliseconds
    high: Milliseconds
    origin: Event = field(compare=False)

    @property
    def deadline(self) -> Milliseconds:
        """Return the end of the window."""
        return self.high

    @property
    def quiet(self) -> bool:
        """Say whether an event that matches no pattern leaves it as it is."""
        return self.right.empty is (not self.wanted) and self.left.empty is self.wanted

    def step(self, moment: Moment) -> "State":
        """Return what remains after an event, which does not lie behind the window."""
        held = join((self.left.begin(moment), self), conjunction=self.wanted)
        if moment.now < self.low:
            return held
        return join((self.right.begin(moment), held), conjunction=not self.wanted)

    def expire(self, now: Milliseconds) -> "State":
        """Settle if all later events lie behind the window."""
        return Settled(not self.wanted, (self.origin,)) if now > self.high else self

    def close(self, end: Milliseconds) -> "State":
        """Settle if the window is over by `end`, or has no end of its own."""
        return Settled(not self.wanted, (self.origin,)) if self.high <= end or self.high == inf else self


@dataclass(slots=True, unsafe_hash=True)
class Junction:
    """All of `parts` (a conjunction), or one of them. None is settled, and none is a junction of the same kind."""

    conjunction: bool
    parts: tuple["State", ...]
    deadline: Milliseconds = field(compare=False, default=inf)

    @property
    def quiet(self) -> bool:
        """Say whether an event that matches no pattern leaves it as it is."""
        return all(part.quiet for part in self.parts)

    def step(self, moment: Moment) -> "State":
        """Return what remains after an event."""
        return join([part.step(moment) for part in self.parts], conjunction=self.conjunction)

    def expire(self, now: Milliseconds) -> "State":
        """Settle the parts whose windows are over."""
        if now <= self.deadline:
            return self
        return join([part.expire(now) for part in self.parts], conjunction=self.conjunction)

    def close(self, end: Milliseconds) -> "State":
        """Settle what ends with the stream."""
        return join([part.close(end) for part in self.parts], conjunction=self.conjunction)


State: TypeAlias = Settled | Watch | Reach | Junction


def join(states: Iterable[State], *, conjunction: bool) -> State:
    """Return the conjunction or disjunction of states in its simplest form."""
    pending: list[State] = []
    witness: tuple[Event, ...] = ()
    for state in states:
        if isinstance(state, Settled):
            if state.value is not conjunction:
                return state
            witness = (*witness, *state.witness)[:MOST_WITNESSES]
        elif isinstance(state, Junction) and state.conjunction is conjunction:
            pending += state.parts
        else:
            pending.append(state)
    if not pending:
        return Settled(conjunction, witness)
    if len(pending) > 1:
        pending = _without_implied(pending, conjunction=conjunction)
    if len(pending) == 1:
        return pending[0]
    return Junction(conjunction, tuple(pending), min(state.deadline for state in pending))


def _without_implied(states: list[State], *, conjunction: bool) -> list[State]:
    """Return states without those that another one implies (in a conjunction) or is implied by (in a disjunction)."""
    kept: list[State] = []
    for state in states:
        if any(_decides(other, state, conjunction=conjunction) for other in kept):
            continue
        kept = [other for other in kept if not _decides(state, other, conjunction=conjunction)]
        kept.append(state)
    return kept


def _decides(one: State, other: State, *, conjunction: bool) -> bool:
    """Say whether `one` alone decides the junction of both.

    Both watch the same formula. `eventually` in a narrower window implies it in the wider one; `always` the other way.
    """
    if isinstance(one, Watch) and isinstance(other, Watch):
        if one.node is not other.node or one.wanted is not other.wanted:
            return False
    elif isinstance(one, Reach) and isinstance(other, Reach):
        same = one.left is other.left and one.right is other.right
        if not same or one.wanted is not other.wanted:
            return False
    else:
        return one == other
    if one.wanted is conjunction:
        return other.low <= one.low and one.high <= other.high
    return one.low <= other.low and other.high <= one.high
