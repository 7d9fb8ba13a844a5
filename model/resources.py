"""The resources that a run requests from a node."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from model.fields import AUTO, FORBID, ByteQuantity, ByteRequest, CpuQuantity, CpuRequest
from model.quantity import bytes_text, cpu_text, milli, whole

DEFAULT_CPU = "100m"
DEFAULT_MEMORY = "128Mi"
DEFAULT_GPU = "nvidia.com/gpu"
"""The resource that a GPU is, unless a cluster says otherwise."""
LEAST_CPU_MILLI = 100
LEAST_MEMORY = 64 * 2**20
"""The least that `auto` means: a test that was short, or slept, may use more the next time."""
UNKNOWN_CPU_MILLI = 500
UNKNOWN_MEMORY = 256 * 2**20
"""What `auto` means while nothing is known: so a machine with two cores starts four tests at once, not twenty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Amounts of resources as the gate counts them: milli-cores, bytes, and whole GPUs."""

    cpu_milli: int = 0
    memory_bytes: int = 0
    ephemeral_bytes: int = 0
    gpu: int = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(
            cpu_milli=self.cpu_milli + other.cpu_milli,
            memory_bytes=self.memory_bytes + other.memory_bytes,
            ephemeral_bytes=self.ephemeral_bytes + other.ephemeral_bytes,
            gpu=self.gpu + other.gpu,
        )

    def fits(self, free: "Resources") -> bool:
        """Say whether every amount is at most that of `free`."""
        return (
            self.cpu_milli <= free.cpu_milli
            and self.memory_bytes <= free.memory_bytes
            and self.ephemeral_bytes <= free.ephemeral_bytes
            and self.gpu <= free.gpu
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRequirements:
    """Requests and limits as Kubernetes quantities. None as a limit means that there is no limit."""

    __pydantic_config__ = FORBID

    cpu_request: Annotated[
        CpuRequest, Field(description="CPU that the run needs, for example 500m, or auto: what it used before")
    ] = DEFAULT_CPU
    cpu_limit: Annotated[CpuQuantity | None, Field(description="CPU that the run may use at most")] = None
    memory_request: Annotated[
        ByteRequest, Field(description="Memory that the run needs, for example 512Mi, or auto: what it used before")
    ] = DEFAULT_MEMORY
    memory_limit: Annotated[ByteQuantity | None, Field(description="Memory limit at which the run is killed")] = None
    ephemeral_storage: Annotated[ByteQuantity | None, Field(description="Scratch disk, for example 1Gi")] = None
    gpu_request: Annotated[int, Field(ge=0, le=64, description="Whole GPUs")] = 0

    @property
    def automatic(self) -> bool:
        """True if a request is left to what the test used before."""
        return AUTO in {self.cpu_request, self.memory_request}

    def requested(self, used: "Used | None" = None) -> Resources:
        """Return the requests as numbers. `used` is what `auto` means; a limit is never exceeded."""
        likely = used or NOTHING_USED
        cpu, memory = likely.cpu_milli, likely.memory_bytes
        return Resources(
            cpu_milli=_within(cpu, self.cpu_limit, milli) if self.cpu_request == AUTO else milli(self.cpu_request),
            memory_bytes=(
                _within(memory, self.memory_limit, whole) if self.memory_request == AUTO else whole(self.memory_request)
            ),
            ephemeral_bytes=whole(self.ephemeral_storage) if self.ephemeral_storage else 0,
            gpu=self.gpu_request,
        )

    def fixed(self, amounts: Resources) -> "ResourceRequirements":
        """Return the same with `auto` replaced by the amounts that the gate has counted."""
        return replace(
            self,
            cpu_request=cpu_text(amounts.cpu_milli) if self.cpu_request == AUTO else self.cpu_request,
            memory_request=bytes_text(amounts.memory_bytes) if self.memory_request == AUTO else self.memory_request,
        )

    def memory_limit_bytes(self) -> int | None:
        """Return the memory limit in bytes, or None."""
        return whole(self.memory_limit) if self.memory_limit else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What a test used in its last `runs`, at the 95th percentile of their peaks; a default if there were none."""

    cpu_milli: int = UNKNOWN_CPU_MILLI
    memory_bytes: int = UNKNOWN_MEMORY
    runs: int = 0


NOTHING_USED = Used()


def _within(amount: int, limit: str | None, read: Callable[[str], int]) -> int:
    return amount if limit is None else min(amount, read(limit))
