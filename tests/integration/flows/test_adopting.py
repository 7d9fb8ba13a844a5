"""A running test is adopted whatever has become of its secrets, and what it was given stays masked."""

from pathlib import Path
from typing import Any

import pytest
from harness.stack import Stack, shell, until
from harness.suites import only_worker

OLD, NEW = "the-value-of-yesterday", "the-value-of-tomorrow"


def removed(stack: Stack, file: Path) -> None:
    assert stack.assay("secret", "rm", "adopted").returncode == 0
    file.unlink()


def rotated(stack: Stack, file: Path) -> None:
    file.write_text(NEW)


@pytest.mark.parametrize("change", [removed, rotated])
def test_a_test_is_adopted_after_its_secret_has_changed(stack: Stack, tmp_path: Path, change: Any) -> None:
    secret, gate = tmp_path / "secret", tmp_path / "open"
    secret.write_text(OLD)
    assert stack.assay("secret", "set", "adopted", f"file:{secret}").returncode == 0
    script = f"echo before $T; until [ -e {gate} ]; do sleep 0.1; done; echo after $T; echo $T > $ASSAY_RESULTS_DIR/it"
    run = stack.submit(shell(script, env={"T": "${secrets.adopted}"}))
    until("its first line", lambda: "before" in log_of(stack, run))
    folder = stack.state / "runs" / run / "1"
    kept = [(path.stat().st_mode & 0o777, OLD in path.read_text()) for path in folder.glob("mask.*")]

    worker = only_worker(stack)
    stack.kill(worker)
    change(stack, secret)
    stack.start_worker(worker)
    gate.touch()
    row = stack.ended(run)

    assert (row["status"], len(stack.attempts(run))) == ("completed", 1)
    assert log_of(stack, run) == f"before {'*' * len(OLD)}\nafter {'*' * len(OLD)}\n"
    assert stack.rest("GET", f"/tests/{run}/artifacts/it").text == f"{'*' * len(OLD)}\n"
    assert kept == [(0o600, True)]
    until("what was kept is gone", lambda: not list(folder.glob("mask.*")))


def log_of(stack: Stack, run: str) -> str:
    return stack.assay("logs", run).stdout
