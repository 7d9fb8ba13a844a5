"""Plain jobs in and out: our gate against pgqueuer and procrastinate, on one database, one process, in turn.

In: one by one, a transaction each, and in bulk. Out: until nothing is left; the job itself does nothing.

assay          Claims, ends and releases in batches, each end in one transaction with the pass that gives the places on,
               as the worker does (`flows.pass_batcher`). Each run has its execution, an epoch, a lease, a place on a
               node, and a record of why it started there; each pass looks at priorities, shapes, resources, the limits
               of user, team and pool, and the order is exact. In bulk: many in one transaction.
pgqueuer       Dequeues in batches (SKIP LOCKED), logs the ends in batches, over asyncpg. Priorities, a limit for a kind
               of job. No resources, quotas, reasons.
procrastinate  One job a call, in coroutines, over psycopg. Priorities, exclusive locks. No resources, quotas, reasons.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_drain.py [--jobs N] [--few N] [--rounds N]
"""

import argparse
import asyncio
import logging
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import asyncpg  # type: ignore[import-untyped]
import goals
from ground import Ground, cpu_of, load, server
from pgqueuer import AsyncpgDriver, Job, Queries, QueueManager
from pgqueuer.types import QueueExecutionMode
from procrastinate import App, PsycopgConnector
from sqlalchemy import Connection, text

from db import leases, migrate, outbox
from db.embedded import Cluster
from db.gate import queue

PLACES = 500
BATCH = 500
"""Of ours: runs that are claimed and released at once. Of pgqueuer: jobs that are dequeued at once, besides its 10."""
COROUTINES = 20
GOAL = 2.0

_ENDED = text(f"""
WITH ended AS (
    UPDATE runs SET status = 'completed', phase = 'ended', completed_at = clock_timestamp()
    WHERE id = ANY(CAST(:ids AS uuid[])) RETURNING id, kind, status, failure_reason
) {outbox.APPEND_ENDED}
""")  # noqa: S608  only our own text


@dataclass(slots=True)
class Figures:
    """Jobs a second of one side, and the CPU of its process and the server for one drained job."""

    one_by_one: float = 0.0
    bulk: float = 0.0
    drain: float = 0.0
    cpu_ms: float = 0.0


class Ours:
    """The gate."""

    name = "assay"

    def __init__(self, cluster: Cluster) -> None:
        migrate.upgrade(cluster.url("bench"))
        self.ground = Ground(cluster.url("bench"), connections=2)

    async def open(self) -> None:
        """Furnish the pool."""
        self.ground.furnish()
        self.ground.places(PLACES)

    async def put_one(self) -> None:
        """Submit one run."""
        self.ground.db.call(partial(self.ground.submit, number=1))

    async def put(self, number: int) -> None:
        """Submit many in a transaction."""
        self.ground.fill(number)

    async def drain(self, number: int) -> None:
        """End what was claimed and pass, in one transaction, and claim what got a place, as a worker does."""
        claimed: list[leases.Claimed] = []
        ended = 0
        while ended < number:
            await self.ground.db.run(partial(self._give_on, claimed=claimed))
            ended += len(claimed)
            claimed = await self.ground.db.run(partial(self.ground.claim, limit=BATCH))

    def _give_on(self, conn: Connection, claimed: list[leases.Claimed]) -> None:
        _end(conn, claimed)
        self.ground.run_pass(conn)

    async def close(self) -> None:
        """Close the connections."""
        self.ground.db.close()


def _end(conn: Connection, claimed: list[leases.Claimed]) -> None:
    conn.execute(_ENDED, {"ids": [place.execution_id for place in claimed]})
    queue.release_many(conn, [(place.execution_id, place.epoch) for place in claimed])


class Pgqueuer:
    """The peer that our goal is set by: with the batches of its own default, and with ours."""

    default = "pgqueuer 10"

    def __init__(self, cluster: Cluster, batch: int) -> None:
        self.name, self.batch = f"pgqueuer {batch}", batch
        self.address = cluster.url("bench").replace("postgresql+psycopg2://", "postgresql://")
        self.queries: Queries

    async def open(self) -> None:
        """Install its tables."""
        self.queries = Queries(AsyncpgDriver(await asyncpg.connect(self.address)))
        if not await self.queries.schema_is_installed():
            await self.queries.install()

    async def put_one(self) -> None:
        """Enqueue one job."""
        await self.queries.enqueue("job", None)

    async def put(self, number: int) -> None:
        """Enqueue many in a call."""
        await self.queries.enqueue(["job"] * number, [None] * number, [0] * number)

    async def drain(self, number: int) -> None:
        """Work until the queue is empty."""
        connection = await asyncpg.connect(self.address)
        manager, done = QueueManager(Queries(AsyncpgDriver(connection))), 0

        @manager.entrypoint("job")
        async def work(_: Job) -> None:
            nonlocal done
            done += 1

        await manager.run(batch_size=self.batch, mode=QueueExecutionMode.drain, dequeue_timeout=timedelta(seconds=1))
        if done != number:
            raise AssertionError(f"pgqueuer drained {done} of {number}")

    async def close(self) -> None:
        """Do nothing: the connections end with the process."""


class Procrastinate:
    """The other peer."""

    name = "procrastinate"

    def __init__(self, cluster: Cluster) -> None:
        address = cluster.url("bench").replace("postgresql+psycopg2://", "postgresql://")
        self.app = App(connector=PsycopgConnector(conninfo=address))
        self.done = 0

        @self.app.task(name="job")
        async def job() -> None:
            self.done += 1

        self.job = job

    async def open(self) -> None:
        """Install its tables."""
        await self.app.open_async()
        await self.app.schema_manager.apply_schema_async()

    async def put_one(self) -> None:
        """Defer one job."""
        await self.job.defer_async()

    async def put(self, number: int) -> None:
        """Defer many in a call."""
        await self.job.batch_defer_async(*({} for _ in range(number)))

    async def drain(self, number: int) -> None:
        """Work until the queue is empty."""
        self.done = 0
        await self.app.run_worker_async(wait=False, concurrency=COROUTINES, install_signal_handlers=False)
        if self.done != number:
            raise AssertionError(f"procrastinate drained {self.done} of {number}")

    async def close(self) -> None:
        """Close its pool of connections."""
        await self.app.close_async()


Side = Ours | Pgqueuer | Procrastinate


@contextmanager
def rate_of(jobs: int, found: list[float]) -> Iterator[None]:
    """Add the jobs a second of what is done inside."""
    start = time.perf_counter()
    yield
    found.append(jobs / (time.perf_counter() - start))


async def measure(side: Side, jobs: int, few: int, postgres: int) -> Figures:
    """Put `few` one by one, then the rest of `jobs` in bulk, and drain all."""
    rates: list[float] = []
    with rate_of(few, rates):
        for _ in range(few):
            await side.put_one()
    with rate_of(jobs - few, rates):
        await side.put(jobs - few)
    cpu = time.process_time() + cpu_of(postgres)
    with rate_of(jobs, rates):
        await side.drain(jobs)
    cpu = time.process_time() + cpu_of(postgres) - cpu
    return Figures(*rates, cpu_ms=1000 * cpu / jobs)


def show(name: str, jobs: int, found: Figures) -> None:
    """Print one side."""
    print(
        f"{name:14} {jobs:6} jobs  one by one {found.one_by_one:7.0f}/s  bulk {found.bulk:7.0f}/s"
        f"  drain {found.drain:7.0f}/s  {found.cpu_ms:6.2f} CPU ms a drained job",
        flush=True,
    )


async def compare(given: argparse.Namespace) -> None:
    """Let all sides work in turn, and print the ratios."""
    with server("bench") as cluster:
        pid = cluster.pid
        assert pid is not None, "PostgreSQL is gone"  # noqa: S101
        sides: tuple[Side, ...] = (
            Ours(cluster),
            Pgqueuer(cluster, 10),
            Pgqueuer(cluster, BATCH),
            Procrastinate(cluster),
        )
        for side in sides:
            await side.open()
        drains: dict[str, list[float]] = {side.name: [] for side in sides}
        for _ in range(given.rounds):
            print(load())
            for side in sides:
                jobs = given.slow if isinstance(side, Procrastinate) else given.jobs
                found = await measure(side, jobs, min(given.few, jobs // 2), pid)
                show(side.name, jobs, found)
                drains[side.name].append(found.drain)
        for side in sides:
            await side.close()
    ours = drains.pop(Ours.name)
    for name, theirs in drains.items():
        ratio = statistics.median(peer / mine for peer, mine in zip(theirs, ours, strict=True))
        print(f"drain of {name:14}: {ratio:.2f}x ours")
        if name == Pgqueuer.default:
            print(goals.at_most(f"drain of {name}, times ours", ratio, GOAL))


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--slow", type=int, default=1000, help="jobs of procrastinate")
    parser.add_argument("--few", type=int, default=500, help="of the jobs those that are put one by one")
    parser.add_argument("--rounds", type=int, default=2)
    logging.disable(logging.WARNING)
    asyncio.run(compare(parser.parse_args()))


if __name__ == "__main__":
    main()
