"""Builds the order by which a backend launches an attempt, with its secrets resolved."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TypeAlias

from cluster.backend import AttemptId, Fault, Launched, LaunchError, LaunchOrder
from db import runs
from db import secrets as secret_rows
from db.gate import queue
from executors.registry import tool_for
from flows.cancellation_watch import CancellationWatch
from flows.worker_context import WorkerContext
from model import fault, secret
from model.execution import Verdict
from model.ids import ExecutionId, NodeName
from model.mask import Mask
from model.ports import SecretError
from model.request import TestRequest
from model.resources import ResourceRequirements
from orchestrator.lifecycle import Begun

_FAULTS = {
    Fault.CONFIG: fault.SETUP,
    Fault.CONTENT: fault.CONTENT,
    Fault.IMAGE: fault.IMAGE,
    Fault.INFRASTRUCTURE: fault.INFRASTRUCTURE,
    Fault.EVICTED: fault.EVICTED,
    Fault.NODE_LOST: fault.NODE_LOST,
}


def attempt_of(begun: Begun) -> AttemptId:
    """Return the id by which the backend knows this attempt."""
    return AttemptId(execution_id=begun.grant.execution_id, number=begun.number)


def verdict_of(failed: LaunchError) -> Verdict:
    """Return the verdict of an attempt that could not be launched."""
    return _FAULTS[failed.fault].verdict(failed.detail)


Bound: TypeAlias = Callable[[NodeName], Awaitable[None]]
"""Called with the candidate that a backend has chosen."""


async def order(context: WorkerContext, begun: Begun, watch: CancellationWatch, bound: Bound) -> LaunchOrder:
    """Return the order to launch an attempt. Raises: LaunchError if a secret cannot be resolved."""
    request, tool = begun.request, tool_for(begun.request.type)
    return LaunchOrder(
        attempt=attempt_of(begun),
        node=NodeName(begun.grant.node),
        content=request.content,
        command=tool.command(request),
        python=tool.python(request),
        image=request.config.image or tool.image,
        resources=await _resources(context, begun),
        config=request.config,
        env=_variables(request),
        secrets={name: await _secret(context, begun.grant.execution_id, name) for name in secret_names(request)},
        log_bytes=await _log_bytes(context, begun),
        commit=begun.commit,
        candidates=begun.grant.candidates,
        bound=bound,
        called_off=watch.called_off,
        look_again=watch.look_again,
    )


async def _resources(context: WorkerContext, begun: Begun) -> ResourceRequirements:
    """Return what the attempt may use. `auto` is what the gate has counted for it."""
    asked, run = begun.request.resources, begun.grant.execution_id
    if not asked.automatic:
        return asked
    return asked.fixed(await context.db.run_patiently(lambda conn: queue.requested(conn, run)))


async def _log_bytes(context: WorkerContext, begun: Begun) -> int:
    """Return how many bytes earlier attempts have printed."""
    return 0 if begun.number == 1 else await context.in_thread(context.logs.size, begun.grant.execution_id)


def secret_names(request: TestRequest) -> list[str]:
    """Return the names of the secrets that a test uses, in order."""
    return sorted(secret.names(_variables(request).values()))


async def mask_of(context: WorkerContext, begun: Begun, launched: Launched) -> Mask:
    """Return the mask of the values that the test was given, even if its secrets were changed since."""
    names = secret_names(begun.request)
    return Mask(launched.secrets or await _values_of_today(context, begun.grant.execution_id, names))


async def _values_of_today(context: WorkerContext, execution_id: ExecutionId, names: Iterable[str]) -> list[str]:
    """Return the values that can still be had: a test that removed what was kept of them may still not show them."""
    values = []
    for name in names:
        with suppress(LaunchError):
            values.append(await _secret(context, execution_id, name))
    return values


def _variables(request: TestRequest) -> dict[str, str]:
    return {**request.env, **request.config.env}


async def _secret(context: WorkerContext, execution_id: ExecutionId, name: str) -> str:
    """Resolve one secret of the run's team. Raises: LaunchError."""
    reference = await context.db.run_patiently(
        lambda conn: secret_rows.reference(conn, name, runs.team_of(conn, execution_id))
    )
    if reference is None:
        raise LaunchError(Fault.CONFIG, f"secret {name} is gone; set it again with `assay secret set {name} ...`")
    try:
        return await context.in_thread(context.secrets.resolve, reference)
    except SecretError as wrong:
        raise LaunchError(Fault.CONFIG, f"secret {name}: {wrong}") from wrong
