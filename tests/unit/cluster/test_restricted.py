"""Our own check of Pod Security "restricted": each violation is found, with its path."""

from copy import deepcopy
from typing import Any

import pytest

from cluster.kubernetes import restricted

GOOD: dict[str, Any] = {
    "spec": {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "containers": [
            {
                "name": "test",
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                },
            }
        ],
    }
}
CONTAINER = "spec.containers[0].securityContext"
BAD = [
    ("spec.hostNetwork", {"hostNetwork": True}, {}),
    ("spec.hostPID", {"hostPID": True}, {}),
    ("spec.hostIPC", {"hostIPC": True}, {}),
    ("spec.shareProcessNamespace", {"shareProcessNamespace": True}, {}),
    ("spec.automountServiceAccountToken", {"automountServiceAccountToken": True}, {}),
    ("spec.volumes[0].hostPath", {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, {}),
    ("spec.volumes[0].nfs", {"volumes": [{"name": "v", "nfs": {"server": "s", "path": "/"}}]}, {}),
    ("spec.volumes[1].name", {"volumes": [{"name": "v", "emptyDir": {}}] * 2}, {}),
    (f"{CONTAINER}.privileged", {}, {"privileged": True}),
    (f"{CONTAINER}.allowPrivilegeEscalation", {}, {"allowPrivilegeEscalation": True}),
    (f"{CONTAINER}.readOnlyRootFilesystem", {}, {"readOnlyRootFilesystem": False}),
    (f"{CONTAINER}.capabilities.drop", {}, {"capabilities": {"drop": ["NET_RAW"]}}),
    (f"{CONTAINER}.capabilities.add", {}, {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}),
    (f"{CONTAINER}.procMount", {}, {"procMount": "Unmasked"}),
    (f"{CONTAINER}.runAsUser", {}, {"runAsUser": 0}),
    (f"{CONTAINER}.seLinuxOptions", {}, {"seLinuxOptions": {"type": "spc_t"}}),
    (f"{CONTAINER}.appArmorProfile.type", {}, {"appArmorProfile": {"type": "Unconfined"}}),
    (f"{CONTAINER}.windowsOptions.hostProcess", {}, {"windowsOptions": {"hostProcess": True}}),
    ("spec.securityContext.sysctls[0].name", {"securityContext": {"sysctls": [{"name": "kernel.msgmax"}]}}, {}),
    ("spec.containers[0].ports[0].hostPort", {"ports": [{"hostPort": 80}]}, {}),
    (f"{CONTAINER}.runAsNonRoot", {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}, {}),
    (f"{CONTAINER}.seccompProfile.type", {"securityContext": {"runAsNonRoot": True}}, {}),
    (f"{CONTAINER}.seccompProfile.type", {}, {"seccompProfile": {"type": "Unconfined"}}),
]


def test_a_good_pod_has_no_problem() -> None:
    assert restricted.problems(GOOD) == []


@pytest.mark.parametrize(("path", "of_pod", "of_container"), BAD, ids=[f"{n}-{bad[0]}" for n, bad in enumerate(BAD)])
def test_each_violation_is_named(path: str, of_pod: dict[str, Any], of_container: dict[str, Any]) -> None:
    pod = deepcopy(GOOD)
    container = pod["spec"]["containers"][0]
    container["ports"] = of_pod.get("ports", [])
    container["securityContext"] |= of_container
    pod["spec"] |= {key: value for key, value in of_pod.items() if key != "ports"}

    assert path in {problem.path for problem in restricted.problems(pod)}


def test_init_containers_are_checked_too() -> None:
    pod = deepcopy(GOOD)
    pod["spec"]["initContainers"] = [{"name": "bad", "securityContext": {"privileged": True}}]

    assert "spec.initContainers[0].securityContext.privileged" in {p.path for p in restricted.problems(pod)}
