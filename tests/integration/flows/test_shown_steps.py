"""The way of a run on Prefect's page: eight steps in order, however it came in (011.1, 011.2)."""

from typing import Any

import pytest
from harness.stack import Stack, shell, until

STEPS = ["validate", "check-quota", "gate", "place", "launch", "watch", "collect", "record"]


def steps_of(stack: Stack, flow_run: str) -> list[dict[str, Any]]:
    """Return the ended task runs of a flow run, first begun first; those of one moment in the order of the design."""
    wanted = {"flow_runs": {"id": {"any_": [flow_run]}}}
    found: list[dict[str, Any]] = stack.prefect("POST", "/task_runs/filter", json=wanted)
    ended = [task for task in found if task["end_time"]]
    return sorted(ended, key=lambda task: (task["start_time"], STEPS.index(task["name"])))


def all_steps(stack: Stack, flow_run: str) -> list[dict[str, Any]]:
    return until(  # type: ignore[no-any-return]
        "Prefect shows all steps", lambda: len(found := steps_of(stack, flow_run)) >= len(STEPS) and found
    )


@pytest.mark.parametrize("by", ["rest", "prefect"])
def test_prefect_shows_the_eight_steps_of_a_run_in_order(stack: Stack, by: str) -> None:
    if by == "rest":
        run = stack.submit(shell("true"))
        stack.ended(run)
        stack.settled(run)
        flow_run = str(stack.row(run)["flow_run_id"])
    else:
        flow_run = stack.prefect_start({"test": shell("true")})

    steps = all_steps(stack, flow_run)

    assert [step["name"] for step in steps] == STEPS
    assert {step["state_type"] for step in steps} == {"COMPLETED"}
    messages = {step["name"]: step["state"]["message"] for step in steps}
    assert "got a place on" in messages["gate"]
    assert messages["place"].startswith("node ")


def test_the_place_is_an_artifact_with_the_score_of_each_node(stack: Stack) -> None:
    run = stack.submit(shell("true"))
    stack.ended(run)
    flow_run = str(stack.row(run)["flow_run_id"])

    def found() -> list[dict[str, Any]]:
        wanted = {"artifacts": {"flow_run_id": {"any_": [flow_run]}}}
        artifacts: list[dict[str, Any]] = stack.prefect("POST", "/artifacts/filter", json=wanted)
        return [artifact for artifact in artifacts if artifact["key"].startswith("place-")]

    [place] = until("the artifact is there", found)
    assert "| node | total | free | utilisation | affinity | spot | balance |" in place["data"]


def test_a_request_with_problems_shows_them_at_the_step_that_found_them(stack: Stack) -> None:
    flow_run = stack.prefect_start({"test": {"name": "no type"}})

    [step] = until("Prefect shows the step", lambda: steps_of(stack, flow_run))

    assert (step["name"], step["state_type"]) == ("validate", "FAILED")
    assert "type" in step["state"]["message"]
