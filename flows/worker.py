"""The worker type `assay`: each flow run is a coroutine in one event loop, so that a start costs milliseconds.

Prefect finds it by its entry point (`prefect work-pool create --type assay`). The worker runs what Prefect schedules
and what our gate admits. Only the former count against its limit, and only until they are in our queue: otherwise runs
that wait would keep out runs that may start.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import anyio.abc
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.context import AsyncClientContext, SyncClientContext
from prefect.exceptions import ObjectNotFound
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.states import Failed
from prefect.workers.base import BaseJobConfiguration, BaseWorker, BaseWorkerResult

from cluster import heartbeats
from flows.entrypoints import refuse
from flows.periodic import every
from flows.settings import Settings, from_environment

if TYPE_CHECKING:
    from flows.services import Services

POLL_SECONDS = 2.0
SYNC_SECONDS = 15.0
KNOWN_SECONDS = 10.0
"""Seconds for which a deployment is kept. Each call to the server costs as much as a small run."""

MESSAGE = 1000
"""Characters of a state's message at most, since an error of a foreign module may have any length."""

log = logging.getLogger("assay.worker")


class AssayJobConfiguration(BaseJobConfiguration):
    """There is nothing to configure: flows run in the worker, and tests where the gate places them."""


class AssayWorkerResult(BaseWorkerResult):
    """The flow run ended, in whatever state."""


class AssayWorker(BaseWorker[AssayJobConfiguration, Any, AssayWorkerResult]):
    """Runs flows in its own event loop, without a process for each."""

    type = "assay"
    job_configuration = AssayJobConfiguration
    _description = "Runs Assay's flows inside the worker; the tests themselves run where Assay's gate places them."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._flows: dict[str, Flow[..., Any]] = {}
        self._deployments: dict[UUID, tuple[float, DeploymentResponse]] = {}
        self._loading = asyncio.Lock()
        self._reading = asyncio.Lock()
        self._services: Services | None = None
        self._allowed: frozenset[str] = frozenset()

    async def start(
        self,
        run_once: bool = False,  # noqa: FBT001, FBT002  the base class's signature
        with_healthcheck: bool = False,  # noqa: ARG002, FBT001, FBT002  no web server inside: `assay status` asks the database
        printer: Callable[..., None] = print,
    ) -> None:
        """Work until the process ends. Unlike the loops of the base class, these go on while Prefect is away."""
        # The engine uses a synchronous client in each run. A new one would cost 25 ms, most of it for certificates.
        with SyncClientContext.get_or_create():
            await self._work(run_once, printer)

    async def _work(self, run_once: bool, printer: Callable[..., None]) -> None:  # noqa: FBT001  as `start` has it
        async with AsyncClientContext.get_or_create(), self:
            settings = from_environment()
            await self._open_services(settings)
            heartbeat = partial(_beat, heartbeats.path_of(settings.state, settings.worker))
            printer(f"Worker {self.name!r} started!")
            if run_once:
                await self.get_and_submit_flow_runs()
                return
            async with asyncio.TaskGroup() as loops:
                loops.create_task(every(heartbeats.SECONDS, heartbeat))
                loops.create_task(every(SYNC_SECONDS, self._sync_and_initialize))
                loops.create_task(every(POLL_SECONDS, self._poll))

    async def run(
        self,
        flow_run: FlowRun,
        configuration: AssayJobConfiguration,  # noqa: ARG002  the base class's signature
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> AssayWorkerResult:
        """Run one flow run to its end, in this loop."""
        if task_status is not None:
            task_status.started(0)
        await self._submit_run(flow_run)
        return AssayWorkerResult(identifier=str(flow_run.id), status_code=0)

    def drain(self) -> None:
        """Take no more runs."""
        if self._services is not None:
            self._services.drain()

    def leave(self) -> None:
        """Give up the leases of this worker. May be called from any thread."""
        if self._services is not None:
            self._services.leave()

    async def _setup_cancellation_observer(self) -> None:
        """Do nothing: `flows.reconciler` copies cancellations to our rows, whatever the phase of a run."""

    async def _open_services(self, settings: Settings) -> None:
        # Prefect imports this module to list worker types.
        from flows.kinds import ENTRYPOINTS  # noqa: PLC0415
        from flows.services import Services  # noqa: PLC0415

        self._allowed = settings.allowed_entrypoints | ENTRYPOINTS
        self._services = Services(settings, self.client)
        await self._services.open()
        if self._runs_task_group is not None:
            self._runs_task_group.start_soon(self._services.run)

    async def _poll(self) -> None:
        if self._services is None or not self._services.draining:
            await self.get_and_submit_flow_runs()

    async def _submit_run(self, flow_run: FlowRun) -> None:
        """Take one due flow run: propose Pending, which only one worker gets, and run it."""
        try:
            deployment = await self._deployment(flow_run)
            if deployment is None or not await self._propose_pending_state(flow_run):
                return
            if refusal := refuse(deployment, self._allowed):
                await self._refuse(flow_run, refusal)
                return
            await self._dispatch(deployment, flow_run)
        except Exception:
            log.exception("flow run %s could not be run", flow_run.id)
        finally:
            self._submitting_flow_run_ids.discard(flow_run.id)
            self._release_limit_slot(flow_run.id)

    async def _dispatch(self, deployment: DeploymentResponse, flow_run: FlowRun) -> None:
        try:
            flow = await self._flow(str(deployment.entrypoint))
        except Exception as error:  # noqa: BLE001  it is their code that is imported
            await self._refuse(flow_run, f"{deployment.entrypoint} cannot be loaded by this worker: {error!r}")
            return
        if not flow.isasync:
            await self._refuse(
                flow_run, f"{flow.name} is not an async flow; in this worker it would hold up all others"
            )
            return
        if self._services is not None:
            entered = partial(self._release_limit_slot, flow_run.id)
            await self._services.dispatcher.flow(flow, flow_run, flow_run.parameters or {}, entered=entered)

    async def _refuse(self, flow_run: FlowRun, why: str) -> None:
        await self.client.set_flow_run_state(flow_run.id, Failed(name="Refused", message=why[:MESSAGE]), force=True)

    async def _deployment(self, flow_run: FlowRun) -> DeploymentResponse | None:
        if flow_run.deployment_id is None:
            return None
        try:
            async with self._reading:  # of many runs that come at once, only one reads
                return await self._known_deployment(flow_run.deployment_id)
        except ObjectNotFound:
            await self._mark_flow_run_as_cancelled(flow_run, {"message": "its deployment no longer exists"})
            return None

    async def _known_deployment(self, deployment_id: UUID) -> DeploymentResponse:
        """Return a deployment as it was a moment ago. Raises: ObjectNotFound."""
        now = asyncio.get_running_loop().time()
        read_at, known = self._deployments.get(deployment_id, (0.0, None))
        if known is not None and now - read_at < KNOWN_SECONDS:
            return known
        self._deployments.pop(deployment_id, None)
        found = await self.client.read_deployment(deployment_id)
        self._deployments[deployment_id] = (now, found)
        return found

    async def _flow(self, entrypoint: str) -> Flow[..., Any]:
        """Load a flow once. Only module entrypoints are allowed, so nothing is downloaded and no folder is changed."""
        async with self._loading:  # otherwise runs that come at once would each load it
            if entrypoint not in self._flows:
                self._flows[entrypoint] = await asyncio.to_thread(load_flow_from_entrypoint, entrypoint)
            return self._flows[entrypoint]


async def _beat(file: Path) -> None:
    """Write a heartbeat from the event loop. A thread would write one even while the loop hangs."""
    heartbeats.beat(file)
