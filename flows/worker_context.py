"""What the flows of a worker share: database, stores, backends, clock. `flows.wiring` builds it.

The dispatcher sets it for each flow that it runs. `entry.Run` and `steps.Attempt` pass it to the steps.
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
from cluster.fault_providers import PlaceSettings
from db.engine import Database
from db.gate.pass_output import Admitted, Lessee
from db.listen import Listener
from flows.pass_batcher import PassBatcher, PendingChange, carry_out
from flows.served_clusters import ServedClusters
from flows.settings import Settings
from flows.wakeups import Wakeups
from model.ids import BackendName, RunId, is_cluster, uuid7
from model.ports import Artifacts, Contents, Logs, Secrets
from orchestrator import admission
from orchestrator.lifecycle import Grant
from orchestrator.place_releases import PlaceReleases
from scheduler.values.node import FOR_ALL

P = ParamSpec("P")
T = TypeVar("T")

BLOCKING_THREADS = 4
PASSES = 2
"""Passes in a row, if the pass of another pool made one skip runs. After that the next periodic pass tries again."""
GATHER_SECONDS = 0.02
"""A run that comes while the pool is full shares a pass with others that come or end in this time."""


@dataclass(slots=True, kw_only=True)
class WorkerContext:
    """What the flows of a worker share.

    `blocking` are the threads for file calls, so that the loop never waits for them. `heartbeat` is a connection that
    is never busy. `backends` are those that this worker serves now; `clusters` finds
    those of clusters (`serve_clusters`).
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
    clusters: ServedClusters
    dice: Random = field(default_factory=SystemRandom)
    blocking: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(BLOCKING_THREADS, thread_name_prefix="assay-files")
    )
    pass_batcher: PassBatcher = field(init=False)
    taking: Callable[[Sequence[Admitted]], None] | None = None
    """Called with the runs that a pass of this worker has admitted, so that their flows go on at once."""
    superseded: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a flow stops because this worker has lost its run: its process may have to be ended."""
    full: bool = False
    """True if the pool was full after the last pass."""

    def __post_init__(self) -> None:
        self.pass_batcher = PassBatcher(self._pass)

    async def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self.blocking, lambda: work(*args, **kwargs))

    async def pass_gate(self, *, freed: bool = True) -> None:
        """Make a pass of the gate for a change that was just committed.

        If the change `freed` nothing and the pool is full, the pass may wait a moment to be shared with others.
        """
        await self.pass_batcher.ask(0.0 if freed or not self.full else GATHER_SECONDS)

    async def change(self, work: Callable[[Connection, PlaceReleases], T]) -> T:
        """Do idempotent work that frees capacity, and a pass, in one transaction that other work may share."""
        return await self.pass_batcher.change(work)

    async def _pass(self, pending: Sequence[PendingChange]) -> None:
        settings, taking = self.settings, self.taking
        lessee = None if taking is None else Lessee(worker=settings.worker, ttl=settings.lease)
        for _ in range(PASSES):
            outcome = await carry_out(
                self.db, pending, lambda conn: admission.request(conn, settings.pool, blocking=True, lessee=lessee)
            )
            pending = ()  # they are done, so the next pass makes no changes
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
        return sorted([*self.backends, *FOR_ALL])

    def backend_of(self, grant: Grant) -> Backend:
        """Return the backend that runs what was granted. Only a worker that serves it can be granted a run there."""
        return self.backends[grant.backend]

    def places(self) -> PlaceSettings:
        """Return what the places of experiments are opened with."""
        return PlaceSettings(state=self.settings.state, clusters=self.clusters.settings())

    async def serve_clusters(self, *, idle: bool) -> bool:
        """Serve the clusters that have a row by now. Return whether they are others than before."""
        before, served = self.backends, await self.clusters.look(idle=idle)
        local = {name: backend for name, backend in before.items() if not is_cluster(name)}
        self.backends = local | dict(served)
        return before.keys() != self.backends.keys()

    def now(self) -> datetime:
        """Return the time. Nothing else in the worker reads the clock."""
        return datetime.now(UTC)  # noqa: TID251  the one place that reads the clock

    def new_id(self) -> RunId:
        """Return the identifier of a new run."""
        return RunId(uuid7(self.now(), self.dice))

    def close(self) -> None:
        """Close connections and threads. The tests run on."""
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
