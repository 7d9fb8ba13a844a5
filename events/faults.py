"""Faults of the broker during a test: what is injected when, and the thread that does it and takes it back.

Only a broker with the capability `faults` has them: librdkafka's mock cluster.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Protocol, runtime_checkable

from events.brokers.broker import Broker, BrokerUnfitError, Capability, require
from events.chaos import Disturbed, FaultWindow
from events.event import Milliseconds


@runtime_checkable
class FaultyBroker(Protocol):
    """What a broker with the capability `faults` can do."""

    def set_down(self, *, down: bool, broker: int = 1) -> None:
        """Close all connections of a broker and accept no new ones, or accept them again."""
        ...

    def delay(self, milliseconds: int, *, broker: int = 1) -> None:
        """Delay each answer of a broker."""
        ...

    def fail_requests(self, request: int, *codes: int) -> None:
        """Answer the next requests of a kind with these error codes of Kafka's protocol."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerDown:
    """A broker of the cluster is away."""

    broker: int = 1

    def set(self, target: FaultyBroker, *, active: bool) -> None:
        """Take it away, or bring it back."""
        target.set_down(down=active, broker=self.broker)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSlow:
    """A broker of the cluster answers late."""

    delay_ms: int
    broker: int = 1

    def set(self, target: FaultyBroker, *, active: bool) -> None:
        """Slow it down, or let it go on."""
        target.delay(self.delay_ms if active else 0, broker=self.broker)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestErrors:
    """The next requests of a kind are answered with error codes of Kafka's protocol. `request` is its number there."""

    request: int
    codes: tuple[int, ...]

    def set(self, target: FaultyBroker, *, active: bool) -> None:
        """Push the errors. What is left of them at the end stays: the cluster cannot take them back."""
        if active:
            target.fail_requests(self.request, *self.codes)


Disturbance = BrokerDown | BrokerSlow | RequestErrors


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerFault:
    """One fault: it begins `after_ms` after the trigger begins to fire, and lasts `duration_ms`."""

    name: str
    disturbance: Disturbance
    after_ms: Milliseconds
    duration_ms: Milliseconds

    @property
    def ends_ms(self) -> Milliseconds:
        """Return when it is to end."""
        return self.after_ms + self.duration_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerChaos:
    """Faults of the broker. The test runs until `recovery_ms` after the last of them, also if all is decided before."""

    faults: tuple[BrokerFault, ...]
    recovery_ms: Milliseconds = 1_000

    @property
    def lasts_ms(self) -> Milliseconds:
        """Return how long it lasts."""
        return max(fault.ends_ms for fault in self.faults) + self.recovery_ms

    def start(self, broker: Broker, now: Callable[[], Milliseconds]) -> "FaultRunner":
        """Begin. Raises: BrokerUnfitError if the broker has no faults to inject."""
        require(broker, frozenset({Capability.FAULTS}), what="chaos of the broker")
        runner = FaultRunner(self.faults, broker, now, self.lasts_ms)
        runner.begin()
        return runner


@dataclass(slots=True)
class _Active:
    fault: BrokerFault
    begins: Milliseconds


@dataclass(slots=True)
class FaultRunner:
    """Injects faults on time, in a thread of its own. After `stop` none is active."""

    faults: Sequence[BrokerFault]
    broker: Broker
    now: Callable[[], Milliseconds]
    lasts_ms: Milliseconds = 0.0
    _windows: list[FaultWindow] = field(default_factory=list)
    _active: dict[str, _Active] = field(default_factory=dict)
    _over: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)
    _thread: Thread | None = None

    @property
    def over(self) -> bool:
        """Say whether all faults are over, and the time to recover is, too."""
        return self.now() >= self.lasts_ms

    def begin(self) -> None:
        """Begin to inject."""
        self._thread = Thread(target=self._run, name="event-faults", daemon=True)
        self._thread.start()

    def stop(self) -> Disturbed:
        """End every fault, and return when each was active."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            for name in list(self._active):
                self._end(name)
            windows = sorted(self._windows, key=lambda window: (window.begins, window.name))
            return Disturbed(windows=tuple(windows))

    def _run(self) -> None:
        for at, fault, begins in _changes(self.faults):
            if self._over.wait(max(at - self.now(), 0) / 1000):
                return
            with self._lock:
                if begins:
                    fault.disturbance.set(self._target, active=True)
                    self._active[fault.name] = _Active(fault, self.now())
                elif fault.name in self._active:
                    self._end(fault.name)

    @property
    def _target(self) -> FaultyBroker:
        if not isinstance(self.broker, FaultyBroker):
            raise BrokerUnfitError("this broker has no faults to inject")
        return self.broker

    def _end(self, name: str) -> None:
        active = self._active.pop(name)
        active.fault.disturbance.set(self._target, active=False)
        self._windows.append(FaultWindow(name=name, begins=active.begins, ends=self.now()))


def _changes(faults: Sequence[BrokerFault]) -> Iterator[tuple[Milliseconds, BrokerFault, bool]]:
    """Yield when what begins (True) or ends, in order of time. What ends comes before what begins."""
    changes = [(fault.after_ms, fault, True) for fault in faults]
    changes += [(fault.ends_ms, fault, False) for fault in faults]
    yield from sorted(changes, key=lambda change: (change[0], change[2], change[1].name))
