"""The tables of `docs/faults.md` are those that the code goes by, and they hold together."""

import re
from pathlib import Path

import pytest

from executors.registry import TOOLS
from model.execution import Reason, Status, Verdict
from model.fault import (
    COMMON,
    CONSEQUENCES,
    EXPERIMENT_CONSEQUENCES,
    INFRASTRUCTURE_REASONS,
    MILDEST_FIRST,
    Again,
    Blame,
    Consequence,
    Fault,
    consequence_of,
    exit_code,
)
from model.retry import RetryCondition, RetryPolicy

PAGE = (Path(__file__).parents[3] / "docs" / "faults.md").read_text()
FAULTS = [*COMMON, *(fault for tool in TOOLS.values() for fault in tool.faults)]


def rows(title: str) -> list[list[str]]:
    """Return the cells of the table below a title row."""
    table = PAGE[PAGE.index(title) :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table]


def told(fault: Fault) -> list[str]:
    follows = fault.consequence
    reason = f"`{fault.reason}`" if fault.reason else str(fault.status)
    return [
        fault.tool, fault.happened, fault.blame, reason, str(follows.exit_code), follows.prefect.shown, follows.again,
    ]  # fmt: skip


def test_every_ending_stands_on_the_page_as_the_code_has_it() -> None:
    assert rows("| tool | what happened |") == [told(fault) for fault in FAULTS]


def test_every_reason_and_every_final_status_has_one_consequence() -> None:
    verdicts = [(one.status, one.reason) for one in CONSEQUENCES]

    assert len(set(verdicts)) == len(verdicts)
    of_experiments = {one.reason for one in EXPERIMENT_CONSEQUENCES}
    assert {reason for _, reason in verdicts} == {*Reason, None} - of_experiments
    assert {status for status, _ in verdicts} == {status for status in Status if status.terminal}
    assert {fault.consequence for fault in FAULTS} == set(CONSEQUENCES)


@pytest.mark.parametrize("one", CONSEQUENCES, ids=lambda one: str(one.reason or one.status))
def test_exit_code_3_is_what_another_attempt_may_mend_and_nothing_else(one: Consequence) -> None:
    blamed = {fault.blame for fault in FAULTS if fault.consequence == one}

    assert (one.exit_code == 3) == (one.again is Again.ALWAYS) == (one.prefect.shown == "Crashed")
    assert (one.exit_code == 3) == (blamed == {Blame.INFRASTRUCTURE})
    assert (one.exit_code == 4) == (one.prefect.shown == "Misconfigured")
    assert (one.exit_code == 0) == (blamed == {Blame.NOBODY})


def test_the_retry_policy_retries_what_the_table_leaves_to_it() -> None:
    """With every condition named, it retries what the table says that it may, and nothing else."""
    policy = RetryPolicy(max_retries=1, retry_conditions=tuple(RetryCondition))
    by_policy = {one for one in CONSEQUENCES if one.again is Again.POLICY}

    retried = {one for one in CONSEQUENCES if policy.should_retry(Verdict(status=one.status, reason=one.reason), 0)}

    assert retried == by_policy


def test_every_exit_code_has_a_severity() -> None:
    assert {one.exit_code for one in (*CONSEQUENCES, *EXPERIMENT_CONSEQUENCES)} == set(MILDEST_FIRST)


def test_infrastructure_is_what_is_tried_again_by_itself() -> None:
    expected = {Reason.INFRASTRUCTURE, Reason.PLACEMENT, Reason.EVICTED, Reason.NODE_LOST}
    assert set(INFRASTRUCTURE_REASONS) == expected


def test_a_tool_tells_its_own_faults_only() -> None:
    assert {fault.tool for fault in COMMON} == {""}
    assert all({fault.tool for fault in tool.faults} == {kind} for kind, tool in TOOLS.items())


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.happened)
def test_an_ending_has_the_verdict_of_its_row(fault: Fault) -> None:
    found = fault.verdict("why")

    assert found.detail == "why"
    assert consequence_of(found) == fault.consequence
    assert exit_code(found.status, found.reason) == fault.consequence.exit_code
