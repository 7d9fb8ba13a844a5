"""What decides where a run may be is written at once, amounts alone every ten seconds (014.9)."""

from typing import Any

import pytest

from db import nodes
from db.seeds import DEFAULT_POOL
from flows.node_recorder import AMOUNT_SECONDS, NodeRecorder
from model.config import Effect
from model.ids import NodeName
from model.resources import Resources
from scheduler.values.node import DEFAULT_BACKEND, Node, Taint

CORDON = Taint(key="node.kubernetes.io/unschedulable", effect=Effect.NO_SCHEDULE)


def node(cpu: int, *taints: Taint) -> Node:
    return Node(name=NodeName("c0"), capacity=Resources(cpu_milli=cpu), taints=taints)


def stored(bare: Any) -> list[Node]:
    found: list[Node] = bare.do(lambda conn: nodes.read(conn, DEFAULT_POOL))
    return found


@pytest.fixture
def recorder(bare: Any) -> NodeRecorder:
    return NodeRecorder(bare.db, DEFAULT_POOL)


async def test_amounts_alone_are_written_every_ten_seconds(bare: Any, recorder: NodeRecorder) -> None:
    await recorder.record(DEFAULT_BACKEND, [node(9)], 0.0)
    await recorder.record(DEFAULT_BACKEND, [node(8)], 2.0)
    early = stored(bare)
    await recorder.record(DEFAULT_BACKEND, [node(7)], AMOUNT_SECONDS)

    assert early == [node(9)]
    assert stored(bare) == [node(7)]


async def test_a_cordon_and_a_node_that_is_gone_are_written_at_once(bare: Any, recorder: NodeRecorder) -> None:
    await recorder.record(DEFAULT_BACKEND, [node(9)], 0.0)
    await recorder.record(DEFAULT_BACKEND, [node(8, CORDON)], 1.0)
    cordoned = stored(bare)
    await recorder.record(DEFAULT_BACKEND, [], 2.0)

    assert cordoned == [node(8, CORDON)]
    assert stored(bare) == []


async def test_nothing_is_written_while_nothing_changes(bare: Any, recorder: NodeRecorder) -> None:
    await recorder.record(DEFAULT_BACKEND, [node(9)], 0.0)
    version = bare.do(lambda conn: nodes.snapshot(conn, DEFAULT_POOL)).version
    for second in range(1, 30):
        await recorder.record(DEFAULT_BACKEND, [node(9)], float(second))

    assert bare.do(lambda conn: nodes.snapshot(conn, DEFAULT_POOL)).version == version
