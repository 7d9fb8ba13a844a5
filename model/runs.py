"""Runs and their kinds: what they have in common, and which change of status may follow which.

A run is a row of the table `runs`; its kind says which other table holds its details. A test waits in the queue and
holds a place while it runs. A suite only groups tests: it is never queued, and it ends when all its tests have ended.
A new kind is one more word of `RunKind` here, and what it does in `orchestrator.kinds` and `flows.kinds`.
"""

from enum import StrEnum
from typing import TypeAlias

from model.execution import PHASES, TRANSITIONS, Phase, Status


class RunKind(StrEnum):
    """As in `runs.kind`."""

    TEST = "test"
    SUITE = "suite"
    EXPERIMENT = "experiment"


class SuiteOnlyStatus(StrEnum):
    """A status that a suite run may have beside those of `Status`."""

    SKIPPED = "skipped"
    """It was not run, because an earlier run of the suite had not ended."""

    @property
    def terminal(self) -> bool:
        """True: nothing may follow."""
        return True


RunStatus: TypeAlias = Status | SuiteOnlyStatus

SKIPPED = SuiteOnlyStatus.SKIPPED

STATUSES: dict[RunKind, tuple[RunStatus, ...]] = {
    **dict.fromkeys(RunKind, tuple(Status)),
    RunKind.SUITE: (*Status, *SuiteOnlyStatus),
}
"""Every status that a run of a kind may have; the database checks it too."""

RUN_TRANSITIONS: dict[RunKind, frozenset[tuple[RunStatus, RunStatus]]] = {
    **dict.fromkeys(RunKind, frozenset(TRANSITIONS)),
    RunKind.SUITE: frozenset(
        {
            (Status.QUEUED, Status.COMPLETED),
            (Status.QUEUED, Status.FAILED),
            (Status.QUEUED, Status.CANCELLED),
            (Status.QUEUED, Status.TIMEOUT),
            (Status.QUEUED, SKIPPED),
        }
    ),
}
"""All kinds that wait in the queue go the way of a test.

A suite's row stays `queued` until the suite ends: whether it runs is worked out from its tests.
"""


def kinds_with(source: RunStatus, target: RunStatus) -> tuple[RunKind, ...]:
    """Return the kinds of runs whose status may change from `source` to `target`."""
    return tuple(kind for kind in RunKind if (source, target) in RUN_TRANSITIONS[kind])


def run_status(text: str) -> RunStatus:
    """Return a status by its word. Raises: ValueError."""
    return SKIPPED if text == SKIPPED else Status(text)


def phases_of(status: RunStatus) -> frozenset[Phase]:
    """Return the phases in which a run of this status may be."""
    return PHASES[status] if isinstance(status, Status) else frozenset({Phase.ENDED})
