"""Anything in any order: whatever happens, the rows never break a rule. Judged from outside by plain SQL.

What a pass admits is also what the pure plan admits that sees the whole queue: that a pass reads only the first rows of
it, and goes on in rounds, changes nothing.
"""

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from harness.sweep import ALL, third
from hypothesis import HealthCheck, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from properties import scene_rows
from properties.ageing_rows import SLOT, look, place_of
from properties.claim_checks import NAMES, PATHS
from properties.referee import Referee
from properties.starvation import Ghost, Most, Place, used
from properties.starvation_across import GhostAcross
from properties.whole_rows import BROKEN, BY_NODE, BY_TEAM, HELD, POSITIONS, whole_plan
from sqlalchemy import Connection

from db import nodes, pools, runs, workers
from db.gate import queue
from db.gate.queue import Requeue
from db.pools import Pool, PoolChange
from db.runs import Become, Fenced
from db.seeds import DEFAULT_POOL
from model.execution import Cause, Phase, Status
from model.ids import EXPERIMENTS, ExecutionId, GroupId, NodeName, PoolName, WorkerId
from model.resources import Resources
from orchestrator import admission
from scheduler.values.node import DEFAULT_BACKEND, Node
from scheduler.values.pool import Strategy

SECOND = PoolName("second")
POOLS = (DEFAULT_POOL, SECOND)
LONG = timedelta(hours=1)
SERVES = (DEFAULT_BACKEND, EXPERIMENTS)
WHICH = st.integers(0, 99)
EVERYTHING = ("fair_usage", "nodes", "node_snapshots", "workers")


class Gate(RuleBasedStateMachine):
    """Two pools, two teams of two people; runs are known by their rows only."""

    gate_db: Any

    def __init__(self) -> None:
        super().__init__()
        self.teams: list[Any] = []
        self.ghosts = {pool: Ghost() for pool in POOLS}
        self.across = GhostAcross()
        self.passes = 0
        self.most: dict[str, int] = {}
        self.cpu: dict[str, int | None] = {}

    @initialize()
    def begin(self) -> None:
        gate_db = self.gate_db
        gate_db.sql("TRUNCATE runs, " + ", ".join(EVERYTHING) + " CASCADE")
        gate_db.sql("DELETE FROM users WHERE username LIKE 'm-%'")
        gate_db.sql("DELETE FROM teams WHERE team_name LIKE 'm-%'")
        self.teams = [gate_db.team(f"m-{name}", most=3) for name in ("red", "blue")]
        gate_db.sql("UPDATE teams SET weight = 2 WHERE team_id = :id", id=self.teams[0])
        self.people = [gate_db.person(f"m-{n}", most=2 + n, team=self.teams[n % 2]) for n in range(4)]
        self.most = dict.fromkeys([*POOLS, *map(str, self.teams)], 3)
        for pool in POOLS:
            gate_db.do(lambda conn, pool=pool: pools.update_pool(conn, pool, PoolChange(**DEFAULTS)))
            gate_db.worker(f"w-{pool}", pool=pool, ttl=LONG, serves=SERVES)
            gate_db.do(
                lambda conn, pool=pool: nodes.record(conn, pool, [_node(f"{pool}-0", 1000), _node(f"{pool}-1", 500)])
            )

    # -- what people do -------------------------------------------------------------------------------------------

    @rule(
        who=st.integers(0, 3),
        pool=st.sampled_from(POOLS),
        priority=st.integers(0, 9),
        cpu=st.sampled_from([100, 300, 600]),
        exclusive=st.sampled_from([(), (), *NAMES, *PATHS]),
    )
    def submit(self, who: int, pool: PoolName, **given: Any) -> None:
        restartable = given["cpu"] == 300
        self.gate_db.submit(1 + who % 2, who=self.people[who], pool=pool, restartable=restartable, **given)

    @rule(who=st.integers(0, 3), pool=st.sampled_from(POOLS), exclusive=st.sampled_from([(), *NAMES, *PATHS]))
    def submit_experiment(self, who: int, pool: PoolName, exclusive: tuple[str, ...]) -> None:
        claims = {"exclusive": exclusive, "backend": EXPERIMENTS, "cpu": 0, "priority": 5}
        self.gate_db.submit(who=self.people[who], pool=pool, **claims)

    @rule(who=st.integers(0, 3), pool=st.sampled_from(POOLS), number=st.integers(2, 3))
    def submit_together(self, who: int, pool: PoolName, number: int, **given: Any) -> None:
        values = {"cpu": 200} | given
        self.gate_db.submit(number, who=self.people[who], pool=pool, group=GroupId(self.gate_db.new_id()), **values)

    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        """At any moment: a run that waits or was just admitted is gone at once, one that runs gives its place back."""
        row = self._any(which, "true")
        if row is None:
            return

        def work(conn: Connection) -> None:
            source = Status(row.status)
            become = Become(status=Status.CANCELLED, phase=Phase.ENDED)
            runs.lock(conn, row.execution_id)
            runs.transition(conn, Fenced(run_id=row.execution_id, epoch=None), source, become)
            if source is Status.QUEUED:
                assert queue.withdraw(conn, row.execution_id)
            else:
                assert queue.release(conn, row.execution_id, row.epoch)

        self.gate_db.do(work)

    @rule(team=st.integers(0, 1), most=st.sampled_from([0, 2, 3, 9]), cpu=st.sampled_from([None, 400, 900]))
    def set_quota(self, team: int, most: int, cpu: int | None) -> None:
        quota = {"max_concurrent_tests": most, "max_daily_tests": 10} | ({} if cpu is None else {"max_cpu_milli": cpu})
        self.most[str(self.teams[team])], self.cpu[str(self.teams[team])] = most, cpu
        self._forget(*POOLS)
        self.gate_db.sql(
            "UPDATE teams SET quota = CAST(:quota AS jsonb) WHERE team_id = :id",
            id=self.teams[team],
            quota=str(quota).replace("'", '"'),
        )

    @rule(
        pool=st.sampled_from(POOLS),
        most=st.sampled_from([0, 2, 5, 9]),
        max_concurrent_experiments=st.integers(0, 2),
        strategy=st.sampled_from(list(Strategy)),
        preemption=st.booleans(),
    )
    def set_pool(self, pool: PoolName, most: int, **given: Any) -> None:
        change = PoolChange(max_concurrent_tests=most, **given)
        self.most[pool] = most
        self._forget(pool)
        self.gate_db.do(lambda conn: pools.update_pool(conn, pool, change))

    # -- what machines do -----------------------------------------------------------------------------------------

    @rule(
        pool=st.sampled_from(POOLS),
        number=st.integers(0, 1),
        cpu=st.sampled_from([300, 1000, 2000]),
        ready=st.booleans(),
    )
    def change_node(self, pool: PoolName, number: int, cpu: int, **facts: Any) -> None:
        made = _node(f"{pool}-{number}", cpu, **facts)
        self._forget(pool)
        self.gate_db.do(lambda conn: nodes.record(conn, pool, [made]))

    @rule(pool=st.sampled_from(POOLS))
    def nobody_is_alive_for_a_moment(self, pool: PoolName) -> None:
        self._forget(pool)
        self.gate_db.sql(
            "UPDATE workers SET expires_at = clock_timestamp() - interval '1 s' WHERE pool = :pool", pool=pool
        )
        outcome = self.gate_db.do(lambda conn: admission.request(conn, pool, blocking=True))
        self.gate_db.do(lambda conn: workers.register(conn, WorkerId(f"w-{pool}"), pool, LONG, SERVES))

        assert outcome.admitted == ()

    @rule(pool=st.sampled_from(POOLS), number=st.integers(0, 3))
    def work(self, pool: PoolName, number: int) -> None:
        """Begin what was admitted, and end some of what runs."""
        for claimed in self.gate_db.claim(WorkerId(f"w-{pool}"), LONG):
            self.gate_db.begin(claimed.execution_id, claimed.epoch)
        become = Become(status=Status.COMPLETED, phase=Phase.ENDED)
        for row in self._rows("e.status = 'running' AND q.pool = :pool", pool=pool)[:number]:
            mine = Fenced(run_id=row.execution_id, epoch=row.epoch)
            assert self.gate_db.do(lambda conn, mine=mine: runs.transition(conn, mine, Status.RUNNING, become))
            assert self.gate_db.do(lambda conn, row=row: queue.release_many(conn, [(row.execution_id, row.epoch)]))
        self.run_pass(pool)

    @rule(which=WHICH, where=st.sampled_from(["true", "q.preempted_for IS NOT NULL"]))
    def go_back(self, which: int, where: str) -> None:
        row = self._any(which, f"e.status = 'running' AND {where}")
        if row is not None:
            become = Become(status=Status.QUEUED, phase=Phase.WAITING, cause=Cause.PREEMPTED)
            mine = Fenced(run_id=row.execution_id, epoch=row.epoch)
            back = Requeue(cause=Cause.PREEMPTED)
            self.gate_db.do(lambda conn: runs.transition(conn, mine, Status.RUNNING, become))
            assert self.gate_db.do(lambda conn: queue.requeue(conn, row.execution_id, row.epoch, back))

    @rule(seconds=st.sampled_from([2, 90, 4000]))
    def time_passes(self, seconds: int) -> None:
        """No clock is turned: everything that happened is moved into the past."""
        self.gate_db.sql(
            "UPDATE queue SET enqueued_at = enqueued_at - make_interval(secs => :s),"
            " admitted_at = admitted_at - make_interval(secs => :s), began_at = began_at - make_interval(secs => :s)",
            s=seconds,
        )
        self.gate_db.sql("UPDATE pools SET annotated_at = NULL")

    @rule(seed=st.integers(0, 2**32))
    def a_busy_minute(self, seed: int) -> None:
        """Many of the steps above, so that an example meets a queue that is worth the name."""
        dice = Random(seed)
        for _ in range(25):
            self._anything(dice.choice(POOLS), dice)
            self.nothing_is_broken()

    def _anything(self, pool: PoolName, dice: Random) -> None:
        which, who = dice.randrange(100), dice.randrange(4)
        settings = {"strategy": dice.choice(list(Strategy)), "preemption": dice.choice([True, False])}
        steps: list[Callable[[], None]] = [
            lambda: self.submit(who, pool, **_run(dice)),
            lambda: self.submit(who, pool, **_run(dice)),
            lambda: self.submit_together(who, pool, dice.choice([2, 3])),
            lambda: self.submit_experiment(who, pool, dice.choice([(), *NAMES, *PATHS])),
            lambda: self.cancel(which),
            lambda: self.set_quota(who % 2, dice.randrange(6), dice.choice([None, 400, 900])),
            lambda: self.set_pool(pool, dice.randrange(6), **settings),
            lambda: self.change_node(pool, who % 2, dice.choice([300, 1000]), ready=which > 20),
            lambda: self.go_back(which, "true"),
            lambda: self.time_passes(dice.choice([2, 90, 4000])),
            lambda: self.work(pool, who),
            lambda: self.work(pool, who),
            lambda: self.run_pass(pool),
        ]
        dice.choice(steps)()

    @rule(seed=st.integers(0, 2**32), pool=st.sampled_from(POOLS), strategy=st.sampled_from(list(Strategy)))
    def grow_old(self, seed: int, pool: PoolName, strategy: Strategy) -> None:
        """A large run, or group, waits among small ones that come without end, until it is aged and after that."""
        dice = Random(seed)
        for team in (0, 1):
            self.set_quota(team, 9, None)
        self.set_pool(pool, 9, strategy=strategy, preemption=False)
        self.change_node(pool, 0, 1000, ready=True)
        for step in range(18):
            if step % 6 == 0:
                self.work(pool, 9)
                self.time_passes(4000)
                if dice.random() < 0.5:
                    self.submit(3, pool, priority=9, cpu=dice.choice([300, 900]))
                else:
                    self.submit_together(3, pool, dice.choice([2, 3]), priority=9, cpu=dice.choice([300, 450]))
                self.time_passes(dice.choice([90, 4000]))
            small = {"priority": dice.randrange(9), "limit": dice.choice([LONG, LONG / 12])}
            self.submit(dice.randrange(4), pool, cpu=dice.choice([100, 300]), **small)
            self.time_passes(dice.choice([2, 600]))
            self.work(pool, dice.choice([0, 0, 1]))
            self.nothing_is_broken()

    @rule(seed=st.integers(0, 2**32), pool=st.sampled_from(POOLS), most=st.sampled_from([1, 2, 3]))
    def grow_old_among_other_pools(self, seed: int, pool: PoolName, most: int) -> None:
        """Runs wait for their team's limit, or a name, that runs of another pool have, which come without end."""
        dice = Random(seed)
        self.set_quota(0, most, dice.choice([None, 900]))
        for place in POOLS:
            self.set_pool(place, 9, strategy=dice.choice(list(Strategy)), preemption=False)
            self.change_node(place, 0, 1000, ready=True)
        for step in range(24):
            other = POOLS[pool == POOLS[0]]
            if step % 8 == 0:
                self.submit(0, dice.choice(POOLS), **(_run(dice) | {"priority": 9}))
                self.submit(2, pool, **(_run(dice) | {"priority": 9}))
                self.time_passes(4000)
            self.submit(dice.choice([0, 2]), other, **_run(dice))
            self.work(dice.choice([other, other, pool]), dice.choice([0, 1, 1]))
            self.nothing_is_broken()

    # -- the gate -------------------------------------------------------------------------------------------------

    @rule(pool=st.sampled_from(POOLS))
    def run_pass(self, pool: PoolName) -> None:
        before, told = self._use(), self._tell_all(pool)
        seen = scene_rows.scene(self.gate_db, pool, self._limits(self._elsewhere(pool)))
        expected = self.gate_db.do(lambda conn: whole_plan(conn, pool))
        outcome = self.gate_db.do(lambda conn: admission.request(conn, pool, blocking=True))

        if expected is not None:
            self._as_thewhole_plan(pool, {run.execution_id for run in outcome.admitted}, expected)
            if told:
                Referee(seen, scene_rows.ruling(self.gate_db, pool, seen, outcome.admitted)).judge()
        self._no_limit_is_broken(before)
        started = {run.execution_id for run in outcome.admitted}
        self.ghosts[pool].after(look(self.gate_db, pool, started, self._limits))
        self.across.after(self.gate_db, pool, self._limits([]))
        positions = sorted(row.position for row in self.gate_db.sql(POSITIONS, pool=pool))
        assert len(positions) == len(set(positions))

    def _as_thewhole_plan(self, pool: PoolName, admitted: set[ExecutionId], expected: set[ExecutionId]) -> None:
        """The same start; but a pass in rounds lets an aged run keep what one that started in a round before left it.

        Then the plan that reads every row starts nobody either.
        """
        assert admitted <= expected
        if admitted < expected:
            assert not self.gate_db.do(lambda conn: whole_plan(conn, pool))

    @invariant()
    def nothing_is_broken(self) -> None:
        assert self.gate_db.sql(BROKEN) == []

    def _no_limit_is_broken(self, before: dict[tuple[str, str], int]) -> None:
        """What is over a limit was there before it was lowered: nobody starts above one."""
        capacity = {("cpu", row.name): row.cpu_milli for row in self.gate_db.sql("SELECT name, cpu_milli FROM nodes")}
        runs = {("runs", name): most for name, most in self.most.items()}
        sums = {("cpu", name): most for name, most in self.cpu.items() if most is not None}
        limits = capacity | runs | sums
        for key, now in self._use().items():
            assert now <= max(limits.get(key, now), before.get(key, 0)), (key, now, limits.get(key))

    def _use(self) -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {}
        for query in (HELD, BY_TEAM, BY_NODE):
            for name, number, cpu in self.gate_db.sql(query):
                found["runs", str(name)], found["cpu", str(name)] = number, int(cpu)
        return found

    def _tell_all(self, pool: PoolName) -> bool:
        """Let every second pass write all reasons, as one does each second; return whether it is such a one."""
        self.passes += 1
        if self.passes % 2 == 0:
            self.gate_db.sql("UPDATE pools SET annotated_at = NULL WHERE name = :pool", pool=pool)
        return self.passes % 2 == 0

    def _elsewhere(self, pool: PoolName) -> list[Place]:
        query = f"SELECT q.*, 0 AS key, {SLOT} AS slot FROM queue q WHERE state = 'admitted' AND pool <> :pool"
        rows = self.gate_db.sql(query, pool=pool)
        return [place_of(row) for row in rows]

    def _forget(self, *changed: PoolName) -> None:
        self.across.forget()
        for pool in changed:
            self.ghosts[pool].forget()

    def _limits(self, elsewhere: list[Place]) -> dict[Any, Most]:
        """Return what a pool may use of each limit, less what others use."""
        most: dict[Any, tuple[int, int | None]] = {name: (self.most[name], None) for name in POOLS}
        most |= {person.user_id: (2 + n, None) for n, person in enumerate(self.people)}
        most |= {team: (self.most[str(team)], self.cpu.get(str(team))) for team in self.teams}
        there = {owner: used(place for place in elsewhere if owner in place.owners) for owner in most}
        less = {owner: (runs - there[owner][0], cpu) for owner, (runs, cpu) in most.items()}
        return {o: (runs, None if cpu is None else cpu - there[o][1]) for o, (runs, cpu) in less.items()}

    def _any(self, which: int, where: str) -> Any:
        rows = self._rows(where)
        return rows[which % len(rows)] if rows else None

    def _rows(self, where: str, **values: Any) -> list[Any]:
        """Return rows in an order that is the same in each replay of an example."""
        found: list[Any] = self.gate_db.sql(
            "SELECT q.execution_id, q.epoch, e.status FROM queue q JOIN test_executions e USING (execution_id)"
            f" WHERE {where} ORDER BY q.seq",
            **values,
        )
        return found


DEFAULTS: dict[str, Any] = {
    "max_concurrent_tests": 3,
    "max_concurrent_experiments": 1,
    "strategy": Strategy.PRIORITY,
    "preemption": False,
    "ageing_limit_seconds": 360.0,
    "min_runtime_seconds": 60.0,
}


def _run(dice: Random) -> dict[str, Any]:
    exclusive = dice.choice([(), (), *NAMES, *PATHS])
    return {"priority": dice.randrange(10), "cpu": dice.choice([100, 300, 600]), "exclusive": exclusive}


def _node(name: str, cpu: int, **facts: Any) -> Node:
    return Node(name=NodeName(name), capacity=Resources(cpu_milli=cpu, memory_bytes=2**40), **facts)


@pytest.mark.usefixtures("few_rows")
def test_whatever_happens_no_rule_is_broken(bare: Any) -> None:
    bare.do(lambda conn: pools.create(conn, Pool(name=SECOND)))
    machine = type("Machine", (Gate,), {"gate_db": bare})
    bounded = settings(
        max_examples=12 if ALL else 6,
        stateful_step_count=12,
        phases=[Stage.generate],  # an example that fails is short enough to read; shrinking it takes minutes
        suppress_health_check=list(HealthCheck),
    )

    run_state_machine_as_test(machine, settings=bounded)


@pytest.mark.parametrize("strategy", third(list(Strategy)))
@pytest.mark.usefixtures("few_rows")
def test_nobody_who_came_later_delays_an_aged_run(bare: Any, strategy: Strategy) -> None:
    bare.do(lambda conn: pools.create(conn, Pool(name=SECOND)))
    machine = type("Machine", (Gate,), {"gate_db": bare})()
    machine.begin()
    for seed in range(6):
        machine.grow_old(seed, DEFAULT_POOL, strategy)

    assert machine.ghosts[DEFAULT_POOL].passed > 0
    assert machine.ghosts[DEFAULT_POOL].groups > 0


@pytest.mark.usefixtures("few_rows")
def test_nobody_who_came_later_delays_an_aged_run_of_another_pool(bare: Any) -> None:
    bare.do(lambda conn: pools.create(conn, Pool(name=SECOND)))
    machine = type("Machine", (Gate,), {"gate_db": bare})()
    machine.begin()
    for seed in range(8):
        machine.grow_old_among_other_pools(seed, POOLS[seed % 2], 1 + seed % 3)

    assert machine.across.passed > 0
