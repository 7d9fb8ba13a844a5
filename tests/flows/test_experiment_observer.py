"""What an observer notes while a Prometheus is slow. Time is that of a loop that skips all waiting."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta

import pytest

from chaos.experiment_reading import check_experiment
from chaos.windows import Count, Sample
from cluster.observation import metrics
from cluster.observation.metrics import QueryWindow
from flows.experiment.observer import Observer, Sources

START = datetime(2026, 11, 2, tzinfo=UTC)
EXPERIMENT = {
    "name": "slow",
    "fault": {"type": "cpu-stress"},
    "target": {"cluster": "staging", "namespace": "shop", "service": "payments"},
    "durationSeconds": 60,
    "haltConditions": [{"slo": "latency", "above": 5}],
    "safetyChecks": {
        name: {"none": "nothing else is there"}
        for name in ("activeIncidents", "onCall", "recentDeployments", "systemHealth")
    },
    "hypothesis": {
        "slos": [
            {"name": "latency", "kind": "value", "query": "latency", "stepSeconds": 1},
            {"name": "success", "kind": "ratio", "bad": "bad", "total": "total", "objective": 99, "stepSeconds": 1},
        ]
    },
}


class SkippingLoop(asyncio.SelectorEventLoop):
    """A loop whose time goes on to the next thing to do, at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


class Slow:
    """A source that hangs once for twenty seconds, at the tenth second, as the outage itself does."""

    async def value(self, query: str) -> metrics.Sample | None:
        now = asyncio.get_running_loop().time()
        if 10 <= now < 11:
            await asyncio.sleep(20)
            return None
        return metrics.Sample(at=START, value=1.0 if query == "latency" else 0.0 if query == "bad" else 10.0)

    async def series(self, query: str, window: QueryWindow) -> tuple[metrics.Sample, ...]:
        del window
        newest = await self.value(query)
        return () if newest is None else (newest,)


async def observed(seconds: float) -> tuple[list[Sample], list[Count]]:
    loop = asyncio.get_running_loop()
    observer = Observer(
        check_experiment(EXPERIMENT),
        lambda: START + timedelta(seconds=loop.time()),
        frozenset(),
        Sources(metrics=Slow()),
    )
    observer.start()
    await asyncio.sleep(seconds)
    await observer.stop()
    return list(observer.seen.samples["latency"]), list(observer.seen.counts["success"])


def run(work: Coroutine[None, None, tuple[list[Sample], list[Count]]]) -> tuple[list[Sample], list[Count]]:
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        return runner.run(work)


@pytest.mark.parametrize("position", [0, 1], ids=["value", "ratio"])
def test_steps_that_pass_while_an_answer_is_awaited_are_missing(position: int) -> None:
    """Otherwise the readings after an outage would stand for the time of the outage."""
    readings = run(observed(60.5))[position]

    assert len(readings) == 60
    assert [reading.at for reading in readings] == sorted({reading.at for reading in readings})
    missing = [reading.at for reading in readings if not reading.present]
    assert len(missing) >= 19
    assert all(START + timedelta(seconds=10) <= at <= START + timedelta(seconds=31) for at in missing)
