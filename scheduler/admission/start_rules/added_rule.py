"""Rule 12: a run starts only if every rule of `scheduler.admission.rules` lets it."""

from functools import partial

from scheduler.admission.start_rules.view import Blocked, View
from scheduler.values.reasons import Code, Reason
from scheduler.values.run import Queued


def blocked(view: View, run: Queued) -> Blocked | None:
    """Return that an added rule refuses a run."""
    text = view.refusal(run)
    return None if text is None else Blocked(rule=12, code=Code.RULE, reason=partial(Reason, code=Code.RULE, text=text))
