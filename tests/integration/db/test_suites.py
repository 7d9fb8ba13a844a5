"""Runs of suites."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from db import executions, runs, suites
from db.engine import Database
from db.errors import NotFoundError
from db.page import Page
from db.runs import RunRef
from db.seeds import DEFAULT_POOL, DEFAULT_TEAM, LOCAL_USER
from db.suites import NewSuiteRun, SuiteRow
from model.execution import Door, Phase, Reason, Status, Verdict
from model.ids import ExecutionId, RunId, SuiteRunId
from model.runs import SKIPPED, RunKind

RUN = SuiteRunId(RunId(UUID("01900000-0000-7000-8000-0000000000aa")))
REF = RunRef(id=RUN, kind=RunKind.SUITE)
TTL = timedelta(0)
PASSED = Verdict(status=Status.COMPLETED)
CANCELLED = Verdict(status=Status.CANCELLED)
FLOW_RUN = UUID("00000000-0000-4000-8000-00000000000f")


@pytest.fixture
def row(noon: datetime) -> NewSuiteRun:
    return NewSuiteRun(
        suite_run_id=RUN,
        name="nightly",
        definition={"name": "nightly", "tests": []},
        door=Door.REST,
        pool=DEFAULT_POOL,
        submitted_by=LOCAL_USER,
        team_id=DEFAULT_TEAM,
        submitted_at=noon,
    )


@pytest.fixture
def saved(db: Database, row: NewSuiteRun) -> SuiteRow:
    db.call(lambda conn: suites.save(conn, row))
    return db.call(lambda conn: suites.find(conn, RUN))


def test_a_suite_run_is_kept_found_and_listed(db: Database, row: NewSuiteRun, saved: SuiteRow, noon: datetime) -> None:
    other = SuiteRunId(RunId(UUID(int=7)))
    later = replace(row, suite_run_id=other, name="hourly", submitted_at=noon + timedelta(hours=1))
    db.call(lambda conn: suites.save(conn, later))
    found = db.call(lambda conn: suites.find(conn, later.suite_run_id))

    assert (saved.name, saved.definition, saved.status) == ("nightly", row.definition, Status.QUEUED)
    assert (saved.submitted_by, saved.submitted_at, saved.host) == (LOCAL_USER, noon, None)
    assert db.call(lambda conn: suites.resolve(conn, "0000aa")) == RUN
    assert db.call(suites.list_suite_runs) == ([found, saved], 2)
    assert db.call(lambda conn: suites.list_suite_runs(conn, Page(limit=1), "nightly")) == ([saved], 1)
    with pytest.raises(NotFoundError):
        db.call(lambda conn: suites.find(conn, SuiteRunId(RunId(UUID(int=1)))))


def test_a_suite_run_is_a_run_and_no_test(db: Database, saved: SuiteRow) -> None:
    run = db.call(lambda conn: runs.find(conn, saved.suite_run_id))

    assert (run.kind, run.pool, run.team_id) == (RunKind.SUITE, DEFAULT_POOL, DEFAULT_TEAM)
    assert db.call(lambda conn: executions.list_executions(conn, executions.ExecutionFilter())) == ([], 0)
    with pytest.raises(NotFoundError):
        db.call(lambda conn: executions.find(conn, ExecutionId(RUN)))
    with pytest.raises(NotFoundError):
        db.call(lambda conn: executions.resolve(conn, "0000aa"))


def test_it_ends_once_and_is_cancelled_once(db: Database, saved: SuiteRow, noon: datetime) -> None:
    assert db.call(lambda conn: runs.request_cancel(conn, RUN, "ann", noon))
    assert not db.call(lambda conn: runs.request_cancel(conn, RUN, "bob", noon))
    assert db.call(lambda conn: suites.finish(conn, RUN, CANCELLED))
    assert not db.call(lambda conn: suites.finish(conn, RUN, PASSED))

    found = db.call(lambda conn: suites.find(conn, RUN))
    assert (found.status, found.cancelled_by) == ("cancelled", "ann")
    assert found.completed_at is not None
    assert saved.name == "nightly"


def test_one_that_was_not_run_is_skipped_and_stays_so(db: Database, saved: SuiteRow) -> None:
    assert db.call(lambda conn: suites.skip(conn, saved.suite_run_id))
    assert not db.call(lambda conn: suites.finish(conn, RUN, PASSED))

    assert db.call(lambda conn: suites.find(conn, RUN)).status is SKIPPED


def test_no_test_is_ever_skipped(db: Database, waiting: ExecutionId) -> None:
    """The code has no such transition for a test, and the database refuses the word."""
    skipped = runs.Become(status=SKIPPED, phase=Phase.ENDED)
    fenced = runs.Fenced(run_id=waiting, epoch=None)

    with pytest.raises(ValueError, match="queued is never followed by skipped"):
        db.call(lambda conn: runs.transition(conn, fenced, Status.QUEUED, skipped))
    with pytest.raises(IntegrityError, match="valid_status"):
        db.call(lambda conn: conn.execute(text("UPDATE runs SET status = 'skipped'")))


def test_the_verdicts_of_its_tests_are_read_in_order(
    db: Database, saved: SuiteRow, make: Any, wanted: Any, noon: datetime
) -> None:
    bad = Verdict(status=Status.FAILED, reason=Reason.NO_TESTS)

    def write(conn: Any) -> None:
        first = make.ended(conn, wanted(at=noon), bad)
        conn.execute(text("UPDATE runs SET parent_id = :run WHERE kind = 'test'"), {"run": RUN})
        make.execution(conn, wanted(at=noon + timedelta(seconds=1)), suite_run_id=RUN)
        assert first

    db.call(write)

    assert db.call(lambda conn: suites.verdicts(conn, RUN)) == [bad, None]
    assert db.call(lambda conn: suites.open_with_ended_tests(conn, 10)) == []
    db.call(lambda conn: conn.execute(text("DELETE FROM runs WHERE completed_at IS NULL AND kind = 'test'")))
    assert db.call(lambda conn: suites.open_with_ended_tests(conn, 10)) == [RUN]
    assert saved.status == "queued"


def test_a_suite_without_tests_yet_is_not_taken_for_ended(db: Database, saved: SuiteRow) -> None:
    assert saved.completed_at is None
    assert db.call(lambda conn: suites.open_with_ended_tests(conn, 10)) == []


def test_of_two_that_ask_at_once_one_finds_the_other(db: Database, row: NewSuiteRun) -> None:
    """`unfinished` holds the name, so that exactly one of many starts."""
    together = threading.Barrier(4)

    def start(number: int) -> bool:
        together.wait(20)

        def work(conn: Any) -> bool:
            if suites.unfinished(conn, "nightly", row.submitted_by):
                return False
            suites.save(conn, replace(row, suite_run_id=SuiteRunId(RunId(UUID(int=number + 1)))))
            return True

        return db.call(work)

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(start, range(4))) == 1


def test_a_suite_run_has_one_flow_run(db: Database, saved: SuiteRow) -> None:
    assert saved.flow_run_id is None
    assert db.call(lambda conn: runs.unmirrored(conn, 10, 10)) == [REF]
    assert db.call(lambda conn: runs.link_flow_run(conn, RUN, FLOW_RUN))
    assert not db.call(lambda conn: runs.link_flow_run(conn, RUN, UUID(int=3)))

    assert db.call(lambda conn: runs.unmirrored(conn, 10, 10)) == []
    assert db.call(lambda conn: suites.by_flow_run(conn, FLOW_RUN)) == RUN


def test_an_ended_one_is_unsettled_until_prefect_shows_it(db: Database, saved: SuiteRow) -> None:
    db.call(lambda conn: runs.settle(conn, RUN))
    db.call(lambda conn: suites.finish(conn, RUN, PASSED))
    ended = db.call(lambda conn: suites.find(conn, RUN)).completed_at
    assert ended is not None
    after = ended + timedelta(seconds=1)

    assert db.call(lambda conn: runs.unsettled(conn, ended, 10)) == []
    assert db.call(lambda conn: runs.unsettled(conn, after, 10)) == [REF]
    db.call(lambda conn: runs.settle(conn, RUN))
    assert db.call(lambda conn: runs.unsettled(conn, after, 10)) == []
    assert saved.note == ""


def test_no_host_counts_as_lost_for_one_ttl_after_a_restart_of_the_server(db: Database, saved: SuiteRow) -> None:
    """It could not say that it lives; this server was started a moment ago."""
    add = text("INSERT INTO workers (worker_id, pool, expires_at) VALUES ('old', 'default', now() - interval '1 min')")
    db.call(lambda conn: conn.execute(add))
    db.call(lambda conn: runs.link_flow_run(conn, saved.suite_run_id, FLOW_RUN))
    db.call(lambda conn: suites.host(conn, RUN, "old"))

    assert db.call(lambda conn: suites.take_orphans(conn, "new", timedelta(days=1))) == []
    assert db.call(lambda conn: suites.take_orphans(conn, "new", timedelta(0))) == [(RUN, FLOW_RUN)]


def test_the_suites_of_a_lost_worker_are_taken_over_once(db: Database, saved: SuiteRow) -> None:
    add = text("INSERT INTO workers (worker_id, pool, expires_at) VALUES ('new', 'default', now() + interval '1 min')")
    db.call(lambda conn: conn.execute(add))
    db.call(lambda conn: runs.link_flow_run(conn, RUN, FLOW_RUN))
    assert db.call(lambda conn: suites.take_orphans(conn, "new", TTL)) == []  # nobody has carried it yet
    db.call(lambda conn: suites.host(conn, RUN, "gone"))

    assert db.call(lambda conn: suites.take_orphans(conn, "new", TTL)) == [(RUN, FLOW_RUN)]
    assert db.call(lambda conn: suites.take_orphans(conn, "other", TTL)) == []
    assert saved.host is None


def test_a_worker_takes_its_own_suites_that_it_does_not_carry(db: Database, saved: SuiteRow) -> None:
    """An earlier life of the same name had them, or their flows broke off."""
    add = text("INSERT INTO workers (worker_id, pool, expires_at) VALUES ('me', 'default', now() + interval '1 min')")
    db.call(lambda conn: conn.execute(add))
    db.call(lambda conn: runs.link_flow_run(conn, saved.suite_run_id, FLOW_RUN))
    db.call(lambda conn: suites.host(conn, RUN, "me"))

    assert db.call(lambda conn: suites.take_orphans(conn, "me", TTL, [FLOW_RUN])) == []
    assert db.call(lambda conn: suites.take_orphans(conn, "me", TTL, [])) == [(RUN, FLOW_RUN)]


def test_an_ended_one_gives_its_flow_run_to_another(db: Database, saved: SuiteRow, noon: datetime) -> None:
    db.call(lambda conn: runs.link_flow_run(conn, saved.suite_run_id, FLOW_RUN))
    db.call(lambda conn: runs.unlink_flow_run(conn, RUN))
    assert db.call(lambda conn: suites.by_flow_run(conn, FLOW_RUN)) == RUN  # it has not ended yet

    db.call(lambda conn: suites.finish(conn, RUN, PASSED))
    assert not db.call(lambda conn: runs.is_settled(conn, RUN, FLOW_RUN))
    db.call(lambda conn: runs.settle(conn, RUN))
    assert db.call(lambda conn: runs.is_settled(conn, RUN, FLOW_RUN))
    db.call(lambda conn: runs.unlink_flow_run(conn, RUN))

    assert db.call(lambda conn: suites.by_flow_run(conn, FLOW_RUN)) is None
    assert db.call(lambda conn: runs.unsettled(conn, noon + timedelta(days=3650), 10)) == []
