"""What the benchmarks of the gate stand on: a PostgreSQL of their own, a furnished pool, runs that wait, figures."""

import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

from sqlalchemy import Connection, text

from db import definitions, leases, migrate, nodes, pools, workers
from db.embedded import Cluster
from db.engine import Database
from db.gate import queue
from db.pools import PoolChange
from db.prepared import Prepared
from db.seeds import DEFAULT_POOL, DEFAULT_TEAM, LOCAL_USER
from model.content import InlineContent
from model.definition import define
from model.ids import DefinitionId, ExecutionId, NodeName, WorkerId, uuid7
from model.request import TestRequest, TestType
from model.resources import Resources
from orchestrator import admission
from scheduler.values.node import DEFAULT_BACKEND, Node

SHAPES = 50
PRIORITIES = 5
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WORKER = WorkerId("bench")
TTL = timedelta(minutes=30)
BATCH = 1000
TICKS = 100.0
"""Clock ticks a second in /proc, on every Linux we know of."""

_DEFINITION = text("SELECT id FROM test_definitions WHERE name = 'bench' ORDER BY id LIMIT 1")
_EXECUTIONS = Prepared("""
WITH run AS (
    INSERT INTO runs (id, kind, status, phase, door, pool, submitted_by, team_id)
    SELECT id, 'test', 'queued', 'waiting', 'rest', :pool, CAST(:user AS uuid), CAST(:team AS uuid)
    FROM unnest(CAST(:ids AS uuid[])) AS id RETURNING id
)
INSERT INTO test_run_details (execution_id, definition_id) SELECT id, CAST(:definition AS uuid) FROM run
""")
_UNBOUND = 'UPDATE {table} SET quota = quota || \'{{"max_concurrent_tests": 10000000, "max_daily_tests": 10000000}}\''


class Ground:
    """A database with one pool, one large node and one live worker."""

    def __init__(self, url: str, *, connections: int = 2, seed: int = 3) -> None:
        self.db = Database(url, size=connections)
        self.random = Random(seed)
        self.definition = self.db.call(_define)

    def furnish(self) -> None:
        """Give the pool what it needs; once a database."""
        self.db.call(_furnish)

    def places(self, number: int) -> None:
        """Set how many may run at once."""
        self.db.call(lambda conn: pools.update_pool(conn, DEFAULT_POOL, PoolChange(max_concurrent_tests=number)))

    def new_ids(self, number: int) -> list[ExecutionId]:
        """Make identifiers."""
        return [ExecutionId(uuid7(NOW, self.random)) for _ in range(number)]

    def submit(self, conn: Connection, number: int, *, shapes: int = SHAPES) -> list[ExecutionId]:
        """Write runs that wait, of `shapes` shapes in turn and all priorities, each with its execution."""
        ids = self.new_ids(number)
        self.execute(conn, ids)
        queue.enqueue_many(conn, [waiting(run, place, shapes) for place, run in enumerate(ids)])
        return ids

    def execute(self, conn: Connection, ids: Sequence[ExecutionId]) -> None:
        """Write the executions that the rows of the queue refer to."""
        owner = {"definition": self.definition, "pool": DEFAULT_POOL, "user": LOCAL_USER, "team": DEFAULT_TEAM}
        _EXECUTIONS.execute(conn, {**owner, "ids": list(ids)})

    def fill(self, number: int) -> None:
        """Let so many more wait."""
        for first in range(0, number, BATCH):
            self.db.call(partial(self.submit, number=min(BATCH, number - first)))
        self.sql("ANALYZE queue, runs, test_run_details")

    def clear(self) -> None:
        """Empty the queue and forget the executions."""
        self.sql("TRUNCATE queue, runs, outbox CASCADE")

    def run_pass(self, conn: Connection) -> list[ExecutionId]:
        """Make a pass; return who started."""
        outcome = admission.request(conn, DEFAULT_POOL, blocking=True)
        return [] if outcome is None else [run.execution_id for run in outcome.admitted]

    def claim(self, conn: Connection, limit: int = 100) -> list[leases.Claimed]:
        """Take up what has a place."""
        return leases.claim(conn, WORKER, TTL, limit=limit)

    def sql(self, statement: str) -> None:
        """Execute a statement of our own."""
        self.db.call(lambda conn: conn.execute(text(statement)))


def waiting(run: ExecutionId, place: int, shapes: int = SHAPES) -> queue.Waiting:
    """Return a run that waits; `place` chooses its shape and priority."""
    return queue.Waiting(
        execution_id=run,
        pool=DEFAULT_POOL,
        priority=place % PRIORITIES,
        enqueued_at=datetime.now(UTC),  # noqa: TID251  a program of its own
        user_id=LOCAL_USER,
        team_id=DEFAULT_TEAM,
        resources=Resources(cpu_milli=100 + place % shapes),
    )


def _define(conn: Connection) -> DefinitionId:
    found = conn.execute(_DEFINITION).scalar_one_or_none()
    if found is not None:
        return DefinitionId(found)
    content = InlineContent(files={"run.sh": "true"})
    request = TestRequest(name="bench", type=TestType.CUSTOM, content=content, command=("true",))
    return definitions.save(conn, define(request, DefinitionId(uuid7(NOW, Random(1))), LOCAL_USER, NOW))


def _furnish(conn: Connection) -> None:
    for table in ("users", "teams"):
        conn.execute(text(_UNBOUND.format(table=table)))
    large = Resources(cpu_milli=10**10, memory_bytes=2**50)
    nodes.record(conn, DEFAULT_POOL, [Node(name=NodeName("large"), capacity=large, pods=1_000_000)])
    workers.register(conn, WORKER, DEFAULT_POOL, TTL, [DEFAULT_BACKEND])


@contextmanager
def server(*databases: str) -> Iterator[Cluster]:
    """Start a PostgreSQL of our own, as durable as one in use; it is gone afterwards, also when we are asked to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="assay-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        cluster = Cluster(folder / "pg", elsewhere=folder)
        cluster.start()
        try:
            for database in databases:
                cluster.create_database(database, extensions=("pg_trgm",))
            yield cluster
        finally:
            cluster.remove()


@contextmanager
def furnished() -> Iterator[Ground]:
    """Start a server with one furnished database."""
    with server("bench") as cluster:
        migrate.upgrade(cluster.url("bench"))
        ground = Ground(cluster.url("bench"))
        ground.furnish()
        with ground.db:
            yield ground


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Times in seconds, shown in milliseconds."""

    seconds: tuple[float, ...]

    def at(self, share: float) -> float:
        """Return a quantile in milliseconds, 0 where nothing was measured."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def __str__(self) -> str:
        middle = 1000 * statistics.median(self.seconds) if self.seconds else 0.0
        return f"p50 {middle:8.2f}  p95 {self.at(0.95):8.2f}  p99 {self.at(0.99):8.2f} ms  n {len(self.seconds)}"


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def load() -> str:
    """Say how busy the machine is besides."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for known in found:
        found += parents.get(known, [])
    return found


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process and its family, ended children included."""
    return sum(int(field) for member in family(pid) for field in _stat(member)[11:15]) / TICKS


def pss_mib(pid: int) -> float:
    """Return the memory of a process and its family; what they share counts once."""
    return sum(_pss(member) for member in family(pid)) / 1024


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
