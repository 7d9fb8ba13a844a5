"""Every rule's bad case through the Prefect door: exactly the problems, each with its path, and not one row.

A case costs a flow run, so a third of them is tried; `tests/integration/api` tries all of them.
"""

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from harness.bad_requests import SUITES, Cases
from harness.rest import TABLES
from harness.stack import ROOT, Stack, shell
from harness.sweep import ALL, PARTS, third

LARGEST_PARAMETERS = 400_000
"""Prefect refuses flow parameters over 512 KB itself, before any flow of ours."""


RULES = Cases("bad_requests.yaml")
BOUNDS = Cases("bad_requests.yaml", "bad_bounds.yaml").cases[len(RULES.cases) :]


@pytest.mark.parametrize(
    ("deployment", "parameter", "bad", "least"),
    [
        # A flow run for each of more than a hundred cases: a minute, so it is one of the hostile tests.
        pytest.param("test-run/default", "test", RULES, 100, id="tests", marks=pytest.mark.faults),
        pytest.param("suite-run/default", "suite", SUITES, 25, id="suites"),
    ],
)
def test_all_that_is_wrong_is_refused_by_prefect_with_exactly_its_problems(
    stack: Stack, deployment: str, parameter: str, bad: Cases, least: int
) -> None:
    before = rows(stack)
    started = {}
    for case in third(bad.by("prefect")):
        wrong = bad.wrong(case)
        if isinstance(wrong, dict) and len(str(wrong)) < LARGEST_PARAMETERS:
            started[stack.prefect_start({parameter: wrong}, deployment)] = case

    otherwise = {}
    for flow_run, case in started.items():
        state = stack.flow_ended(flow_run, 240)
        wanted = {f"{problem['path']}: {problem['message']}" for problem in case["problems"]}
        if (state["type"], state["name"]) != ("FAILED", "Refused") or told(state) != wanted:
            otherwise[case["name"]] = (state["name"], told(state) ^ wanted)

    assert otherwise == {}
    assert len(started) > (least if ALL else least // PARTS - 2)
    assert rows(stack) == before


def test_every_bound_is_told_by_prefect_in_one_refusal_of_a_suite(stack: Stack) -> None:
    """A flow run for each of them would cost a minute."""
    before = rows(stack)
    tests = [{**RULES.wrong(case), "name": f"test {number}"} for number, case in enumerate(BOUNDS)]

    state = stack.flow_ended(stack.prefect_start({"suite": {"name": "bounds", "tests": tests}}, "suite-run/default"))

    assert (state["type"], state["name"]) == ("FAILED", "Refused")
    assert told(state) == {
        f"tests[{number}].{problem['path']}: {problem['message']}"
        for number, case in enumerate(BOUNDS)
        for problem in case["problems"]
    }
    assert rows(stack) == before


def told(state: dict[str, Any]) -> set[str]:
    """Return the problems that a state's message lists below its first line."""
    return set(state["message"].splitlines()[1:])


def test_prefects_own_command_runs_a_good_test_and_refuses_a_bad_one(stack: Stack) -> None:
    good = deployment_run(stack, shell("true", name="by prefect's command"))
    before = rows(stack)
    bad = deployment_run(stack, shell("true", priority=11, config={"timeout": 0}))

    assert good.returncode == 0, good.stdout + good.stderr
    assert stack.sql(BY_COMMAND) == [{"status": "completed", "door": "prefect"}]
    assert bad.returncode == 1, bad.stdout + bad.stderr
    assert "Refused" in bad.stdout
    (flow_run,) = re.findall(r"UUID: ([0-9a-f-]{36})", bad.stdout)
    problems = {"config.timeout: must be 1 or more", "priority: must be 9 or less"}
    assert told(stack.flow_state(flow_run)) == problems
    shown = " ".join(bad.stdout.split())  # the command folds lines
    assert all(problem in shown for problem in problems), "the log, which the command follows, says why"
    assert rows(stack) == before


BY_COMMAND = """
SELECT e.status, e.door FROM test_executions e JOIN test_definitions d ON d.id = e.definition_id
WHERE d.name = 'by prefect''s command'
"""


def deployment_run(stack: Stack, test: dict[str, Any]) -> "subprocess.CompletedProcess[str]":
    parameters = json.dumps({"test": test})
    command = [sys.executable, "-m", "prefect", "deployment", "run", "test-run/default", "--params", parameters]
    return subprocess.run(
        [*command, "--watch"],
        cwd=ROOT, env=stack.environment(), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def rows(stack: Stack) -> dict[str, int]:
    """Count rows from outside."""
    return {table: stack.sql(f"SELECT count(*) AS n FROM {table}")[0]["n"] for table in TABLES}
