"""Runs flows with Prefect's async engine, without its watch for suspensions.

For each flow run of a deployment the engine starts a thread with an event loop and a web socket, to learn of a
suspension, and blocks the calling loop until the socket is connected. Two hundred waiting runs would need two hundred
threads, and each start would stop all other flows. Our flows wait in our own gate and are never suspended (005.2).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from prefect._flow_run_suspension import FlowRunSuspensionRequest, register_flow_run_suspension_request
from prefect.client.schemas.objects import FlowRun, State
from prefect.flow_engine import AsyncFlowRunEngine
from prefect.flows import Flow
from prefect.settings import get_current_settings


class Engine(AsyncFlowRunEngine[Any, Any]):
    """Runs one flow run in the loop that it is called in, and starts no thread for it."""

    @contextmanager
    def setup_flow_run_suspension_request(self) -> Iterator[FlowRunSuspensionRequest]:
        """Register the request as the base class does, but do not watch for it."""
        if self.flow_run is None:
            raise ValueError("a flow run is made before it is run")
        request = self._get_flow_run_suspension_request()
        with register_flow_run_suspension_request(self.flow_run.id, request):
            yield request


@lru_cache(maxsize=64)
def without_storage(flow: Flow[..., Any]) -> Flow[..., Any]:
    """Return the flow with a result storage if it keeps no results.

    Without one Prefect asks the server for a storage at each run. It asks synchronously, which blocks every other flow
    of this loop.
    """
    if flow.persist_result is not False or flow.result_storage is not None:
        return flow
    return flow.with_options(result_storage=Path(get_current_settings().results.local_storage_path))


async def run(flow: Flow[..., Any], flow_run: FlowRun, parameters: dict[str, Any]) -> State[Any]:
    """Run a flow run to its end and return its state. Raises: whatever the engine could not turn into a state."""
    engine = Engine(flow=without_storage(flow), parameters=parameters, flow_run=flow_run)
    async with engine.start():
        while engine.is_running():
            async with engine.run_context():
                _ = await engine.call_flow_fn()  # typed as the coroutine that it has awaited already
    return engine.state
