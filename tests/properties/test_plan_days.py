"""A pool through its days, whatever happens: no limit is passed, nobody is forgotten, nothing is decided by chance.

Every pass is made twice: by the state that has been through everything, and by one built anew from its values. What a
state remembers to be quicker must not change a decision, nor a reason.
"""

from dataclasses import replace
from datetime import timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from harness.gate_rules import Freeze
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from properties.ageing import look
from properties.pass_checks import check
from properties.preempting import check_preemption
from properties.referee import Referee
from properties.scenes import ruling, scene
from properties.starvation import Ghost

from model.ids import EXPERIMENTS, GroupId
from model.resources import Resources
from scheduler.admission.decisions import Arrived, Configured, Decision, Left, Owned, Seen
from scheduler.admission.invariants import broken
from scheduler.admission.plan import apply, apply_all, plan
from scheduler.admission.rules import RULES
from scheduler.admission.state import State
from scheduler.simulation.event_simulation import again
from scheduler.values.node import virtual_node
from scheduler.values.pool import Ceiling, Owner, PoolSettings, Strategy
from scheduler.values.run import Apart, Constraints, Queued, Spread

ZONE, APP = "zone", (("app", "a"),)
CONSTRAINTS = (
    Constraints(),
    Constraints(),
    Constraints(),
    Constraints(node_selector=((ZONE, "z1"),)),
    Constraints(apart=(Apart(topology=ZONE, labels=APP),)),
    Constraints(spread=(Spread(topology=ZONE, labels=APP),)),
)
RUN = st.fixed_dictionaries(
    {
        "cpu": st.sampled_from([100, 500, 1000, 2000, 5000]),
        "priority": st.integers(0, 3),
        "owner": st.integers(0, 3),
        "constraints": st.sampled_from(CONSTRAINTS),
        "labels": st.sampled_from([(), (), APP]),
        "exclusive": st.sampled_from([("db",), ("db", "lab"), ("lab",)]),
        "limit": st.sampled_from([5, 20, 60]),
        "expected": st.sampled_from([None, 1, 10]),
        "restartable": st.booleans(),
    }
)
NAMES = (("db",), ("db", "lab"), ("lab",), ("net",), ("db", "net"), ("lab", "net"), ("db", "lab", "net"), ("db",))
"""Eight, so that `any_run` draws what it drew when a state that remembers decided otherwise than one that is built anew
(`test_nobody_who_came_later_delays_an_aged_group`, FAIR_SHARE)."""
CEILING = st.builds(
    Ceiling, runs=st.sampled_from([None, None, None, 0, 1, 3]), cpu_milli=st.sampled_from([None, None, 2000, 4000])
)
LIMITS = st.builds(
    PoolSettings,
    ceiling=st.builds(Ceiling, runs=st.sampled_from([None, None, 3, 8]), cpu_milli=st.sampled_from([None, None, 4500])),
    strategy=st.sampled_from(Strategy),
    backfill_after=st.sampled_from([timedelta(), timedelta(minutes=2)]),
    ageing_limit=st.sampled_from([timedelta(minutes=30), timedelta(minutes=5)]),
    preemption=st.booleans(),
    min_runtime=st.sampled_from([timedelta(), timedelta(minutes=3)]),
)
PLAIN: dict[str, Any] = {"constraints": Constraints(), "labels": ()}
EXTRAS = ("groups", "names", "constraints", "quotas", "rules", "experiments")
EXPERIMENT = Constraints(backend=EXPERIMENTS)
SEEDS = 3


class Pool(RuleBasedStateMachine):
    """A pool, a clock, and whoever does something to it."""

    make: SimpleNamespace
    sizes: tuple[int, ...] = (2000, 1000, 4000, 1500)

    @initialize(
        limits=LIMITS,
        ceilings=st.tuples(CEILING, CEILING),
        nodes=st.integers(1, 4),
        extras=st.sets(st.sampled_from(EXTRAS)),
    )
    def open(self, limits: PoolSettings, ceilings: tuple[Ceiling, ...], nodes: int, extras: set[str]) -> None:
        """Each pool has some of the things that runs can ask for, so that none of them drowns the others."""
        make, self.extras = self.make, extras
        self.now, self.count, self.ghost = make.NOON, 0, Ghost()
        self.told = 0
        """Passes of which it could be told who had to be stopped."""
        owners = {make.team(1): Owner(name="t1", weight=2.0), make.user(3): Owner(name="u3", usage=0.5)}
        if "quotas" in extras:
            owners[make.team(0)] = Owner(name="t0", ceiling=ceilings[0])
            owners[make.user(0)] = Owner(name="u0", ceiling=ceilings[1])
        held = frozenset({"lab"}) if nodes == 1 else frozenset[str]()
        begins = self.now + timedelta(minutes=20)
        added = (*RULES, Freeze(begins=begins, ends=begins + timedelta(minutes=40))) if "rules" in extras else RULES
        self.state = State(
            limits=limits,
            nodes=self.nodes(nodes),
            owners=owners,
            exclusive_elsewhere=held,
            usage_at=self.now,
            rules=added,
        )

    def nodes(self, number: int, ready: int = 9) -> tuple[Any, ...]:
        real = [
            self.make.node(n, cpu=self.sizes[n], labels={ZONE: f"z{n % 2}"}, ready=n != ready) for n in range(number)
        ]
        return (*real, virtual_node(EXPERIMENTS, number - 1)) if "experiments" in self.extras else tuple(real)

    def run_of(self, given: dict[str, Any], **more: Any) -> Queued:
        self.count += 1
        owner = given["owner"]
        values = {
            "user_id": self.make.user(owner),
            "team_id": None if owner == 3 else self.make.team(owner // 2),
            "enqueued_at": self.now,
            "limit": timedelta(minutes=given["limit"]),
            "expected": None if given["expected"] is None else timedelta(minutes=given["expected"]),
        }
        names = [key for key in ("constraints", "labels") if "constraints" in self.extras]
        names += ["exclusive"] if "names" in self.extras and self.count % 3 == 0 else []
        kept = {key: given[key] for key in ("cpu", "priority", "restartable", *names)}
        if "experiments" in self.extras and self.count % 4 == 0:
            kept |= {"cpu": 0, "restartable": False, "constraints": EXPERIMENT}
        made: Queued = self.make.queued(self.count, **kept, **values, **more)
        return made

    @rule(given=RUN)
    def submit(self, given: dict[str, Any]) -> None:
        apply(self.state, Arrived(run=self.run_of(given)))

    @rule(members=st.lists(RUN, min_size=2, max_size=3))
    def submit_group(self, members: list[dict[str, Any]]) -> None:
        if "groups" not in self.extras or len({run.group for run in self.state.queued.values()}) > 2:
            return
        group = GroupId(self.make.run_id(10_000 + self.count))
        for given in members:
            apply(self.state, Arrived(run=self.run_of(given, group=group)))

    @rule(given=RUN, number=st.integers(2, 6))
    def submit_many(self, given: dict[str, Any], number: int) -> None:
        for _ in range(number):
            apply(self.state, Arrived(run=self.run_of(given)))

    @rule(minutes=st.integers(-1, 40))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(carry_out=st.sampled_from(["all", "all", "all", "some", "none"]))
    def decide(self, carry_out: str) -> None:
        before = scene(self.state, self.now)
        anew = plan(rebuilt(self.state), self.now)
        decisions = plan(self.state, self.now)
        assert decisions == anew
        assert decisions == plan(self.state, self.now)
        check(self.state, decisions, self.now)
        self.told += check_preemption(self.state, decisions, self.now)
        Referee(before, ruling(self.state, decisions)).judge()
        if carry_out == "all":
            self.carry_out(decisions)
        elif carry_out == "some":
            self.ghost.forget()
            apply_all(self.state, decisions[::2])

    def carry_out(self, decisions: list[Decision]) -> None:
        """Nobody waits for longer than the starvation bound allows."""
        waiting = dict(self.state.queued)
        apply_all(self.state, decisions)
        self.ghost.after(look(self.state, waiting, decisions, self.now))

    @rule(pick=st.integers(0, 50), number=st.integers(1, 3))
    def end(self, pick: int, number: int) -> None:
        for _ in range(min(number, len(self.state.running))):
            apply(self.state, Left(run=list(self.state.running)[pick % len(self.state.running)]))

    @rule(random=st.randoms(use_true_random=False))
    def go_on(self, random: Random) -> None:
        """What happens most: runs come and go, time passes, and each pass is carried out."""
        for _ in range(12):
            for _ in range(random.choice([0, 0, 1, 2, 4])):
                apply(self.state, Arrived(run=self.run_of(any_run(random))))
            for _ in range(min(random.choice([0, 0, 1, 2]), len(self.state.running))):
                apply(self.state, Left(run=random.choice(list(self.state.running))))
            self.now += timedelta(seconds=random.choice([0, 10, 120, 400]))
            self.decide("all")

    @rule(random=st.randoms(use_true_random=False))
    def grow_old(self, random: Random) -> None:
        """Large runs wait among small ones that come without end and are more urgent; some large ones become aged."""
        for step in range(30):
            large = {"cpu": random.choice([1000, 2000]), "priority": 3, "constraints": Constraints(), "labels": ()}
            small = {"cpu": random.choice([100, 300, 500]), "priority": random.randrange(3)}
            if step % 10 == 0:
                self._submit_large(large, random)
            for _ in range(random.randrange(4)):
                apply(self.state, Arrived(run=self.run_of(any_run(random) | small)))
            for _ in range(min(random.choice([0, 0, 0, 1, 2]), len(self.state.running))):
                apply(self.state, Left(run=random.choice(list(self.state.running))))
            self.now += timedelta(seconds=random.choice([10, 60, 400]))
            self.decide("all")

    def _submit_large(self, large: dict[str, Any], random: Random) -> None:
        """One, or two or three that start together."""
        number = random.choice([1, 2, 3]) if "groups" in self.extras else 1
        group = GroupId(self.make.run_id(10_000 + self.count)) if number > 1 else None
        for _ in range(number):
            apply(self.state, Arrived(run=self.run_of(any_run(random) | large, group=group)))

    @rule(random=st.randoms(use_true_random=False))
    def hurry(self, random: Random) -> None:
        """Runs that may be stopped fill the pool, and more important ones come."""
        for step in range(12):
            plain = {"cpu": random.choice([100, 500, 1000]), "priority": 3, "restartable": True}
            urgent = {"cpu": random.choice([500, 1000, 2000]), "priority": random.randrange(2)}
            for change in [plain] * random.randrange(6) + [urgent] * (step % 3 == 2):
                apply(self.state, Arrived(run=self.run_of(any_run(random) | change)))
            for run in [run for run in self.state.running.values() if run.preempted_for is not None]:
                apply(self.state, random.choice([Left(run=run.execution_id), Arrived(run=again(run))]))
            self.end(random.randrange(50), random.choice([0, 0, 1, 3]))
            self.now += timedelta(seconds=random.choice([0, 60, 200]))
            self.decide("all")

    @rule(pick=st.integers(0, 50))
    def cancel(self, pick: int) -> None:
        if self.state.queued:
            apply(self.state, Left(run=list(self.state.queued)[pick % len(self.state.queued)]))

    @rule(pick=st.integers(0, 50), minutes=st.integers(0, 20))
    def go_back(self, pick: int, minutes: int) -> None:
        if not self.state.running:
            return
        running = list(self.state.running.values())[pick % len(self.state.running)]
        again = self.make.queued(
            running.execution_id.int - 1,
            cpu=running.resources.cpu_milli,
            user_id=running.queued.user_id,
            team_id=running.queued.team_id,
            enqueued_at=self.now - timedelta(minutes=minutes),
            not_before=self.now + timedelta(minutes=minutes),
            exclusive=running.queued.exclusive,
            **({"constraints": EXPERIMENT} if running.queued.shape.constraints == EXPERIMENT else {}),
        )
        apply(self.state, Arrived(run=again))

    @rule(pick=st.integers(0, 50))
    def guard(self, pick: int) -> None:
        if self.state.running:
            running = list(self.state.running.values())[pick % len(self.state.running)]
            self.state.end(running.execution_id)
            self.state.start(replace(running, guarded=not running.guarded))

    @rule(limits=LIMITS)
    def configure(self, limits: PoolSettings) -> None:
        self.ghost.forget()
        apply(self.state, Configured(limits=limits))

    @rule(ceiling=CEILING, weight=st.sampled_from([0.5, 1.0, 3.0]))
    def change_quota(self, ceiling: Ceiling, weight: float) -> None:
        if "quotas" not in self.extras:
            return
        owner = Owner(name="t0", ceiling=ceiling, weight=weight, elsewhere_runs=1, elsewhere=Resources(cpu_milli=500))
        self.ghost.forget()
        apply(self.state, Owned(owners={**self.state.owners, self.make.team(0): owner}))

    @rule(number=st.integers(1, 4), ready=st.integers(0, 9))
    def see(self, number: int, ready: int) -> None:
        self.ghost.forget()
        apply(self.state, Seen(nodes=self.nodes(number, ready)))

    @invariant()
    def sums_are_what_one_would_count_anew(self) -> None:
        if not hasattr(self, "state"):
            return
        assert broken(self.state) == []


def any_run(random: Random) -> dict[str, Any]:
    return {
        "cpu": random.choice([100, 500, 500, 1000, 2000]),
        "priority": random.randrange(4),
        "owner": random.randrange(4),
        "constraints": random.choice(CONSTRAINTS),
        "labels": random.choice([(), (), APP]),
        "exclusive": random.choice(NAMES),
        "limit": random.choice([5, 20, 60]),
        "expected": random.choice([None, 1, 10]),
        "restartable": random.random() < 0.5,
    }


def rebuilt(state: State) -> State:
    """A state of the same values that remembers nothing."""
    fresh = State(
        limits=state.limits,
        nodes=state.node_usage.nodes,
        owners=state.owners,
        workers=state.workers,
        exclusive_elsewhere=state.exclusive_elsewhere,
        usage_at=state.usage_at,
        rules=state.rules,
    )
    for running in state.running.values():
        fresh.start(running)
    for queued in state.queued.values():
        fresh.enqueue(queued)
    fresh.usage, fresh.moved = dict(state.usage), set(state.moved)
    return fresh


def test_a_pool_through_its_days(make: SimpleNamespace) -> None:
    machine = type("Days", (Pool,), {"make": make})
    run_state_machine_as_test(machine, settings=settings(max_examples=12, stateful_step_count=15, deadline=None))


@pytest.mark.parametrize("strategy", Strategy)
def test_nobody_who_came_later_delays_an_aged_group(make: SimpleNamespace, strategy: Strategy) -> None:
    """Nodes are alike, so that many are as near to having room for a member as another."""
    limits = PoolSettings(strategy=strategy, ceiling=Ceiling(runs=None), ageing_limit=timedelta(minutes=5))
    ghosts = []
    for seed in range(6):
        random = Random(seed)
        machine = type("Days", (Pool,), {"make": make, "sizes": (1000,) * 4})()
        machine.open(limits, (Ceiling(), Ceiling()), 4, {"groups"})
        for step in range(60):
            if step % 20 == 0:
                machine.submit_group([any_run(random) | PLAIN | {"cpu": 1000}] * random.choice([2, 3, 4]))
            if random.random() < 0.7:
                small = any_run(random) | PLAIN | {"cpu": random.choice([500, 1000]), "priority": 0}
                apply(machine.state, Arrived(run=machine.run_of(small)))
            for run in [run for run in machine.state.running if random.random() < 0.2]:
                apply(machine.state, Left(run=run))
            machine.now += timedelta(minutes=1)
            machine.decide("all")
        ghosts.append(machine.ghost)

    assert sum(ghost.passed for ghost in ghosts) > 0
    assert sum(ghost.groups for ghost in ghosts) > 0


@pytest.mark.parametrize("strategy", Strategy)
def test_in_a_hurry_no_more_are_stopped_than_have_to_be(make: SimpleNamespace, strategy: Strategy) -> None:
    told = 0
    for seed in range(20):
        random = Random(seed)
        limits = PoolSettings(
            strategy=strategy,
            preemption=True,
            min_runtime=timedelta(minutes=random.choice([0, 3])),
            ageing_limit=timedelta(minutes=random.choice([10, 60])),
            backfill_after=timedelta(minutes=random.choice([0, 10])),
            ceiling=Ceiling(runs=random.choice([None, 8])),
        )
        pool = type("Days", (Pool,), {"make": make})()
        pool.open(limits, (Ceiling(), Ceiling()), random.randrange(1, 5), set())
        pool.hurry(random)
        told += pool.told

    assert told > 0


@pytest.mark.parametrize("strategy", Strategy)
def test_experiments_and_tests_take_no_place_of_each_other(make: SimpleNamespace, strategy: Strategy) -> None:
    """In a pool that is mostly full, with quotas and claims: each pass is judged as in all days."""
    started = 0
    for seed in range(SEEDS):
        random = Random(seed)
        limits = PoolSettings(
            strategy=strategy,
            preemption=seed % 3 == 0,
            ceiling=Ceiling(runs=random.choice([1, 2, 3])),
            ageing_limit=timedelta(minutes=random.choice([5, 30])),
            backfill_after=timedelta(minutes=random.choice([0, 2])),
        )
        quotas = (Ceiling(runs=1), Ceiling(runs=1))
        pool = type("Days", (Pool,), {"make": make})()
        pool.open(limits, quotas, random.randrange(2, 5), {"experiments", "names", "quotas"})
        pool.go_on(random)
        started += any(run.queued.shape.constraints == EXPERIMENT for run in pool.state.running.values())
        pool.grow_old(random)

    assert started > 0
