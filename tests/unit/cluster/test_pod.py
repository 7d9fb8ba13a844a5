"""The pod of an attempt: what it asks of its node, and that it fits Pod Security "restricted"."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from cluster.backend import AttemptId, LaunchOrder
from cluster.kubernetes import restricted
from cluster.kubernetes.api_objects import Pod
from cluster.kubernetes.node_facts import requests
from cluster.kubernetes.pod import PodSite, pod_of, secret_of, tombstone
from model.command import Command
from model.config import (
    Affinity,
    Effect,
    ExecutionConfig,
    ImagePullPolicy,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Operator,
    PreferredTerm,
    Toleration,
    VolumeMount,
)
from model.content import InlineContent
from model.ids import ExecutionId, NodeName, RunId
from model.resources import ResourceRequirements

EXECUTION = ExecutionId(RunId(UUID("01234567-89ab-7def-8123-456789abcdef")))
SITE = PodSite(namespace="tests", nodes=("worker-7",), image="example.com/python:3")
ORDER = LaunchOrder(
    attempt=AttemptId(execution_id=EXECUTION, number=2),
    node=NodeName("worker-7.prod"),
    content=InlineContent(files={"run.sh": "true"}),
    command=Command(argv=("sh", "run.sh")),
)


def made(**config: Any) -> Any:
    return pod_of(replace(ORDER, config=ExecutionConfig(**config)), SITE)


def test_the_name_follows_from_the_attempt() -> None:
    metadata: Any = pod_of(ORDER, SITE)["metadata"]

    assert metadata["name"] == "assay-0123456789ab7def8123456789abcdef-2"
    assert metadata["labels"]["assay.internal/execution"] == str(EXECUTION)
    assert len(metadata["name"]) <= 63


def test_every_pod_of_ours_fits_restricted() -> None:
    assert restricted.problems(pod_of(ORDER, SITE)) == []
    assert restricted.problems(tombstone(ORDER.attempt)) == []


def test_the_pod_requests_what_the_gate_has_counted() -> None:
    """The keeper's share is part of it, and the init container needs no more than the test."""
    resources = ResourceRequirements(
        cpu_request="1500m", memory_request="1Gi", memory_limit="2Gi", ephemeral_storage="3Gi", gpu_request=2
    )
    pod = Pod.model_validate(pod_of(replace(ORDER, resources=resources), SITE))

    wanted = resources.requested()
    assert requests(pod) == (wanted.cpu_milli, wanted.memory_bytes, wanted.ephemeral_bytes, wanted.gpu)


def test_limits_are_those_of_the_request() -> None:
    resources = ResourceRequirements(cpu_limit="2", memory_limit="512Mi", ephemeral_storage="1Gi")
    pod: Any = pod_of(replace(ORDER, resources=resources), SITE)

    limits = pod["spec"]["containers"][0]["resources"]["limits"]
    assert limits == {"cpu": "2", "memory": "512Mi", "ephemeral-storage": "1Gi"}
    assert pod["spec"]["volumes"][0] == {"name": "assay", "emptyDir": {"sizeLimit": "1Gi"}}


def test_the_node_is_joined_with_each_term_of_the_user() -> None:
    """Terms are alternatives, so each of them has to name the node (D11)."""
    terms = [
        NodeSelectorTerm(match_expressions=(NodeSelectorRequirement(key="zone", operator=Operator.IN, values=(zone,)),))
        for zone in ("a", "b")
    ]
    affinity = made(affinity=Affinity(required=tuple(terms)))["spec"]["affinity"]["nodeAffinity"]

    required = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    field = {"key": "metadata.name", "operator": "In", "values": ["worker-7"]}
    assert [term["matchFields"] for term in required] == [[field], [field]]
    assert [term["matchExpressions"][0]["values"] for term in required] == [["a"], ["b"]]


def test_each_candidate_is_a_term_of_its_own_joined_with_each_term_of_the_user() -> None:
    """A requirement of matchFields takes exactly one value, and terms are alternatives (D11)."""
    zones = [
        NodeSelectorTerm(match_expressions=(NodeSelectorRequirement(key="zone", operator=Operator.IN, values=(zone,)),))
        for zone in ("a", "b")
    ]
    order = replace(ORDER, config=ExecutionConfig(affinity=Affinity(required=tuple(zones))))
    pod: Any = pod_of(order, replace(SITE, nodes=("n1", "n2", "n3")))
    affinity = pod["spec"]["affinity"]["nodeAffinity"]

    required = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert [_named(term) for term in required] == ["n1", "n1", "n2", "n2", "n3", "n3"]
    assert [term["matchExpressions"][0]["values"] for term in required] == [["a"], ["b"]] * 3


def test_the_candidates_are_preferred_by_rank_and_by_nothing_else() -> None:
    """What the user prefers has decided the rank already."""
    liked = PreferredTerm(
        weight=7,
        preference=NodeSelectorTerm(match_expressions=(NodeSelectorRequirement(key="z", operator=Operator.EXISTS),)),
    )
    order = replace(ORDER, config=ExecutionConfig(affinity=Affinity(preferred=(liked,))))
    pod: Any = pod_of(order, replace(SITE, nodes=("n1", "n2", "n3")))

    preferred = pod["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    weights = [one["weight"] for one in preferred]
    assert [_named(one["preference"]) for one in preferred] == ["n1", "n2", "n3"]
    assert weights == sorted(weights, reverse=True)
    assert all(1 <= weight <= 100 for weight in weights)


def _named(term: Any) -> str:
    [field] = term["matchFields"]
    assert (field["key"], field["operator"]) == ("metadata.name", "In")
    [name] = field["values"]
    return str(name)


def test_a_pod_without_affinity_names_its_node_only() -> None:
    required = made()["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]

    assert len(required["nodeSelectorTerms"]) == 1


def test_tolerations_volumes_and_account_are_those_of_the_request() -> None:
    pod = made(
        tolerations=(Toleration(key="gpu", value="yes", effect=Effect.NO_EXECUTE, toleration_seconds=5),),
        volumes=(VolumeMount(name="data", mount_path="/data", config_map="numbers"),),
        service_account="tester",
        node_selector={"disk": "ssd"},
        timeout=60,
    )["spec"]

    toleration = {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoExecute", "tolerationSeconds": 5}
    assert pod["tolerations"] == [toleration]
    assert pod["volumes"][-1] == {"name": "data", "configMap": {"name": "numbers"}}
    assert pod["containers"][0]["volumeMounts"][-1] == {"name": "data", "mountPath": "/data", "readOnly": True}
    assert (pod["serviceAccountName"], pod["nodeSelector"]) == ("tester", {"disk": "ssd"})
    assert pod["activeDeadlineSeconds"] > 60 + 600


def test_classes_pull_policy_and_part_of_a_volume_are_those_of_the_request() -> None:
    """Only the first container pulls, and a class that may evict other pods is refused by the API server."""
    pod = made(
        priority_class="tests-low",
        runtime_class="gvisor",
        image_pull_policy=ImagePullPolicy.ALWAYS,
        volumes=(VolumeMount(name="data", mount_path="/data", claim="shop", sub_path="a/b"),),
    )["spec"]

    named = (pod["priorityClassName"], pod["preemptionPolicy"], pod["runtimeClassName"])
    assert named == ("tests-low", "Never", "gvisor")
    pulls = [container["imagePullPolicy"] for container in (*pod["initContainers"], *pod["containers"])]
    assert pulls == ["Always", "IfNotPresent", "IfNotPresent"]
    assert pod["containers"][0]["volumeMounts"][-1]["subPath"] == "a/b"


def test_a_pod_without_a_class_names_no_preemption() -> None:
    """The API server refuses a policy that is not that of the default class."""
    assert {"priorityClassName", "preemptionPolicy", "runtimeClassName"} & made()["spec"].keys() == set()


def test_a_gpu_is_the_resource_that_the_cluster_names() -> None:
    order = replace(ORDER, resources=ResourceRequirements(gpu_request=2))
    pod: Any = pod_of(order, replace(SITE, gpu="amd.com/gpu"))

    resources = pod["spec"]["containers"][0]["resources"]
    assert (resources["requests"]["amd.com/gpu"], resources["limits"]["amd.com/gpu"]) == ("2", "2")
    assert "nvidia.com/gpu" not in resources["limits"]


def test_a_secret_is_in_no_pod() -> None:
    """The pod refers to an entry of the Secret; the value stands there only."""
    order = replace(ORDER, env={"URL": "https://u:${secrets.token}@host", "A": "b"}, secrets={"token": "5ecret"})
    pod: Any = pod_of(order, SITE)
    secret: Any = secret_of(order, "tests")

    reference = {"name": pod["metadata"]["name"], "key": "env.URL"}
    assert pod["spec"]["containers"][0]["env"] == [{"name": "URL", "valueFrom": {"secretKeyRef": reference}}]
    assert "5ecret" not in str(pod)
    assert secret["stringData"] == {"env.URL": "https://u:5ecret@host", "value.token": "5ecret"}
    assert secret["immutable"] is True
    assert secret_of(ORDER, "tests") is None


@pytest.mark.parametrize(
    ("volume", "path"),
    [
        (VolumeMount(name="v", mount_path="/v", secret="assay-0123-1"), "spec.volumes[2].secret.secretName"),
        (VolumeMount(name="assay", mount_path="/v", empty_dir=True), "spec.volumes[2].name"),
        (
            VolumeMount(name="v", mount_path="/assay/run", empty_dir=True),
            "spec.containers[0].volumeMounts[2].mountPath",
        ),
        (VolumeMount(name="v", mount_path="/tmp", empty_dir=True), "spec.containers[0].volumeMounts[2].mountPath"),
    ],
    ids=["a secret of another run", "our volume", "inside of our volume", "over ours"],
)
def test_a_volume_may_not_reach_what_is_ours(volume: VolumeMount, path: str) -> None:
    assert [problem.path for problem in restricted.problems(made(volumes=(volume,)))] == [path]
