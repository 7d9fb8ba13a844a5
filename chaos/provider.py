"""The pure half of the fault provider port: what a provider can do, and what it is asked to do, as values.

`render_local` here, and `chaos.manifests` for clusters, turn a fault into actions; `cluster` carries them out. What is
not real somewhere is refused with its reason, and never replaced by something similar.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType, TypeAlias

from chaos.fault_types import (
    ContainerKill,
    CpuStress,
    Direction,
    DiskIoStress,
    ExceptionInjection,
    Fault,
    FaultType,
    MemoryStress,
    NetworkLatency,
    NetworkPacketLoss,
    NetworkPartition,
    PodDelete,
    PodKill,
    Provider,
)
from chaos.operator_limits import chaos_mesh_limit, litmus_limit

FaultId = NewType("FaultId", str)
"""One injected fault on one target: it names the guard, the records and everything that could be left over."""

LARGEST_LOCAL_MEGABYTES = 256
SHARE_OF_FREE_MEMORY = 0.1


class FaultStatus(StrEnum):
    """Where a fault stands. `residual`: it was reverted, and something of it is left; a person must look."""

    PENDING = "pending"
    INJECTED = "injected"
    REVERTING = "reverting"
    REVERTED = "reverted"
    RESIDUAL = "residual"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """What a provider makes of a fault type. `refused` is a sentence if it cannot do it at all."""

    how: str
    needs: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepDown:
    """End the processes of the target, and again whenever it comes back; once if `once`.

    `grace_seconds` is the time between TERM and KILL; 0 is KILL at once. `whole_tree`: its children too.
    """

    grace_seconds: float
    once: bool
    whole_tree: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyRule:
    """What the proxy before the target's port does to connections and requests."""

    latency_ms: float = 0.0
    jitter_ms: float = 0.0
    stall_percent: float = 0.0
    partition: bool = False
    error_percent: float = 0.0
    error_status: int = 503
    path_prefix: str = "/"

    @property
    def quiet(self) -> bool:
        """Say whether the rule changes nothing."""
        return not (self.latency_ms or self.stall_percent or self.partition or self.error_percent)


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyCycle:
    """Stop and continue the target so that it is stopped for `stop_percent` of the time, and burn CPU beside it."""

    stop_percent: float
    burners: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldMemory:
    """Hold memory beside the target."""

    megabytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteDisk:
    """Write and sync files without a pause, beside the target."""

    megabytes: int
    workers: int
    path: str | None


LocalAction: TypeAlias = KeepDown | ProxyRule | DutyCycle | HoldMemory | WriteDisk


_LITMUS = "Litmus, its ChaosExperiment and a service account in the namespace"
_MESH = "Chaos Mesh"
_NO_PROXY = "there is no proxy of ours before a pod; Litmus and Chaos Mesh can do it"
CAPABILITIES: Mapping[tuple[Provider, FaultType], Capability] = {
    (Provider.LOCAL, FaultType.POD_DELETE): Capability(how="TERM, then KILL; held down"),
    (Provider.LOCAL, FaultType.POD_KILL): Capability(how="KILL of the whole process tree; held down"),
    (Provider.LOCAL, FaultType.CONTAINER_KILL): Capability(how="KILL of the main process alone; held down"),
    (Provider.LOCAL, FaultType.NETWORK_LATENCY): Capability(how="the proxy delays each piece", needs="a port"),
    (Provider.LOCAL, FaultType.NETWORK_PARTITION): Capability(how="the proxy carries nothing", needs="a port"),
    (Provider.LOCAL, FaultType.NETWORK_PACKET_LOSS): Capability(
        how="the proxy stalls that share of the connections; no packet is lost", needs="a port"
    ),
    (Provider.LOCAL, FaultType.CPU_STRESS): Capability(how="STOP and CONT of the target in turn, and burners"),
    (Provider.LOCAL, FaultType.MEMORY_STRESS): Capability(
        how="a process beside the target holds memory", needs="at most 256 MB and 10% of what is free"
    ),
    (Provider.LOCAL, FaultType.DISK_IO_STRESS): Capability(how="processes beside the target write and sync"),
    (Provider.LOCAL, FaultType.EXCEPTION_INJECTION): Capability(
        how="the proxy answers requests with an error", needs="a port that speaks HTTP/1"
    ),
    (Provider.KUBERNETES, FaultType.POD_DELETE): Capability(
        how="the pod is deleted, and each successor; its controller must bring it back"
    ),
    (Provider.KUBERNETES, FaultType.POD_KILL): Capability(how="the same without a grace period"),
    (Provider.KUBERNETES, FaultType.CONTAINER_KILL): Capability(
        how="TERM of PID 1 inside the container, again when it runs",
        needs="a PID 1 that handles TERM; else KILL by a guard with the node's PIDs, which the cluster must allow",
    ),
    (Provider.KUBERNETES, FaultType.NETWORK_LATENCY): Capability(how="", refused=_NO_PROXY),
    (Provider.KUBERNETES, FaultType.NETWORK_PARTITION): Capability(
        how="a NetworkPolicy that allows nothing", needs="a network that enforces policies, and no other that allows"
    ),
    (Provider.KUBERNETES, FaultType.NETWORK_PACKET_LOSS): Capability(how="", refused=_NO_PROXY),
    (Provider.KUBERNETES, FaultType.CPU_STRESS): Capability(
        how="loops inside the target container", needs="sh, timeout, grep and sleep in the image"
    ),
    (Provider.KUBERNETES, FaultType.MEMORY_STRESS): Capability(
        how="memory is held inside the target container", needs="a memory limit; sh, timeout, grep and dd in the image"
    ),
    (Provider.KUBERNETES, FaultType.DISK_IO_STRESS): Capability(
        how="files are written inside the target container", needs="sh, timeout, grep and dd in the image"
    ),
    (Provider.KUBERNETES, FaultType.EXCEPTION_INJECTION): Capability(how="", refused=_NO_PROXY),
    (Provider.LITMUS, FaultType.POD_DELETE): Capability(how="pod-delete", needs=_LITMUS),
    (Provider.LITMUS, FaultType.POD_KILL): Capability(how="pod-delete with FORCE", needs=_LITMUS),
    (Provider.LITMUS, FaultType.CONTAINER_KILL): Capability(how="container-kill with SIGKILL", needs=_LITMUS),
    (Provider.LITMUS, FaultType.NETWORK_LATENCY): Capability(how="pod-network-latency", needs=_LITMUS),
    (Provider.LITMUS, FaultType.NETWORK_PARTITION): Capability(
        how="",
        refused="pod-network-partition ignores the names of pods and cuts off every pod with the first label; "
        "use the provider kubernetes or chaos-mesh",
    ),
    (Provider.LITMUS, FaultType.NETWORK_PACKET_LOSS): Capability(how="pod-network-loss", needs=_LITMUS),
    (Provider.LITMUS, FaultType.CPU_STRESS): Capability(how="pod-cpu-hog", needs=_LITMUS),
    (Provider.LITMUS, FaultType.MEMORY_STRESS): Capability(how="pod-memory-hog", needs=_LITMUS),
    (Provider.LITMUS, FaultType.DISK_IO_STRESS): Capability(how="pod-io-stress", needs=_LITMUS),
    (Provider.LITMUS, FaultType.EXCEPTION_INJECTION): Capability(how="pod-http-status-code", needs=_LITMUS),
    (Provider.CHAOS_MESH, FaultType.POD_DELETE): Capability(how="PodChaos pod-kill with gracePeriod", needs=_MESH),
    (Provider.CHAOS_MESH, FaultType.POD_KILL): Capability(how="PodChaos pod-kill", needs=_MESH),
    (Provider.CHAOS_MESH, FaultType.CONTAINER_KILL): Capability(how="PodChaos container-kill", needs=_MESH),
    (Provider.CHAOS_MESH, FaultType.NETWORK_LATENCY): Capability(how="NetworkChaos delay", needs=_MESH),
    (Provider.CHAOS_MESH, FaultType.NETWORK_PARTITION): Capability(how="NetworkChaos partition", needs=_MESH),
    (Provider.CHAOS_MESH, FaultType.NETWORK_PACKET_LOSS): Capability(how="NetworkChaos loss", needs=_MESH),
    (Provider.CHAOS_MESH, FaultType.CPU_STRESS): Capability(how="StressChaos cpu", needs=_MESH),
    (Provider.CHAOS_MESH, FaultType.MEMORY_STRESS): Capability(how="StressChaos memory", needs=_MESH),
    (Provider.CHAOS_MESH, FaultType.DISK_IO_STRESS): Capability(
        how="", refused="IOChaos delays what the target reads and writes, and puts no load on the disk"
    ),
    (Provider.CHAOS_MESH, FaultType.EXCEPTION_INJECTION): Capability(
        how="HTTPChaos that replaces the status of responses", needs=_MESH
    ),
}


def refusal(provider: Provider, fault: Fault) -> str | None:
    """Return why the provider cannot inject the fault, None if it can."""
    refused = CAPABILITIES[provider, fault.type].refused
    if refused:
        return f"{fault.name}: {provider} cannot inject {fault.type}: {refused}"
    limit = _LIMITS.get(provider, _no_limit)(fault)
    if limit:
        return f"{fault.name}: {provider} {limit}"
    cut = fault.parameters
    if provider is Provider.LOCAL and isinstance(cut, NetworkPartition) and cut.direction is not Direction.INGRESS:
        return f"{fault.name}: the proxy stands before the target's port, so only ingress can be cut"
    return None


def _no_limit(_: Fault) -> None:
    return None


_LIMITS: Mapping[Provider, Callable[[Fault], str | None]] = {
    Provider.LITMUS: litmus_limit,
    Provider.CHAOS_MESH: chaos_mesh_limit,
}
"""What a provider cannot do for all parameters, beside what it cannot do at all."""


def render_local(fault: Fault) -> LocalAction:
    """Return what is done to a local service. Raises: ValueError if it is refused."""
    if problem := refusal(Provider.LOCAL, fault):
        raise ValueError(problem)
    match fault.parameters:
        case PodDelete() as delete:
            return KeepDown(grace_seconds=delete.grace_period_seconds, once=delete.once)
        case PodKill() | ContainerKill() as kill:
            return KeepDown(grace_seconds=0, once=kill.once, whole_tree=isinstance(kill, PodKill))
        case CpuStress() as cpu:
            return DutyCycle(stop_percent=min(cpu.load_percent, 95.0), burners=cpu.workers)
        case MemoryStress() as memory:
            return HoldMemory(megabytes=min(memory.megabytes, LARGEST_LOCAL_MEGABYTES))
        case DiskIoStress() as disk:
            size = min(disk.megabytes, LARGEST_LOCAL_MEGABYTES)
            return WriteDisk(megabytes=size, workers=disk.workers, path=disk.path)
        case network:
            return _proxy_rule(network)


def _proxy_rule(fault: NetworkLatency | NetworkPartition | NetworkPacketLoss | ExceptionInjection) -> ProxyRule:
    match fault:
        case NetworkLatency():
            return ProxyRule(latency_ms=fault.latency_ms, jitter_ms=fault.jitter_ms)
        case NetworkPartition():
            return ProxyRule(partition=True)
        case NetworkPacketLoss():
            return ProxyRule(stall_percent=fault.percent)
        case ExceptionInjection():
            return ProxyRule(error_percent=fault.percent, error_status=fault.status, path_prefix=fault.path_prefix)
