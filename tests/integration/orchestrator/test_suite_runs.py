"""Scheduled suites, and suites that are run again, on a real database."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from db import people, runs, suites
from db.engine import Database
from db.errors import ConflictError
from db.people import Quota
from db.runs import Become, Fenced
from db.seeds import LOCAL_USER, PREFECT_USER
from model.execution import Door, Phase, Status
from model.ids import ExecutionId, SuiteRunId, UserId, short, uuid7
from orchestrator import suites as cases
from orchestrator.checking import check_suite
from orchestrator.submit import OverQuota
from orchestrator.suites import SuiteAgain, SuiteOrder, SuiteSkipped, SuiteSubmitted

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
RANDOM = Random(11)
TEST = {"type": "custom", "command": ["true"], "content": {"type": "inline", "files": {"a": "b"}}}


def new_id() -> SuiteRunId:
    return SuiteRunId(uuid7(NOON, RANDOM))


def order(*names: str, **change: Any) -> SuiteOrder:
    values: dict[str, Any] = {
        "suite": check_suite({"name": "nightly", "tests": [TEST | {"name": name} for name in names]}),
        "suite_run_id": new_id(),
        "user_id": PREFECT_USER,
        "door": Door.PREFECT,
        "now": NOON,
        "flow_run_id": uuid4(),
    }
    return SuiteOrder(**values | change)


def submit(db: Database, wanted: SuiteOrder) -> Any:
    return db.call(lambda conn: cases.submit_suite(conn, wanted))


def end(db: Database, run: ExecutionId) -> None:
    fenced = Fenced(run_id=run, epoch=None)
    running = Become(status=Status.RUNNING, phase=Phase.RUNNING, node="here")
    ended = Become(status=Status.COMPLETED, phase=Phase.ENDED)
    assert db.call(lambda conn: runs.transition(conn, fenced, Status.QUEUED, running))
    assert db.call(lambda conn: runs.transition(conn, fenced, Status.RUNNING, ended))


def ended(db: Database, wanted: SuiteOrder) -> SuiteSubmitted:
    """Submit a suite, have its tests and itself ended, and Prefect show it."""
    made = submit(db, wanted)
    assert isinstance(made, SuiteSubmitted)
    for run in made.execution_ids:
        end(db, run)
    assert db.call(lambda conn: cases.close(conn, made.suite_run_id)) is not None
    db.call(lambda conn: runs.settle(conn, made.suite_run_id))
    return made


def stranger(db: Database) -> UserId:
    """A user of another team."""
    team, user = uuid4(), uuid4()
    add_team = text("INSERT INTO teams (team_id, team_name) VALUES (:team, 'strangers')")
    add_user = text(
        "INSERT INTO users (user_id, username, email, password_hash, team_id) VALUES (:user, 's', 's', '!', :team)"
    )
    db.call(lambda conn: conn.execute(add_team, {"team": team}))
    db.call(lambda conn: conn.execute(add_user, {"user": user, "team": team}))
    return UserId(user)


def again(flow_run: UUID) -> SuiteAgain:
    return SuiteAgain(now=NOON + timedelta(hours=1), new_id=new_id(), flow_run_id=flow_run)


def test_a_run_of_the_same_suite_by_a_team_mate_is_a_predecessor_one_of_another_team_is_not(db: Database) -> None:
    submit(db, order("a", user_id=stranger(db)))
    first = submit(db, order("a", scheduled=True))
    assert isinstance(first, SuiteSubmitted)
    for run in first.execution_ids:
        end(db, run)
    mate = submit(db, order("a", user_id=LOCAL_USER))

    second = submit(db, order("a", scheduled=True))

    assert isinstance(mate, SuiteSubmitted)
    assert isinstance(second, SuiteSkipped)
    assert str(mate.suite_run_id)[-8:] in second.note


def test_a_predecessor_whose_tests_have_ended_has_ended_though_nobody_has_closed_it(db: Database) -> None:
    first = submit(db, order("a", scheduled=True))
    for run in first.execution_ids:
        end(db, run)

    second = submit(db, order("a", scheduled=True))

    assert isinstance(second, SuiteSubmitted)
    assert db.call(lambda conn: suites.find(conn, first.suite_run_id)).status == "completed"


def test_a_scheduled_run_that_may_not_start_is_skipped_also_when_the_quota_is_used_up(db: Database) -> None:
    db.call(lambda conn: people.set_quota(conn, "user", "prefect", Quota(max_concurrent_tests=1, max_daily_tests=1)))
    submit(db, order("a", scheduled=True))

    assert isinstance(submit(db, order("a", scheduled=True)), SuiteSkipped)
    assert isinstance(submit(db, order("a")), OverQuota)


def overlapping(overlap: str) -> SuiteOrder:
    document = {"name": "nightly", "overlap": overlap, "tests": [TEST | {"name": "a"}, TEST | {"name": "b"}]}
    return order("a", suite=check_suite(document), scheduled=True)


def statuses(db: Database, made: SuiteSubmitted) -> list[str]:
    shown = db.call(lambda conn: cases.show_suite(conn, made.suite_run_id))
    return [shown.status, *(test.execution.status for test in shown.tests)]


def test_with_overlap_queue_a_scheduled_run_waits_in_the_queue_like_any_other(db: Database) -> None:
    first, second = submit(db, overlapping("queue")), submit(db, overlapping("queue"))

    assert [statuses(db, made) for made in (first, second)] == [["queued"] * 3] * 2


def test_with_overlap_replace_the_run_before_is_cancelled_and_names_its_successor(db: Database) -> None:
    first = submit(db, overlapping("replace"))

    second = submit(db, overlapping("replace"))

    assert statuses(db, first) == ["cancelled"] * 3
    assert statuses(db, second) == ["queued"] * 3
    detail = db.call(lambda conn: runs.find(conn, first.execution_ids[0])).detail
    assert f"suite run {short(second.suite_run_id)} (overlap: replace)" in detail


def test_with_overlap_replace_nothing_is_cancelled_for_a_run_that_does_not_come(db: Database) -> None:
    db.call(lambda conn: people.set_quota(conn, "user", "prefect", Quota(max_concurrent_tests=5, max_daily_tests=2)))
    first = submit(db, overlapping("replace"))

    assert isinstance(submit(db, overlapping("replace")), OverQuota)
    assert statuses(db, first) == ["queued"] * 3


def test_a_replacing_run_that_comes_twice_replaces_once(db: Database) -> None:
    submit(db, overlapping("replace"))
    wanted = overlapping("replace")

    first, again = submit(db, wanted), submit(db, wanted)

    assert (first.new, again.new) == (True, False)
    assert statuses(db, first) == ["queued"] * 3


def test_a_skip_is_written_down_once(db: Database) -> None:
    wanted = order("a")

    outcomes = {db.call(lambda conn: cases.skip(conn, wanted, "missed")) for _ in "12"}

    assert outcomes == {SuiteSkipped(suite_run_id=wanted.suite_run_id, note="missed")}
    assert submit(db, wanted) in outcomes


def test_a_retry_is_a_new_run_for_the_same_user_that_its_flow_run_moves_to(db: Database) -> None:
    wanted = order("b", "a", user_id=LOCAL_USER)
    old = ended(db, wanted)
    assert wanted.flow_run_id is not None
    retry = again(wanted.flow_run_id)

    new = db.call(lambda conn: cases.retry_suite(conn, old.suite_run_id, retry))

    assert isinstance(new, SuiteSubmitted)
    assert not set(new.execution_ids) & set(old.execution_ids)
    rows = [db.call(lambda conn, one=one: suites.find(conn, one.suite_run_id)) for one in (old, new)]
    assert [row.flow_run_id for row in rows] == [None, wanted.flow_run_id]
    assert [row.submitted_by for row in rows] == [LOCAL_USER] * 2
    assert (rows[0].definition, rows[0].status) == (rows[1].definition, "completed")
    assert rows[1].note == f"retry of suite run {str(old.suite_run_id)[-8:]}"
    shown = db.call(lambda conn: cases.show_suite(conn, new.suite_run_id))
    assert [test.execution.name for test in shown.tests] == ["b", "a"]
    with pytest.raises(ConflictError, match="has been retried"):
        db.call(lambda conn: cases.retry_suite(conn, old.suite_run_id, again(retry.flow_run_id)))
    with pytest.raises(ConflictError, match="has not ended"):
        db.call(lambda conn: cases.retry_suite(conn, new.suite_run_id, again(retry.flow_run_id)))


def test_a_skipped_run_that_somebody_retries_is_run(db: Database) -> None:
    wanted = order("a")
    assert wanted.flow_run_id is not None
    db.call(lambda conn: cases.skip(conn, wanted, "missed"))

    new = db.call(lambda conn: cases.retry_suite(conn, wanted.suite_run_id, again(wanted.flow_run_id)))

    assert isinstance(new, SuiteSubmitted)


def test_a_retry_over_the_quota_leaves_everything_as_it_was(db: Database) -> None:
    wanted = order("a")
    old = ended(db, wanted)
    assert wanted.flow_run_id is not None
    db.call(lambda conn: people.set_quota(conn, "user", "prefect", Quota(max_concurrent_tests=1, max_daily_tests=1)))

    outcome = db.call(lambda conn: cases.retry_suite(conn, old.suite_run_id, again(wanted.flow_run_id)))

    assert isinstance(outcome, OverQuota)
    assert db.call(lambda conn: runs.is_settled(conn, old.suite_run_id, wanted.flow_run_id))
