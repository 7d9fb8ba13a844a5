"""The scripts of a stress, run by the shell of this machine: they begin, say what is used, and leave nothing."""

import os
import subprocess
import time

import pytest
from harness.fault_beds import fault_of

from chaos.fault_types import FaultType
from chaos.manifests.kubernetes import StressContainer, render_kubernetes
from chaos.provider import FaultId
from chaos.targets import Target
from cluster.faults.marks import marked

TARGET = Target(place="shop", service="payments", name="payments-1", identity="u")
PATIENCE = 30.0


def stress_of(kind: FaultType, fault: str) -> StressContainer:
    action = render_kubernetes(fault_of(kind), TARGET, FaultId(fault))
    assert isinstance(action, StressContainer)
    return action


def started(action: StressContainer) -> "subprocess.Popen[str]":
    return subprocess.Popen(action.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def heard(process: "subprocess.Popen[str]", sign: str) -> list[str]:
    """Return what was said until a line begins with `sign`."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(sign):
            return lines
    raise AssertionError("".join(lines))


@pytest.mark.parametrize(("kind", "sign"), [(FaultType.CPU_STRESS, "use"), (FaultType.DISK_IO_STRESS, "wrote")])
def test_a_stress_ends_with_its_input(kind: FaultType, sign: str) -> None:
    """The connection to the guard is its input: a guard that is gone leaves nothing."""
    fault = f"script-{os.urandom(4).hex()}"
    process = started(stress_of(kind, fault))
    before = heard(process, "begin")
    heard(process, sign)
    during = marked().get(fault, [])
    assert process.stdin is not None
    process.stdin.close()

    assert process.wait(PATIENCE) == 0
    assert len([line for line in before if line.startswith("use")]) == 2
    assert len(during) > 1
    assert marked().get(fault, []) == []


def test_a_killed_script_is_cleaned_up_by_its_mark() -> None:
    fault = f"script-{os.urandom(4).hex()}"
    action = stress_of(FaultType.CPU_STRESS, fault)
    process = started(action)
    heard(process, "begin")
    process.kill()
    process.wait(PATIENCE)

    cleaned = subprocess.run(action.clean, check=True, capture_output=True, text=True, timeout=PATIENCE)
    until = time.monotonic() + PATIENCE
    while marked().get(fault) and time.monotonic() < until:
        time.sleep(0.05)

    assert cleaned.stdout.split() == []
    assert marked().get(fault, []) == []
