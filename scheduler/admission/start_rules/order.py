"""In which order the start rules are asked: first what a run's own limits and names say, then the pool, then others.

Whoever is stopped by its own limits does not wait for others, so it is not the head of the queue (rule 7). An added
rule comes before the limits: what it refuses must not have a limit or a name reserved.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from scheduler.admission.start_rules import added_rule, exclusive_names, owner_limits, pool_limit, reserved_limits
from scheduler.admission.start_rules.view import Blocked, View
from scheduler.values.run import Queued

StartRule: TypeAlias = Callable[[View, Queued], Blocked | None]

OWN: tuple[StartRule, ...] = (added_rule.blocked, owner_limits.blocked, exclusive_names.blocked)
"""What keeps a run waiting whatever else starts in its pool, and whatever is reserved there."""
LIMITS: tuple[StartRule, ...] = (*OWN, pool_limit.blocked)
"""The same, and the pool's limit."""
RESERVED: tuple[StartRule, ...] = (reserved_limits.blocked,)


def first_blocked(rules: Iterable[StartRule], view: View, run: Queued) -> Blocked | None:
    """Return the answer of the first rule that keeps a run waiting; None if it may start, as far as these rules say."""
    for rule in rules:
        found = rule(view, run)
        if found is not None:
            return found
    return None


def of_cycle(*, added: bool, limited: bool) -> tuple[StartRule, ...]:
    """Return those of `LIMITS` that can keep any run waiting in a cycle: the others would be asked for nothing."""
    never = ({added_rule.blocked} if not added else set()) | (
        {owner_limits.blocked, pool_limit.blocked} if not limited else set()
    )
    return tuple(rule for rule in LIMITS if rule not in never)
