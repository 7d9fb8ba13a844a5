"""Our verdicts as Prefect's states, by the one table of D6."""

from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Crashed, Failed

from model.execution import Reason, Status, Verdict, exit_code

_FAILED_NAMES = {Reason.NO_TESTS: "NoTests", Reason.OOM_KILLED: "OutOfMemory"}
OUR_NAMES = frozenset({"Completed", "Cancelled", "Crashed", "Failed", "Skipped", "TimedOut", *_FAILED_NAMES.values()})
_OURS_TO_MEND = 3
"""The exit code of what is neither the test's fault nor its verdict: Prefect calls that Crashed."""


def state_of(verdict: Verdict) -> State[None]:
    """Return the final Prefect state of a verdict; its message says why in one line."""
    message = _message(verdict)
    if verdict.status is Status.COMPLETED:
        return Completed(message=message)
    if verdict.status is Status.CANCELLED:
        return Cancelled(message=message)
    if verdict.status is Status.TIMEOUT:
        return Failed(name="TimedOut", message=message)
    if exit_code(verdict.status, verdict.reason) == _OURS_TO_MEND:
        return Crashed(message=message)
    name = _FAILED_NAMES.get(verdict.reason) if verdict.reason else None
    return Failed(name=name, message=message) if name else Failed(message=message)


def skipped(note: str) -> State[None]:
    """Return the final state of a suite run that was not run, by decision and not by fault."""
    return Completed(name="Skipped", message=note)


def agrees(state: State[Any] | None, verdict: Verdict) -> bool:
    """Return whether Prefect already shows this verdict."""
    return shows(state, state_of(verdict))


def shows(state: State[Any] | None, wanted: State[Any]) -> bool:
    """Return whether a state says what is wanted: of one type, and not by the name of another verdict.

    A name that is none of ours was given by a person, and stays.
    """
    if state is None or state.type is not wanted.type:
        return False
    return state.name == wanted.name or state.name not in OUR_NAMES


def _message(verdict: Verdict) -> str:
    why = f"{verdict.reason}: {verdict.detail}" if verdict.reason else verdict.detail
    return why or verdict.status
