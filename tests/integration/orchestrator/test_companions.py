"""What an experiment starts beside itself: a load test, found by an id that follows from the experiment's run."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from secrets import token_bytes
from uuid import uuid4

import pytest
from harness.experiments import EXAMPLES
from sqlalchemy import text

from chaos.experiment import Experiment
from chaos.experiment import Order as FaultOrder
from chaos.experiment_reading import experiment_from_yaml
from chaos.fault_types import Fault, FaultType, PodKill
from chaos.hypothesis import HealthCheck, Load, ProbeType
from db import executions, members, people, runs
from db.engine import Database
from db.members import NewUser
from db.seeds import LOCAL_USER
from model.execution import Door, Reason, Status, Verdict
from model.ids import ExecutionId, RunId, UserId, uuid7
from model.problems import InvalidError
from orchestrator import companions, experiments
from orchestrator.checking import check
from orchestrator.companions import Companion, Leader
from orchestrator.experiments import Prepared
from orchestrator.submission import Sender
from orchestrator.submit import Order, submit

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ME = UserId(LOCAL_USER)
RAW = {"name": "buyers", "type": "custom", "command": ["true"], "content": {"type": "inline", "files": {"a": "b"}}}


def user(db: Database, name: str) -> UserId:
    db.call(lambda conn: members.add_user(conn, NewUser(name=name, email=f"{name}@x", team_id=None), uuid4()))
    return db.call(lambda conn: people.user(conn, name)).user_id


def new_id() -> RunId:
    return RunId(uuid7(NOON, Random(token_bytes(8))))


def experiment(test: str = "buyers") -> Experiment:
    """Return payments-slow with a load test. Its SLOs are left out: only a generator sees answers."""
    found = experiment_from_yaml((EXAMPLES / "payments-slow.yaml").read_text(encoding="utf-8"))
    return replace(found, load=Load(test=test), hypothesis=replace(found.hypothesis, slos=()))


def sent(db: Database, user: UserId = ME, now: datetime = NOON, **changes: object) -> ExecutionId:
    """Submit the test that becomes a load."""
    test = ExecutionId(new_id())
    order = Order(request=check(RAW | changes), execution_id=test, user_id=user, door=Door.REST, now=now)
    db.call(lambda conn: submit(conn, order))
    return test


def submitted(db: Database, wanted: Experiment) -> Leader:
    sender = Sender(run_id=new_id(), user_id=ME, door=Door.REST, now=NOON)
    prepared = Prepared(experiment=wanted)
    db.call(lambda conn: experiments.submit(conn, experiments.create(conn, wanted, ME), prepared, sender))
    return Leader(run_id=sender.run_id, experiment=wanted, claims=("local/shop/payments", "local/shop/orders"))


def started(db: Database, leader: Leader) -> Companion:
    found = db.call(lambda conn: companions.start(conn, leader, NOON))
    assert isinstance(found, tuple)
    [companion] = found
    return companion


def entries(db: Database, run: RunId) -> list[str]:
    rows = db.call(
        lambda conn: conn.execute(text("SELECT exclusive FROM queue WHERE execution_id = :run"), {"run": run})
    )
    return list(rows.scalar_one())


def test_a_load_that_nobody_of_the_team_has_submitted_is_refused_with_its_path(db: Database) -> None:
    """A test of the same name of somebody else is none: it would run with the secrets of the wrong team."""
    other = user(db, "eve")
    sent(db, other)

    with pytest.raises(InvalidError) as refused:
        submitted(db, experiment())

    [problem] = refused.value.problems
    assert problem.path == "load.test"
    assert "never submitted a test of the name 'buyers': run it once with `assay run FILE`" in problem.message


def test_a_load_that_may_not_last_through_all_windows_is_refused(db: Database) -> None:
    sent(db, config={"timeout": 60})

    with pytest.raises(InvalidError, match="must last through all windows"):
        submitted(db, experiment())


def test_a_load_must_last_through_the_waits_for_what_was_killed(db: Database) -> None:
    """A fault after a kill waits until its targets are back, at most as long as the recovery."""
    plain = experiment()
    kill = Fault(type=FaultType.POD_KILL, parameters=PodKill(once=True), duration_seconds=10, name="kill")
    wanted = replace(plain, order=FaultOrder.SEQUENCE, faults=(kill, *plain.faults))
    without_waits = wanted.baseline + wanted.active + wanted.recovery + companions.MARGIN
    sent(db, config={"timeout": int(without_waits.total_seconds())})

    with pytest.raises(InvalidError) as refused:
        submitted(db, wanted)

    longer = without_waits + wanted.recovery
    assert f"`config.timeout` of {longer.total_seconds():.0f} or more" in refused.value.problems[0].message


def test_a_load_must_last_through_the_start_of_the_health_checks_too(db: Database) -> None:
    """Its time runs from its own start, and the baseline begins when the commands run as well."""
    plain = experiment()
    checks = (HealthCheck(name="a", type=ProbeType.COMMAND, command=("true",)),)
    wanted = replace(plain, hypothesis=replace(plain.hypothesis, health_checks=checks))
    windows = plain.baseline + plain.active + plain.recovery + companions.MARGIN
    sent(db, config={"timeout": int(windows.total_seconds())})

    submitted(db, plain)
    with pytest.raises(InvalidError) as refused:
        submitted(db, wanted)
    longer = windows + companions.LONGEST_START
    sent(db, now=NOON + timedelta(hours=1), config={"timeout": int(longer.total_seconds())})
    submitted(db, wanted)

    assert f"`config.timeout` of {longer.total_seconds():.0f} or more" in refused.value.problems[0].message


def test_a_load_is_started_once_for_each_baseline_and_all_of_them_are_ended(db: Database) -> None:
    sent(db)
    leader = submitted(db, experiment())

    first, again = started(db, leader), started(db, leader)
    second = started(db, replace(leader, number=1))
    ended_with_the_second = db.call(lambda conn: runs.find(conn, first.run_id)).status
    db.call(lambda conn: companions.end_all(conn, replace(leader, number=1), NOON))
    db.call(lambda conn: companions.end_all(conn, replace(leader, number=1), NOON))
    row = db.call(lambda conn: runs.find(conn, second.run_id))

    assert first == again
    assert first.run_id != second.run_id
    assert ended_with_the_second is Status.CANCELLED
    assert (row.status, row.submitted_by) == (Status.CANCELLED, ME)
    assert row.detail.startswith(f"cancelled by the experiment {leader.experiment.name!r}")


def test_a_load_does_not_wait_for_what_its_own_experiment_claims(db: Database) -> None:
    """What else it uses it shares, so that other experiments keep away from it."""
    sent(db, config={"uses": ["local/shop/orders", "local/other"], "exclusive": ["printer"]})

    load = started(db, submitted(db, experiment()))

    assert entries(db, load.run_id) == ["local#is", "local/other#s", "printer"]


def becomes(db: Database, load: Companion, change: str) -> tuple[str, ...]:
    """Return what is told of a load after a change of its row."""
    db.call(lambda conn: conn.execute(text(f"UPDATE runs SET {change} WHERE id = :run"), {"run": load.run_id}))
    return db.call(lambda conn: companions.broke_off(conn, [load], NOON))


def launched(db: Database, load: Companion, ends: Reason | None = None) -> None:
    """Write an attempt of a load, as a worker does; it goes on unless a failure ends it."""
    attempt = db.call(lambda conn: executions.open_attempt(conn, load.run_id, epoch=0, node="here"))
    if ends is not None:
        failed = Verdict(status=Status.FAILED, reason=ends)
        db.call(lambda conn: executions.close_attempt(conn, load.run_id, attempt.number, failed))


RUNS = f"status = 'running', phase = 'running', started_at = '{NOON}'"


def test_a_load_that_ended_under_the_fault_is_told(db: Database) -> None:
    sent(db)
    load = started(db, submitted(db, experiment()))
    launched(db, load)

    going_on = becomes(db, load, RUNS)
    waiting = db.call(lambda conn: companions.idle(conn, [load]))
    late = becomes(db, load, f"status = 'completed', phase = 'ended', completed_at = '{NOON}'")
    early = becomes(db, load, f"completed_at = '{NOON - timedelta(seconds=1)}'")

    assert (going_on, waiting, late) == ((), (), ())
    assert early == (f"{load.title}, ended (completed) under the fault",)


def test_a_load_that_was_started_anew_is_told_whatever_ended_its_first_attempt(db: Database) -> None:
    """A lost node raises no count of retries. While the load waits for its second attempt nothing makes requests."""
    sent(db)
    load = started(db, submitted(db, experiment()))

    launched(db, load, Reason.PLACEMENT)
    launched(db, load)
    placed_at_second_try = becomes(db, load, RUNS)
    launched(db, load, Reason.NODE_LOST)
    in_backoff = becomes(db, load, "status = 'queued', phase = 'backoff'")
    launched(db, load)
    anew = becomes(db, load, RUNS)

    assert placed_at_second_try == (), "what the cluster refused to place has not run before"
    assert in_backoff == (f"{load.title}, did not run on (its phase is backoff) under the fault",)
    assert anew == (f"{load.title}, was started anew under the fault",)


def test_the_newest_version_of_a_team_mate_is_the_load(db: Database) -> None:
    db.call(lambda conn: members.add_team(conn, "shoppers", uuid4()))
    mate = user(db, "ann")
    team = db.call(lambda conn: people.team(conn, "shoppers")).team_id
    db.call(lambda conn: members.move(conn, mate, team))
    db.call(lambda conn: members.move(conn, ME, team))
    sent(db)
    sent(db, mate, NOON + timedelta(hours=1), command=["false"])

    load = started(db, submitted(db, experiment()))

    command = "SELECT run -> 'command' ->> 0 FROM test_definitions d JOIN test_executions e ON e.definition_id = d.id"
    rows = db.call(lambda conn: conn.execute(text(f"{command} WHERE e.execution_id = :run"), {"run": load.run_id}))
    assert rows.scalar_one() == "false"


def test_commands_are_made_by_one_run_of_their_own_near_the_target(db: Database) -> None:
    """Nothing of a user runs in a worker: not even a health check."""
    checks = [
        HealthCheck(name=name, type=ProbeType.COMMAND, command=("test", "-f", name), above=2.5) for name in ("a", "b")
    ]
    plain = experiment()
    wanted = replace(plain, load=None, hypothesis=replace(plain.hypothesis, health_checks=tuple(checks)))
    leader = replace(submitted(db, wanted), near={"kubernetes.io/hostname": "here"})

    made_by = started(db, leader)
    request = db.call(lambda conn: executions.request_of(conn, made_by.run_id))
    db.call(lambda conn: companions.end_all(conn, leader, NOON))

    assert made_by.title.startswith("the health checks of payments is slow, run ")
    assert request.config.node_selector == {"kubernetes.io/hostname": "here"}
    files = request.content.files  # type: ignore[union-attr]
    assert [(one["name"], one["command"], one["above"]) for one in json.loads(files["checks.json"])] == [
        ("a", ["test", "-f", "a"], 2.5),
        ("b", ["test", "-f", "b"], 2.5),
    ]
    assert request.command == ("python3", companions.PROGRAM.name, "checks.json")
    assert db.call(lambda conn: runs.find(conn, made_by.run_id)).status is Status.CANCELLED
