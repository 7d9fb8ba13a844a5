"""The port of chaos that a test carries: faults of its broker, or an experiment of the chaos engine."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from events.brokers.broker import Broker
from events.event import Milliseconds
from events.outcomes import AssertionResult


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultWindow:
    """When a fault was active, on the clock of the test."""

    name: str
    begins: Milliseconds
    ends: Milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbed:
    """When faults were active, and what the chaos itself has to say beside the assertions."""

    windows: tuple[FaultWindow, ...] = ()
    results: tuple[AssertionResult, ...] = ()


class RunningChaos(Protocol):
    """Chaos under way."""

    @property
    def over(self) -> bool:
        """Say whether it is over. The test does not end before, unless its time is up."""
        ...

    def stop(self) -> Disturbed:
        """End what is active, and return what was. It is called once."""
        ...


class Chaos(Protocol):
    """Chaos of a test."""

    @property
    def lasts_ms(self) -> Milliseconds:
        """Return how long it lasts at least."""
        ...

    def start(self, broker: Broker, now: Callable[[], Milliseconds]) -> RunningChaos:
        """Begin. `now` is the clock of the test. Raises: BrokerError; TriggerError."""
        ...


class Calm:
    """No chaos."""

    lasts_ms: Milliseconds = 0.0
    over = True

    def start(self, broker: Broker, now: Callable[[], Milliseconds]) -> "Calm":
        """Do nothing."""
        del broker, now
        return self

    def stop(self) -> Disturbed:
        """Return that nothing was."""
        return Disturbed()
