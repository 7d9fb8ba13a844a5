"""Experiments with a test as their load, and with commands as health checks."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.experiment_runs import ENDED_SECONDS, nothing_is_left, run
from harness.experiments import LocalShop, local_shop
from harness.stack import Stack, until

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[LocalShop]:
    """The shop whose orders tries again for three seconds."""
    with local_shop(stack.state) as running:
        yield running


BUYERS = """
import sys, time, urllib.request
ORDER = b'{"item": "lamp", "quantity": 1, "card": "1234"}'
until = time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    urllib.request.urlopen(urllib.request.Request(sys.argv[1], ORDER, {"Content-Type": "application/json"})).read()
    time.sleep(0.1)  # ten buyers a second
"""


def with_buyers(stack: Stack, shop: LocalShop, tmp_path: Path, seconds: float) -> dict[str, Any]:
    """Return an experiment whose load is a test that buys for so many seconds, and that was run once before."""
    words = ["python3", "buyers.py", f"{shop.orders}/orders"]
    test = {"name": f"buyers for {seconds:g} s", "type": "custom", "content": {"type": "inline"}}
    test["content"] |= {"files": {"buyers.py": BUYERS}}
    wanted = test | {"command": [*words, f"{seconds}"], "config": {"timeout": 600}}
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump(wanted))
    submitted = stack.assay("run", str(file), "--no-watch", "--json")
    assert submitted.returncode == 0, submitted.stderr
    assert stack.assay("cancel", json.loads(submitted.stdout)["executionId"]).returncode == 0
    alive = {"name": "orders is well", "type": "http", "url": f"{shop.orders}/health"}
    hypothesis = {"healthChecks": [alive | {"intervalSeconds": 0.5}]}
    limits = [{"healthCheck": "orders is well"}]
    return shop.example("payments-slow", load={"test": test["name"]}, hypothesis=hypothesis, haltConditions=limits)


def load_of(stack: Stack, name: str) -> dict[str, Any]:
    """Return the newest run of the test that was the load."""
    until("the load has ended", lambda: stack.sql("SELECT 1 FROM queue") == [], ENDED_SECONDS, 0.2)
    [row, *_] = stack.sql(
        "SELECT r.* FROM runs r JOIN test_executions e ON e.execution_id = r.id"
        " JOIN test_definitions d ON d.id = e.definition_id WHERE d.name = %s ORDER BY r.submitted_at DESC",
        name,
    )
    return dict(row)


def test_a_load_test_runs_through_all_windows_and_is_ended_with_them(
    stack: Stack, shop: LocalShop, tmp_path: Path
) -> None:
    code, found = run(stack, tmp_path, with_buyers(stack, shop, tmp_path, 500))
    load = load_of(stack, "buyers for 500 s")
    [fault] = stack.sql("SELECT * FROM chaos_faults WHERE execution_id = %s", found["executionId"])

    assert (code, found["hypothesisValidated"]) == (0, True), found["reason"]
    assert (load["status"], load["failure_reason"]) == ("cancelled", None)
    assert load["started_at"] < fault["injected_at"] - timedelta(seconds=5), "before the baseline"
    assert fault["reverted_at"] < load["completed_at"]
    nothing_is_left(stack, shop)


def test_a_load_test_that_ends_under_the_fault_makes_it_inconclusive(
    stack: Stack, shop: LocalShop, tmp_path: Path
) -> None:
    code, found = run(stack, tmp_path, with_buyers(stack, shop, tmp_path, 9) | {"durationSeconds": 10})

    assert (code, found["hypothesisValidated"]) == (7, None), found["reason"]
    assert "the load 'buyers for 9 s'" in found["reason"]
    assert "ended (completed) under the fault" in found["reason"]
    nothing_is_left(stack, shop)


ASKS = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=1)"


def asking(shop: LocalShop, port: int, name: str) -> dict[str, Any]:
    """Return a health check that runs a program, which asks a service of the shop."""
    words = ["python3", "-c", ASKS, f"http://127.0.0.1:{shop.ports[port]}/health"]
    return {"name": name, "type": "command", "command": words, "intervalSeconds": 0.5}


def test_a_health_check_of_type_command_halts_under_the_fault_and_holds_without_an_effect_on_it(
    stack: Stack, shop: LocalShop, tmp_path: Path
) -> None:
    """The commands run as a test of their own, in an attempt of a backend."""
    orders, payments = asking(shop, 8100, "orders is well"), asking(shop, 8102, "payments is well")
    killed = shop.example("payments-killed", haltConditions=[{"healthCheck": "orders is well"}])
    code, met = run(stack, tmp_path, killed | {"hypothesis": {"healthChecks": [orders]}, "load": None})
    killed["faults"] = [{"type": "pod-kill", "durationSeconds": 40}]
    limits = {"durationSeconds": 40, "haltConditions": [{"healthCheck": "payments is well"}], "load": None}
    _, halted = run(stack, tmp_path, killed | limits | {"hypothesis": {"healthChecks": [payments, orders]}})
    attempts = stack.sql(
        "SELECT a.number FROM test_attempts a JOIN test_executions e USING (execution_id)"
        " JOIN test_definitions d ON d.id = e.definition_id WHERE d.name LIKE 'health checks of %%'"
    )

    assert (code, met["hypothesisValidated"]) == (0, True), met["reason"]
    assert (halted["status"], halted["ending"]) == ("aborted", "halted"), halted["reason"]
    assert "3 of the last 3 samples of payments is well were misses" in halted["reason"]
    assert len(attempts) == 2
    until("its run has ended", lambda: stack.sql("SELECT 1 FROM queue") == [], ENDED_SECONDS, 0.2)
    nothing_is_left(stack, shop)
