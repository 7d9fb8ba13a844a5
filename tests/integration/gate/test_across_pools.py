"""Two pools that share teams, users and names: ageing holds across them, and a pass never disturbs another's order."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection

from db import nodes, pools
from db.gate import pass_input, pass_locks, queue
from db.pools import Pool, PoolChange
from db.seeds import DEFAULT_POOL
from model.ids import ExecutionId, GroupId, NodeName, PoolName, WorkerId
from model.resources import Resources
from orchestrator import admission
from orchestrator.admission import PassOutcome
from scheduler.values.node import Node
from scheduler.values.pool import Strategy

SECOND = PoolName("second")


class TwoPools:
    """Both have a worker, and two nodes with room for all. Team red may run one at a time."""

    def __init__(self, gate_db: Any, *, most: int = 1) -> None:
        self.gate_db = gate_db
        gate_db.do(lambda conn: pools.create(conn, Pool(name=SECOND)))
        gate_db.worker("w2", pool=SECOND)
        gate_db.node()
        gate_db.do(lambda conn: nodes.record(conn, SECOND, [node("m0"), node("m1")]))
        self.team = gate_db.team("red", most=most)
        self.ann, self.bob = (gate_db.person(name, most=9, team=self.team) for name in ("ann", "bob"))
        self.other = gate_db.person("other", most=9, team=gate_db.team("blue", most=9))

    def wait(self, pool: PoolName, *, who: Any = None, old: bool = False, **given: Any) -> ExecutionId:
        """Let a run of the red team wait; an old one is aged."""
        [run] = self.gate_db.submit(who=who or self.ann, pool=pool, **given)
        if old:
            self.age(run)
        return run  # type: ignore[no-any-return]

    def age(self, *runs: ExecutionId) -> None:
        query = "UPDATE queue SET enqueued_at = enqueued_at - interval '12 hours' WHERE execution_id = ANY(:runs)"
        self.gate_db.sql(query, runs=list(runs))

    def outcome(self, pool: PoolName) -> PassOutcome:
        outcome = self.gate_db.do(lambda conn: admission.request(conn, pool))
        assert outcome is not None
        return outcome  # type: ignore[no-any-return]

    def started(self, pool: PoolName) -> list[ExecutionId]:
        return [run.execution_id for run in self.outcome(pool).admitted]

    def end(self, run: ExecutionId) -> None:
        assert self.gate_db.do(lambda conn: queue.release(conn, run, 1))

    def keepers(self) -> list[ExecutionId]:
        query = "SELECT execution_id FROM queue WHERE state = 'waiting' AND reserved_for IS NOT NULL ORDER BY seq"
        return [row.execution_id for row in self.gate_db.sql(query)]

    def quota(self, **limits: int) -> None:
        query = "UPDATE teams SET quota = quota || jsonb_build_object(CAST(:key AS text), CAST(:most AS int))"
        for key, most in limits.items():
            self.gate_db.sql(query + " WHERE team_id = :team", key=key, most=most, team=self.team)

    @contextmanager
    def decided_elsewhere(self, who: Any) -> Iterator[None]:
        """Another pool's pass has the lock of a team, and does not end."""
        with self.gate_db.db._engine.begin() as conn:
            assert pass_locks.try_claims(conn, [pass_locks.owner_claim(who.team_id)])
            yield


def node(name: str, cpu: int = 4000) -> Node:
    return Node(name=NodeName(name), capacity=Resources(cpu_milli=cpu, memory_bytes=2**33))


@pytest.fixture
def two(gate_db: Any) -> TwoPools:
    return TwoPools(gate_db)


class TestAgeing:
    """Who waits for too long has what it waits for kept in all pools."""

    def test_an_aged_run_gets_its_teams_place_before_later_ones_of_another_pool(self, two: TwoPools) -> None:
        """Whoever ends passes in its own pool first: without more the others would always be there before."""
        holder = two.wait(SECOND)
        assert two.started(SECOND) == [holder]
        old = two.wait(DEFAULT_POOL, priority=9, old=True)
        later = [two.wait(SECOND, priority=0) for _ in range(3)]
        assert two.started(DEFAULT_POOL) == []

        two.end(holder)

        assert two.started(SECOND) == []
        assert two.started(DEFAULT_POOL) == [old]
        assert two.keepers() == []
        two.end(old)
        assert two.started(SECOND) == later[:1]

    def test_the_others_are_told_for_whom_it_is_kept(self, two: TwoPools) -> None:
        holder = two.wait(SECOND)
        two.started(SECOND)
        old = two.wait(DEFAULT_POOL, old=True)
        later = two.wait(SECOND)
        two.started(DEFAULT_POOL)
        two.end(holder)
        two.started(SECOND)

        told = f"team red runs 0 of 1; 1 kept free for run {old.hex[-8:]} of pool default, which waited too long"
        assert two.gate_db.row(later).reason == told
        assert two.gate_db.said(later)[-1].blocked_by == (old,)

    def test_also_a_name_and_an_amount(self, two: TwoPools) -> None:
        two.quota(max_concurrent_tests=9, max_cpu_milli=1000)
        holder, named = two.wait(SECOND, cpu=900), two.wait(SECOND, who=two.other, exclusive=("db",))
        assert two.started(SECOND) == [holder, named]
        large = two.wait(DEFAULT_POOL, cpu=600, old=True)
        wants = two.wait(DEFAULT_POOL, who=two.other, exclusive=("db",), old=True)
        assert two.started(DEFAULT_POOL) == []
        small, fits = two.wait(SECOND, cpu=500), two.wait(SECOND, cpu=400)
        wants_too = two.wait(SECOND, who=two.gate_db.person("cy", most=9), exclusive=("db",))
        two.end(holder)
        two.end(named)

        assert two.started(SECOND) == [fits]
        assert two.gate_db.row(small).reason.startswith(
            "team red uses 400m of 1000m CPU; needs 500m CPU; 600m CPU kept"
        )
        assert two.gate_db.row(wants_too).reason == (
            f"db is kept for run {wants.hex[-8:]} of pool default, which waited too long"
        )
        assert two.gate_db.said(wants_too)[-1].blocked_by == (wants,)
        assert two.started(DEFAULT_POOL) == [large, wants]

    @pytest.mark.parametrize("first", [DEFAULT_POOL, SECOND])
    def test_of_two_aged_runs_only_the_later_one_waits(self, two: TwoPools, first: PoolName) -> None:
        """Whichever pool passes first: the order holds over both, so they never wait for each other."""
        holder = two.wait(SECOND)
        two.started(SECOND)
        elder, younger = two.wait(DEFAULT_POOL, old=True), two.wait(SECOND, old=True)
        second = SECOND if first == DEFAULT_POOL else DEFAULT_POOL
        for pool in (first, second, first):
            assert two.started(pool) == []
        assert two.keepers() == [elder, younger]
        two.end(holder)

        assert two.started(SECOND) == []
        assert two.started(DEFAULT_POOL) == [elder]
        two.end(elder)
        assert two.started(DEFAULT_POOL) == []
        assert two.started(SECOND) == [younger]

    def test_who_comes_before_an_aged_run_in_the_order_is_not_bound_by_it(self, two: TwoPools) -> None:
        """It is not aged by its own pool's limit, which is longer."""
        two.gate_db.do(lambda conn: pools.update_pool(conn, SECOND, PoolChange(ageing_limit_seconds=1e6)))
        holder = two.wait(SECOND)
        two.started(SECOND)
        before, old = two.wait(SECOND, old=True, priority=0), two.wait(DEFAULT_POOL, old=True)
        two.started(DEFAULT_POOL)
        two.end(holder)

        assert two.keepers() == [old]
        assert two.started(SECOND) == [before]

    def test_a_full_pool_keeps_it_for_its_first_aged_run(self, two: TwoPools) -> None:
        """Of each team one: a pool that can start one at a time must not stop all others of the team."""
        two.quota(max_concurrent_tests=4)
        two.gate_db.pool(max_concurrent_tests=1)
        holder = two.wait(DEFAULT_POOL, who=two.other)
        assert two.started(DEFAULT_POOL) == [holder]
        first, *_ = [two.wait(DEFAULT_POOL, old=True) for _ in range(5)]
        assert two.started(DEFAULT_POOL) == []
        assert two.keepers() == [first]
        later = [two.wait(SECOND) for _ in range(5)]

        assert two.started(SECOND) == later[:3]
        two.end(holder)
        assert two.started(DEFAULT_POOL) == [first]

    def test_who_has_a_node_kept_has_the_rest_kept_too(self, two: TwoPools) -> None:
        two.quota(max_concurrent_tests=2)
        holder = two.wait(DEFAULT_POOL, who=two.other, cpu=4000)
        two.started(DEFAULT_POOL)
        old = [two.wait(DEFAULT_POOL, cpu=2000, old=True) for _ in range(2)]
        two.started(DEFAULT_POOL)
        later = two.wait(SECOND)

        assert two.keepers() == old
        assert two.started(SECOND) == []
        two.end(holder)
        assert two.started(DEFAULT_POOL) == old
        for run in old:
            two.end(run)
        assert two.started(SECOND) == [later]

    def test_groups_whose_members_arrived_in_turn_do_not_wait_for_each_other(self, two: TwoPools) -> None:
        two.quota(max_concurrent_tests=2)
        holder = two.wait(SECOND)
        two.started(SECOND)
        here, there = (GroupId(two.gate_db.new_id()) for _ in range(2))
        turns = [(DEFAULT_POOL, here), (SECOND, there)] * 2
        members = [two.wait(pool, group=group, old=True) for pool, group in turns]
        two.started(SECOND)
        two.started(DEFAULT_POOL)
        two.end(holder)

        assert two.started(SECOND) == []
        assert two.started(DEFAULT_POOL) == members[::2]
        for run in members[::2]:
            two.end(run)
        assert two.started(SECOND) == members[1::2]

    def test_a_run_keeps_nothing_that_it_could_never_use(self, two: TwoPools) -> None:
        two.quota(max_concurrent_tests=9, max_cpu_milli=1000)
        holder = two.wait(SECOND, cpu=1000)
        two.started(SECOND)
        two.wait(DEFAULT_POOL, cpu=900, old=True)
        two.started(DEFAULT_POOL)
        assert len(two.keepers()) == 1
        two.quota(max_cpu_milli=800)
        later = two.wait(SECOND, cpu=300)
        two.end(holder)

        assert two.started(SECOND) == [later]
        assert two.started(DEFAULT_POOL) == []
        assert two.keepers() == []

    @pytest.mark.parametrize("wants", [{"cpu": 5000}, {"node_selector": {"disk": "tape"}}])
    def test_nor_where_no_node_could_take_it(self, two: TwoPools, wants: dict[str, Any]) -> None:
        holder = two.wait(SECOND)
        two.started(SECOND)
        two.wait(DEFAULT_POOL, old=True, **wants)

        assert two.started(DEFAULT_POOL) == []
        assert two.keepers() == []
        later = two.wait(SECOND)
        two.end(holder)
        assert two.started(SECOND) == [later]

    def test_a_pool_in_which_nobody_is_alive_binds_no_other(self, two: TwoPools) -> None:
        holder = two.wait(SECOND)
        two.started(SECOND)
        two.wait(DEFAULT_POOL, old=True)
        two.started(DEFAULT_POOL)
        later = two.wait(SECOND)
        two.end(holder)
        assert two.started(SECOND) == []

        two.gate_db.sql("UPDATE workers SET expires_at = clock_timestamp() WHERE pool = 'default'")

        assert two.started(SECOND) == [later]

    def test_who_is_cancelled_keeps_nothing(self, two: TwoPools) -> None:
        holder = two.wait(SECOND)
        two.started(SECOND)
        old = two.wait(DEFAULT_POOL, old=True)
        two.started(DEFAULT_POOL)
        later = two.wait(SECOND)
        two.end(holder)
        assert two.gate_db.do(lambda conn: queue.withdraw(conn, old))

        assert two.started(SECOND) == [later]

    def test_who_started_and_waits_again_keeps_only_what_is_kept_anew(self, two: TwoPools) -> None:
        holder = two.wait(SECOND)
        two.started(SECOND)
        old = two.wait(DEFAULT_POOL, old=True)
        two.started(DEFAULT_POOL)
        two.end(holder)
        assert two.started(DEFAULT_POOL) == [old]
        soon = "now() + interval '1 hour'"
        assert two.gate_db.do(lambda conn: queue.requeue(conn, old, 1, queue.Requeue()))
        two.gate_db.sql(f"UPDATE queue SET not_before = {soon} WHERE execution_id = :id", id=old)

        assert two.keepers() == []
        later = two.wait(SECOND)
        assert two.started(SECOND) == [later]

    def test_a_pool_of_its_own_asks_nothing_more(self, gate_db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """With one pool neither is anything read of others, nor anything kept for them."""
        gate_db.pool(max_concurrent_tests=1)
        gate_db.submit(3)
        gate_db.sql("UPDATE queue SET enqueued_at = enqueued_at - interval '12 hours'")
        for name in ("reservations.read", "reservations.write", "pass_locks.try_claims"):
            monkeypatch.setattr(f"db.gate.{name}", None)

        assert len(gate_db.admitted()) == 1
        assert gate_db.admitted() == []
        assert gate_db.sql("SELECT 1 FROM queue WHERE reserved_for IS NOT NULL") == []


class TestBusyOwners:
    """Over whom another pool decides at this moment is not decided here; but the order holds."""

    def test_nobody_behind_it_gets_its_place(self, two: TwoPools) -> None:
        two.gate_db.pool(max_concurrent_tests=1)
        first, behind = two.wait(DEFAULT_POOL, priority=1), two.wait(DEFAULT_POOL, who=two.other, priority=9)
        with two.decided_elsewhere(two.ann):
            outcome = two.outcome(DEFAULT_POOL)

        assert (outcome.admitted, outcome.again) == ((), True)
        assert two.gate_db.row(first).reason.startswith("another pool is deciding over its team, user or names")
        assert "1 of 1" in two.gate_db.row(behind).reason
        assert two.outcome(DEFAULT_POOL).admitted[0].execution_id == first

    def test_others_that_have_room_beside_it_start(self, two: TwoPools) -> None:
        first, behind = two.wait(DEFAULT_POOL, priority=1), two.wait(DEFAULT_POOL, who=two.other, priority=9)
        with two.decided_elsewhere(two.ann):
            assert two.started(DEFAULT_POOL) == [behind]
        assert two.started(DEFAULT_POOL) == [first]

    def test_an_aged_run_keeps_its_node(self, two: TwoPools) -> None:
        two.quota(max_concurrent_tests=9)
        small = [two.wait(DEFAULT_POOL, who=two.other, cpu=2000) for _ in range(2)]
        assert two.started(DEFAULT_POOL) == small
        old = two.wait(DEFAULT_POOL, cpu=4000, priority=9, old=True)
        two.started(DEFAULT_POOL)
        kept = two.gate_db.row(old)
        assert kept.nominated == "n0"
        two.end(small[0])
        behind = two.wait(DEFAULT_POOL, who=two.other, cpu=2000, priority=0)

        with two.decided_elsewhere(two.ann):
            assert two.started(DEFAULT_POOL) == []
            two.end(small[1])
            assert two.started(DEFAULT_POOL) == []
        now = two.gate_db.row(old)
        assert (now.nominated, now.reason, now.reserved_for) == (kept.nominated, kept.reason, kept.reserved_for)
        assert two.started(DEFAULT_POOL) == [old]
        assert two.gate_db.row(behind).reason != ""

    def test_what_it_was_told_stays(self, two: TwoPools) -> None:
        two.gate_db.pool(max_concurrent_tests=1)
        holder = two.wait(DEFAULT_POOL, who=two.other)
        two.started(DEFAULT_POOL)
        run = two.wait(DEFAULT_POOL)
        two.started(DEFAULT_POOL)
        told = two.gate_db.row(run).reason
        assert told == "the pool runs 1 of 1"
        two.end(holder)

        with two.decided_elsewhere(two.ann):
            two.gate_db.sql("UPDATE pools SET annotated_at = NULL")
            assert two.outcome(DEFAULT_POOL).again
        assert two.gate_db.row(run).reason == told
        assert len(two.gate_db.said(run)) == 1

    def test_a_group_is_put_off_whole(self, two: TwoPools) -> None:
        two.gate_db.pool(max_concurrent_tests=2)
        group = GroupId(two.gate_db.new_id())
        members = [two.wait(DEFAULT_POOL, who=who, group=group, priority=1) for who in (two.ann, two.other)]
        two.wait(DEFAULT_POOL, who=two.other, priority=9)
        with two.decided_elsewhere(two.ann):
            assert two.started(DEFAULT_POOL) == []
        assert two.started(DEFAULT_POOL) == members

    @pytest.mark.usefixtures("few_rows")
    def test_where_not_all_of_its_shape_were_read_nobody_behind_them_starts(self, two: TwoPools) -> None:
        two.quota(max_concurrent_tests=9)
        two.gate_db.pool(max_concurrent_tests=6)
        shape = [two.wait(DEFAULT_POOL, priority=1) for _ in range(6)]
        two.wait(DEFAULT_POOL, who=two.other, priority=9)
        with two.decided_elsewhere(two.ann):
            assert two.started(DEFAULT_POOL) == []
        assert two.started(DEFAULT_POOL) == shape

    def test_it_pays_nothing_for_what_it_did_not_get(self, two: TwoPools) -> None:
        two.gate_db.pool(strategy=Strategy.FAIR_SHARE, max_concurrent_tests=1)
        run = two.wait(DEFAULT_POOL)
        with two.decided_elsewhere(two.ann):
            assert two.started(DEFAULT_POOL) == []
        usage = dict(two.gate_db.sql("SELECT owner_id, usage FROM fair_usage"))

        assert usage.get(two.team, 0) == 0
        assert two.started(DEFAULT_POOL) == [run]

    def test_nobody_is_stopped_for_it(self, two: TwoPools) -> None:
        two.gate_db.pool(preemption=True, min_runtime_seconds=0.0, max_concurrent_tests=1)
        holder = two.wait(DEFAULT_POOL, who=two.other, priority=9, restartable=True)
        two.started(DEFAULT_POOL)
        two.gate_db.claim(WorkerId("w0"))
        assert two.gate_db.begin(holder, 1)
        two.wait(DEFAULT_POOL, priority=1)

        with two.decided_elsewhere(two.ann):
            assert two.outcome(DEFAULT_POOL).preempted == ()
        assert two.outcome(DEFAULT_POOL).preempted == (holder,)

    def test_the_locks_that_it_lacks_are_seen(self, two: TwoPools) -> None:
        run = two.wait(DEFAULT_POOL, exclusive=("db",))

        def busy(conn: Connection) -> Any:
            found = pass_input.waiting(conn, pass_input.facts(conn, DEFAULT_POOL))
            return found.busy(found.claims()), found.busy(found.claims() - {pass_locks.name_claim("db")})

        assert two.gate_db.do(busy) == (frozenset(), {run})
