"""Jobs that a worker repeats for as long as it lives."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from prefect.client.schemas.objects import FlowRun
from prefect.flows import Flow

from flows.worker_context import WorkerContext
from model.backoff import Backoff

LEAST_PAUSE = 0.25
LONGEST_PAUSE = 30.0
"""Seconds between two tries of what fails."""
MOST_TIMES = 8
"""A pause after failures is at most so many times as long as the usual one."""

log = logging.getLogger("assay.periodic")


Job: TypeAlias = Callable[[], Awaitable[object]]


class FlowRunner(Protocol):
    """Runs flow runs in this process (`flows.dispatcher`)."""

    @property
    def running(self) -> frozenset[UUID]:
        """The flow runs that are being run."""

    def start(self, flow: Flow[..., Any], flow_run: FlowRun, parameters: dict[str, Any]) -> None:
        """Run a flow run beside the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """What each worker does for a kind of run, with `seconds` between two times. `begin` returns the job."""

    seconds: float
    begin: Callable[[WorkerContext, FlowRunner], Job]


async def every(seconds: float, job: Job) -> None:
    """Call `job` for ever, with `seconds` between two calls. A failure is logged and makes the next pause longer."""
    failures = 0
    while True:
        try:
            await job()
            failures = 0
        except Exception as failed:  # noqa: BLE001  one failure must not end the loop
            failures += 1
            log.warning("%s failed (%d in a row): %r", getattr(job, "__qualname__", job), failures, failed)
        await asyncio.sleep(pause_after(seconds, failures))


def pause_after(seconds: float, failures: int) -> float:
    """Return the seconds to wait after so many failures in a row.

    After a failure the pause is never zero. A job that waits by itself has `seconds` of 0, but may fail before it
    waits; without a pause it would be called thousands of times a second.
    """
    if not failures:
        return seconds
    usual = max(seconds, LEAST_PAUSE)
    return Backoff(first=2 * usual, longest=min(MOST_TIMES * usual, LONGEST_PAUSE)).pause(failures)
