"""Runs that need each other, or must not meet: groups, exclusive names."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from model.ids import GroupId
from scheduler.admission.decisions import Admit, Decision, Left, Wait
from scheduler.admission.plan import apply, plan
from scheduler.values.pool import Ceiling, Owner
from scheduler.values.reasons import Code

HOUR = timedelta(hours=1)


def admitted(decisions: list[Decision]) -> list[int]:
    return [d.run.seq for d in decisions if isinstance(d, Admit)]


def waits(decisions: list[Decision]) -> dict[int, Wait]:
    return {d.run.seq: d for d in decisions if isinstance(d, Wait)}


def group(make: SimpleNamespace, numbers: range, **given: Any) -> list[Any]:
    return [make.queued(n, group=GroupId(make.run_id(99)), **given) for n in numbers]


def test_one_of_two_runs_with_a_name_starts(make: SimpleNamespace) -> None:
    decisions = plan(make.state([make.queued(n, cpu=100 * n, exclusive=("db",)) for n in (1, 2)]), make.NOON)

    assert admitted(decisions) == [1]
    assert str(waits(decisions)[2].reason) == "db is held by run 00000002"
    assert waits(decisions)[2].blocked_by == (make.run_id(1),)


def test_a_name_is_free_when_its_holder_is_gone(make: SimpleNamespace) -> None:
    state = make.state([make.queued(1, exclusive=("db",))], holding=[make.running(9, exclusive=("db",))])

    assert admitted(plan(state, make.NOON)) == []
    assert admitted(plan(apply(state, Left(run=make.run_id(9))), make.NOON)) == [1]


def test_a_run_gets_all_of_its_names_or_none(make: SimpleNamespace) -> None:
    waiting = [make.queued(1, exclusive=("db", "lab")), make.queued(2, exclusive=("db",))]

    decisions = plan(make.state(waiting, holding=[make.running(9, exclusive=("lab",))]), make.NOON)

    assert admitted(decisions) == [2]


def test_a_name_held_in_another_pool_is_not_free(make: SimpleNamespace) -> None:
    state = make.state([make.queued(1, exclusive=("db",))])
    state.exclusive_elsewhere = frozenset({"db"})

    assert str(waits(plan(state, make.NOON))[1].reason) == "db is held by a run of another pool"


def test_the_names_of_an_aged_run_are_kept_for_it(make: SimpleNamespace) -> None:
    waiting = [make.queued(1, exclusive=("db", "lab"), minutes=361), make.queued(2, exclusive=("db",), cpu=200)]

    decisions = plan(make.state(waiting, holding=[make.running(9, exclusive=("lab",))]), make.NOON)

    assert admitted(decisions) == []
    assert str(waits(decisions)[2].reason) == "db is kept for run 00000002, which waited too long"


def test_the_names_of_an_aged_run_are_kept_for_it_though_its_team_may_start_nothing(make: SimpleNamespace) -> None:
    red, blue = make.team(1), make.team(2)
    owners = {red: Owner(name="red", ceiling=Ceiling(runs=1))}
    old, new = (
        make.queued(1, exclusive=("db",), minutes=361, team_id=red),
        make.queued(2, exclusive=("db",), team_id=blue),
    )
    state = make.state([old, new], holding=[make.running(9, team_id=red)], owners=owners)

    decisions = plan(state, make.NOON)

    assert admitted(decisions) == []
    assert str(waits(decisions)[2].reason) == "db is kept for run 00000002, which waited too long"


def test_who_waits_for_a_name_has_no_node_kept_though_the_pool_is_full_too(make: SimpleNamespace) -> None:
    waiting = [make.queued(1, exclusive=("lab",), minutes=390), make.queued(2, cpu=4000, minutes=361, priority=0)]
    state = make.state(waiting, holding=[make.running(9)], ceiling=Ceiling(runs=1), preemption=True)
    state.exclusive_elsewhere = frozenset({"lab"})

    assert {seq: wait.nominated for seq, wait in waits(plan(state, make.NOON)).items()} == {1: None, 2: "n0"}


def test_a_group_starts_as_one_or_not_at_all(make: SimpleNamespace) -> None:
    """Rule 5."""
    small, large = make.state(group(make, range(3), cpu=1000)), make.state(group(make, range(5), cpu=1000))

    assert admitted(plan(small, make.NOON)) == [0, 1, 2]
    decisions = plan(large, make.NOON)
    assert admitted(decisions) == []
    assert str(waits(decisions)[4].reason) == "4 of 5 of its group find a place; they start together"


@pytest.mark.parametrize("owners", [{}, {"team": Owner(name="t", ceiling=Ceiling(runs=2))}])
def test_a_group_passes_no_limit(make: SimpleNamespace, owners: dict[str, Owner]) -> None:
    limits = {"owners": {make.team(0): owner for owner in owners.values()}}
    state = make.state(group(make, range(3)), ceiling=Ceiling(runs=None if owners else 2), **limits)

    decisions = plan(state, make.NOON)

    assert admitted(decisions) == []
    assert {wait.reason.code for wait in waits(decisions).values()} == {Code.GROUP}


def test_a_member_in_backoff_does_not_hold_up_the_others(make: SimpleNamespace) -> None:
    first, second = group(make, range(2))
    late = make.queued(2, group=first.group, not_before=make.NOON + HOUR)

    assert admitted(plan(make.state([first, second, late]), make.NOON)) == [0, 1]


def test_nodes_are_kept_for_all_of_an_aged_group(make: SimpleNamespace) -> None:
    nodes = [make.node(0), make.node(1)]
    state = make.state(
        [*group(make, range(2), cpu=4000, minutes=361), make.queued(5)], nodes=nodes, holding=[make.running(9)]
    )

    decisions = plan(state, make.NOON)

    assert admitted(decisions) == []
    assert {waits(decisions)[0].nominated, waits(decisions)[1].nominated} == {"n0", "n1"}
    assert waits(decisions)[5].reason.code is Code.RESERVED


def test_an_aged_group_that_the_nodes_could_never_hold_keeps_nothing(make: SimpleNamespace) -> None:
    state = make.state([*group(make, range(2), cpu=4000, minutes=361), make.queued(5)])

    assert admitted(plan(state, make.NOON)) == [5]
