"""Rule 8: a run that would not fit even if nothing else ran does not start, and nothing is reserved for it."""

from functools import partial

from scheduler.admission.start_rules.view import Blocked, View
from scheduler.values.quota_limits import never
from scheduler.values.reasons import Code, Reason
from scheduler.values.run import Queued


def blocked(view: View, run: Queued) -> Blocked | None:
    """Return that no node, or not the pool, could ever hold a run."""
    if not view.never_fits(run):
        return None
    return Blocked(rule=8, code=Code.TOO_LARGE, reason=partial(_reason, view, run))


def lasting(view: View, run: Queued) -> Reason | None:
    """Return what keeps a run waiting whatever ends: no node could hold it, or a limit is below what it asks for.

    The second kind counts as a limit that is reached (rule 3) until it is explained: then it is given first.
    """
    if view.never_fits(run) and (reason := view.lasting(run)) is not None:
        return reason
    asked = view.need_of(run)
    reasons = (never(limit, asked, view.used) for limit in view.bounds_of(run))
    return next((reason for reason in reasons if reason is not None), None)


def _reason(view: View, run: Queued) -> Reason:
    return lasting(view, run) or Reason(code=Code.TOO_LARGE, text="no node could hold it")
