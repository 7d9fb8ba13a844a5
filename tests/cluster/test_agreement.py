"""Our filter and kube-scheduler agree: a node that one of them takes for a pod, the other takes too.

Each case is a pod and four nodes. For each of the nodes the pod is made as a run's pod is, with this node as its only
candidate, and kube-scheduler's answer is compared with ours. In `make sweep` there are 500 cases, else 200 of them.
"""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from harness import cluster_namespaces, fake_nodes
from harness.scheduling_cases import Case, World, world

from cluster.backend import AttemptId, LaunchOrder
from cluster.kubernetes import names, pod_facts
from cluster.kubernetes.api_objects import Pod
from cluster.kubernetes.connection import Connection
from cluster.kubernetes.list_watch import ListWatch, Source
from cluster.kubernetes.node_watch import NodeWatch
from cluster.kubernetes.pod import PodSite, pod_of
from model.command import Command
from model.config import ExecutionConfig, Toleration, TolerationOperator
from model.content import InlineContent
from model.ids import ExecutionId, NodeName, RunId
from model.resources import Resources
from scheduler.placement.ask import Ask
from scheduler.placement.node_usage import NodeUsage
from scheduler.placement.placement import choose
from scheduler.values.node import Node
from scheduler.values.pool import PoolSettings
from scheduler.values.run import Constraints, Shape

pytestmark = pytest.mark.cluster

WORLDS = 5
"""Of 100 cases each."""
SEEDS = range(WORLDS if os.environ.get("ASSAY_SWEEP") == "all" else 2)
PATIENCE = 90.0
SETTLE_SECONDS = 10.0

DEVIATIONS: Mapping[str, str] = {
    "not ready": "a node that is not ready takes no run of ours, also one that tolerates its taint",
}
"""Where we differ on purpose, and why: in these the generated cases would disagree, so they are tried by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """A pod on one node."""

    case: Case
    node: str
    attempt: AttemptId

    @property
    def pod(self) -> str:
        return names.pod_name(self.attempt)


class Answers:
    """What kube-scheduler has said about each pod: True if it was bound."""

    def __init__(self) -> None:
        self._said = threading.Condition()
        self._bound: dict[str, bool] = {}
        self._why: dict[str, str] = {}

    def listed(self, objects: Sequence[Pod]) -> None:
        for one in objects:
            self.changed(one)

    def changed(self, one: Pod) -> None:
        if one.spec.node_name or pod_facts.unschedulable(one):
            with self._said:
                self._bound[one.metadata.name] = bool(one.spec.node_name) or self._bound.get(one.metadata.name, False)
                self._why[one.metadata.name] = pod_facts.unschedulable(one)
                self._said.notify_all()

    def deleted(self, one: Pod) -> None:
        """Keep what was said."""

    def why(self, pod: str) -> str:
        """Return the reason of the last refusal, empty for a pod that was bound."""
        with self._said:
            return self._why[pod]

    def of(self, pods: Mapping[str, bool]) -> dict[str, bool]:
        """Wait for the answers about these pods. `pods` says what is expected of each.

        kube-scheduler may still count a pod of the round before, and binds the next one when it has seen its end: an
        unexpected refusal is waited out for a moment.
        """
        with self._said:
            done = self._said.wait_for(lambda: all(pod in self._bound for pod in pods), PATIENCE)
            assert done, [pod for pod in pods if pod not in self._bound]
            self._said.wait_for(lambda: all(self._bound[pod] for pod in pods if pods[pod]), SETTLE_SECONDS)
            return {pod: self._bound[pod] for pod in pods}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A namespace, the nodes as our filter sees them, and what kube-scheduler answers."""

    connection: Connection
    threads: ThreadPoolExecutor
    nodes: NodeWatch
    answers: Answers

    @property
    def pods(self) -> str:
        return f"/api/v1/namespaces/{self.connection.access.namespace}/pods"


@pytest.fixture
def ground() -> Iterator[Ground]:
    access = cluster_namespaces.make(fake_nodes.usable())
    connection = Connection(access)
    answers = Answers()
    path = f"/api/v1/namespaces/{access.namespace}/pods"
    watch: ListWatch[Pod] = ListWatch(connection, Source(title="answers", path=path, kind=Pod), answers)
    nodes = NodeWatch(connection)
    watch.begin()
    with ThreadPoolExecutor(12) as threads:
        yield Ground(connection=connection, threads=threads, nodes=nodes, answers=answers)
    watch.close()
    nodes.close()
    cluster_namespaces.remove(connection)
    connection.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_our_filter_and_kube_scheduler_agree(ground: Ground, seed: int) -> None:
    generated = world(seed, f"{ground.connection.access.namespace}-{seed}")
    with fake_nodes.made(ground.connection, generated.nodes):
        known = seen(ground, generated)
        different = []
        both = set()
        for cases in generated.rounds:
            tries = [
                Try(case=case, node=node, attempt=AttemptId(execution_id=ExecutionId(RunId(uuid4())), number=1))
                for case in cases
                for node in case.nodes
            ]
            ours = {one.pod: feasible(known[one.node], one.case) for one in tries}
            theirs = asked(ground, tries, ours)
            both |= set(theirs.values())
            different += [
                f"{known[one.node]}: {one.case}: {ground.answers.why(one.pod) or 'bound'}"
                for one in tries
                if ours[one.pod] != theirs[one.pod]
            ]

    assert not different, "\n".join(different)
    assert both == {True, False}


def test_a_node_that_is_not_ready_is_where_we_differ() -> None:
    """kube-scheduler goes by the taint alone; we go by the condition, since a run there would only wait."""
    [[case]] = world(7, "n", nodes=1, rounds=1, per_case=1).rounds
    plenty = Resources(cpu_milli=10**6, memory_bytes=10**12, ephemeral_bytes=10**12, gpu=9)
    patient = replace(case, config=ExecutionConfig(tolerations=(Toleration(operator=TolerationOperator.EXISTS),)))
    ready = Node(name=NodeName("n"), capacity=plenty)

    assert feasible(ready, patient)
    assert not feasible(replace(ready, ready=False), patient)


def seen(ground: Ground, generated: World) -> dict[str, Node]:
    """Make the pods of others, and return the nodes once our watch has seen all of them."""
    list(ground.threads.map(lambda body: ground.connection.create(ground.pods, body), generated.fillers))
    expected = {node.name: int(node.allocatable["pods"]) for node in generated.nodes}
    for filler in generated.fillers:
        expected[filler["spec"]["nodeName"]] -= 1
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.2)):
        cluster = ground.connection.access.name
        known = {names.cluster_node(node.name, cluster): node for node in ground.nodes.read()}
        if all(name in known and known[name].pods == max(0, pods) for name, pods in expected.items()):
            return {name: known[name] for name in expected}
        pause.wait(0.2)
    pytest.fail("our watch does not see the pods of others")


def feasible(node: Node, case: Case) -> bool:
    """Return whether our filter lets the pod of a case onto a node."""
    constraints = Constraints(
        node_selector=tuple(sorted(case.config.node_selector.items())),
        tolerations=case.config.tolerations,
        affinity=case.config.affinity,
    )
    ask = Ask(shape=Shape(case.resources.requested(), constraints), limits=PoolSettings(spot=True))
    return bool(choose(NodeUsage([node]), ask, ExecutionId(RunId(UUID(int=1)))))


def asked(ground: Ground, tries: Sequence[Try], expected: Mapping[str, bool]) -> dict[str, bool]:
    """Make the pods, wait for the answers, and remove them."""
    bodies = [body_of(one, ground.connection.access.namespace) for one in tries]
    list(ground.threads.map(lambda body: ground.connection.create(ground.pods, body), bodies))
    answers = ground.answers.of(expected)
    list(ground.threads.map(lambda one: ground.connection.delete(f"{ground.pods}/{one.pod}", grace=0), tries))
    return answers


def body_of(one: Try, namespace: str) -> dict[str, Any]:
    """Return the pod of a run, with one candidate. Nobody fetches results here, so it has no finalizer."""
    order = LaunchOrder(
        attempt=one.attempt,
        node=names.gate_node(one.node, fake_nodes.NAME),
        content=InlineContent(files={"run.sh": "true"}),
        command=Command(argv=("sh", "run.sh")),
        resources=one.case.resources,
        config=one.case.config,
    )
    body: dict[str, Any] = pod_of(order, PodSite(namespace=namespace, nodes=(one.node,), image="python:3"))
    body["metadata"]["finalizers"] = []
    return body
