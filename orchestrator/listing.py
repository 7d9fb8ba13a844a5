"""Read runs for people: their position in the queue and its reason, lists of runs, results, and waiting runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, func, select

from db import backends, chaos_faults, consumption, decisions, executions, forecasts, people, pools, results, workers
from db import nodes as node_rows
from db.decisions import Owned
from db.errors import NotFoundError
from db.executions import Execution, ExecutionFilter
from db.forecasts import Forecast
from db.gate import queue_position
from db.gate.queue_position import Entry, Position
from db.gate_tables import QueueRow
from db.page import Page
from model.execution import Attempt, Status
from model.ids import DefinitionId, ExecutionId, PoolName, RunId, SuiteRunId, short
from model.plural import counted
from model.request import TestType
from model.resources import Resources, Used
from model.result import Outcome, Result, ResultIdentity, Summary
from reports.run import AttemptReport, RunReport
from scheduler.fairness.shares import dominant
from scheduler.values.absence import Absence
from scheduler.values.node import Node
from scheduler.values.pool import NOTHING

COUNTED = 200
"""The response to a submit has a position up to this one. A gate pass records as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The standing of a waiting run. It has no position in a backoff or far behind, and may have no estimate yet."""

    position: int | None
    reason: str
    estimate: Forecast | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A run with its attempts, which lists leave out. `standing` is None unless it waits.

    `used` is what the test used in its last runs. Only a single run that has ended has it. `under_experiment` are the
    experiments that had a fault active meanwhile.
    """

    execution: Execution
    standing: Standing | None = None
    attempts: tuple[Attempt, ...] = ()
    used: Used | None = None
    under_experiment: tuple[RunId, ...] = ()

    @property
    def duration_seconds(self) -> float | None:
        """From the first start to the end; None until both are known."""
        started, ended = self.execution.started_at, self.execution.completed_at
        return (ended - started).total_seconds() if started and ended else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The filters of a list of runs. None means that a filter is not used."""

    status: Status | None = None
    type: TestType | None = None
    user: str | None = None
    label: tuple[str, str] | None = None
    tag: str | None = None
    suite_run: SuiteRunId | None = None
    definition: DefinitionId | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """The results of one attempt: the wanted part of them, the number of those with the wanted status, and the sum.

    `attempt` is None when none has results yet. `failed_before` has the tests that failed in earlier attempts, with the
    numbers of these.
    """

    execution_id: ExecutionId
    attempt: int | None
    summary: Summary
    total: int
    results: tuple[Result, ...]
    failed_before: Mapping[ResultIdentity, Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The results to read: of one attempt (None: the last that has any), with one status, on one page."""

    page: Page
    attempt: int | None = None
    status: Outcome | None = None


def show(conn: Connection, execution_id: ExecutionId) -> Shown:
    """Return one run with its attempts, and its standing in the queue. Raises: NotFoundError."""
    execution = executions.find(conn, execution_id)
    return Shown(
        execution=execution,
        standing=standing(conn, execution_id) if execution.status is Status.QUEUED else None,
        attempts=tuple(executions.attempts(conn, execution_id)),
        used=_used(conn, execution) if execution.status.terminal else None,
        under_experiment=tuple(chaos_faults.over(conn, execution_id)) if execution.started_at else (),
    )


def _used(conn: Connection, execution: Execution) -> Used | None:
    """Return what the test of a run has used. It is read only for ended runs: others are looked at again and again."""
    return consumption.used(conn, execution.pool, [execution.definition_id]).get(execution.definition_id)


def standing(conn: Connection, execution_id: ExecutionId) -> Standing | None:
    """Return the standing of a run in the queue as of now. None if it does not wait."""
    return _standing(conn, execution_id, queue_position.position(conn, execution_id))


def first_standing(conn: Connection, execution_id: ExecutionId) -> Standing | None:
    """Return the standing of a new run. Only the first positions are counted, so that a deep queue delays no submit."""
    found = _standing(conn, execution_id, queue_position.near(conn, execution_id, COUNTED))
    if found is None or found.estimate is not None:
        return found
    return replace(found, estimate=forecasts.read_new(conn, execution_id))


def _standing(conn: Connection, execution_id: ExecutionId, counted: Position | None) -> Standing | None:
    if counted is None:
        return None
    estimate = forecasts.read(conn, [execution_id]).get(execution_id)
    return Standing(position=counted.position, reason=counted.reason, estimate=estimate)


def list_shown(conn: Connection, wanted: Wanted, page: Page) -> tuple[list[Shown], int]:
    """Return a page of runs, newest first, and how many there are. An unknown user has none."""
    try:
        found, total = executions.list_executions(conn, _filter(conn, wanted), page)
    except NotFoundError:
        return [], 0
    notes = _noted(conn, [row.execution_id for row in found if row.status is Status.QUEUED])
    return [Shown(execution=row, standing=notes.get(row.execution_id)) for row in found], total


def _noted(conn: Connection, execution_ids: list[ExecutionId]) -> dict[ExecutionId, Standing]:
    if not execution_ids:
        return {}
    estimates = forecasts.read(conn, execution_ids)
    return {
        run: Standing(position=found.position, reason=found.reason, estimate=estimates.get(run))
        for run, found in queue_position.noted(conn, execution_ids).items()
    }


def _filter(conn: Connection, wanted: Wanted) -> ExecutionFilter:
    return ExecutionFilter(
        statuses=() if wanted.status is None else (wanted.status,),
        types=() if wanted.type is None else (wanted.type,),
        user_id=None if wanted.user is None else people.user(conn, wanted.user).user_id,
        labels=() if wanted.label is None else (wanted.label,),
        tags=() if wanted.tag is None else (wanted.tag,),
        submitted_from=wanted.since,
        submitted_to=wanted.until,
        suite_run_id=wanted.suite_run,
        definition_id=wanted.definition,
    )


def outcomes(conn: Connection, execution_id: ExecutionId, part: Part) -> Outcomes:
    """Return a part of the results of an attempt, and the counts of all of them.

    Raises: NotFoundError for an attempt that a run which has ended did not have.
    """
    if part.attempt is not None:
        _had(conn, execution_id, part.attempt)
    attempt = results.last_attempt(conn, execution_id) if part.attempt is None else part.attempt
    counted = results.counts(conn, execution_id, attempt)
    found = results.read_page(conn, execution_id, attempt, part.page, part.status)
    return Outcomes(
        execution_id=execution_id,
        attempt=attempt,
        summary=counted.summary,
        total=counted.summary.total if part.status is None else counted.outcomes[part.status],
        results=tuple(found),
        failed_before={} if attempt is None else results.earlier_failures(conn, execution_id, attempt),
    )


def _had(conn: Connection, execution_id: ExecutionId, attempt: int) -> None:
    """Raise NotFoundError if the run has ended without having had this attempt."""
    if not executions.find(conn, execution_id).status.terminal:
        return
    numbers = [launch.number for launch in executions.attempts(conn, execution_id)]
    if attempt not in numbers:
        had = counted(len(numbers), "attempt") if numbers else "no attempt at all"
        raise NotFoundError("attempt", f"{attempt} of run {short(execution_id)}, which had {had}")


def report(conn: Connection, execution_id: ExecutionId, attempt: int | None = None) -> RunReport:
    """Return a run with the results of each attempt, up to the given one. Raises: NotFoundError."""
    if attempt is not None:
        _had(conn, execution_id, attempt)
    return RunReport(
        execution=executions.find(conn, execution_id),
        attempts=tuple(
            AttemptReport(attempt=launch, results=tuple(results.read(conn, execution_id, launch.number)))
            for launch in executions.attempts(conn, execution_id)
            if attempt is None or launch.number <= attempt
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InLine:
    """A waiting run with its owner, and the estimate of its start if there is one."""

    entry: Entry
    owned: Owned
    estimate: Forecast | None


def queue(conn: Connection, pool: PoolName, page: Page) -> tuple[list[InLine], int]:
    """Return a page of the waiting runs in the order of the queue, and how many wait. Raises: NotFoundError."""
    pools.read(conn, pool)
    entries, total = queue_position.queue(conn, pool, page.limit, page.offset)
    runs = [entry.execution_id for entry in entries]
    owned, estimates = decisions.owned(conn, runs), forecasts.read(conn, runs)
    return [
        InLine(entry=entry, owned=owned[entry.execution_id], estimate=estimates.get(entry.execution_id))
        for entry in entries
        if entry.execution_id in owned
    ], total


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The resources of one node that admitted runs hold."""

    resources: Resources = NOTHING
    runs: int = 0

    def of(self, node: Node) -> float:
        """Return the share of the scarcest resource of a node that is held. It exceeds 1 if the node has shrunk."""
        r, has = self.resources, node.capacity
        held = (r.cpu_milli, r.memory_bytes, r.ephemeral_bytes, r.gpu, self.runs)
        return dominant(held, (has.cpu_milli, has.memory_bytes, has.ephemeral_bytes, has.gpu, node.pods))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownNode:
    """A node, what is held of it, and whether a live worker serves it. `absence` is set if none does."""

    node: Node
    held: Held
    served: bool
    absence: Absence | None = None


def nodes(conn: Connection, pool: PoolName) -> list[ShownNode]:
    """Return the nodes of a pool with what is held of them, by name. Raises: NotFoundError."""
    pools.read(conn, pool)
    amounts = ("cpu_milli", "memory_bytes", "ephemeral_bytes", "gpu")
    sums = (func.sum(getattr(QueueRow, name)) for name in amounts)
    admitted = select(QueueRow.node, func.count(), *sums).where(QueueRow.pool == pool, QueueRow.state == "admitted")
    held = {
        name: Held(resources=Resources(**dict(zip(amounts, map(int, used), strict=True))), runs=count)
        for name, count, *used in conn.execute(admitted.group_by(QueueRow.node))
    }
    served, absent = workers.served(conn, pool), backends.absent(conn, pool)
    return [
        ShownNode(
            node=node,
            held=held.get(node.name, Held()),
            served=node.backend in served,
            absence=None if node.backend in served else absent.get(node.backend),
        )
        for node in node_rows.read(conn, pool)
    ]
