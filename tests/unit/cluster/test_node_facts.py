"""What nodes can still give: what others' pods request is taken off, as a kubelet counts it."""

from typing import Any

import pytest

from cluster.kubernetes import node_facts
from cluster.kubernetes.api_objects import ApiNode, Pod
from model.config import Effect
from scheduler.values.node import Node, Taint

GIVEN = {"cpu": "4", "memory": "8Gi", "ephemeral-storage": "100Gi", "pods": "110", "nvidia.com/gpu": "2"}
OURS = {"assay.internal/execution": "01234567-89ab-7def-8123-456789abcdef", "assay.internal/attempt": "1"}


def node(name: str = "n1", ready: str = "True", **spec: Any) -> ApiNode:
    status = {"allocatable": GIVEN, "conditions": [{"type": "Ready", "status": ready}]}
    return ApiNode.model_validate({"metadata": {"name": name, "labels": {"zone": "a"}}, "spec": spec, "status": status})


def asks(name: str = "c", policy: str | None = None, **requests: str) -> dict[str, Any]:
    return {"name": name, "resources": {"requests": requests}, "restartPolicy": policy}


def pod(*containers: dict[str, Any], init: tuple[dict[str, Any], ...] = (), **more: Any) -> Pod:
    spec = {"nodeName": "n1", "containers": containers, "initContainers": init, "overhead": more.pop("overhead", {})}
    return Pod.model_validate({"metadata": more.pop("metadata", {}), "spec": spec, "status": more})


def only(pods: list[Pod], of: ApiNode | None = None) -> Node:
    [found] = node_facts.nodes_of([of or node()], pods, "prod")
    return found


def test_a_node_is_known_by_its_cluster_and_gives_what_is_allocatable() -> None:
    found = only([])

    assert (found.name, found.backend, found.pods) == ("n1.prod", "kubernetes/prod", 110)
    assert (found.capacity.cpu_milli, found.capacity.memory_bytes, found.capacity.gpu) == (4000, 8 * 2**30, 2)
    assert found.labels == {"zone": "a", "assay.internal/cluster": "prod"}
    assert found.ready


@pytest.mark.parametrize(
    ("containers", "init", "milli"),
    [
        ([asks(cpu="100m"), asks(cpu="200m")], (), 300),
        ([asks(cpu="100m")], (asks(cpu="1"), asks(cpu="500m")), 1000),
        ([asks(cpu="100m")], (asks(policy="Always", cpu="300m"),), 400),
        ([asks(cpu="100m")], (asks(policy="Always", cpu="300m"), asks(cpu="500m")), 800),
        ([asks(cpu="700m")], (asks(cpu="500m"), asks(policy="Always", cpu="300m")), 1000),
        ([asks()], (), 0),
    ],
    ids=["containers", "the largest init", "a sidecar", "an init after a sidecar", "an init before one", "nothing"],
)
def test_a_pod_requests_as_a_kubelet_counts(containers: Any, init: Any, milli: int) -> None:
    assert node_facts.requests(pod(*containers, init=init))[0] == milli


def test_overhead_counts_on_top() -> None:
    assert node_facts.requests(pod(asks(cpu="1"), overhead={"cpu": "250m"}))[0] == 1250


def test_pods_of_others_are_taken_off_and_those_that_are_over_are_not() -> None:
    pods = [
        pod(asks(cpu="1", memory="1Gi"), phase="Running"),
        pod(asks(cpu="1"), phase="Running", metadata={"deletionTimestamp": "2026-11-29T00:00:00Z"}),
        pod(asks(cpu="1"), phase="Succeeded"),
        pod(asks(cpu="1"), phase="Failed"),
    ]

    found = only(pods)

    assert (found.capacity.cpu_milli, found.capacity.memory_bytes, found.pods) == (2000, 7 * 2**30, 108)


def test_our_pods_are_counted_by_the_gate_until_they_are_being_ended() -> None:
    running = pod(asks(cpu="1"), phase="Running", metadata={"labels": OURS})
    ending = pod(asks(cpu="1"), phase="Running", metadata={"labels": OURS, "deletionTimestamp": "2026-11-29T00:00:00Z"})

    assert only([running]).capacity.cpu_milli == 4000
    assert only([running, ending]).capacity.cpu_milli == 3000


def test_a_node_that_is_overcommitted_gives_nothing() -> None:
    assert only([pod(asks(cpu="9"))]).capacity.cpu_milli == 0


@pytest.mark.parametrize("ready", ["False", "Unknown"])
def test_a_node_that_is_not_ready_says_so(ready: str) -> None:
    assert not only([], node(ready=ready)).ready


def test_a_cordon_is_a_taint_also_before_the_controller_has_set_it() -> None:
    cordoned = node(unschedulable=True, taints=[{"key": "gpu", "value": "yes", "effect": "NoExecute"}])

    own = Taint(key="gpu", value="yes", effect=Effect.NO_EXECUTE)
    assert only([], cordoned).taints == (own, node_facts.UNSCHEDULABLE)


def test_a_taint_of_an_unknown_effect_is_left_out() -> None:
    assert only([], node(taints=[{"key": "a", "effect": "NewOne"}])).taints == ()


def test_nodes_come_in_order_of_name_without_those_that_are_being_removed() -> None:
    leaving = ApiNode.model_validate({"metadata": {"name": "a", "deletionTimestamp": "2026-11-29T00:00:00Z"}})

    found = node_facts.nodes_of([node("n2"), leaving, node("n1")], (), "prod")

    assert [one.name for one in found] == ["n1.prod", "n2.prod"]
