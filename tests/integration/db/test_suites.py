"""Runs of suites."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from db import suites
from db.engine import Database
from db.errors import NotFoundError
from db.page import Page
from db.seeds import LOCAL_USER
from db.suites import SuiteRow
from model.execution import Reason, Status, Verdict
from model.ids import SuiteRunId

RUN = SuiteRunId(UUID("01900000-0000-7000-8000-0000000000aa"))
TTL = timedelta(0)
FLOW_RUN = UUID("00000000-0000-4000-8000-00000000000f")


@pytest.fixture
def row(noon: datetime) -> SuiteRow:
    return SuiteRow(
        suite_run_id=RUN,
        name="nightly",
        definition={"name": "nightly", "tests": []},
        status=Status.RUNNING,
        submitted_by=LOCAL_USER,
        submitted_at=noon,
    )


@pytest.fixture
def saved(db: Database, row: SuiteRow) -> SuiteRow:
    db.call(lambda conn: suites.save(conn, row))
    return row


def test_a_suite_run_is_kept_found_and_listed(db: Database, saved: SuiteRow, noon: datetime) -> None:
    later = replace(saved, suite_run_id=SuiteRunId(UUID(int=7)), name="hourly", submitted_at=noon + timedelta(hours=1))
    db.call(lambda conn: suites.save(conn, later))

    assert db.call(lambda conn: suites.find(conn, RUN)) == saved
    assert db.call(lambda conn: suites.resolve(conn, "0000aa")) == RUN
    assert db.call(suites.list_suite_runs) == ([later, saved], 2)
    assert db.call(lambda conn: suites.list_suite_runs(conn, Page(limit=1), "nightly")) == ([saved], 1)
    with pytest.raises(NotFoundError):
        db.call(lambda conn: suites.find(conn, SuiteRunId(UUID(int=1))))


def test_it_ends_once_and_is_cancelled_once(db: Database, saved: SuiteRow, noon: datetime) -> None:
    assert db.call(lambda conn: suites.request_cancel(conn, RUN, "ann", noon))
    assert not db.call(lambda conn: suites.request_cancel(conn, RUN, "bob", noon))
    assert db.call(lambda conn: suites.finish(conn, RUN, Status.CANCELLED, noon))
    assert not db.call(lambda conn: suites.finish(conn, RUN, Status.COMPLETED, noon))

    found = db.call(lambda conn: suites.find(conn, RUN))
    assert (found.status, found.cancelled_by, found.completed_at) == ("cancelled", "ann", noon)
    assert saved.name == "nightly"


def test_the_verdicts_of_its_tests_are_read_in_order(
    db: Database, saved: SuiteRow, make: Any, wanted: Any, noon: datetime
) -> None:
    bad = Verdict(status=Status.FAILED, reason=Reason.NO_TESTS)

    def write(conn: Any) -> None:
        first = make.ended(conn, wanted(at=noon), bad)
        conn.execute(text("UPDATE test_executions SET suite_run_id = :run"), {"run": RUN})
        make.execution(conn, wanted(at=noon + timedelta(seconds=1)), suite_run_id=RUN)
        assert first

    db.call(write)

    assert db.call(lambda conn: suites.verdicts(conn, RUN)) == [bad, None]
    assert db.call(lambda conn: suites.open_with_ended_tests(conn, 10)) == []
    db.call(lambda conn: conn.execute(text("DELETE FROM test_executions WHERE completed_at IS NULL")))
    assert db.call(lambda conn: suites.open_with_ended_tests(conn, 10)) == [RUN]
    assert saved.status == "running"


def test_a_suite_without_tests_yet_is_not_taken_for_ended(db: Database, saved: SuiteRow) -> None:
    assert saved.completed_at is None
    assert db.call(lambda conn: suites.open_with_ended_tests(conn, 10)) == []


def test_of_two_that_ask_at_once_one_finds_the_other(db: Database, row: SuiteRow) -> None:
    """`unfinished` holds the name, so that exactly one of many starts."""
    together = threading.Barrier(4)

    def start(number: int) -> bool:
        together.wait(20)

        def work(conn: Any) -> bool:
            if suites.unfinished(conn, "nightly", row.submitted_by):
                return False
            suites.save(conn, replace(row, suite_run_id=SuiteRunId(UUID(int=number + 1))))
            return True

        return db.call(work)

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(start, range(4))) == 1


def test_a_suite_run_has_one_flow_run(db: Database, saved: SuiteRow) -> None:
    assert saved.flow_run_id is None
    assert db.call(lambda conn: suites.unmirrored(conn, 10)) == [RUN]
    assert db.call(lambda conn: suites.link_flow_run(conn, RUN, FLOW_RUN))
    assert not db.call(lambda conn: suites.link_flow_run(conn, RUN, UUID(int=3)))

    assert db.call(lambda conn: suites.unmirrored(conn, 10)) == []
    assert db.call(lambda conn: suites.by_flow_run(conn, FLOW_RUN)) == RUN


def test_an_ended_one_is_unsettled_until_prefect_shows_it(db: Database, saved: SuiteRow, noon: datetime) -> None:
    after = noon + timedelta(seconds=1)
    db.call(lambda conn: suites.settle(conn, RUN))
    db.call(lambda conn: suites.finish(conn, RUN, Status.COMPLETED, noon))

    assert db.call(lambda conn: suites.unsettled(conn, after, 10)) == [RUN]
    db.call(lambda conn: suites.settle(conn, RUN))
    assert db.call(lambda conn: suites.unsettled(conn, after, 10)) == []
    assert saved.note == ""


def test_no_host_counts_as_lost_for_one_ttl_after_a_restart_of_the_server(db: Database, saved: SuiteRow) -> None:
    """It could not say that it lives; this server was started a moment ago."""
    add = text("INSERT INTO workers (worker_id, pool, expires_at) VALUES ('old', 'default', now() - interval '1 min')")
    db.call(lambda conn: conn.execute(add))
    db.call(lambda conn: suites.link_flow_run(conn, saved.suite_run_id, FLOW_RUN))
    db.call(lambda conn: suites.host(conn, RUN, "old"))

    assert db.call(lambda conn: suites.take_orphans(conn, "new", timedelta(days=1))) == []
    assert db.call(lambda conn: suites.take_orphans(conn, "new", timedelta(0))) == [(RUN, FLOW_RUN)]


def test_the_suites_of_a_lost_worker_are_taken_over_once(db: Database, saved: SuiteRow) -> None:
    add = text("INSERT INTO workers (worker_id, pool, expires_at) VALUES ('new', 'default', now() + interval '1 min')")
    db.call(lambda conn: conn.execute(add))
    db.call(lambda conn: suites.link_flow_run(conn, RUN, FLOW_RUN))
    assert db.call(lambda conn: suites.take_orphans(conn, "new", TTL)) == []  # nobody has carried it yet
    db.call(lambda conn: suites.host(conn, RUN, "gone"))

    assert db.call(lambda conn: suites.take_orphans(conn, "new", TTL)) == [(RUN, FLOW_RUN)]
    assert db.call(lambda conn: suites.take_orphans(conn, "other", TTL)) == []
    assert saved.host is None


def test_a_worker_takes_its_own_suites_that_it_does_not_carry(db: Database, saved: SuiteRow) -> None:
    """An earlier life of the same name had them, or their flows broke off."""
    add = text("INSERT INTO workers (worker_id, pool, expires_at) VALUES ('me', 'default', now() + interval '1 min')")
    db.call(lambda conn: conn.execute(add))
    db.call(lambda conn: suites.link_flow_run(conn, saved.suite_run_id, FLOW_RUN))
    db.call(lambda conn: suites.host(conn, RUN, "me"))

    assert db.call(lambda conn: suites.take_orphans(conn, "me", TTL, [FLOW_RUN])) == []
    assert db.call(lambda conn: suites.take_orphans(conn, "me", TTL, [])) == [(RUN, FLOW_RUN)]


def test_an_ended_one_gives_its_flow_run_to_another(db: Database, saved: SuiteRow, noon: datetime) -> None:
    db.call(lambda conn: suites.link_flow_run(conn, saved.suite_run_id, FLOW_RUN))
    db.call(lambda conn: suites.unlink_flow_run(conn, RUN))
    assert db.call(lambda conn: suites.by_flow_run(conn, FLOW_RUN)) == RUN  # it has not ended yet

    db.call(lambda conn: suites.finish(conn, RUN, Status.COMPLETED, noon))
    assert not db.call(lambda conn: suites.is_settled(conn, RUN, FLOW_RUN))
    db.call(lambda conn: suites.settle(conn, RUN))
    assert db.call(lambda conn: suites.is_settled(conn, RUN, FLOW_RUN))
    db.call(lambda conn: suites.unlink_flow_run(conn, RUN))

    assert db.call(lambda conn: suites.by_flow_run(conn, FLOW_RUN)) is None
    assert db.call(lambda conn: suites.unsettled(conn, noon + timedelta(days=1), 10)) == []
