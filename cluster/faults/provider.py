"""The port to whatever injects a fault. Every implementation passes `tests/contract/test_fault_providers.py`.

A call may be repeated after any failure, also by another worker: `inject` injects a fault id once, and `revert` may be
called at any time, also for a fault that was never injected.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from chaos.fault_types import Fault
from chaos.provider import FaultId, FaultStatus
from chaos.targets import Target

HEARTBEAT_PATIENCE = timedelta(seconds=15)
"""A fault whose worker gave no sign for so long is reverted by its guard."""


class InjectError(Exception):
    """The fault was not injected, and nothing of it is in the world. The message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """One fault on one target. It reverts itself when it is `expires_after` old."""

    id: FaultId
    fault: Fault
    target: Target
    expires_after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Whether a fault was seen to do something. Without an effect an experiment is inconclusive."""

    seen: bool
    sentence: str


class FaultProvider(Protocol):
    """Injects faults and takes them back."""

    async def inject(self, injection: Injection) -> None:
        """Start the guard, then the fault. Returns when it is active. Raises: InjectError."""

    async def beat(self, fault: FaultId) -> None:
        """Say that the worker is alive. Without it for HEARTBEAT_PATIENCE the guard reverts the fault."""

    async def status(self, fault: FaultId) -> FaultStatus:
        """Return where the fault stands. `unknown` if there is no trace of it."""

    async def effect(self, fault: FaultId) -> Effect:
        """Return what the fault was seen to do until now, or until its end."""

    async def revert(self, fault: FaultId) -> None:
        """End the fault and wait until it is over. Idempotent; never raises because it is over already."""

    async def verify(self, fault: FaultId) -> tuple[str, ...]:
        """Return everything of the fault that is left in the world, as sentences. Nothing is the sign of success."""
