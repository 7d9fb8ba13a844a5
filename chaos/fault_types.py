"""The ten fault types with their parameters, each bounded, and the form of a fault in a file.

The names and types are those of the original design. A fault that kills keeps its target down for its whole duration:
it is killed again when it is ready. `once: true` kills it one time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field

from model.fields import FORBID, Name, ObjectName

LONGEST_FAULT_SECONDS = 3600
SHORTEST_FAULT_SECONDS = 1
MOST_FAULTS = 10
FIRST_PRINTABLE = ord(" ")

Port = Annotated[int, Field(ge=1, le=65535)]
Percent = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
OF_THE_KERNEL = ("/proc", "/sys", "/dev")


def _folder(text: str) -> str:
    """Accept the path of a folder that files can be written into."""
    parts = text.split("/")
    if not text.startswith("/") or ".." in parts or any(ord(one) < FIRST_PRINTABLE for one in text):
        raise ValueError("must be an absolute path without '..', such as /tmp")
    if f"/{parts[1]}" in OF_THE_KERNEL:
        raise ValueError("must be a folder of files: /proc, /sys and /dev belong to the kernel")
    return text


Folder = Annotated[str, Field(max_length=1024), AfterValidator(_folder)]


class FaultType(StrEnum):
    """What is done to a target."""

    POD_DELETE = "pod-delete"
    POD_KILL = "pod-kill"
    CONTAINER_KILL = "container-kill"
    NETWORK_LATENCY = "network-latency"
    NETWORK_PARTITION = "network-partition"
    NETWORK_PACKET_LOSS = "network-packet-loss"
    CPU_STRESS = "cpu-stress"
    MEMORY_STRESS = "memory-stress"
    DISK_IO_STRESS = "disk-io-stress"
    EXCEPTION_INJECTION = "exception-injection"


class Provider(StrEnum):
    """What injects a fault."""

    LOCAL = "local"
    KUBERNETES = "kubernetes"
    LITMUS = "litmus"
    CHAOS_MESH = "chaos-mesh"


class Direction(StrEnum):
    """Which connections a network fault affects, as seen from the target."""

    INGRESS = "ingress"
    EGRESS = "egress"
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodDelete:
    """Delete the pod; it gets its grace period. Locally: TERM, then KILL after the grace period."""

    __pydantic_config__ = FORBID

    once: Annotated[bool, Field(description="One time only; the target may come back at once")] = False
    grace_period_seconds: Annotated[int, Field(ge=1, le=300, description="Between TERM and KILL")] = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class PodKill:
    """Delete the pod without a grace period. Locally: KILL."""

    __pydantic_config__ = FORBID

    once: Annotated[bool, Field(description="One time only; the target may come back at once")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerKill:
    """Kill the main process of one container. Locally: the process of the service itself, not its children."""

    __pydantic_config__ = FORBID

    once: Annotated[bool, Field(description="One time only; the target may come back at once")] = False
    container: Annotated[ObjectName | None, Field(description="Which container of the pod")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkLatency:
    """Delay what is sent to the target."""

    __pydantic_config__ = FORBID

    latency_ms: Annotated[int, Field(ge=1, le=60_000, description="Added delay")]
    jitter_ms: Annotated[int, Field(ge=0, le=30_000, description="At most so much more or less")] = 0
    port: Annotated[Port | None, Field(description="Only this port of the target")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPartition:
    """Cut the target off: no connection is made, and those that exist carry nothing."""

    __pydantic_config__ = FORBID

    direction: Annotated[Direction, Field(description="Which connections, as seen from the target")] = Direction.INGRESS


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPacketLoss:
    """Lose a share of what is sent to the target. Locally a share of the connections stalls."""

    __pydantic_config__ = FORBID

    percent: Annotated[Percent, Field(description="The share that is lost")]
    port: Annotated[Port | None, Field(description="Only this port of the target")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuStress:
    """Take CPU time away from the target."""

    __pydantic_config__ = FORBID

    load_percent: Annotated[Percent, Field(description="The share of the time that is taken away")] = 80
    workers: Annotated[int, Field(ge=1, le=16, description="Processes that burn CPU")] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryStress:
    """Hold memory beside the target."""

    __pydantic_config__ = FORBID

    megabytes: Annotated[int, Field(ge=1, le=65_536, description="How much is held; locally 256 at most")]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskIoStress:
    """Write and sync without a pause, in a file of bounded size."""

    __pydantic_config__ = FORBID

    megabytes: Annotated[int, Field(ge=1, le=1024, description="Size of the file; locally 256 at most")] = 64
    workers: Annotated[int, Field(ge=1, le=8, description="Processes that write")] = 1
    path: Annotated[Folder | None, Field(description="Folder; by default the target's scratch")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionInjection:
    """Answer a share of the requests with an error, before the target sees them."""

    __pydantic_config__ = FORBID

    percent: Annotated[Percent, Field(description="The share of the requests")] = 100
    status: Annotated[int, Field(ge=400, le=599, description="HTTP status of the answer")] = 503
    path_prefix: Annotated[str, Field(max_length=500, description="Only requests of paths that start so")] = "/"
    port: Annotated[Port | None, Field(description="Kubernetes: the port of the target")] = None


Parameters: TypeAlias = (
    PodDelete
    | PodKill
    | ContainerKill
    | NetworkLatency
    | NetworkPartition
    | NetworkPacketLoss
    | CpuStress
    | MemoryStress
    | DiskIoStress
    | ExceptionInjection
)

PARAMETERS: Mapping[FaultType, type[Parameters]] = {
    FaultType.POD_DELETE: PodDelete,
    FaultType.POD_KILL: PodKill,
    FaultType.CONTAINER_KILL: ContainerKill,
    FaultType.NETWORK_LATENCY: NetworkLatency,
    FaultType.NETWORK_PARTITION: NetworkPartition,
    FaultType.NETWORK_PACKET_LOSS: NetworkPacketLoss,
    FaultType.CPU_STRESS: CpuStress,
    FaultType.MEMORY_STRESS: MemoryStress,
    FaultType.DISK_IO_STRESS: DiskIoStress,
    FaultType.EXCEPTION_INJECTION: ExceptionInjection,
}
KILLS = frozenset({FaultType.POD_DELETE, FaultType.POD_KILL, FaultType.CONTAINER_KILL})
"""The types that take the target away. They say nothing about latency, since nobody answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultForm:
    """The written form of a fault. `parameters` is read by the type (`chaos.experiment_reading`)."""

    __pydantic_config__ = FORBID

    type: Annotated[FaultType, Field(description="What is done to the target")]
    parameters: Annotated[dict[str, object], Field(description="By type")] = field(default_factory=dict)
    duration_seconds: Annotated[
        int | None,
        Field(ge=SHORTEST_FAULT_SECONDS, le=LONGEST_FAULT_SECONDS, description="Default: that of the experiment"),
    ] = None
    name: Annotated[Name | None, Field(description="For the report")] = None
    provider: Annotated[Provider | None, Field(description="What injects it; default: the best one of the place")] = (
        None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: its type, its parameters and how long it lasts. `provider` is the one that was named."""

    type: FaultType
    parameters: Parameters
    duration_seconds: int
    name: str
    provider: Provider | None = None

    def __post_init__(self) -> None:
        if type(self.parameters) is not PARAMETERS[self.type]:
            msg = f"a fault of type {self.type} has parameters of type {type(self.parameters).__name__}"
            raise ValueError(msg)

    @property
    def once(self) -> bool:
        """Say whether the fault is over as soon as it was injected."""
        return isinstance(self.parameters, PodDelete | PodKill | ContainerKill) and self.parameters.once
