"""An aged group has nodes kept for all of its members, whatever their number, and starts once these are drained."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from model.ids import GroupId
from scheduler.admission.decisions import Admit, Decision, Left, Seen, Wait
from scheduler.admission.plan import apply, apply_all, plan
from scheduler.admission.reservations import MOST_RESERVED
from scheduler.admission.state import State
from scheduler.values.pool import Ceiling, Owner

MINUTE = timedelta(minutes=1)


def admitted(decisions: list[Decision]) -> list[int]:
    return sorted(d.run.seq for d in decisions if isinstance(d, Admit))


def kept(decisions: list[Decision]) -> dict[int, str | None]:
    return {d.run.seq: d.nominated for d in decisions if isinstance(d, Wait) and d.nominated}


def group(make: SimpleNamespace, *sizes: int, first: int = 1, **given: Any) -> list[Any]:
    """Runs that start together, aged unless `minutes` says otherwise."""
    values = {"minutes": 361, "group": GroupId(make.run_id(9_000 + first))} | given
    return [make.queued(first + n, cpu=cpu, **values) for n, cpu in enumerate(sizes)]


def full(make: SimpleNamespace, waiting: list[Any], *sizes: int, **given: Any) -> State:
    """Nodes of these sizes, each taken by one run: that on `n0` has number 900."""
    nodes = [make.node(n, cpu=cpu) for n, cpu in enumerate(sizes)]
    others = {"team_id": make.team(1), "user_id": make.user(1)}
    holding = [make.running(900 + n, cpu=cpu, node=f"n{n}", **others) for n, cpu in enumerate(sizes)]
    values = {"holding": holding, "nodes": nodes, "ceiling": Ceiling(runs=None)} | given
    made: State = make.state(waiting, **values)
    return made


@pytest.mark.parametrize("salt", range(12))
def test_no_two_members_have_the_same_place_kept(make: SimpleNamespace, salt: int) -> None:
    """Two nodes are free, two are busy: a free one that is kept lacks as much as a busy one."""
    state = full(make, group(make, 1000, 1000, 1000, 1000, first=50 * salt), 1000, 1000, 1000, 1000)
    state = apply_all(state, [Left(run=make.run_id(900)), Left(run=make.run_id(901))])

    decisions = plan(state, make.NOON)

    assert sorted(kept(decisions).values()) == ["n0", "n1", "n2", "n3"]


def test_a_group_that_waits_for_what_is_reserved_of_its_teams_limit_has_no_nodes_kept(make: SimpleNamespace) -> None:
    """Beside the first run there is room for one member; which nodes are free then has nothing to do with it."""
    first = make.queued(0, cpu=1000, minutes=380)
    owners = {make.team(0): Owner(name="red", ceiling=Ceiling(runs=2))}
    state = full(make, [first, *group(make, 1000, 1000)], 1000, 1000, 1000, owners=owners)

    assert set(kept(plan(state, make.NOON))) == {0}


@pytest.mark.parametrize("number", [21, 60])
def test_a_group_is_kept_whole_however_many_they_are(make: SimpleNamespace, number: int) -> None:
    state = full(make, group(make, *[1000] * number), *[1000] * number)

    assert len(set(kept(plan(state, make.NOON)).values())) == number


def test_a_group_counts_as_one_of_those_that_nodes_are_kept_for(make: SimpleNamespace) -> None:
    """So all members have a node kept, although they are more than the bound of rule 6."""
    number = MOST_RESERVED // 3 + 1
    groups = [group(make, *[100] * 3, first=10 * n) for n in range(1, number + 1)]
    state = full(make, [run for mates in groups for run in mates], 300 * number)

    assert len(kept(plan(state, make.NOON))) == 3 * number > MOST_RESERVED


def test_a_group_has_nothing_kept_while_one_before_it_needs_a_part_of_that(make: SimpleNamespace) -> None:
    waiting = [make.queued(0, cpu=1000, minutes=370), *group(make, 1000, 1000)]

    assert len(kept(plan(full(make, waiting, 1000, 1000), make.NOON))) == 1


def test_nodes_that_cannot_serve_all_any_more_are_given_up(make: SimpleNamespace) -> None:
    """One of them is gone; and before that, what was written down had one node twice."""
    twice = [make.queued(n, cpu=1000, minutes=361, group=GroupId(make.run_id(99)), nominated="n0") for n in (1, 2)]
    state = full(make, twice, 1000, 1000, 1000)
    decisions = plan(state, make.NOON)
    assert len(set(kept(decisions).values())) == 2

    state = apply_all(state, decisions)
    gone = kept(decisions)[1]
    state = apply(state, Seen(nodes=tuple(node for node in state.node_usage.nodes if node.name != gone)))
    again = kept(plan(state, make.NOON))
    assert len(set(again.values())) == 2
    assert gone not in again.values()


def test_the_nodes_of_a_group_stay_the_same_though_others_are_free_first(make: SimpleNamespace) -> None:
    state = full(make, group(make, 1000, 1000), 1000, 1000, 1000)
    first = plan(state, make.NOON)
    other = ({"n0", "n1", "n2"} - set(kept(first).values())).pop()
    state = apply(apply_all(state, first), Left(run=make.run_id(900 + int(other[1:]))))

    assert kept(plan(state, make.NOON)) == kept(first)


def test_a_member_does_not_take_the_only_node_of_another(make: SimpleNamespace) -> None:
    """The best node for the small one is the large one's only."""
    state = make.state(group(make, 500, 4000, minutes=0), nodes=[make.node(0, cpu=500), make.node(1, cpu=4000)])

    assert admitted(plan(state, make.NOON)) == [1, 2]


def test_a_group_that_could_never_start_is_not_the_first_that_is_blocked(make: SimpleNamespace) -> None:
    never = group(make, 3000, 3000, minutes=2)
    state = make.state(
        [*never, make.queued(5, cpu=4000, minutes=1), make.queued(6)], holding=[make.running(900)], nodes=[make.node(0)]
    )

    decisions = plan(state, make.NOON)

    assert kept(decisions) == {5: "n0"}
    assert admitted(decisions) == []


def test_a_group_that_its_team_may_start_only_when_other_pools_are_done_keeps_its_part(make: SimpleNamespace) -> None:
    owners = {make.team(0): Owner(name="t", ceiling=Ceiling(runs=3), elsewhere_runs=2)}
    state = full(make, [*group(make, 100, 100), make.queued(5)], 1000, owners=owners)

    assert admitted(plan(apply(state, Left(run=make.run_id(900))), make.NOON)) == []


def test_a_group_that_its_own_team_stops_has_no_node_kept_though_none_has_room(make: SimpleNamespace) -> None:
    """The first member lacks a node, the second a place in its team: those of other teams need not wait for that."""
    owners = {make.team(0): Owner(name="t", ceiling=Ceiling(runs=2))}
    state = full(make, group(make, 500, 500), 1000, 1000, owners=owners)
    state.start(make.running(800, cpu=0, node=None))
    state.enqueue(make.queued(5, cpu=400, team_id=make.team(1), user_id=make.user(1)))
    state = apply(state, Left(run=make.run_id(900)))
    state.start(make.running(801, cpu=600, node="n0", team_id=make.team(1), user_id=make.user(1)))

    decisions = plan(state, make.NOON)

    assert kept(decisions) == {}
    assert admitted(decisions) == [5]


def test_those_that_wait_for_a_name_take_no_turn_from_one_that_waits_for_a_node(make: SimpleNamespace) -> None:
    """However many they are, they wait for one thing, and one of them can have it next."""
    named = [make.queued(n, exclusive=("db",), minutes=700, priority=n % 10) for n in range(1, 40)]
    state = full(make, [*named, make.queued(50, cpu=1000, minutes=361)], 1000, 1000)
    state = apply(state, Left(run=make.run_id(901)))
    state.start(make.running(800, cpu=500, node="n1", exclusive=("db",)))

    assert kept(plan(state, make.NOON)) == {50: "n1"}


def test_nodes_are_reserved_for_so_many_runs_and_not_for_the_next_one(make: SimpleNamespace) -> None:
    """The bound of rule 6. Each of these needs a node for itself; the runs before them in the order have theirs."""
    number = MOST_RESERVED + 3
    waiting = [make.queued(n, cpu=3000 + n, minutes=900 - n) for n in range(number)]
    holding = [make.running(900 + n, cpu=2000, node=f"n{n}") for n in range(number)]
    state = make.state(
        waiting, nodes=[make.node(n) for n in range(number)], holding=holding, ceiling=Ceiling(runs=None)
    )

    assert sorted(kept(plan(state, make.NOON))) == list(range(MOST_RESERVED))
