"""What only a run of kind `experiment` has, beside its row in `runs`: where it stands, and what it found.

1. Whoever holds the run's epoch owns this row. Every write is fenced by it, so a worker that lost the run changes
   nothing more.
2. The status of a run is in `runs` only. `ending` is written in the transaction that ends the run, and only there.
3. A fault is in `chaos_faults` before it is in the world. The step in `state` may be one behind what was done, and
   never ahead of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Connection, exists, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_row

from chaos.experiment_states import State
from chaos.journal import Phase
from chaos.safety import DecisionRecord
from chaos.targets import Resolution
from db import chaos_tables, gate_tables, tables
from db.errors import NotFoundError
from db.runs import Fenced, fence
from model.ids import RunId, SuiteRunId

C = chaos_tables.ChaosRun
RESULT = chaos_tables.ChaosResult
_STATE = TypeAdapter(State)
_RESOLUTION = TypeAdapter(Resolution)
_DECISIONS = TypeAdapter(tuple[DecisionRecord, ...])
_PHASES = TypeAdapter(tuple[Phase, ...])


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Where an execution stood when it was last written down. `state` is None before it began."""

    experiment: Mapping[str, Any]
    claims: tuple[str, ...]
    state: State | None = None
    resolution: Resolution | None = None
    decisions: tuple[DecisionRecord, ...] = ()
    phases: tuple[Phase, ...] = ()
    started_at: datetime | None = None
    suite_run_id: SuiteRunId | None = None
    """The suite run that carries it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is written down after each event. `progress` is for people."""

    state: State
    resolution: Resolution | None
    decisions: tuple[DecisionRecord, ...]
    phases: tuple[Phase, ...]
    progress: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A row of `chaos_results`."""

    name: str
    baseline: float | None
    fault: float | None
    recovery: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What an execution leaves when it ends."""

    ending: str
    validated: bool | None
    metrics: tuple[Metric, ...]
    journal: Mapping[str, Any]
    report: str


def insert_run(conn: Connection, run_id: RunId, experiment_id: UUID) -> None:
    """Write the details of a new run."""
    conn.execute(insert(C).values(run_id=run_id, experiment_id=experiment_id))


def experiment_of(conn: Connection, run_id: RunId) -> UUID:
    """Return the experiment of a run. Raises: NotFoundError."""
    found = conn.execute(select(C.experiment_id).where(C.run_id == run_id)).scalar_one_or_none()
    if found is None:
        raise NotFoundError("experiment run", run_id)
    return found


def read(conn: Connection, run_id: RunId) -> Kept:
    """Return where an execution stands. Raises: NotFoundError."""
    q, e, r = gate_tables.QueueRow, chaos_tables.ChaosExperiment, tables.Run
    query = (
        select(C.state, C.resolution, C.decisions, C.phases, e.definition, q.exclusive, r.started_at, r.parent_id)
        .join(e, e.experiment_id == C.experiment_id)
        .join(r, r.id == C.run_id)
        .outerjoin(q, q.execution_id == C.run_id)
        .where(C.run_id == run_id)
    )
    row = conn.execute(query).one_or_none()
    if row is None:
        raise NotFoundError("experiment run", run_id)
    return Kept(
        experiment=row.definition,
        claims=tuple(row.exclusive or ()),
        state=None if row.state is None else _STATE.validate_python(row.state),
        resolution=None if row.resolution is None else _RESOLUTION.validate_python(row.resolution),
        decisions=_DECISIONS.validate_python(row.decisions),
        phases=_PHASES.validate_python(row.phases),
        started_at=row.started_at,
        suite_run_id=None if row.parent_id is None else SuiteRunId(row.parent_id),
    )


def save(conn: Connection, fenced: Fenced, standing: Standing) -> bool:
    """Write down where an execution stands. False if the caller does not hold the run any more."""
    values = {
        "state": _STATE.dump_python(standing.state, mode="json"),
        "resolution": None
        if standing.resolution is None
        else _RESOLUTION.dump_python(standing.resolution, mode="json"),
        "decisions": _DECISIONS.dump_python(standing.decisions, mode="json"),
        "phases": _PHASES.dump_python(standing.phases, mode="json"),
        "progress": dict(standing.progress),
    }
    return conn.execute(update(C).where(C.run_id == fenced.run_id, _mine(fenced)).values(**values)).rowcount == 1


def show(conn: Connection, fenced: Fenced, progress: Mapping[str, Any]) -> None:
    """Write down how far an execution is, for people."""
    conn.execute(update(C).where(C.run_id == fenced.run_id, _mine(fenced)).values(progress=dict(progress)))


def finish(conn: Connection, run_id: RunId, findings: Findings) -> None:
    """Write down what was found. The caller holds the run's row, and ends the run in this transaction."""
    windows = {
        "baseline_metrics": {metric.name: metric.baseline for metric in findings.metrics},
        "chaos_metrics": {metric.name: metric.fault for metric in findings.metrics},
        "recovery_metrics": {metric.name: metric.recovery for metric in findings.metrics},
    }
    own = {"ending": findings.ending, "hypothesis_validated": findings.validated, "progress": None}
    left = {"journal": dict(findings.journal), "report": findings.report}
    conn.execute(update(C).where(C.run_id == run_id).values(**own, **windows, **left))
    for metric in findings.metrics:
        values = {
            "baseline_value": metric.baseline,
            "chaos_value": metric.fault,
            "recovery_value": metric.recovery,
        }
        row = insert_row(RESULT).values(execution_id=run_id, metric_name=metric.name, **values)
        conn.execute(row.on_conflict_do_update(constraint="one_result_a_metric", set_=values))


def journal(conn: Connection, run_id: RunId) -> Mapping[str, Any]:
    """Return the journal of an execution. Raises: NotFoundError before it has ended."""
    found = conn.execute(select(C.journal).where(C.run_id == run_id)).scalar_one_or_none()
    if found is None:
        raise NotFoundError("journal of the experiment run", run_id)
    return dict(found)


def report(conn: Connection, run_id: RunId) -> str:
    """Return the report of an execution, as HTML. Raises: NotFoundError before it has ended."""
    found = conn.execute(select(C.report).where(C.run_id == run_id)).scalar_one_or_none()
    if found is None:
        raise NotFoundError("report of the experiment run", run_id)
    return found


def alive(conn: Connection) -> Sequence[RunId]:
    """Return the executions that have not ended, in order of id."""
    r = tables.Run
    query = select(C.run_id).join(r, r.id == C.run_id).where(r.completed_at.is_(None)).order_by(C.run_id)
    return [RunId(found) for found in conn.execute(query).scalars()]


def _mine(fenced: Fenced) -> Any:
    return exists().where(*fence(fenced), tables.Run.completed_at.is_(None))
