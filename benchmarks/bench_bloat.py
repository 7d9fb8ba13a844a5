"""What many runs leave behind in the tables of the gate, without and with a long transaction on the same server.

Runs go through the queue in batches: submit, pass, claim, release, with some thousands waiting all the while. A
transaction that stays open keeps every dead row from being cleaned up; so passes get slower, and the sizes grow. Each
line is a tenth of the runs; `pass` are those that admit a batch, `probe` are passes that find no place free.

    PYTHONPATH=. .venv/bin/python benchmarks/bench_bloat.py [--runs N] [--waiting N] [--only clean|long]

The issue asks for --runs 200000; the default ends within some minutes.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import psycopg2  # type: ignore[import-untyped]
from ground import Costs, Ground, furnished, load, timed
from sqlalchemy import Connection, text

from db import leases, outbox
from db.gate import queue, queue_watermarks
from db.seeds import DEFAULT_POOL
from flows.services import FLOOR_SECONDS
from orchestrator import admission

BATCH = 250
PROBES = 5
TENTHS = 10
TABLES = ("queue", "leases", "runs", "test_run_details", "decisions", "outbox")

_ENDED = text(f"""
WITH ended AS (
    UPDATE runs SET status = 'completed', phase = 'ended', completed_at = clock_timestamp()
    WHERE id = ANY(CAST(:ids AS uuid[])) RETURNING id, kind, status, failure_reason
) {outbox.APPEND_ENDED}
""")  # noqa: S608  only our own text
_SIZES = text("""
SELECT relname, n_live_tup, n_dead_tup, n_tup_hot_upd, n_tup_upd, autovacuum_count,
    pg_relation_size(relid) AS heap, pg_indexes_size(relid) AS indexes
FROM pg_stat_user_tables WHERE relname = ANY(:tables)
""")
_OPTIONS = text("SELECT relname, reloptions FROM pg_class WHERE relname = ANY(:tables) AND reloptions IS NOT NULL")


@dataclass(slots=True)
class Tenth:
    """What a part of the runs cost, in seconds."""

    passes: list[float] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)
    claims: list[float] = field(default_factory=list)
    begun: float = field(default_factory=time.perf_counter)
    runs: int = 0
    lifted: float = 0.0


@contextmanager
def long_transaction(url: str, *, wanted: bool) -> Iterator[None]:
    """Keep a transaction open that sees the database as it was, as a report or a backup does."""
    if not wanted:
        yield
        return
    connection = psycopg2.connect(url.replace("postgresql+psycopg2://", "postgresql://"), application_name="long")
    try:
        connection.set_session(isolation_level="REPEATABLE READ")
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM queue")
            yield
    finally:
        connection.close()


def cycle(ground: Ground, tenth: Tenth) -> None:
    """Let a batch come, start and end; now and then the watermarks are raised, as a worker does."""
    if time.monotonic() > tenth.lifted + FLOOR_SECONDS:
        ground.db.call(lambda conn: queue_watermarks.advance(conn, DEFAULT_POOL))
        tenth.lifted = time.monotonic()
    ground.db.call(partial(ground.submit, number=BATCH))
    while not ground.db.call(_holding):
        tenth.passes.append(timed(lambda: ground.db.call(ground.run_pass)))
    tenth.claims.append(timed(lambda: tenth_claim(ground, tenth)))


def tenth_claim(ground: Ground, tenth: Tenth) -> None:
    """Claim all that have places, and end them."""
    while claimed := ground.db.call(partial(ground.claim, limit=BATCH)):
        ground.db.call(partial(_end, claimed=claimed))
        tenth.runs += len(claimed)


def _holding(conn: Connection) -> bool:
    return bool(conn.execute(text("SELECT EXISTS (SELECT FROM queue WHERE state = 'admitted')")).scalar_one())


def _end(conn: Connection, claimed: list[leases.Claimed]) -> None:
    conn.execute(_ENDED, {"ids": [place.execution_id for place in claimed]})
    queue.release_many(conn, [(place.execution_id, place.epoch) for place in claimed])


def probe(ground: Ground) -> float:
    """Time a pass that has no place to give."""
    ground.places(0)
    cost = timed(lambda: ground.db.call(lambda conn: admission.request(conn, DEFAULT_POOL, blocking=True)))
    ground.places(BATCH)
    return cost


def show(number: int, tenth: Tenth) -> None:
    """Print what a tenth cost."""
    passes, probes = Costs(seconds=tuple(tenth.passes)), Costs(seconds=tuple(tenth.probes))
    rate = tenth.runs / (time.perf_counter() - tenth.begun)
    print(
        f"  {number:7} runs  {rate:5.0f}/s  pass p50 {passes.at(0.5):7.1f} p95 {passes.at(0.95):7.1f} ms"
        f"  probe p50 {probes.at(0.5):6.1f} ms"
        f"  claim and release of {BATCH}: {Costs(seconds=tuple(tenth.claims)).at(0.5):6.1f} ms",
        flush=True,
    )


def show_sizes(ground: Ground) -> None:
    """Print what the tables have become."""
    for row in ground.db.call(lambda conn: conn.execute(_SIZES, {"tables": list(TABLES)}).all()):
        print(
            f"  {row.relname:16} live {row.n_live_tup:7} dead {row.n_dead_tup:8}  table {row.heap / 2**20:7.1f} MiB"
            f"  indexes {row.indexes / 2**20:7.1f} MiB  updates {row.n_tup_upd} (hot {row.n_tup_hot_upd})"
            f"  autovacuums {row.autovacuum_count}"
        )


def measure(runs: int, waiting: int, *, long: bool) -> None:
    """Send the runs through a fresh server."""
    with furnished() as ground, long_transaction(ground.db.url, wanted=long):
        print(f"{'with' if long else 'without'} a long transaction, {waiting} waiting; {load()}")
        ground.fill(waiting)
        ground.places(BATCH)
        done = 0
        for _ in range(TENTHS):
            tenth = Tenth()
            while tenth.runs < runs // TENTHS:
                cycle(ground, tenth)
            tenth.probes += [probe(ground) for _ in range(PROBES)]
            done += tenth.runs
            show(done, tenth)
        show_sizes(ground)
        for row in ground.db.call(lambda conn: conn.execute(_OPTIONS, {"tables": list(TABLES)}).all()):
            print(f"  {row.relname}: {', '.join(row.reloptions)}")


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=30_000)
    parser.add_argument("--waiting", type=int, default=2000)
    parser.add_argument("--only", choices=["clean", "long"])
    given = parser.parse_args()
    for long in (False, True):
        if given.only in {None, "long" if long else "clean"}:
            measure(given.runs, given.waiting, long=long)


if __name__ == "__main__":
    main()
