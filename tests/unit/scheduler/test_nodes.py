"""What makes two looks at the nodes different."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from scheduler.values.node import Node, differ_in_amounts_only


def test_amounts_are_told_apart_from_all_else(make: SimpleNamespace) -> None:
    nodes = [make.node(0), make.node(1)]
    fuller = [nodes[0], make.node(1, cpu=10, memory=5, pods=3)]

    assert differ_in_amounts_only(nodes, fuller)
    assert differ_in_amounts_only(nodes, nodes)


@pytest.mark.parametrize("change", [{"ready": False}, {"labels": {"a": "b"}}, {"backend": "other"}, {"name": "n9"}])
def test_what_decides_where_a_run_may_be_is_no_amount(make: SimpleNamespace, change: dict[str, object]) -> None:
    nodes: list[Node] = [make.node(0), make.node(1)]
    other = [nodes[0], replace(nodes[1], **change)]  # type: ignore[arg-type]

    assert not differ_in_amounts_only(nodes, other)
    assert not differ_in_amounts_only(nodes, nodes[:1])
