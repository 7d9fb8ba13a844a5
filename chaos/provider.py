"""The pure half of the fault provider port: what a provider can do, and what it is asked to do, as values.

`render_local` and `render_kubernetes` turn a fault into actions; `cluster` carries them out. What is not real somewhere
is refused with its reason, and never replaced by something similar.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType, TypeAlias

from chaos.experiment import Provider
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
    Parameters,
    PodDelete,
    PodKill,
)
from chaos.targets import Target
from model.json_values import JsonObject

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


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletePod:
    """Delete a pod by name and UID, again whenever its successor is ready unless `once`."""

    grace_seconds: int
    once: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecInContainer:
    """Run a program inside the target container, under `timeout`, so that it ends by itself."""

    argv: tuple[str, ...]
    container: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyPolicy:
    """Create a NetworkPolicy. The revert deletes it."""

    manifest: JsonObject = field(default_factory=dict)


KubernetesAction: TypeAlias = DeletePod | ExecInContainer | ApplyPolicy

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
    (Provider.KUBERNETES, FaultType.POD_DELETE): Capability(how="the pod is deleted; again when it is back"),
    (Provider.KUBERNETES, FaultType.POD_KILL): Capability(how="the pod is deleted without a grace period"),
    (Provider.KUBERNETES, FaultType.CONTAINER_KILL): Capability(
        how="TERM of PID 1 inside the container", needs="a PID 1 that handles TERM; KILL has no effect there"
    ),
    (Provider.KUBERNETES, FaultType.NETWORK_LATENCY): Capability(how="", refused=_NO_PROXY),
    (Provider.KUBERNETES, FaultType.NETWORK_PARTITION): Capability(
        how="a NetworkPolicy that allows nothing", needs="a network that enforces policies"
    ),
    (Provider.KUBERNETES, FaultType.NETWORK_PACKET_LOSS): Capability(how="", refused=_NO_PROXY),
    (Provider.KUBERNETES, FaultType.CPU_STRESS): Capability(
        how="a loop inside the target container", needs="a shell and `timeout` in the image"
    ),
    (Provider.KUBERNETES, FaultType.MEMORY_STRESS): Capability(
        how="memory is held inside the target container", needs="a shell, `timeout` and `head` in the image"
    ),
    (Provider.KUBERNETES, FaultType.DISK_IO_STRESS): Capability(
        how="files are written inside the target container", needs="a shell, `timeout` and `dd` in the image"
    ),
    (Provider.KUBERNETES, FaultType.EXCEPTION_INJECTION): Capability(how="", refused=_NO_PROXY),
}


def refusal(provider: Provider, fault: Fault) -> str | None:
    """Return why the provider cannot inject the fault, None if it can."""
    refused = CAPABILITIES[provider, fault.type].refused
    if refused:
        return f"{fault.name}: {provider} cannot inject {fault.type}: {refused}"
    cut = fault.parameters
    if provider is Provider.LOCAL and isinstance(cut, NetworkPartition) and cut.direction is not Direction.INGRESS:
        return f"{fault.name}: the proxy stands before the target's port, so only ingress can be cut"
    return None


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


def render_kubernetes(fault: Fault, target: Target, fault_id: FaultId) -> KubernetesAction:
    """Return what is done to a pod. Raises: ValueError if it is refused."""
    if problem := refusal(Provider.KUBERNETES, fault):
        raise ValueError(problem)
    match fault.parameters:
        case PodDelete() as delete:
            return DeletePod(grace_seconds=delete.grace_period_seconds, once=delete.once)
        case PodKill() as kill:
            return DeletePod(grace_seconds=0, once=kill.once)
        case ContainerKill() as kill:
            return ExecInContainer(argv=("kill", "-TERM", "1"), container=kill.container)
        case NetworkPartition() as partition:
            return ApplyPolicy(manifest=_policy(partition, target, fault_id))
        case stress:
            script = _stress_script(stress, fault.duration_seconds, fault_id)
            return ExecInContainer(argv=("sh", "-c", script))


def _stress_script(stress: Parameters, seconds: int, fault_id: FaultId) -> str:
    """Return a script that ends by itself. Raises: ValueError if the parameters are not those of a stress."""
    match stress:
        case CpuStress():
            one = f"timeout {seconds} sh -c 'while :; do :; done'"
            return " & ".join([one] * stress.workers) + " & wait"
        case MemoryStress():
            return f"timeout {seconds} sh -c 'head -c {stress.megabytes}m /dev/zero | tail | sleep {seconds}'"
        case DiskIoStress():
            file = f"{stress.path or '/tmp'}/assay-{fault_id}"  # noqa: S108  inside the container of the target
            write = f"while :; do dd if=/dev/zero of={file} bs=1M count={stress.megabytes} conv=fsync; done"
            return f"timeout {seconds} sh -c '{write}'; rm -f {file}"
        case _:
            raise ValueError(f"{type(stress).__name__} is no stress")


def _policy(partition: NetworkPartition, target: Target, fault_id: FaultId) -> JsonObject:
    """Return a policy that allows the pod nothing in the given directions."""
    kinds = {Direction.INGRESS: ["Ingress"], Direction.EGRESS: ["Egress"], Direction.BOTH: ["Ingress", "Egress"]}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"assay-{fault_id}", "namespace": target.place, "labels": {"assay.dev/fault": fault_id}},
        "spec": {
            "podSelector": {"matchLabels": {"assay.dev/fault-target": target.name}},
            "policyTypes": list(kinds[partition.direction]),
        },
    }
