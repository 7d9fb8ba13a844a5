"""What executions of experiments have shown: the rows that scores and comparisons are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from model.ids import RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class PastFault:
    """One fault of an ended execution at one service. `held` is None where nothing is known of the hypothesis."""

    run_id: RunId
    experiment_id: UUID
    ended_at: datetime
    number: int
    place: str
    service: str
    ending: str
    validated: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenService:
    """A service that executions aimed at, or that calls one of those. `target` is the selector of its experiment."""

    target: Mapping[str, Any]
    service: str


_FAULTS = text("""
SELECT DISTINCT c.run_id, c.experiment_id, r.completed_at, f.number, f.place, f.service, c.ending,
    c.hypothesis_validated
FROM chaos_runs c
JOIN runs r ON r.id = c.run_id
JOIN chaos_faults f ON f.execution_id = c.run_id
WHERE r.completed_at > :since AND c.ending IS NOT NULL AND f.injected_at IS NOT NULL
ORDER BY r.completed_at, c.run_id, f.number, f.place, f.service
""")
_SERVICES = text("""
SELECT DISTINCT e.target_selector, s.name
FROM chaos_runs c
JOIN runs r ON r.id = c.run_id
JOIN chaos_experiments e ON e.experiment_id = c.experiment_id
CROSS JOIN LATERAL (
    SELECT t ->> 'service' AS name FROM jsonb_array_elements(c.resolution -> 'targets') t
    UNION SELECT k #>> '{}' FROM jsonb_array_elements(c.resolution -> 'callers') k
) s
WHERE r.completed_at > :since AND c.resolution IS NOT NULL
ORDER BY s.name, e.target_selector
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRun:
    """An ended execution of the same experiment. `slos` and `budgets` are those of its journal."""

    run_id: RunId
    ended_at: datetime
    ending: str
    validated: bool | None
    word: str
    slos: Sequence[Mapping[str, Any]]
    budgets: Sequence[Mapping[str, Any]]


_EARLIER = text("""
SELECT c.run_id, r.completed_at, c.ending, c.hypothesis_validated, c.journal ->> 'verdict' AS word,
    c.journal -> 'slos' AS slos, c.journal -> 'errorBudgets' AS budgets
FROM chaos_runs own
JOIN runs o ON o.id = own.run_id
JOIN chaos_experiments mine ON mine.experiment_id = own.experiment_id
JOIN chaos_experiments e ON e.digest = mine.digest
JOIN chaos_runs c ON c.experiment_id = e.experiment_id AND c.run_id <> own.run_id
JOIN runs r ON r.id = c.run_id AND r.team_id IS NOT DISTINCT FROM o.team_id
WHERE own.run_id = :run AND c.ending IN ('judged', 'halted') AND r.completed_at IS NOT NULL
ORDER BY r.completed_at DESC, c.run_id DESC
LIMIT :most
""")


def earlier_runs(conn: Connection, run_id: RunId, most: int) -> list[EarlierRun]:
    """Return the executions of the same experiment in the same team that have said something, the newest first.

    The same experiment is the same definition, whoever has written it.
    """
    return [
        EarlierRun(
            run_id=RunId(row.run_id),
            ended_at=row.completed_at,
            ending=row.ending,
            validated=row.hypothesis_validated,
            word=row.word or row.ending,
            slos=row.slos or (),
            budgets=row.budgets or (),
        )
        for row in conn.execute(_EARLIER, {"run": run_id, "most": most})
    ]


def past_faults(conn: Connection, since: datetime) -> list[PastFault]:
    """Return the faults of executions that have ended since then, oldest first: one row a fault and service."""
    return [
        PastFault(
            run_id=RunId(row.run_id),
            experiment_id=row.experiment_id,
            ended_at=row.completed_at,
            number=row.number,
            place=row.place,
            service=row.service,
            ending=row.ending,
            validated=row.hypothesis_validated,
        )
        for row in conn.execute(_FAULTS, {"since": since})
    ]


def seen_services(conn: Connection, since: datetime) -> list[SeenService]:
    """Return the services that executions since then have aimed at, and those that call them, by name."""
    found = conn.execute(_SERVICES, {"since": since})
    return [SeenService(target=row.target_selector, service=row.name) for row in found]
