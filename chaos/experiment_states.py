"""The states of an experiment as a pure machine: `apply(state, event)` returns the next state and what is to be done.

    safety-check -> resolve-targets -> admit -> baseline -> recheck -> inject -> observe -> revert -> recovery
    -> judge -> record -> ended

1. A fault is written down before it is injected (`WriteFaultDown`, then `InjectFault`), and is never injected twice.
2. Whatever ends an experiment after a fault was written down goes through `revert`: in reverse order, each verified.
3. A restart of the worker past the first write never injects again: it reverts, and ends as infrastructure.
4. The first ending counts. A residual replaces any other, since a person must look at it.
5. `ended` is final: every event is ignored there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from chaos.experiment import Order
from chaos.judge import Judgement
from chaos.provider import FaultStatus
from chaos.verdict import End, Verdict, verdict


class Step(StrEnum):
    """The steps, in their order. Each is a task of the flow."""

    SAFETY_CHECK = "safety-check"
    RESOLVE_TARGETS = "resolve-targets"
    ADMIT = "admit"
    BASELINE = "baseline"
    RECHECK = "recheck"
    INJECT = "inject"
    OBSERVE = "observe"
    REVERT = "revert"
    RECOVERY = "recovery"
    JUDGE = "judge"
    RECORD = "record"
    ENDED = "ended"


STEPS = tuple(Step)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where an experiment stands. `faults` has the status of each fault, None before it was written down."""

    step: Step
    faults: tuple[FaultStatus | None, ...]
    order: Order
    end: End | None = None
    judgement: Judgement = Judgement.INCONCLUSIVE
    reason: str = ""

    @property
    def verdict(self) -> Verdict | None:
        """Return the verdict once the ending is known."""
        return verdict(self.end, self.judgement) if self.end else None

    @property
    def open_faults(self) -> tuple[int, ...]:
        """Return the faults that may be in the world, the last injected first."""
        done = {None, FaultStatus.REVERTED, FaultStatus.RESIDUAL}
        return tuple(index for index in reversed(range(len(self.faults))) if self.faults[index] not in done)


# What happened.


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A step without a result of its own is over."""

    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """Something ends the experiment: a safety check, a limit, a person, or what it runs on."""

    end: End
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """The targets or their callers grew since the admission: it queues again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenDown:
    """The fault stands in the database, with its expiry."""

    fault: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """The provider injected the fault and proved its effect."""

    fault: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultOver:
    """The time of one fault of a sequence is over."""

    fault: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The revert of a fault was verified: nothing is left, or something is."""

    fault: int
    clean: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The hypothesis was judged, and why so."""

    judgement: Judgement
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarted:
    """A worker took the experiment over: whoever ran it before is gone."""


FaultEvent: TypeAlias = WrittenDown | Injected | FaultOver | Verified
Event: TypeAlias = Done | Stopped | Grown | Judged | Restarted | FaultEvent

# What is to be done.


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Begin a step."""

    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFaultDown:
    """Write the fault into the database, before anything else is done with it."""

    fault: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectFault:
    """Start the guard of the fault, then inject it."""

    fault: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RevertFault:
    """Revert the fault and verify that nothing is left. Idempotent."""

    fault: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cordon:
    """Claim the target of a residual, with a claim that no end of a run frees."""

    fault: int


Command: TypeAlias = Begin | WriteFaultDown | InjectFault | RevertFault | Cordon
Next: TypeAlias = tuple[State, tuple[Command, ...]]
_QUIET_STEPS = {Step.SAFETY_CHECK, Step.RESOLVE_TARGETS, Step.ADMIT, Step.BASELINE, Step.RECHECK}
_JUDGED_STEPS = {Step.OBSERVE, Step.RECOVERY}


def start(faults: int, order: Order) -> Next:
    """Return the first state of an experiment with so many faults. Raises: ValueError without any."""
    if faults < 1:
        raise ValueError("an experiment has at least one fault")
    state = State(step=Step.SAFETY_CHECK, faults=(None,) * faults, order=order)
    return state, (Begin(step=state.step),)


def apply(state: State, event: Event) -> Next:
    """Return the state after `event`, and what is to be done. An event that does not fit changes nothing."""
    if state.step is Step.ENDED:
        return state, ()
    match event:
        case Stopped() | Restarted():
            return _stop(state, event.end, event.reason) if isinstance(event, Stopped) else _restart(state)
        case Done():
            return _done(state, event.step)
        case Grown():
            return _go(state, Step.ADMIT) if state.step in {Step.BASELINE, Step.RECHECK} else (state, ())
        case Judged():
            return _judged(state, event)
        case _:
            return _apply_to_fault(state, event)


def _apply_to_fault(state: State, event: FaultEvent) -> Next:
    if not 0 <= event.fault < len(state.faults):
        return state, ()
    match event:
        case WrittenDown():
            return _written(state, event.fault)
        case Injected():
            return _injected(state, event.fault)
        case FaultOver():
            return _over(state, event.fault)
        case Verified():
            return _verified(state, event)


def _judged(state: State, event: Judged) -> Next:
    if state.step is not Step.JUDGE:
        return state, ()
    judged = replace(state, judgement=event.judgement)
    if state.end is None:
        judged = replace(judged, end=End.JUDGED, reason=event.reason)
    return _go(judged, Step.RECORD)


def _go(state: State, step: Step) -> Next:
    return replace(state, step=step), (Begin(step=step),) if step is not Step.ENDED else ()


def _done(state: State, step: Step) -> Next:
    if step is not state.step:
        return state, ()
    if step is Step.RECHECK:
        return replace(state, step=Step.INJECT), (WriteFaultDown(fault=0),)
    if step is Step.OBSERVE:
        return _revert(state)
    if step in _QUIET_STEPS | {Step.RECOVERY, Step.RECORD}:
        return _go(state, STEPS[STEPS.index(step) + 1])
    return state, ()


def _stop(state: State, end: End, reason: str) -> Next:
    """End the experiment early: by the way back if a fault may be in the world, else at once."""
    if state.end is not None:
        return state, ()
    if state.step in {Step.JUDGE, Step.RECORD}:
        return state, ()
    ended = replace(state, end=end, reason=reason)
    if state.step is Step.REVERT:
        return ended, ()
    if state.open_faults:
        return _revert(ended)
    return _go(ended, Step.RECORD)


def _restart(state: State) -> Next:
    """Go on after a takeover. Quiet steps begin again; past the first fault there is only the way back.

    The readings of the baseline are lost with their worker, so what comes after it begins with it again.
    """
    if state.step in _QUIET_STEPS:
        return _go(state, Step.BASELINE if state.step is Step.RECHECK else state.step)
    if state.step is Step.INJECT and not any(state.faults):
        return _stop(state, End.INFRASTRUCTURE, "the worker was lost before the first fault")
    if state.step in {Step.INJECT, Step.OBSERVE, Step.REVERT} and state.open_faults:
        ended = (
            state
            if state.end
            else replace(state, end=End.INFRASTRUCTURE, reason="the worker was lost while a fault was active")
        )
        return _revert(ended)
    if state.step in {Step.INJECT, Step.OBSERVE, Step.RECOVERY, Step.JUDGE} and state.end is None:
        return _go(replace(state, end=End.INFRASTRUCTURE, reason="the worker was lost after the fault"), Step.RECORD)
    return _go(state, Step.RECORD)


def fail(state: State, reason: str) -> Next:
    """Return what is to be done when the worker failed at something: the way back if a fault is open, else the end.

    Nothing is injected, and no step is tried again but `record`.
    """
    taken_up, going_on = apply(state, Restarted())
    ended, ending = apply(taken_up, Stopped(end=End.INFRASTRUCTURE, reason=reason))
    return (ended, ending) if ending else (taken_up, going_on)


def _set(state: State, fault: int, status: FaultStatus) -> State:
    faults = tuple(status if index == fault else old for index, old in enumerate(state.faults))
    return replace(state, faults=faults)


def _written(state: State, fault: int) -> Next:
    if state.step is not Step.INJECT and not (state.step is Step.OBSERVE and state.order is Order.SEQUENCE):
        return state, ()
    if state.faults[fault] is not None:
        return state, ()
    return _set(state, fault, FaultStatus.PENDING), (InjectFault(fault=fault),)


def _injected(state: State, fault: int) -> Next:
    if state.faults[fault] is not FaultStatus.PENDING:
        return state, ()
    if state.step not in {Step.INJECT, Step.OBSERVE}:
        return state, ()
    after = _set(state, fault, FaultStatus.INJECTED)
    if state.order is Order.PARALLEL and fault + 1 < len(state.faults):
        return after, (WriteFaultDown(fault=fault + 1),)
    return _go(after, Step.OBSERVE) if state.step is Step.INJECT else (after, ())


def _over(state: State, fault: int) -> Next:
    """End one fault of a sequence, so that the next can begin when its revert is verified."""
    if state.step is not Step.OBSERVE or state.order is not Order.SEQUENCE:
        return state, ()
    if state.faults[fault] is not FaultStatus.INJECTED:
        return state, ()
    return _set(state, fault, FaultStatus.REVERTING), (RevertFault(fault=fault),)


def _revert(state: State) -> Next:
    """Begin the way back: all open faults, the last injected first."""
    open_faults = state.open_faults
    if not open_faults:
        return _after_revert(state)
    for fault in open_faults:
        state = _set(state, fault, FaultStatus.REVERTING)
    back: Sequence[Command] = [RevertFault(fault=fault) for fault in open_faults]
    return replace(state, step=Step.REVERT), (Begin(step=Step.REVERT), *back)


def _verified(state: State, event: Verified) -> Next:
    if state.faults[event.fault] is not FaultStatus.REVERTING:
        return state, ()
    if not event.clean:
        left = replace(_set(state, event.fault, FaultStatus.RESIDUAL), end=End.RESIDUAL, reason=event.reason)
        back = _revert(left)
        return back[0], (Cordon(fault=event.fault), *back[1])
    after = _set(state, event.fault, FaultStatus.REVERTED)
    if after.step is Step.OBSERVE:
        following = event.fault + 1
        return after, (WriteFaultDown(fault=following),) if following < len(after.faults) else ()
    return (after, ()) if after.open_faults else _after_revert(after)


def _after_revert(state: State) -> Next:
    """Measure the recovery, also of a halted or aborted experiment. Without a worker's readings there is nothing to."""
    if state.end in {End.INFRASTRUCTURE, End.RESIDUAL}:
        return _go(state, Step.RECORD)
    return _go(state, Step.RECOVERY)
