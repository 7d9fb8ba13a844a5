"""Opens what an experiment needs of the place that it aims at: its fault provider, and what can be a target there.

Nothing above `cluster` names a provider. A new one is a line in `open_place`.
"""

import asyncio
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Protocol

from chaos.choice import ALWAYS_THERE
from chaos.fault_types import Provider
from chaos.graph import ServiceGraph, graph_of
from chaos.hypothesis import HealthCheck
from chaos.provider import FaultId, FaultStatus
from chaos.target import TargetSelector
from chaos.targets import Candidate
from cluster.backend import UnavailableError
from cluster.backend_factory import ClusterSettings
from cluster.faults import cluster_faults
from cluster.faults.kubernetes.candidates import addresses, candidates
from cluster.faults.local import LocalFaults
from cluster.faults.provider import Effect, FaultProvider, InjectError, Injection
from cluster.kubernetes.access import access_of
from cluster.kubernetes.connection import ApiError, ClusterAccess, Connection
from cluster.kubernetes.names import CLUSTER
from cluster.observation.deployments import deployed_since
from cluster.observation.probes import CONDITION_KINDS, ConditionProbe, Prober, ProbeResult
from cluster.services.client import NoEnvironmentError, look
from model.config import HOST_LABEL

ENVIRONMENTS = "environments"
"""The folder in the state folder that has one folder for each local environment."""
FAULTS = "faults"
LOOPBACK = ("127.0.0.1", "localhost")


class PlaceError(Exception):
    """What an experiment aims at cannot be looked at. The message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceSettings:
    """What the places are opened with: the state folder of this machine, and the clusters that this process serves."""

    state: Path
    clusters: Mapping[str, ClusterSettings] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was seen in a place, and who calls whom there.

    `addresses` are private ones that belong to the place, as `host:port`. An experiment may send requests to them.
    """

    candidates: tuple[Candidate, ...]
    graph: ServiceGraph
    addresses: frozenset[str] = frozenset()
    providers: frozenset[Provider] = ALWAYS_THERE
    """What can inject faults there."""


class Targets(Protocol):
    """Looks for possible targets."""

    async def find(self, selector: TargetSelector) -> Found:
        """Return all that could be a target of `selector`, and its neighbours. Raises: PlaceError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What an experiment needs of the place that it aims at."""

    faults: FaultProvider
    targets: Targets
    cluster: Connection | None = None

    async def condition(self, namespace: str, check: HealthCheck) -> ProbeResult:
        """Look at a condition of an object in the cluster. Without a cluster it is a miss."""
        api, resource = CONDITION_KINDS.get(str(check.kind), ("", ""))
        if self.cluster is None or not resource:
            known = ", ".join(CONDITION_KINDS)
            return ProbeResult(healthy=False, detail=f"kind must be one of {known}, in a cluster", seconds=0.0)
        probe = ConditionProbe(
            api=api,
            resource=resource,
            namespace=namespace,
            name=str(check.object),
            condition=str(check.condition),
            seconds=check.timeout_seconds,
        )
        return await Prober().condition(probe, self.cluster)

    async def deployed_since(self, namespace: str, since: datetime) -> tuple[str, ...]:
        """Return what was deployed in a namespace after a moment. Raises: PlaceError if that cannot be known."""
        if self.cluster is None:
            raise PlaceError("there is no cluster that could tell")
        try:
            return await asyncio.to_thread(deployed_since, self.cluster, namespace, since)
        except (ApiError, UnavailableError, ValueError) as failed:
            raise PlaceError(str(failed)) from failed


def open_place(selector: TargetSelector, settings: PlaceSettings) -> Place:
    """Open the place of a target. Raises: PlaceError."""
    provider = Provider.LOCAL if selector.environment else Provider.KUBERNETES
    if provider is Provider.LOCAL:
        environments = settings.state / ENVIRONMENTS
        faults = LocalFaults(folder=settings.state / FAULTS, environments=environments)
        return Place(faults=faults, targets=LocalTargets(environments=environments))
    cluster = settings.clusters.get(str(selector.cluster))
    if cluster is None:
        served = ", ".join(sorted(settings.clusters)) or "none"
        raise PlaceError(f"this process does not serve the cluster {selector.cluster}; it serves {served}")
    connection = _connection(access_of(cluster))
    return Place(
        faults=cluster_faults.of(connection), targets=KubernetesTargets(connection=connection), cluster=connection
    )


def is_here(selector: TargetSelector, settings: PlaceSettings) -> bool:
    """Say whether this process can reach a place: a cluster that it serves, or an environment of its state folder."""
    if selector.environment:
        return (settings.state / ENVIRONMENTS / selector.environment).is_dir()
    return str(selector.cluster) in settings.clusters


def near(selector: TargetSelector) -> Mapping[str, str]:
    """Return the labels of the nodes from which a place is reached: those of its cluster, or this machine."""
    return {CLUSTER: selector.cluster} if selector.cluster else {HOST_LABEL: platform.node()}


@dataclass(frozen=True, slots=True, kw_only=True)
class NoPlace:
    """Stands for a place that cannot be opened here. Nothing is found or injected; a revert is not known to be done."""

    reason: str

    async def find(self, selector: TargetSelector) -> Found:  # noqa: ARG002  as the port has it
        """Find nothing. Raises: PlaceError."""
        raise PlaceError(self.reason)

    async def inject(self, injection: Injection) -> None:  # noqa: ARG002
        """Inject nothing. Raises: InjectError."""
        raise InjectError(self.reason)

    async def beat(self, fault: FaultId) -> None:
        """Do nothing: no guard can hear it."""

    async def status(self, fault: FaultId) -> FaultStatus:  # noqa: ARG002
        """Return that nothing is known."""
        return FaultStatus.UNKNOWN

    async def effect(self, fault: FaultId) -> Effect:  # noqa: ARG002
        """Return that nothing was seen."""
        return Effect(seen=False, sentence=self.reason)

    async def revert(self, fault: FaultId) -> None:  # noqa: ARG002
        """Revert nothing. Raises: PlaceError."""
        raise PlaceError(self.reason)

    async def verify(self, fault: FaultId) -> tuple[str, ...]:
        """Return that it is not known what is left."""
        return (f"it is not known what is left of {fault}: {self.reason}",)


def open_or_stand_in(selector: TargetSelector, settings: PlaceSettings) -> Place:
    """Open the place of a target; if that cannot be done here, return what says so at each call."""
    try:
        return open_place(selector, settings)
    except PlaceError as error:
        away = NoPlace(reason=str(error))
        return Place(faults=away, targets=away)


@cache
def _connection(access: ClusterAccess) -> Connection:
    """Return the connection to a cluster: all experiments of this process share it."""
    return Connection(access)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTargets:
    """The services of the local environments of this machine, one folder each in `environments`."""

    environments: Path

    async def find(self, selector: TargetSelector) -> Found:
        """Return the services of the environment. Raises: PlaceError if no supervisor runs it."""
        try:
            facts = await look(self.environments / str(selector.environment))
        except (NoEnvironmentError, ValueError) as error:
            raise PlaceError(str(error)) from error
        ports = [service.port for service in facts.services.values() if service.port]
        addresses = frozenset(f"{host}:{port}" for host in LOOPBACK for port in ports)
        return Found(candidates=tuple(facts.candidates()), graph=facts.graph(), addresses=addresses)


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesTargets:
    """The pods of a cluster."""

    connection: Connection

    async def find(self, selector: TargetSelector) -> Found:
        """Return the pods of the namespace. Raises: PlaceError if they cannot be looked at."""
        try:
            seen = await asyncio.to_thread(candidates, self.connection, str(selector.namespace))
            own = await asyncio.to_thread(addresses, self.connection, str(selector.namespace))
            providers = await asyncio.to_thread(cluster_faults.there, self.connection)
        except (ApiError, UnavailableError) as failed:
            raise PlaceError(str(failed)) from failed
        graph = graph_of((), {one.target.service for one in seen})
        return Found(candidates=tuple(seen), graph=graph, addresses=own, providers=providers)
