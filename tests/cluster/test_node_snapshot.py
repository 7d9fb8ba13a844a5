"""The nodes of a cluster as the gate gets them: by watch, with what others use, and without those that are gone."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from harness import cluster_namespaces, fake_nodes
from harness.fake_nodes import POD_SECURITY, SECURITY, FakeNode

from cluster.contents import ContentStore
from cluster.kubernetes import names, node_facts
from cluster.kubernetes.backend import Disk, KubernetesBackend
from cluster.kubernetes.connection import Connection
from scheduler.values.node import Node

pytestmark = pytest.mark.cluster

PATIENCE = 30.0
LOOK_SECONDS = 0.1
SIZE = {"cpu": "4", "memory": "8Gi", "pods": "10"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Two fake nodes, and a backend that watches them."""

    connection: Connection
    backend: KubernetesBackend
    own: tuple[str, ...]

    @property
    def pods(self) -> str:
        return f"/api/v1/namespaces/{self.connection.access.namespace}/pods"

    async def until(self, true: Callable[[dict[str, Node]], bool]) -> dict[str, Node]:
        """Look until something holds for our nodes; return them by their names in the cluster."""
        known: dict[str, Node] = {}
        for _ in range(int(PATIENCE / LOOK_SECONDS)):
            found = {names.cluster_node(node.name, fake_nodes.NAME): node for node in await self.backend.nodes()}
            known = {name: node for name, node in found.items() if name in self.own}
            if true(known):
                return known
            await asyncio.sleep(LOOK_SECONDS)
        pytest.fail(f"it did not become true: {known}")


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    access = cluster_namespaces.make(fake_nodes.usable())
    connection = Connection(access)
    backend = KubernetesBackend(access, Disk(runs=tmp_path / "runs", contents=ContentStore(tmp_path / "content")))
    own = [FakeNode(name=f"{access.namespace}-{letter}", allocatable=SIZE) for letter in "ab"]
    with fake_nodes.made(connection, own):
        yield Ground(connection=connection, backend=backend, own=tuple(node.name for node in own))
        backend.close()
        cluster_namespaces.remove(connection)
    connection.close()


def pod(name: str, node: str, cpu: str, *init: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name} | metadata,
        "spec": {"nodeName": node, "containers": [asks("c", cpu)], "initContainers": list(init), **POD_SECURITY},
    }


def asks(name: str, cpu: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "none.invalid/none", "resources": {"requests": {"cpu": cpu}}, **SECURITY, **more}


async def test_what_others_use_is_taken_off_and_given_back(ground: Ground) -> None:
    """Of init containers the largest counts, with the sidecars that were started before it."""
    first, second = ground.own
    await ground.until(lambda known: len(known) == len(ground.own))
    sidecar, large = asks("s", "500m", restartPolicy="Always"), asks("i", "2")

    ground.connection.create(ground.pods, pod("plain", first, "1"))
    ground.connection.create(ground.pods, pod("mixed", second, "100m", sidecar, large))
    known = await ground.until(lambda known: [known[name].pods for name in ground.own] == [9, 9])
    ground.connection.delete(f"{ground.pods}/plain", grace=0)
    after = await ground.until(lambda known: known[first].pods == 10)

    assert [known[name].capacity.cpu_milli for name in ground.own] == [3000, 1500]
    assert after[first].capacity.cpu_milli == 4000


async def test_a_cordon_and_a_taint_are_seen(ground: Ground) -> None:
    first, second = ground.own
    await ground.until(lambda known: len(known) == len(ground.own))

    ground.connection.patch(f"/api/v1/nodes/{first}", {"spec": {"unschedulable": True}})
    known = await ground.until(lambda known: node_facts.UNSCHEDULABLE in known[first].taints)

    assert node_facts.UNSCHEDULABLE not in known[second].taints


async def test_a_node_that_vanishes_is_gone_and_one_that_comes_is_there(ground: Ground) -> None:
    first, second = ground.own
    await ground.until(lambda known: len(known) == len(ground.own))

    ground.connection.delete(f"/api/v1/nodes/{first}", grace=0)
    await ground.until(lambda known: set(known) == {second})
    ground.connection.create("/api/v1/nodes", fake_nodes.body(FakeNode(name=first, allocatable=SIZE), "again"))
    await ground.until(lambda known: first in known and known[first].ready)


async def test_nothing_is_told_twice_while_nothing_changes(ground: Ground) -> None:
    await ground.until(lambda known: len(known) == len(ground.own) and all(node.ready for node in known.values()))

    before = {node.name: node for node in await ground.backend.nodes()}
    again = {node.name: node for node in await ground.backend.nodes()}

    own = [names.gate_node(name, fake_nodes.NAME) for name in ground.own]
    assert all(before[name] is again[name] for name in own)
