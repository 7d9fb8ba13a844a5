"""Every rule's bad case through the Prefect door: exactly the problems, each with its path, and not one row."""

import copy
from typing import Any

import yaml
from harness.stack import ROOT, Stack

CASES = yaml.safe_load((ROOT / "tests/data/bad_requests.yaml").read_text())
LARGEST_PARAMETERS = 400_000
"""Prefect refuses flow parameters over 512 KB itself, before any flow of ours."""


def merged(value: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    result = copy.deepcopy(value) if isinstance(value, dict) else {}
    for key, change in patch.items():
        if change is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), change)
    return result


def test_every_bad_request_by_prefect_is_refused_with_exactly_its_problems(stack: Stack) -> None:
    before = rows(stack)
    started = {}
    for case in CASES["cases"]:
        request = merged(CASES["valid"], case["change"])
        if case.get("plain", True) and isinstance(request, dict) and len(str(request)) < LARGEST_PARAMETERS:
            started[stack.prefect_start({"test": request})] = case

    wrong = {}
    for flow_run, case in started.items():
        state = stack.flow_ended(flow_run, 240)
        told = set(state["message"].splitlines()[1:])
        wanted = {f"{problem['path']}: {problem['message']}" for problem in case["problems"]}
        if (state["type"], state["name"]) != ("FAILED", "Refused") or told != wanted:
            wrong[case["name"]] = (state["name"], told ^ wanted)

    assert wrong == {}
    assert len(started) > 100
    assert rows(stack) == before


def rows(stack: Stack) -> list[dict[str, Any]]:
    return stack.sql(
        "SELECT (SELECT count(*) FROM test_executions) AS runs, "
        "(SELECT count(*) FROM test_definitions) AS definitions, "
        "(SELECT count(*) FROM queue) AS queued"
    )
