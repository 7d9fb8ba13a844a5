"""Run the assertions of a test over its events, until all are decided or the test ends.

Each type of event goes only to the checks that it can matter to.
"""

from collections.abc import Callable, Iterable, Sequence
from math import inf

from events.assertions.assertion import Assertion, Check
from events.event import Event, Milliseconds
from events.outcomes import AssertionResult, Outcome
from events.scope import Scope, ScopeFilter


class Checking:
    """The checks of a test. The order of calls is: `observe` and `advance` in order of time, then `finish` once."""

    def __init__(self, assertions: Sequence[Assertion], scope: Scope | None = None) -> None:
        self._checks: list[Check] = [assertion.start() for assertion in assertions]
        self._routes: dict[str, list[Callable[[Event], None]]] = {}
        self._scope = ScopeFilter(scope)
        self._scoped = scope is not None
        self.seen = 0
        """The number of events of the scope."""
        self.foreign = 0
        """The number of events that belong to other tests."""
        self.blind: list[Milliseconds] = []
        """When time could decide nothing, because events might be missing."""

    @property
    def decided(self) -> bool:
        """Say whether no later event can change a result."""
        return all(check.result is not None for check in self._checks)

    @property
    def deadline(self) -> Milliseconds:
        """Return the next time at which time alone may decide something."""
        return min((check.deadline for check in self._checks), default=inf)

    def observe(self, events: Iterable[Event]) -> None:
        """Show events to the checks, in order of arrival."""
        routes, scoped, belongs = self._routes, self._scoped, self._scope.holds
        for event in events:
            if scoped and not belongs(event):
                self.foreign += 1
                continue
            self.seen += 1
            route = routes.get(event.type)
            if route is None:
                route = routes[event.type] = [c.observe for c in self._checks if c.interested(event.type)]
            for observe in route:
                observe(event)

    def advance(self, now: Milliseconds) -> None:
        """Tell the checks that nothing older than `now` will come."""
        for check in self._checks:
            if check.deadline < now:
                check.advance(now)

    def give_up(self, now: Milliseconds, why: str) -> None:
        """End as inconclusive what time alone would decide by `now`, because events may be missing."""
        self.blind.append(now)
        for check in self._checks:
            if check.result is None and check.deadline < now:
                check.decide(Outcome.INCONCLUSIVE, why, now)

    def end_unseen(self, now: Milliseconds, why: str) -> None:
        """End as inconclusive everything that is not decided, because events may be missing."""
        self.blind.append(now)
        for check in self._checks:
            if check.result is None:
                check.decide(Outcome.INCONCLUSIVE, why, now)

    def results(self) -> list[AssertionResult]:
        """Return what is decided by now, in the order of the assertions."""
        return [check.result for check in self._checks if check.result is not None]

    def finish(self, now: Milliseconds) -> list[AssertionResult]:
        """Return all results at the end of the test, in the order of the assertions."""
        self.advance(now)
        return [check.finish(now, seen=self.seen) for check in self._checks]
