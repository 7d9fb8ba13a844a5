"""Deployments of flows that are not ours: refused before their code runs, or run because the settings name them."""

from pathlib import Path
from typing import Any
from uuid import uuid4

from harness.stack import ROOT, Stack
from harness.suites import only_worker

FLOW = """
from pathlib import Path
from prefect import flow

Path({imported!r}).touch()


@flow(persist_result=False)
async def theirs() -> None:
    Path({run!r}).touch()
"""


class Theirs:
    """A module with a flow, which leaves a file when it is imported and another one when it is run."""

    def __init__(self, folder: Path) -> None:
        self.name = f"theirs_{uuid4().hex[:8]}"
        self.folder = folder
        self.imported, self.run = folder / "imported", folder / "run"
        (folder / f"{self.name}.py").write_text(FLOW.format(imported=str(self.imported), run=str(self.run)))

    def start(self, stack: Stack, entrypoint: str) -> dict[str, Any]:
        """Deploy it as anybody may who has Prefect's credential, start it, and return the state that it ends in."""
        name = f"theirs-{uuid4().hex[:8]}"  # the worker takes a deployment to be what it was a moment ago
        flow = stack.prefect("POST", "/flows/", json={"name": self.name})
        described = {"flow_id": flow["id"], "work_pool_name": "assay", "entrypoint": entrypoint, "pull_steps": []}
        stack.prefect("POST", "/deployments/", json={"name": name, **described})
        return stack.flow_ended(stack.prefect_start({}, f"{self.name}/{name}"))


def test_a_flow_of_others_is_refused_before_its_code_is_imported(stack: Stack, tmp_path: Path) -> None:
    theirs = Theirs(tmp_path)

    state = theirs.start(stack, f"{tmp_path}/{theirs.name}.py:theirs")

    assert (state["type"], state["name"]) == ("FAILED", "Refused")
    assert "ASSAY_ALLOWED_ENTRYPOINTS" in state["message"]
    assert not theirs.imported.exists()


def test_a_flow_that_the_settings_name_is_run_and_one_that_cannot_be_loaded_is_refused(
    stack: Stack, tmp_path: Path
) -> None:
    theirs = Theirs(tmp_path)
    good, missing = f"{theirs.name}.theirs", f"{theirs.name}.none_such"
    worker = only_worker(stack)
    stack.kill(worker)
    stack.start_worker(worker, ASSAY_ALLOWED_ENTRYPOINTS=f"{good},{missing}", PYTHONPATH=f"{ROOT}:{tmp_path}")
    try:
        ended = theirs.start(stack, good)
        refused = theirs.start(stack, missing)
    finally:
        stack.kill(worker)
        stack.start_worker(worker)

    assert ended["type"] == "COMPLETED"
    assert theirs.run.exists()
    assert (refused["type"], refused["name"]) == ("FAILED", "Refused")
    assert f"{missing} cannot be loaded" in refused["message"]
