"""A node without a live worker keeps its runs until it is lost, or until a person forgets it (010.6 to 010.8)."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from db import backends, clusters, executions, leases, nodes, workers
from db.clusters import ClusterRow
from db.errors import ConflictError, NotFoundError
from db.gate import queue
from db.seeds import DEFAULT_POOL
from model import fault
from model.execution import MAX_INFRASTRUCTURE_ATTEMPTS, Cause, Phase, Reason, Status
from model.ids import BackendName, ExecutionId, NodeName, PoolName, WorkerId, backend_of_cluster
from orchestrator import cancel, lifecycle, lost_nodes
from orchestrator.lifecycle import Finished, Grant, Superseded
from orchestrator.lost_nodes import Loss

A, B = BackendName("local/a"), BackendName("local/b")
ON_A, ON_B = WorkerId("on-a"), WorkerId("on-b")
LOST_AFTER = timedelta(minutes=1)
AT_A = {"machine": "a"}


@pytest.fixture
def two(bare: Any) -> Any:
    """A pool with two machines, each with a worker of its own."""
    for name, backend, worker in (("a", A, ON_A), ("b", B, ON_B)):
        bare.node(name, cpu=1000, backend=backend, labels={"machine": name, "both": "yes"})
        bare.worker(worker, serves=[backend])
    return bare


def claimed(two: Any, worker: WorkerId = ON_A, **given: Any) -> Grant:
    """Have a run admitted and claimed; it could run on either node. It is on the node of the worker."""
    elsewhere = NodeName("b" if worker == ON_A else "a")
    two.do(lambda conn: nodes.record(conn, DEFAULT_POOL, [_ready(conn, elsewhere, ready=False)]))
    two.submit(**given)
    two.run_pass()
    two.do(lambda conn: nodes.record(conn, DEFAULT_POOL, [_ready(conn, elsewhere, ready=True)]))
    [run] = two.claim(worker)
    return Grant(execution_id=run.execution_id, epoch=run.epoch, node=run.node)


def _ready(conn: Any, name: NodeName, *, ready: bool) -> Any:
    [found] = [node for node in nodes.read(conn, DEFAULT_POOL) if node.name == name]
    return replace(found, ready=ready)


def begun(two: Any, worker: WorkerId = ON_A, **given: Any) -> Grant:
    """Have a run running on the node of a worker."""
    grant = claimed(two, worker, **given)
    assert not isinstance(two.do(lambda conn: lifecycle.begin(conn, grant)), Superseded)
    return grant


def die(two: Any, worker: WorkerId = ON_A) -> None:
    """Let a worker be silent for longer than its lease, as one that was killed or stopped."""
    two.sql("UPDATE workers SET expires_at = clock_timestamp() - interval '1 s' WHERE worker_id = :w", w=worker)


def look(two: Any) -> list[Loss]:
    return two.do(lambda conn: lost_nodes.observe(conn, DEFAULT_POOL, LOST_AFTER))


def let_pass(two: Any, seconds: float, *, looks_every: float = 5.0) -> list[Loss]:
    """Let observed time pass, by the rows and not by a clock: look each time after what was seen grew older."""
    losses = look(two)
    for _ in range(int(seconds / looks_every)):
        two.sql("UPDATE backends SET observed_at = observed_at - make_interval(secs => :s)", s=looks_every)
        losses = look(two)
    return losses


def lose(two: Any) -> list[ExecutionId]:
    """Let the node of the silent worker be lost; return the runs that were given up."""
    [loss] = let_pass(two, 65)
    placed = two.do(lambda conn: backends.placed(conn, loss.pool, loss.backend))
    return [run for run in placed if two.do(lambda conn, run=run: lost_nodes.give_up(conn, loss, run))]


def attempts(two: Any, run: ExecutionId) -> list[tuple[str | None, Reason | None]]:
    found = two.do(lambda conn: executions.attempts(conn, run))
    return [(one.node, one.verdict.reason if one.verdict else None) for one in found]


def execution(two: Any, run: ExecutionId) -> executions.Execution:
    return two.do(lambda conn: executions.find(conn, run))


def test_while_all_is_served_a_look_writes_nothing(two: Any) -> None:
    assert look(two) == []
    assert two.sql("SELECT name FROM backends WHERE absent_since IS NOT NULL") == []


def test_a_node_is_lost_after_its_time_without_a_live_worker(two: Any) -> None:
    die(two)

    assert let_pass(two, 40) == []
    assert [loss.backend for loss in let_pass(two, 25)] == [A]


def test_a_worker_that_is_back_in_time_starts_the_count_anew(two: Any) -> None:
    die(two)
    let_pass(two, 40)
    two.worker(ON_A, serves=[A])
    assert look(two) == []
    die(two)

    assert let_pass(two, 40) == []


@pytest.mark.parametrize("what", ["gap", "leap back", "restart"])
def test_what_nobody_observed_does_not_count(two: Any, what: str) -> None:
    die(two)
    let_pass(two, 40)
    change = {
        "gap": "observed_at = observed_at - interval '8 hours'",
        "leap back": "observed_at = observed_at + interval '8 hours'",
        "restart": "server_started_at = server_started_at - interval '1 s'",
    }
    two.sql(f"UPDATE backends SET {change[what]}")

    assert let_pass(two, 40) == []


def test_before_it_is_lost_a_node_keeps_its_runs(two: Any) -> None:
    grant = begun(two)
    die(two)
    two.sql("UPDATE leases SET expires_at = to_timestamp(1)")
    let_pass(two, 40)
    two.run_pass()

    assert two.claim(ON_B) == []
    assert two.row(grant.execution_id).node == "a"


def test_a_run_of_a_lost_node_is_tried_on_another_one(two: Any) -> None:
    grant = begun(two)
    die(two)

    assert lose(two) == [grant.execution_id]

    row = two.row(grant.execution_id)
    assert (row.state, row.node, row.backend, row.status) == ("waiting", None, None, "queued")
    assert attempts(two, grant.execution_id) == [("a", Reason.NODE_LOST)]
    assert execution(two, grant.execution_id).infrastructure_count == 1
    assert two.said(grant.execution_id)[-1].cause is Cause.INFRASTRUCTURE

    two.sql("UPDATE queue SET not_before = clock_timestamp()")
    [again] = two.run_pass().admitted
    [taken] = two.claim(ON_B)
    assert (again.node, taken.execution_id) == ("b", grant.execution_id)
    next_grant = Grant(execution_id=taken.execution_id, epoch=taken.epoch, node=taken.node)
    assert two.do(lambda conn: lifecycle.begin(conn, next_grant)).number == 2


def test_a_run_of_a_lost_node_avoids_that_node_when_its_worker_is_back(two: Any) -> None:
    grant = begun(two)
    die(two)
    lose(two)
    two.worker(ON_A, serves=[A])
    two.sql("UPDATE queue SET not_before = clock_timestamp()")

    assert [(run.execution_id, run.node) for run in two.run_pass().admitted] == [(grant.execution_id, "b")]


def test_the_former_holder_changes_nothing_more(two: Any) -> None:
    grant = begun(two)
    die(two)
    lose(two)
    before = two.sql("SELECT * FROM runs"), two.sql("SELECT * FROM queue")
    done = Finished(number=1, verdict=fault.INFRASTRUCTURE.verdict("late"))

    assert isinstance(two.do(lambda conn: lifecycle.begin(conn, grant)), Superseded)
    assert isinstance(two.do(lambda conn: lifecycle.asked_to_stop(conn, grant)), Superseded)
    assert isinstance(two.do(lambda conn: lifecycle.finish(conn, grant, done)), Superseded)
    assert isinstance(two.do(lambda conn: lifecycle.abandon(conn, grant, done.verdict)), Superseded)
    assert not two.do(lambda conn: lifecycle.enter(conn, grant, Phase.RUNNING))
    assert not two.do(lambda conn: lifecycle.give_back(conn, grant))
    assert two.do(lambda conn: leases.renew(conn, ON_A, LOST_AFTER)) == set()
    assert (two.sql("SELECT * FROM runs"), two.sql("SELECT * FROM queue")) == before


def test_a_run_that_never_began_goes_back_without_an_attempt(
    two: Any,
) -> None:
    grant = claimed(two, exclusive=("printer",))
    die(two)

    assert lose(two) == [grant.execution_id]
    assert attempts(two, grant.execution_id) == []
    assert two.row(grant.execution_id).state == "waiting"
    assert isinstance(two.do(lambda conn: lifecycle.begin(conn, grant)), Superseded)
    assert execution(two, grant.execution_id).infrastructure_count == 0


def test_a_run_that_no_other_live_node_could_take_stays(two: Any) -> None:
    begun(two, node_selector=AT_A)
    die(two)

    assert lose(two) == []


def test_a_run_stays_where_the_other_node_has_no_live_worker_either(two: Any) -> None:
    begun(two)
    die(two)
    die(two, ON_B)

    losses = let_pass(two, 65)

    assert {loss.backend for loss in losses} == {A, B}
    for loss in losses:
        for run in two.do(lambda conn, loss=loss: backends.placed(conn, loss.pool, loss.backend)):
            assert not two.do(lambda conn, loss=loss, run=run: lost_nodes.give_up(conn, loss, run))


def test_a_run_with_exclusive_names_waits_for_a_person(two: Any) -> None:
    """Its test may still be using what it has alone."""
    grant = begun(two, exclusive=("printer",))
    die(two)

    assert lose(two) == []
    assert two.do(lambda conn: lost_nodes.forget(conn, DEFAULT_POOL, NodeName("a"))) == 1
    assert attempts(two, grant.execution_id) == [("a", Reason.NODE_LOST)]


def test_a_run_that_was_being_cancelled_ends_as_cancelled(two: Any) -> None:
    grant = begun(two, node_selector=AT_A)
    now = two.sql("SELECT clock_timestamp() AS now")[0].now
    two.do(lambda conn: cancel.cancel(conn, grant.execution_id, by="local", now=now))
    die(two)

    assert lose(two) == [grant.execution_id]
    assert execution(two, grant.execution_id).status is Status.CANCELLED
    assert two.row(grant.execution_id) is None


def test_a_run_that_was_lost_too_often_fails_with_the_node(two: Any) -> None:
    grant = begun(two)
    two.sql("UPDATE runs SET infrastructure_count = :n", n=MAX_INFRASTRUCTURE_ATTEMPTS)
    die(two)
    lose(two)

    found = execution(two, grant.execution_id)
    assert (found.status, found.failure_reason) == (Status.FAILED, Reason.NODE_LOST)
    assert re.fullmatch(r"node a was lost: no live worker served it for [67]\d s", found.detail)


def test_a_worker_that_is_back_at_the_last_moment_keeps_its_runs(two: Any) -> None:
    grant = begun(two)
    die(two)
    [loss] = let_pass(two, 65)
    two.worker(ON_A, serves=[A])

    assert not two.do(lambda conn: lost_nodes.give_up(conn, loss, grant.execution_id))
    assert [(run.execution_id, run.taken_over) for run in two.claim(ON_A)] == [(grant.execution_id, True)]


class TestForget:
    """`assay nodes forget`: a person says that nothing of a node is alive any more."""

    def forget(self, two: Any, name: str = "a") -> int:
        return two.do(lambda conn: lost_nodes.forget(conn, DEFAULT_POOL, NodeName(name)))

    def test_everything_that_is_placed_there_is_given_up_and_the_node_is_gone(self, two: Any) -> None:
        grants = [begun(two, cpu=100, **given) for given in ({}, {"exclusive": ("printer",)}, {"node_selector": AT_A})]
        die(two)

        assert self.forget(two) == 3
        assert [attempts(two, grant.execution_id) for grant in grants] == [[("a", Reason.NODE_LOST)]] * 3
        assert [node.name for node in two.do(lambda conn: nodes.read(conn, DEFAULT_POOL))] == ["b"]
        assert two.sql("SELECT name FROM backends ORDER BY name") == [("local/b",)]

    def test_nothing_is_given_up_while_a_live_worker_serves_the_node(self, two: Any) -> None:
        grant = begun(two)

        with pytest.raises(ConflictError, match="a live worker serves node a: stop that worker first"):
            self.forget(two)
        assert two.row(grant.execution_id).state == "admitted"

    @pytest.mark.parametrize("pool", [DEFAULT_POOL, PoolName("nowhere")])
    def test_an_unknown_node_is_told(self, two: Any, pool: PoolName) -> None:
        with pytest.raises(NotFoundError):
            two.do(lambda conn: lost_nodes.forget(conn, pool, NodeName("z")))

    def test_a_worker_that_comes_back_makes_the_node_known_again(self, two: Any) -> None:
        die(two)
        self.forget(two)
        two.worker(ON_A, serves=[A])
        two.node("a", cpu=1000, backend=A)

        assert look(two) == []
        assert two.do(lambda conn: workers.served(conn, DEFAULT_POOL)) == {A, B}


def test_two_workers_that_look_at_once_count_the_time_once(two: Any) -> None:
    die(two)
    look(two)
    two.sql("UPDATE backends SET observed_at = observed_at - interval '4 s'")

    first, second = two.do(lambda conn: (lost_nodes.observe(conn, DEFAULT_POOL, LOST_AFTER), look(two)))
    counted = two.sql("SELECT extract(epoch FROM absent) AS seconds FROM backends WHERE name = 'local/a'")[0].seconds

    assert (first, second) == ([], [])
    assert 4 <= counted < 8  # the second found the row locked, and left it alone


@pytest.fixture
def wanted(two: Any) -> Callable[[Grant, int, BackendName], bool]:
    return lambda grant, number, backend: two.do(
        lambda conn: backends.is_wanted(conn, grant.execution_id, number, [backend])
    )


def test_only_the_open_attempt_of_a_run_placed_here_is_wanted_here(
    two: Any, wanted: Callable[[Grant, int, BackendName], bool]
) -> None:
    grant = begun(two)

    assert [wanted(grant, 1, A), wanted(grant, 2, A), wanted(grant, 1, B)] == [True, False, False]
    die(two)
    lose(two)
    assert not wanted(grant, 1, A)


def test_a_new_attempt_on_a_node_that_was_lost_knows_what_it_left_there(two: Any) -> None:
    grant = begun(two, node_selector=AT_A)
    die(two)
    two.do(lambda conn: lost_nodes.forget(conn, DEFAULT_POOL, NodeName("a")))
    two.worker(ON_A, serves=[A])
    two.node("a", cpu=1000, backend=A, labels=AT_A)
    two.sql("UPDATE queue SET not_before = clock_timestamp()")
    two.run_pass()
    [taken] = two.claim(ON_A)

    again = two.do(
        lambda conn: lifecycle.begin(conn, Grant(execution_id=grant.execution_id, epoch=taken.epoch, node=taken.node))
    )

    assert (again.number, again.lost_here) == (2, (1,))


def test_a_place_that_was_raised_above_its_holder_is_fenced(two: Any) -> None:
    grant = begun(two)

    assert two.do(lambda conn: queue.fence_off(conn, grant.execution_id)) == grant.epoch + 1
    assert not two.do(lambda conn: lifecycle.enter(conn, grant, Phase.RUNNING))


def unready(two: Any) -> list[tuple[BackendName, NodeName]]:
    return two.do(lambda conn: backends.unready(conn, DEFAULT_POOL, [A, B]))


def give_up_node(two: Any, run: ExecutionId, node: str = "a") -> bool:
    loss = Loss(pool=DEFAULT_POOL, backend=A, why="the cluster has lost it", node=NodeName(node))
    return two.do(lambda conn: lost_nodes.give_up(conn, loss, run))


@pytest.mark.parametrize("gone", [False, True], ids=["not ready", "not there any more"])
def test_a_node_that_holds_a_run_and_is_not_ready_is_found_though_its_backend_is_served(
    two: Any, *, gone: bool
) -> None:
    begun(two)
    before = unready(two)
    if gone:
        two.do(lambda conn: nodes.forget(conn, DEFAULT_POOL, [NodeName("a")]))
    else:
        two.do(lambda conn: nodes.record(conn, DEFAULT_POOL, [_ready(conn, NodeName("a"), ready=False)]))

    assert (before, unready(two)) == ([], [(A, NodeName("a"))])


def test_a_node_without_runs_may_be_away_for_as_long_as_it_likes(two: Any) -> None:
    two.do(lambda conn: nodes.record(conn, DEFAULT_POOL, [_ready(conn, NodeName("a"), ready=False)]))

    assert unready(two) == []


def test_a_run_of_a_lost_node_of_a_served_cluster_is_tried_on_another_one(two: Any) -> None:
    grant = begun(two)

    assert give_up_node(two, grant.execution_id)

    assert attempts(two, grant.execution_id) == [("a", Reason.NODE_LOST)]
    assert execution(two, grant.execution_id).phase is Phase.BACKOFF
    finished = Finished(number=1, verdict=fault.PASSED.verdict())
    assert isinstance(two.do(lambda conn: lifecycle.finish(conn, grant, finished)), Superseded)


def test_on_a_lost_node_stay_runs_with_exclusive_names_and_those_that_fit_nowhere_else(two: Any) -> None:
    exclusive = begun(two, exclusive=("staging",))
    bound = begun(two, node_selector=AT_A)
    two.do(lambda conn: nodes.record(conn, DEFAULT_POOL, [_ready(conn, NodeName("a"), ready=False)]))

    assert [give_up_node(two, grant.execution_id) for grant in (exclusive, bound)] == [False, False]
    assert {two.row(grant.execution_id).node for grant in (exclusive, bound)} == {"a"}


def test_a_run_that_has_moved_on_is_not_given_up_with_its_former_node(two: Any) -> None:
    grant = begun(two)

    assert not give_up_node(two, grant.execution_id, node="another")


def test_the_nodes_of_a_removed_cluster_leave_the_pool_once_nothing_needs_them(bare: Any) -> None:
    cluster = backend_of_cluster("prod")
    bare.do(lambda conn: clusters.put(conn, ClusterRow(name="prod", namespace="tests", image="python:3.12")))
    bare.node("n1.prod", cpu=1000, backend=cluster)
    bare.worker(ON_A, serves=[cluster])
    bare.submit()
    bare.run_pass()
    bare.claim(ON_A)
    bare.do(lambda conn: clusters.remove(conn, "prod"))

    look(bare)
    assert names(bare) == ["n1.prod"], "its worker serves it until it is idle"
    die(bare)
    look(bare)
    assert names(bare) == ["n1.prod"], "a run is placed there"
    bare.sql("DELETE FROM queue")
    look(bare)

    assert names(bare) == []
    assert bare.do(lambda conn: backends.look(conn, DEFAULT_POOL)) == []


def test_the_nodes_of_a_cluster_that_has_no_worker_stay(bare: Any) -> None:
    bare.do(lambda conn: clusters.put(conn, ClusterRow(name="prod", namespace="tests", image="python:3.12")))
    bare.node("n1.prod", cpu=1000, backend=backend_of_cluster("prod"))

    look(bare)

    assert names(bare) == ["n1.prod"]


def names(pool: Any) -> list[NodeName]:
    return [node.name for node in pool.do(lambda conn: nodes.read(conn, DEFAULT_POOL))]
