"""What holds of every placement, against the plainest possible reading of the rules."""

from collections import Counter
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
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
from model.ids import ExecutionId, NodeName
from model.resources import Resources
from scheduler.placement import placement
from scheduler.placement.ask import Ask
from scheduler.placement.node_usage import NodeUsage
from scheduler.placement.place import place
from scheduler.values.node import Node, Taint
from scheduler.values.pool import PROFILES, PoolSettings
from scheduler.values.reasons import Code, Reason
from scheduler.values.run import Apart, Constraints, Labels, Shape, Spread

ZONE, HOST = "zone", "kubernetes.io/hostname"
KEYS, VALUES = ("disk", ZONE, "size"), ("a", "b", "3", "7")
RUN_LABELS: tuple[Labels, ...] = ((), (("app", "x"),), (("app", "x"), ("tier", "y")), (("tier", "y"),))

MEANING = {
    Operator.IN: lambda have, wanted: have in wanted and have is not None,
    Operator.NOT_IN: lambda have, wanted: have not in wanted,
    Operator.EXISTS: lambda have, _: have is not None,
    Operator.DOES_NOT_EXIST: lambda have, _: have is None,
    Operator.GT: lambda have, wanted: have in {"3", "7"} and wanted[0] in {"3", "7"} and have > wanted[0],
    Operator.LT: lambda have, wanted: have in {"3", "7"} and wanted[0] in {"3", "7"} and have < wanted[0],
}


def seldom(rule: st.SearchStrategy[Any], none: Any = ()) -> st.SearchStrategy[Any]:
    """A rule in one case of four: with all of them at once hardly a node would be left."""
    return st.integers(0, 3).flatmap(lambda n: st.just(none) if n else rule)


labels = st.fixed_dictionaries({key: st.sampled_from((*VALUES, "a", "a", None)) for key in KEYS}).map(
    lambda chosen: {key: value for key, value in chosen.items() if value is not None}
)
taints = st.builds(
    Taint, key=st.sampled_from(("t", "u")), value=st.sampled_from(("", "v")), effect=st.sampled_from(list(Effect))
)
capacities = st.builds(
    Resources, cpu_milli=st.integers(0, 8), memory_bytes=st.integers(2, 8), gpu=st.sampled_from((0, 1))
)
resources = st.builds(
    Resources, cpu_milli=st.integers(0, 4), memory_bytes=st.integers(0, 4), gpu=st.sampled_from((0, 0, 0, 1))
)
expressions = st.builds(
    NodeSelectorRequirement,
    key=st.sampled_from(KEYS),
    operator=st.sampled_from(list(Operator)),
    values=st.lists(st.sampled_from(VALUES), min_size=1, max_size=2).map(tuple),
)
terms = st.builds(NodeSelectorTerm, match_expressions=st.lists(expressions, min_size=1, max_size=2).map(tuple))
few_terms = st.lists(terms, max_size=2).map(tuple)
preferred = st.lists(st.builds(PreferredTerm, weight=st.integers(1, 100), preference=terms), max_size=2).map(tuple)
tolerations = st.builds(
    Toleration,
    key=st.sampled_from(("", "t", "u")),
    operator=st.sampled_from(list(TolerationOperator)),
    value=st.sampled_from(("", "v")),
    effect=st.sampled_from((None, *Effect)),
)
topologies = st.sampled_from((ZONE, HOST))
rule_labels = st.sampled_from(RUN_LABELS[1:])
selectors = st.builds(lambda key, value: ((key, value),), st.sampled_from(KEYS), st.sampled_from(VALUES))
constraints = st.builds(
    Constraints,
    node_selector=seldom(selectors),
    tolerations=st.lists(tolerations, max_size=2).map(tuple),
    affinity=st.builds(Affinity, required=seldom(few_terms), preferred=seldom(preferred)),
    avoid=seldom(st.frozensets(st.sampled_from([NodeName(f"n{i}") for i in range(8)]), max_size=4), frozenset()),
    apart=seldom(st.builds(Apart, topology=topologies, labels=rule_labels).map(lambda rule: (rule,))),
    spread=seldom(
        st.builds(Spread, topology=topologies, labels=rule_labels, max_skew=st.integers(1, 2)).map(lambda rule: (rule,))
    ),
)
limits = st.builds(
    PoolSettings,
    spot=st.booleans(),
    profile=st.sampled_from(list(PROFILES.values())),
    candidates=st.integers(2, 5),
    target_utilisation=st.sampled_from((0.05, 0.7, 1.0)),
    default_selector=seldom(st.just((("disk", "a"),))),
    seed=st.integers(0, 3),
)


@st.composite
def pools(draw: st.DrawFn) -> list[Node]:
    """Up to eight nodes of few kinds."""
    return [
        Node(
            name=NodeName(f"n{number}"),
            capacity=draw(capacities),
            pods=draw(st.integers(1, 4)),
            labels={**draw(labels), **draw(st.sampled_from(({}, {}, {"spot": "true"}, {HOST: f"h{number}"})))},
            taints=draw(seldom(taints.map(lambda taint: (taint,)))),
            ready=draw(seldom(st.just(False), none=True)),
        )
        for number in range(draw(st.integers(2, 8)))
    ]


@dataclass(frozen=True, kw_only=True)
class Tenant:
    node: str
    resources: Resources
    labels: Labels


tenants = st.lists(
    st.builds(
        Tenant,
        node=st.sampled_from([f"n{i}" for i in range(9)]),
        resources=st.builds(Resources, cpu_milli=st.integers(0, 2), memory_bytes=st.integers(0, 2)),
        labels=st.sampled_from(RUN_LABELS),
    ),
    max_size=8,
)


def fleet_of(nodes: list[Node], runs: list[Tenant]) -> NodeUsage:
    fleet = NodeUsage(nodes)
    for run in runs:
        fleet.take(NodeName(run.node), run.resources, 1, run.labels)
    return fleet


def accepts(node: Node, ask: Ask) -> bool:
    """All but amounts and other runs, as the documentation of Kubernetes says it."""
    wants = ask.shape.constraints
    held = [
        all(MEANING[e.operator](node.labels.get(e.key), e.values) for e in term.match_expressions)
        for term in wants.affinity.required
    ]
    hard = [taint for taint in node.taints if taint.effect is not Effect.PREFER_NO_SCHEDULE]
    return (
        node.ready
        and (ask.limits.spot or node.labels.get("spot") != "true")
        and all(node.labels.get(key) == value for key, value in ask.selector.items())
        and (not held or any(held))
        and all(any(covers(toleration, taint) for toleration in wants.tolerations) for taint in hard)
    )


def covers(toleration: Toleration, taint: Taint) -> bool:
    exists = toleration.operator is TolerationOperator.EXISTS
    same_key = toleration.key == taint.key or (exists and toleration.key == "")
    return same_key and (exists or toleration.value == taint.value) and toleration.effect in {None, taint.effect}


def roomy(node: Node, runs: list[Tenant], request: Resources) -> bool:
    here = [run.resources for run in runs if run.node == node.name]
    kinds = ("cpu_milli", "memory_bytes", "ephemeral_bytes", "gpu")
    free = {kind: getattr(node.capacity, kind) - sum(getattr(r, kind) for r in here) for kind in kinds}
    return len(here) < node.pods and all(
        not getattr(request, kind) or getattr(request, kind) <= free[kind] for kind in kinds
    )


def domain(node: Node, topology: str) -> str | None:
    return node.name if topology == HOST else node.labels.get(topology)


def left_by_others(node: Node, nodes: list[Node], runs: list[Tenant], ask: Ask) -> bool:
    def number(topology: str, wanted: Labels, where: str) -> int:
        inside = {other.name for other in nodes if domain(other, topology) == where}
        return sum(run.node in inside and set(wanted) <= set(run.labels) for run in runs)

    for rule in ask.shape.constraints.apart:
        where = domain(node, rule.topology)
        if where is not None and number(rule.topology, rule.labels, where):
            return False
    for spread in ask.shape.constraints.spread:
        where = domain(node, spread.topology)
        usable = {domain(other, spread.topology) for other in nodes if accepts(other, ask)} - {None}
        if where is None:
            return False
        least = min(number(spread.topology, spread.labels, str(other)) for other in usable)
        itself = ask.labels is None or set(spread.labels) <= set(ask.labels)
        if number(spread.topology, spread.labels, where) + itself - least > spread.max_skew:
            return False
    return True


@settings(max_examples=300)
@given(pools(), tenants, resources, constraints, limits)
def test_candidates_fit_and_match_and_nobody_waits_who_could_start(
    nodes: list[Node], runs: list[Tenant], request: Resources, wants: Constraints, given_limits: PoolSettings
) -> None:
    ask = Ask(shape=Shape(request, wants), limits=given_limits, labels=RUN_LABELS[1])
    good = {
        node.name
        for node in nodes
        if accepts(node, ask) and roomy(node, runs, request) and left_by_others(node, nodes, runs, ask)
    }

    placed = place(fleet_of(nodes, runs), ask, ExecutionId(UUID(int=5)))

    elsewhere = [n for n in nodes if n.name not in wants.avoid and accepts(n, ask) and roomy(n, [], request)]
    if isinstance(placed, Reason):
        assert not good or (good <= wants.avoid and elsewhere)
        assert placed.code in {Code.NO_NODE, Code.NO_MATCH, Code.TOO_LARGE, Code.BUSY, Code.APART, Code.SPREAD}
        return
    found = [score.node for score in placed]
    assert set(found) <= good
    assert not elsewhere or not wants.avoid.intersection(found)
    assert len(found) == len(set(found)) >= min(given_limits.candidates, len(good - wants.avoid))
    assert [s.total for s in placed] == sorted((s.total for s in placed), reverse=True)


@given(pools(), tenants, st.lists(resources, min_size=1, max_size=3), constraints, st.data())
def test_remembered_scores_decide_as_fresh_ones(
    nodes: list[Node], runs: list[Tenant], requests: list[Resources], wants: Constraints, data: st.DataObject
) -> None:
    """Placing, leaving and copies in any order; a fleet built anew for each decision has nothing to remember."""
    fleet, here = fleet_of(nodes, runs), list(runs)
    chosen_limits = data.draw(limits)
    for number in range(data.draw(st.integers(1, 12))):
        if data.draw(st.booleans()):
            fleet = fleet.copy()
        if here and data.draw(st.booleans()):
            gone = here.pop(data.draw(st.integers(0, len(here) - 1)))
            fleet.take(NodeName(gone.node), gone.resources, -1, gone.labels)
        request = data.draw(st.sampled_from(requests))
        ask = Ask(shape=Shape(request, wants), limits=chosen_limits)

        placed = place(fleet, ask, ExecutionId(UUID(int=number)))

        assert placed == place(fleet_of(nodes, here), ask, ExecutionId(UUID(int=number)))
        if not isinstance(placed, Reason):
            here.append(Tenant(node=placed[0].node, resources=request, labels=RUN_LABELS[2]))
            fleet.take(placed[0].node, request, 1, RUN_LABELS[2])


@given(st.integers(2, 40), st.lists(st.integers(0, 39), max_size=60))
def test_remembered_scores_hold_in_every_copy(make: SimpleNamespace, size: int, moves: list[int]) -> None:
    """Two copies that go different ways use the same memory, and each decides as if it had it alone."""
    nodes = [make.node(i, cpu=1000 * (3 - i % 3), ready=i % 3 > 0) for i in range(size)]
    ask = Ask(shape=Shape(Resources(cpu_milli=100)), limits=PoolSettings())
    base = NodeUsage(nodes)
    twins, alone = (base.copy(), base.copy()), (NodeUsage(nodes), NodeUsage(nodes))
    for number, move in enumerate(moves):
        for fleet in (twins[number % 2], alone[number % 2]):
            fleet.take(NodeName(f"n{move % size}"), Resources(cpu_milli=50 * move))
        run = make.run_id(number)
        for twin, single in zip(twins, alone, strict=True):
            assert place(twin, ask, run) == place(single, ask, run)
    assert not base.used.any()


@given(st.lists(st.integers(0, 2), min_size=placement.MANY + 1, max_size=200), st.integers(2, 5), st.integers(0, 9))
def test_of_many_equal_nodes_the_same_few_are_picked_as_by_sorting_all(
    make: SimpleNamespace, used: list[int], candidates: int, number: int
) -> None:
    fleet = NodeUsage([make.node(i) for i in range(len(used))])
    for i, times in enumerate(used):
        fleet.take(NodeName(f"n{i}"), Resources(cpu_milli=500 * times))
    ask = Ask(shape=Shape(Resources(cpu_milli=100)), limits=PoolSettings(candidates=candidates))

    placed = place(fleet, ask, make.run_id(number))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(placement, "MANY", len(used))
        assert place(fleet, ask, make.run_id(number)) == placed


def test_as_many_changes_are_not_the_same_changes(make: SimpleNamespace) -> None:
    """One node changes once in each of two copies: what was remembered of the one is not taken for the other."""
    base = NodeUsage([make.node(i, labels={"k": str(i)}) for i in range(8)])
    constraints = Constraints(node_selector=(("k", "0"),))
    ask = Ask(shape=Shape(Resources(cpu_milli=2000), constraints), limits=PoolSettings())
    for number in range(3):
        assert len(place(base, ask, make.run_id(number))) == 1
    full, roomy = base.copy(), base.copy()
    full.take(NodeName("n0"), Resources(cpu_milli=4000))
    roomy.take(NodeName("n0"), Resources(cpu_milli=1000))

    assert isinstance(place(full, ask, make.run_id(4)), Reason)
    assert [score.free for score in place(roomy, ask, make.run_id(5))] == [0.25]
    assert isinstance(place(full, ask, make.run_id(6)), Reason)
    assert [score.free for score in place(base, ask, make.run_id(7))] == [0.5]


@given(pools(), tenants, resources, limits)
def test_the_same_question_has_the_same_answer(
    nodes: list[Node], runs: list[Tenant], request: Resources, given_limits: PoolSettings
) -> None:
    """Whatever the order in which the nodes were listed."""
    ask = Ask(shape=Shape(request), limits=given_limits)
    run = ExecutionId(UUID(int=3))

    assert place(fleet_of(nodes, runs), ask, run) == place(fleet_of(nodes[::-1], runs), ask, run)


def test_the_seed_decides_between_equal_nodes(make: SimpleNamespace) -> None:
    fleet = NodeUsage([make.node(i) for i in range(6)])

    def chosen(seed: int) -> list[Any]:
        ask = Ask(shape=Shape(Resources(cpu_milli=1)), limits=PoolSettings(seed=seed))
        return [place(fleet, ask, make.run_id(number))[0].node for number in range(60)]

    assert chosen(1) == chosen(1) != chosen(2)
    assert min(Counter(chosen(1)).values()) >= 3
    assert len(Counter(chosen(1))) == 6
