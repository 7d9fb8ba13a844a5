"""The providers of operators under test, on a real API server, with stand-ins for the operators (`harness.operators`).

A stand-in writes what the operator would write, and does nothing to the target. So it proves what the provider does
with the objects of the operator, and no effect. Guards are threads of the test, with the rights of a guard.
`make sweep` runs them as the Jobs that they are, and kills those.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.fault_types import FaultType, Provider
from chaos.manifests.litmus import ACCOUNT, experiment_of
from chaos.provider import CAPABILITIES, FaultId
from cluster.faults.kubernetes.guard_jobs import GuardJobs
from cluster.faults.operator_faults import OperatorFaults
from cluster.kubernetes.connection import Connection
from harness.fault_beds import fault_of
from harness.fault_beds.kubernetes import Bed
from harness.guards_in_process import GuardThreads, guard_api
from harness.operator_crds import installed
from harness.operators import Script, StandIn
from harness.operators.litmus import GROUP
from harness.shop_in_cluster import PORT, ShopInCluster, apply, bind, shop_in_cluster

MORE: dict[FaultType, dict[str, Any]] = {
    FaultType.POD_DELETE: {"once": True, "gracePeriodSeconds": None},
    FaultType.POD_KILL: {"once": True},
    FaultType.CONTAINER_KILL: {"once": True, "container": "payments"},
    FaultType.DISK_IO_STRESS: {"megabytes": 1024},
    FaultType.EXCEPTION_INJECTION: {"port": PORT},
}
SWEEP = os.environ.get("ASSAY_SWEEP") == "all"
NAMES = ("effect", "expires", "killed", "silent", "beating", "twice")
"""What the tests call the faults that begin, and end by a revert. The name of an object chooses the script."""
UNREAL = "a stand-in of the operator writes what the operator writes, and does nothing to the target"
"""Why an effect is not asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An operator: its CRDs, the manifest of the rights, and what stands in for it."""

    name: str
    provider: Provider
    manifest: Path
    paths: Callable[[str], tuple[str, ...]]
    """Returns where its objects are in a namespace."""
    script: Script
    actor: Callable[[StandIn, str, dict[str, Any]], Any]
    make: Callable[[GuardJobs, float], OperatorFaults]
    """Opens the provider, of guards and of the longest gap between two heartbeats."""


class OperatorBed(Bed):
    """Payments in a namespace that has opted in, and an operator that only writes."""

    unreal = UNREAL

    def __init__(self, shop: ShopInCluster, operator: Operator, guards: GuardJobs) -> None:
        super().__init__(shop)
        self.operator = operator
        self.guards = guards

    def provider(self, patience: float = 15.0) -> OperatorFaults:  # type: ignore[override]
        return self.operator.make(self.guards, patience)

    def more(self, kind: FaultType) -> dict[str, Any]:
        """Return what operators need to be told, and leave out what they cannot be told."""
        return MORE.get(kind, {})

    def in_short(self, _kind: FaultType) -> bool:
        return SWEEP

    def refuses(self, kind: FaultType) -> bool:
        return bool(CAPABILITIES[self.operator.provider, kind].refused)

    async def held_by(self, fault: FaultId) -> list[str]:  # type: ignore[override]
        if not isinstance(self.guards, GuardThreads):
            return list(await super().held_by(fault))
        running = self.guards.threads.get(fault)
        return [running.name] if running is not None and running.is_alive() else []

    async def reason(self, fault: FaultId) -> str:
        record = await asyncio.to_thread(self.guards.record, fault)
        assert record is not None
        return record.state.reason


@asynccontextmanager
async def operator_bed(operator: Operator) -> AsyncIterator[OperatorBed]:
    """Have a shop with an operator beside it, and guards."""
    async with shop_in_cluster(("payments",)) as shop, operator_at_work(shop, operator, NAMES):
        with tempfile.TemporaryDirectory() as folder:
            guards = await asyncio.to_thread(_guards, shop.connection, Path(folder))
            yield OperatorBed(shop, operator, guards)


@asynccontextmanager
async def operator_at_work(shop: ShopInCluster, operator: Operator, names: Sequence[str]) -> AsyncIterator[StandIn]:
    """Have the CRDs and rights of an operator, and its stand-in serve all objects that have one of these names."""
    with _crds(shop.connection, operator):
        shop.made.extend(await asyncio.to_thread(_prepare, shop, operator))
        scripts = dict.fromkeys(names, operator.script)
        stand_in = StandIn(shop.connection, operator.paths(shop.namespace), scripts, operator.actor)
        serving = asyncio.create_task(stand_in.run())
        try:
            yield stand_in
        finally:
            await _end([serving, *stand_in.seen.values()])
            await stand_in.release()


def _crds(connection: Connection, operator: Operator) -> AbstractContextManager[None]:
    return installed(connection, operator.name)


def _guards(connection: Connection, folder: Path) -> GuardJobs:
    return (
        GuardJobs(connection=connection)
        if SWEEP
        else GuardThreads(connection=connection, api=guard_api(connection, folder))
    )


def _prepare(shop: ShopInCluster, operator: Operator) -> list[str]:
    """Open the namespace as the manifest of the operator says. Return what is in no namespace."""
    made = apply(shop.connection, operator.manifest)
    bind(shop.connection, shop.namespace, f"assay-{operator.name}-guard", shop.guards.namespace)
    if operator.provider is Provider.LITMUS:
        place = f"/api/v1/namespaces/{shop.namespace}/serviceaccounts"
        shop.connection.create(place, {"metadata": {"name": ACCOUNT}})
        for body in _experiments():
            shop.connection.create(f"{GROUP}/namespaces/{shop.namespace}/chaosexperiments", dict(body))
    return made


def _experiments() -> Iterator[Mapping[str, object]]:
    """Yield a ChaosExperiment for each fault that Litmus can inject."""
    kinds = [kind for kind in FaultType if not CAPABILITIES[Provider.LITMUS, kind].refused]
    for name in sorted({experiment_of(fault_of(kind)).name for kind in kinds}):
        yield {
            "apiVersion": "litmuschaos.io/v1alpha1",
            "kind": "ChaosExperiment",
            "metadata": {"name": name},
            "spec": {"definition": {"image": "none.invalid/none"}},
        }


async def _end(tasks: list["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
