"""What holds over several pools: reservations of aged runs, and runs over which another pool decides."""

from datetime import datetime, timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest

from model.ids import GroupId, PoolName
from scheduler.admission.cross_pool import kept_across
from scheduler.admission.cross_pool_reservations import CrossPoolReservation, CrossPoolReservations
from scheduler.admission.decisions import Admit, Decision, Wait
from scheduler.admission.plan import decide, plan
from scheduler.values.order import rank
from scheduler.values.pool import Ceiling, Owner, PoolSettings
from scheduler.values.reasons import Code
from scheduler.values.run import Apart, Constraints, Queued
from scheduler.values.usage_totals import need

MINUTE = timedelta(minutes=1)


def admitted(decisions: list[Decision]) -> list[int]:
    return [d.run.seq for d in decisions if isinstance(d, Admit)]


def waits(decisions: list[Decision]) -> dict[int, Wait]:
    return {d.run.seq: d for d in decisions if isinstance(d, Wait)}


def reserved(make: SimpleNamespace, number: int, **given: object) -> CrossPoolReservations:
    """What the run of this number keeps in pool 'far': a place of team 0, unless `given` says otherwise."""
    values = {"owners": (make.team(0),), "need": need(make.amounts(100), 1), "names": ()}
    run = make.run_id(900 + number)
    place = rank(make.queued(number), PoolSettings())
    return CrossPoolReservations([CrossPoolReservation(run=run, pool=PoolName("far"), rank=place, **(values | given))])


def of_team(make: SimpleNamespace, runs: int) -> dict[UUID, Owner]:
    return {make.team(0): Owner(name="red", ceiling=Ceiling(runs=runs))}


def test_a_reservation_binds_who_comes_later_in_the_order_and_nobody_else(make: SimpleNamespace) -> None:
    """Rule 10."""
    state = make.state([make.queued(1), make.queued(3, cpu=200)], owners=of_team(make, 2))
    state.reserved = reserved(make, 2)

    decisions = plan(state, make.NOON)

    assert admitted(decisions) == [1]
    assert waits(decisions)[3].reason.code is Code.RESERVED
    assert str(waits(decisions)[3].reason) == (
        "team red runs 1 of 2; 1 kept free for run 00000387 of pool far, which waited too long"
    )
    assert waits(decisions)[3].blocked_by == (make.run_id(902),)


def test_what_is_reserved_and_what_is_kept_here_count_together(make: SimpleNamespace) -> None:
    """Beside each alone there would be room for the last run; beside both there is not."""
    old = make.queued(1, cpu=4000, minutes=361)
    there = [make.running(9, team_id=make.team(1))]
    state = make.state([old, make.queued(5)], holding=there, owners=of_team(make, 2))
    state.reserved = reserved(make, 2)

    decisions = plan(state, make.NOON)

    assert admitted(decisions) == []
    assert set(waits(decisions)[5].blocked_by) == {make.run_id(902), make.run_id(1)}


def test_a_name_is_reserved_too(make: SimpleNamespace) -> None:
    state = make.state([make.queued(n, exclusive=("db",)) for n in (1, 3)])
    state.reserved = reserved(make, 2, owners=(), names=("db",))
    assert admitted(plan(state, make.NOON)) == [1]

    state = make.state([make.queued(3, exclusive=("db",))])
    state.reserved = reserved(make, 2, owners=(), names=("db",))
    wait = waits(plan(state, make.NOON))[3]
    assert str(wait.reason) == "db is kept for run 00000387 of pool far, which waited too long"
    assert wait.blocked_by == (make.run_id(902),)


def test_a_group_has_the_place_of_its_first_member(make: SimpleNamespace) -> None:
    members = [make.queued(n, group=GroupId(UUID(int=7))) for n in (1, 3)]
    state = make.state(members, owners=of_team(make, 2))
    state.reserved = reserved(make, 2)

    assert admitted(plan(state, make.NOON)) == [1, 3]


def test_a_team_at_its_limit_is_skipped_and_keeps_for_its_first_aged_run(make: SimpleNamespace) -> None:
    runs = [make.queued(n, minutes=390 - n) for n in (1, 2)] + [make.queued(3, team_id=make.team(1))]
    state = make.state(runs, owners=of_team(make, 1), holding=[make.running(9)])

    assert kept_across(decide(state, make.NOON)) == {make.run_id(1): (make.team(0),)}


def test_an_aged_run_that_its_pool_has_no_room_for_keeps_a_place_in_its_teams_limit(make: SimpleNamespace) -> None:
    """The pool is full, so the cycle does not come to the run; its team may run one more."""
    there = [make.running(9, team_id=make.team(1))]
    state = make.state(
        [make.queued(1, minutes=361)], owners=of_team(make, 2), holding=there, ceiling=Ceiling(runs=len(there))
    )

    assert kept_across(decide(state, make.NOON)) == {make.run_id(1): (make.team(0),)}


def test_who_starts_keeps_nothing_and_leaves_that_to_the_next_aged_run(make: SimpleNamespace) -> None:
    state = make.state([make.queued(number, minutes=390 - number) for number in (1, 2)], owners=of_team(make, 1))
    outcome = decide(state, make.NOON)

    assert set(outcome.admitted) == {make.run_id(1)}
    assert kept_across(outcome) == {make.run_id(2): (make.team(0),)}


@pytest.mark.parametrize("name", ["n0", "n1"])
def test_who_has_a_node_kept_keeps_its_place_though_another_run_starts_beside_it(
    make: SimpleNamespace, name: str
) -> None:
    """The aged run waits for the GPU of the only node that it may use, and wants no run with these labels beside it."""
    labels = (("app", "web"),)
    rules = Constraints(node_selector=(("name", name),), apart=(Apart(topology="name", labels=labels),))
    old = make.queued(1, gpu=1, minutes=361, constraints=rules)
    beside = make.queued(
        2, team_id=make.team(1), labels=labels, constraints=Constraints(node_selector=(("name", name),))
    )
    nodes = [make.node(number, gpu=1, labels={"name": f"n{number}"}) for number in (0, 1)]
    holding = [make.running(9, team_id=make.team(1), gpu=1, node=name)]
    outcome = decide(make.state([old, beside], nodes=nodes, holding=holding, owners=of_team(make, 2)), make.NOON)

    assert (outcome.kept, set(outcome.admitted)) == ({make.run_id(1): name}, {make.run_id(2)})
    assert kept_across(outcome) == {make.run_id(1): (make.team(0),)}


@pytest.mark.parametrize("given", [{"cpu": 9000}, {"minutes": 1}])
def test_who_is_not_aged_or_fits_nowhere_keeps_nothing(make: SimpleNamespace, given: dict[str, int]) -> None:
    run = make.queued(1, **({"minutes": 361} | given))
    state = make.state([run], owners=of_team(make, 1), holding=[make.running(9)])

    assert kept_across(decide(state, make.NOON)) == {}


def test_a_group_that_waits_for_its_team_in_another_pool_keeps_its_places(make: SimpleNamespace) -> None:
    """What the team runs elsewhere ends too: the group could start if nothing else ran."""
    members = [make.queued(n, minutes=361, group=GroupId(UUID(int=7))) for n in (1, 2)]
    owners = {make.team(0): Owner(name="red", ceiling=Ceiling(runs=2), elsewhere_runs=1)}

    kept = kept_across(decide(make.state(members, owners=owners), make.NOON))

    assert kept == {make.run_id(n): (make.team(0),) for n in (1, 2)}


def test_who_is_decided_elsewhere_does_not_start_and_nobody_behind_it_gets_its_place(make: SimpleNamespace) -> None:
    """Rule 11."""
    first, second = make.queued(1, priority=1, nominated="n0"), make.queued(2, team_id=make.team(1), cpu=4000)
    state = make.state([first, second])
    state.busy = {first.execution_id}

    decisions = plan(state, make.NOON)

    assert admitted(decisions) == []
    assert (waits(decisions)[1].reason.code, waits(decisions)[1].nominated) == (Code.ELSEWHERE, "n0")
    assert waits(decisions)[2].reason.code is Code.BUSY
    state.busy = frozenset()
    assert admitted(plan(state, make.NOON)) == [1]


class TwoPools:
    """A team that may run one at a time waits in two pools; each pass sees of the other pool what the gate stores."""

    def __init__(self, make: SimpleNamespace) -> None:
        self.make = make
        self.waiting: dict[str, list[Queued]] = {"a": [], "b": []}
        self.ends: dict[str, dict[Queued, datetime]] = {"a": {}, "b": {}}
        self.kept: dict[str, list[CrossPoolReservation]] = {"a": [], "b": []}

    def run_pass(self, pool: str, now: datetime) -> list[int]:
        """Make a pass; what starts runs for five minutes."""
        [other] = {"a", "b"} - {pool}
        there = len(self.ends[other])
        limits = {self.make.team(0): Owner(name="t", ceiling=Ceiling(runs=1), elsewhere_runs=there)}
        holding = [self.make.running(run.seq) for run in self.ends[pool]]
        state = self.make.state(self.waiting[pool], holding=holding, owners=limits)
        state.reserved = CrossPoolReservations(self.kept[other])
        outcome = decide(state, now)
        kept = kept_across(outcome)
        started = [run for run in self.waiting[pool] if run.execution_id in outcome.admitted]
        self.waiting[pool] = [run for run in self.waiting[pool] if run not in started]
        self.ends[pool] |= dict.fromkeys(started, now + 5 * MINUTE)
        places = need(self.make.amounts(100), 1)
        self.kept[pool] = [
            CrossPoolReservation(
                run=run.execution_id, pool=PoolName(pool), rank=rank(run, PoolSettings()), owners=owners, need=places
            )
            for run in self.waiting[pool]
            if (owners := kept.get(run.execution_id)) is not None
        ]
        return [run.seq for run in started]

    def a_minute(self, now: datetime) -> list[int]:
        """End who is done; whoever ends passes first, and in its own pool."""
        started = []
        for pool in ("a", "b"):
            for run in [run for run, end in self.ends[pool].items() if end <= now]:
                del self.ends[pool][run]
                started += self.run_pass(pool, now)
        return started + self.run_pass("a", now) + self.run_pass("b", now)


def test_no_stream_of_later_runs_in_another_pool_starves_an_aged_run(make: SimpleNamespace) -> None:
    """It starts within two ageing limits and what one run takes, though they are more important and never end."""
    pools = TwoPools(make)
    pools.waiting["b"] = [make.queued(1, priority=0)]
    started = pools.a_minute(make.NOON)
    pools.waiting["a"] = [make.queued(2, priority=1, enqueued_at=make.NOON)]
    for minute in range(1, 127):
        now = make.NOON + minute * MINUTE
        if minute % 5 == 4:
            pools.waiting["b"].append(make.queued(minute, priority=0, enqueued_at=now))
        started += pools.a_minute(now)

    assert started[:3] == [1, 4, 9]
    assert started.index(2) > 20


def test_what_binds_over_pools_binds_by_the_key_and_not_by_arrival(make: SimpleNamespace) -> None:
    """The aged run arrived first, but the other one is so much more important that it comes first in the order."""
    aged, urgent = make.queued(1, minutes=301, priority=4), make.queued(2, minutes=240, priority=0)
    state = make.state([urgent], owners=of_team(make, 1))
    place = rank(aged, PoolSettings())
    values = {"owners": (make.team(0),), "need": need(make.amounts(100), 1)}
    state.reserved = CrossPoolReservations(
        [CrossPoolReservation(run=aged.execution_id, pool=PoolName("far"), rank=place, **values)]
    )

    assert admitted(plan(state, make.NOON)) == [2]
