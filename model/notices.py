"""Notices: what the processes of Assay tell each other, and what subscribers are told later.

A notice is a hint to look, except for `Ended`: that is also kept in the outbox, so that no subscriber misses it.
"""

from dataclasses import dataclass
from typing import TypeAlias

from model.execution import Reason
from model.ids import RunId
from model.runs import RunKind, RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The gate gave each of these runs a place."""

    run_ids: tuple[RunId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreemptAsked:
    """The gate asked each of these runs to stop for a more important one."""

    run_ids: tuple[RunId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAsked:
    """Somebody asked for the end of a run that is under way."""

    run_id: RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A run has ended, with this status. A failed one has a reason."""

    run_id: RunId
    kind: RunKind
    status: RunStatus
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAgain:
    """Something may have been missed, so every listener looks for itself."""


Notice: TypeAlias = Admitted | PreemptAsked | CancelAsked | Ended | LookAgain
