"""The verdict of an experiment: status, whether the hypothesis was validated, the state in Prefect, the exit code.

The table is that of `docs/experiments.md`. The first ending that happened decides, not the readings.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from chaos.judge import Judgement


class ChaosStatus(StrEnum):
    """The status of an execution, as in `chaos_executions.status`."""

    SCHEDULED = "scheduled"
    RUNNING = "running"
    COMPLETED = "completed"
    ABORTED = "aborted"
    FAILED = "failed"


class End(StrEnum):
    """How an experiment ended."""

    JUDGED = "judged"
    HALTED = "halted"
    ABORTED = "aborted"
    BLOCKED = "blocked"
    INFRASTRUCTURE = "infrastructure"
    RESIDUAL = "residual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A row of the table. `validated` is None where nothing is known about the hypothesis."""

    status: ChaosStatus
    validated: bool | None
    prefect_state: str
    prefect_name: str
    exit_code: int
    word: str


def _row(status: ChaosStatus, prefect: tuple[str, str], code: int, word: str, *, validated: bool | None) -> Verdict:
    state, name = prefect
    return Verdict(
        status=status, validated=validated, prefect_state=state, prefect_name=name, exit_code=code, word=word
    )


FAILED, CRASHED = ("FAILED", "Failed"), ("CRASHED", "Crashed")
JUDGED: Mapping[Judgement, Verdict] = {
    Judgement.MET: _row(ChaosStatus.COMPLETED, ("COMPLETED", "Completed"), 0, "passed", validated=True),
    Judgement.NOT_MET: _row(ChaosStatus.COMPLETED, FAILED, 1, "not met", validated=False),
    Judgement.INCONCLUSIVE: _row(
        ChaosStatus.COMPLETED, ("COMPLETED", "Inconclusive"), 7, "inconclusive", validated=None
    ),
}
ENDED: Mapping[End, Verdict] = {
    End.HALTED: _row(ChaosStatus.ABORTED, FAILED, 1, "halted by a limit", validated=False),
    End.ABORTED: _row(ChaosStatus.ABORTED, ("CANCELLED", "Cancelled"), 2, "aborted by a person", validated=None),
    End.BLOCKED: _row(ChaosStatus.FAILED, FAILED, 4, "blocked by a safety check", validated=None),
    End.INFRASTRUCTURE: _row(ChaosStatus.FAILED, CRASHED, 3, "infrastructure", validated=None),
    End.RESIDUAL: _row(ChaosStatus.FAILED, CRASHED, 3, "residual", validated=None),
}


def verdict(end: End, judgement: Judgement = Judgement.INCONCLUSIVE) -> Verdict:
    """Return the verdict of an experiment that ended so; `judgement` counts only if it was judged."""
    return JUDGED[judgement] if end is End.JUDGED else ENDED[end]
