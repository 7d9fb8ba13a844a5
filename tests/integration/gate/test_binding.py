"""A place binds: only a worker that serves the backend of a node gets what was admitted there (010.2 to 010.4)."""

from datetime import timedelta
from typing import Any

import pytest

from db import leases, workers
from db.gate import queue
from db.gate.pass_output import Lessee
from db.seeds import DEFAULT_POOL
from model.ids import BackendName, WorkerId
from orchestrator import admission
from scheduler.values.reasons import Code

LONG = timedelta(days=1)
A, B = BackendName("local/a"), BackendName("local/b")
ON_A, ON_B = WorkerId("on-a"), WorkerId("on-b")


@pytest.fixture
def two(bare: Any) -> Any:
    """A pool with two machines, each with a worker of its own."""
    for name, backend, worker in (("a", A, ON_A), ("b", B, ON_B)):
        bare.node(name, cpu=1000, backend=backend, labels={"machine": backend})
        bare.worker(worker, serves=[backend])
    return bare


def on(two: Any, backend: BackendName, **given: Any) -> Any:
    """Have a run admitted to the node of a backend."""
    [run] = two.submit(node_selector={"machine": backend}, **given)
    assert two.admitted() == [run]
    return run


def ids(claimed: list[leases.Claimed]) -> list[Any]:
    return [run.execution_id for run in claimed]


def test_the_row_of_a_place_names_the_backend_of_its_node(two: Any) -> None:
    runs = two.submit(2, cpu=1000)
    admitted = two.run_pass().admitted

    assert {run.node for run in admitted} == {"a", "b"}
    assert {two.row(run).node: two.row(run).backend for run in runs} == {"a": A, "b": B}


def test_a_run_that_goes_back_has_no_backend(two: Any) -> None:
    run = on(two, A)

    two.do(lambda conn: queue.requeue(conn, run, 1, queue.Requeue()))

    assert two.row(run).backend is None


def test_only_a_worker_that_serves_the_backend_claims(two: Any) -> None:
    run = on(two, A)

    assert two.claim(ON_B) == []
    assert ids(two.claim(ON_A)) == [run]


def test_only_a_worker_that_serves_the_backend_takes_over(two: Any) -> None:
    run = on(two, A)
    two.claim(ON_A)
    two.begin(run, 1)
    second = two.worker("on-a-too", serves=[A])
    two.do(lambda conn: workers.leave(conn, ON_A))

    assert two.claim(ON_B) == []
    assert [(taken.execution_id, taken.taken_over) for taken in two.claim(second)] == [(run, True)]


def test_two_workers_of_one_backend_serve_one_node(two: Any) -> None:
    second = two.worker("on-a-too", serves=[A])
    run = on(two, A)

    assert ids(two.claim(second)) == [run]
    assert two.claim(ON_A) == []


def test_a_worker_of_a_cluster_serves_all_its_nodes(bare: Any) -> None:
    cluster = BackendName("kubernetes/blue")
    for name in ("k0", "k1"):
        bare.node(name, cpu=1000, backend=cluster)
    worker = bare.worker("one", serves=[cluster])
    runs = bare.submit(2, cpu=1000)
    bare.run_pass()

    assert set(ids(bare.claim(worker))) == set(runs)


def test_a_waiting_flow_in_a_worker_that_does_not_serve_the_backend_holds_nobody_up(two: Any) -> None:
    run = on(two, A, host=ON_B)

    assert two.claim(ON_B) == []
    assert ids(two.claim(ON_A)) == [run]


def test_a_waiting_flow_in_a_worker_that_serves_the_backend_comes_first(two: Any) -> None:
    second = two.worker("on-a-too", serves=[A])
    run = on(two, A, host=ON_A)

    assert two.claim(second) == []
    assert ids(two.claim(ON_A)) == [run]


@pytest.mark.parametrize(("host", "leased"), [(ON_A, True), (ON_B, False)])
def test_a_pass_leases_to_its_worker_only_what_that_worker_serves(two: Any, host: WorkerId, *, leased: bool) -> None:
    two.submit(host=host, node_selector={"machine": A})

    lessee = Lessee(worker=host, ttl=LONG)
    outcome = two.do(lambda conn: admission.request(conn, DEFAULT_POOL, blocking=True, lessee=lessee))

    assert [(run.node, run.leased) for run in outcome.admitted] == [("a", leased)]


def test_a_flow_hosts_a_run_only_while_it_has_no_place_elsewhere(two: Any) -> None:
    [waits] = two.submit(host=ON_B)

    def hosted(serves: BackendName) -> bool:
        return two.do(lambda conn: queue.hosted_by(conn, waits, ON_B, [serves]))

    def elsewhere(serves: BackendName) -> bool:
        return two.do(lambda conn: queue.placed_elsewhere(conn, waits, [serves]))

    assert (hosted(A), hosted(B), elsewhere(A), elsewhere(B)) == (True, True, False, False)

    two.run_pass()
    place = BackendName(two.row(waits).backend)
    other = A if place == B else B

    assert (hosted(place), hosted(other), elsewhere(place), elsewhere(other)) == (True, False, False, True)


def test_nothing_is_admitted_to_a_node_that_no_live_worker_serves(two: Any) -> None:
    two.do(lambda conn: workers.leave(conn, ON_A))
    runs = two.submit(2, cpu=1000)

    [admitted] = two.run_pass().admitted
    [waits] = [run for run in runs if run != admitted.execution_id]

    assert admitted.node == "b"
    assert two.row(waits).reason == "needs 1000m CPU; node b has 0m CPU free"


@pytest.mark.parametrize("gone", ["left", "dead", "draining"])
def test_the_reason_names_the_node_that_lacks_a_worker(two: Any, gone: str) -> None:
    if gone == "left":
        two.do(lambda conn: workers.leave(conn, ON_A))
    elif gone == "dead":
        two.sql("UPDATE workers SET expires_at = clock_timestamp() - interval '1 s' WHERE worker_id = 'on-a'")
    else:
        two.do(lambda conn: workers.drain(conn, ON_A))
    two.node("a", cpu=4000, backend=A)
    [run] = two.submit(cpu=3000)

    assert two.admitted() == []
    assert two.row(run).reason == "no live worker serves node a"
    assert two.said(run)[-1].code is Code.NOT_SERVED

    two.worker(ON_A, serves=[A])

    assert two.admitted() == [run]


def test_a_worker_that_comes_back_on_another_state_folder_gets_nothing_of_the_old_one(two: Any) -> None:
    on(two, A)
    two.claim(ON_A)

    again = two.worker(ON_A, serves=[BackendName("local/c")])

    assert two.do(lambda conn: leases.claim(conn, again, LONG, known=())) == []
