"""Experiments through REST, gate, worker and Prefect, on the shop as a local environment."""

from collections.abc import Iterator
from typing import Any

import pytest
from harness.experiments import LocalShop, local_shop
from harness.stack import Stack, until

ENDED_SECONDS = 60.0


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[LocalShop]:
    with local_shop(stack.state) as running:
        yield running


def submitted(stack: Stack, experiment: dict[str, Any]) -> str:
    answer = stack.rest("POST", "/runs", json={"kind": "experiment", "spec": experiment})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["runId"])


def shown(stack: Stack, run: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.rest("GET", f"/runs/{run}").json()
    return found


def ended(stack: Stack, run: str) -> dict[str, Any]:
    until(f"{run} has ended", lambda: shown(stack, run)["completedAt"], ENDED_SECONDS, 0.2)
    return shown(stack, run)


def test_with_retries_no_order_is_lost_when_payments_is_killed(stack: Stack, shop: LocalShop) -> None:
    run = submitted(stack, shop.example("payments-killed"))

    found = ended(stack, run)

    row = stack.sql("SELECT * FROM chaos_executions WHERE execution_id = %s", run)
    assert (found["status"], found["exitCode"]) == ("completed", 0), found["detail"]
    assert (row[0]["status"], row[0]["hypothesis_validated"], row[0]["ending"]) == ("completed", True, "judged")
