"""Runs the periodic jobs of a worker: passes of the gate, leases, facts of its nodes, mirror, reconciler, forecasts."""

import asyncio
import contextlib
import logging
import threading

from prefect.client.orchestration import PrefectClient
from sqlalchemy import Connection

from cluster.backend import UnavailableError
from db import leases, outbox, workers
from db.gate import queue_watermarks
from flows.dispatcher import Dispatcher
from flows.forecasting import SECONDS as FORECAST_SECONDS
from flows.forecasting import Forecasting
from flows.gate_poller import GatePoller
from flows.kinds import FLOWS
from flows.leftovers import Leftovers
from flows.lost_nodes import LOOK_SECONDS as LOST_SECONDS
from flows.lost_nodes import LostNodes, UnreadyNodes
from flows.mirror import Mirror
from flows.node_recorder import NodeRecorder
from flows.periodic import every
from flows.reconciler import Reconciler
from flows.settings import Settings
from flows.wiring import open_context
from flows.worker_context import WorkerContext

MIRROR_SECONDS = 2.0
OBSERVE_SECONDS = 2.0
SETTLE_SECONDS = 10.0
RECOVER_SECONDS = 30.0
NODE_SECONDS = 2.0
"""How often the facts of nodes are looked at: in memory, since a backend watches them. Only changes are written."""
CLUSTER_SECONDS = 3.0
"""How often the rows of clusters are read. A person who has added one looks for its nodes at once."""
WATERMARK_SECONDS = 2.0
PRUNE_SECONDS = 3600.0

log = logging.getLogger("assay.services")


class Services:
    """The periodic jobs of one worker, and its dispatcher."""

    def __init__(self, settings: Settings, client: PrefectClient) -> None:
        self._settings = settings
        self.context: WorkerContext = open_context(settings, client)
        self.mirror = Mirror(self.context)
        self.dispatcher = Dispatcher(self.context, self.mirror)
        self._forecasting = Forecasting(self.context.db, settings.pool, self.context.blocking)
        self._poller = GatePoller(self.context.db, settings.pool, self.context.pass_gate)
        self._leftovers = Leftovers(self.context)
        self._lost_nodes = LostNodes(self.context)
        self._unready_nodes = UnreadyNodes(self.context)
        self._reconciler = Reconciler(self.context, self.mirror, lambda: self.dispatcher.running)
        self._nodes = NodeRecorder(self.context.db, settings.pool)
        self._stopping = threading.Event()
        self.draining = False

    async def open(self) -> None:
        """Register this worker and its nodes, so that the gate can admit runs to them."""
        await self.context.serve_clusters(idle=True)
        await self.context.db.run_patiently(self._register)
        await self._note_nodes()
        threading.Thread(target=self._keep_leases, name="assay-leases", daemon=True).start()

    async def run(self) -> None:
        """Work until the process ends."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self.dispatcher.run())
            loops.create_task(self._leftovers.run())
            loops.create_task(every(0.0, self._beat_gate))
            loops.create_task(every(NODE_SECONDS, self._note_nodes))
            loops.create_task(every(CLUSTER_SECONDS, self._serve_clusters))
            loops.create_task(every(LOST_SECONDS, self._lost_nodes.look))
            loops.create_task(every(LOST_SECONDS, self._unready_nodes.look))
            loops.create_task(every(WATERMARK_SECONDS, self._advance_watermarks))
            loops.create_task(every(PRUNE_SECONDS, self._prune_outbox))
            loops.create_task(every(FORECAST_SECONDS, self._forecasting.make_round))
            loops.create_task(every(MIRROR_SECONDS, self.mirror.show_head))
            loops.create_task(every(OBSERVE_SECONDS, self._reconciler.observe))
            loops.create_task(every(SETTLE_SECONDS, self._reconciler.settle))
            loops.create_task(every(SETTLE_SECONDS, self._reconciler.end_tasks))
            loops.create_task(every(RECOVER_SECONDS, self._reconciler.recover))
            for duty in (duty for kind in FLOWS.values() for duty in kind.duties):
                loops.create_task(every(duty.seconds, duty.begin(self.context, self.dispatcher)))

    def drain(self) -> None:
        """Claim no more runs. Another worker will go on with those that this one holds."""
        self.draining = True
        self.dispatcher.drain()

    def leave(self) -> None:
        """Give up all leases and sign off, from any thread. The tests run on, and the next worker adopts them."""
        self._stopping.set()
        with contextlib.suppress(Exception):  # if the database is away, the leases end by themselves
            self.context.heartbeat.call(lambda conn: workers.leave(conn, self._settings.worker))
        self.context.close()

    async def _beat_gate(self) -> None:
        """Make a pass of the gate if one is due, then wait until the next check."""
        pause = await self._poller.beat(asyncio.get_running_loop().time())
        await asyncio.sleep(pause.total_seconds())

    async def _advance_watermarks(self) -> None:
        await self.context.db.run(lambda conn: queue_watermarks.advance(conn, self._settings.pool))

    async def _prune_outbox(self) -> None:
        await self.context.db.run(outbox.prune)

    async def _serve_clusters(self) -> None:
        """Follow the rows of clusters, unless this worker is about to end."""
        if not self.draining and await self.context.serve_clusters(idle=not self.dispatcher.running):
            settings, serves = self._settings, self.context.serves
            await self.context.db.run(lambda conn: workers.serve(conn, settings.worker, settings.pool, serves))
            await self._note_nodes()

    async def _note_nodes(self) -> None:
        """Write down the nodes of each backend. One that does not answer now keeps those that are known of it."""
        for name, backend in list(self.context.backends.items()):
            try:
                facts = await backend.nodes()
            except UnavailableError as failed:
                log.warning("the nodes of %s are not known now: %s", name, failed)
            else:
                await self._nodes.record(name, facts, asyncio.get_running_loop().time())

    def _keep_leases(self) -> None:
        """Renew the leases in a thread with its own connection: a busy loop or connection pool must not lose runs."""
        while not self._stopping.wait(self._settings.lease.total_seconds() / 3):
            try:
                self.context.heartbeat.call(self._beat)
            except Exception as failed:  # noqa: BLE001  tried again in a moment; the epoch protects the runs meanwhile
                log.warning("leases were not renewed: %r", failed)

    def _beat(self, conn: Connection) -> None:
        """Record that this worker is alive. After a sleep of days its row may be gone, and it registers again."""
        settings = self._settings
        leases.renew(conn, settings.worker, settings.lease)
        if not workers.beat(conn, settings.worker, settings.lease):
            self._register(conn)

    def _register(self, conn: Connection) -> None:
        settings = self._settings
        workers.register(conn, settings.worker, settings.pool, settings.lease, self.context.serves)
