"""Experiments as they were written, and their executions as the original design shows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select, text
from sqlalchemy.dialects.postgresql import insert

from chaos.verdict import ChaosStatus
from db import chaos_tables, identifiers
from db.errors import NotFoundError
from db.page import Page
from model.ids import RunId, UserId

E = chaos_tables.ChaosExperiment


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentRow:
    """An experiment as it is kept. `definition` is the experiment as `chaos.experiment_reading` takes it."""

    experiment_id: UUID
    name: str
    definition: Mapping[str, Any]
    created_by: UserId
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosExecution:
    """An execution: a row of the view `chaos_executions`, with what people need beside it."""

    execution_id: RunId
    experiment_id: UUID
    name: str
    status: ChaosStatus
    ending: str | None
    validated: bool | None
    reason: str
    submitted_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    cancel_requested: bool
    step: str | None
    progress: Mapping[str, Any] | None


_EXECUTIONS = """
SELECT x.execution_id, x.experiment_id, e.name, x.status, x.ending, x.hypothesis_validated, x.reason,
    r.submitted_at, x.started_at, x.completed_at, r.cancel_requested_at IS NOT NULL AS cancel_requested,
    c.state ->> 'step' AS step, c.progress
FROM chaos_executions x
JOIN runs r ON r.id = x.execution_id
JOIN chaos_runs c ON c.run_id = x.execution_id
JOIN chaos_experiments e ON e.experiment_id = x.experiment_id
"""
_ONE = text(f"{_EXECUTIONS} WHERE x.execution_id = :id")
_PAGE = text(f"""{_EXECUTIONS}
WHERE (CAST(:status AS text) IS NULL OR x.status = :status)
    AND (CAST(:experiment AS uuid) IS NULL OR x.experiment_id = :experiment)
ORDER BY r.submitted_at DESC, x.execution_id DESC LIMIT :limit OFFSET :offset
""")
_COUNT = text("""
SELECT count(*) FROM chaos_executions x
WHERE (CAST(:status AS text) IS NULL OR x.status = :status)
    AND (CAST(:experiment AS uuid) IS NULL OR x.experiment_id = :experiment)
""")


def create(conn: Connection, definition: Mapping[str, Any], user_id: UserId) -> UUID:
    """Write an experiment, or find the same one of the same person. Return its id."""
    same = {"constraint": "one_experiment_a_definition", "set_": {"updated_at": func.now()}}
    wanted = insert(E).values(definition=dict(definition), created_by=user_id)
    return conn.execute(wanted.on_conflict_do_update(**same).returning(E.experiment_id)).scalar_one()  # type: ignore[arg-type]


def find(conn: Connection, experiment_id: UUID) -> ExperimentRow:
    """Return an experiment. Raises: NotFoundError."""
    row = conn.execute(select(E).where(E.experiment_id == experiment_id)).one_or_none()
    if row is None:
        raise NotFoundError("experiment", experiment_id)
    return _experiment(row)


def resolve(conn: Connection, wanted: str) -> UUID:
    """Return the experiment that people mean by an id, or by a beginning or end of it.

    Raises: NotFoundError, or ConflictError with the candidates.
    """
    return identifiers.resolve(conn, "experiment", E.experiment_id, wanted, E.experiment_id.is_not(None))


def listed(conn: Connection, page: Page) -> tuple[list[ExperimentRow], int]:
    """Return a page of the experiments, the last used first, and how many there are."""
    total = conn.execute(select(func.count()).select_from(E)).scalar_one()
    query = select(E).order_by(E.updated_at.desc(), E.experiment_id).limit(page.limit).offset(page.offset)
    return [_experiment(row) for row in conn.execute(query)], total


def execution(conn: Connection, run_id: RunId) -> ChaosExecution:
    """Return an execution. Raises: NotFoundError."""
    row = conn.execute(_ONE, {"id": run_id}).one_or_none()
    if row is None:
        raise NotFoundError("experiment run", run_id)
    return _execution(row)


def executions(
    conn: Connection, status: ChaosStatus | None, experiment_id: UUID | None, page: Page
) -> tuple[list[ChaosExecution], int]:
    """Return a page of the executions, newest first, and how many there are."""
    wanted = {"status": status, "experiment": experiment_id}
    total = conn.execute(_COUNT, wanted).scalar_one()
    found = conn.execute(_PAGE, {**wanted, "limit": page.limit, "offset": page.offset})
    return [_execution(row) for row in found], total


def _experiment(row: Row[Any]) -> ExperimentRow:
    return ExperimentRow(
        experiment_id=row.experiment_id,
        name=row.name,
        definition=row.definition,
        created_by=UserId(row.created_by),
        created_at=row.created_at,
    )


def _execution(row: Row[Any]) -> ChaosExecution:
    return ChaosExecution(
        execution_id=RunId(row.execution_id),
        experiment_id=row.experiment_id,
        name=row.name,
        status=ChaosStatus(row.status),
        ending=row.ending,
        validated=row.hypothesis_validated,
        reason=row.reason,
        submitted_at=row.submitted_at,
        started_at=row.started_at,
        completed_at=row.completed_at,
        cancel_requested=row.cancel_requested,
        step=row.step,
        progress=row.progress,
    )
