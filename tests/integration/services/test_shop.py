"""The shop as a local environment: faults in its services, judged by what its customers see."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from harness.environments import PATIENCE, SHOP, free_ports

from chaos.answers import Interval, load_counts, load_samples
from chaos.experiment_reading import check_experiment
from chaos.fault_types import Fault
from chaos.hypothesis import Hypothesis, Load, Method
from chaos.judge import Judgement, Readings, judge_slos
from chaos.provider import FaultId
from chaos.windows import Window
from cluster.faults.local import LocalFaults
from cluster.faults.provider import Injection
from cluster.observation.load import OpenLoad
from cluster.services.client import EnvironmentFacts, look
from cluster.services.file import check_services
from cluster.services.starting import start, stop

pytestmark = pytest.mark.faults

EXAMPLES = SHOP.parent / "chaos"
SECONDS, PER_SECOND = 6, 20
ORDER = {"item": "lamp", "quantity": 1, "card": "1234"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """A running shop on ports of its own."""

    folder: Path
    orders: str

    async def facts(self) -> EnvironmentFacts:
        return await look(self.folder)


@asynccontextmanager
async def shop(folder: Path, file: str) -> AsyncIterator[Shop]:
    """Run the shop of one of the example files, with other ports."""
    text = (SHOP / file).read_text()
    raw = yaml.safe_load(text)
    ports = {service["port"]: port for service, port in zip(raw["services"], free_ports(3), strict=True)}
    for old, new in ports.items():
        text = text.replace(str(old), str(new))
    services = check_services(yaml.safe_load(text), SHOP)
    own = folder / "services.yaml"
    own.write_text(text.replace("port: ", f"cwd: {SHOP.name}\n  port: "))
    (folder / SHOP.name).symlink_to(SHOP)
    environment = folder / "env" / "shop"  # not the link: its logs would be written beside the example
    try:
        await start(services, own, environment)
        yield Shop(folder=environment, orders=f"http://127.0.0.1:{list(ports.values())[2]}")
    finally:
        await stop(environment)


def now() -> datetime:
    return datetime.fromtimestamp(asyncio.get_running_loop().time(), UTC)


async def window(load: OpenLoad) -> Readings:
    """Return the readings of one window, under whatever is active. All requests of it are waited for."""
    begins = now()
    await asyncio.sleep(SECONDS)  # a window of real time
    interval = Interval(begins=begins, ends=begins + timedelta(seconds=SECONDS), step=timedelta(seconds=1))
    async with asyncio.timeout(PATIENCE):
        while any(asked < interval.ends for asked in load.waiting):  # noqa: ASYNC110  other processes
            await asyncio.sleep(0.1)
    counts, samples = load_counts(load.answers, interval), load_samples(load.answers, interval, 50)
    return Readings(samples={Window.FAULT: samples}, counts={Window.FAULT: counts})


async def judged(running: Shop, service: str, fault: Fault, hypothesis: Hypothesis) -> tuple[Judgement, ...]:
    """Judge what customers see while the fault is active, and check that nothing of it is left."""
    provider = LocalFaults(folder=running.folder.parent.parent / "faults", environments=running.folder.parent)
    target = next(one.target for one in (await running.facts()).candidates() if one.target.service == service)
    target = replace(target, place="shop")  # the folder of the supervisor, whatever the file is called
    injection = Injection(id=FaultId("f"), fault=fault, target=target, expires_after=timedelta(seconds=60))
    asked = Load(url=f"{running.orders}/orders", method=Method.POST, body=json.dumps(ORDER), per_second=PER_SECOND)
    load = OpenLoad(load=asked, clock=now, allowed_hosts=frozenset({"127.0.0.1"}))
    loading = asyncio.create_task(load.run())
    before = await window(load)
    await provider.inject(injection)
    during = await window(load)
    await provider.revert(injection.id)
    loading.cancel()
    assert (await provider.effect(injection.id)).seen
    assert await provider.verify(injection.id) == ()
    readings = Readings(
        samples={Window.BASELINE: before.samples[Window.FAULT], Window.FAULT: during.samples[Window.FAULT]},
        counts={Window.BASELINE: before.counts[Window.FAULT], Window.FAULT: during.counts[Window.FAULT]},
    )
    named = {slo.name: readings for slo in hypothesis.slos}
    return tuple(slo.judgement for slo in judge_slos(hypothesis, named, 0.05))


def example(name: str) -> Any:
    return check_experiment(yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text()))


@pytest.mark.parametrize(
    ("file", "wanted"),
    [("services.yaml", Judgement.MET), ("services-without-retries.yaml", Judgement.NOT_MET)],
)
async def test_with_retries_no_order_is_lost_when_payments_dies_and_without_them_some_are(
    tmp_path: Path, file: str, wanted: Judgement
) -> None:
    experiment = example("payments-killed")
    async with shop(tmp_path, file) as running:
        said = await judged(running, "payments", experiment.faults[0], experiment.hypothesis)

    assert said == (wanted,)


async def test_a_slow_payments_makes_orders_slow_but_loses_none(tmp_path: Path) -> None:
    experiment = example("payments-slow")
    async with shop(tmp_path, "services.yaml") as running:
        said = await judged(running, "payments", experiment.faults[0], experiment.hypothesis)

    assert said == (Judgement.MET, Judgement.NOT_MET)


@pytest.mark.parametrize("name", ["payments-killed", "payments-slow", "inventory-stopped"])
def test_the_examples_are_valid(name: str) -> None:
    assert example(name).provider == "local"


async def test_each_service_has_metrics(tmp_path: Path) -> None:
    async with shop(tmp_path, "services.yaml") as running, httpx.AsyncClient(trust_env=False) as client:
        await client.post(f"{running.orders}/orders", json=ORDER)
        text = (await client.get(f"{running.orders}/metrics")).text

    assert 'shop_requests_total{method="POST",status="201"} 1' in text
    assert "shop_request_seconds_count" in text
