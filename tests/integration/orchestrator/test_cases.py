"""The use cases on a real database: submit, cancel, retry, suites."""

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, text

from db import executions, people, runs, secrets, suites
from db.engine import Database
from db.errors import ConflictError, NotFoundError
from db.people import Quota
from db.runs import Become, Fenced
from db.seeds import DEFAULT_TEAM, LOCAL_USER, PREFECT_USER
from model.definition import to_raw
from model.execution import Cause, Door, Phase, Reason, Status
from model.ids import ExecutionId, SuiteRunId, uuid7
from model.problems import InvalidError
from orchestrator import listing, retry
from orchestrator import suites as cases
from orchestrator.cancel import CancelOutcome, cancel
from orchestrator.checking import check, check_suite
from orchestrator.submit import Once, Order, OverQuota, Submitted, submit
from orchestrator.suites import SuiteOrder, SuiteSkipped, SuiteSubmitted

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
RANDOM = Random(7)
RAW = {"name": "one", "type": "custom", "command": ["true"], "content": {"type": "inline", "files": {"a": "b"}}}


def new_id(now: datetime = NOON) -> UUID:
    return uuid7(now, RANDOM)


def order(**change: Any) -> Order:
    values: dict[str, Any] = {
        "request": check(RAW),
        "execution_id": ExecutionId(new_id()),
        "user_id": LOCAL_USER,
        "door": Door.REST,
        "now": NOON,
    }
    return Order(**values | change)


def suite_order(*names: str, **change: Any) -> SuiteOrder:
    values: dict[str, Any] = {
        "suite": check_suite({"name": "suite", "tests": [RAW | {"name": name} for name in names]}),
        "suite_run_id": SuiteRunId(new_id()),
        "user_id": LOCAL_USER,
        "door": Door.PREFECT,
        "now": NOON,
    }
    return SuiteOrder(**values | change)


def rows(db: Database) -> tuple[int, ...]:
    tables = ("test_definitions", "test_executions", "queue", "suite_runs")
    return db.call(lambda conn: tuple(conn.execute(text(f"SELECT count(*) FROM {t}")).scalar_one() for t in tables))


def submitted(db: Database, **change: Any) -> ExecutionId:
    outcome = db.call(lambda conn: submit(conn, order(**change)))
    assert isinstance(outcome, Submitted)
    return outcome.execution_id


def put(db: Database, run: ExecutionId, phase: Phase) -> None:
    """Bring a waiting run into a phase, as gate and worker would."""
    fenced = Fenced(run_id=run, epoch=None)

    def change(conn: Connection) -> None:
        if phase in {Phase.WAITING, Phase.BACKOFF, Phase.ADMITTED}:
            runs.set_phase(conn, fenced, phase)
            return
        runs.transition(conn, fenced, Status.QUEUED, Become(status=Status.RUNNING, phase=phase, node="here"))

    db.call(change)


def end(db: Database, run: ExecutionId, status: Status = Status.COMPLETED, reason: Reason | None = None) -> None:
    put(db, run, Phase.RUNNING)
    become = Become(status=status, phase=Phase.ENDED, reason=reason)
    assert db.call(lambda conn: runs.transition(conn, Fenced(run_id=run, epoch=None), Status.RUNNING, become))


def test_a_submit_writes_definition_execution_and_queue_row(db: Database) -> None:
    run = submitted(db, request=check(RAW | {"priority": 2}))

    shown = db.call(lambda conn: listing.show(conn, run))
    assert rows(db) == (1, 1, 1, 0)
    assert (shown.execution.status, shown.execution.priority, shown.execution.door) == (Status.QUEUED, 2, Door.REST)
    assert shown.execution.team_id == DEFAULT_TEAM
    assert shown.standing is not None
    assert shown.standing.position == 1


def test_the_same_flow_run_submits_once_however_often_and_at_once(db: Database) -> None:
    flow_run = uuid4()

    def one(_: int) -> ExecutionId:
        return submitted(db, flow_run_id=flow_run, door=Door.PREFECT, user_id=PREFECT_USER)

    with ThreadPoolExecutor(4) as threads:
        runs = set(threads.map(one, range(12)))

    assert len(runs) == 1
    assert rows(db) == (1, 1, 1, 0)


def test_the_same_execution_is_submitted_once(db: Database) -> None:
    again = order()

    outcomes = [db.call(lambda conn: submit(conn, again)) for _ in range(2)]

    assert [outcome.new for outcome in outcomes if isinstance(outcome, Submitted)] == [True, False]
    assert rows(db) == (1, 1, 1, 0)


def test_over_quota_nothing_is_written_not_even_the_definition(db: Database) -> None:
    db.call(lambda conn: people.set_quota(conn, "user", "local", Quota(max_concurrent_tests=1, max_daily_tests=0)))

    outcome = db.call(lambda conn: submit(conn, order()))

    assert isinstance(outcome, OverQuota)
    assert (outcome.scope, outcome.limit) == ("user", 0)
    assert rows(db) == (0, 0, 0, 0)


def test_the_daily_quota_starts_anew_at_midnight_utc(db: Database) -> None:
    db.call(lambda conn: people.set_quota(conn, "user", "local", Quota(max_concurrent_tests=1, max_daily_tests=1)))
    evening = datetime(2026, 5, 4, 23, 59, 59, tzinfo=UTC)

    outcomes = [
        db.call(lambda conn, at=at: submit(conn, order(now=at)))
        for at in (evening, evening, evening + timedelta(seconds=1))
    ]

    assert [type(outcome) for outcome in outcomes] == [Submitted, OverQuota, Submitted]


def test_submits_of_many_users_and_definitions_at_once_never_deadlock(db: Database) -> None:
    names = ["a", "b", "c"]
    requests = {name: check(RAW | {"name": name}) for name in names}

    def one(number: int) -> object:
        user = (LOCAL_USER, PREFECT_USER)[number % 2]
        if number % 5 == 0:
            turned = names[number % 3 :] + names[: number % 3]
            return db.call(lambda conn: cases.submit_suite(conn, suite_order(*turned, user_id=user)))
        return submitted(db, request=requests[names[number % 3]], user_id=user)

    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(one, range(40)))

    assert len(done) == 40
    assert rows(db)[:2] == (6, 32 + 8 * 3)


def test_a_teams_own_secret_counts_and_another_teams_does_not(db: Database) -> None:
    request = check(RAW | {"env": {"A": "${secrets.mine}"}})

    with pytest.raises(InvalidError) as refused:
        submitted(db, request=request)
    db.call(lambda conn: secrets.put(conn, "mine", "default", "env:A"))

    assert [problem.path for problem in refused.value.problems] == ["env.A"]
    assert submitted(db, request=request)


@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.BACKOFF, Phase.ADMITTED])
def test_a_run_without_a_process_is_cancelled_at_once(db: Database, phase: Phase) -> None:
    run = submitted(db)
    put(db, run, phase)

    outcomes = [db.call(lambda conn: cancel(conn, run, by="ann", now=NOON)) for _ in range(2)]

    row = db.call(lambda conn: executions.find(conn, run))
    assert [(o.status, o.changed) for o in outcomes] == [(Status.CANCELLED, True), (Status.CANCELLED, False)]
    assert (row.status, row.phase, row.cancelled_by, "ann" in row.detail) == (
        Status.CANCELLED,
        Phase.ENDED,
        "ann",
        True,
    )
    assert rows(db)[2] == 0


@pytest.mark.parametrize("phase", [Phase.LAUNCHING, Phase.RUNNING, Phase.COLLECTING])
def test_a_run_with_a_process_is_asked_to_end_once(db: Database, phase: Phase) -> None:
    run = submitted(db)
    put(db, run, phase)

    outcomes = [db.call(lambda conn, by=by: cancel(conn, run, by=by, now=NOON)) for by in ("ann", "bob")]

    row = db.call(lambda conn: executions.find(conn, run))
    assert [(o.status, o.changed) for o in outcomes] == [(Status.RUNNING, True), (Status.RUNNING, False)]
    assert (row.status, row.cancel_requested, row.cancelled_by) == (Status.RUNNING, True, "ann")


def test_cancelling_an_unknown_run_is_not_found(db: Database) -> None:
    with pytest.raises(NotFoundError):
        db.call(lambda conn: cancel(conn, ExecutionId(uuid4()), by="ann", now=NOON))


def test_a_hundred_cancels_at_once_change_one_run_once(db: Database) -> None:
    run = submitted(db)

    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(lambda _: db.call(lambda conn: cancel(conn, run, by="ann", now=NOON)), range(100)))

    assert sum(outcome.changed for outcome in outcomes) == 1
    assert {outcome.status for outcome in outcomes} == {Status.CANCELLED}


def cancelled_while(db: Database, run: ExecutionId, source: Status, become: Become) -> CancelOutcome:
    """Cancel a run by a second connection while a first one, which has not committed yet, changes it."""
    with ThreadPoolExecutor(1) as thread:

        def change(conn: Connection) -> Future[CancelOutcome]:
            assert runs.transition(conn, Fenced(run_id=run, epoch=None), source, become)
            asked = thread.submit(db.call, lambda conn: cancel(conn, run, by="ann", now=NOON))
            while not conn.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one():
                assert not asked.done()
            return asked

        return db.call(change).result()


def test_a_cancel_during_the_step_back_to_the_queue_ends_the_run_at_once(db: Database) -> None:
    run = submitted(db)
    put(db, run, Phase.COLLECTING)
    back = Become(status=Status.QUEUED, phase=Phase.BACKOFF, cause=Cause.RETRY)

    outcome = cancelled_while(db, run, Status.RUNNING, back)

    row = db.call(lambda conn: executions.find(conn, run))
    assert (outcome.status, outcome.changed) == (Status.CANCELLED, True)
    assert (row.status, row.phase, row.retry_count) == (Status.CANCELLED, Phase.ENDED, 1)
    assert rows(db)[2] == 0


def test_a_cancel_during_the_launch_asks_the_run_to_end(db: Database) -> None:
    run = submitted(db)

    outcome = cancelled_while(db, run, Status.QUEUED, Become(status=Status.RUNNING, phase=Phase.LAUNCHING, node="here"))

    row = db.call(lambda conn: executions.find(conn, run))
    assert (outcome.status, outcome.changed) == (Status.RUNNING, True)
    assert (row.status, row.cancel_requested) == (Status.RUNNING, True)


def test_a_cancel_during_the_end_changes_nothing(db: Database) -> None:
    run = submitted(db)
    put(db, run, Phase.COLLECTING)

    outcome = cancelled_while(db, run, Status.RUNNING, Become(status=Status.COMPLETED, phase=Phase.ENDED))

    row = db.call(lambda conn: executions.find(conn, run))
    assert (outcome.status, outcome.changed) == (Status.COMPLETED, False)
    assert (row.status, row.cancel_requested) == (Status.COMPLETED, False)


def test_content_that_nobody_sent_is_refused_where_the_door_asks(db: Database) -> None:
    packed = check(RAW | {"content": {"type": "artifact", "sha256": "0" * 64}})
    suite = check_suite({"name": "suite", "tests": [RAW, to_raw(packed) | {"name": "two"}]})

    def paths(refused: pytest.ExceptionInfo[InvalidError]) -> list[str]:
        assert rows(db) == (0, 0, 0, 0)
        return [problem.path for problem in refused.value.problems]

    with pytest.raises(InvalidError) as alone:
        db.call(lambda conn: submit(conn, order(request=packed), set().__contains__))
    with pytest.raises(InvalidError) as together:
        db.call(lambda conn: cases.submit_suite(conn, suite_order("any", suite=suite), set().__contains__))

    assert paths(alone) == ["content.sha256"]
    assert paths(together) == ["tests[1].content.sha256"]
    assert isinstance(db.call(lambda conn: submit(conn, order(request=packed), {"0" * 64}.__contains__)), Submitted)
    assert isinstance(db.call(lambda conn: submit(conn, order(request=packed))), Submitted)


def test_a_key_is_one_users_own(db: Database) -> None:
    once = Once(key="k", digest="d")
    mine, again = submitted(db, once=once), submitted(db, once=once)
    theirs = submitted(db, once=once, user_id=PREFECT_USER)

    with pytest.raises(ConflictError, match=str(mine)[-8:]):
        submitted(db, once=Once(key="k", digest="other"))

    assert mine == again != theirs


def test_a_retry_waits_for_the_end_and_keeps_definition_user_and_priority(db: Database) -> None:
    run = submitted(db, request=check(RAW | {"priority": 1}), user_id=PREFECT_USER)
    again = retry.Again(now=NOON, new_id=ExecutionId(new_id()))

    with pytest.raises(ConflictError, match="has not ended"):
        db.call(lambda conn: retry.retry(conn, run, again))
    end(db, run)
    outcome = db.call(lambda conn: retry.retry(conn, run, again))

    assert isinstance(outcome, Submitted)
    old, new = (db.call(lambda conn, one=one: executions.find(conn, one)) for one in (run, outcome.execution_id))
    assert (new.definition_id, new.submitted_by, new.priority) == (old.definition_id, PREFECT_USER, 1)
    assert new.retried_from == run


def test_a_suite_is_all_or_nothing(db: Database) -> None:
    db.call(lambda conn: people.set_quota(conn, "user", "local", Quota(max_concurrent_tests=1, max_daily_tests=2)))

    too_many = db.call(lambda conn: cases.submit_suite(conn, suite_order("a", "b", "c")))
    nothing = rows(db)
    enough = db.call(lambda conn: cases.submit_suite(conn, suite_order("a", "b")))

    assert isinstance(too_many, OverQuota)
    assert nothing == (0, 0, 0, 0)
    assert isinstance(enough, SuiteSubmitted)
    assert rows(db) == (2, 2, 2, 1)


def test_the_same_flow_run_submits_a_suite_once(db: Database) -> None:
    flow_run = uuid4()

    outcomes = [
        db.call(lambda conn: cases.submit_suite(conn, suite_order("b", "a", flow_run_id=flow_run))) for _ in "12"
    ]

    first, second = (outcome for outcome in outcomes if isinstance(outcome, SuiteSubmitted))
    assert (first.suite_run_id, first.execution_ids) == (second.suite_run_id, second.execution_ids)
    assert (first.new, second.new) == (True, False)


def test_a_scheduled_suite_is_skipped_with_a_note_while_the_one_before_has_not_ended(db: Database) -> None:
    first = db.call(lambda conn: cases.submit_suite(conn, suite_order("a", scheduled=True)))
    skipped_order = suite_order("a", scheduled=True, flow_run_id=uuid4())
    skipped = db.call(lambda conn: cases.submit_suite(conn, skipped_order))
    by_hand = db.call(lambda conn: cases.submit_suite(conn, suite_order("a")))
    assert isinstance(first, SuiteSubmitted)
    assert isinstance(by_hand, SuiteSubmitted)
    for run in (*first.execution_ids, *by_hand.execution_ids):
        end(db, run)
    for suite_run in (first, by_hand):
        db.call(lambda conn, one=suite_run: cases.close(conn, one.suite_run_id))
    later = db.call(lambda conn: cases.submit_suite(conn, suite_order("a", scheduled=True)))

    assert isinstance(skipped, SuiteSkipped)
    assert "has not ended" in skipped.note
    shown = db.call(lambda conn: cases.show_suite(conn, skipped.suite_run_id))
    assert (shown.status, shown.exit_code, shown.tests) == ("skipped", 2, ())
    assert db.call(lambda conn: cases.submit_suite(conn, skipped_order)) == skipped
    assert isinstance(later, SuiteSubmitted)


def test_a_suite_is_closed_with_its_worst_verdict_once_all_tests_have_ended(db: Database) -> None:
    made = db.call(lambda conn: cases.submit_suite(conn, suite_order("a", "b")))
    assert isinstance(made, SuiteSubmitted)

    early = db.call(lambda conn: cases.close(conn, made.suite_run_id))
    end(db, made.execution_ids[0], Status.FAILED, Reason.INFRASTRUCTURE)
    end(db, made.execution_ids[1], Status.FAILED, Reason.TESTS_FAILED)
    verdicts = [db.call(lambda conn: cases.close(conn, made.suite_run_id)) for _ in "12"]

    assert early is None
    assert [verdict.reason for verdict in verdicts if verdict] == [Reason.INFRASTRUCTURE] * 2
    assert db.call(lambda conn: suites.find(conn, made.suite_run_id)).completed_at is not None


def test_the_position_is_counted_where_one_run_is_shown(db: Database) -> None:
    late, urgent = submitted(db), submitted(db, request=check(RAW | {"priority": 0}))

    standings = [db.call(lambda conn, run=run: listing.standing(conn, run)) for run in (urgent, late)]

    assert [standing.position for standing in standings if standing] == [1, 2]
