"""A pool with people, nodes and runs, on a real PostgreSQL."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar
from uuid import UUID

import pytest
from sqlalchemy import Connection, text

from db import definitions, executions, leases, nodes, pools, runs, workers
from db.engine import Database
from db.executions import NewExecution
from db.gate import decision_records, pass_input, queue, queue_position
from db.gate.queue import Waiting
from db.pools import PoolChange
from db.runs import Become, Fenced
from db.seeds import DEFAULT_POOL, DEFAULT_TEAM, LOCAL_USER
from model.content import InlineContent
from model.definition import define
from model.execution import Door, Phase, Status
from model.ids import BackendName, DefinitionId, ExecutionId, NodeName, PoolName, TeamId, UserId, WorkerId, uuid7
from model.request import TestRequest, TestType
from model.resources import Resources
from orchestrator import admission
from orchestrator.admission import PassOutcome
from scheduler.values.node import DEFAULT_BACKEND, Node

T = TypeVar("T")
GI = 2**30
TTL = timedelta(minutes=5)
"""Longer than any set-up takes on a busy machine: a worker that does not beat must not be gone before the pass."""
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whom runs count for."""

    user_id: UserId = LOCAL_USER
    team_id: TeamId | None = DEFAULT_TEAM


LOCAL = Person()


class GateDatabase:
    """One database; each call is a transaction of its own."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._random = Random(11)
        self.definition = self.do(self._define)

    def do(self, work: Callable[[Connection], T]) -> T:
        return self.db.call(work)

    def sql(self, statement: str, **values: Any) -> list[Any]:
        """Return the rows of a statement, if it has any."""

        def work(conn: Connection) -> list[Any]:
            result = conn.execute(text(statement), values)
            return list(result) if result.returns_rows else []

        return self.do(work)

    def new_id(self) -> UUID:
        return uuid7(NOW, self._random)

    def node(self, name: str = "n0", *, cpu: int = 4000, memory: int = 8 * GI, **facts: Any) -> None:
        made = Node(name=NodeName(name), capacity=Resources(cpu_milli=cpu, memory_bytes=memory), **facts)
        self.do(lambda conn: nodes.record(conn, DEFAULT_POOL, [made]))

    def worker(
        self,
        name: str = "w0",
        *,
        ttl: timedelta = TTL,
        pool: PoolName = DEFAULT_POOL,
        serves: Sequence[BackendName] = (DEFAULT_BACKEND,),
    ) -> WorkerId:
        self.do(lambda conn: workers.register(conn, WorkerId(name), pool, ttl, serves))
        return WorkerId(name)

    def person(self, name: str, *, most: int, team: TeamId | None = DEFAULT_TEAM) -> Person:
        made = Person(user_id=UserId(self.new_id()), team_id=team)
        self.sql(
            "INSERT INTO users (user_id, username, email, password_hash, team_id, quota) VALUES (:id, :name, :name,"
            " '!', :team, jsonb_build_object('max_concurrent_tests', CAST(:most AS int), 'max_daily_tests', 100000))",
            id=made.user_id,
            name=name,
            team=team,
            most=most,
        )
        return made

    def team(self, name: str, *, most: int) -> TeamId:
        made = TeamId(self.new_id())
        self.sql(
            "INSERT INTO teams (team_id, team_name, quota) VALUES (:id, :name,"
            " jsonb_build_object('max_concurrent_tests', CAST(:most AS int), 'max_daily_tests', 100000))",
            id=made,
            name=name,
            most=most,
        )
        return made

    def pool(self, **settings: Any) -> None:
        self.do(lambda conn: pools.update_pool(conn, DEFAULT_POOL, PoolChange(**settings)))

    def submit(
        self, number: int = 1, *, who: Person = LOCAL, pool: PoolName = DEFAULT_POOL, **given: Any
    ) -> list[ExecutionId]:
        """Write runs that wait, in one transaction, each with its execution."""
        priority, cpu = given.pop("priority", 5), given.pop("cpu", 100)
        made = [ExecutionId(self.new_id()) for _ in range(number)]

        def work(conn: Connection) -> None:
            for execution_id in made:
                execution = NewExecution(
                    execution_id=execution_id,
                    definition_id=self.definition,
                    priority=priority,
                    door=Door.REST,
                    pool=pool,
                    submitted_by=who.user_id,
                    team_id=who.team_id,
                    submitted_at=NOW,
                )
                executions.insert(conn, execution)
                waiting = Waiting(
                    execution_id=execution_id,
                    pool=pool,
                    priority=priority,
                    enqueued_at=datetime.now(UTC),  # noqa: TID251  a test is its own wiring
                    user_id=who.user_id,
                    team_id=who.team_id,
                    resources=Resources(cpu_milli=cpu),
                    **given,
                )
                queue.enqueue(conn, waiting)

        self.do(work)
        return made

    def run_pass(self) -> PassOutcome:
        outcome = self.do(lambda conn: admission.request(conn, DEFAULT_POOL, blocking=True))
        assert outcome is not None
        return outcome

    def admitted(self) -> list[ExecutionId]:
        """Make a pass, and return who started."""
        return [run.execution_id for run in self.run_pass().admitted]

    def claim(self, worker: WorkerId, ttl: timedelta = TTL) -> list[leases.Claimed]:
        return self.do(lambda conn: leases.claim(conn, worker, ttl))

    def begin(self, execution_id: ExecutionId, epoch: int) -> bool:
        """Let a run run."""

        def work(conn: Connection) -> bool:
            fence = Fenced(run_id=execution_id, epoch=epoch)
            become = Become(status=Status.RUNNING, phase=Phase.RUNNING)
            begun = runs.transition(conn, fence, Status.QUEUED, become)
            leases.began(conn, execution_id, epoch)
            return begun

        return self.do(work)

    def row(self, execution_id: ExecutionId) -> Any:
        """Return the queue row with what the execution says, None if it has left the queue."""
        rows = self.sql(
            "SELECT q.*, e.status, e.phase, e.epoch AS fence FROM queue q JOIN test_executions e USING (execution_id)"
            " WHERE execution_id = :id",
            id=execution_id,
        )
        return rows[0] if rows else None

    def said(self, execution_id: ExecutionId) -> list[decision_records.Record]:
        """Return the decision records of a run, first to last."""
        query = "SELECT number, record FROM decisions WHERE execution_id = :id ORDER BY number"
        rows = self.sql(query, id=execution_id)
        assert [row.number for row in rows] == list(range(1, len(rows) + 1))
        return [decision_records.from_json(row.record) for row in rows]

    def position(self, execution_id: ExecutionId) -> queue_position.Position | None:
        return self.do(lambda conn: queue_position.position(conn, execution_id))

    def _define(self, conn: Connection) -> DefinitionId:
        content = InlineContent(files={"run.sh": "true"})
        request = TestRequest(name="gate", type=TestType.CUSTOM, content=content, command=("true",))
        return definitions.save(conn, define(request, DefinitionId(self.new_id()), LOCAL_USER, NOW))


@pytest.fixture
def bare(db: Database) -> GateDatabase:
    """A pool without nodes and workers."""
    return GateDatabase(db)


@pytest.fixture
def gate_db(bare: GateDatabase) -> GateDatabase:
    """A pool with one node and one live worker."""
    bare.node()
    bare.worker()
    return bare


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a pass read so little at a time that it needs its rounds."""
    for name in ("ROWS", "POSITIONS", "MOST_IN_ORDER"):
        monkeypatch.setattr(pass_input, name, 2)
