"""The admission plan of a pool: who starts now and where, and why each of the others waits.

The rules, in the order in which they are looked at; the code cites them by number. What says about one run that it may
not start now (parts of 1, 3, 6, 8, 10 and 12) is one function each, in `scheduler.admission.start_rules`.

1. With no live worker nobody starts, and nobody but experiments (rule 13) while the pool is full.
2. Runs are looked at in order (`scheduler.values.order`): by a fixed key, the time of submission plus the priority
   times the ageing limit (FIFO: the time alone), then by arrival, then by id. Two waiting runs never swap. A run is
   aged one ageing limit after its key, so the aged runs are the first of the order. FAIR_SHARE: the aged runs by key,
   then all others by the share of their owner first, with what started earlier in the same pass.
3. A run starts if pool, team and user have room for it, its exclusive names are free and a node has room; what started
   before in the same pass counts. It gets all of its names or none. What of its own stops it is looked at first, for
   all members of a group: then comes the pool's limit, then what is kept for others, then nodes.
   The reason that is given is what lasts longest: first what will not pass by itself (no node matches, it is larger
   than any node, or than the pool's or its owner's limit); then, where the pool is full, that; then all else.
4. A run that must wait makes those behind it in its class (same owner, priority, shape, names) wait too; runs of other
   classes may pass it. So equal shapes are looked at once, and a team at its limit is skipped whole, but for aged runs
   with exclusive names.
5. Runs of one group that are not in backoff start together or not at all: each on the best node for it; where that
   leaves none for another, on the nodes kept for them, or packed tightly.
6. An aged run that waits for what others hold has it kept free: a node with a place in pool, team and user; what it
   lacks of its team's or user's own limit; its exclusive names. It keeps its node from pass to pass, so that it drains.
   Runs later in the order start only if they need none of it: what runs now may end at any moment. One that waits for
   its own team or user keeps nothing of other owners, and nothing at all while an aged one before it waits for the same
   owner or name. A node is kept for so many as it could hold if nothing else ran, the first in order; the others have
   theirs when it is their turn. A group has nodes kept for all of its members or for none, and counts as one run.
7. All but RESOURCE_AWARE: so does the first run that is blocked, not aged, after `backfill_after`; here others may use
   what is kept if they are expected to be gone before it could start. A run that only its own team, user or names block
   is not the first, but skipped. FAIR_SHARE, where the order changes with each run that starts, chooses it in one pass
   and keeps its node from the next one on: then it is looked at right after the aged ones, until it has started.
8. A run, or group, that would not fit even if nothing ran, or that its team or user may never start, keeps nothing.
9. With preemption, a run that no node or the pool has room for asks less important ones to stop
   (`scheduler.admission.preemption`): of those whose test has run for the minimum time, and whose key is larger, so
   that they come after it once they wait again; the fewest. Their node is kept for it; while they stop nobody else is
   asked for it. Groups, and runs with rules about their neighbours, ask nobody.
10. What an aged run keeps of its team's and user's limits, and its names, it keeps in all pools, from runs that come
   later in the order. The key of a run is that of its own pool, and a group has the place of its first member. So do,
   of each pool, the first aged run of each owner and name, and all that have a node kept. What no node of the pool can
   be kept for does not (`scheduler.admission.cross_pool`).
11. A run over whose owners or names another pool decides at this moment does not start, but counts as if it did: nobody
   behind it gets its node or its place, and nobody is asked to stop for it. The next pass decides.
12. A run starts only if every rule of `scheduler.admission.rules` lets it; that is looked at before its own limits and
   names. A run that such a rule refuses is skipped. It keeps nothing free, aged or not, and asks nobody to stop.
13. An experiment takes none of the places for tests of pool, team and user. It takes one of the pool's places for
   experiments, which are those of a virtual node. An aged one has a place kept as others have a node (rule 6). One that
   waits for a place is not the first that is blocked (rule 7), and asks nobody to stop. While the pool is full aged
   runs have only their names kept, as only experiments could take those.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from scheduler.admission.admission_cycle import decide
from scheduler.admission.changes import admission, apply, apply_all, carry_out
from scheduler.admission.decisions import Admit, Arrived, Change, Configured, Decision, Left, Owned, Preempt, Seen, Wait
from scheduler.admission.explanation import Explanation
from scheduler.admission.outcome import Outcome
from scheduler.admission.state import State
from scheduler.admission.wake import rules_change, wake
from scheduler.values.order import aged, due, rank
from scheduler.values.pool import Strategy
from scheduler.values.run import Queued

__all__ = [
    "Admit",
    "Arrived",
    "Change",
    "Configured",
    "Decision",
    "Left",
    "Outcome",
    "Owned",
    "Preempt",
    "Seen",
    "Wait",
    "apply",
    "apply_all",
    "carry_out",
    "decide",
    "plan",
    "rules_change",
    "spell_out",
    "wake",
]


WantsReason: TypeAlias = Callable[[Queued, int], bool]


def plan(state: State, now: datetime) -> list[Decision]:
    """Decide for every queued run, first in order first. Changes nothing: `apply` does that, decision by decision."""
    return spell_out(state, decide(state, now), now)


def spell_out(
    state: State, outcome: Outcome, now: datetime, wants_reason: WantsReason = lambda *_: True
) -> list[Decision]:
    """Return what a pass found as decisions, one for each queued run and each that is asked to stop, in order.

    Of those that wait only the runs that `wants_reason` accepts, by run and position: reasons cost more than deciding.
    """
    decisions: list[Decision] = []
    explanation = Explanation(outcome)
    position = 0
    for run in _in_order(state, outcome):
        if run.execution_id in outcome.admitted:
            decisions.append(admission(state, run, outcome, now))
            continue
        startable = due(run, now)
        position += startable
        decisions += [Preempt(run=victim, beneficiary=run) for victim in outcome.preempted.get(run.execution_id, ())]
        if wants_reason(run, position):
            decisions.append(_wait(run, explanation, position if startable else None))
    return decisions


def _in_order(state: State, outcome: Outcome) -> list[Queued]:
    """Return all that wait; under FAIR_SHARE first those that start, then by the share that is left."""
    ordered = sorted(state.queued.values(), key=lambda run: rank(run, state.limits))
    if state.limits.strategy is not Strategy.FAIR_SHARE:
        return ordered
    found = outcome.admitted if outcome.cycle is None else outcome.cycle.admitted
    first = {run_id: place for place, run_id in enumerate(found)}
    last = len(first)
    return sorted(ordered, key=lambda run: (first.get(run.execution_id, last), *_fair_place(run, state, outcome)))


def _fair_place(run: Queued, state: State, outcome: Outcome) -> tuple[int, float]:
    """Return where a run will stand in the next pass: aged, then who has a node kept, then by share."""
    if aged(run, state.limits, outcome.now):
        return (0, 0.0)
    return (1, 0.0) if run.execution_id in outcome.kept else (2, outcome.share(run) or 0.0)


def _wait(run: Queued, explanation: Explanation, position: int | None) -> Wait:
    reason = explanation.reason(run)
    return Wait(
        run=run,
        reason=reason,
        position=position,
        blocked_by=explanation.blocked_by(run, reason),
        nominated=explanation.outcome.nominated(run),
        share=explanation.outcome.share(run),
    )
