"""Rule 3: a run starts only if its exclusive names are free in all pools and reserved for nobody (rules 6 and 10).

This is the only place that says when two runs conflict by a name.
"""

from functools import partial

from model.claims import in_words
from model.ids import ExecutionId, short
from scheduler.admission.start_rules.view import Blocked, View, for_runs_elsewhere
from scheduler.values.reasons import Code, Reason
from scheduler.values.run import Queued


def blocked(view: View, run: Queued) -> Blocked | None:
    """Return the first of a run's names that it cannot have now."""
    for name in run.exclusive:
        if _is_taken(view, name, run):
            return Blocked(rule=3, code=Code.EXCLUSIVE, reason=partial(_reason, view, name, run))
    return None


def blockers(view: View, run: Queued) -> tuple[ExecutionId, ...]:
    """Return the runs that hold a name which a run asks for, or have it reserved; not those of unknown id."""
    found = (_blocker(view, name, run) for name in run.exclusive)
    return tuple(dict.fromkeys(one for one in found if one is not None and one != run.execution_id))


def is_reserved_here(view: View, run: Queued) -> bool:
    """Return whether one of a run's names is reserved in this pool for a run before it."""
    return any(view.reserver_of(name, run) is not None for name in run.exclusive)


def _is_taken(view: View, name: str, run: Queued) -> bool:
    return (
        view.held_elsewhere(name)
        or view.holder_of(name) is not None
        or view.reserver_of(name, run) is not None
        or view.reserver_elsewhere(name, run) is not None
    )


def _blocker(view: View, name: str, run: Queued) -> ExecutionId | None:
    known = view.holder_of(name) or view.reserver_of(name, run)
    if known is not None:
        return known
    elsewhere = view.reserver_elsewhere(name, run)
    return None if elsewhere is None else elsewhere.run


def _reason(view: View, name: str, run: Queued) -> Reason:
    return Reason(code=Code.EXCLUSIVE, text=f"{in_words(name)} is {_by_whom(view, name, run)}")


def _by_whom(view: View, name: str, run: Queued) -> str:
    if view.held_elsewhere(name):
        return "held by a run of another pool"
    if (holder := view.holder_of(name)) is not None:
        return f"held by run {short(holder)}"
    if (reserver := view.reserver_of(name, run)) is not None:
        return f"kept for run {short(reserver)}, which waited too long"
    elsewhere = view.reserver_elsewhere(name, run)
    return f"kept {for_runs_elsewhere([] if elsewhere is None else [elsewhere])}"
