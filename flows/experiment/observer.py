"""Observes the system under test while an experiment runs: its load, its health checks, and the SLOs of a Prometheus.

Everything runs in tasks of its own from `start` to `stop`, through all windows. A reading that fails is a missing one.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from chaos.experiment import Experiment
from chaos.hypothesis import HealthCheck, ProbeType, Slo, SloKind, Source
from chaos.observed import HealthLook, Observed
from chaos.windows import Count, Sample
from cluster.observation.command_looks import CommandLooks
from cluster.observation.errors import ObservationError
from cluster.observation.load import OpenLoad
from cluster.observation.metrics import MetricsSource
from cluster.observation.probes import HttpProbe, Prober, ProbeResult, TcpProbe

log = logging.getLogger("assay.experiments")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What is observed besides addresses: a Prometheus, the objects of a cluster, and what commands have seen."""

    metrics: MetricsSource | None = None
    conditions: Callable[[HealthCheck], Awaitable[ProbeResult]] | None = None
    commands: CommandLooks | None = None


NO_SOURCES = Sources()


class Observer:
    """What observes for one experiment. `broken` says why nothing can be observed any more, None while it can."""

    def __init__(
        self,
        experiment: Experiment,
        clock: Callable[[], datetime],
        hosts: frozenset[str],
        sources: Sources = NO_SOURCES,
    ) -> None:
        self._experiment = experiment
        self._clock = clock
        self._prober = Prober(hosts)
        self._metrics = sources.metrics
        self._conditions = sources.conditions
        self._commands = sources.commands
        self._load = _generator(experiment, clock, hosts)
        self._health: dict[str, list[HealthLook]] = defaultdict(list)
        self._samples: dict[str, list[Sample]] = defaultdict(list)
        self._counts: dict[str, list[Count]] = defaultdict(list)
        self._tasks: list[asyncio.Task[None]] = []
        self.broken: str | None = None

    @property
    def running(self) -> bool:
        """Say whether it observes now."""
        return bool(self._tasks)

    @property
    def seen(self) -> Observed:
        """Return everything that was seen until now."""
        return Observed(
            answers=self._load.answers if self._load else (),
            health={**self._health, **(self._commands.looks if self._commands else {})},
            samples=self._samples,
            counts=self._counts,
        )

    def start(self) -> None:
        """Begin to observe. A second call changes nothing."""
        if self._tasks:
            return
        hypothesis = self._experiment.hypothesis
        ours = [check for check in hypothesis.health_checks if check not in hypothesis.commands]
        work: list[Coroutine[None, None, None]] = [self._look_after(check) for check in ours]
        work += [self._read_on(slo) for slo in hypothesis.slos if slo.source is Source.PROMETHEUS]
        work += [self._load.run()] if self._load else []
        work += [self._commands.follow()] if self._commands else []
        self._tasks = [asyncio.create_task(self._guarded(one)) for one in work]

    async def stop(self) -> None:
        """End all observation. A second call changes nothing."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _guarded(self, work: Coroutine[None, None, None]) -> None:
        """Note why an observation broke off: without it an experiment must not go on."""
        try:
            await work
        except Exception as error:  # noqa: BLE001  whatever it is, the experiment ends by the way back
            log.warning("observation broke off: %r", error)
            self.broken = self.broken or f"{error}"

    async def _look_after(self, check: HealthCheck) -> None:
        while True:
            began, at = asyncio.get_running_loop().time(), self._clock()
            result = await self._probe(check)
            self._health[check.name].append(HealthLook(at=at, healthy=result.healthy, detail=result.detail))
            took = asyncio.get_running_loop().time() - began
            await asyncio.sleep(max(0.0, check.interval_seconds - took))

    async def _probe(self, check: HealthCheck) -> ProbeResult:
        seconds = check.timeout_seconds
        if check.type is ProbeType.HTTP:
            probe = HttpProbe(url=str(check.url), seconds=seconds, lowest=check.status, highest=check.status)
            return await self._prober.http(probe)
        if check.type is ProbeType.TCP:
            return await self._prober.tcp(TcpProbe(host=str(check.host), port=int(check.port or 0), seconds=seconds))
        if check.type is ProbeType.PROMETHEUS and self._metrics is not None:
            value = await self._value(str(check.query))
            return ProbeResult(healthy=_within(check, value), detail=f"the value is {value}", seconds=0.0)
        if check.type is ProbeType.KUBERNETES and self._conditions is not None:
            return await self._conditions(check)
        return ProbeResult(healthy=False, detail=f"a check of type {check.type} cannot be made here", seconds=0.0)

    async def _read_on(self, slo: Slo) -> None:
        """Read an SLO each step. A step that passes while an answer is waited for has no reading: it is missing."""
        loop, step = asyncio.get_running_loop(), slo.step_seconds
        began, number = loop.time(), 0
        while True:
            number += 1
            late = loop.time() - (began + number * step)
            if late >= step:
                self._note(slo, self._clock() - timedelta(seconds=late), (None, None))
                continue
            await asyncio.sleep(max(0.0, -late))
            at = self._clock()
            self._note(slo, at, await self._read(slo))

    async def _read(self, slo: Slo) -> tuple[float | None, float | None]:
        """Return the value of an SLO twice, or its rates of bad and of all requests."""
        if slo.kind is SloKind.VALUE:
            value = await self._value(str(slo.query))
            return value, value
        return await self._value(str(slo.bad)), await self._value(str(slo.total))

    def _note(self, slo: Slo, at: datetime, read: tuple[float | None, float | None]) -> None:
        first, second = read
        if slo.kind is SloKind.VALUE:
            self._samples[slo.name].append(Sample(at=at, value=first))
            return
        step = slo.step_seconds
        self._counts[slo.name].append(Count(at=at, bad=_times(first, step), total=_times(second, step)))

    async def _value(self, query: str) -> float | None:
        if self._metrics is None:
            return None
        with suppress(ObservationError):
            found = await self._metrics.value(query)
            return found.value if found else None
        return None


def _generator(experiment: Experiment, clock: Callable[[], datetime], hosts: frozenset[str]) -> OpenLoad | None:
    load = experiment.load
    return OpenLoad(load=load, clock=clock, allowed_hosts=hosts) if load and load.url else None


def _times(rate: float | None, seconds: float) -> float | None:
    return None if rate is None else rate * seconds


def _within(check: HealthCheck, value: float | None) -> bool:
    if value is None:
        return False
    above = check.above is not None and value > check.above
    return not above and not (check.below is not None and value < check.below)
