"""Our verdicts as Prefect's states, by the one table of `model/fault.py` (D6)."""

from collections.abc import Callable, Mapping
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Crashed, Failed

from model.execution import Verdict
from model.fault import CONSEQUENCES, EXPERIMENT_CONSEQUENCES, consequence_of

OUR_NAMES = frozenset({"Skipped", *(one.prefect.shown for one in (*CONSEQUENCES, *EXPERIMENT_CONSEQUENCES))})
_STATES: Mapping[str, Callable[..., State[Any]]] = {
    "Completed": Completed,
    "Cancelled": Cancelled,
    "Crashed": Crashed,
    "Failed": Failed,
}


def state_of(verdict: Verdict) -> State[None]:
    """Return the final Prefect state of a verdict; its message says why in one line."""
    state = consequence_of(verdict).prefect
    return _STATES[state.type](name=state.shown, message=_message(verdict))


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
