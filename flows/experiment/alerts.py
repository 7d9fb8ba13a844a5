"""Tells the connected Alertmanagers that an experiment disturbs services, and that it does not any more.

It runs beside the experiment. Nothing waits for it, so it can neither delay a fault nor stop a revert. If the worker is
lost, the alerts end by themselves (`chaos.alerts.OUTLIVES`).
"""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import TypeVar

from chaos.alerts import OUTLIVES, Alert, Firing, about, alerts_of, new_since
from chaos.journal import EventKind
from chaos.observed import Span
from chaos.provider import FaultStatus
from chaos.targets import Resolution
from cluster.observation.alertmanager import Alertmanager
from cluster.observation.errors import ObservationError
from flows.experiment.connections import connections_of
from flows.experiment.run import ExperimentRun

LOOK_SECONDS = 0.25
AGAIN_SECONDS = 30.0
"""An alert is sent again as often, as Alertmanager asks of its clients."""
LAST_WORD_SECONDS = 3.0

T = TypeVar("T")
log = logging.getLogger("assay.experiments")


class Announcer:
    """What tells it for one experiment."""

    def __init__(self, run: ExperimentRun) -> None:
        self._run = run
        self._since = run.context.now()
        self._told: tuple[Alertmanager, ...] = ()
        self._connected = 0
        self._told_at: float | None = None
        self._before: tuple[Firing, ...] = ()

    async def keep_telling(self) -> None:
        """Tell it while faults are active, again and again, until they are reverted."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                if not self._disturbs():
                    await self._end()
                elif self._told_at is None or loop.time() - self._told_at >= AGAIN_SECONDS:
                    await self._tell()
            except Exception:  # no alert is worth that a fault is left: it is tried again, and the run goes on
                log.exception("run %s: telling the Alertmanagers failed", self._run.grant.execution_id)
                await asyncio.sleep(AGAIN_SECONDS)
            await asyncio.sleep(LOOK_SECONDS)

    async def close(self) -> None:
        """Tell that it is over, if it was told that it runs. Takes no longer than `LAST_WORD_SECONDS`."""
        try:
            async with asyncio.timeout(LAST_WORD_SECONDS):
                await self._end()
        except Exception as error:  # noqa: BLE001  the alerts end by themselves
            log.warning("run %s: the Alertmanagers were not told its end: %r", self._run.grant.execution_id, error)

    def _disturbs(self) -> bool:
        """Say whether anything of a fault may be in the world, a residual too."""
        state = self._run.state
        return bool(self._run.active or state.open_faults) or FaultStatus.RESIDUAL in state.faults

    async def _tell(self) -> None:
        resolution = self._run.resolution
        if resolution is None:
            return
        first = self._told_at is None
        if first:
            self._since, self._told = self._run.context.now(), await self._all()
        self._told_at = asyncio.get_running_loop().time()
        sending = self._send(resolution, self._run.context.now() + OUTLIVES)
        if not first:
            await sending
            return
        self._before, sent = await asyncio.gather(self._firing(resolution), sending)
        if sent:
            self._run.note(EventKind.ALERT, f"{sent} of {self._connected} Alertmanagers were told that it runs")

    async def _end(self) -> None:
        """End the alerts. What is left of a fault stays told until its alert ends by itself."""
        resolution = self._run.resolution
        if self._told_at is None or resolution is None or self._disturbs():
            return
        now = self._run.context.now()
        firing, _ = await asyncio.gather(self._firing(resolution), self._send(resolution, now))
        self._told_at = None
        for one in new_since(self._before, firing):
            self._run.note(EventKind.ALERT, f"the alert {one.name} fires since {one.starts_at:%H:%M:%S}")

    async def _send(self, resolution: Resolution, until: datetime) -> int:
        """Send the alerts to all, and return how many took them."""
        run = self._run
        alerts = alerts_of(
            run.experiment, resolution, str(run.grant.execution_id), Span(begins=self._since, ends=until)
        )
        taken = await asyncio.gather(*(self._asked(_sent(one, alerts), otherwise=False) for one in self._told))
        return sum(taken)

    async def _all(self) -> tuple[Alertmanager, ...]:
        """Open them. One that cannot be opened keeps none of the others from being told, and stands in the report."""
        opened, problems = (await connections_of(self._run)).alertmanagers()
        for problem in problems:
            log.warning("run %s: %s", self._run.grant.execution_id, problem)
            self._run.note(EventKind.ALERT, problem)
        self._connected = len(opened) + len(problems)
        return opened

    async def _firing(self, resolution: Resolution) -> tuple[Firing, ...]:
        answers = await asyncio.gather(*(self._asked(one.firing(), otherwise=[]) for one in self._told))
        found = {one.fingerprint: one for answer in answers for one in answer}
        return about(found.values(), resolution)

    async def _asked(self, question: Awaitable[T], *, otherwise: T) -> T:
        try:
            return await question
        except ObservationError as error:
            log.warning("run %s: %s", self._run.grant.execution_id, error)
            self._run.note(EventKind.ALERT, str(error))
            return otherwise


async def _sent(manager: Alertmanager, alerts: Sequence[Alert]) -> bool:
    await manager.send(alerts)
    return True
