"""What is told to a run that waits: first what will not pass by itself, whatever else is in its way."""

from typing import Any

import pytest

from scheduler.admission.decisions import Wait
from scheduler.admission.plan import plan
from scheduler.values.pool import Ceiling, Owner, Strategy
from scheduler.values.reasons import Code
from scheduler.values.run import Constraints

NVME = Constraints(node_selector=(("disk", "nvme"),))
CPU = Ceiling(runs=1, cpu_milli=6000)


def told(state: Any, now: Any) -> dict[int, tuple[Code, str]]:
    waits = [decision for decision in plan(state, now) if isinstance(decision, Wait)]
    return {wait.run.seq: (wait.reason.code, wait.reason.text) for wait in waits}


@pytest.mark.parametrize("strategy", Strategy)
def test_a_full_pool_hides_nothing_that_will_not_pass(make: Any, strategy: Strategy) -> None:
    waiting = [
        make.queued(1, constraints=NVME),
        make.queued(2, cpu=5000),
        make.queued(3, cpu=7000),
        make.queued(4, cpu=900, team_id=make.team(1)),
        make.queued(5, user_id=make.user(2)),
        make.queued(6),
    ]
    owners = {
        make.team(1): Owner(name="red", ceiling=Ceiling(cpu_milli=800)),
        make.user(2): Owner(name="ann", ceiling=Ceiling(runs=0)),
    }
    pool = {"ceiling": CPU, "strategy": strategy, "owners": owners, "holding": [make.running(9, node=None)]}
    nodes = [make.node(0, cpu=4000), make.node(1, cpu=100)]

    assert told(make.state(waiting, nodes=nodes, **pool), make.NOON) == {
        1: (Code.NO_MATCH, "no node matches: of 2, 2 without label disk=nvme"),
        2: (Code.TOO_LARGE, "needs 5000m CPU; the largest node has 4000m CPU"),
        3: (Code.TOO_LARGE, "needs 7000m CPU; the largest node has 4000m CPU"),
        4: (Code.TEAM_RESOURCES, "needs 900m CPU; team red may use 800m CPU"),
        5: (Code.USER_LIMIT, "user ann runs 0 of 0"),
        6: (Code.POOL_LIMIT, "the pool runs 1 of 1"),
    }


def test_what_the_pool_may_never_use_is_as_too_large_as_for_any_node(make: Any) -> None:
    state = make.state([make.queued(1, cpu=7000)], nodes=[make.node(0, cpu=9000)], ceiling=CPU)

    assert told(state, make.NOON) == {1: (Code.TOO_LARGE, "needs 7000m CPU; the pool may use 6000m CPU")}


def test_a_pool_without_nodes_that_is_full_is_only_full(make: Any) -> None:
    state = make.state([make.queued(1)], nodes=[], ceiling=CPU, holding=[make.running(9, node=None)])

    assert told(state, make.NOON) == {1: (Code.POOL_LIMIT, "the pool runs 1 of 1")}


def test_nodes_that_are_alike_are_counted_one_by_one(make: Any) -> None:
    nodes = [make.node(n, labels={"disk": "ssd"} if n % 3 else {}, ready=n != 4) for n in range(8)]
    pool = {"ceiling": CPU, "holding": [make.running(9, node=None)], "nodes": nodes}

    assert told(make.state([make.queued(1, constraints=NVME)], **pool), make.NOON) == {
        1: (Code.NO_MATCH, "no node matches: of 8, 7 without label disk=nvme, 1 not ready")
    }
