"""What the policies of clusters refuse, and what they allow. What no cluster allows is in tests/data/bad_pods.yaml."""

from typing import Any

import pytest
from harness.bad_requests import REQUESTS, merged

from model.pod_policy import NOTHING_ALLOWED, PodPolicy, any_of, violations
from model.problems import Problem
from model.refused_keys import REFUSED_KEYS
from orchestrator.checking import check

GENEROUS = PodPolicy(
    priority_classes=frozenset({"tests-low"}), runtime_classes=frozenset({"gvisor"}), control_plane=True
)
CONTROL_PLANE = {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"}
NO_CLASS = "is none that a cluster allows; allowed are none"
NOT_THERE = "reaches nodes of the control plane, which no cluster allows to tests"


@pytest.mark.parametrize(
    ("config", "path", "message"),
    [
        ({"priorityClass": "tests-low"}, "config.priorityClass", NO_CLASS),
        ({"runtimeClass": "gvisor"}, "config.runtimeClass", NO_CLASS),
        ({"tolerations": [CONTROL_PLANE]}, "config.tolerations[0].key", NOT_THERE),
        ({"tolerations": [{"key": "a", "operator": "Exists"}, {"operator": "Exists"}]}, "config.tolerations[1].key",
         NOT_THERE),
    ],
    ids=["foreign priority", "foreign runtime", "control plane", "all taints"],
)  # fmt: skip
def test_what_no_cluster_allows_is_refused_with_its_path(config: dict[str, Any], path: str, message: str) -> None:
    asked = check(merged(REQUESTS.valid, {"config": config})).config

    found = [finding.problem() for finding in violations(asked, NOTHING_ALLOWED)]

    assert found == [Problem(path=path, message=message)]
    assert list(violations(asked, GENEROUS)) == []


def test_several_clusters_allow_what_one_of_them_allows() -> None:
    one, other = PodPolicy(priority_classes=frozenset({"a"})), PodPolicy(priority_classes=frozenset({"b"}))

    assert any_of([one, other, GENEROUS]).priority_classes == {"a", "b", "tests-low"}
    assert any_of([one, other]).control_plane is False
    assert any_of([]) == NOTHING_ALLOWED


def test_every_refused_key_has_a_case() -> None:
    """Each is refused with its path and its reason at every way in: the cases are sent through all of them."""
    told = {problem["path"].rpartition(".")[2] for case in REQUESTS.cases for problem in case["problems"]
            if problem["message"].startswith("is refused: ")}  # fmt: skip

    assert told == set(REFUSED_KEYS)
    assert len(told) > 20
