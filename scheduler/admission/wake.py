"""When time alone can change what a cycle decides."""

from datetime import datetime

from scheduler.admission.preemption import next_stoppable
from scheduler.admission.state import State


def wake(state: State, now: datetime) -> datetime | None:
    """Return the next moment at which time alone can change a decision, after a pass at `now`; None if there is none.

    A backoff ends, a run becomes aged, the first that is blocked has waited for long enough to have a node kept, a run
    has run for long enough to be asked to stop. Added rules have a function of their own (`rules_change`).
    """
    moments = [state.waiting.next_moment()]
    if state.cache.blocked_since is not None:
        moments.append(state.cache.blocked_since + state.limits.backfill_after)
    if state.limits.preemption:
        moments.append(next_stoppable(state.running.values(), state.limits, now))
    return min((moment for moment in moments if moment is not None and moment > now), default=None)


def rules_change(state: State, now: datetime) -> datetime | None:
    """Return the next moment at which an added rule may change a decision, after a pass at `now`; None if none may.

    Only what a rule refused, or what is kept free, can change by that. So a rule that changes every week does not wake
    a pool whose runs could not start anyway.
    """
    if not (state.cache.refused or state.cache.kept):
        return None
    moments = [rule.next_change(now) for rule in state.rules]
    return min((moment for moment in moments if moment is not None and moment > now), default=None)
