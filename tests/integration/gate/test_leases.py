"""Who carries a run: claims, renewals, takeovers, and the fence before whoever lost one."""

from datetime import timedelta
from typing import Any

import pytest

from db import leases, workers
from db.gate import queue
from db.gate.pass_output import Lessee
from db.gate.queue import Requeue
from db.seeds import DEFAULT_POOL
from model.ids import WorkerId
from orchestrator import admission

SHORT = timedelta(milliseconds=50)
LONG = timedelta(days=1)


def admitted(gate_db: Any, number: int = 1) -> list[Any]:
    runs = gate_db.submit(number)
    assert gate_db.admitted() == runs
    return runs


def expire(gate_db: Any) -> None:
    """Let all leases be over, as by a holder that was gone for long."""
    gate_db.sql("UPDATE leases SET expires_at = clock_timestamp() - interval '1 s'")


def server_up_for(gate_db: Any, ttl: timedelta) -> None:
    gate_db.sql(
        "SELECT pg_sleep(greatest(0, :s - extract(epoch FROM now() - pg_postmaster_start_time())))", s=ttl.seconds + 1
    )


def test_a_run_is_claimed_once(gate_db: Any) -> None:
    [run] = admitted(gate_db)
    other = gate_db.worker("w1")

    [claimed] = gate_db.claim(WorkerId("w0"))

    assert (claimed.execution_id, claimed.epoch, claimed.node, claimed.taken_over) == (run, 1, "n0", False)
    assert gate_db.claim(other) == []
    assert gate_db.claim(WorkerId("w0")) == []
    assert gate_db.do(lambda conn: leases.hold(conn, run, 1, WorkerId("w0")))
    assert not gate_db.do(lambda conn: leases.hold(conn, run, 1, other))


def test_the_most_important_are_claimed_first_and_no_more_than_wanted(gate_db: Any) -> None:
    plain, urgent = gate_db.submit(2, priority=5), gate_db.submit(1, priority=0)
    gate_db.run_pass()

    claimed = gate_db.do(lambda conn: leases.claim(conn, WorkerId("w0"), LONG, limit=2))

    assert [run.execution_id for run in claimed] == [*urgent, plain[0]]


@pytest.mark.parametrize("state", ["unknown", "draining", "dead"])
def test_who_is_no_live_worker_gets_nothing(gate_db: Any, state: str) -> None:
    admitted(gate_db)
    worker = WorkerId("w1")
    if state != "unknown":
        gate_db.worker("w1", ttl=timedelta(seconds=-1) if state == "dead" else LONG)
    if state == "draining":
        gate_db.do(lambda conn: workers.drain(conn, worker))

    assert gate_db.claim(worker) == []


def test_an_expired_lease_keeps_the_place_and_lets_another_take_over(gate_db: Any) -> None:
    [run] = admitted(gate_db)
    gate_db.claim(WorkerId("w0"))
    gate_db.begin(run, 1)
    other = gate_db.worker("w1")
    server_up_for(gate_db, timedelta(seconds=1))
    expire(gate_db)

    gate_db.run_pass()
    assert gate_db.row(run).state == "admitted"
    [taken] = gate_db.claim(other, timedelta(seconds=1))

    assert (taken.execution_id, taken.epoch, taken.taken_over) == (run, 2, True)
    assert (gate_db.row(run).epoch, gate_db.row(run).fence) == (2, 2)


def test_who_lost_a_lease_changes_nothing_more(gate_db: Any) -> None:
    [run] = admitted(gate_db)
    gate_db.claim(WorkerId("w0"))
    other = gate_db.worker("w1")
    server_up_for(gate_db, timedelta(seconds=1))
    expire(gate_db)
    gate_db.claim(other, timedelta(seconds=1))

    assert not gate_db.begin(run, 1)
    assert not gate_db.do(lambda conn: leases.hold(conn, run, 1, WorkerId("w0")))
    assert not gate_db.do(lambda conn: queue.release(conn, run, 1))
    assert not gate_db.do(lambda conn: queue.requeue(conn, run, 1, Requeue()))
    assert gate_db.do(lambda conn: leases.renew(conn, WorkerId("w0"), LONG)) == set()


def test_nothing_expires_before_the_server_was_up_for_one_ttl(gate_db: Any) -> None:
    """After a restart nobody could have renewed."""
    admitted(gate_db)
    gate_db.claim(WorkerId("w0"))
    other = gate_db.worker("w1")
    expire(gate_db)

    assert gate_db.claim(other, LONG) == []


def test_an_expired_lease_that_nobody_took_is_renewed(gate_db: Any) -> None:
    [run] = admitted(gate_db)
    gate_db.claim(WorkerId("w0"))
    expire(gate_db)

    assert gate_db.do(lambda conn: leases.renew(conn, WorkerId("w0"), LONG)) == {(run, 1)}
    assert gate_db.do(lambda conn: leases.hold(conn, run, 1, WorkerId("w0")))


def test_renewing_says_that_the_worker_lives(gate_db: Any) -> None:
    gate_db.sql("UPDATE workers SET expires_at = clock_timestamp() - interval '1 s'")
    assert gate_db.do(lambda conn: workers.alive(conn, DEFAULT_POOL)) == []

    gate_db.do(lambda conn: leases.renew(conn, WorkerId("w0"), LONG))

    assert gate_db.do(lambda conn: workers.alive(conn, DEFAULT_POOL)) == ["w0"]


def test_what_a_leaving_worker_carried_is_taken_over_at_once(gate_db: Any) -> None:
    [run] = admitted(gate_db)
    gate_db.claim(WorkerId("w0"))
    other = gate_db.worker("w1")

    gate_db.do(lambda conn: workers.leave(conn, WorkerId("w0")))

    assert [(c.execution_id, c.taken_over) for c in gate_db.claim(other, LONG)] == [(run, True)]


def test_a_new_life_of_a_worker_takes_up_what_the_old_one_carried(gate_db: Any) -> None:
    [run] = admitted(gate_db)
    gate_db.claim(WorkerId("w0"))

    again = gate_db.worker("w0")

    assert [(c.execution_id, c.epoch) for c in gate_db.claim(again, LONG)] == [(run, 2)]


def test_a_run_whose_flow_waits_in_a_live_worker_is_left_to_it(gate_db: Any) -> None:
    [run] = gate_db.submit()
    gate_db.do(lambda conn: queue.host(conn, run, WorkerId("w0")))
    gate_db.run_pass()
    other = gate_db.worker("w1")

    assert gate_db.claim(other) == []
    assert [claimed.execution_id for claimed in gate_db.claim(WorkerId("w0"))] == [run]


def test_a_run_whose_host_is_gone_is_anybodys(gate_db: Any) -> None:
    [run] = gate_db.submit()
    gate_db.do(lambda conn: queue.host(conn, run, WorkerId("w0")))
    gate_db.run_pass()
    other = gate_db.worker("w1")

    gate_db.do(lambda conn: workers.leave(conn, WorkerId("w0")))

    assert [claimed.execution_id for claimed in gate_db.claim(other)] == [run]


def test_a_run_that_goes_back_has_no_lease(gate_db: Any) -> None:
    [run] = admitted(gate_db)
    gate_db.claim(WorkerId("w0"))

    gate_db.do(lambda conn: queue.requeue(conn, run, 1, Requeue()))

    assert gate_db.do(lambda conn: leases.renew(conn, WorkerId("w0"), LONG)) == set()
    assert gate_db.row(run).phase == "waiting"


def test_a_claim_whose_answer_was_lost_is_answered_again(gate_db: Any) -> None:
    """The lease was committed, the connection was lost: without this the worker would hold it for ever unawares."""
    first, second = admitted(gate_db, 2)
    gate_db.claim(WorkerId("w0"))

    again = gate_db.do(lambda conn: leases.claim(conn, WorkerId("w0"), LONG, known=[first]))

    assert [(c.execution_id, c.epoch, c.taken_over) for c in again] == [(second, 1, False)]
    assert gate_db.do(lambda conn: leases.claim(conn, WorkerId("w0"), LONG, known=[first, second])) == []


def test_an_unknown_worker_must_register(gate_db: Any) -> None:
    assert gate_db.do(lambda conn: workers.beat(conn, WorkerId("w0"), LONG))
    assert not gate_db.do(lambda conn: workers.beat(conn, WorkerId("w9"), SHORT))


class TestAPassTakesUpItsWorkersOwnRuns:
    """Who makes a pass need not ask again for what it admitted."""

    LESSEE = Lessee(worker=WorkerId("w0"), ttl=LONG)

    def pass_by(self, gate_db: Any) -> list[tuple[Any, bool]]:
        outcome = gate_db.do(lambda conn: admission.request(conn, DEFAULT_POOL, blocking=True, lessee=self.LESSEE))
        return [(run.execution_id, run.leased) for run in outcome.admitted]

    def test_those_whose_flows_wait_in_it(self, gate_db: Any) -> None:
        other = gate_db.worker("w1")
        mine, theirs, nobodys = gate_db.submit(3)
        for run, worker in ((mine, "w0"), (theirs, "w1")):
            gate_db.do(lambda conn, run=run, worker=worker: queue.host(conn, run, WorkerId(worker)))

        assert self.pass_by(gate_db) == [(mine, True), (theirs, False), (nobodys, False)]
        assert gate_db.do(lambda conn: leases.hold(conn, mine, 1, WorkerId("w0")))
        assert [run.execution_id for run in gate_db.claim(other)] == [theirs, nobodys]

    @pytest.mark.parametrize("state", ["draining", "dead"])
    def test_not_when_it_is_leaving(self, gate_db: Any, state: str) -> None:
        gate_db.worker("w1")
        gate_db.submit(host=WorkerId("w0"))
        change = "draining = true" if state == "draining" else "expires_at = clock_timestamp() - interval '1 s'"
        gate_db.sql(f"UPDATE workers SET {change} WHERE worker_id = 'w0'")

        [(_, leased)] = self.pass_by(gate_db)

        assert not leased

    def test_nor_twice_after_it_went_back_to_wait(self, gate_db: Any) -> None:
        [run] = gate_db.submit(host=WorkerId("w0"))
        self.pass_by(gate_db)
        gate_db.do(lambda conn: queue.requeue(conn, run, 1, Requeue()))

        assert self.pass_by(gate_db) == [(run, True)]
        assert gate_db.do(lambda conn: leases.hold(conn, run, 2, WorkerId("w0")))
        assert not gate_db.do(lambda conn: leases.hold(conn, run, 1, WorkerId("w0")))
