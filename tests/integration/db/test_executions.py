"""Executions and attempts."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text, update

from db import executions, runs, tables
from db.engine import Database
from db.errors import ConflictError, NotFoundError
from db.executions import ExecutionFilter
from db.page import Page
from db.runs import Become, Fenced, RunRef
from db.seeds import LOCAL_USER
from model.execution import Cause, Phase, Reason, Status, Verdict
from model.ids import ExecutionId
from model.provenance import Provenance
from model.runs import RunKind

PASSED = Verdict(status=Status.COMPLETED)
FLOW_RUN = UUID("00000000-0000-4000-8000-00000000000f")
RUNNING = Become(status=Status.RUNNING, phase=Phase.LAUNCHING, node="here")
DONE = Become(status=Status.COMPLETED, phase=Phase.ENDED)


def fence(execution_id: ExecutionId, epoch: int | None = None) -> Fenced:
    return Fenced(run_id=execution_id, epoch=epoch)


def test_a_new_run_waits(db: Database, waiting: ExecutionId, noon: datetime) -> None:
    found = db.call(lambda conn: executions.find(conn, waiting))

    assert (found.status, found.phase, found.name) == (Status.QUEUED, Phase.WAITING, "checkout")
    assert (found.submitted_at, found.submitted_by, found.username) == (noon, LOCAL_USER, "local")


def test_its_request_comes_back_as_it_was(db: Database, make: Any, wanted: Any) -> None:
    labelled = wanted(labels=(("team", "shop"),), tags=("smoke", "area=cart"))
    made = db.call(lambda conn: make.execution(conn, labelled))

    assert db.call(lambda conn: executions.request_of(conn, made)) == make.request(labelled)


def test_a_run_goes_its_way_and_its_end_is_final(db: Database, waiting: ExecutionId) -> None:
    assert db.call(lambda conn: runs.transition(conn, fence(waiting), Status.QUEUED, RUNNING))
    assert db.call(lambda conn: runs.set_phase(conn, fence(waiting), Phase.COLLECTING))
    assert db.call(lambda conn: runs.transition(conn, fence(waiting), Status.RUNNING, DONE))

    late = Become(status=Status.CANCELLED, phase=Phase.ENDED)
    assert not db.call(lambda conn: runs.transition(conn, fence(waiting), Status.RUNNING, late))
    found = db.call(lambda conn: executions.find(conn, waiting))
    assert (found.status, found.node_name) == (Status.COMPLETED, "here")
    assert found.submitted_at <= found.started_at <= found.completed_at  # type: ignore[operator]


def test_what_holds_a_run_up_is_said_until_it_goes_on(db: Database, waiting: ExecutionId) -> None:
    launching = Become(status=Status.RUNNING, phase=Phase.LAUNCHING, node="here")
    assert db.call(lambda conn: runs.transition(conn, fence(waiting), Status.QUEUED, launching))
    assert db.call(lambda conn: runs.set_phase(conn, fence(waiting), Phase.LAUNCHING, "cluster lab does not answer"))
    assert db.call(lambda conn: executions.find(conn, waiting)).detail == "cluster lab does not answer"

    assert db.call(lambda conn: runs.set_phase(conn, fence(waiting), Phase.RUNNING))
    assert not db.call(lambda conn: executions.find(conn, waiting)).detail


def test_an_old_epoch_changes_nothing(db: Database, waiting: ExecutionId) -> None:
    admitted = update(tables.Run).values(epoch=2)
    db.call(lambda conn: conn.execute(admitted))

    assert not db.call(lambda conn: runs.transition(conn, fence(waiting, 1), Status.QUEUED, RUNNING))
    assert not db.call(lambda conn: runs.set_phase(conn, fence(waiting, 1), Phase.BACKOFF))
    assert db.call(lambda conn: runs.lock(conn, waiting, 1)) is None
    assert db.call(lambda conn: runs.transition(conn, fence(waiting, 2), Status.QUEUED, RUNNING))


def test_an_impossible_change_is_an_error_of_the_program(db: Database, waiting: ExecutionId) -> None:
    with pytest.raises(ValueError, match="never followed"):
        db.call(lambda conn: runs.transition(conn, fence(waiting), Status.QUEUED, DONE))
    with pytest.raises(ValueError, match="no phase"):
        Become(status=Status.QUEUED, phase=Phase.RUNNING)


def test_a_phase_of_another_status_is_refused(db: Database, waiting: ExecutionId) -> None:
    assert not db.call(lambda conn: runs.set_phase(conn, fence(waiting), Phase.COLLECTING))


def test_going_back_to_wait_counts_its_cause(db: Database, waiting: ExecutionId) -> None:
    causes = [Cause.RETRY, Cause.INFRASTRUCTURE, Cause.RETRY]
    for cause in causes:
        back = Become(status=Status.QUEUED, phase=Phase.BACKOFF, cause=cause)
        db.call(lambda conn: runs.transition(conn, fence(waiting), Status.QUEUED, RUNNING))
        number = db.call(lambda conn: executions.open_attempt(conn, waiting, epoch=1, node="here")).number
        db.call(lambda conn, n=number: executions.close_attempt(conn, waiting, n, PASSED))
        db.call(lambda conn, b=back: runs.transition(conn, fence(waiting), Status.RUNNING, b))
    db.call(lambda conn: executions.open_attempt(conn, waiting, epoch=1, node="here"))

    found = db.call(lambda conn: executions.find(conn, waiting))
    attempts = db.call(lambda conn: executions.attempts(conn, waiting))
    assert (found.retry_count, found.infrastructure_count) == (2, 1)
    assert [attempt.cause for attempt in attempts] == [Cause.FIRST, *causes]


def test_an_open_attempt_is_found_again_and_ends_once(db: Database, waiting: ExecutionId) -> None:
    first = db.call(lambda conn: executions.open_attempt(conn, waiting, epoch=1, node="here"))
    again = db.call(lambda conn: executions.open_attempt(conn, waiting, epoch=2, node="there"))
    verdict = Verdict(status=Status.FAILED, reason=Reason.TESTS_FAILED, detail="one \x00 failed")

    assert again == first
    assert db.call(lambda conn: executions.close_attempt(conn, waiting, 1, verdict, 1))
    assert not db.call(lambda conn: executions.close_attempt(conn, waiting, 1, PASSED, 0))
    (ended,) = db.call(lambda conn: executions.attempts(conn, waiting))
    assert (ended.exit_code, ended.verdict and ended.verdict.reason) == (1, Reason.TESTS_FAILED)


def test_the_wish_to_cancel_is_written_once(db: Database, waiting: ExecutionId, noon: datetime) -> None:
    assert db.call(lambda conn: runs.request_cancel(conn, waiting, "ann", noon))
    assert not db.call(lambda conn: runs.request_cancel(conn, waiting, "bob", noon))

    found = db.call(lambda conn: executions.find(conn, waiting))
    assert (found.cancel_requested, found.cancelled_by) == (True, "ann")


def test_a_run_is_found_by_any_unique_beginning_or_end(db: Database, waiting: ExecutionId) -> None:
    digits = waiting.hex
    for given in (str(waiting), digits, digits[-8:], digits[-3:], digits[:20], digits.upper(), f" {digits[:30]} "):
        assert db.call(lambda conn, g=given: executions.resolve(conn, g)) == waiting


def test_a_run_is_found_by_the_beginning_of_the_short_id_that_people_are_shown(db: Database, make: Any) -> None:
    made = db.call(lambda conn: [make.execution(conn) for _ in range(3)])
    shown = made[1].hex[-8:]

    assert db.call(lambda conn: executions.resolve(conn, shown[:7])) == made[1]


def test_an_id_that_several_have_is_a_conflict_with_candidates(db: Database, make: Any) -> None:
    made = db.call(lambda conn: [make.execution(conn) for _ in range(3)])

    with pytest.raises(ConflictError) as error:
        db.call(lambda conn: executions.resolve(conn, made[0].hex[:6]))

    assert set(error.value.candidates) == {one.hex[-8:] for one in made}


@pytest.mark.parametrize("given", ["", "%", "ffffffff", "nonsense", "' OR 1=1", "0" * 33])
def test_an_id_that_nobody_has_is_not_found(db: Database, waiting: ExecutionId, given: str) -> None:
    assert waiting
    with pytest.raises(NotFoundError):
        db.call(lambda conn: executions.resolve(conn, given))


def test_the_end_of_an_id_is_looked_up_by_index(db: Database) -> None:
    query = "EXPLAIN SELECT 1 FROM runs WHERE reverse(replace(id::text, '-', '')) LIKE 'fe01%'"

    def plan(conn: Any) -> str:
        conn.execute(text("SET LOCAL enable_seqscan = off"))
        return "\n".join(conn.execute(text(query)).scalars())

    assert "idx_runs_suffix" in db.call(plan)


def test_the_list_is_filtered_and_paged(db: Database, make: Any, wanted: Any, noon: datetime) -> None:
    def write(conn: Any) -> list[ExecutionId]:
        return [
            make.execution(
                conn,
                wanted(
                    name=f"t{i % 2}",
                    labels=(("team", "shop" if i % 3 else "pay"),),
                    tags=("smoke", f"part={i % 3}"),
                    at=noon + timedelta(minutes=i),
                    body=f"# {i}",
                ),
            )
            for i in range(9)
        ]

    made = db.call(write)

    def listed(page: Page | None = None, **filters: Any) -> list[int]:
        found, total = db.call(
            lambda conn: executions.list_executions(conn, ExecutionFilter(**filters), page or Page())
        )
        assert page or total == len(found)
        return [made.index(execution.execution_id) for execution in found]

    assert listed() == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert listed(Page(limit=2, offset=3)) == [5, 4]
    assert listed(name="t1") == [7, 5, 3, 1]
    assert listed(labels=(("team", "pay"),)) == [6, 3, 0]
    assert listed(tags=("smoke", "part=1")) == [7, 4, 1]
    assert listed(tags=("part",), name="t0") == [8, 6, 4, 2, 0]
    assert listed(submitted_from=noon + timedelta(minutes=7)) == [8, 7]
    assert listed(submitted_to=noon + timedelta(minutes=1)) == [0]
    assert listed(statuses=(Status.RUNNING, Status.FAILED)) == []
    assert listed(types=("custom",)) == []
    assert listed(user_id=LOCAL_USER, statuses=(Status.QUEUED,), name="t1") == [7, 5, 3, 1]


def test_a_flow_run_belongs_to_one_execution(db: Database, make: Any, waiting: ExecutionId) -> None:
    other = db.call(make.execution)

    assert db.call(lambda conn: runs.link_flow_run(conn, waiting, FLOW_RUN))
    assert db.call(lambda conn: runs.link_flow_run(conn, waiting, FLOW_RUN))
    assert db.call(lambda conn: executions.by_flow_run(conn, FLOW_RUN)) == waiting
    assert db.call(lambda conn: runs.flow_run_of(conn, other)) is None
    assert not db.call(lambda conn: runs.link_flow_run(conn, waiting, other))


def test_the_same_flow_run_writes_no_second_execution(db: Database, make: Any) -> None:
    db.call(lambda conn: make.execution(conn, flow_run_id=FLOW_RUN))

    with pytest.raises(AssertionError):  # the maker insists on a new row
        db.call(lambda conn: make.execution(conn, flow_run_id=FLOW_RUN))

    assert db.call(lambda conn: executions.list_executions(conn, ExecutionFilter())[1]) == 1


def test_ended_runs_are_unsettled_until_prefect_shows_them(db: Database, make: Any, wanted: Any) -> None:
    made = db.call(lambda conn: make.ended(conn, wanted(), PASSED))
    found = db.call(lambda conn: executions.find(conn, made))
    assert found.completed_at is not None
    soon = found.completed_at + timedelta(seconds=1)

    assert db.call(lambda conn: runs.unsettled(conn, found.completed_at, 10)) == []
    assert db.call(lambda conn: runs.unsettled(conn, soon, 10)) == [RunRef(id=made, kind=RunKind.TEST)]
    db.call(lambda conn: runs.link_flow_run(conn, made, FLOW_RUN))
    db.call(lambda conn: runs.settle(conn, made))
    assert db.call(lambda conn: runs.unsettled(conn, soon, 10)) == []
    assert db.call(lambda conn: runs.is_settled(conn, made, FLOW_RUN))


def test_a_waiting_run_cannot_be_settled(db: Database, waiting: ExecutionId) -> None:
    db.call(lambda conn: runs.settle(conn, waiting))

    assert not db.call(lambda conn: executions.find(conn, waiting)).prefect_settled


def test_metrics_are_added_and_progress_replaced(db: Database, waiting: ExecutionId) -> None:
    def write(conn: Any) -> None:
        executions.set_outcome(conn, waiting, metrics={"cpu_seconds": 1.5}, progress={})
        executions.set_outcome(conn, waiting, metrics={"peak_memory_bytes": 7}, progress={"completed": 0})
        running = Fenced(run_id=waiting, epoch=0)
        executions.set_progress(conn, running, {"completed": 3})  # it does not run yet
        assert executions.find(conn, waiting).progress == {"completed": 0}
        runs.transition(conn, running, Status.QUEUED, Become(status=Status.RUNNING, phase=Phase.RUNNING))
        executions.set_progress(conn, running, {"completed": 1})
        executions.set_progress(conn, running, {"completed": 2})
        executions.set_progress(conn, Fenced(run_id=waiting, epoch=7), {"completed": 3})

    db.call(write)

    found = db.call(lambda conn: executions.find(conn, waiting))
    assert found.metrics == {"cpu_seconds": 1.5, "peak_memory_bytes": 7}
    assert found.progress == {"completed": 2}


def test_the_commit_of_the_first_attempt_stays_and_the_rest_is_added(db: Database, waiting: ExecutionId) -> None:
    def write(conn: Any) -> list[str | None]:
        before = executions.commit_of(conn, waiting)
        for commit in ("a" * 40, "b" * 40):
            executions.set_commit(conn, waiting, commit)
        executions.set_outcome(
            conn, waiting, metrics={}, progress={}, provenance=Provenance(tools=(("pytest", "9.2.0"),))
        )
        return [before, executions.commit_of(conn, waiting)]

    assert db.call(write) == [None, "a" * 40]
    found = db.call(lambda conn: executions.find(conn, waiting))
    assert found.provenance == Provenance(commit="a" * 40, tools=(("pytest", "9.2.0"),))


def test_alive_flow_runs_are_told_from_ended_ones(db: Database, make: Any, wanted: Any) -> None:
    ended_run = UUID("00000000-0000-4000-8000-00000000000e")
    ended = db.call(lambda conn: make.ended(conn, wanted(), PASSED))
    db.call(lambda conn: runs.link_flow_run(conn, ended, ended_run))
    db.call(lambda conn: make.execution(conn, flow_run_id=FLOW_RUN))

    assert db.call(runs.alive_flow_runs) == [FLOW_RUN]
