"""Which deployments the worker runs, decided before their code is imported."""

from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.responses import DeploymentResponse

from flows.entrypoints import refuse
from flows.kinds import ENTRYPOINTS


def deployment(entrypoint: str | None, **more: Any) -> DeploymentResponse:
    return DeploymentResponse(id=uuid4(), flow_id=uuid4(), name="theirs", entrypoint=entrypoint, **more)


def test_our_own_flows_are_run() -> None:
    assert {"flows.suite_run.suite_run", "flows.test_run.test_run"} <= ENTRYPOINTS
    assert {refuse(deployment(entrypoint), ENTRYPOINTS) for entrypoint in ENTRYPOINTS} == {None}


@pytest.mark.parametrize(
    "entrypoint",
    [
        "theirs.flow",
        "flows.test_run",
        "flows.test_run.test_run.more",
        " flows.test_run.test_run",
        "flows.test_run:test_run",
        "flows/test_run.py:test_run",
        "FLOWS.test_run.test_run",
    ],
)
def test_any_other_entrypoint_is_refused_with_the_way_out(entrypoint: str) -> None:
    refusal = refuse(deployment(entrypoint), frozenset({"others.flow"}))

    assert refusal is not None
    assert entrypoint in refusal
    assert "ASSAY_ALLOWED_ENTRYPOINTS" in refusal


def test_an_entrypoint_that_the_settings_name_is_run() -> None:
    assert refuse(deployment("theirs.flow"), frozenset({"theirs.flow"})) is None


@pytest.mark.parametrize("entrypoint", ["flows.test_run.test_run", "theirs.flow"])
def test_pull_steps_are_refused_whatever_the_entrypoint(entrypoint: str) -> None:
    step = {"prefect.deployments.steps.set_working_directory": {"directory": "elsewhere"}}

    refusal = refuse(deployment(entrypoint, pull_steps=[step]), frozenset({"theirs.flow"}))

    assert refusal is not None
    assert "pull: []" in refusal


@pytest.mark.parametrize("entrypoint", [None, ""])
def test_a_deployment_without_an_entrypoint_is_refused(entrypoint: str | None) -> None:
    refusal = refuse(deployment(entrypoint), frozenset({"theirs.flow"}))

    assert refusal is not None
    assert "no entrypoint" in refusal
