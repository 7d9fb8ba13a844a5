"""Results and files of attempts. Writing them again replaces them: a collector that starts anew changes nothing."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from db import tables
from db.errors import NotFoundError
from db.page import Page
from db.text import clean, fitted, told_apart
from model.ids import ExecutionId
from model.result import Artifact, ArtifactType, Outcome, Result

R = tables.TestResult
A = tables.TestArtifact
BATCH = 500
LONGEST_NAME = 500
LONGEST_TYPE = 100


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
        }
        for name, result in zip(names, results, strict=True)
    ]
    for start in range(0, len(rows), BATCH):
        conn.execute(insert(R).values(rows[start : start + BATCH]))


def read(conn: Connection, execution_id: ExecutionId, attempt: int | None = None) -> list[Result]:
    """Return the results of an attempt in the order of their execution; without one, of the last that has any."""
    if attempt is None:
        attempt = last_attempt(conn, execution_id)
    query = select(R).where(R.execution_id == execution_id, R.attempt == attempt)
    return [_result(row) for row in conn.execute(query.order_by(R.executed_at, R.test_name))]


def read_page(
    conn: Connection, execution_id: ExecutionId, attempt: int | None, page: Page, status: Outcome | None = None
) -> list[Result]:
    """Return a part of the results of an attempt, in the order of `read`; with a status only those that have it."""
    conditions = [R.execution_id == execution_id, R.attempt == attempt]
    if status is not None:
        conditions.append(R.status == status)
    query = select(R).where(*conditions).order_by(R.executed_at, R.test_name)
    return [_result(row) for row in conn.execute(query.limit(page.limit).offset(page.offset))]


def counts(conn: Connection, execution_id: ExecutionId, attempt: int | None) -> Counter[Outcome]:
    """Return how many results of each outcome an attempt has."""
    query = select(R.status, func.count()).where(R.execution_id == execution_id, R.attempt == attempt)
    return Counter({Outcome(status): count for status, count in conn.execute(query.group_by(R.status))})


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
    """Return the files of an attempt by name; without one, of the last that left any."""
    if attempt is None:
        attempt = _last_with_files(conn, execution_id)
    query = select(A).where(A.execution_id == execution_id, A.attempt == attempt)
    return [_artifact(row) for row in conn.execute(query.order_by(A.file_name))]


def artifact(conn: Connection, execution_id: ExecutionId, name: str) -> Artifact:
    """Return one file, that of the last attempt which left it. Raises: NotFoundError."""
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
    )


def _artifact(row: Row[Any]) -> Artifact:
    return Artifact(
        name=row.file_name,
        type=ArtifactType(row.artifact_type),
        uri=row.s3_path,
        size_bytes=row.file_size_bytes,
        content_type=row.content_type or "application/octet-stream",
    )
