"""Rules 6 and 7: a run does not take what is reserved of a limit for a run before it."""

from functools import partial

from scheduler.admission.start_rules.view import Blocked, View
from scheduler.values.quota_limits import QuotaLimit, kept_of, over
from scheduler.values.reasons import Code, Reason
from scheduler.values.run import Queued
from scheduler.values.usage_totals import UsageTotals


def blocked(view: View, run: Queued) -> Blocked | None:
    """Return the limit of which a run would need what is reserved for others: of its team, its user or the pool."""
    reserved = view.reserved_from(run)
    if reserved is None:
        return None
    asked = view.need_of(run)
    for limit in view.bounds_of(run):
        if over(limit, asked, view.used.of(limit.owner), reserved.of(limit.owner)) is not None:
            reason = partial(_reason, view, run, limit, reserved)
            return Blocked(rule=6, code=Code.RESERVED, reason=reason, limit=limit)
    return None


def _reason(view: View, run: Queued, limit: QuotaLimit, reserved: UsageTotals) -> Reason:
    text = kept_of(limit, view.need_of(run), view.used, reserved)
    return Reason(code=Code.RESERVED, text=text or "")
