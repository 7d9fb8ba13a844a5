"""Rules 1 and 3: a run starts only if the pool has room for it."""

from functools import partial

from scheduler.admission.start_rules.view import Blocked, View
from scheduler.values.quota_limits import code_of, limit_reason, over
from scheduler.values.run import Queued
from scheduler.values.usage_totals import POOL


def blocked(view: View, run: Queued) -> Blocked | None:
    """Return that the limit of the pool is reached."""
    limit = view.pool
    if not limit.limits:
        return None
    asked, used = view.need_of(run), view.used.of(POOL)
    kind = over(limit, asked, used)
    if kind is None:
        return None
    return Blocked(
        rule=3, code=code_of(limit, kind), reason=partial(limit_reason, limit, kind, asked, used), limit=limit
    )
