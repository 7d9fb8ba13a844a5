"""Results and files of attempts. Writing them again replaces them, so a collector may start over."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, or_, select

from db import tables
from db.errors import NotFoundError
from db.page import Page
from db.text import clean, fitted, told_apart
from model.fault import INFRASTRUCTURE_REASONS
from model.ids import ExecutionId
from model.result import Artifact, ArtifactType, Failure, Outcome, Result, ResultIdentity, ResultKind, Summary

R = tables.TestResult
A = tables.TestArtifact
BATCH = 500
LONGEST_NAME = 500
LONGEST_TYPE = 100
_NOT_COUNTED = tuple(reason.value for reason in INFRASTRUCTURE_REASONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many results an attempt has of each outcome; `not_run` of the skipped ones were planned only."""

    outcomes: Counter[Outcome]
    not_run: int

    @property
    def summary(self) -> Summary:
        """The counts in the form that people see."""
        return Summary(
            total=self.outcomes.total(),
            passed=self.outcomes[Outcome.PASSED],
            failed=self.outcomes[Outcome.FAILED],
            skipped=self.outcomes[Outcome.SKIPPED] - self.not_run,
        )


def replace(conn: Connection, execution_id: ExecutionId, attempt: int, results: Sequence[Result]) -> None:
    """Make `results` the results of one attempt. Tests of equal names are told apart by a number."""
    conn.execute(delete(R).where(R.execution_id == execution_id, R.attempt == attempt))
    names = told_apart([result.name for result in results], LONGEST_NAME)
    rows = [
        {
            "execution_id": execution_id,
            "attempt": attempt,
            "test_name": name,
            "status": result.outcome,
            "duration_ms": result.duration_ms,
            "error_message": clean(result.message) or None,
            "stack_trace": clean(result.trace) or None,
            "assertions": [clean(assertion) for assertion in result.assertions],
            "executed_at": result.executed_at or func.now(),
            "kind": result.kind,
            "other_failures": [_failure_row(failure) for failure in result.other_failures],
            **_identity_row(result.identity),
        }
        for name, result in zip(names, results, strict=True)
    ]
    for start in range(0, len(rows), BATCH):
        conn.execute(insert(R).values(rows[start : start + BATCH]))


def _failure_row(failure: Failure) -> dict[str, object]:
    return {**asdict(failure), "message": clean(failure.message), "trace": clean(failure.trace)}


def _identity_row(identity: ResultIdentity | None) -> dict[str, object]:
    if identity is None:
        return {"suite": None, "classname": None, "case_name": None, "parameters": None, "project": None,
                "result_index": 1}  # fmt: skip
    return {
        "suite": fitted(identity.suite, LONGEST_NAME),
        "classname": fitted(identity.classname, LONGEST_NAME),
        "case_name": fitted(identity.name, LONGEST_NAME),
        "parameters": fitted(identity.parameters, LONGEST_NAME),
        "project": fitted(identity.project, LONGEST_NAME),
        "result_index": identity.index,
    }


def read(conn: Connection, execution_id: ExecutionId, attempt: int | None = None) -> list[Result]:
    """Return the results of an attempt in the order of their execution. The default is the last that has any."""
    if attempt is None:
        attempt = last_attempt(conn, execution_id)
    query = select(R).where(R.execution_id == execution_id, R.attempt == attempt)
    return [_result(row) for row in conn.execute(query.order_by(R.executed_at, R.test_name))]


def read_page(
    conn: Connection, execution_id: ExecutionId, attempt: int | None, page: Page, status: Outcome | None = None
) -> list[Result]:
    """Return a page of the results of an attempt, in the order of `read`, or only those with a status."""
    conditions = [R.execution_id == execution_id, R.attempt == attempt]
    if status is not None:
        conditions.append(R.status == status)
    query = select(R).where(*conditions).order_by(R.executed_at, R.test_name)
    return [_result(row) for row in conn.execute(query.limit(page.limit).offset(page.offset))]


def counts(conn: Connection, execution_id: ExecutionId, attempt: int | None) -> Counts:
    """Return how many results of each outcome an attempt has."""
    not_run = func.count().filter(R.kind == ResultKind.NOT_RUN)
    query = select(R.status, func.count(), not_run).where(R.execution_id == execution_id, R.attempt == attempt)
    rows = conn.execute(query.group_by(R.status)).all()
    return Counts(
        outcomes=Counter({Outcome(status): count for status, count, _ in rows}),
        not_run=sum(without for _, _, without in rows),
    )


def earlier_failures(conn: Connection, execution_id: ExecutionId, attempt: int) -> dict[ResultIdentity, list[int]]:
    """Return the tests that failed in earlier attempts than `attempt`, each with the numbers of these attempts.

    Attempts that the infrastructure ended are left out: their failures say nothing about the tests.
    """
    a = tables.TestAttempt
    own = (a.execution_id == execution_id, a.number < attempt)
    counted = select(a.number).where(*own, or_(a.failure_reason.is_(None), a.failure_reason.not_in(_NOT_COUNTED)))
    columns = (R.test_name, R.suite, R.classname, R.case_name, R.parameters, R.project, R.result_index)
    failed = (R.execution_id == execution_id, R.status == Outcome.FAILED, R.attempt.in_(counted))
    found: dict[ResultIdentity, list[int]] = {}
    for row in conn.execute(select(R.attempt, *columns).where(*failed).order_by(R.attempt, R.test_name)):
        found.setdefault(_identity(row) or ResultIdentity(name=row.test_name), []).append(row.attempt)
    return found


def last_attempt(conn: Connection, execution_id: ExecutionId) -> int | None:
    """Return the last attempt that has results."""
    return conn.execute(select(func.max(R.attempt)).where(R.execution_id == execution_id)).scalar_one()


def save_artifacts(conn: Connection, execution_id: ExecutionId, attempt: int, artifacts: Sequence[Artifact]) -> None:
    """Make `artifacts` the files of one attempt."""
    conn.execute(delete(A).where(A.execution_id == execution_id, A.attempt == attempt))
    names = told_apart([artifact.name for artifact in artifacts], LONGEST_NAME)
    rows = [
        {
            "execution_id": execution_id,
            "attempt": attempt,
            "artifact_type": artifact.type,
            "file_name": name,
            "s3_path": artifact.uri,
            "file_size_bytes": artifact.size_bytes,
            "content_type": fitted(artifact.content_type, LONGEST_TYPE),
        }
        for name, artifact in zip(names, artifacts, strict=True)
    ]
    if rows:
        conn.execute(insert(A).values(rows))


def artifacts(conn: Connection, execution_id: ExecutionId, attempt: int | None = None) -> list[Artifact]:
    """Return the files of an attempt by name. The default is the last attempt that left any."""
    if attempt is None:
        attempt = _last_with_files(conn, execution_id)
    query = select(A).where(A.execution_id == execution_id, A.attempt == attempt)
    return [_artifact(row) for row in conn.execute(query.order_by(A.file_name))]


def artifact(conn: Connection, execution_id: ExecutionId, name: str) -> Artifact:
    """Return a file of the last attempt that left one of this name. Raises: NotFoundError."""
    query = select(A).where(A.execution_id == execution_id, A.file_name == clean(name))
    row = conn.execute(query.order_by(A.attempt.desc()).limit(1)).one_or_none()
    if row is None:
        raise NotFoundError("artifact", name)
    return _artifact(row)


def _last_with_files(conn: Connection, execution_id: ExecutionId) -> int | None:
    return conn.execute(select(func.max(A.attempt)).where(A.execution_id == execution_id)).scalar_one()


def _result(row: Row[Any]) -> Result:
    return Result(
        name=row.test_name,
        outcome=Outcome(row.status),
        duration_ms=row.duration_ms,
        message=row.error_message or "",
        trace=row.stack_trace or "",
        executed_at=row.executed_at,
        assertions=tuple(row.assertions),
        kind=ResultKind(row.kind) if row.kind else None,
        identity=_identity(row),
        other_failures=tuple(Failure(**failure) for failure in row.other_failures),
    )


def _identity(row: Row[Any]) -> ResultIdentity | None:
    if row.case_name is None:
        return None
    return ResultIdentity(
        suite=row.suite,
        classname=row.classname,
        name=row.case_name,
        parameters=row.parameters,
        project=row.project,
        index=row.result_index,
    )


def _artifact(row: Row[Any]) -> Artifact:
    return Artifact(
        name=row.file_name,
        type=ArtifactType(row.artifact_type),
        uri=row.s3_path,
        size_bytes=row.file_size_bytes,
        content_type=row.content_type or "application/octet-stream",
    )
