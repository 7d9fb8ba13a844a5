"""The resources that a run requests from a node."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from model.fields import FORBID, ByteQuantity, CpuQuantity
from model.quantity import milli, whole

DEFAULT_CPU = "100m"
DEFAULT_MEMORY = "128Mi"


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

    cpu_request: Annotated[CpuQuantity, Field(description="CPU that the run needs, for example 500m")] = DEFAULT_CPU
    cpu_limit: Annotated[CpuQuantity | None, Field(description="CPU that the run may use at most")] = None
    memory_request: Annotated[ByteQuantity, Field(description="Memory that the run needs, for example 512Mi")] = (
        DEFAULT_MEMORY
    )
    memory_limit: Annotated[ByteQuantity | None, Field(description="Memory limit at which the run is killed")] = None
    ephemeral_storage: Annotated[ByteQuantity | None, Field(description="Scratch disk, for example 1Gi")] = None
    gpu_request: Annotated[int, Field(ge=0, le=64, description="Whole GPUs")] = 0

    def requested(self) -> Resources:
        """Return the requests as numbers."""
        return Resources(
            cpu_milli=milli(self.cpu_request),
            memory_bytes=whole(self.memory_request),
            ephemeral_bytes=whole(self.ephemeral_storage) if self.ephemeral_storage else 0,
            gpu=self.gpu_request,
        )

    def memory_limit_bytes(self) -> int | None:
        """Return the memory limit in bytes, or None."""
        return whole(self.memory_limit) if self.memory_limit else None
