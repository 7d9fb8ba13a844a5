"""A run is asked to stop for a more important one, keeps its place until it has, and then waits where it was."""

from typing import Any

import psycopg2
import pytest
from sqlalchemy import text

from db import leases
from db.gate import pass_input, pass_output, queue
from db.gate.decision_records import Stopped
from db.gate.queue import Requeue
from db.gate.read_rows import ReadRows
from db.seeds import DEFAULT_POOL
from model.execution import Cause, Phase, Status, Verdict
from model.ids import WorkerId
from orchestrator import lifecycle
from orchestrator.lifecycle import Again, Finished, Grant
from scheduler.admission.decisions import Preempt
from scheduler.values.order import NO_TIME

AGO = "- interval '10 minutes'"


def crowded(gate_db: Any, **given: Any) -> tuple[Any, Any]:
    """Let one restartable run hold the only place, and an urgent one wait for it."""
    gate_db.pool(max_concurrent_tests=1)
    [holder] = gate_db.submit(priority=9, **({"restartable": True} | given))
    gate_db.run_pass()
    gate_db.claim(WorkerId("w0"))
    gate_db.begin(holder, 1)
    gate_db.sql(f"UPDATE queue SET admitted_at = admitted_at {AGO}, began_at = began_at {AGO}")
    [urgent] = gate_db.submit(priority=0)
    return holder, urgent


def ask(gate_db: Any, holder: Any, urgent: Any) -> list[Any]:
    """Carry out the decision that one run shall stop for the other."""

    def work(conn: Any) -> list[Any]:
        known = pass_input.facts(conn, DEFAULT_POOL)
        found = ReadRows()
        asked = {"pool": DEFAULT_POOL, "now": known.now, "nearly": known.now, "step": NO_TIME}
        asked |= {"newest": 9, "in_order": 9, "first": 9}
        found.add(pass_input._NEW.execute(conn, asked))
        [victim] = [run for run in known.holding if run.execution_id == holder]
        decision = Preempt(run=victim, beneficiary=found.runs[urgent])
        return pass_output.preempt(conn, [decision], known.now)

    asked: list[Any] = gate_db.do(work)
    return asked


def test_who_is_asked_keeps_its_place_and_is_told_for_whom(gate_db: Any) -> None:
    holder, urgent = crowded(gate_db)

    assert ask(gate_db, holder, urgent) == [holder]
    assert gate_db.row(holder).state == "admitted"
    assert gate_db.do(lambda conn: queue.preempted_for(conn, holder, 1)) == urgent
    record = gate_db.said(holder)[-1]
    assert isinstance(record, Stopped)
    assert (record.beneficiary, record.priority) == (urgent, 0)
    assert record.held >= 600
    assert gate_db.admitted() == []


def test_the_workers_hear_of_it_when_the_pass_commits(gate_db: Any) -> None:
    holder, urgent = crowded(gate_db)
    listening = psycopg2.connect(gate_db.db.url.replace("+psycopg2", ""))
    listening.autocommit = True
    with listening.cursor() as cursor:
        cursor.execute("LISTEN assay")
        ask(gate_db, holder, urgent)
        cursor.execute("SELECT 1")
    payloads = [message.payload for message in listening.notifies]
    listening.close()

    assert payloads == [f"preempt:{holder}"]


def test_nobody_is_asked_twice(gate_db: Any) -> None:
    holder, urgent = crowded(gate_db)
    ask(gate_db, holder, urgent)

    assert ask(gate_db, holder, urgent) == []
    assert [record.kind for record in gate_db.said(holder)] == ["admitted", "preempted"]


@pytest.mark.parametrize("given", [{"restartable": False}, {}])
def test_what_must_not_be_stopped_is_not_asked(gate_db: Any, given: dict[str, bool]) -> None:
    """Not restartable, or guarded since the plan was made: an experiment between injection and revert."""
    holder, urgent = crowded(gate_db, **given)
    if not given:
        assert gate_db.do(lambda conn: queue.guard(conn, holder, 1, on=True))

    assert ask(gate_db, holder, urgent) == []
    assert gate_db.do(lambda conn: queue.preempted_for(conn, holder, 1)) is None


def test_a_guard_comes_too_late_for_who_was_asked_already(gate_db: Any) -> None:
    holder, urgent = crowded(gate_db)
    ask(gate_db, holder, urgent)

    assert not gate_db.do(lambda conn: queue.guard(conn, holder, 1, on=True))
    assert gate_db.do(lambda conn: queue.guard(conn, holder, 1, on=False))


def test_a_guard_under_an_old_epoch_changes_nothing(gate_db: Any) -> None:
    holder, _ = crowded(gate_db)

    assert not gate_db.do(lambda conn: queue.guard(conn, holder, 0, on=True))
    assert not gate_db.row(holder).guarded


def test_who_is_being_cancelled_is_left_alone(gate_db: Any) -> None:
    holder, urgent = crowded(gate_db)
    gate_db.sql("UPDATE runs SET cancel_requested_at = now() WHERE id = :id", id=holder)

    assert ask(gate_db, holder, urgent) == []


def test_who_has_stopped_waits_in_its_old_place_and_may_start_again_at_once(gate_db: Any) -> None:
    holder, urgent = crowded(gate_db)
    seq = gate_db.row(holder).seq
    ask(gate_db, holder, urgent)

    gate_db.do(lambda conn: queue.requeue(conn, holder, 1, Requeue(cause=Cause.PREEMPTED)))
    row = gate_db.row(holder)

    assert (row.state, row.seq, row.not_before, row.preempted_for) == ("waiting", seq, None, None)
    assert gate_db.admitted() == [urgent]
    gate_db.do(lambda conn: queue.release(conn, urgent, 1))
    gate_db.sql("UPDATE runs SET status = 'queued', phase = 'waiting' WHERE id = :id", id=holder)
    assert gate_db.admitted() == [holder]


def test_a_holder_that_was_taken_over_has_still_to_stop(gate_db: Any) -> None:
    """Whoever takes the run up next reads of it under the new epoch."""
    holder, urgent = crowded(gate_db)
    ask(gate_db, holder, urgent)
    other = gate_db.worker("w1")
    gate_db.sql("UPDATE leases SET expires_at = to_timestamp(0)")

    [taken] = gate_db.do(lambda conn: leases.claim(conn, other, pass_input.UNCLAIMED))

    assert taken.epoch == 2
    assert gate_db.do(lambda conn: queue.preempted_for(conn, holder, 2)) == urgent
    assert gate_db.do(lambda conn: queue.preempted_for(conn, holder, 1)) is None


class TestPasses:
    """Whom a real pass asks."""

    def test_a_pass_stops_a_less_important_run(self, gate_db: Any) -> None:
        holder, urgent = crowded(gate_db)
        gate_db.pool(preemption=True)

        assert gate_db.run_pass().preempted == (holder,)
        assert gate_db.row(urgent).reason.startswith("waits until a less important run has stopped")

    def test_nobody_is_stopped_that_would_come_first_again(self, gate_db: Any) -> None:
        """It is less important, but came so early that it is before the other one in the order."""
        holder, _ = crowded(gate_db)
        gate_db.pool(preemption=True)
        gate_db.sql(
            "UPDATE queue SET enqueued_at = enqueued_at - interval '601 min' WHERE execution_id = :id", id=holder
        )

        assert gate_db.run_pass().preempted == ()

    def test_the_minimum_time_counts_from_when_the_test_began(self, gate_db: Any) -> None:
        """It had its place for ten minutes, while it was prepared."""
        holder, _ = crowded(gate_db)
        gate_db.pool(preemption=True, min_runtime_seconds=60)
        gate_db.sql("UPDATE queue SET began_at = NULL WHERE execution_id = :id", id=holder)
        assert gate_db.run_pass().preempted == ()

        assert gate_db.do(lambda conn: lifecycle.enter(conn, place(holder, 1), Phase.RUNNING))
        assert gate_db.run_pass().preempted == ()
        gate_db.sql("UPDATE queue SET began_at = began_at - interval '61 s' WHERE execution_id = :id", id=holder)

        assert gate_db.run_pass().preempted == (holder,)

    def test_who_takes_a_run_over_has_to_say_that_it_runs(self, gate_db: Any) -> None:
        """Its process may be gone, and be launched anew."""
        holder, _ = crowded(gate_db)
        gate_db.pool(preemption=True)
        other = gate_db.worker("w1")
        gate_db.sql("UPDATE leases SET expires_at = to_timestamp(0)")
        gate_db.do(lambda conn: leases.claim(conn, other, pass_input.UNCLAIMED))

        assert gate_db.row(holder).began_at is None
        assert gate_db.run_pass().preempted == ()

    def test_each_admission_begins_anew(self, gate_db: Any) -> None:
        holder, urgent = crowded(gate_db)
        gate_db.do(lambda conn: queue.requeue(conn, holder, 1, Requeue(cause=Cause.RETRY)))
        assert gate_db.row(holder).began_at is None
        gate_db.sql("UPDATE runs SET status = 'queued', phase = 'waiting' WHERE id = :id", id=holder)
        gate_db.sql("UPDATE queue SET began_at = now() WHERE execution_id = :id", id=holder)
        gate_db.do(lambda conn: queue.withdraw(conn, urgent))

        assert gate_db.admitted() == [holder]
        assert gate_db.row(holder).began_at is None

    def test_what_may_not_be_stopped_has_no_row_rewritten(self, gate_db: Any) -> None:
        holder, _ = crowded(gate_db, restartable=False)

        assert gate_db.row(holder).began_at is None


def test_who_was_asked_to_stop_and_is_launched_anew_waits_instead(gate_db: Any) -> None:
    """Its worker and its process died before it had stopped."""
    holder, urgent = crowded(gate_db)
    ask(gate_db, holder, urgent)
    mine = place(holder, 1)
    begun = gate_db.do(lambda conn: lifecycle.begin(conn, mine))
    assert gate_db.do(lambda conn: lifecycle.asked_to_stop(conn, mine))
    called_off = Finished(number=begun.number, verdict=Verdict(status=Status.CANCELLED, detail="called off"))

    step = gate_db.do(lambda conn: lifecycle.finish(conn, mine, called_off))

    assert step == Again(cause=Cause.PREEMPTED, delay=None)
    assert gate_db.row(holder).state == "waiting"


def test_a_stop_for_which_nobody_has_asked_is_no_cancel(gate_db: Any) -> None:
    """A test that ends its own supervisor, say. It says nothing about the test, so that it is tried again."""
    holder, _ = crowded(gate_db)
    mine = place(holder, 1)
    begun = gate_db.do(lambda conn: lifecycle.begin(conn, mine))
    stopped = Finished(number=begun.number, verdict=Verdict(status=Status.CANCELLED, detail="stopped"))

    step = gate_db.do(lambda conn: lifecycle.finish(conn, mine, stopped))

    assert isinstance(step, Again)
    assert step.cause is Cause.INFRASTRUCTURE


def place(run: Any, epoch: int) -> Grant:
    return Grant(execution_id=run, epoch=epoch, node="n0")


def test_many_places_are_released_at_once_each_under_its_epoch(gate_db: Any) -> None:
    first, second, third = gate_db.submit(3)
    gate_db.run_pass()

    freed = gate_db.do(lambda conn: queue.release_many(conn, [(first, 1), (second, 0), (third, 1)]))

    assert freed == {first, third}
    assert gate_db.row(second).state == "admitted"


class TestGroups:
    """Of those that shall start together none starts alone."""

    def group(self, gate_db: Any, number: int = 3) -> list[Any]:
        runs: list[Any] = gate_db.submit(number, group=gate_db.new_id())
        return runs

    def test_a_group_starts_together(self, gate_db: Any) -> None:
        runs = self.group(gate_db)

        assert sorted(gate_db.admitted()) == sorted(runs)

    def test_one_member_that_somebody_has_in_hand_keeps_all_waiting(self, gate_db: Any) -> None:
        runs = self.group(gate_db)
        with gate_db.db._engine.begin() as other:
            other.execute(text("SELECT 1 FROM runs WHERE id = :id FOR UPDATE"), {"id": runs[1]})
            [plain] = gate_db.submit()
            assert gate_db.admitted() == [plain]

        assert sorted(gate_db.admitted()) == sorted(runs)

    def test_a_member_that_is_cancelled_in_the_middle_of_a_pass_tears_no_group(self, gate_db: Any) -> None:
        runs = self.group(gate_db)
        with gate_db.db._engine.begin() as canceller:
            canceller.execute(
                text("UPDATE runs SET status = 'cancelled', phase = 'ended' WHERE id = :id"),
                {"id": runs[0]},
            )
            queue.withdraw(canceller, runs[0])
            assert gate_db.admitted() == []

        assert sorted(gate_db.admitted()) == sorted(runs[1:])

    def test_who_is_tried_again_starts_alone(self, gate_db: Any) -> None:
        runs = self.group(gate_db)
        gate_db.run_pass()
        gate_db.do(lambda conn: queue.requeue(conn, runs[0], 1, Requeue(cause=Cause.RETRY)))

        assert gate_db.row(runs[0]).group_id is None
        assert gate_db.admitted() == [runs[0]]

    def test_all_members_are_read_however_little_a_pass_reads(
        self, gate_db: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("ROWS", "OLDEST", "POSITIONS"):
            monkeypatch.setattr(pass_input, name, 1)
        gate_db.submit(3, priority=1)
        runs = gate_db.submit(4, group=gate_db.new_id(), priority=2)

        found = gate_db.do(lambda conn: pass_input.waiting(conn, pass_input.facts(conn, DEFAULT_POOL)))

        assert set(runs) <= set(found.runs)
