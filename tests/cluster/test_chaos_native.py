"""The native fault provider on the shop in a real cluster, as a Prometheus sees it: effect, abort, and the way back."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from harness import prometheus
from harness.cluster_accounts import kubeconfig, token
from harness.cluster_parts import stopped
from harness.fault_beds import fault_of, injection
from harness.fault_beds.kubernetes import Bed
from harness.shop_in_cluster import PORT, RBAC_MANIFEST, allow_host_guards, apply, shop_in_cluster

from chaos.fault_types import FaultType
from chaos.provider import FaultId, FaultStatus
from chaos.target import TargetSelector
from cli import main
from cluster.fault_providers import KubernetesTargets
from cluster.faults import cluster_faults
from cluster.faults.kubernetes.provider import KubernetesFaults
from cluster.faults.provider import InjectError
from cluster.kubernetes.canary import Enforcement, Found
from cluster.kubernetes.connection import ApiError, Connection
from cluster.observation.prometheus import PrometheusAccess, PrometheusSource

pytestmark = pytest.mark.cluster
ALL = os.environ.get("ASSAY_SWEEP") == "all"
SWEEP = pytest.mark.skipif(not ALL, reason="takes its time: `make sweep` runs it")
EXPIRY, AWAY = (120, 20) if ALL else (4, 6)
"""Seconds until a fault reverts itself, and how long the API server is away: those of the contract in `make sweep`."""
AFTER_RETURN = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The shop in the cluster, and the Prometheus that scrapes it."""

    bed: Bed
    metrics: PrometheusSource

    async def value(self, query: str) -> float | None:
        found = await self.metrics.value(query)
        return None if found is None else found.value

    async def inject(self, kind: FaultType, seconds: float = 60, **change: Any) -> FaultId:
        await self.bed.until_ready()
        wanted = await injection(self.bed, f"native-{kind}", fault_of(kind, **change), seconds)
        await self.bed.provider().inject(wanted)
        return wanted.id


@pytest.fixture(scope="module")
async def observed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Observed]:
    if not prometheus.there():
        pytest.skip(prometheus.MISSING)
    async with shop_in_cluster(("payments", "inventory", "orders")) as shop:
        targets = {name: f"{address}:{PORT}" for name, address in shop.addresses.items()}
        with prometheus.scraping(tmp_path_factory.mktemp("prometheus"), targets) as url:
            yield Observed(bed=Bed(shop), metrics=PrometheusSource(PrometheusAccess(url=url)))


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110  other processes, which send no event
            await asyncio.sleep(0.2)


async def test_a_deleted_pod_is_down_for_prometheus_until_the_abort(observed: Observed) -> None:
    """Abort in the middle: the way back takes seconds, and the target is up again."""
    up = 'up{job="payments"}'
    await until(lambda: _is(observed, up, 1))
    fault = await observed.inject(FaultType.POD_DELETE)
    await until(lambda: _is(observed, up, 0))
    began = time.monotonic()

    await observed.bed.provider().revert(fault)
    seconds = time.monotonic() - began

    assert (await observed.bed.provider().effect(fault)).seen
    assert await observed.bed.provider().verify(fault) == ()
    assert seconds < AFTER_RETURN
    await until(lambda: _is(observed, up, 1))


async def _is(observed: Observed, query: str, value: float) -> bool:
    return await observed.value(query) == value


async def test_a_killed_container_is_restarted_and_counted(observed: Observed) -> None:
    fault = await observed.inject(FaultType.CONTAINER_KILL, once=True)

    await until(lambda: _seen(observed, fault))

    effect = await observed.bed.provider().effect(fault)
    await observed.bed.provider().revert(fault)
    assert effect.sentence == "restarts: 1"
    assert await observed.bed.provider().verify(fault) == ()


async def _seen(observed: Observed, fault: FaultId) -> bool:
    return (await observed.bed.provider().effect(fault)).seen


async def test_a_stress_uses_the_cpu_of_its_target_and_ends(observed: Observed) -> None:
    """Half of a CPU is the limit of the container, so more cannot be used."""
    fault = await observed.inject(FaultType.CPU_STRESS, loadPercent=100, workers=2)
    await until(lambda: _seen(observed, fault))
    record = await asyncio.to_thread(observed.bed._guards.record, fault)
    assert record is not None
    assert record.state.effect is not None
    await observed.bed.provider().revert(fault)

    assert 0.2 < record.state.effect["cpus_under_fault"] < 0.75
    assert await observed.bed.provider().verify(fault) == ()


async def test_more_memory_than_fits_is_refused(observed: Observed) -> None:
    with pytest.raises(InjectError, match="200 MB do not fit"):
        await observed.inject(FaultType.MEMORY_STRESS, megabytes=200)


@SWEEP
async def test_a_partition_is_refused_where_it_would_cut_nothing(observed: Observed) -> None:
    """Without enforcement it is refused. A network that only claims to enforce shows no effect."""
    bed = observed.bed
    if not bed.refuses(FaultType.NETWORK_PARTITION):
        pytest.skip("this cluster enforces network policies: the contract suite tests partitions there")
    with pytest.raises(InjectError, match="needs a network that enforces"):
        await observed.inject(FaultType.NETWORK_PARTITION)
    claims = KubernetesFaults(
        guards=bed._guards, enforcement=lambda _: Found(enforcement=Enforcement.ENFORCED, words="")
    )
    wanted = await injection(bed, "claimed", fault_of(FaultType.NETWORK_PARTITION))
    await claims.inject(wanted)
    await asyncio.sleep(1.5)  # the guard tries to connect once a second, and must go on to reach its target

    assert not (await claims.effect(wanted.id)).seen
    await claims.revert(wanted.id)
    assert await claims.verify(wanted.id) == ()


async def test_the_way_back_works_when_the_api_server_was_away(observed: Observed) -> None:
    """The fault expires meanwhile. It is reverted at most 25 s after the server is back, without a worker."""
    fault = await observed.inject(FaultType.POD_KILL, seconds=EXPIRY)
    if ALL:
        for _ in range((EXPIRY - AWAY // 2) // 5):
            await observed.bed.provider().beat(fault)
            await asyncio.sleep(5)
    with stopped(observed.bed.shop.guards, "kube-apiserver"):
        await asyncio.sleep(AWAY)

    await until(lambda: _has(observed, fault, FaultStatus.REVERTED), AFTER_RETURN)

    assert await observed.bed.provider().verify(fault) == ()
    await observed.bed.until_ready()


async def _has(observed: Observed, fault: FaultId, status: FaultStatus) -> bool:
    return await observed.bed.provider().status(fault) is status


@SWEEP
async def test_a_process_that_ignores_term_needs_a_guard_on_its_node(observed: Observed) -> None:
    """Refused without the opt-in of the cluster; killed with it."""
    shop = observed.bed.shop
    stubborn = {
        "metadata": {"name": "stubborn"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "stubborn"}},
            "template": {
                "metadata": {"labels": {"app": "stubborn"}},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{"name": "c", "image": shop.guards.image, "command": ["sleep", "3600"]}],
                },
            },
        },
    }
    await asyncio.to_thread(shop.connection.create, f"/apis/apps/v1/namespaces/{shop.namespace}/deployments", stubborn)
    target = await asyncio.to_thread(shop.target, "stubborn")
    wanted = await injection(observed.bed, "stubborn", fault_of(FaultType.CONTAINER_KILL, once=True))
    wanted = replace(wanted, target=target)
    with pytest.raises(InjectError, match="does not handle TERM"):
        await observed.bed.provider().inject(wanted)
    shop.made.extend(await asyncio.to_thread(allow_host_guards, shop.connection, shop.namespace))

    again = replace(wanted, id=FaultId(f"{wanted.id}-2"))
    await observed.bed.provider().inject(again)
    await until(lambda: _seen(observed, again.id))
    await observed.bed.provider().revert(again.id)

    assert await observed.bed.provider().verify(again.id) == ()


async def test_the_workers_account_is_enough_and_touches_no_target(observed: Observed, tmp_path: Path) -> None:
    """With the two manifests and nothing else: a fault is injected and reverted, and a pod cannot be deleted."""
    shop = observed.bed.shop
    shop.made.extend(await asyncio.to_thread(apply, shop.connection, RBAC_MANIFEST))
    file = kubeconfig(shop.guards, token(shop.connection, "assay"), tmp_path / "kubeconfig")
    worker = Connection(replace(shop.guards, kubeconfig=file))
    faults = cluster_faults.of(worker)
    await observed.bed.until_ready()
    found = await KubernetesTargets(connection=worker).find(TargetSelector(namespace=shop.namespace))
    target = next(one.target for one in found.candidates if one.target.service == "payments")
    wanted = await injection(observed.bed, "least", fault_of(FaultType.CPU_STRESS))
    await faults.inject(replace(wanted, target=target))
    await faults.beat(wanted.id)
    await faults.revert(wanted.id)

    assert f"payments.{shop.namespace}.svc:{PORT}" in found.addresses
    assert await faults.status(wanted.id) is FaultStatus.REVERTED
    assert await faults.verify(wanted.id) == ()
    with pytest.raises(ApiError, match="may not delete"):
        worker.delete(f"/api/v1/namespaces/{shop.namespace}/pods/{target.name}", grace=0)
    worker.close()


def test_a_plan_shows_pods_provider_and_reasons(
    observed: Observed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the command, with the rights of who plans; latency needs an operator that this cluster does not have."""
    shop = observed.bed.shop
    checks = ("activeIncidents", "onCall", "recentDeployments", "systemHealth")
    faults = [{"type": "cpu-stress"}, {"type": "network-latency", "parameters": {"latencyMs": 100}}]
    raw = {
        "name": "planned",
        "faults": faults,
        "target": {"cluster": "any", "namespace": shop.namespace, "service": "payments"},
        "hypothesis": {"slo": {"name": "orders", "kind": "ratio", "source": "load", "objective": 95}},
        "load": {"url": "http://orders:8080/orders", "method": "POST", "body": "{}", "perSecond": 10},
        "durationSeconds": 20,
        "haltConditions": [{"slo": "orders", "above": 50, "failures": 5}],
        "safetyChecks": {check: {"none": "a test"} for check in checks},
    }
    file = tmp_path / "planned.yaml"
    file.write_text(json.dumps(raw))

    code = main.run(["chaos", "plan", str(file), "--kubeconfig", str(shop.guards.kubeconfig), "--json"])

    shown = json.loads(capsys.readouterr().out)
    assert code == 4
    assert [target["name"] for target in shown["targets"]] == [shop.target("payments").name]
    assert [fault["provider"] for fault in shown["faults"]] == ["kubernetes", "kubernetes"]
    [problem] = shown["problems"]
    assert problem.startswith("2-network-latency: kubernetes cannot inject network-latency")
    assert problem.endswith("(not in this cluster: chaos-mesh, litmus)")
