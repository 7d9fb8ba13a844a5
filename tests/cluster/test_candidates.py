"""kube-scheduler chooses among the candidates of the gate, and what becomes of a run whose candidates do not take it.

The nodes are fake: pods are bound to them, and nothing runs there.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from harness import cluster_namespaces, fake_nodes
from harness.fake_nodes import FakeNode

from cluster.backend import AttemptId, CalledOffError, LaunchOrder, PlacementError
from cluster.contents import ContentStore
from cluster.kubernetes import names
from cluster.kubernetes.backend import Disk, KubernetesBackend
from cluster.kubernetes.connection import Connection
from model.command import Command, Where
from model.config import ExecutionConfig, Toleration, TolerationOperator
from model.content import InlineContent
from model.ids import ExecutionId, NodeName, RunId
from model.resources import ResourceRequirements

pytestmark = pytest.mark.cluster

PATIENCE = 30.0
ONE_CPU = {"cpu": "1", "memory": "1Gi", "pods": "10"}


@dataclass
class Ground:
    """Two fake nodes of one CPU, a namespace, and a backend that waits for two seconds."""

    connection: Connection
    backend: KubernetesBackend
    nodes: tuple[NodeName, NodeName]
    chosen: asyncio.Queue[NodeName] = field(default_factory=asyncio.Queue)
    over: bool = False

    def fill(self, node: NodeName) -> None:
        """Let somebody else's pod use most of a node."""
        own = names.cluster_node(node, fake_nodes.NAME)
        self.connection.create(f"{self.inside}/pods", fake_nodes.filler(f"other-{own}", own, "800m"))

    def order(self) -> LaunchOrder:
        async def bound(node: NodeName) -> None:
            self.chosen.put_nowait(node)

        tolerations = (Toleration(key=fake_nodes.TAINT["key"], operator=TolerationOperator.EXISTS),)
        return LaunchOrder(
            attempt=AttemptId(execution_id=ExecutionId(RunId(uuid4())), number=1),
            node=self.nodes[0],
            candidates=self.nodes,
            content=InlineContent(files={"run.sh": "true"}),
            command=Command(argv=("sh", "run.sh"), folder=Where.ENTRY),
            resources=ResourceRequirements(cpu_request="500m", memory_request="64Mi"),
            config=ExecutionConfig(tolerations=tolerations),
            bound=bound,
            called_off=lambda: self.over,
        )

    @property
    def inside(self) -> str:
        return f"/api/v1/namespaces/{self.connection.access.namespace}"


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    access = cluster_namespaces.make(fake_nodes.usable())
    connection = Connection(access)
    backend = KubernetesBackend(
        access, Disk(runs=tmp_path / "runs", contents=ContentStore(tmp_path / "content")), timedelta(seconds=2)
    )
    own = [FakeNode(name=f"{access.namespace}-{letter}", allocatable=ONE_CPU) for letter in "ab"]
    with fake_nodes.made(connection, own):
        first, second = (names.gate_node(node.name, fake_nodes.NAME) for node in own)
        yield Ground(connection=connection, backend=backend, nodes=(first, second))
        backend.close()
        cluster_namespaces.remove(connection)
    connection.close()


@asynccontextmanager
async def launching(ground: Ground, order: LaunchOrder) -> AsyncIterator["asyncio.Task[object]"]:
    """Launch in the background, and call it off at the end: nothing gets ready on a fake node."""
    task = asyncio.create_task(ground.backend.launch(order))
    try:
        yield task
    finally:
        ground.over = True
        with pytest.raises((CalledOffError, PlacementError)):
            await task


async def until_bound(ground: Ground) -> NodeName:
    async with asyncio.timeout(PATIENCE):
        return await ground.chosen.get()


async def test_the_first_candidate_is_chosen_while_it_has_room(ground: Ground) -> None:
    async with launching(ground, ground.order()):
        assert await until_bound(ground) == ground.nodes[0]


async def test_the_next_candidate_is_chosen_when_the_first_is_full(ground: Ground) -> None:
    ground.fill(ground.nodes[0])

    async with launching(ground, ground.order()):
        assert await until_bound(ground) == ground.nodes[1]


async def test_candidates_without_room_are_given_up_with_the_reason(ground: Ground) -> None:
    for node in ground.nodes:
        ground.fill(node)

    with pytest.raises(PlacementError, match="Insufficient cpu") as refused:
        await ground.backend.launch(ground.order())

    assert refused.value.nodes == set(ground.nodes)
    assert await ground.backend.running() == []


@pytest.mark.parametrize("reason", ["OutOfcpu", "OutOfmemory", "OutOfpods", "NodeAffinity", "NodePorts"])
async def test_a_pod_that_its_kubelet_refuses_is_a_conflict_of_that_node(ground: Ground, reason: str) -> None:
    """The test says what a kubelet says: a fake node has none."""
    order = ground.order()
    pod = f"{ground.inside}/pods/{names.pod_name(order.attempt)}"
    launch = asyncio.create_task(ground.backend.launch(order))
    node = await until_bound(ground)

    status = {"phase": "Failed", "reason": reason, "message": "Pod was rejected", "containerStatuses": []}
    await asyncio.to_thread(ground.connection.patch, f"{pod}/status", {"status": status})
    with pytest.raises(PlacementError, match=reason) as refused:
        await launch

    assert refused.value.nodes == {node}


async def test_a_launch_without_candidates_names_its_node_alone(ground: Ground) -> None:
    ground.fill(ground.nodes[0])

    with pytest.raises(PlacementError, match="Insufficient cpu") as refused:
        await ground.backend.launch(replace(ground.order(), candidates=()))

    assert refused.value.nodes == {ground.nodes[0]}
