"""The shop's payments as a Deployment in the cluster that KUBECONFIG names, with the manifest of the guards applied."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from chaos.fault_types import FaultType, Provider
from chaos.manifests.naming import object_name
from chaos.provider import CAPABILITIES, FaultId
from chaos.targets import Target
from cluster.faults.kubernetes.guard_jobs import GuardJobs
from cluster.faults.kubernetes.provider import KubernetesFaults
from cluster.kubernetes import canary
from cluster.kubernetes.canary import Enforcement
from harness.shop_in_cluster import ShopInCluster, shop_in_cluster
from harness.sweep import part

MARKS = (pytest.mark.cluster, part(0))


class Bed:
    """Payments in a namespace that has opted in, and a pod that has not."""

    watch_seconds = 5.0
    unreal = ""

    def __init__(self, shop: ShopInCluster) -> None:
        self.shop = shop

    def provider(self, patience: float = 15.0) -> KubernetesFaults:
        return KubernetesFaults(guards=self._guards, heartbeat_seconds=patience)

    def more(self, _kind: FaultType) -> dict[str, Any]:
        return {}

    def in_short(self, kind: FaultType) -> bool:
        """Choose one kill and one stress: the others end by the same code, and each waits for its Job."""
        return os.environ.get("ASSAY_SWEEP") == "all" or kind in {FaultType.POD_KILL, FaultType.CPU_STRESS}

    def refuses(self, kind: FaultType) -> bool:
        if kind is FaultType.NETWORK_PARTITION:
            return self._ignores_policies
        return bool(CAPABILITIES[Provider.KUBERNETES, kind].refused)

    async def target(self) -> Target:
        return await asyncio.to_thread(self.shop.target, "payments")

    async def until_ready(self) -> None:
        await self.shop.until_ready("payments")

    async def asked(self) -> tuple[int | None, float]:
        return await self.shop.asked("payments")

    def forbidden(self) -> Sequence[Target]:
        """Return a pod that has not opted in, one that is gone, one that never was, and one of the control plane."""
        place, shop = self.shop.namespace, self.shop
        dns = shop.any_pod("kube-system")
        return [
            shop.target("sleeper"),
            Target(place=place, service="payments", name=shop.target("payments").name, identity="another"),
            Target(place=place, service="nobody", name="nobody", identity="nobody"),
            *([dns] if dns else []),
        ]

    async def kill_guard(self, fault: FaultId) -> None:
        """Remove the pod without a grace period: what it still wrote or did on TERM does not count."""
        for name in await self.held_by(fault):
            path = f"/api/v1/namespaces/{self.shop.guards.namespace}/pods/{name}"
            await asyncio.to_thread(self.shop.connection.delete, path, grace=0)

    async def held_by(self, fault: FaultId) -> Sequence[str]:
        pods = await asyncio.to_thread(self.shop.pods, self.shop.guards.namespace)
        return sorted(
            pod.metadata.name
            for pod in pods
            if pod.metadata.name.startswith(object_name(fault)) and pod.status.phase in {"Pending", "Running"}
        )

    async def reason(self, fault: FaultId) -> str:
        record = await asyncio.to_thread(self._guards.record, fault)
        assert record is not None
        return record.state.reason

    @cached_property
    def _guards(self) -> GuardJobs:
        return GuardJobs(connection=self.shop.connection)

    @cached_property
    def _ignores_policies(self) -> bool:
        return canary.look(self.shop.connection).enforcement is not Enforcement.ENFORCED


@asynccontextmanager
async def fault_bed(_folder: Path) -> AsyncIterator[Bed]:
    async with shop_in_cluster(("payments",)) as shop:
        yield Bed(shop)
