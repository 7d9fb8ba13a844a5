"""The fault provider of a cluster: gives each fault to the provider that it names, or to the best one that is there.

Who has injected a fault stands in its record, so any worker reverts it by the same one.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from chaos.choice import choose_in_cluster
from chaos.fault_types import Provider
from chaos.provider import FaultId, FaultStatus
from cluster.backend import UnavailableError
from cluster.faults import chaos_mesh, litmus
from cluster.faults.chaos_mesh import ChaosMeshFaults
from cluster.faults.kubernetes.guard_jobs import GuardJobs
from cluster.faults.kubernetes.provider import KubernetesFaults
from cluster.faults.litmus import LitmusFaults
from cluster.faults.provider import Effect, FaultProvider, InjectError, Injection
from cluster.kubernetes.connection import ApiError, Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFaults:
    """Faults in one cluster."""

    guards: GuardJobs
    providers: Mapping[Provider, FaultProvider]

    async def inject(self, injection: Injection) -> None:
        """Give the fault to its provider. Raises: InjectError."""
        try:
            provider = await asyncio.to_thread(self._provider_for, injection)
        except (ApiError, UnavailableError) as failed:
            raise InjectError(str(failed)) from failed
        await self._faults(provider).inject(injection)

    def _provider_for(self, injection: Injection) -> Provider:
        if self.guards.record(injection.id) is not None:
            return self._recorded(injection.id)
        choice = choose_in_cluster(injection.fault, there(self.guards.connection))
        if choice.refused:
            raise InjectError(choice.refused)
        return choice.provider

    async def beat(self, fault: FaultId) -> None:
        """Say that the worker is alive."""
        await self._faults(Provider.KUBERNETES).beat(fault)  # the record is the same for all

    async def status(self, fault: FaultId) -> FaultStatus:
        """Return where the fault stands."""
        return await (await self._of(fault)).status(fault)

    async def effect(self, fault: FaultId) -> Effect:
        """Return what the fault was seen to do."""
        return await (await self._of(fault)).effect(fault)

    async def revert(self, fault: FaultId) -> None:
        """End the fault and wait until it is over."""
        try:
            provider = await self._of(fault)
        except (ApiError, UnavailableError):
            provider = self._faults(Provider.KUBERNETES)  # the cluster is away: its guard reverts
        await provider.revert(fault)

    async def verify(self, fault: FaultId) -> tuple[str, ...]:
        """Return everything of the fault that is left."""
        try:
            provider = await self._of(fault)
        except (ApiError, UnavailableError) as failed:
            return (f"it cannot be looked: {failed}",)
        return await provider.verify(fault)

    async def _of(self, fault: FaultId) -> FaultProvider:
        return self._faults(await asyncio.to_thread(self._recorded, fault))

    def _recorded(self, fault: FaultId) -> Provider:
        record = self.guards.record(fault)
        return Provider(str(record.spec.get("provider", Provider.KUBERNETES))) if record else Provider.KUBERNETES

    def _faults(self, provider: Provider) -> FaultProvider:
        return self.providers[provider]


def there(connection: Connection) -> frozenset[Provider]:
    """Return the providers whose CRDs a cluster has. Raises: ApiError, UnavailableError."""
    operators = {Provider.LITMUS: litmus.is_there, Provider.CHAOS_MESH: chaos_mesh.is_there}
    found = {provider for provider, is_there in operators.items() if is_there(connection)}
    return frozenset({Provider.KUBERNETES, *found})


def of(connection: Connection) -> ClusterFaults:
    """Return the providers of a cluster, as one."""
    guards = GuardJobs(connection=connection)
    providers: dict[Provider, FaultProvider] = {
        Provider.KUBERNETES: KubernetesFaults(guards=guards),
        Provider.LITMUS: LitmusFaults(guards=guards),
        Provider.CHAOS_MESH: ChaosMeshFaults(guards=guards),
    }
    return ClusterFaults(guards=guards, providers=providers)
