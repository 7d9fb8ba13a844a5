"""What the guard of a cluster is told: stable, named after the fault, and safe against what a file may say."""

import hashlib
import shlex

import pytest
from harness.fault_beds import PARAMETERS, fault_of

from chaos.fault_types import FaultType, Provider
from chaos.manifests.kubernetes import ApplyPolicy, EndContainer, StressContainer, render_kubernetes
from chaos.manifests.naming import fault_name, object_name
from chaos.provider import CAPABILITIES, FaultId
from chaos.targets import Target

TARGET = Target(place="shop", service="payments", name="payments-1", identity="u")
REAL = [kind for kind in FaultType if not CAPABILITIES[Provider.KUBERNETES, kind].refused]


@pytest.mark.parametrize("kind", REAL)
def test_the_same_fault_gives_the_same_action(kind: FaultType) -> None:
    first, again = (render_kubernetes(fault_of(kind), TARGET, FaultId("f-1")) for _ in range(2))

    assert first == again
    assert set(PARAMETERS) == set(FaultType)


def test_an_id_that_is_no_name_is_replaced_by_its_digest() -> None:
    """An id may have any form; a label and a name may not."""
    odd = FaultId("Run 1/fault:2")

    assert fault_name(FaultId("a-1")) == "a-1"
    assert fault_name(odd) == hashlib.sha256(b"Run 1/fault:2").hexdigest()[:40]
    assert len(object_name(FaultId("x" * 200))) <= 63


def test_a_path_cannot_leave_its_place_in_the_script() -> None:
    path = "/data/'; touch /tmp/x; '"
    action = render_kubernetes(fault_of(FaultType.DISK_IO_STRESS, path=path), TARGET, FaultId("f"))

    assert isinstance(action, StressContainer)
    assert shlex.quote(path) in action.argv[-1]
    assert path not in action.argv[-1]


def test_a_stress_carries_the_mark_and_ends_by_itself() -> None:
    action = render_kubernetes(fault_of(FaultType.CPU_STRESS, workers=3), TARGET, FaultId("f"))

    assert isinstance(action, StressContainer)
    assert action.argv[:4] == ("timeout", "65", "env", "ASSAY_FAULT=f")
    assert action.argv[-1].count("timeout 60 sh -c") == 3


def test_a_kill_of_a_container_looks_first_whether_term_is_handled() -> None:
    action = render_kubernetes(fault_of(FaultType.CONTAINER_KILL, container="app"), TARGET, FaultId("f"))

    assert isinstance(action, EndContainer)
    assert action.container == "app"
    assert "/proc/1/status" in action.look[-1]


@pytest.mark.parametrize(("direction", "kinds"), [("egress", ["Egress"]), ("both", ["Ingress", "Egress"])])
def test_a_partition_allows_nothing_in_its_direction(direction: str, kinds: list[str]) -> None:
    action = render_kubernetes(fault_of(FaultType.NETWORK_PARTITION, direction=direction), TARGET, FaultId("f"))

    assert isinstance(action, ApplyPolicy)
    assert action.manifest["spec"] == {
        "podSelector": {"matchLabels": {"assay.dev/fault-target": "f"}},
        "policyTypes": kinds,
    }
