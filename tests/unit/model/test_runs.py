"""Kinds of runs: which change of status each may make."""

import pytest

from model.execution import PHASES, TRANSITIONS, Phase, Status
from model.runs import RUN_TRANSITIONS, SKIPPED, STATUSES, RunKind, RunStatus, kinds_with, phases_of, run_status


@pytest.mark.parametrize("kind", RunKind)
def test_every_kind_begins_queued_and_no_end_is_left(kind: RunKind) -> None:
    changes = RUN_TRANSITIONS[kind]

    assert any(source is Status.QUEUED for source, _ in changes)
    assert not any(source.terminal for source, _ in changes)
    assert {status for change in changes for status in change} <= set(STATUSES[kind])


def test_a_test_changes_as_before_and_a_suite_ends_at_once() -> None:
    """A suite's row knows no running: it is queued until it ends."""
    assert RUN_TRANSITIONS[RunKind.TEST] == TRANSITIONS
    assert {(source, target.terminal) for source, target in RUN_TRANSITIONS[RunKind.SUITE]} == {(Status.QUEUED, True)}


def test_only_a_suite_is_skipped() -> None:
    assert kinds_with(Status.QUEUED, SKIPPED) == (RunKind.SUITE,)
    assert kinds_with(Status.QUEUED, Status.CANCELLED) == tuple(RunKind)
    assert kinds_with(Status.COMPLETED, Status.RUNNING) == ()


@pytest.mark.parametrize("status", [*Status, SKIPPED])
def test_a_status_is_found_by_its_word_and_has_phases(status: RunStatus) -> None:
    assert run_status(status.value) is status
    assert phases_of(status) == (PHASES[status] if isinstance(status, Status) else {Phase.ENDED})


def test_a_word_that_is_no_status_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown"):
        run_status("unknown")
