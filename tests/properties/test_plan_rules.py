"""What holds for every plan, whatever the state; and for every run, however the days go on."""

from collections import Counter
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from harness.gate_rules import Freeze
from hypothesis import given, settings
from hypothesis import strategies as st
from properties.referee import Referee
from properties.scenes import ruling, scene

from scheduler.admission.plan import Admit, Arrived, Left, Wait, apply, apply_all, plan
from scheduler.admission.rules import RULES
from scheduler.admission.state import State
from scheduler.values.order import aged, due, rank
from scheduler.values.pool import Ceiling, Owner, Strategy
from scheduler.values.reasons import Code
from scheduler.values.run import Constraints

ANY_RUN = st.fixed_dictionaries(
    {
        "priority": st.integers(0, 9),
        "cpu": st.sampled_from([100, 500, 1000, 3000, 9000]),
        "gpu": st.sampled_from([0, 0, 0, 1]),
        "owner": st.integers(0, 3),
        "minutes": st.integers(0, 120),
        "backoff": st.sampled_from([None, None, None, -5, 5]),
        "picky": st.booleans(),
    }
)
ANY_NODE = st.fixed_dictionaries(
    {
        "cpu": st.sampled_from([500, 1000, 4000]),
        "gpu": st.integers(0, 1),
        "pods": st.integers(0, 5),
        "ready": st.sampled_from([True, True, False]),
        "fast": st.booleans(),
    }
)
ANY_POOL = st.fixed_dictionaries(
    {
        "max_concurrent": st.integers(0, 12),
        "strategy": st.sampled_from(Strategy),
        "team": st.one_of(st.none(), st.integers(0, 5)),
        "user": st.one_of(st.none(), st.integers(0, 4)),
        "elsewhere": st.integers(0, 2),
        "workers": st.sampled_from([0, 1, 1, 1, 1]),
        "frozen": st.sampled_from([None, None, 2, 6]),
    }
)


def build(make: SimpleNamespace, runs: list[Any], facts: list[Any], pool: dict[str, Any]) -> State:
    """A state of runs that wait; older runs arrived earlier. Users 0 and 1 are in team 0, the others in team 1."""
    owners = {
        make.user(n): Owner(name=f"u{n}", ceiling=Ceiling(runs=pool["user"]), elsewhere_runs=pool["elsewhere"])
        for n in range(4)
    }
    owners |= {
        make.team(n): Owner(name=f"t{n}", ceiling=Ceiling(runs=pool["team"]), elsewhere_runs=pool["elsewhere"])
        for n in range(2)
    }
    fleet = [
        make.node(n, cpu=f["cpu"], gpu=f["gpu"], pods=f["pods"], ready=f["ready"], labels={"fast": str(f["fast"])})
        for n, f in enumerate(facts)
    ]
    limits = {"ceiling": Ceiling(runs=pool["max_concurrent"]), "strategy": pool["strategy"]}
    ordered = sorted(runs, key=lambda run: -run["minutes"])
    waiting = [queued(make, number, run) for number, run in enumerate(ordered)]
    made: State = make.state(waiting, nodes=fleet, owners=owners, workers=pool["workers"], **limits)
    if pool["frozen"] is not None:
        made.rules = (*RULES, Freeze(begins=make.NOON, ends=make.NOON + timedelta(hours=1), least=pool["frozen"]))
    return made


def queued(make: SimpleNamespace, number: int, run: dict[str, Any]) -> Any:
    constraints = Constraints(node_selector=(("fast", "True"),)) if run["picky"] else Constraints()
    not_before = None if run["backoff"] is None else make.NOON + timedelta(minutes=run["backoff"])
    return make.queued(
        number,
        priority=run["priority"],
        cpu=run["cpu"],
        gpu=run["gpu"],
        user_id=make.user(run["owner"]),
        team_id=make.team(run["owner"] // 2),
        enqueued_at=make.NOON - timedelta(minutes=run["minutes"]),
        not_before=not_before,
        constraints=constraints,
    )


@settings(max_examples=60)
@given(st.lists(ANY_RUN, max_size=25), st.lists(ANY_NODE, max_size=4), ANY_POOL)
def test_every_run_gets_exactly_one_decision_in_order(make: SimpleNamespace, runs: Any, nodes: Any, pool: Any) -> None:
    state = build(make, runs, nodes, pool)

    decisions = plan(state, make.NOON)

    ranks = [rank(d.run, state.limits) for d in decisions]
    assert ranks == sorted(ranks) or state.limits.strategy is Strategy.FAIR_SHARE
    assert Counter(d.run.execution_id for d in decisions) == Counter(list(state.queued))
    assert [d.position for d in decisions if isinstance(d, Wait) and d.position] == list(
        range(1, 1 + sum(isinstance(d, Wait) and due(d.run, make.NOON) for d in decisions))
    )
    assert all(str(d.reason) for d in decisions if isinstance(d, Wait))


@settings(max_examples=60)
@given(st.lists(ANY_RUN, max_size=25), st.lists(ANY_NODE, max_size=4), ANY_POOL)
def test_no_limit_is_passed_and_no_node_overbooked(make: SimpleNamespace, runs: Any, nodes: Any, pool: Any) -> None:
    state = build(make, runs, nodes, pool)

    admits = [d for d in plan(state, make.NOON) if isinstance(d, Admit)]

    check_limits(state, admits, pool)
    assert all(d.run.not_before is None or d.run.not_before <= make.NOON for d in admits)
    assert not admits or pool["workers"]
    apply_all(state, admits)
    assert (state.node_usage.free >= 0).all()


def check_limits(state: State, admits: list[Admit], pool: dict[str, Any]) -> None:
    assert len(admits) <= pool["max_concurrent"]
    for field, limit in (("user_id", pool["user"]), ("team_id", pool["team"])):
        counts = Counter(getattr(d.run, field) for d in admits)
        assert limit is None or all(n + pool["elsewhere"] <= limit for n in counts.values())
    by_name = {node.name: node for node in state.node_usage.nodes}
    assert all(by_name[d.node].ready for d in admits)
    assert all(by_name[d.node].labels["fast"] == "True" for d in admits if d.run.shape.constraints.node_selector)


@settings(max_examples=60)
@given(st.lists(ANY_RUN, max_size=25), st.lists(ANY_NODE, max_size=4), ANY_POOL)
def test_the_order_is_kept_no_place_is_left_and_each_reason_is_true(
    make: SimpleNamespace, runs: Any, nodes: Any, pool: Any
) -> None:
    """Judged by what is counted anew from outside (`properties.referee`)."""
    state = build(make, runs, nodes, pool)
    before = scene(state, make.NOON)

    decisions = plan(state, make.NOON)

    if pool["workers"]:
        Referee(before, ruling(state, decisions)).judge()
    else:
        assert not [d for d in decisions if isinstance(d, Admit)]


@settings(max_examples=60)
@given(st.lists(ANY_RUN, max_size=25), st.lists(ANY_NODE, max_size=4), ANY_POOL)
def test_nobody_is_passed_by_a_later_run_of_its_line(make: SimpleNamespace, runs: Any, nodes: Any, pool: Any) -> None:
    state = build(make, runs, nodes, pool)

    passed: list[Wait] = []
    for decision in plan(state, make.NOON):
        if isinstance(decision, Wait):
            passed.append(decision)
            continue
        line = state.class_of[decision.run.execution_id]
        behind = [wait for wait in passed if state.class_of.get(wait.run.execution_id) is line]
        assert all(wait.reason.code is Code.BACKOFF for wait in behind)


@settings(max_examples=60)
@given(st.lists(ANY_RUN, max_size=25), st.lists(ANY_NODE, max_size=4), ANY_POOL)
def test_a_second_pass_at_once_has_nobody_left_to_start(
    make: SimpleNamespace, runs: Any, nodes: Any, pool: Any
) -> None:
    state = build(make, runs, nodes, pool)
    decisions = plan(state, make.NOON)

    again = plan(apply_all(state, decisions), make.NOON)

    assert not [d for d in again if isinstance(d, Admit)]


@settings(max_examples=60)
@given(st.lists(ANY_RUN, min_size=1, max_size=25), st.lists(ANY_NODE, max_size=4), ANY_POOL)
def test_no_later_run_takes_what_the_oldest_aged_one_needs(
    make: SimpleNamespace, runs: Any, nodes: Any, pool: Any
) -> None:
    """Were all later runs away, the oldest aged run could not start on its node any sooner."""
    state = build(make, runs, nodes, pool)
    decisions = plan(state, make.NOON)
    kept = [d for d in decisions if isinstance(d, Wait) and d.nominated and aged(d.run, state.limits, make.NOON)]
    if not kept:
        return

    oldest = kept[0]
    later = [d for d in decisions if isinstance(d, Admit) and d.run.seq > oldest.run.seq]

    free = state.node_usage.copy()
    for decision in (d for d in decisions if isinstance(d, Admit) and d.run.seq < oldest.run.seq):
        free.take(decision.node, decision.run.shape.resources)
    free.take(oldest.nominated, oldest.run.shape.resources)
    for decision in (d for d in later if d.node == oldest.nominated):
        free.take(decision.node, decision.run.shape.resources)
        column = free.place[decision.node]
        needs = [decision.run.shape.resources.cpu_milli, 0, 0, decision.run.shape.resources.gpu, 1]
        assert all(left >= 0 or not need for left, need in zip(free.free[:, column], needs, strict=True))


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 6), st.integers(1, 4), st.randoms(use_true_random=False))
def test_no_run_waits_for_ever(make: SimpleNamespace, minutes: int, big: int, random: Any) -> None:
    """Small urgent runs come without end; large ones start within ten ageing limits + one duration each."""
    nodes = [make.node(n, cpu=1000) for n in range(2)]
    state = make.state([], nodes=nodes, ageing_limit=timedelta(minutes=3), ceiling=Ceiling(runs=20))
    waiting = {make.run_id(n) for n in range(big)}
    for n in range(big):
        state = apply(state, Arrived(run=make.queued(n, cpu=1000, priority=9, enqueued_at=make.NOON)))
    ends: dict[Any, int] = {}
    for minute in range(30 + minutes * (big + 1) + 1):
        now = make.NOON + timedelta(minutes=minute)
        for run in [run for run, end in ends.items() if end <= minute]:
            state = apply(state, Left(run=run))
            del ends[run]
        for n in range(random.randrange(4)):
            small = make.queued(1000 + 10 * minute + n, cpu=300, priority=0, enqueued_at=now)
            state = apply(state, Arrived(run=small))
        for decision in plan(state, now):
            state = apply(state, decision)
            if isinstance(decision, Admit):
                ends[decision.run.execution_id] = minute + random.randrange(1, minutes + 1)
                waiting.discard(decision.run.execution_id)

    assert not waiting
