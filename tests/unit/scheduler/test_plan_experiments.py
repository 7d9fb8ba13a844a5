"""Rule 13: experiments take no place of a test, and tests none of an experiment."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from model.ids import EXPERIMENTS
from scheduler.admission.decisions import Admit, Decision, Wait
from scheduler.admission.plan import plan
from scheduler.admission.state import State
from scheduler.values.node import virtual_node
from scheduler.values.pool import Ceiling, Owner, Strategy
from scheduler.values.reasons import Code
from scheduler.values.run import Constraints, Queued, Running

EXPERIMENT: dict[str, Any] = {"cpu": 0, "constraints": Constraints(backend=EXPERIMENTS)}
AGED = 2000
"""Minutes after which any run is aged."""


def pool_of(make: SimpleNamespace, waiting: list[Queued], places: int = 1, **given: Any) -> State:
    made: State = make.state(waiting, nodes=[make.node(0), virtual_node(EXPERIMENTS, places)], **given)
    return made


def under_way(make: SimpleNamespace, number: int, **given: Any) -> Running:
    made: Running = make.running(number, node=EXPERIMENTS, **EXPERIMENT, **given)
    return made


def started(decisions: list[Decision]) -> list[int]:
    return [decision.run.seq for decision in decisions if isinstance(decision, Admit)]


def waits(decisions: list[Decision]) -> dict[int, Wait]:
    return {decision.run.seq: decision for decision in decisions if isinstance(decision, Wait)}


@pytest.mark.parametrize("strategy", Strategy)
def test_an_experiment_starts_in_a_full_pool_of_a_user_and_team_at_their_limits(
    make: SimpleNamespace, strategy: Strategy
) -> None:
    owners = {make.team(0): Owner(name="red", ceiling=Ceiling(runs=1)), make.user(0): Owner(name="ann")}
    waiting = [make.queued(1), make.queued(2, **EXPERIMENT)]
    full = {"owners": owners, "ceiling": Ceiling(runs=1), "strategy": strategy}
    decisions = plan(pool_of(make, waiting, holding=[make.running(9)], **full), make.NOON)

    assert started(decisions) == [2]
    assert waits(decisions)[1].reason.code in {Code.POOL_LIMIT, Code.TEAM_LIMIT}


def test_an_experiment_leaves_the_last_place_to_a_test(make: SimpleNamespace) -> None:
    waiting = [make.queued(1, **EXPERIMENT), make.queued(2)]

    assert started(plan(pool_of(make, waiting, ceiling=Ceiling(runs=1)), make.NOON)) == [1, 2]


def test_no_more_experiments_start_than_the_pool_has_places_for(make: SimpleNamespace) -> None:
    waiting = [make.queued(number, **EXPERIMENT) for number in (1, 2, 3)]
    decisions = plan(pool_of(make, waiting, places=2, holding=[under_way(make, 9)]), make.NOON)

    assert started(decisions) == [1]
    assert str(waits(decisions)[2].reason) == "the pool runs 2 of 2 experiments"


def test_a_pool_without_places_starts_none_and_says_so(make: SimpleNamespace) -> None:
    decisions = plan(pool_of(make, [make.queued(1, **EXPERIMENT)], places=0), make.NOON)

    assert waits(decisions)[1].reason.code is Code.TOO_LARGE
    assert str(waits(decisions)[1].reason) == (
        "the pool runs 0 of 0 experiments: `assay pool set POOL --max-experiments N` lets it run some"
    )


def test_an_aged_experiment_keeps_its_place_and_its_claims(make: SimpleNamespace) -> None:
    """Two wait for the one place; the first in order is aged, and no test may have what it claims meanwhile."""
    waiting = [
        make.queued(1, minutes=AGED, exclusive=("shop",), **EXPERIMENT),
        make.queued(2, exclusive=("shop",)),
        make.queued(3),
    ]
    decisions = plan(pool_of(make, waiting, holding=[under_way(make, 9)]), make.NOON)

    assert started(decisions) == [3]
    assert waits(decisions)[1].nominated == EXPERIMENTS
    assert waits(decisions)[2].reason.code is Code.EXCLUSIVE


def test_an_experiment_does_not_take_what_an_aged_test_needs_once_the_pool_has_room(make: SimpleNamespace) -> None:
    waiting = [make.queued(1, minutes=AGED, exclusive=("shop",)), make.queued(2, exclusive=("shop",), **EXPERIMENT)]
    decisions = plan(pool_of(make, waiting, holding=[make.running(9)], ceiling=Ceiling(runs=1)), make.NOON)

    assert started(decisions) == []
    assert waits(decisions)[2].reason.code is Code.EXCLUSIVE
    assert waits(decisions)[2].blocked_by == (make.run_id(1),)


def test_an_experiment_that_waits_for_a_place_is_not_the_head_of_the_queue(make: SimpleNamespace) -> None:
    """The node is kept for the large test behind it, which a small one would delay otherwise (rule 7)."""
    waiting = [
        make.queued(1, minutes=5, **EXPERIMENT),
        make.queued(2, minutes=4, cpu=4000),
        make.queued(3, cpu=2000),
    ]
    there = [under_way(make, 9), make.running(8, cpu=1000)]
    decisions = plan(pool_of(make, waiting, holding=there), make.NOON)

    assert started(decisions) == []
    assert waits(decisions)[2].nominated == "n0"
    assert waits(decisions)[3].reason.code is Code.HEAD


def test_an_experiment_asks_nobody_to_stop(make: SimpleNamespace) -> None:
    there = [under_way(make, 9, priority=9, restartable=True, started_at=make.NOON - timedelta(hours=1))]
    waiting = [make.queued(1, priority=0, **EXPERIMENT)]
    decisions = plan(pool_of(make, waiting, holding=there, preemption=True), make.NOON)

    assert list(waits(decisions)) == [1]
    assert len(decisions) == 1
