"""Filters, scores and ties."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config import (
    Affinity,
    Effect,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Operator,
    PreferredTerm,
    Toleration,
    TolerationOperator,
)
from model.resources import Resources
from scheduler.placement.ask import Ask
from scheduler.placement.node_usage import NodeUsage
from scheduler.placement.place import place
from scheduler.placement.placement import nominate
from scheduler.placement.score import Score
from scheduler.values.node import Taint
from scheduler.values.pool import ORIGINAL, PoolSettings
from scheduler.values.reasons import Code, Reason
from scheduler.values.run import Constraints, Shape


def put(
    make: SimpleNamespace, nodes: list[Any], constraints: Constraints | None = None, **given: Any
) -> tuple[Score, ...] | Reason:
    """Place a run of 100m among empty nodes, or nodes with `used` CPU."""
    fleet = NodeUsage(nodes)
    for name, cpu in given.pop("used", {}).items():
        fleet.take(name, Resources(cpu_milli=cpu))
    resources = Resources(cpu_milli=given.pop("cpu", 100), memory_bytes=given.pop("memory", 0))
    run = make.run_id(given.pop("run", 0))
    return place(fleet, Ask(shape=Shape(resources, constraints or Constraints()), limits=PoolSettings(**given)), run)


def names(placed: tuple[Score, ...] | Reason) -> set[str]:
    return set() if isinstance(placed, Reason) else {score.node for score in placed}


def term(key: str, operator: Operator, *values: str) -> NodeSelectorTerm:
    return NodeSelectorTerm(match_expressions=(NodeSelectorRequirement(key=key, operator=operator, values=values),))


@pytest.mark.parametrize(
    ("operator", "values", "found"),
    [
        (Operator.IN, ("a", "b"), {"n0"}),
        (Operator.NOT_IN, ("a",), {"n1", "n2"}),
        (Operator.EXISTS, (), {"n0", "n1"}),
        (Operator.DOES_NOT_EXIST, (), {"n2"}),
        (Operator.GT, ("4",), {"n1"}),
        (Operator.LT, ("6",), {"n1"}),
        (Operator.LT, ("x",), set()),
        (Operator.GT, (), set()),
    ],
)
def test_every_operator_of_node_affinity(
    make: SimpleNamespace, operator: Operator, values: tuple[str, ...], found: set[str]
) -> None:
    """A label that is no number matches neither Gt nor Lt."""
    nodes = [make.node(0, labels={"k": "a"}), make.node(1, labels={"k": "5"}), make.node(2)]
    constraints = Constraints(affinity=Affinity(required=(term("k", operator, *values),)))

    assert names(put(make, nodes, constraints)) == found


def test_terms_are_alternatives_and_expressions_add_up(make: SimpleNamespace) -> None:
    nodes = [
        make.node(0, labels={"a": "1"}),
        make.node(1, labels={"b": "1"}),
        make.node(2, labels={"a": "1", "c": "1"}),
    ]
    both = NodeSelectorTerm(
        match_expressions=(
            NodeSelectorRequirement(key="a", operator=Operator.EXISTS),
            NodeSelectorRequirement(key="c", operator=Operator.EXISTS),
        )
    )
    constraints = Constraints(affinity=Affinity(required=(term("b", Operator.EXISTS), both)))

    assert names(put(make, nodes, constraints)) == {"n1", "n2"}


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        (None, False),
        (Toleration(key="gpu", value="yes"), True),
        (Toleration(key="gpu", value="no"), False),
        (Toleration(key="gpu", operator=TolerationOperator.EXISTS), True),
        (Toleration(operator=TolerationOperator.EXISTS), True),
        (Toleration(value="yes"), False),
        (Toleration(key="gpu", value="yes", effect=Effect.NO_EXECUTE), False),
        (Toleration(key="gpu", value="yes", effect=Effect.NO_SCHEDULE), True),
    ],
)
def test_taints_keep_away_who_does_not_tolerate_them(
    make: SimpleNamespace,
    toleration: Toleration | None,
    tolerated: bool,  # noqa: FBT001  a column of the table
) -> None:
    node = make.node(0, taints=(Taint(key="gpu", value="yes", effect=Effect.NO_SCHEDULE),))
    constraints = Constraints(tolerations=(toleration,) if toleration else ())

    placed = put(make, [node], constraints)

    assert names(placed) == ({"n0"} if tolerated else set())
    assert tolerated or str(placed) == "no node matches: of 1, 1 with taint gpu=yes:NoSchedule"


def test_a_node_that_prefers_not_to_is_last_choice(make: SimpleNamespace) -> None:
    shy = make.node(0, taints=(Taint(key="x", effect=Effect.PREFER_NO_SCHEDULE),))

    placed = put(make, [shy, make.node(1)])

    assert isinstance(placed, tuple)
    assert [score.node for score in placed] == ["n1", "n0"]
    assert [score.affinity for score in placed] == [1.0, 0.5]


def test_preferred_terms_add_up_by_weight(make: SimpleNamespace) -> None:
    wanted = (
        PreferredTerm(weight=75, preference=term("fast", Operator.EXISTS)),
        PreferredTerm(weight=25, preference=term("near", Operator.EXISTS)),
    )
    nodes = [make.node(0, labels={"near": ""}), make.node(1, labels={"fast": ""}), make.node(2)]

    placed = put(make, nodes, Constraints(affinity=Affinity(preferred=wanted)))

    assert isinstance(placed, tuple)
    assert [(score.node, score.affinity) for score in placed] == [("n1", 0.75), ("n0", 0.25), ("n2", 0.0)]


def test_spot_nodes_are_used_only_where_the_pool_says_so(make: SimpleNamespace) -> None:
    nodes = [make.node(0, labels={"eks.amazonaws.com/capacityType": "SPOT"})]

    refused = put(make, nodes)

    assert str(refused) == "no node matches: of 1, 1 on spot, which the pool does not use"
    assert names(put(make, nodes, spot=True)) == {"n0"}


def test_the_pools_selector_holds_for_runs_that_do_not_override_it(make: SimpleNamespace) -> None:
    nodes = [make.node(0, labels={"disk": "ssd"}), make.node(1, labels={"disk": "hdd"})]
    default = (("disk", "ssd"),)

    assert names(put(make, nodes, default_selector=default)) == {"n0"}
    own = Constraints(node_selector=(("disk", "hdd"),))
    assert names(put(make, nodes, own, default_selector=default)) == {"n1"}


def test_what_is_not_asked_for_may_be_overdrawn(make: SimpleNamespace) -> None:
    assert names(put(make, [make.node(0)], cpu=0, memory=1, used={"n0": 9000})) == {"n0"}


def test_pods_are_counted_too(make: SimpleNamespace) -> None:
    placed = put(make, [make.node(0, pods=1)], used={"n0": 0})

    assert isinstance(placed, Reason)
    assert placed.code is Code.BUSY
    assert "1 place for a pod" in str(placed)


def test_memory_is_told_in_the_units_of_requests(make: SimpleNamespace) -> None:
    placed = put(make, [make.node(0, memory=2 * make.GI)], memory=3 * make.GI // 2 + 2 * make.GI)

    assert str(placed) == "needs 3.5Gi memory; the largest node has 2Gi memory"


@given(
    st.lists(st.tuples(st.integers(1, 64_000), st.integers(0, 64_000)), min_size=1, max_size=8),
    st.integers(0, 10_000),
    st.floats(0.05, 1.0),
)
def test_every_term_and_total_is_between_0_and_1(
    make: SimpleNamespace, sizes: list[tuple[int, int]], cpu: int, target: float
) -> None:
    nodes = [make.node(i, cpu=capacity) for i, (capacity, _) in enumerate(sizes)]
    used = {f"n{i}": part for i, (_, part) in enumerate(sizes)}

    placed = put(make, nodes, cpu=cpu, used=used, target_utilisation=target)

    scores = placed if isinstance(placed, tuple) else ()
    for score in scores:
        values = (score.total, score.free, score.utilisation, score.affinity, score.spot, score.balance)
        assert all(0 <= value <= 1 for value in values)
    assert [s.total for s in scores] == sorted((s.total for s in scores), reverse=True)


def test_the_original_formula_is_kept_and_has_no_bound(make: SimpleNamespace) -> None:
    """0.4 min(4000/100) + 0.3 (1 - |0 - 0.7|) + 0.2 + 0.05 of an empty node."""
    [score] = put(make, [make.node(0, cpu=4000)], profile=ORIGINAL, memory=make.GI)

    assert score.total == pytest.approx(0.4 * 8 + 0.3 * 0.3 + 0.2 + 0.05)


def test_equal_nodes_are_shared_out_and_the_choice_is_the_same_each_time(make: SimpleNamespace) -> None:
    nodes = [make.node(i) for i in range(4)]
    chosen = Counter(put(make, nodes, run=n)[0].node for n in range(200))

    assert set(chosen) == {"n0", "n1", "n2", "n3"}
    assert min(chosen.values()) > 25
    assert [put(make, nodes, run=n)[0].node for n in range(9)] == [put(make, nodes, run=n)[0].node for n in range(9)]
    seeds = {tuple(put(make, nodes, run=n, seed=seed)[0].node for n in range(20)) for seed in range(3)}
    assert len(seeds) == 3


def test_a_node_is_nominated_that_lacks_least(make: SimpleNamespace) -> None:
    fleet = NodeUsage([make.node(0), make.node(1), make.node(2, cpu=1000)])
    fleet.take("n0", Resources(cpu_milli=3000))
    fleet.take("n1", Resources(cpu_milli=1000))
    ask = Ask(shape=Shape(Resources(cpu_milli=4000)), limits=PoolSettings())

    assert nominate(fleet, ask, make.run_id(0), None) == "n1"
    assert nominate(fleet, ask, make.run_id(0), "n0") == "n0"
    assert nominate(fleet, ask, make.run_id(0), "n2") == "n1"
    assert nominate(fleet, ask, make.run_id(0), "gone") == "n1"
    huge = Ask(shape=Shape(Resources(cpu_milli=40_000)), limits=PoolSettings())
    assert nominate(fleet, huge, make.run_id(0), None) is None
