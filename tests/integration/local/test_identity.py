"""Who a machine is to the gate: a name made once in its state folder (010.1)."""

import platform
import subprocess
import sys
from pathlib import Path

from harness.attempts import ROOT

from cluster.local.identity import backend_name, node_name
from cluster.local.machine import this_node

PROGRAM = """
import sys
from pathlib import Path
from cluster.local.identity import node_name
sys.stdin.read()
print(node_name(Path(sys.argv[1])))
"""


def test_the_name_is_the_hosts_with_six_hex_digits_and_stays(tmp_path: Path) -> None:
    name = node_name(tmp_path)
    host, _, digits = name.rpartition("-")

    assert host == platform.node()
    assert len(digits) == 6
    assert int(digits, 16) >= 0
    assert node_name(tmp_path) == name


def test_two_state_folders_on_one_machine_are_two_nodes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    assert node_name(tmp_path / "a") != node_name(tmp_path / "b")


def test_a_name_outlives_a_change_of_the_hosts_name(tmp_path: Path) -> None:
    (tmp_path / "node-name").write_text("former-host-0a1b2c\n")

    assert node_name(tmp_path) == "former-host-0a1b2c"


def test_processes_that_make_it_at_once_agree_and_leave_nothing_else(tmp_path: Path) -> None:
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for maker in makers:  # all have imported what they need, and wait for this
        assert maker.stdin is not None
        maker.stdin.close()
    names = {maker.stdout.read().strip() for maker in makers if maker.stdout is not None}
    codes = [maker.wait() for maker in makers]

    assert codes == [0] * 6
    assert names == {node_name(tmp_path)}
    assert [path.name for path in tmp_path.iterdir()] == ["node-name"]


def test_the_node_has_that_name_and_a_backend_of_its_own_and_the_host_as_a_label(tmp_path: Path) -> None:
    node = this_node(1.0, tmp_path)

    assert node.name == node_name(tmp_path)
    assert node.backend == backend_name(node.name) == f"local/{node.name}"
    assert node.labels["kubernetes.io/hostname"] == platform.node()
