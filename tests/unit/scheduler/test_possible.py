"""Could empty nodes hold it: what is told at submit."""

from uuid import UUID

import pytest

from model.ids import ExecutionId, NodeName
from model.resources import Resources
from scheduler.placement.ask import Ask
from scheduler.placement.feasibility import group_impossible, group_too_large, too_large
from scheduler.placement.filter_reasons import impossible
from scheduler.placement.node_usage import NodeUsage
from scheduler.values.node import Node
from scheduler.values.pool import PoolSettings
from scheduler.values.reasons import Code
from scheduler.values.run import Apart, Constraints, Shape

GI = 2**30


def node(name: str, cpu: int = 4000, memory: int = 8 * GI, **facts: object) -> Node:
    capacity = Resources(cpu_milli=cpu, memory_bytes=memory)
    return Node(name=NodeName(name), capacity=capacity, **facts)  # type: ignore[arg-type]


def ask(cpu: int = 100, memory: int = GI, gpu: int = 0, **rules: object) -> Ask:
    resources = Resources(cpu_milli=cpu, memory_bytes=memory, gpu=gpu)
    return Ask(shape=Shape(resources, Constraints(**rules)), limits=PoolSettings())  # type: ignore[arg-type]


def members(*asks: Ask) -> list[tuple[ExecutionId, Ask]]:
    return [(ExecutionId(UUID(int=number)), one) for number, one in enumerate(asks, start=1)]


def test_what_fits_an_empty_node_is_possible_however_busy_the_node_is() -> None:
    fleet = NodeUsage([node("a")])
    fleet.take(NodeName("a"), Resources(cpu_milli=4000))

    assert impossible(fleet, ask(cpu=4000)) is None


@pytest.mark.parametrize(
    ("wanted", "code", "words"),
    [
        (ask(cpu=4001), Code.TOO_LARGE, "needs 4001m CPU; the largest node has 4000m CPU"),
        (ask(node_selector=(("disk", "ssd"),)), Code.NO_MATCH, "no node matches: of 1, 1 without label disk=ssd"),
    ],
)
def test_what_no_empty_node_would_take_has_its_reason(wanted: Ask, code: Code, words: str) -> None:
    reason = impossible(NodeUsage([node("a")]), wanted)

    assert reason is not None
    assert (reason.code, reason.text) == (code, words)


def test_every_amount_that_is_too_large_is_told_with_the_largest_nodes_number() -> None:
    found = too_large(NodeUsage([node("a"), node("b", cpu=8000)]), ask(cpu=9000, memory=9 * GI, gpu=1))

    assert {name: str(reason) for name, reason in found.items()} == {
        "cpu_milli": "needs 9000m CPU; the largest node has 8000m CPU",
        "memory_bytes": "needs 9Gi memory; the largest node has 8Gi memory",
        "gpu": "needs 1 GPU; the largest node has 0 GPUs",
    }


def test_amounts_that_no_single_node_has_together_are_told_as_one() -> None:
    fleet = NodeUsage([node("wide", cpu=8000, memory=GI), node("deep", cpu=1000, memory=16 * GI)])

    assert list(too_large(fleet, ask(cpu=8000, memory=16 * GI))) == [""]
    assert too_large(fleet, ask(cpu=8000, memory=GI)) == {}


def test_a_node_that_is_not_ready_may_come_back_so_nothing_is_larger_than_all() -> None:
    fleet = NodeUsage([node("small", cpu=100), node("large", ready=False)])

    assert too_large(fleet, ask(cpu=4000)) == {}
    assert too_large(NodeUsage(), ask(cpu=10**6)) == {}


def test_a_group_larger_than_all_nodes_together_is_told_with_the_sums() -> None:
    fleet = NodeUsage([node("a"), node("b")])

    assert group_too_large(fleet, [ask(cpu=4000)] * 2) is None
    assert str(group_too_large(fleet, [ask(cpu=4000)] * 3)) == (
        "the 3 tests need 12000m CPU together; all nodes have 8000m CPU"
    )


def test_a_group_that_fits_the_sums_but_not_the_nodes_cannot_start_together() -> None:
    fleet = NodeUsage([node("a"), node("b")])

    reason = group_impossible(fleet, members(*[ask(cpu=2500)] * 3))

    assert reason is not None
    assert (reason.code, str(reason)) == (
        Code.GROUP,
        "on empty nodes only 2 of the 3 tests find room at the same time",
    )
    assert group_impossible(fleet, members(*[ask(cpu=2000)] * 4)) is None
    assert not fleet.used.any()


def test_members_that_keep_apart_need_a_node_each() -> None:
    labels = (("suite", "load"),)
    apart = (Apart(topology="kubernetes.io/hostname", labels=labels),)
    lonely = Ask(shape=Shape(Resources(cpu_milli=100), Constraints(apart=apart)), limits=PoolSettings(), labels=labels)
    fleet = NodeUsage([node(name, labels={"kubernetes.io/hostname": name}) for name in ("a", "b")])

    assert group_impossible(fleet, members(lonely, lonely)) is None
    assert group_impossible(fleet, members(lonely, lonely, lonely)) is not None
