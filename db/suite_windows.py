"""Suites that carry an experiment: how far it is, whose turn it is, and what is known of its runs (028)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, text

from db.errors import NotFoundError
from db.sql_text import statement
from model.execution import Phase, Reason, Status, Verdict
from model.ids import ExecutionId, GroupId, RunId, SuiteRunId
from model.runs import RunKind
from model.suite_windows import During, SuiteWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteTest:
    """A test of such a suite. `under_fault`: a fault of the experiment was active while its last attempt ran.

    `disturbed`, of what ran once more: a fault of another experiment was active in the same place meanwhile.
    """

    execution_id: ExecutionId
    name: str
    during: During
    status: Status
    phase: Phase
    verdict: Verdict | None = None
    started_at: datetime | None = None
    retried_from: ExecutionId | None = None
    under_fault: bool = False
    disturbed: bool = False

    @property
    def waits_again(self) -> bool:
        """Whether it has begun, and waits for a place for another attempt."""
        return self.started_at is not None and self.status is Status.QUEUED


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedExperiment:
    """The experiment of a suite. `injected`: a fault was written down. `reverted`: none is in the world any more."""

    run_id: RunId
    name: str
    status: Status
    verdict: Verdict | None
    ending: str | None
    validated: bool | None
    step: str | None
    injected: bool
    reverted: bool


_ENTER = text("""
UPDATE suite_runs SET current_window = :window
WHERE suite_run_id = :suite_run_id AND current_window = ANY(CAST(:before AS text[]))
""")
_TURN = text("""
SELECT s.current_window, e ->> 'during' AS during
FROM runs r
JOIN suite_runs s ON s.suite_run_id = r.parent_id AND s.current_window IS NOT NULL
JOIN test_run_details d ON d.execution_id = r.id
JOIN test_definitions t ON t.id = d.definition_id
CROSS JOIN LATERAL jsonb_array_elements(s.definition -> 'tests') AS e
WHERE r.id = :execution_id AND e ->> 'name' = t.name
""")
_GIVE_TURN = text("""
UPDATE queue SET not_before = NULL, reason = ''
WHERE execution_id = :execution_id AND state = 'waiting' AND not_before > clock_timestamp() + interval '1 day'
""")
"""No backoff is as long as a day, so a run that has begun once is left alone."""
_HOLD = text("""
UPDATE queue SET not_before = clock_timestamp() + :held, reason = :reason, group_id = :group_id
WHERE execution_id = :execution_id AND state = 'waiting'
""")

_LONGEST = text("""
SELECT coalesce(sum(q.limit_seconds), 0) FROM queue q JOIN runs r ON r.id = q.execution_id
WHERE r.parent_id = :suite_run_id AND r.kind = 'test'
""")
_MET = """
coalesce(f.injected_at, f.written_at) < coalesce(a.ended_at, clock_timestamp())
    AND coalesce(f.reverted_at, clock_timestamp()) > a.started_at
    AND a.number = (SELECT max(number) FROM test_attempts l WHERE l.execution_id = a.execution_id)
"""
"""A fault `f` was active while `a`, the last attempt of a test, ran."""
_SAME_PLACE = """
other.target_selector ->> 'environment' IS NOT DISTINCT FROM mine.target_selector ->> 'environment'
    AND other.target_selector ->> 'cluster' IS NOT DISTINCT FROM mine.target_selector ->> 'cluster'
    AND other.target_selector ->> 'namespace' IS NOT DISTINCT FROM mine.target_selector ->> 'namespace'
"""
_TESTS = statement(
    """
WITH wanted AS MATERIALIZED (
    SELECT e ->> 'name' AS name, e ->> 'during' AS during, c.place
    FROM suite_runs s CROSS JOIN LATERAL jsonb_array_elements(s.definition -> 'tests') WITH ORDINALITY AS c (e, place)
    WHERE s.suite_run_id = :suite_run_id
)
SELECT r.id, t.name, w.during, r.status, r.phase, r.failure_reason, r.detail, r.started_at,
    r.retried_from, EXISTS (
        SELECT FROM runs x
        JOIN chaos_faults f ON f.execution_id = x.id
        JOIN test_attempts a ON a.execution_id = r.id
        WHERE x.parent_id = r.parent_id AND x.kind = 'experiment'
            AND $met
    ) AS under_fault, r.retried_from IS NOT NULL AND EXISTS (
        SELECT FROM runs x
        JOIN chaos_runs c ON c.run_id = x.id
        JOIN chaos_experiments mine ON mine.experiment_id = c.experiment_id
        JOIN chaos_experiments other ON $same_place
        JOIN chaos_runs o ON o.experiment_id = other.experiment_id AND o.run_id <> x.id
        JOIN chaos_faults f ON f.execution_id = o.run_id
        JOIN test_attempts a ON a.execution_id = r.id
        WHERE x.parent_id = r.parent_id AND x.kind = 'experiment' AND $met
    ) AS disturbed
FROM runs r
JOIN test_run_details d ON d.execution_id = r.id
JOIN test_definitions t ON t.id = d.definition_id
JOIN wanted w ON w.name = t.name
WHERE r.parent_id = :suite_run_id
ORDER BY w.place, r.submitted_at, r.id
""",
    met=_MET,
    same_place=_SAME_PLACE,
)
"""The definition is read once: it may be large, and it is asked for every half second.

A fault that was written down and not noted as injected may have been active: its worker died in between.
"""

_EXPERIMENT = text("""
SELECT r.id, e.name, r.status, r.failure_reason, r.detail, c.ending, c.hypothesis_validated, c.state ->> 'step' AS step,
    EXISTS (SELECT FROM chaos_faults f WHERE f.execution_id = r.id) AS injected,
    NOT EXISTS (SELECT FROM chaos_faults f WHERE f.execution_id = r.id AND f.status <> 'reverted') AS reverted
FROM runs r
JOIN chaos_runs c ON c.run_id = r.id
JOIN chaos_experiments e ON e.experiment_id = c.experiment_id
WHERE r.parent_id = :suite_run_id AND r.kind = 'experiment'
""")


def enter(conn: Connection, suite_run_id: SuiteRunId, window: SuiteWindow) -> None:
    """Note how far the experiment of a suite is. It never goes back, also not by a worker that stood still."""
    known = list(SuiteWindow)
    before = [each.value for each in known[: known.index(window)]]
    conn.execute(_ENTER, {"suite_run_id": suite_run_id, "window": window, "before": before})


def turn_of(conn: Connection, execution_id: ExecutionId) -> tuple[During, SuiteWindow] | None:
    """Return in which window a test runs, and which one its suite is in; None if no experiment orders it."""
    row = conn.execute(_TURN, {"execution_id": execution_id}).one_or_none()
    return None if row is None else (During(row.during), SuiteWindow(row.current_window))


def give_turn(conn: Connection, tests: Sequence[ExecutionId]) -> None:
    """Let tests start that were held for their window. What was not held, or has begun, stays as it is.

    They are changed in order of id, in which a cancel of the suite locks them too.
    """
    for test in sorted(tests):
        conn.execute(_GIVE_TURN, {"execution_id": test})


def hold(conn: Connection, execution_id: ExecutionId, held: timedelta, reason: str, group_id: GroupId) -> None:
    """Let a waiting test wait for its window, with the others of its group."""
    values = {"execution_id": execution_id, "held": held, "reason": reason, "group_id": group_id}
    conn.execute(_HOLD, values)


def longest(conn: Connection, suite_run_id: SuiteRunId) -> timedelta:
    """Return how long the queued tests of a suite may take, one after the other."""
    return timedelta(seconds=conn.execute(_LONGEST, {"suite_run_id": suite_run_id}).scalar_one())


def tests(conn: Connection, suite_run_id: SuiteRunId) -> list[SuiteTest]:
    """Return the tests of a suite with an experiment in the order of the file, each before what ran once more of it."""
    return [_test(row) for row in conn.execute(_TESTS, {"suite_run_id": suite_run_id})]


def experiment(conn: Connection, suite_run_id: SuiteRunId) -> CarriedExperiment:
    """Return the experiment of a suite. Raises: NotFoundError."""
    row = conn.execute(_EXPERIMENT, {"suite_run_id": suite_run_id}).one_or_none()
    if row is None:
        raise NotFoundError(f"{RunKind.EXPERIMENT} of the suite run", suite_run_id)
    return CarriedExperiment(
        run_id=RunId(row.id),
        name=row.name,
        status=Status(row.status),
        verdict=_verdict(row),
        ending=row.ending,
        validated=row.hypothesis_validated,
        step=row.step,
        injected=row.injected,
        reverted=row.reverted,
    )


def _test(row: Row[Any]) -> SuiteTest:
    return SuiteTest(
        execution_id=ExecutionId(row.id),
        name=row.name,
        during=During(row.during),
        status=Status(row.status),
        phase=Phase(row.phase),
        verdict=_verdict(row),
        started_at=row.started_at,
        retried_from=ExecutionId(row.retried_from) if row.retried_from else None,
        under_fault=row.under_fault,
        disturbed=row.disturbed,
    )


def _verdict(row: Row[Any]) -> Verdict | None:
    status = Status(row.status)
    if not status.terminal:
        return None
    reason = Reason(row.failure_reason) if row.failure_reason else None
    return Verdict(status=status, reason=reason, detail=row.detail)
