"""An event-driven test: subscribe, trigger, judge the events as they come, and close everything."""

import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

import jmespath
from pydantic import JsonValue

from events.assertions.assertion import Assertion
from events.assertions.checking import Checking
from events.brokers.broker import Broker, Capability
from events.chaos import Calm, Chaos, Disturbed, FaultWindow, RunningChaos
from events.consumer import EventConsumer
from events.event import Event, Milliseconds
from events.outcomes import AssertionResult, Outcome, worst
from events.phases import Stream, phases
from events.registry.registry_factory import RegistryPlace, open_wire_format
from events.scope import Scope
from events.triggers import NoTrigger, Trigger

CATCH_UP_MS: Milliseconds = 1_000
"""How long the broker may take to confirm that all events have arrived."""
CHAOS_LOOK_MS: Milliseconds = 50
"""Between two looks whether the chaos is over, when all is decided."""
BLIND = "the broker did not confirm that all events had arrived, so nothing follows from those that are missing"
SHARED = "; or other members of its group have read a part of them"
FOREIGN = "the test has no scope, and its topics are shared: events of others count too"


class ScopeError(ValueError):
    """The trigger's outcome has no value for the scope. The target has failed, or the expression is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerScope:
    """A scope whose value is known when the trigger has fired: `source` is a JMESPath expression on its outcome."""

    expression: str
    source: str

    def of(self, outcome: JsonValue) -> Scope:
        """Return the scope. Raises: ScopeError if the outcome has no such value."""
        try:
            return Scope(expression=self.expression, value=jmespath.search(self.source, outcome))
        except ValueError as error:  # JMESPathError is one
            raise ScopeError(f"scope: {self.source!r} of what the trigger gave: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTestResult:
    """The result of a test, with everything that arrived and the time at which it ended."""

    name: str
    results: tuple[AssertionResult, ...]
    events: tuple[Event, ...]
    ended_at: Milliseconds
    foreign: int = 0
    scope: Scope | None = None
    warnings: tuple[str, ...] = ()
    windows: tuple[FaultWindow, ...] = ()
    blind: tuple[Milliseconds, ...] = ()
    """When time could decide nothing, because the broker did not confirm that no event was missing."""

    @property
    def outcome(self) -> Outcome:
        """Return the verdict."""
        return worst([result.outcome for result in self.results])


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDrivenTest:
    """A test of a system by its events.

    It ends when all assertions are decided, at the latest after `timeout_ms` plus `grace_ms`. The grace is for late
    events and for the open windows of temporal rules. An assertion's own `timeout_ms` is not extended.
    """

    name: str
    topics: tuple[str, ...]
    assertions: tuple[Assertion, ...]
    trigger: Trigger = field(default_factory=NoTrigger)
    timeout_ms: Milliseconds = 10_000
    grace_ms: Milliseconds = 0
    scope: Scope | TriggerScope | None = None
    group_id: str | None = None
    registry: RegistryPlace | None = None
    chaos: Chaos = field(default_factory=Calm)
    test_id: str = field(default_factory=lambda: str(uuid4()))

    def __post_init__(self) -> None:
        if not self.topics:
            raise ValueError("topics: at least one topic is needed")
        if not self.assertions:
            raise ValueError("assertions: at least one assertion is needed")
        if self.timeout_ms <= 0 or self.grace_ms < 0:
            raise ValueError("timeoutMs must be positive, and graceMs must not be negative")
        if self.chaos.lasts_ms > self.timeout_ms:
            raise ValueError(f"chaos: it lasts {self.chaos.lasts_ms:g} ms with the recovery, longer than timeoutMs")

    def execute(self, broker: Broker, *, monotonic: Callable[[], float] = time.monotonic) -> EventTestResult:
        """Run the test. Whatever happens, the consumer is closed. Raises: BrokerError; TriggerError; ScopeError."""
        wire = None if self.registry is None else open_wire_format(self.registry)
        consumer = EventConsumer(broker, self.topics, group_id=self.group_id, wire=wire, monotonic=monotonic)
        chaos: RunningChaos | None = None
        try:
            consumer.start()
            consumer.start_clock()
            chaos = self.chaos.start(broker, consumer.now)
            scope = self._scope(self.trigger.fire(broker))
            checking, now = self._judge(consumer, scope, chaos)
            disturbed, chaos = chaos.stop(), None
            stream = Stream(events=consumer.received_events, scope=scope, ended_at=now)
            return replace(self._result(checking, stream, disturbed), warnings=self._warnings(broker, scope))
        finally:
            if chaos is not None:
                chaos.stop()
            consumer.close()
            if wire is not None:
                wire.close()

    def replay(
        self,
        events: Sequence[Event],
        *,
        ended_at: Milliseconds,
        scope: Scope | None = None,
        windows: Sequence[FaultWindow] = (),
        blind: Sequence[Milliseconds] = (),
    ) -> EventTestResult:
        """Judge recorded events by their own clock, without a broker and without waiting."""
        checking = Checking(self.assertions, scope)
        ahead = 0
        for at in blind:
            until = bisect_right(events, at, lo=ahead, key=lambda event: event.at)
            checking.observe(events[ahead:until])
            ahead = until
            end = checking.end_unseen if at >= ended_at else checking.give_up
            end(at, self._blind)
        checking.observe(events[ahead:])
        stream = Stream(events=events, scope=scope, ended_at=ended_at)
        return self._result(checking, stream, Disturbed(windows=tuple(windows)))

    def _warnings(self, broker: Broker, scope: Scope | None) -> tuple[str, ...]:
        """Return that others may be seen: on a broker that outlives the test, without a scope."""
        shared = Capability.DURABILITY in broker.capabilities and not isinstance(self.trigger, NoTrigger)
        return (FOREIGN,) if shared and scope is None else ()

    def _scope(self, outcome: JsonValue) -> Scope | None:
        return self.scope.of(outcome) if isinstance(self.scope, TriggerScope) else self.scope

    def _judge(
        self, consumer: EventConsumer, scope: Scope | None, chaos: RunningChaos
    ) -> tuple[Checking, Milliseconds]:
        """Look at events until all is decided and the chaos is over, or the time is up. Return when that was."""
        checking = Checking(self.assertions, scope)
        end = self.timeout_ms + self.grace_ms
        now: Milliseconds = 0.0
        while now < end and not (checking.decided and chaos.over):
            next_look = min(checking.deadline + 1, now + CHAOS_LOOK_MS if checking.decided else end)
            events, now = consumer.drain(next_look - now)
            checking.observe(events)
            if not checking.decided and (now >= end or checking.deadline < now):
                self._make_sure(consumer, checking, now, end)
            checking.advance(now)
        return checking, now

    def _make_sure(self, consumer: EventConsumer, checking: Checking, now: Milliseconds, end: Milliseconds) -> None:
        """Let time decide something only if no event can be missing: a silent broker proves nothing."""
        if consumer.caught_up(CATCH_UP_MS):
            checking.observe(consumer.drain(0)[0])
        elif now >= end:
            checking.end_unseen(now, self._blind)
        else:
            checking.give_up(now, self._blind)

    @property
    def _blind(self) -> str:
        return BLIND if self.group_id is None else BLIND + SHARED

    def _result(self, checking: Checking, stream: Stream, disturbed: Disturbed) -> EventTestResult:
        results = checking.finish(stream.ended_at)
        told = [
            result
            if result.message in {BLIND, BLIND + SHARED}
            else replace(result, phases=phases(assertion, stream, disturbed.windows))
            for assertion, result in zip(self.assertions, results, strict=True)
        ]
        return EventTestResult(
            name=self.name,
            results=(*told, *disturbed.results),
            events=tuple(stream.events),
            ended_at=stream.ended_at,
            foreign=checking.foreign,
            scope=stream.scope,
            windows=disturbed.windows,
            blind=tuple(checking.blind),
        )
