"""What holds of every pass of a pool: limits, nodes, names and groups, counted anew from plain values."""

from collections import Counter
from itertools import chain
from typing import Any

from properties.claim_checks import clash
from properties.scenes import slot_of

from scheduler.admission.decisions import Admit, Decision, Wait
from scheduler.admission.state import State
from scheduler.values.order import due
from scheduler.values.pool import Ceiling
from scheduler.values.run import Queued


def check(state: State, decisions: list[Decision], now: Any) -> None:
    admits = [d for d in decisions if isinstance(d, Admit)]
    waits = [d for d in decisions if isinstance(d, Wait)]
    assert Counter(d.run.execution_id for d in chain(admits, waits)) == Counter(list(state.queued))
    check_sums(state, admits)
    check_names(state, admits)
    check_groups(state, admits, now)
    assert all(d.run.shape.constraints.spread or "next pass" not in d.reason.text for d in waits)


def amounts(runs: list[Queued]) -> tuple[int, int]:
    slots = sum(slot_of(run.shape.constraints) for run in runs)
    return slots, sum(run.shape.resources.cpu_milli for run in runs)


def check_sums(state: State, admits: list[Admit]) -> None:
    """No limit is passed by what starts, and no node overbooked, counted anew."""
    group = [*(place.queued for place in state.running.values()), *(d.run for d in admits)]
    for admit in admits:
        if slot_of(admit.run.shape.constraints):
            check_limits(state, admit.run, group)
        node = next(node for node in state.node_usage.nodes if node.name == admit.node)
        here = [place.queued for place in state.running.values() if place.node == admit.node]
        there = [d.run for d in admits if d.node == admit.node]
        assert node.ready
        assert amounts([*here, *there])[1] <= node.capacity.cpu_milli
        assert len([*here, *there]) <= node.pods


def check_limits(state: State, admitted: Queued, group: list[Queued]) -> None:
    """No limit of runs or CPU is passed by a run that starts, unless it is an experiment, which counts for none."""
    assert within(state.limits.ceiling, amounts(group), (0, 0))
    for owner, field in ((admitted.team_id, "team_id"), (admitted.user_id, "user_id")):
        facts = None if owner is None else state.owners.get(owner)
        if facts is not None:
            own = amounts([run for run in group if getattr(run, field) == owner])
            assert within(facts.ceiling, own, (facts.elsewhere_runs, facts.elsewhere.cpu_milli))


def within(ceiling: Ceiling, used: tuple[int, int], elsewhere: tuple[int, int]) -> bool:
    limits = (ceiling.runs, ceiling.cpu_milli)
    return all(limit is None or a + b <= limit for limit, a, b in zip(limits, used, elsewhere, strict=True))


def check_names(state: State, admits: list[Admit]) -> None:
    """No claim of a run that starts conflicts with one of another run, here or in another pool."""
    held = [run.queued.exclusive for run in state.running.values()]
    for admit in admits:
        assert not any(clash(entries, admit.run.exclusive) for entries in (*held, state.exclusive_elsewhere))
        held.append(admit.run.exclusive)


def check_groups(state: State, admits: list[Admit], now: Any) -> None:
    """The members of a group that are not in backoff start together, or not at all."""
    started = {admit.run.group for admit in admits} - {None}
    ids = {admit.run.execution_id for admit in admits}
    for run in state.queued.values():
        if run.group in started and due(run, now):
            assert run.execution_id in ids
