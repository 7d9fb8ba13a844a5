"""Priority classes, runtime classes and accounts that a request names, on a real cluster."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from harness.backends import ended, order
from harness.beds.kubernetes import Bed

from cluster.backend import Fault, LaunchError
from cluster.kubernetes import names
from cluster.kubernetes.connection import Connection
from model.config import ExecutionConfig
from model.pod_policy import PodPolicy

pytestmark = pytest.mark.cluster

CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"


@pytest.fixture
def classes(bed: Bed) -> Iterator[dict[str, str]]:
    """A priority class that evicts nobody, and one that does; the cluster allows both, and a runtime class."""
    connection, suffix = Connection(bed.access), uuid4().hex[:8]
    known = {policy: f"{policy.lower()}-{suffix}" for policy in ("Never", "PreemptLowerPriority")}
    for policy, name in known.items():
        connection.create(CLASSES, {"metadata": {"name": name}, "value": 7, "preemptionPolicy": policy})
    allowed = PodPolicy(priority_classes=frozenset(known.values()), runtime_classes=frozenset({"none"}))
    bed.access = replace(bed.access, policy=allowed)
    yield known
    for name in known.values():
        connection.delete(f"{CLASSES}/{name}", grace=0)
    connection.close()


async def test_a_pod_has_the_priority_of_its_class_and_evicts_nobody(bed: Bed, classes: dict[str, str]) -> None:
    backend = bed.open()
    wanted = order(bed, "exit 3", config=ExecutionConfig(priority_class=classes["Never"]))

    await backend.launch(wanted)
    spec = spec_of(bed, names.pod_name(wanted.attempt))
    ending = await ended(backend, wanted.attempt)

    assert (spec["priority"], spec["preemptionPolicy"], ending.exit_code) == (7, "Never", 3)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"priority_class": "PreemptLowerPriority"}, "PreemptionPolicy"),
        ({"runtime_class": "none"}, "RuntimeClass"),
        ({"service_account": "nobody-there"}, "service account"),
        ({"priority_class": "foreign"}, "config.priorityClass is none that a cluster allows"),
    ],
    ids=["a class that evicts", "no such runtime class", "no such account", "a class that is not allowed"],
)
async def test_what_the_cluster_does_not_take_is_for_who_asked(
    bed: Bed, classes: dict[str, str], config: dict[str, str], words: str
) -> None:
    named = {key: classes.get(value, value) for key, value in config.items()}
    backend = bed.open()

    with pytest.raises(LaunchError, match=words) as refused:
        await backend.launch(order(bed, "true", config=ExecutionConfig(**named)))

    assert refused.value.fault is Fault.CONFIG
    assert await backend.kept() == []


def spec_of(bed: Bed, name: str) -> dict[str, Any]:
    connection = Connection(bed.access)
    pod = json.loads(connection.get(f"/api/v1/namespaces/{bed.access.namespace}/pods/{name}"))
    connection.close()
    spec: dict[str, Any] = pod["spec"]
    return spec
