"""Makers of rows for the tests of this folder. Times and ids are given, nothing is random by itself."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random

import pytest
from sqlalchemy import Connection

from db import definitions, executions, runs
from db.engine import Database
from db.executions import NewExecution
from db.runs import Become, Fenced
from db.seeds import DEFAULT_POOL, DEFAULT_TEAM, LOCAL_USER
from model.content import InlineContent
from model.definition import define
from model.execution import Door, Phase, Status, Verdict
from model.ids import DefinitionId, ExecutionId, TeamId, UserId, uuid7
from model.request import TestRequest, TestType

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An execution to write."""

    name: str = "checkout"
    type: TestType = TestType.PYTEST
    body: str = "def test_it(): pass"
    labels: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    owner: UserId = LOCAL_USER
    team: TeamId | None = DEFAULT_TEAM
    at: datetime = NOON
    door: Door = Door.REST


class Maker:
    """Writes rows, each with the next identifier of a seeded row of them."""

    def __init__(self) -> None:
        self._random = Random(7)

    def request(self, wanted: Wanted) -> TestRequest:
        return TestRequest(
            name=wanted.name,
            type=wanted.type,
            content=InlineContent(files={"test_it.py": wanted.body}),
            command=("true",) if wanted.type is TestType.CUSTOM else None,
            labels=dict(wanted.labels),
            tags=wanted.tags,
        )

    def definition(self, conn: Connection, wanted: Wanted) -> DefinitionId:
        identifier = DefinitionId(uuid7(wanted.at, self._random))
        return definitions.save(conn, define(self.request(wanted), identifier, wanted.owner, wanted.at))

    def execution(self, conn: Connection, wanted: Wanted | None = None, **changes: object) -> ExecutionId:
        """Write a run that waits; `changes` are those of the row."""
        wanted = wanted or Wanted()
        new = NewExecution(
            execution_id=ExecutionId(uuid7(wanted.at, self._random)),
            definition_id=self.definition(conn, wanted),
            priority=5,
            door=wanted.door,
            pool=DEFAULT_POOL,
            submitted_by=wanted.owner,
            team_id=wanted.team,
            submitted_at=wanted.at,
        )
        new = replace(new, **changes)  # type: ignore[arg-type]
        assert executions.insert(conn, new)
        return new.execution_id

    def ended(self, conn: Connection, wanted: Wanted, *verdicts: Verdict) -> ExecutionId:
        """Write a run with an attempt for each verdict; the last one is the run's."""
        made = self.execution(conn, wanted)
        fence = Fenced(run_id=made, epoch=None)
        running = Become(status=Status.RUNNING, phase=Phase.LAUNCHING, node="here")
        runs.transition(conn, fence, Status.QUEUED, running)
        for verdict in verdicts:
            attempt = executions.open_attempt(conn, made, epoch=0, node="here")
            executions.close_attempt(conn, made, attempt.number, verdict, 0)
        end = Become(status=verdicts[-1].status, phase=Phase.ENDED, reason=verdicts[-1].reason)
        runs.transition(conn, fence, Status.RUNNING, end)
        return made


@pytest.fixture
def make() -> Maker:
    return Maker()


@pytest.fixture
def waiting(db: Database, make: Maker) -> ExecutionId:
    """A run that waits."""
    return db.call(make.execution)


@pytest.fixture
def noon() -> datetime:
    return NOON


@pytest.fixture
def wanted() -> Callable[..., Wanted]:
    return Wanted
