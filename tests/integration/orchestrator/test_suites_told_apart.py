"""Suites with an experiment: what runs once more, the verdict, and ends that nobody wanted (028.7 to 028.10)."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from harness.carried_suites import (
    FAILED,
    LOST,
    PASSED,
    Suite,
    met_the_fault,
    order,
)
from sqlalchemy import text

from chaos.judge import Judgement
from chaos.provider import FaultStatus
from chaos.verdict import End
from db import people, runs, suite_windows
from db.engine import Database
from db.people import Quota
from model.execution import Reason, Status, Verdict
from model.fault import exit_code
from model.suite_windows import SuiteWindow
from orchestrator import suite_experiments
from orchestrator import suites as cases


@pytest.mark.parametrize(
    ("again", "said"),
    [
        (PASSED, "failed under the fault only"),
        (FAILED, "failed under the fault and without it"),
        (LOST, "failed under the fault, and has no result without it"),
    ],
)
def test_what_failed_under_the_fault_runs_once_more_without_it(wide: Database, again: Verdict, said: str) -> None:
    suite = met_the_fault(wide, FAILED)

    assert [suite.close(), suite.close()] == [None, None]
    rerun = suite_experiments.without_fault(suite.tests["fault-0"])
    suite.names[rerun] = "rerun"
    assert suite.shown() == {"fault-0": "not known yet"}
    assert suite.admitted() == {"rerun"}
    suite.finish(rerun, again)
    verdict = suite.close()

    assert verdict == replace(FAILED, detail=f"fault-0 {said}: too slow")
    assert suite.shown() == {"fault-0": said}
    shown = wide.call(lambda conn: cases.show_suite(conn, suite.id))
    assert (shown.exit_code, shown.counts) == (1, {Status.FAILED: 1})
    assert [test.execution.retried_from for test in shown.tests] == [None, suite.tests["fault-0"]]
    assert f"fault-0 (fault): {said}" in shown.experiment_lines
    listed, _ = wide.call(lambda conn: cases.list_suites(conn, cases.Page(limit=5)))
    assert (listed[0].exit_code, listed[0].counts) == (1, {Status.FAILED: 1})


def test_what_cannot_run_once_more_is_not_told_apart_and_the_suite_ends(wide: Database) -> None:
    suite = met_the_fault(wide, FAILED)
    wide.call(lambda conn: people.set_quota(conn, "user", "local", Quota(max_concurrent_tests=5, max_daily_tests=1)))

    verdict = suite.close()

    assert verdict is not None
    assert suite.shown() == {"fault-0": "failed under the fault, and has no result without it"}


def test_with_a_residual_nothing_runs_once_more(wide: Database) -> None:
    suite = met_the_fault(wide, FAILED, status=FaultStatus.RESIDUAL)

    assert suite.close() is not None
    assert len(wide.call(lambda conn: suite_windows.tests(conn, suite.id))) == 1


def test_a_test_that_passed_and_met_no_fault_makes_the_suite_inconclusive(wide: Database) -> None:
    suite = Suite(wide, "fault")
    suite.admitted()
    suite.enter(SuiteWindow.FAULT)
    suite.end("fault-0", PASSED)
    suite.judged()

    verdict = suite.close()

    assert verdict is not None
    assert (verdict.reason, exit_code(verdict.status, verdict.reason)) == (Reason.INCONCLUSIVE, 7)
    assert suite.shown() == {"fault-0": "passed, but no fault was active while it ran"}


@pytest.mark.parametrize(
    ("end", "judgement", "code"),
    [
        (End.JUDGED, Judgement.MET, 0),
        (End.JUDGED, Judgement.NOT_MET, 1),
        (End.JUDGED, Judgement.INCONCLUSIVE, 7),
        (End.HALTED, Judgement.INCONCLUSIVE, 1),
        (End.INFRASTRUCTURE, Judgement.INCONCLUSIVE, 3),
        (End.ABORTED, Judgement.INCONCLUSIVE, 2),
    ],
)
def test_a_suite_whose_tests_all_pass_ends_like_its_experiment(
    wide: Database, end: End, judgement: Judgement, code: int
) -> None:
    suite = Suite(wide, "fault")
    suite.admitted()
    suite.enter(SuiteWindow.FAULT)
    suite.end("fault-0", PASSED)
    suite.under_fault()
    suite.judged(end, judgement)

    assert suite.close() is not None
    assert wide.call(lambda conn: cases.show_suite(conn, suite.id)).exit_code == code


def test_what_never_had_its_turn_is_cancelled_when_the_experiment_has_ended(wide: Database) -> None:
    suite = Suite(wide, "baseline", "baseline", "fault", "recovery")
    suite.admitted()
    suite.judged(End.BLOCKED, detail="an incident is active")

    verdict = suite.close()

    assert verdict == Verdict(
        status=Status.FAILED,
        reason=Reason.SAFETY_CHECK,
        detail="experiment 'payments is slow': an incident is active",
    )
    assert set(suite.statuses().values()) == {"cancelled"}
    assert wide.call(lambda conn: conn.execute(text("SELECT count(*) FROM queue")).scalar_one()) == 0


def test_tests_of_the_recovery_run_when_a_worker_was_lost_and_the_revert_is_verified(wide: Database) -> None:
    suite = Suite(wide, "fault", "recovery")
    suite.admitted()
    suite.enter(SuiteWindow.FAULT)
    suite.end("fault-0", PASSED)
    suite.under_fault()
    suite.judged(End.INFRASTRUCTURE)

    assert suite.close() is None
    assert suite.admitted() == {"recovery-1"}
    suite.end("recovery-1", PASSED)
    verdict = suite.close()
    assert verdict is not None
    assert verdict.reason is Reason.INFRASTRUCTURE


def test_a_cancelled_suite_cancels_its_experiment_and_runs_nothing_once_more(wide: Database) -> None:
    suite = Suite(wide, "baseline", "fault")
    now = datetime.now(UTC)  # noqa: TID251
    wide.call(lambda conn: cases.cancel_suite(conn, suite.id, by="local", now=now))

    assert set(suite.statuses().values()) == {"cancelled"}
    assert wide.call(lambda conn: runs.find(conn, suite.experiment)).status == "cancelled"
    shown = wide.call(lambda conn: cases.show_suite(conn, suite.id))
    assert (shown.status, shown.exit_code) == ("cancelled", 2)


def test_a_run_that_was_skipped_can_be_shown_reported_and_cancelled(wide: Database) -> None:
    wanted = order("fault")
    made = wide.call(lambda conn: cases.skip(conn, wanted, "missed"))

    assert wide.call(lambda conn: cases.carried_report(conn, made.suite_run_id)) is None
    now = datetime.now(UTC)  # noqa: TID251
    wide.call(lambda conn: cases.cancel_suite(conn, made.suite_run_id, by="local", now=now))
    assert wide.call(lambda conn: cases.show_suite(conn, made.suite_run_id)).exit_code == 2
