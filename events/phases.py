"""Whether an assertion held before, during and after faults, and how long it took to recover.

Each phase is judged alone: by the events that arrived in it, on a clock that begins with it. The assertion has
recovered at the first moment from which on the rest of the test passes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from events.assertions.assertion import Assertion
from events.assertions.checking import Checking
from events.chaos import FaultWindow
from events.event import Event, Milliseconds
from events.outcomes import Outcome, Phases
from events.scope import Scope

MOST_STARTS = 200
MOST_JUDGED = 600_000
"""Moments after the faults that are tried for the recovery, and events that are judged for it altogether. Where there
are more, only every second, third... moment is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The events of a test with its scope and its end."""

    events: Sequence[Event]
    scope: Scope | None
    ended_at: Milliseconds


def phases(assertion: Assertion, stream: Stream, windows: Sequence[FaultWindow]) -> Phases | None:
    """Return how an assertion fared around faults, None if there were none."""
    if not windows:
        return None
    begins, ends = min(window.begins for window in windows), max(window.ends for window in windows)
    return Phases(
        before=_judged(assertion, stream, 0.0, begins),
        during=_judged(assertion, stream, begins, ends),
        after=_judged(assertion, stream, ends, stream.ended_at),
        recovered_ms=_recovered(assertion, stream, ends),
    )


def _judged(assertion: Assertion, stream: Stream, begins: Milliseconds, ends: Milliseconds) -> Outcome:
    """Return the outcome of the part from `begins` to `ends`; the last part has what arrives at its end."""
    last = ends >= stream.ended_at
    part = [event for event in stream.events if begins <= event.at and (last or event.at < ends)]
    checking = Checking([assertion], stream.scope)
    checking.observe(replace(event, at=event.at - begins) for event in part)
    return checking.finish(max(ends - begins, 0.0))[0].outcome


def _recovered(assertion: Assertion, stream: Stream, ends: Milliseconds) -> Milliseconds | None:
    times = [event.at for event in stream.events if event.at > ends]
    later = sorted(set(times))
    tries = min(MOST_STARTS, max(1, MOST_JUDGED // max(len(times), 1)))
    step = max(1, -(-len(later) // tries))
    for start in [ends, *later[::step]]:
        if _judged(assertion, stream, start, stream.ended_at) is Outcome.PASSED:
            return start - ends
    return None
