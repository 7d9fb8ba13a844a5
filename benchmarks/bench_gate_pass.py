"""What a pass of the gate costs, and how many places it hands out in a second.

    PYTHONPATH=. .venv/bin/python benchmarks/gate_pass.py [--queued N ...] [--flows N] [--hold S ...]

1. One pass with so many queued of 50 shapes, with free places and with none: p50 and p95 in ms.
2. Admissions a second with 16 places: each flow submits, waits to be admitted, holds its place, releases it.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

from sqlalchemy import Connection, text

from db import definitions, gate, leases, listen, migrate, nodes, pools, workers
from db.embedded import Cluster
from db.engine import Database
from db.pools import PoolChange
from db.seeds import DEFAULT_POOL, DEFAULT_TEAM, LOCAL_USER
from model.content import InlineContent
from model.definition import define
from model.ids import DefinitionId, ExecutionId, NodeName, WorkerId, uuid7
from model.request import TestRequest, TestType
from model.resources import Resources
from scheduler.node import Node

SHAPES = 50
PLACES = 16
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WORKER = WorkerId("bench")
TTL = timedelta(minutes=10)

EXECUTIONS = text("""
INSERT INTO test_executions (execution_id, definition_id, status, phase, door, pool, submitted_by, team_id)
SELECT id, :definition, 'queued', 'waiting', 'rest', 'default', :user, :team
FROM unnest(CAST(:ids AS uuid[])) AS id
""")

LAST = text("SELECT execution_id FROM queue ORDER BY priority DESC, seq DESC LIMIT 1")


class Bench:
    """A database with one pool, one large node and one worker."""

    def __init__(self, url: str, connections: int) -> None:
        self.db = Database(url, size=connections)
        self.random = Random(3)
        self.definition = self.db.call(_define)
        self.db.call(self._furnish)

    def submit(self, conn: Connection, number: int) -> list[ExecutionId]:
        """Write runs that wait, of `SHAPES` shapes in turn and random priorities."""
        ids = [ExecutionId(uuid7(NOW, self.random)) for _ in range(number)]
        owner = {"definition": self.definition, "user": LOCAL_USER, "team": DEFAULT_TEAM}
        conn.execute(EXECUTIONS, {**owner, "ids": ids})
        for place, run in enumerate(ids):
            gate.enqueue(
                conn,
                gate.Waiting(
                    execution_id=run,
                    pool=DEFAULT_POOL,
                    priority=place % 5,
                    enqueued_at=datetime.now(UTC),  # noqa: TID251  a program of its own
                    user_id=LOCAL_USER,
                    team_id=DEFAULT_TEAM,
                    resources=Resources(cpu_milli=100 + place % SHAPES),
                ),
            )
        return ids

    def places(self, number: int) -> None:
        """Set how many may run at once."""
        self.db.call(lambda conn: pools.update_pool(conn, DEFAULT_POOL, PoolChange(max_concurrent_tests=number)))

    def fill(self, number: int) -> None:
        """Let so many more wait."""
        for first in range(0, number, 1000):
            self.db.call(partial(self.submit, number=min(1000, number - first)))
        self.db.call(lambda conn: conn.execute(text("ANALYZE queue")))

    def clear(self) -> None:
        """Empty the queue."""
        self.db.call(lambda conn: conn.execute(text("TRUNCATE queue, leases CASCADE")))

    def _furnish(self, conn: Connection) -> None:
        for table in ("users", "teams"):
            conn.execute(text(f"UPDATE {table} SET quota = jsonb_set(quota, '{{max_concurrent_tests}}', '100000')"))  # noqa: S608
        large = Resources(cpu_milli=10_000_000, memory_bytes=2**40)
        nodes.record(conn, DEFAULT_POOL, [Node(name=NodeName("large"), capacity=large, pods=100_000)])
        workers.register(conn, WORKER, DEFAULT_POOL, TTL)


def _define(conn: Connection) -> DefinitionId:
    content = InlineContent(files={"run.sh": "true"})
    request = TestRequest(name="bench", type=TestType.CUSTOM, content=content, command=("true",))
    return definitions.save(conn, define(request, DefinitionId(uuid7(NOW, Random(1))), LOCAL_USER, NOW))


def passes(bench: Bench, queued: int, rounds: int = 30) -> None:
    """Print what a pass costs with `queued` runs waiting."""
    bench.clear()
    bench.fill(queued)
    for name, free in (("one place free", 1), ("16 places free", 16), ("no place free", 0)):
        _print(f"pass, {queued} queued of {SHAPES} shapes, {name}", [_pass(bench, free) for _ in range(rounds)])
        bench.fill(free * rounds)
    costs = [_pass(bench, 1, annotate=True) for _ in range(10)]
    _print(f"pass, {queued} queued, one place free, that also writes positions (one in a second)", costs)
    last = bench.db.call(lambda conn: conn.execute(LAST).scalar_one())
    costs = [_timed(lambda: bench.db.call(lambda conn: gate.position(conn, last))) for _ in range(20)]
    _print(f"position of the last of {queued}", costs)


def _pass(bench: Bench, free: int, *, annotate: bool = False) -> float:
    """Time one pass with so many free places, and end what it started."""
    bench.places(free)
    if not annotate:
        bench.db.call(lambda conn: conn.execute(text("UPDATE pools SET annotated_at = clock_timestamp()")))
    cost = _timed(lambda: bench.db.call(lambda conn: gate.run_pass(conn, DEFAULT_POOL, blocking=True)))
    bench.db.call(lambda conn: conn.execute(text("DELETE FROM queue WHERE state = 'admitted'")))
    return cost


class Flow(threading.Thread):
    """Submits, waits, holds, releases, again and again."""

    def __init__(self, bench: Bench, shared: "Shared") -> None:
        super().__init__(daemon=True)
        self.bench, self.shared = bench, shared

    def run(self) -> None:
        """Work until the time is over."""
        while time.monotonic() < self.shared.end:
            [run] = self.bench.db.call(lambda conn: self.bench.submit(conn, 1))
            start = time.perf_counter()
            self.passing()
            epoch = self.shared.wait(run)
            if epoch is None:
                return
            self.shared.admitted(time.perf_counter() - start)
            time.sleep(self.shared.hold)
            self.shared.left()
            self.bench.db.call(partial(gate.release, execution_id=run, epoch=epoch))
            self.passing()

    def passing(self) -> None:
        """Make a pass, now that something changed."""
        self.bench.db.call(lambda conn: gate.run_pass(conn, DEFAULT_POOL, blocking=True))


class Shared:
    """What the flows have in common: the news of admissions, and the figures."""

    def __init__(self, hold: float, seconds: float) -> None:
        self.hold = hold
        self.end = time.monotonic() + seconds
        self.waits: list[float] = []
        self.inside = self.most = 0
        self._epochs: dict[ExecutionId, int] = {}
        self._changed = threading.Condition()

    def claimed(self, runs: list[leases.Claimed]) -> None:
        """Wake the flows of these runs."""
        with self._changed:
            self._epochs.update({run.execution_id: run.epoch for run in runs})
            self._changed.notify_all()

    def wait(self, run: ExecutionId) -> int | None:
        """Wait until a run is claimed, and return its epoch; None when the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: run in self._epochs or time.monotonic() > self.end, timeout=30)
            return self._epochs.pop(run, None)

    def admitted(self, waited: float) -> None:
        """Count a flow in."""
        with self._changed:
            self.waits.append(waited)
            self.inside += 1
            self.most = max(self.most, self.inside)

    def left(self) -> None:
        """Count a flow out."""
        with self._changed:
            self.inside -= 1


def admissions(bench: Bench, flows: int, hold: float, seconds: float) -> None:
    """Print how many places a second are handed out, with one worker that claims in batches when told."""
    bench.clear()
    bench.places(PLACES)
    shared = Shared(hold, seconds)
    told = threading.Event()
    with listen.Listener(bench.db.url) as listener:
        listener.subscribe(lambda _: told.set())
        claiming = threading.Thread(target=_claim, args=(bench, shared, told), daemon=True)
        claiming.start()
        threads = [Flow(bench, shared) for _ in range(flows)]
        start = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rate = len(shared.waits) / (time.monotonic() - start)
        claiming.join()
    print(
        f"admissions, {PLACES} places, {flows} flows, hold {hold * 1000:.0f} ms: {rate:.0f}/s"
        f" ({rate * hold / PLACES:.0%} of what the holds alone allow), at most {shared.most} at once"
    )
    _print("  submitted to admitted", shared.waits)


def _claim(bench: Bench, shared: Shared, told: threading.Event) -> None:
    while time.monotonic() < shared.end + 1:
        told.wait(0.25)
        told.clear()
        while claimed := bench.db.call(lambda conn: leases.claim(conn, WORKER, TTL, limit=100)):
            shared.claimed(claimed)


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _print(name: str, costs: list[float]) -> None:
    ordered = sorted(1000 * cost for cost in costs)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    print(f"{name}: p50 {statistics.median(ordered):.1f} ms, p95 {p95:.1f} ms")


@contextmanager
def server() -> Iterator[str]:
    """Start a PostgreSQL of our own, as durable as one in use; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="assay-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        cluster = Cluster(folder / "pg", elsewhere=folder)
        cluster.start()
        try:
            cluster.create_database("bench")
            migrate.upgrade(cluster.url("bench"))
            yield cluster.url("bench")
        finally:
            cluster.remove()


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queued", type=int, nargs="*", default=[1000, 10_000])
    parser.add_argument("--flows", type=int, default=32)
    parser.add_argument("--hold", type=float, nargs="*", default=[0.005, 0.2])
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    with server() as url:
        bench = Bench(url, connections=given.flows + 4)
        for queued in given.queued:
            passes(bench, queued)
        for hold in given.hold:
            admissions(bench, given.flows, hold, given.seconds)
        bench.db.close()


if __name__ == "__main__":
    main()
