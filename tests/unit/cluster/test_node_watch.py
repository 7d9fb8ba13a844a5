"""What the nodes have left, kept up to date by changes, is what the lists would say."""

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cluster.kubernetes import node_facts
from cluster.kubernetes.api_objects import ApiNode, Pod
from cluster.kubernetes.connection import ClusterAccess, Connection
from cluster.kubernetes.node_watch import NodeWatch
from model.resources import Resources

ACCESS = ClusterAccess(name="lab", namespace="tests", image="python:3", kubeconfig=Path("none"))
OURS = {"assay.internal/execution": "01234567-89ab-7def-8123-456789abcdef", "assay.internal/attempt": "1"}
NODES, PODS = ("n0", "n1", "n2"), ("p0", "p1", "p2", "p3")


def node(name: str, cpu: str = "4", **spec: Any) -> ApiNode:
    status = {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "9"}, "conditions": [_READY]}
    return ApiNode.model_validate({"metadata": {"name": name}, "spec": spec, "status": status})


def pod(name: str, on: str, cpu: str = "1", phase: str = "Running", *, ours: bool = False) -> Pod:
    spec = {"nodeName": on, "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}
    metadata = {"name": name, "labels": OURS if ours else {}}
    return Pod.model_validate({"metadata": metadata, "spec": spec, "status": {"phase": phase}})


_READY = {"type": "Ready", "status": "True"}
_STEPS = st.one_of(
    st.tuples(st.just("node"), st.sampled_from(NODES), st.sampled_from(["1", "4"]), st.booleans()),
    st.tuples(st.just("no node"), st.sampled_from(NODES)),
    st.tuples(
        st.just("pod"),
        st.sampled_from(PODS),
        st.sampled_from(("", *NODES)),
        st.sampled_from(["100m", "2"]),
        st.sampled_from(["Pending", "Running", "Succeeded"]),
        st.booleans(),
    ),
    st.tuples(st.just("no pod"), st.sampled_from(PODS)),
    st.tuples(st.just("lists")),
    st.tuples(st.just("read")),
)


@given(st.lists(_STEPS, max_size=40))
def test_changes_lead_to_what_the_lists_say(steps: list[tuple[Any, ...]]) -> None:
    watch = NodeWatch(Connection(ACCESS))
    nodes: dict[str, ApiNode] = {}
    pods: dict[str, Pod] = {}
    for kind, *rest in steps:
        if kind == "node":
            nodes[rest[0]] = node(rest[0], rest[1], unschedulable=rest[2])
            watch.take_node(nodes[rest[0]])
        elif kind == "no node" and rest[0] in nodes:
            watch.take_node(nodes.pop(rest[0]), gone=True)
        elif kind == "pod":
            pods[rest[0]] = pod(rest[0], rest[1], rest[2], rest[3], ours=rest[4])
            watch.take_pod(pods[rest[0]])
        elif kind == "no pod" and rest[0] in pods:
            watch.take_pod(pods.pop(rest[0]), gone=True)
        elif kind == "lists":
            watch.take_nodes(list(nodes.values()))
            watch.take_pods(list(pods.values()))
        elif kind == "read":
            watch.left()

    assert list(watch.left()) == node_facts.nodes_of(nodes.values(), pods.values(), "lab")


def test_what_changes_nothing_leaves_the_same_value() -> None:
    """Whoever writes the nodes down sees at once that there is nothing to write."""
    watch = NodeWatch(Connection(ACCESS))
    watch.take_nodes([node("n0"), node("n1")])
    watch.take_pods([pod("p0", "n0")])
    before = watch.left()

    watch.take_node(node("n0"))
    watch.take_pod(pod("p0", "n0"))
    watch.take_pod(pod("p1", "n1", ours=True))
    watch.take_pod(pod("p2", "n1", phase="Succeeded"))

    assert watch.left() is before


def test_a_change_touches_its_node_only() -> None:
    watch = NodeWatch(Connection(ACCESS))
    watch.take_nodes([node("n0"), node("n1")])
    before = watch.left()

    watch.take_pod(pod("p0", "n1", "1500m"))
    after = watch.left()

    assert after[0] is before[0]
    assert after[1].capacity == Resources(cpu_milli=2500, memory_bytes=8 * 2**30)
    assert after[1].pods == 8
