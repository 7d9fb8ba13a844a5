"""A reason is true: what it names came before the run, and is what keeps it waiting."""

from types import SimpleNamespace
from typing import Any

import pytest

from scheduler.admission.decisions import Decision, Wait
from scheduler.admission.plan import plan
from scheduler.values.pool import Ceiling, Strategy
from scheduler.values.reasons import Code


def waits(decisions: list[Decision]) -> dict[int, Wait]:
    return {d.run.seq: d for d in decisions if isinstance(d, Wait)}


def fair(make: SimpleNamespace, *waiting: Any) -> dict[int, Wait]:
    """What is told to those that wait for a node of 4,000m."""
    return waits(plan(make.state(waiting, strategy=Strategy.FAIR_SHARE, ceiling=Ceiling(runs=None)), make.NOON))


def test_a_name_that_is_kept_for_a_later_run_is_not_the_reason(make: SimpleNamespace) -> None:
    """The second has no node left that is not kept; the third has one kept, and the name that the second needs."""
    nodes = [make.node(0, cpu=2000), make.node(1, cpu=1000)]
    holding = [make.running(90, cpu=2000, node="n0"), make.running(91, cpu=1000, node="n1")]
    waiting = [
        make.queued(1, cpu=2000, minutes=390),
        make.queued(2, cpu=2000, minutes=380, exclusive=("db",)),
        make.queued(3, cpu=500, minutes=370, exclusive=("db",)),
        make.queued(4, cpu=100, minutes=1, exclusive=("db",)),
    ]

    told = waits(plan(make.state(waiting, nodes=nodes, holding=holding), make.NOON))

    assert {seq: wait.nominated for seq, wait in told.items()} == {1: "n0", 2: None, 3: "n1", 4: None}
    assert (told[2].reason.code, told[2].blocked_by) == (Code.BUSY, ())
    assert (told[4].reason.code, told[4].blocked_by) == (Code.EXCLUSIVE, (make.run_id(3),))


@pytest.mark.parametrize("strategy", [Strategy.PRIORITY, Strategy.FAIR_SHARE])
def test_a_node_that_is_kept_for_a_later_run_is_not_the_reason(make: SimpleNamespace, strategy: Strategy) -> None:
    """The second would fit beside what runs, were the node not kept for the first; the third has the other one kept."""
    nodes = [make.node(0), make.node(1, cpu=1000)]
    holding = [make.running(90, cpu=2000, node="n0"), make.running(91, cpu=1000, node="n1")]
    sizes = {1: 4000, 2: 2000, 3: 500}
    waiting = [make.queued(seq, cpu=cpu, minutes=390 - seq) for seq, cpu in sizes.items()]

    told = waits(plan(make.state(waiting, nodes=nodes, holding=holding, strategy=strategy), make.NOON))

    assert {seq: wait.nominated for seq, wait in told.items()} == {1: "n0", 2: None, 3: "n1"}
    assert (told[2].reason.code, told[2].blocked_by) == (Code.RESERVED, (make.run_id(1),))


def test_share_is_the_reason_only_where_the_other_owner_had_no_more(make: SimpleNamespace) -> None:
    """Team 1 comes second, and does not fit beside the first; then team 2 starts, which had as little."""
    teams = {n: {"team_id": make.team(n)} for n in range(4)}
    large = make.queued(2, cpu=4000, **teams[1])

    told = fair(make, make.queued(1, cpu=3000, **teams[0]), large, make.queued(3, cpu=500, **teams[0]))

    assert told[2].reason.code is Code.BUSY


def test_share_is_never_the_reason_of_an_aged_run(make: SimpleNamespace) -> None:
    aged = make.queued(1, cpu=4000, minutes=361)
    first = make.queued(0, cpu=1000, minutes=362, team_id=make.team(1))

    assert fair(make, first, aged)[1].reason.code is Code.BUSY


def test_share_is_not_the_reason_where_an_aged_run_came_first(make: SimpleNamespace) -> None:
    aged = make.queued(0, cpu=4000, minutes=361, team_id=make.team(1))

    assert fair(make, aged, make.queued(1, cpu=4000))[1].reason.code is Code.BUSY
