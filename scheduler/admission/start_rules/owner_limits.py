"""Rule 3: a run starts only if its team and its user have room for it, besides what is reserved elsewhere (rule 10)."""

from functools import partial

from scheduler.admission.start_rules.view import Blocked, View, for_runs_elsewhere
from scheduler.values.quota_limits import QuotaLimit, code_of, exceeded, kept_of, over
from scheduler.values.reasons import Code, Reason
from scheduler.values.run import Queued


def blocked(view: View, run: Queued) -> Blocked | None:
    """Return which limit of a run's team or user is reached; the team's is looked at first."""
    asked, reserved = view.need_of(run), None
    for limit in view.bounds_of(run):
        if limit is view.pool:
            continue
        reserved = reserved or view.reserved_elsewhere(run)
        kind = over(limit, asked, view.used.of(limit.owner), reserved.of(limit.owner))
        if kind is not None:
            return Blocked(rule=3, code=code_of(limit, kind), reason=partial(_reason, view, run, limit), limit=limit)
    return None


def _reason(view: View, run: Queued, limit: QuotaLimit) -> Reason:
    """Return the numbers of the limit; where only a reservation of another pool is in the way, whose that is."""
    asked = view.need_of(run)
    reached = exceeded(limit, asked, view.used)
    if reached is not None:
        return reached
    text = kept_of(limit, asked, view.used, view.reserved_elsewhere(run))
    return Reason(code=Code.RESERVED, text=f"{text} {for_runs_elsewhere(view.reservers_elsewhere(run))}")
