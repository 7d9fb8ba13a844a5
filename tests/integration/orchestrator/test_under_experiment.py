"""A test is told which experiments disturbed it, and never counts as flaky for that (024)."""

from datetime import UTC, datetime, timedelta
from random import Random
from secrets import token_bytes

from harness.experiments import EXAMPLES
from sqlalchemy import text

from chaos.experiment_reading import experiment_from_yaml
from chaos.provider import FaultId
from chaos.targets import Target
from db import chaos_faults, statistics
from db.chaos_faults import NewFault
from db.engine import Database
from db.seeds import LOCAL_USER
from model.execution import Door
from model.ids import ExecutionId, RunId, UserId, uuid7
from orchestrator import experiments, listing
from orchestrator.checking import check
from orchestrator.experiments import Prepared
from orchestrator.submission import Sender
from orchestrator.submit import Order, submit

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RAW = {"name": "one", "type": "custom", "command": ["true"], "content": {"type": "inline", "files": {"a": "b"}}}
ENDED = """
WITH attempt AS (
    INSERT INTO test_attempts (execution_id, number, epoch, cause, started_at, ended_at)
    VALUES (:test, 1, 1, 'first', clock_timestamp() - interval '1 minute', clock_timestamp())
)
INSERT INTO test_results (execution_id, test_name, status, duration_ms) VALUES (:test, 't', :status, 1)
"""
INJECTED = "UPDATE chaos_faults SET injected_at = clock_timestamp() - CAST(:ago AS interval)"


def new_id() -> RunId:
    return RunId(uuid7(NOON, Random(token_bytes(8))))


def ended_test(db: Database, status: str) -> ExecutionId:
    """Write a run of one and the same test that has ended."""
    test = ExecutionId(new_id())
    order = Order(request=check(RAW), execution_id=test, user_id=LOCAL_USER, door=Door.REST, now=NOON)
    db.call(lambda conn: submit(conn, order))
    db.call(lambda conn: conn.execute(text(ENDED), {"test": test, "status": status}))
    return test


def written_fault(db: Database) -> RunId:
    """Write an experiment of the same team with one fault that is about to be injected."""
    experiment = experiment_from_yaml((EXAMPLES / "payments-slow.yaml").read_text(encoding="utf-8"))
    sent = Sender(run_id=new_id(), user_id=UserId(LOCAL_USER), door=Door.REST, now=NOON)
    fault = NewFault(
        fault_id=FaultId("f"),
        execution_id=sent.run_id,
        number=0,
        name="slow",
        type="network-latency",
        target=Target(place="shop", service="payments", name="payments", identity="boot:1:1"),
        expires_after=timedelta(minutes=5),
    )
    db.call(
        lambda conn: experiments.submit(
            conn, experiments.create(conn, experiment, sent.user_id), Prepared(experiment=experiment), sent
        )
    )
    db.call(lambda conn: chaos_faults.write_down(conn, [fault]))
    return sent.run_id


def injected(db: Database, ago: str) -> None:
    db.call(lambda conn: conn.execute(text(INJECTED), {"ago": ago}))


def test_a_test_is_told_what_its_own_team_disturbed_and_is_not_flaky_for_it(db: Database) -> None:
    _, failed = ended_test(db, "passed"), ended_test(db, "failed")
    assert len(db.call(lambda conn: statistics.flaky(conn, NOON))) == 1
    experiment = written_fault(db)
    assert db.call(lambda conn: chaos_faults.over(conn, RunId(failed))) == []

    injected(db, "30 seconds")

    assert db.call(lambda conn: chaos_faults.over(conn, RunId(failed))) == [experiment]
    assert db.call(lambda conn: statistics.flaky(conn, NOON)) == []
    assert db.call(lambda conn: listing.show(conn, failed)).under_experiment == ()  # it has not begun by its row


def test_a_fault_counts_from_when_it_was_written_down(db: Database) -> None:
    """A test that ran while a fault was injected may have met it, also if the injection failed on another target."""
    ended_test(db, "passed")
    failed = ended_test(db, "failed")
    experiment = written_fault(db)
    db.call(lambda conn: conn.execute(text("UPDATE chaos_faults SET written_at = now() - interval '30 seconds'")))

    assert db.call(lambda conn: chaos_faults.over(conn, RunId(failed))) == [experiment]
    assert db.call(lambda conn: statistics.flaky(conn, NOON)) == []


def test_a_fault_of_another_time_or_team_disturbs_nothing(db: Database) -> None:
    ended_test(db, "passed")
    failed = ended_test(db, "failed")
    written_fault(db)
    injected(db, "-1 minute")
    assert db.call(lambda conn: chaos_faults.over(conn, RunId(failed))) == []

    injected(db, "30 seconds")
    db.call(lambda conn: conn.execute(text("UPDATE runs SET team_id = NULL WHERE kind = 'experiment'")))

    assert db.call(lambda conn: chaos_faults.over(conn, RunId(failed))) == []
    assert len(db.call(lambda conn: statistics.flaky(conn, NOON))) == 1
