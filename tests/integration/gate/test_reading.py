"""What a pass reads: of a deep queue a part, in which no owner hides another; and whose limits and names hold."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from db import nodes, pools
from db.gate import fair_usage, owner_limits, pass_input, pass_locks, queue
from db.gate.pass_input import Facts
from db.gate.read_rows import ReadRows
from db.pools import Pool, PoolChange
from db.seeds import DEFAULT_POOL
from model.ids import PoolName
from model.resources import Resources
from orchestrator import admission
from scheduler.values.pool import BEST_FIT, Ceiling, Strategy
from scheduler.values.run import Apart, Spread

SECOND = PoolName("second")


def facts(gate_db: Any, pool: PoolName = DEFAULT_POOL) -> Facts:
    found: Facts = gate_db.do(lambda conn: pass_input.facts(conn, pool))
    return found


def read(gate_db: Any) -> ReadRows:
    found: ReadRows = gate_db.do(lambda conn: pass_input.waiting(conn, pass_input.facts(conn, DEFAULT_POOL)))
    return found


@pytest.fixture
def second(gate_db: Any) -> Any:
    """A second pool, as large and as alive as the first one."""
    gate_db.do(lambda conn: pools.create(conn, Pool(name=SECOND)))
    gate_db.worker("w2", pool=SECOND)
    gate_db.do(lambda conn: nodes.record(conn, SECOND, nodes.read(conn, DEFAULT_POOL)))
    return gate_db


def test_all_that_was_submitted_comes_back(gate_db: Any) -> None:
    apart, spread = (
        (Apart(topology="zone", labels=(("app", "db"),)),),
        (Spread(topology="zone", labels=(("app", "x"),)),),
    )
    given = {
        "apart": apart,
        "spread": spread,
        "labels": {"b": "2", "a": "1"},
        "exclusive": ("staging", "bus"),
        "group": gate_db.new_id(),
        "limit": timedelta(minutes=5),
        "expected": timedelta(seconds=7.5),
        "restartable": True,
        "node_selector": {"disk": "ssd"},
    }
    [run] = gate_db.submit(**given)
    found = read(gate_db).runs[run]

    assert found.shape.constraints.apart == apart
    assert found.shape.constraints.spread == spread
    assert found.labels == (("a", "1"), ("b", "2"))
    assert found.exclusive == ("bus", "staging")
    assert (found.group, found.limit, found.expected) == (given["group"], timedelta(minutes=5), timedelta(seconds=7.5))
    assert found.restartable


def test_a_place_is_read_with_all_that_decides_over_it(gate_db: Any) -> None:
    asked = {"labels": {"a": "1"}, "exclusive": ("bus",), "expected": timedelta(seconds=9)}
    [run] = gate_db.submit(**asked, restartable=True, apart=(Apart(topology="zone", labels=(("a", "1"),)),))
    waited = gate_db.row(run)
    gate_db.run_pass()
    assert facts(gate_db).holding[0].began_at is None
    gate_db.begin(run, 1)
    gate_db.do(lambda conn: queue.guard(conn, run, 1, on=True))
    [place] = facts(gate_db).holding

    held = place.queued
    assert (held.labels, held.exclusive, held.priority) == ((("a", "1"),), ("bus",), 5)
    assert (held.expected, held.limit) == (timedelta(seconds=9), timedelta(hours=1))
    assert (held.restartable, place.guarded, place.preempted_for) == (True, True, None)
    assert (held.seq, held.enqueued_at) == (waited.seq, waited.enqueued_at)
    assert held.shape.constraints.apart == (Apart(topology="zone", labels=(("a", "1"),)),)
    assert facts(gate_db).now - timedelta(minutes=1) < place.started_at <= place.began_at


def test_the_settings_of_the_pool_are_those_of_the_plan(gate_db: Any) -> None:
    change = PoolChange(
        max_concurrent_tests=7,
        max_cpu_milli=900,
        max_gpu=0,
        strategy=Strategy.FAIR_SHARE,
        profile="best-fit",
        candidates=3,
        backfill_after_seconds=4.0,
        half_life_seconds=5.0,
        scheduling_interval_seconds=0.5,
        preemption=True,
        min_runtime_seconds=6.0,
    )
    gate_db.do(lambda conn: pools.update_pool(conn, DEFAULT_POOL, change))
    limits = facts(gate_db).limits

    assert limits.ceiling == Ceiling(runs=7, cpu_milli=900, gpu=0)
    assert (limits.strategy, limits.profile, limits.candidates) == (Strategy.FAIR_SHARE, BEST_FIT, 3)
    assert (limits.backfill_after, limits.half_life) == (timedelta(seconds=4), timedelta(seconds=5))
    assert (limits.interval, limits.min_runtime, limits.preemption) == (
        timedelta(seconds=0.5),
        timedelta(seconds=6),
        True,
    )


def test_an_owner_comes_with_all_its_limits_and_what_it_has_elsewhere(second: Any) -> None:
    team = second.team("red", most=4)
    ann = second.person("ann", most=3, team=team)
    quota = '{"max_concurrent_tests": 4, "max_cpu_milli": 900, "max_memory_bytes": 10, "max_gpu": 1}'
    second.sql("UPDATE teams SET quota = CAST(:quota AS jsonb), weight = 2.5 WHERE team_id = :id", quota=quota, id=team)
    second.submit(2, who=ann, pool=SECOND, cpu=300)
    second.do(lambda conn: admission.request(conn, SECOND))
    [run] = second.submit(who=ann)
    runs = [read(second).runs[run]]

    def owners(several: bool) -> Any:  # noqa: FBT001  a fact, not a switch
        return second.do(lambda conn: owner_limits.owners(conn, DEFAULT_POOL, runs, several=several))

    assert owners(True)[team].ceiling == Ceiling(runs=4, cpu_milli=900, memory_bytes=10, gpu=1)
    assert (owners(True)[team].weight, owners(True)[ann.user_id].ceiling) == (2.5, Ceiling(runs=3))
    assert (owners(True)[team].elsewhere_runs, owners(True)[team].elsewhere) == (2, Resources(cpu_milli=600))
    assert owners(False)[team].elsewhere_runs == 0


class TestManyShapes:
    """One with more shapes than a pass looks at."""

    @pytest.fixture
    def few_shapes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pass_input, "SHAPES", 8)

    def flood(self, gate_db: Any, who: Any, priority: int) -> list[Any]:
        return [run for cpu in range(100, 130) for run in gate_db.submit(who=who, cpu=cpu, priority=priority)]

    @pytest.mark.usefixtures("few_shapes", "few_rows")
    def test_hides_no_other_team_at_any_priority(self, gate_db: Any) -> None:
        ann, bob, eve = (
            gate_db.person(n, most=99, team=gate_db.team(f"team of {n}", most=99)) for n in ("a", "b", "e")
        )
        self.flood(gate_db, ann, 0)
        self.flood(gate_db, bob, 3)
        [last] = gate_db.submit(who=eve, priority=9)
        seen = read(gate_db).runs

        assert last in seen
        assert {run.user_id for run in seen.values()} == {ann.user_id, bob.user_id, eve.user_id}

    @pytest.mark.usefixtures("few_shapes", "few_rows")
    def test_still_start_in_order(self, gate_db: Any) -> None:
        gate_db.pool(max_concurrent_tests=1)
        runs = self.flood(gate_db, gate_db.person("a", most=99), 5)
        for expected in runs[:10]:
            assert gate_db.admitted() == [expected]
            gate_db.do(lambda conn, run=expected: queue.release(conn, run, 1))

    @pytest.mark.usefixtures("few_rows")
    def test_and_many_of_one_shape_start_before_who_came_later(self, gate_db: Any) -> None:
        """Of each shape only few rows are read at a time; the pass goes on in rounds rather than out of order."""
        gate_db.pool(max_concurrent_tests=12)
        first = gate_db.submit(10)
        second = gate_db.submit(10, cpu=101)

        assert gate_db.admitted() == [*first, *second[:2]]


class TestNames:
    """An exclusive name is held once, over all pools."""

    def test_what_another_pool_holds_is_known(self, second: Any) -> None:
        second.submit(pool=SECOND, exclusive=("bus", "db"))
        second.do(lambda conn: admission.request(conn, SECOND))

        def elsewhere(pool: PoolName) -> Any:
            return second.do(lambda conn: owner_limits.names_elsewhere(conn, pool, ["db", "mail"]))

        assert elsewhere(DEFAULT_POOL) == {"db"}
        assert elsewhere(SECOND) == set()

    def test_two_pools_never_decide_over_one_name_at_once(self, second: Any) -> None:
        """The first pass has not committed, so the second one cannot see what it gave away."""
        ann, bob = (second.person(name, most=9, team=second.team(name, most=9)) for name in ("ann", "bob"))
        [first] = second.submit(who=ann, exclusive=("db",))
        second.submit(who=bob, pool=SECOND, exclusive=("db",))
        with second.db._engine.begin() as conn:
            started = admission.request(conn, DEFAULT_POOL)
            assert started is not None
            assert [run.execution_id for run in started.admitted] == [first]
            tried = second.do(lambda other: admission.request(other, SECOND))

        assert tried is not None
        assert tried.admitted == ()

    def test_a_group_waits_for_the_lock_of_its_one_member_whole(self, second: Any) -> None:
        group = second.new_id()
        [named] = second.submit(exclusive=("db",), group=group)
        [plain] = second.submit(group=group)
        with second.db._engine.begin() as conn:
            assert pass_locks.try_claims(conn, [pass_locks.name_claim("db")])
            tried = second.do(lambda other: admission.request(other, DEFAULT_POOL))
        assert tried.admitted == ()

        assert set(second.admitted()) == {named, plain}


class TestUsage:
    """The one stored sum: what each owner had of a pool, fading."""

    def usage(self, gate_db: Any) -> dict[Any, float]:
        rows = gate_db.sql("SELECT owner_id, usage FROM fair_usage WHERE pool = 'default'")
        return {row.owner_id: row.usage for row in rows}

    def write(self, gate_db: Any, amounts: dict[Any, float], *, started: bool) -> None:
        def work(conn: Connection) -> None:
            fair_usage.write(conn, pass_input.facts(conn, DEFAULT_POOL), amounts, started=started)

        gate_db.do(work)

    def test_is_written_once_a_second_and_when_somebody_starts(self, gate_db: Any) -> None:
        owner = gate_db.new_id()
        self.write(gate_db, {owner: 0.5}, started=False)
        self.write(gate_db, {owner: 0.6}, started=False)
        assert self.usage(gate_db) == {owner: 0.5}

        self.write(gate_db, {owner: 0.7}, started=True)

        assert self.usage(gate_db) == {owner: 0.7}

    def test_of_who_is_away_fades_by_half_in_a_half_life_and_is_forgotten(self, gate_db: Any) -> None:
        here, away, gone = (gate_db.new_id() for _ in range(3))
        gate_db.pool(half_life_seconds=3600.0)
        self.write(gate_db, {away: 0.5, gone: 1.5e-6}, started=True)
        gate_db.sql("UPDATE pools SET usage_at = usage_at - interval '1 hour'")

        self.write(gate_db, {here: 0.2}, started=False)

        assert set(self.usage(gate_db)) == {here, away}
        assert self.usage(gate_db)[away] == pytest.approx(0.25, rel=0.01)

    def test_waits_for_nobody_who_changes_the_pool(self, gate_db: Any) -> None:
        owner = gate_db.new_id()
        with gate_db.db._engine.begin() as other:
            pools.update_pool(other, DEFAULT_POOL, PoolChange(max_concurrent_tests=3))
            self.write(gate_db, {owner: 0.5}, started=True)

        assert self.usage(gate_db) == {}

    def test_comes_back_with_the_owner(self, gate_db: Any) -> None:
        [run] = gate_db.submit()
        runs = [read(gate_db).runs[run]]
        owner = runs[0].team_id
        self.write(gate_db, {owner: 0.25}, started=True)

        found = gate_db.do(lambda conn: owner_limits.owners(conn, DEFAULT_POOL, runs, several=False))

        assert found[owner].usage == 0.25
