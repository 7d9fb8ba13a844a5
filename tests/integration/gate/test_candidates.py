"""Candidates: the nodes that a cluster may bind a run to, and what becomes of a run that they refuse (014)."""

from typing import Any

from db import executions
from db.gate import queue
from model import fault
from model.execution import MAX_PLACEMENT_CONFLICTS, Cause, Reason, Status
from model.ids import BackendName, ExecutionId, NodeName
from orchestrator import lifecycle
from orchestrator.lifecycle import Again, Finished, Grant, Superseded

OTHER = BackendName("other")


def granted(gate_db: Any) -> Grant:
    """Make a pass, and return the grant of the run that it has admitted."""
    [run] = gate_db.run_pass().admitted
    return Grant(execution_id=run.execution_id, epoch=run.epoch, node=run.node, candidates=run.candidates)


def begun(gate_db: Any) -> Grant:
    grant = granted(gate_db)
    assert not isinstance(gate_db.do(lambda conn: lifecycle.begin(conn, grant)), Superseded)
    return grant


def refused(gate_db: Any, grant: Grant, *nodes: str) -> Any:
    """Let these nodes refuse the open attempt of a run."""
    number = len(attempts(gate_db, grant.execution_id))
    verdict = fault.PLACEMENT.verdict("kube-scheduler found no room")
    finished = Finished(number=number, verdict=verdict, avoid=frozenset(map(NodeName, nodes)))
    step = gate_db.do(lambda conn: lifecycle.finish(conn, grant, finished))
    gate_db.sql("UPDATE queue SET not_before = NULL")
    return step


def attempts(gate_db: Any, run: ExecutionId) -> Any:
    return gate_db.do(lambda conn: executions.attempts(conn, run))


def used(gate_db: Any) -> dict[str, int]:
    """Return how much CPU the gate counts on each node."""
    rows = gate_db.sql("SELECT node, sum(cpu_milli) AS cpu FROM queue WHERE state = 'admitted' GROUP BY node")
    return {row.node: int(row.cpu) for row in rows}


def test_a_run_keeps_its_candidates_from_admission_to_claim(gate_db: Any) -> None:
    for name in ("n1", "n2"):
        gate_db.node(name)
    gate_db.node("m0", backend=OTHER)
    gate_db.worker("w1", serves=[OTHER])
    gate_db.submit()
    [admitted] = gate_db.run_pass().admitted
    [claimed] = gate_db.claim("w0" if admitted.node != "m0" else "w1")

    expected = {"m0"} if admitted.node == "m0" else {"n0", "n1", "n2"}
    assert set(admitted.candidates) == expected
    assert claimed.candidates == admitted.candidates
    assert admitted.candidates[0] == admitted.node


def test_a_run_that_is_bound_to_another_candidate_is_counted_there(gate_db: Any) -> None:
    gate_db.node("n1")
    gate_db.submit(cpu=700)
    grant = begun(gate_db)
    other = grant.candidates[1]

    moved = gate_db.do(lambda conn: lifecycle.bound(conn, grant, other))

    assert (moved.node, used(gate_db)) == (other, {other: 700})
    assert [attempt.node for attempt in attempts(gate_db, grant.execution_id)] == [other]
    assert gate_db.sql("SELECT node_name FROM runs")[0].node_name == other


def test_nobody_is_moved_to_what_is_no_candidate_or_under_an_old_epoch(gate_db: Any) -> None:
    gate_db.node("n1")
    gate_db.submit(cpu=700)
    grant = begun(gate_db)

    for epoch, node in ((grant.epoch, "n7"), (grant.epoch - 1, grant.candidates[1]), (grant.epoch, grant.node)):
        assert not gate_db.do(lambda conn, e=epoch, n=node: queue.move(conn, grant.execution_id, e, NodeName(n)))
    assert used(gate_db) == {grant.node: 700}


def test_what_the_candidates_refused_is_placed_elsewhere_and_costs_no_attempt(gate_db: Any) -> None:
    gate_db.node("n1")
    gate_db.submit()
    first = begun(gate_db)

    step = refused(gate_db, first, first.node)
    second = begun(gate_db)

    assert (isinstance(step, Again), step.cause) == (True, Cause.PLACEMENT)
    assert first.node not in second.candidates
    row = gate_db.sql("SELECT retry_count, infrastructure_count FROM runs")[0]
    assert (row.retry_count, row.infrastructure_count) == (0, 0)
    tried = attempts(gate_db, first.execution_id)
    assert [attempt.cause for attempt in tried] == [Cause.FIRST, Cause.PLACEMENT]
    assert tried[0].verdict.reason is Reason.PLACEMENT


def test_a_run_that_is_refused_again_and_again_ends(gate_db: Any) -> None:
    """After ten conflicts each counts as an infrastructure failure, of which three more are tried."""
    gate_db.submit()
    steps = []
    while not steps or isinstance(steps[-1], Again):
        grant = begun(gate_db)
        steps.append(refused(gate_db, grant, grant.node))

    causes = [step.cause for step in steps[:-1]]
    assert causes == [Cause.PLACEMENT] * MAX_PLACEMENT_CONFLICTS + [Cause.INFRASTRUCTURE] * 3
    assert (steps[-1].status, steps[-1].reason) == (Status.FAILED, Reason.PLACEMENT)
    assert gate_db.run_pass().admitted == ()
