"""`assay wait` survives a restart of the API, and ends with the verdict that came meanwhile."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.stack import ROOT, Stack, shell, until

pytestmark = pytest.mark.faults


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path)
    try:
        yield stack.start()
    finally:
        stack.remove()


def test_wait_survives_a_restart_of_the_api(own: Stack, tmp_path: Path) -> None:
    run = own.submit(shell(f"until test -e {tmp_path}/go; do sleep 0.1; done; exit 3", name="slow"))
    own.in_phase(run, "running")
    command = [sys.executable, "-m", "cli.main", "wait", run[-8:]]
    said = tmp_path / "said"
    with said.open("wb") as stderr:
        waiting = subprocess.Popen(command, cwd=ROOT, env=own.environment(), stdout=subprocess.PIPE, stderr=stderr)
    until("it watches", lambda: "running" in said.read_text())

    own.kill("api")
    until("it has noticed", lambda: "trying again" in said.read_text())
    (tmp_path / "go").touch()
    own.ended(run)
    own.start_api()
    out, _ = waiting.communicate(timeout=60)

    assert waiting.returncode == 1
    assert out.decode().split("\t")[1] == "failed"
