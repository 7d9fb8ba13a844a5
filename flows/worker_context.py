"""The worker's wiring: which database, which stores, which clock. Opened once a process, by its worker."""

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random, SystemRandom
from typing import ParamSpec, TypeVar

from prefect.client.orchestration import PrefectClient
from sqlalchemy import Connection

from cluster.artifacts import ArtifactStore
from cluster.logs import LogStore
from cluster.secrets import SecretStore
from db import gate
from db.engine import Database
from db.gate_write import Admitted, Lessee
from db.listen import Listener
from flows.pass_batcher import PassBatcher, PendingChange, carry_out
from flows.settings import Settings
from flows.wakeups import Wakeups
from model.ids import ExecutionId, RunId, uuid7
from model.ports import Artifacts, Logs, Secrets
from orchestrator.place_releases import PlaceReleases

P = ParamSpec("P")
T = TypeVar("T")

CONNECTIONS = 3
"""With the heartbeat and the listener five a worker, however many flows wait."""
BLOCKING_THREADS = 4
LAUNCHING_THREADS = 3
PASSES = 2
"""Whom another pool's pass was in the way of is looked at again at once; if that is so again, with the next pulse."""
GATHER_SECONDS = 0.02
"""A run that comes while there is no place is looked at together with others that come, or end, in this time."""


@dataclass(slots=True, kw_only=True)
class WorkerContext:
    """What a worker's flows share.

    `blocking` carries file and process calls, so that the loop never waits for them; `launchers` those that may take
    minutes, and `builders` those that install, one at a time, so that a long one holds up no one but its like.
    `heartbeat` is a connection that is never busy.
    """

    settings: Settings
    client: PrefectClient
    db: Database
    heartbeat: Database
    listener: Listener
    wakeups: Wakeups
    logs: Logs
    artifacts: Artifacts
    secrets: Secrets
    dice: Random = field(default_factory=SystemRandom)
    blocking: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(BLOCKING_THREADS, thread_name_prefix="assay-files")
    )

    launchers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(LAUNCHING_THREADS, thread_name_prefix="assay-launch")
    )
    builders: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="assay-build")
    )
    pass_batcher: PassBatcher = field(init=False)
    taking: Callable[[Sequence[Admitted]], None] | None = None
    """Who takes up the runs that got a place in a pass of ours while their flows wait here."""
    full: bool = False
    """The last pass left no place free."""

    def __post_init__(self) -> None:
        self.pass_batcher = PassBatcher(self._pass)

    async def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call beside the loop."""
        return await asyncio.get_running_loop().run_in_executor(self.blocking, lambda: work(*args, **kwargs))

    async def pass_gate(self, *, freed: bool = True) -> None:
        """Let the gate see what has just changed, in a transaction of its own after that one.

        Where nothing was `freed` and there is no place to give, it is soon enough when the next one gets free.
        """
        await self.pass_batcher.ask(0.0 if freed or not self.full else GATHER_SECONDS)

    async def change(self, work: Callable[[Connection, PlaceReleases], T]) -> T:
        """Do idempotent work that frees a place, and give the place on: in one transaction, with others' work."""
        return await self.pass_batcher.change(work)

    async def _pass(self, pending: Sequence[PendingChange]) -> None:
        settings, taking = self.settings, self.taking
        lessee = None if taking is None else Lessee(worker=settings.worker, ttl=settings.lease)
        for _ in range(PASSES):
            outcome = await carry_out(
                self.db, pending, lambda conn: gate.run_pass(conn, settings.pool, blocking=True, lessee=lessee)
            )
            pending = ()  # they are done: what is looked at again is looked at in a pass alone
            if outcome is None:
                return
            self.full = outcome.full
            if taking is not None:
                taking([run for run in outcome.admitted if run.leased])
            if not outcome.again:
                return

    def folder(self, execution_id: ExecutionId, attempt: int) -> Path:
        """Return the run folder of an attempt."""
        return self.settings.state / "runs" / str(execution_id) / str(attempt)

    def has_content(self, sha256: str) -> bool:
        """Return whether a packed folder was sent here."""
        return (self.settings.state / "content" / sha256).is_file()

    def now(self) -> datetime:
        """Read the clock: here, and nowhere else in the worker."""
        return datetime.now(UTC)  # noqa: TID251  the wiring is where the clock is read

    def new_id(self) -> RunId:
        """Make the identifier of a new run."""
        return RunId(uuid7(self.now(), self.dice))

    def close(self) -> None:
        """Let go of connections and threads; the tests that run are left alone."""
        self.listener.close()
        for threads in (self.blocking, self.launchers, self.builders):
            threads.shutdown(wait=False, cancel_futures=True)
        self.db.close()
        self.heartbeat.close()


class NotOpenError(RuntimeError):
    """A flow of Assay was started outside its worker. Start it through its deployment: `assay up`, then run it."""


_open: list[WorkerContext] = []


def open_context(settings: Settings, client: PrefectClient) -> WorkerContext:
    """Wire the process and make the result the one that `current_context()` returns."""
    title = f"assay {settings.worker}"  # what the database's administrator sees
    listener = Listener(settings.database_url, title=title)
    wakeups = Wakeups(asyncio.get_running_loop())
    listener.subscribe(wakeups.hear)
    opened = WorkerContext(
        settings=settings,
        client=client,
        db=Database(settings.database_url, size=CONNECTIONS, title=title),
        heartbeat=Database(settings.database_url, size=1, title=title),
        listener=listener,
        wakeups=wakeups,
        logs=LogStore(settings.state / "logs"),
        artifacts=ArtifactStore(settings.state / "artifacts"),
        secrets=SecretStore(os.environ),
    )
    _open.append(opened)
    return opened


def close_context() -> None:
    """Undo `open_house`."""
    _open.pop().close()


def current_context() -> WorkerContext:
    """Return the wiring of this process. Raises: NotOpenError when there is none."""
    if not _open:
        raise NotOpenError(
            "this flow runs in Assay's worker only; start it by its deployment, for example "
            "`prefect deployment run test-run/default`"
        )
    return _open[-1]
