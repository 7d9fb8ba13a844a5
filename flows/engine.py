"""Prefect's async flow engine without the part that stands in our way.

For each flow run of a deployment the engine starts a thread with an event loop and a web socket of its own, to hear of
a suspension, and holds the calling loop until that is connected. Two hundred waiting runs would be two hundred threads,
and every start a standstill of all others. Our flows wait in our own gate and are never suspended (005.2).
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
        """Register the request as the base class does, and do not watch for it."""
        if self.flow_run is None:
            raise ValueError("a flow run is made before it is run")
        request = self._get_flow_run_suspension_request()
        with register_flow_run_suspension_request(self.flow_run.id, request):
            yield request


@lru_cache(maxsize=64)
def without_storage(flow: Flow[..., Any]) -> Flow[..., Any]:
    """Return a flow that keeps no results as one that says where, else Prefect asks the server for a place at each run.

    It asks synchronously, and so holds up every other flow of this loop.
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
