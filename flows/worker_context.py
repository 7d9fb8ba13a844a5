"""What a worker's flows share: database, stores, backends, clock. `flows.wiring` puts it together.

The dispatcher sets it for each flow that it runs; from there `entry.Run` and `steps.Attempt` carry it to the steps.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random, SystemRandom
from typing import ParamSpec, TypeVar

from prefect.client.orchestration import PrefectClient
from sqlalchemy import Connection

from cluster.backend import Backend
from db import gate
from db.engine import Database
from db.gate_write import Admitted, Lessee
from db.listen import Listener
from flows.pass_batcher import PassBatcher, PendingChange, carry_out
from flows.settings import Settings
from flows.wakeups import Wakeups
from model.ids import BackendName, RunId, uuid7
from model.ports import Artifacts, Contents, Logs, Secrets
from orchestrator.lifecycle import Grant
from orchestrator.place_releases import PlaceReleases
from scheduler.node import NO_BACKEND

P = ParamSpec("P")
T = TypeVar("T")

BLOCKING_THREADS = 4
PASSES = 2
"""Whom another pool's pass was in the way of is looked at again at once; if that is so again, with the next pulse."""
GATHER_SECONDS = 0.02
"""A run that comes while there is no place is looked at together with others that come, or end, in this time."""


@dataclass(slots=True, kw_only=True)
class WorkerContext:
    """What a worker's flows share.

    `blocking` are the threads for file calls, so that the loop never waits for them. `heartbeat` is a connection that
    is never busy. `backends` are those that this worker serves.
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
    contents: Contents
    backends: Mapping[BackendName, Backend]
    dice: Random = field(default_factory=SystemRandom)
    blocking: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(BLOCKING_THREADS, thread_name_prefix="assay-files")
    )
    pass_batcher: PassBatcher = field(init=False)
    taking: Callable[[Sequence[Admitted]], None] | None = None
    """Who takes up the runs that got a place in a pass of ours while their flows wait here."""
    superseded: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a flow stops since this worker has lost its run: what it started may have to be ended."""
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

    @property
    def serves(self) -> list[BackendName]:
        """The backends whose runs this worker may claim, in order of name. Any worker runs what needs none."""
        return sorted([*self.backends, NO_BACKEND])

    def backend_of(self, grant: Grant) -> Backend:
        """Return the backend that runs what was granted. Only a worker that serves it can be granted a run there."""
        return self.backends[grant.backend]

    def now(self) -> datetime:
        """Read the clock: here, and nowhere else in the worker."""
        return datetime.now(UTC)  # noqa: TID251  the wiring is where the clock is read

    def new_id(self) -> RunId:
        """Make the identifier of a new run."""
        return RunId(uuid7(self.now(), self.dice))

    def close(self) -> None:
        """Let go of connections and threads; the tests that run are left alone."""
        self.listener.close()
        self.blocking.shutdown(wait=False, cancel_futures=True)
        for backend in self.backends.values():
            backend.close()
        self.db.close()
        self.heartbeat.close()


class NotOpenError(RuntimeError):
    """A flow of Assay was started outside its worker. Start it through its deployment: `assay up`, then run it."""


CONTEXT: ContextVar[WorkerContext] = ContextVar("worker context")
"""Set by the dispatcher for the flow that it runs."""


def current_context() -> WorkerContext:
    """Return the context of the flow that runs. Raises: NotOpenError outside of a worker."""
    try:
        return CONTEXT.get()
    except LookupError:
        raise NotOpenError(
            "this flow runs in Assay's worker only; start it by its deployment, for example "
            "`prefect deployment run test-run/default`"
        ) from None
