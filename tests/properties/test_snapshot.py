"""The packed nodes of a pool."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config import Effect
from model.ids import BackendName, NodeName
from model.resources import Resources
from scheduler.values.node import Node, Taint
from scheduler.values.packed_nodes import FORMAT, pack, unpack

large, text = st.integers(0, 2**63 - 1), st.text(max_size=8)
nodes = st.builds(
    Node,
    name=text.map(NodeName),
    capacity=st.builds(Resources, cpu_milli=large, memory_bytes=large, ephemeral_bytes=large, gpu=st.integers(0, 64)),
    pods=st.integers(0, 2**31),
    labels=st.dictionaries(text, text, max_size=4),
    taints=st.lists(st.builds(Taint, key=text, value=text, effect=st.sampled_from(list(Effect))), max_size=2).map(
        tuple
    ),
    ready=st.booleans(),
    backend=st.sampled_from(["local/a", "local/b", "kubernetes/c"]).map(BackendName),
)
pools = st.lists(nodes, max_size=6, unique_by=lambda node: node.name)


@given(pools)
def test_nodes_come_back_as_they_were_in_order_of_name(pool: list[Node]) -> None:
    assert unpack(pack(pool)) == tuple(sorted(pool, key=lambda node: node.name))


@given(pools)
def test_the_same_nodes_give_the_same_bytes(pool: list[Node]) -> None:
    turned = [
        Node(
            name=node.name,
            capacity=node.capacity,
            pods=node.pods,
            labels=dict(reversed(node.labels.items())),
            taints=node.taints,
            ready=node.ready,
            backend=node.backend,
        )
        for node in reversed(pool)
    ]

    assert pack(turned) == pack(pool)


def test_equal_labels_are_one_object(make: SimpleNamespace) -> None:
    first, second, third = unpack(pack([make.node(i, labels={"zone": "ab"[i // 2]}) for i in range(3)]))

    assert first.labels is second.labels
    assert first.labels != third.labels


@pytest.mark.parametrize(("data", "found"), [(b"\xff123", "255"), (b"", "none")])
def test_a_format_of_another_version_is_refused(data: bytes, found: str) -> None:
    with pytest.raises(ValueError, match=f"have format {found}, this version of Assay reads format {FORMAT}"):
        unpack(data)


def test_five_thousand_nodes_are_half_a_megabyte_at_most(make: SimpleNamespace) -> None:
    """Each with a name, a serial number and a size of its own, and labels that many share."""
    pool = [
        make.node(
            number,
            memory=2**34 + number * 7919,
            labels={
                "kubernetes.io/hostname": f"ip-10-0-{number}.eu-west-1.compute.internal",
                "example.org/serial": f"{number * 2654435761 % 2**64:016x}",
                **{f"example.org/label-{key}": f"value-{number % (key + 2)}" for key in range(12)},
            },
        )
        for number in range(5000)
    ]

    assert len(pack(pool)) < 512 * 1024
