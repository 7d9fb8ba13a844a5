"""On Prefect's pages: flow runs are named after their tests and tagged, and a suite's page links those of its tests."""

import re
from typing import Any

from harness.stack import Stack, shell, until

SUITE = "shop-of-names"


def flow_run_of(stack: Stack, run: str) -> str:
    query = "SELECT flow_run_id FROM runs WHERE id = %s AND flow_run_id IS NOT NULL"
    return str(until(f"{run} has a flow run", lambda: stack.sql(query, run))[0]["flow_run_id"])


def shown(stack: Stack, flow_run: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.prefect("GET", f"/flow_runs/{flow_run}")
    return found


def started(stack: Stack, parameters: dict[str, Any], flow: str, **more: str) -> str:
    deployment = stack.prefect("GET", f"/deployments/name/{flow}")["id"]
    body = {"parameters": parameters, **more}
    return str(stack.prefect("POST", f"/deployments/{deployment}/create_flow_run", json=body)["id"])


def suite_of(*tests: dict[str, Any]) -> dict[str, Any]:
    return {"name": SUITE, "tests": list(tests)}


def test_tests_of_a_suite_by_rest_are_named_and_tagged(stack: Stack) -> None:
    cart = shell("true", name="cart", labels={"area": "checkout"}, tags=["smoke"])
    made = stack.rest("POST", "/suites/runs", json=suite_of(cart)).json()
    test = made["executions"][0]

    flow_run, suite = (shown(stack, flow_run_of(stack, run)) for run in (test["executionId"], made["suiteRunId"]))

    assert flow_run["name"] == f"cart {test['shortId']}"
    assert {"team:default", f"suite:{SUITE}", "type:custom", "area=checkout", "smoke"} <= set(flow_run["tags"])
    assert suite["name"] == f"{SUITE} {made['shortId']}"
    assert {"team:default", f"suite:{SUITE}"} <= set(suite["tags"])


def test_a_run_that_prefect_started_is_named_and_tagged_like_any_other(stack: Stack) -> None:
    flow_run = started(stack, {"test": shell("true", name="hello", labels={"area": "door"})}, "test-run/default")

    stack.flow_ended(flow_run)

    run = str(stack.row_of_flow(flow_run)["execution_id"])
    assert shown(stack, flow_run)["name"] == f"hello {run.replace('-', '')[-8:]}"
    assert {"type:custom", "area=door"} <= set(shown(stack, flow_run)["tags"])


def test_a_suite_that_prefect_started_is_named_and_so_are_its_tests(stack: Stack) -> None:
    flow_run = started(stack, {"suite": suite_of(shell("true", name="cart"))}, "suite-run/default")

    stack.flow_ended(flow_run)

    assert re.fullmatch(f"{SUITE} [0-9a-f]{{8}}", shown(stack, flow_run)["name"])
    assert f"suite:{SUITE}" in shown(stack, flow_run)["tags"]


def test_a_name_that_a_person_chose_stays(stack: Stack) -> None:
    flow_run = started(stack, {"test": shell("true", name="hello")}, "test-run/default", name="Release 7, by hand")

    stack.flow_ended(flow_run)

    assert shown(stack, flow_run)["name"] == "Release 7, by hand"
    assert "type:custom" in shown(stack, flow_run)["tags"]


def page(stack: Stack, flow_run: str) -> dict[str, Any] | None:
    wanted = {"artifacts": {"flow_run_id": {"any_": [flow_run]}}}
    found: list[dict[str, Any]] = stack.prefect("POST", "/artifacts/filter", json=wanted)
    return next((artifact for artifact in found if artifact["key"].startswith("suite-")), None)


def test_the_page_of_a_suite_run_links_its_tests_while_they_run_and_afterwards(stack: Stack) -> None:
    tests = (shell("true", name="quick"), shell("sleep 30", name="long"))
    made = stack.rest("POST", "/suites/runs", json=suite_of(*tests)).json()
    quick, long = (test["executionId"] for test in made["executions"])
    suite = flow_run_of(stack, made["suiteRunId"])
    links = [f"/runs/flow-run/{flow_run_of(stack, run)})" for run in (quick, long)]
    stack.in_phase(long, "running")

    def linked() -> dict[str, Any] | None:
        found = page(stack, suite)
        return found if found and all(link in found["data"] for link in links) else None

    while_it_runs = until("the page has both links", linked)
    stack.rest("POST", f"/tests/{long}/cancel")
    stack.flow_ended(suite)
    afterwards = page(stack, suite)

    assert afterwards is not None
    assert (afterwards["id"], afterwards["key"]) == (while_it_runs["id"], f"suite-{SUITE}-{made['shortId']}")
    assert "with their pages" in afterwards["description"]
    assert all(link in afterwards["data"] for link in links)
    assert "cancelled" in afterwards["data"]
