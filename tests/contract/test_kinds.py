"""What every kind of run must do: be submitted, found, listed, cancelled, judged; wait in the gate where it is queued.

A kind that is added is tested here without a change: the suite goes over `KINDS`.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from secrets import token_bytes

import pytest
from harness.rest import REQUEST

from db import nodes, runs, workers
from db.engine import Database
from db.page import Page
from db.people import OverQuota
from db.runs import RunRef
from db.seeds import DEFAULT_POOL, LOCAL_USER
from flows.kinds import ENTRYPOINTS, FLOWS
from model.document import read_yaml
from model.execution import Door, Phase, Status
from model.ids import BackendName, NodeName, RunId, UserId, WorkerId, short, uuid7
from model.problems import InvalidError
from model.resources import Resources
from model.runs import RUN_TRANSITIONS, STATUSES, RunKind
from orchestrator import admission, kinds, listing
from orchestrator.kinds import KINDS, Needs, Wish
from orchestrator.submission import Sender
from scheduler.values.node import FOR_ALL, Node

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HERE = BackendName("local/here")
WORKER = WorkerId("worker")
SPECS: dict[RunKind, object] = {
    RunKind.TEST: REQUEST,
    RunKind.SUITE: {"name": "both", "tests": [REQUEST | {"name": name} for name in ("one", "two")]},
    RunKind.EXPERIMENT: read_yaml((Path(__file__).parents[2] / "examples/chaos/payments-slow.yaml").read_text()),
}
"""What is sent for a kind; every other kind is sent a `GateRequest` with nothing in it."""

every_kind = pytest.mark.parametrize("kind", list(RunKind))
every_queued_kind = pytest.mark.parametrize(
    "kind", [kind for kind in RunKind if KINDS[kind].needs is not Needs.NOTHING]
)


def new_id() -> RunId:
    return RunId(uuid7(NOON, Random(token_bytes(8))))


@pytest.fixture
def submit(db: Database) -> Callable[[RunKind], RunRef]:
    """Return what submits a run of a kind."""

    def submitted(kind: RunKind) -> RunRef:
        write = KINDS[kind].prepare(SPECS.get(kind, {}), sender(new_id()))
        accepted = db.call(write)
        assert not isinstance(accepted, OverQuota)
        assert accepted.run.kind is kind
        return accepted.run

    return submitted


def sender(run_id: RunId) -> Sender:
    return Sender(run_id=run_id, user_id=UserId(LOCAL_USER), door=Door.REST, now=NOON)


def cancelled(db: Database, run: RunRef) -> bool:
    return db.call(lambda conn: kinds.cancel_run(conn, run, Wish(by="ann", now=NOON))).changed


@every_kind
def test_a_kind_has_its_flow_its_statuses_and_its_transitions(kind: RunKind) -> None:
    assert (KINDS[kind].name, FLOWS[kind].kind) == (kind, kind)
    assert FLOWS[kind].waits is (KINDS[kind].needs is not Needs.NOTHING)
    assert FLOWS[kind].entrypoint in ENTRYPOINTS
    for source, target in RUN_TRANSITIONS[kind]:
        assert {source, target} <= set(STATUSES[kind])


def test_no_two_kinds_share_a_flow() -> None:
    assert len(ENTRYPOINTS) == len({made.deployment for made in FLOWS.values()}) == len(FLOWS) == len(RunKind)


@every_kind
def test_a_submitted_run_is_shown_and_listed_and_has_not_ended(
    db: Database, submit: Callable[[RunKind], RunRef], kind: RunKind
) -> None:
    run = submit(kind)

    shown = db.call(lambda conn: kinds.show(conn, run))
    listed, total = db.call(lambda conn: kinds.listed(conn, kind, None, Page()))

    assert (shown.run.kind, shown.run.status, shown.ended, shown.exit_code) == (kind, Status.QUEUED, None, None)
    assert short(run.id) in shown.title
    assert ([one.run.id for one in listed], total) == ([run.id], 1)


@every_kind
def test_what_a_kind_does_not_know_is_refused_and_nothing_is_written(db: Database, kind: RunKind) -> None:
    with pytest.raises(InvalidError) as refused:
        KINDS[kind].prepare({"noSuchKey": 1, "neitherThis": 2}, sender(new_id()))

    assert {"noSuchKey", "neitherThis"} <= {problem.path for problem in refused.value.problems}
    assert db.call(lambda conn: kinds.listed(conn, None, None, Page())) == ([], 0)


@every_kind
def test_a_cancel_ends_a_run_that_waits_and_the_second_changes_nothing(
    db: Database, submit: Callable[[RunKind], RunRef], kind: RunKind
) -> None:
    run = submit(kind)

    assert cancelled(db, run)
    db.call(lambda conn: KINDS[kind].cancel(conn, run.id, Wish(by="ann", now=NOON)))

    shown = db.call(lambda conn: kinds.show(conn, run))
    assert shown.ended is not None
    assert (shown.run.status, shown.ended.verdict.status, shown.exit_code) == (Status.CANCELLED, Status.CANCELLED, 2)


@every_queued_kind
def test_a_queued_kind_is_admitted_to_what_it_needs_and_claimed_there(
    db: Database, submit: Callable[[RunKind], RunRef], kind: RunKind
) -> None:
    """A kind that needs no node is admitted in a pool without nodes."""
    run = submit(kind)
    serves = [HERE, *FOR_ALL]
    db.call(lambda conn: workers.register(conn, WORKER, DEFAULT_POOL, timedelta(minutes=5), serves))
    if KINDS[kind].needs is Needs.NODE:
        capacity = Resources(cpu_milli=4000, memory_bytes=2**33, ephemeral_bytes=2**35)
        node = Node(name=NodeName("here"), capacity=capacity, backend=HERE)
        db.call(lambda conn: nodes.record(conn, DEFAULT_POOL, [node]))

    made = db.call(lambda conn: admission.request(conn, DEFAULT_POOL))

    assert made is not None
    assert [admitted.execution_id for admitted in made.admitted] == [run.id]
    assert db.call(lambda conn: runs.find(conn, run.id)).phase is Phase.ADMITTED


@every_queued_kind
def test_a_queued_kind_is_listed_in_the_queue_with_its_owner(
    db: Database, submit: Callable[[RunKind], RunRef], kind: RunKind
) -> None:
    run = submit(kind)

    [waiting], total = db.call(lambda conn: listing.queue(conn, DEFAULT_POOL, Page()))

    assert (waiting.entry.execution_id, waiting.owned.username, total) == (run.id, "local", 1)
    assert waiting.owned.name


@every_queued_kind
def test_a_queued_kind_waits_while_there_is_no_worker(
    db: Database, submit: Callable[[RunKind], RunRef], kind: RunKind
) -> None:
    run = submit(kind)

    made = db.call(lambda conn: admission.request(conn, DEFAULT_POOL))

    assert made is not None
    assert made.admitted == ()
    assert db.call(lambda conn: runs.find(conn, run.id)).status is Status.QUEUED
