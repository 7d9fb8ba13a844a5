"""The one table of verdicts, Prefect states and exit codes (D6)."""

import pytest
from prefect.client.schemas.objects import State, StateType
from prefect.states import Completed, Failed

from flows.states import agrees, shows, skipped, state_of
from model.execution import Reason, Status, Verdict
from model.fault import exit_code

TABLE = [
    (Status.COMPLETED, None, StateType.COMPLETED, "Completed", 0),
    (Status.FAILED, Reason.TESTS_FAILED, StateType.FAILED, "Failed", 1),
    (Status.FAILED, Reason.OOM_KILLED, StateType.FAILED, "Failed", 1),
    (Status.FAILED, Reason.TOOL_FAILED, StateType.FAILED, "Failed", 1),
    (Status.CANCELLED, None, StateType.CANCELLED, "Cancelled", 2),
    (Status.FAILED, Reason.REPORT_MISMATCH, StateType.FAILED, "Failed", 1),
    (Status.FAILED, Reason.EVICTED, StateType.CRASHED, "Crashed", 3),
    (Status.FAILED, Reason.PLACEMENT, StateType.CRASHED, "Crashed", 3),
    (Status.FAILED, Reason.NODE_LOST, StateType.CRASHED, "Crashed", 3),
    (Status.FAILED, Reason.IMAGE_PULL, StateType.FAILED, "Misconfigured", 4),
    (Status.FAILED, Reason.UNSCHEDULABLE, StateType.FAILED, "Misconfigured", 4),
    (Status.FAILED, Reason.CONFIG, StateType.FAILED, "Misconfigured", 4),
    (Status.FAILED, Reason.CONTENT, StateType.FAILED, "Misconfigured", 4),
    (Status.FAILED, Reason.START_ERROR, StateType.FAILED, "Misconfigured", 4),
    (Status.FAILED, Reason.INFRASTRUCTURE, StateType.CRASHED, "Crashed", 3),
    (Status.FAILED, Reason.NO_TESTS, StateType.FAILED, "NoTests", 5),
    (Status.TIMEOUT, None, StateType.FAILED, "TimedOut", 124),
    (Status.FAILED, Reason.HYPOTHESIS_NOT_MET, StateType.FAILED, "Failed", 1),
    (Status.FAILED, Reason.HALTED, StateType.FAILED, "Failed", 1),
    (Status.FAILED, Reason.INCONCLUSIVE, StateType.COMPLETED, "Inconclusive", 7),
    (Status.FAILED, Reason.SAFETY_CHECK, StateType.FAILED, "Failed", 4),
    (Status.FAILED, Reason.RESIDUAL, StateType.CRASHED, "Crashed", 3),
]


@pytest.mark.parametrize(("status", "reason", "kind", "name", "code"), TABLE)
def test_a_verdict_has_one_state_and_one_exit_code(
    status: Status, reason: Reason | None, kind: StateType, name: str, code: int
) -> None:
    verdict = Verdict(status=status, reason=reason, detail="why")

    state = state_of(verdict)

    assert (state.type, state.name, exit_code(status, reason)) == (kind, name, code)
    assert "why" in (state.message or "")
    assert agrees(state, verdict)


@pytest.mark.parametrize(
    "shown",
    [None, Failed(), Failed(name="NoTests"), Completed(), Completed(name="TimedOut"), Completed(name="Skipped")],
)
def test_a_state_of_another_type_or_with_the_name_of_another_verdict_does_not_show_a_timeout(
    shown: State[None] | None,
) -> None:
    assert not agrees(shown, Verdict(status=Status.TIMEOUT))


@pytest.mark.parametrize("name", ["TimedOut", "KnownBug"])
def test_a_state_shows_a_verdict_by_our_name_and_by_one_that_a_person_gave(name: str) -> None:
    assert agrees(Failed(name=name), Verdict(status=Status.TIMEOUT))


def test_a_suite_that_was_skipped_is_not_shown_by_completed() -> None:
    assert not shows(Completed(), skipped("why"))
    assert shows(skipped("why"), skipped("other words"))


def test_the_table_is_whole() -> None:
    assert {reason for _, reason, *_ in TABLE} == {*Reason, None}
    assert {status for status, *_ in TABLE} == {status for status in Status if status.terminal}
