"""Our runs as flow runs of Prefect: the head of the queue is shown there, and every suite run.

A mirrored run is Scheduled, named "Queued", ten years ahead: Prefect's workers leave it alone and its UI shows it.
Admission never waits for the mirror; `idempotency_key` makes two creators come to one flow run.
"""

import logging
from datetime import timedelta
from uuid import UUID

from prefect.client.schemas.filters import FlowFilter, FlowFilterId
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound

from db import runs
from db.runs import RunRef
from flows.kinds import FLOWS
from flows.worker_context import WorkerContext
from orchestrator import kinds
from orchestrator.tags import tags_of

HEAD = 500
"""How much of the queue Prefect is shown."""
BATCH = 25
"""Runs mirrored in one go, so that the mirror never keeps Prefect from its work."""
FAR = timedelta(days=3650)

log = logging.getLogger("assay.mirror")


class Mirror:
    """Makes flow runs for executions and suite runs that came in by REST."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._client = context.client
        self._deployments: dict[str, DeploymentResponse] = {}
        self._names: dict[UUID, str] = {}

    async def show_head(self) -> None:
        """Mirror a batch of what is not in Prefect yet: suite runs first, then waiting tests."""
        for run in await self._context.db.run(lambda conn: runs.unmirrored(conn, HEAD, BATCH)):
            await self._show(run)

    async def _show(self, run: RunRef) -> None:
        """Show a run. One that does not wait in the queue and cannot be shown must not keep the others from it."""
        try:
            await self.find_or_create(run)
        except ObjectNotFound:
            if FLOWS[run.kind].waits:
                raise
            log.warning("run %s is not shown: deployment %s is missing", run.id, FLOWS[run.kind].deployment)
            self.forget_deployments()

    def queued(self) -> State[None]:
        """Return the state of a run that waits in our queue."""
        return State(
            type=StateType.SCHEDULED,
            name="Queued",
            message="waits in Assay's queue; `assay show` tells its position and why",
            state_details={"scheduled_time": self._context.now() + FAR},
        )

    async def create(self, run: RunRef, *, state: State[None]) -> FlowRun:
        """Make the flow run of a run, or find it made, and bring it to the given state."""
        flow_run = await self.find_or_create(run, state)
        if flow_run.state is None or flow_run.state.name != state.name:
            await self._client.set_flow_run_state(flow_run.id, state, force=True)
            return await self._client.read_flow_run(flow_run.id)
        return flow_run

    async def find_or_create(self, run: RunRef, state: State[None] | None = None) -> FlowRun:
        """Make the flow run and write it into our row. One that was made before keeps its state: it may be running.

        Without a `state` it is queued where its kind waits for the gate, and starts at once elsewhere.
        """
        kind = FLOWS[run.kind]
        title, tags = await self._context.db.run(lambda conn: (kinds.of(run).title(conn, run.id), tags_of(conn, run)))
        deployment = await self.deployment(kind.deployment)
        flow_run = await self._client.create_flow_run_from_deployment(
            deployment.id,
            parameters=kind.parameters(run.id),
            state=state or (self.queued() if kind.waits else None),
            name=title,
            tags=tags,
            idempotency_key=str(run.id),
        )
        await self._context.db.run(lambda conn: runs.link_flow_run(conn, run.id, flow_run.id))
        return flow_run

    async def deployment(self, name: str) -> DeploymentResponse:
        """Return a deployment by its name, read once. Raises: ObjectNotFound until `assay up` has deployed it."""
        if name not in self._deployments:
            self._deployments[name] = await self._client.read_deployment_by_name(name)
        return self._deployments[name]

    async def deployment_name(self, flow_run: FlowRun) -> str:
        """Return `flow/deployment` of a flow run, empty where it has none."""
        if flow_run.deployment_id is None:
            return ""
        if flow_run.deployment_id not in self._names:
            deployment = await self._client.read_deployment(flow_run.deployment_id)
            flows = await self._client.read_flows(
                flow_filter=FlowFilter(id=FlowFilterId(any_=[deployment.flow_id])), limit=1
            )
            self._names[flow_run.deployment_id] = f"{flows[0].name if flows else ''}/{deployment.name}"
        return self._names[flow_run.deployment_id]

    def forget_deployments(self) -> None:
        """Read the deployments anew: they may have been made again."""
        self._deployments.clear()
