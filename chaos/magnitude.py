"""How hard an experiment was on its target, from 0 to 1, so that an easy one cannot pass for a hard one.

    magnitude = strength of the fault * min(1, seconds / 60) * rigour of the hypothesis

The strength is linear up to `FULL`, the values at which a fault of its type counts in full. They are ours: what a
service of a company meets in a bad hour, and not the worst there is. Rule 2 of docs/decisions/027.
"""

from collections.abc import Mapping

from chaos.fault_types import (
    ContainerKill,
    CpuStress,
    DiskIoStress,
    ExceptionInjection,
    Fault,
    FaultType,
    MemoryStress,
    NetworkLatency,
    NetworkPacketLoss,
    Parameters,
    PodDelete,
    PodKill,
)
from chaos.hypothesis import Hypothesis, Slo, SloKind

FULL: Mapping[FaultType, float] = {
    FaultType.NETWORK_LATENCY: 300,  # ms
    FaultType.NETWORK_PACKET_LOSS: 20,  # percent
    FaultType.CPU_STRESS: 80,  # percent, times workers
    FaultType.MEMORY_STRESS: 256,  # MB
    FaultType.DISK_IO_STRESS: 64,  # MB, times workers
    FaultType.EXCEPTION_INJECTION: 50,  # percent
}
FULL_SECONDS = 60
ONCE = 0.5
"""The strength of a kill that the target may come back from at once; held down it is 1."""
CHECKS_ONLY = 0.5
"""The rigour of a hypothesis that only has health checks."""
MOST_BAD = 0.10
MOST_WORSE = 2.0
MOST_MISSES = 10
"""A hypothesis that allows more bad requests, a value more than three times as bad, or more misses in a row, promises
nothing."""


def magnitude(fault: Fault, hypothesis: Hypothesis) -> float:
    """Return how hard a fault under a hypothesis is, from 0 to 1."""
    length = min(1.0, fault.duration_seconds / FULL_SECONDS)
    return strength(fault.parameters, fault.type) * length * rigour(hypothesis)


def strength(parameters: Parameters, kind: FaultType) -> float:
    """Return how strong a fault is, from 0 to 1."""
    match parameters:
        case PodDelete(once=once) | PodKill(once=once) | ContainerKill(once=once):
            return ONCE if once else 1.0
        case NetworkLatency(latency_ms=amount) | MemoryStress(megabytes=amount):
            return min(1.0, amount / FULL[kind])
        case NetworkPacketLoss(percent=percent) | ExceptionInjection(percent=percent):
            return min(1.0, percent / FULL[kind])
        case CpuStress(load_percent=amount, workers=workers) | DiskIoStress(megabytes=amount, workers=workers):
            return min(1.0, amount * workers / FULL[kind])
        case _:
            return 1.0


def rigour(hypothesis: Hypothesis) -> float:
    """Return what a hypothesis promises: 1 with an SLO, a half with health checks only, 0 if it promises nothing."""
    if any(_promises(slo, hypothesis.tolerance(slo)) for slo in hypothesis.slos):
        return 1.0
    return CHECKS_ONLY if any(check.failures <= MOST_MISSES for check in hypothesis.health_checks) else 0.0


def _promises(slo: Slo, tolerance: float) -> bool:
    if slo.kind is SloKind.VALUE:
        return tolerance <= MOST_WORSE
    return (1 - (slo.objective or 0.0) / 100) * (1 + tolerance) <= MOST_BAD
