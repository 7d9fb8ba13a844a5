"""Ctrl-C while the stack starts for the first time: nothing is left, PostgreSQL neither."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.attempts import ROOT, until
from harness.sweep import third

from db.embedded import Cluster


def says_that_postgres_starts(state: Path) -> bool:
    return b"embedded PostgreSQL: starting" in state.with_name("said").read_bytes()


def has_a_postmaster(state: Path) -> bool:
    cluster = state / "postgres" / "cluster.json"
    return cluster.exists() and (Path(json.loads(cluster.read_text())["data"]) / "postmaster.pid").exists()


def says_that_prefect_starts(state: Path) -> bool:
    return b"Prefect server: starting" in state.with_name("said").read_bytes()


@pytest.mark.parametrize("moment", third([says_that_postgres_starts, has_a_postmaster, says_that_prefect_starts]))
def test_ctrl_c_while_it_starts_leaves_no_process(tmp_path: Path, moment: Callable[[Path], bool]) -> None:
    state = tmp_path / "state"
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "ASSAY_", "DATABASE_URL"))}
    command = [sys.executable, "-m", "cli.main", "up", "--no-samples", "--port-api", "0", "--port-prefect", "0"]
    with state.with_name("said").open("wb") as said:
        up = subprocess.Popen(command, cwd=ROOT, env={**keep, "ASSAY_STATE": str(state)}, stderr=said)
    try:
        until(lambda: moment(state), moment.__name__)
        up.send_signal(signal.SIGINT)
        up.wait(60)

        assert of(state) == []
        assert "no process of the stack is left" in state.with_name("said").read_text()
    finally:
        up.kill()
        up.wait()
        Cluster(state / "postgres").remove()


def of(state: Path) -> list[str]:
    """Return what carries the state folder, or PostgreSQL's data, in its command or environment."""
    needles = [os.fsencode(state)]
    cluster = state / "postgres" / "cluster.json"
    if cluster.exists():
        needles.append(json.loads(cluster.read_text())["data"].encode())
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                words = (folder / "cmdline").read_bytes() + b"\0" + (folder / "environ").read_bytes()
            except OSError:
                continue
            if any(needle in words for needle in needles):
                found.append(f"{folder.name} {words[:200]!r}")
    return found
