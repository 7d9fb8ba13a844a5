"""What a pass looks at: equal shapes once, a team at its limit not at all. Looks are counted, no time is measured."""

from collections import Counter
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from scheduler.admission import cycle_state
from scheduler.admission.decisions import Left
from scheduler.admission.plan import apply, carry_out, decide
from scheduler.admission.state import State
from scheduler.values.pool import Ceiling, Owner, Strategy

MANY = 5000
SHAPES = (1000, 2000, 3000, 4000)
TEAMS = (1, 2)
LIMITED = 3


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[Any]:
    """How often nodes were searched for a shape, and runs of a team and shape were tried; all is done as always."""
    found: Counter[Any] = Counter()
    choose, attempt = cycle_state.choose, cycle_state.CycleState.attempt

    def counted_choose(fleet: Any, ask: Any, *more: Any) -> Any:
        found[ask.shape.resources.cpu_milli] += 1
        return choose(fleet, ask, *more)

    def counted_attempt(self: Any, line: Any, run: Any, *more: Any) -> Any:
        found[run.team_id, run.shape.resources.cpu_milli] += 1
        return attempt(self, line, run, *more)

    monkeypatch.setattr(cycle_state, "choose", counted_choose)
    monkeypatch.setattr(cycle_state.CycleState, "attempt", counted_attempt)
    return found


def crowd(make: SimpleNamespace, **limits: Any) -> State:
    """5,000 runs of four shapes and three teams wait for a node of 4,000m that is full. Team 3 is at its limit."""
    teams = (*TEAMS, LIMITED)
    waiting = [
        make.queued(n, cpu=SHAPES[n % 4], team_id=make.team(teams[n % 3]), enqueued_at=make.NOON) for n in range(MANY)
    ]
    holding = [
        make.running(MANY + 1, cpu=100, team_id=make.team(LIMITED)),
        make.running(MANY + 2, cpu=3900, team_id=make.team(9)),
    ]
    owners = {make.team(LIMITED): Owner(name="limited", ceiling=Ceiling(runs=1))}
    values = {"ceiling": Ceiling(runs=None), "backfill_after": timedelta()} | limits
    made: State = make.state(waiting, owners=owners, holding=holding, **values)
    return made


@pytest.mark.parametrize("strategy", Strategy)
def test_equal_shapes_are_looked_at_once_and_a_team_at_its_limit_is_skipped_whole(
    make: SimpleNamespace, looks: Counter[Any], strategy: Strategy
) -> None:
    """Nodes are searched once for each shape, whoever asks for it; a run is tried for each team and shape."""
    assert not decide(crowd(make, strategy=strategy), make.NOON).admitted

    once = {(make.team(team), shape): 1 for team in TEAMS for shape in SHAPES}
    assert looks == once | dict.fromkeys(SHAPES, 1)


@pytest.mark.parametrize("strategy", Strategy)
def test_each_that_starts_costs_one_more_look(make: SimpleNamespace, looks: Counter[Any], strategy: Strategy) -> None:
    state = apply(crowd(make, strategy=strategy, backfill_after=timedelta(hours=1)), Left(run=make.run_id(MANY + 2)))

    outcome = decide(state, make.NOON)

    assert outcome.admitted
    tried = sum(number for key, number in looks.items() if isinstance(key, tuple))
    assert tried <= len(TEAMS) * len(SHAPES) + len(outcome.admitted)
    assert sum(looks[shape] for shape in SHAPES) <= len(SHAPES) + len(outcome.admitted)
    assert not any(looks[make.team(LIMITED), shape] for shape in SHAPES)


def test_a_pass_after_which_nothing_happened_looks_at_the_first_in_order_only(
    make: SimpleNamespace, looks: Counter[Any]
) -> None:
    state = crowd(make)
    state = carry_out(state, decide(state, make.NOON), make.NOON)
    looks.clear()

    decide(state, make.NOON + timedelta(seconds=1))

    assert looks == {(make.team(TEAMS[0]), SHAPES[0]): 1}


def test_nobody_is_looked_at_once_the_last_place_of_the_pool_is_kept_for_an_aged_run(
    make: SimpleNamespace, looks: Counter[Any]
) -> None:
    """What is kept for an aged run gives way to nobody."""
    state = crowd(make, ceiling=Ceiling(runs=3))
    state.enqueue(make.queued(MANY, cpu=4000, minutes=361, team_id=make.team(TEAMS[0])))

    assert set(decide(state, make.NOON).kept) == {make.run_id(MANY)}

    assert looks == {(make.team(TEAMS[0]), 4000): 1, 4000: 1}


def test_only_the_next_aged_run_is_looked_at_after_one_that_waits_no_longer(
    make: SimpleNamespace, looks: Counter[Any]
) -> None:
    """What was reserved for those after it is reserved again without a look."""
    nodes = [make.node(number) for number in range(4)]
    holding = [make.running(900 + number, cpu=4000, node=f"n{number}") for number in range(4)]
    waiting = [make.queued(number, cpu=1000 + number, minutes=390 - number) for number in range(4)]
    state = make.state(waiting, nodes=nodes, holding=holding, ceiling=Ceiling(runs=None))
    state = apply(carry_out(state, decide(state, make.NOON), make.NOON), Left(run=make.run_id(0)))
    looks.clear()

    assert set(decide(state, make.NOON).kept) == {make.run_id(number) for number in (1, 2, 3)}

    assert looks == {(make.team(0), 1001): 1}
