"""Who carries a run: claims, renewals, takeovers, and the fence before whoever lost one."""

from datetime import timedelta
from typing import Any

import pytest

from db import gate, leases, workers
from db.gate import Requeue
from db.gate_write import Lessee
from db.seeds import DEFAULT_POOL
from model.ids import WorkerId

SHORT = timedelta(milliseconds=50)
LONG = timedelta(days=1)


def admitted(house: Any, number: int = 1) -> list[Any]:
    runs = house.submit(number)
    assert house.admitted() == runs
    return runs


def expire(house: Any) -> None:
    """Let all leases be over, as by a holder that was gone for long."""
    house.sql("UPDATE leases SET expires_at = clock_timestamp() - interval '1 s'")


def server_up_for(house: Any, ttl: timedelta) -> None:
    house.sql(
        "SELECT pg_sleep(greatest(0, :s - extract(epoch FROM now() - pg_postmaster_start_time())))", s=ttl.seconds + 1
    )


def test_a_run_is_claimed_once(house: Any) -> None:
    [run] = admitted(house)
    other = house.worker("w1")

    [claimed] = house.claim(WorkerId("w0"))

    assert (claimed.execution_id, claimed.epoch, claimed.node, claimed.taken_over) == (run, 1, "n0", False)
    assert house.claim(other) == []
    assert house.claim(WorkerId("w0")) == []
    assert house.do(lambda conn: leases.hold(conn, run, 1, WorkerId("w0")))
    assert not house.do(lambda conn: leases.hold(conn, run, 1, other))


def test_the_most_important_are_claimed_first_and_no_more_than_wanted(house: Any) -> None:
    plain, urgent = house.submit(2, priority=5), house.submit(1, priority=0)
    house.run_pass()

    claimed = house.do(lambda conn: leases.claim(conn, WorkerId("w0"), LONG, limit=2))

    assert [run.execution_id for run in claimed] == [*urgent, plain[0]]


@pytest.mark.parametrize("state", ["unknown", "draining", "dead"])
def test_who_is_no_live_worker_gets_nothing(house: Any, state: str) -> None:
    admitted(house)
    worker = WorkerId("w1")
    if state != "unknown":
        house.worker("w1", ttl=timedelta(seconds=-1) if state == "dead" else LONG)
    if state == "draining":
        house.do(lambda conn: workers.drain(conn, worker))

    assert house.claim(worker) == []


def test_an_expired_lease_keeps_the_place_and_lets_another_take_over(house: Any) -> None:
    [run] = admitted(house)
    house.claim(WorkerId("w0"))
    house.begin(run, 1)
    other = house.worker("w1")
    server_up_for(house, timedelta(seconds=1))
    expire(house)

    house.run_pass()
    assert house.row(run).state == "admitted"
    [taken] = house.claim(other, timedelta(seconds=1))

    assert (taken.execution_id, taken.epoch, taken.taken_over) == (run, 2, True)
    assert (house.row(run).epoch, house.row(run).fence) == (2, 2)


def test_who_lost_a_lease_changes_nothing_more(house: Any) -> None:
    [run] = admitted(house)
    house.claim(WorkerId("w0"))
    other = house.worker("w1")
    server_up_for(house, timedelta(seconds=1))
    expire(house)
    house.claim(other, timedelta(seconds=1))

    assert not house.begin(run, 1)
    assert not house.do(lambda conn: leases.hold(conn, run, 1, WorkerId("w0")))
    assert not house.do(lambda conn: gate.release(conn, run, 1))
    assert not house.do(lambda conn: gate.requeue(conn, run, 1, Requeue()))
    assert house.do(lambda conn: leases.renew(conn, WorkerId("w0"), LONG)) == set()


def test_nothing_expires_before_the_server_was_up_for_one_ttl(house: Any) -> None:
    """After a restart nobody could have renewed."""
    admitted(house)
    house.claim(WorkerId("w0"))
    other = house.worker("w1")
    expire(house)

    assert house.claim(other, LONG) == []


def test_an_expired_lease_that_nobody_took_is_renewed(house: Any) -> None:
    [run] = admitted(house)
    house.claim(WorkerId("w0"))
    expire(house)

    assert house.do(lambda conn: leases.renew(conn, WorkerId("w0"), LONG)) == {(run, 1)}
    assert house.do(lambda conn: leases.hold(conn, run, 1, WorkerId("w0")))


def test_renewing_says_that_the_worker_lives(house: Any) -> None:
    house.sql("UPDATE workers SET expires_at = clock_timestamp() - interval '1 s'")
    assert house.do(lambda conn: workers.alive(conn, DEFAULT_POOL)) == []

    house.do(lambda conn: leases.renew(conn, WorkerId("w0"), LONG))

    assert house.do(lambda conn: workers.alive(conn, DEFAULT_POOL)) == ["w0"]


def test_what_a_leaving_worker_carried_is_taken_over_at_once(house: Any) -> None:
    [run] = admitted(house)
    house.claim(WorkerId("w0"))
    other = house.worker("w1")

    house.do(lambda conn: workers.leave(conn, WorkerId("w0")))

    assert [(c.execution_id, c.taken_over) for c in house.claim(other, LONG)] == [(run, True)]


def test_a_new_life_of_a_worker_takes_up_what_the_old_one_carried(house: Any) -> None:
    [run] = admitted(house)
    house.claim(WorkerId("w0"))

    again = house.worker("w0")

    assert [(c.execution_id, c.epoch) for c in house.claim(again, LONG)] == [(run, 2)]


def test_a_run_whose_flow_waits_in_a_live_worker_is_left_to_it(house: Any) -> None:
    [run] = house.submit()
    house.do(lambda conn: gate.host(conn, run, WorkerId("w0")))
    house.run_pass()
    other = house.worker("w1")

    assert house.claim(other) == []
    assert [claimed.execution_id for claimed in house.claim(WorkerId("w0"))] == [run]


def test_a_run_whose_host_is_gone_is_anybodys(house: Any) -> None:
    [run] = house.submit()
    house.do(lambda conn: gate.host(conn, run, WorkerId("w0")))
    house.run_pass()
    other = house.worker("w1")

    house.do(lambda conn: workers.leave(conn, WorkerId("w0")))

    assert [claimed.execution_id for claimed in house.claim(other)] == [run]


def test_a_run_that_goes_back_has_no_lease(house: Any) -> None:
    [run] = admitted(house)
    house.claim(WorkerId("w0"))

    house.do(lambda conn: gate.requeue(conn, run, 1, Requeue()))

    assert house.do(lambda conn: leases.renew(conn, WorkerId("w0"), LONG)) == set()
    assert house.row(run).phase == "waiting"


def test_a_claim_whose_answer_was_lost_is_answered_again(house: Any) -> None:
    """The lease was committed, the connection was lost: without this the worker would hold it for ever unawares."""
    first, second = admitted(house, 2)
    house.claim(WorkerId("w0"))

    again = house.do(lambda conn: leases.claim(conn, WorkerId("w0"), LONG, known=[first]))

    assert [(c.execution_id, c.epoch, c.taken_over) for c in again] == [(second, 1, False)]
    assert house.do(lambda conn: leases.claim(conn, WorkerId("w0"), LONG, known=[first, second])) == []


def test_an_unknown_worker_must_register(house: Any) -> None:
    assert house.do(lambda conn: workers.beat(conn, WorkerId("w0"), LONG))
    assert not house.do(lambda conn: workers.beat(conn, WorkerId("w9"), SHORT))


class TestAPassTakesUpItsWorkersOwnRuns:
    """Who makes a pass need not ask again for what it admitted."""

    LESSEE = Lessee(worker=WorkerId("w0"), ttl=LONG)

    def pass_by(self, house: Any) -> list[tuple[Any, bool]]:
        outcome = house.do(lambda conn: gate.run_pass(conn, DEFAULT_POOL, blocking=True, lessee=self.LESSEE))
        return [(run.execution_id, run.leased) for run in outcome.admitted]

    def test_those_whose_flows_wait_in_it(self, house: Any) -> None:
        other = house.worker("w1")
        mine, theirs, nobodys = house.submit(3)
        for run, worker in ((mine, "w0"), (theirs, "w1")):
            house.do(lambda conn, run=run, worker=worker: gate.host(conn, run, WorkerId(worker)))

        assert self.pass_by(house) == [(mine, True), (theirs, False), (nobodys, False)]
        assert house.do(lambda conn: leases.hold(conn, mine, 1, WorkerId("w0")))
        assert [run.execution_id for run in house.claim(other)] == [theirs, nobodys]

    @pytest.mark.parametrize("state", ["draining", "dead"])
    def test_not_when_it_is_leaving(self, house: Any, state: str) -> None:
        house.worker("w1")
        house.submit(host=WorkerId("w0"))
        change = "draining = true" if state == "draining" else "expires_at = clock_timestamp() - interval '1 s'"
        house.sql(f"UPDATE workers SET {change} WHERE worker_id = 'w0'")

        [(_, leased)] = self.pass_by(house)

        assert not leased

    def test_nor_twice_after_it_went_back_to_wait(self, house: Any) -> None:
        [run] = house.submit(host=WorkerId("w0"))
        self.pass_by(house)
        house.do(lambda conn: gate.requeue(conn, run, 1, Requeue()))

        assert self.pass_by(house) == [(run, True)]
        assert house.do(lambda conn: leases.hold(conn, run, 2, WorkerId("w0")))
        assert not house.do(lambda conn: leases.hold(conn, run, 1, WorkerId("w0")))
