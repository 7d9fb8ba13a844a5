"""Rules of a team about its experiments, in the database: refused, held, approved by a second person, checked again."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from secrets import token_bytes
from typing import Any
from uuid import uuid4

import pytest

from chaos.approval import ApprovalState, experiment_digest
from chaos.experiment import Experiment
from chaos.experiment_reading import experiment_from_yaml
from chaos.hypothesis import Load
from chaos.team_rules import check_team_rules, team_rules_to_raw
from chaos.time_windows import WEEK
from chaos.verdict import ChaosStatus
from db import chaos_approvals, chaos_rules, experiments, runs, workers
from db.chaos_approvals import ApprovalRow
from db.engine import Database
from db.errors import ConflictError, ForbiddenError, NotFoundError
from db.gate import queue_position
from db.people import user
from db.seeds import DEFAULT_POOL, LOCAL_USER
from model.execution import Door, Status
from model.ids import ExecutionId, RunId, UserId, WorkerId, uuid7
from orchestrator import admission, approvals, chaos_permission, members, user_keys
from orchestrator import experiments as cases
from orchestrator.approvals import ApprovalForm, DenialForm, Person
from orchestrator.chaos_permission import Held, Wanted
from orchestrator.checking import check
from orchestrator.experiments import Prepared
from orchestrator.lifecycle import Grant
from orchestrator.submission import Sender
from orchestrator.submit import Order, submit
from scheduler.values.node import FOR_ALL, NO_NODE

EXPERIMENT = experiment_from_yaml(
    (Path(__file__).parents[3] / "examples" / "chaos" / "payments-slow.yaml").read_text(encoding="utf-8")
)
DIGEST = experiment_digest(EXPERIMENT)
NOW = datetime.now(UTC)  # noqa: TID251  a test: the gate goes by the database's clock
APPROVED: dict[str, Any] = {"rules": [{"name": "shop", "effect": "approve", "where": ["local/shop"]}]}


@pytest.fixture
def team(db: Database) -> Callable[[dict[str, Any]], None]:
    """Let the team of the local user have a second person, ben, and give it rules."""
    db.call(lambda conn: members.create_user(conn, {"name": "ben", "team": "default"}, uuid4()))
    db.call(lambda conn: members.create_user(conn, {"name": "cora"}, uuid4()))

    def rule(raw: dict[str, Any]) -> None:
        rules = team_rules_to_raw(check_team_rules(raw))
        db.call(lambda conn: chaos_rules.write(conn, "default", rules))

    return rule


def submitted(db: Database, at: datetime | None = None, experiment: Experiment = EXPERIMENT) -> RunId:
    sender = Sender(
        run_id=RunId(uuid7(NOW, Random(token_bytes(8)))), user_id=UserId(LOCAL_USER), door=Door.REST, now=NOW
    )
    wanted = Prepared(experiment=experiment, at=at)
    db.call(lambda conn: cases.submit(conn, cases.create(conn, experiment, sender.user_id), wanted, sender))
    return sender.run_id


def person(db: Database, name: str, now: datetime = NOW) -> Person:
    return Person(user_id=db.call(lambda conn: user(conn, name)).user_id, name=name, now=now)


def waits(db: Database, run_id: RunId) -> str:
    return db.call(lambda conn: queue_position.reason(conn, ExecutionId(run_id))) or ""


def asked(db: Database, run_id: RunId) -> ApprovalRow:
    found = db.call(lambda conn: chaos_approvals.read(conn, run_id))
    assert found is not None
    return found


def admitted(db: Database) -> list[RunId]:
    db.call(lambda conn: workers.register(conn, WorkerId("w"), DEFAULT_POOL, timedelta(minutes=5), FOR_ALL))
    made = db.call(lambda conn: admission.request(conn, DEFAULT_POOL))
    return [] if made is None else [one.execution_id for one in made.admitted]


def approve(db: Database, run_id: RunId, who: Person, digest: str = DIGEST) -> None:
    db.call(lambda conn: approvals.approve(conn, run_id, ApprovalForm(digest=digest, comment="seen"), who))


def test_what_rules_refuse_is_refused_with_every_reason_and_nothing_is_written(
    db: Database, team: Callable[[dict[str, Any]], None]
) -> None:
    team(
        {
            "rules": [{"name": "no latency", "effect": "refuse", "faults": ["network-latency"]}],
            "maxBudgetPercent": 0.001,
        }
    )

    with pytest.raises(ConflictError, match=r"costs up to .*; the rule 'no latency' of the team default refuses it"):
        submitted(db)

    assert db.call(lambda conn: experiments.executions(conn, None, None, experiments.Page(limit=9, offset=0)))[1] == 0


def test_an_execution_waits_for_a_second_person_and_starts_when_approved(
    db: Database, team: Callable[[dict[str, Any]], None]
) -> None:
    team(APPROVED)
    run_id = submitted(db)

    assert db.call(lambda conn: experiments.execution(conn, run_id)).status is ChaosStatus.SCHEDULED
    assert "for the approval of ben (shop)" in waits(db, run_id)
    assert (asked(db, run_id).approvers, asked(db, run_id).approval.digest) == (("ben",), DIGEST)
    assert admitted(db) == []

    approve(db, run_id, person(db, "ben"))

    found = asked(db, run_id).approval
    assert (found.state, found.by, found.comment) == (ApprovalState.APPROVED, "ben", "seen")
    assert admitted(db) == [run_id]


def test_who_submitted_and_who_is_not_asked_may_not_decide_and_another_digest_is_refused(
    db: Database, team: Callable[[dict[str, Any]], None]
) -> None:
    team(APPROVED)
    run_id = submitted(db)

    with pytest.raises(ForbiddenError, match="you submitted it yourself"):
        approve(db, run_id, person(db, "local"))
    with pytest.raises(ForbiddenError, match="only ben may decide"):
        approve(db, run_id, person(db, "cora"))
    with pytest.raises(ConflictError, match="look at it again"):
        approve(db, run_id, person(db, "ben"), digest="sha256:" + 64 * "0")
    with pytest.raises(ConflictError, match="it could be approved until"):
        approve(db, run_id, person(db, "ben", NOW + timedelta(hours=24)))

    assert asked(db, run_id).approval.state is ApprovalState.WAITING
    approve(db, run_id, person(db, "ben"))
    with pytest.raises(ConflictError, match="ben has decided already"):
        approve(db, run_id, person(db, "ben"))


def test_a_denial_ends_it_with_the_reason(db: Database, team: Callable[[dict[str, Any]], None]) -> None:
    team(APPROVED)
    run_id = submitted(db)

    db.call(lambda conn: approvals.deny(conn, run_id, DenialForm(comment="a release"), person(db, "ben")))

    row = db.call(lambda conn: runs.find(conn, run_id))
    assert (row.status, row.detail) == (Status.CANCELLED, "cancelled by ben (denied: a release) before it ran")
    assert admitted(db) == []


def test_where_nobody_may_approve_it_is_refused(db: Database, team: Callable[[dict[str, Any]], None]) -> None:
    team({"rules": [{"name": "shop", "effect": "approve", "approvers": ["local"]}]})

    with pytest.raises(ConflictError, match="there is nobody who may: `assay team add` adds one"):
        submitted(db)


def test_outside_of_the_window_it_is_held_and_an_approval_does_not_open_the_window(
    db: Database, team: Callable[[dict[str, Any]], None]
) -> None:
    freeze = {"start": NOW.isoformat(), "end": (NOW + timedelta(hours=3)).isoformat(), "reason": "a release"}
    team(APPROVED | {"freezes": [freeze], "outside": "hold"})
    run_id = submitted(db)
    assert "for the approval of ben" in waits(db, run_id)

    approve(db, run_id, person(db, "ben"))

    assert "(a release); the next window begins at" in waits(db, run_id)
    assert admitted(db) == []


def test_one_that_is_scheduled_is_approved_for_its_time(db: Database, team: Callable[[dict[str, Any]], None]) -> None:
    team(APPROVED)
    later = NOW + timedelta(days=3)
    run_id = submitted(db, at=later)

    approve(db, run_id, person(db, "ben"))

    assert "is approved by ben and scheduled for" in waits(db, run_id)
    assert asked(db, run_id).approval.expires_at == later + timedelta(hours=24)


def test_an_approval_still_holds_when_a_window_opens_days_later(
    db: Database, team: Callable[[dict[str, Any]], None]
) -> None:
    opens = (NOW + timedelta(days=3)).replace(hour=0, minute=0, second=0, microsecond=0)
    team(APPROVED | {"windows": [{"days": [WEEK[opens.weekday()]]}], "outside": "hold"})
    run_id = submitted(db)

    approve(db, run_id, person(db, "ben"))

    assert asked(db, run_id).approval.expires_at == opens + timedelta(hours=24)
    assert (step(db, run_id, opens).against, step(db, run_id, opens).held) == ((), None)


def step(db: Database, run_id: RunId, at: datetime = NOW, **more: Any) -> chaos_permission.Standing:
    wanted = Wanted(experiment=EXPERIMENT, paths=("local/shop/payments",), at=at, **more)
    return db.call(lambda conn: chaos_permission.at_step(conn, run_id, wanted, timedelta(seconds=60)))


def send_buyers(db: Database, now: datetime, **changes: object) -> None:
    """Submit the test `buyers`, of which a load is made."""
    raw = {"name": "buyers", "type": "custom", "command": ["true"], "content": {"type": "inline", "files": {"a": "b"}}}
    run = ExecutionId(RunId(uuid7(now, Random(token_bytes(8)))))
    order = Order(request=check(raw | changes), execution_id=run, user_id=UserId(LOCAL_USER), door=Door.REST, now=now)
    db.call(lambda conn: submit(conn, order))


def test_another_version_of_the_load_test_is_not_what_was_approved(
    db: Database, team: Callable[[dict[str, Any]], None]
) -> None:
    """A test is known by its name. Else its owner could let another load run after the approval."""
    team(APPROVED)
    send_buyers(db, NOW)
    loaded = replace(EXPERIMENT, load=Load(test="buyers"), hypothesis=replace(EXPERIMENT.hypothesis, slos=()))
    run_id = submitted(db, experiment=loaded)
    approve(db, run_id, person(db, "ben"), digest=asked(db, run_id).approval.digest)
    now = Wanted(experiment=loaded, paths=("local/shop/payments",), at=NOW)

    def against() -> tuple[str, ...]:
        return db.call(lambda conn: chaos_permission.at_step(conn, run_id, now, timedelta(seconds=60))).against

    assert against() == ()
    send_buyers(db, NOW + timedelta(seconds=1), command=["false"])

    [said] = against()
    assert said.startswith("ben approved another experiment, or another version of its load test")


def test_the_worker_asks_once_more_what_the_rules_are_now(db: Database, team: Callable[[dict[str, Any]], None]) -> None:
    free = submitted(db)
    assert not step(db, free).ruled

    team(APPROVED)
    assert "was not asked when it was submitted" in step(db, free).against[0]
    run_id = submitted(db)
    assert isinstance(step(db, run_id).held, Held)
    assert "nobody approved it until" in step(db, run_id, NOW + timedelta(hours=25)).against[0]

    approve(db, run_id, person(db, "ben"))
    assert (step(db, run_id).against, step(db, run_id).held) == ((), None)
    assert step(db, run_id).said == f"ben approved {DIGEST}"
    assert "expired at" in step(db, run_id, NOW + timedelta(hours=25)).against[0]

    team(APPROVED | {"rules": [*APPROVED["rules"], {"name": "new", "effect": "approve"}]})
    assert "before the team had the rules new" in step(db, run_id).against[0]


def test_who_may_not_approve_any_more_cannot_and_an_earlier_approval_counts_no_more(
    db: Database, team: Callable[[dict[str, Any]], None]
) -> None:
    team(APPROVED)
    approved, waiting = submitted(db), submitted(db)
    approve(db, approved, person(db, "ben"))
    assert step(db, approved).against == ()

    team({"rules": [APPROVED["rules"][0] | {"approvers": ["cora"]}]})
    [said] = step(db, approved).against
    assert said == "ben approved it, and may not by the rules and teams of now: submit it again"
    with pytest.raises(ForbiddenError, match="nobody who was asked still may; submit it again"):
        approve(db, waiting, person(db, "ben"))

    team(APPROVED)
    db.call(lambda conn: members.create_team(conn, {"name": "other"}, uuid4()))
    db.call(lambda conn: members.add_to_team(conn, "other", "ben"))
    assert "ben approved it, and may not" in step(db, approved).against[0]
    with pytest.raises(ForbiddenError, match="nobody who was asked still may"):
        approve(db, waiting, person(db, "ben"))


def test_a_worker_outside_of_the_window_lets_it_wait_again(
    db: Database, team: Callable[[dict[str, Any]], None]
) -> None:
    run_id = submitted(db)
    [first] = admitted(db)
    row = db.call(lambda conn: runs.find(conn, run_id))
    grant = Grant(execution_id=ExecutionId(first), epoch=row.epoch, node=NO_NODE)
    db.call(lambda conn: cases.begin(conn, grant))
    held = Held(until=NOW + timedelta(hours=1), why="the window is over")

    assert db.call(lambda conn: cases.hold(conn, grant, held))

    assert db.call(lambda conn: runs.find(conn, run_id)).status is Status.QUEUED
    assert waits(db, run_id) == "the window is over"
    assert admitted(db) == []
    assert not db.call(lambda conn: cases.hold(conn, grant, held))


def test_a_key_is_known_by_its_digest_and_refused_when_revoked(
    db: Database, team: Callable[[dict[str, Any]], None]
) -> None:
    made = db.call(lambda conn: user_keys.create(conn, "ben", "3f9a01c2", "s" * 64))

    holder = db.call(lambda conn: user_keys.holder_of(conn, made.key))
    assert holder is not None
    assert (holder.name, made.key in holder.digest) == ("ben", False)
    for wrong in (made.key + "x", made.key[:-1], "assay_3f9a01c2_", "assay__", "", "x", "assay_3f9a01c2_\N{SNOWMAN}"):
        assert db.call(lambda conn, key=wrong: user_keys.holder_of(conn, key)) is None  # type: ignore[misc]
    db.call(lambda conn: user_keys.revoke(conn, "ben", "3f9a01c2"))
    assert db.call(lambda conn: user_keys.holder_of(conn, made.key)) is None
    with pytest.raises(NotFoundError):
        db.call(lambda conn: user_keys.revoke(conn, "local", "3f9a01c2"))
