"""Each start rule by itself: what it answers before and after a cycle, and that nothing else answers for it."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from model.ids import PoolName
from scheduler.admission import plan, start_rules
from scheduler.admission.cross_pool_reservations import CrossPoolReservation, CrossPoolReservations
from scheduler.admission.cycle_state import CycleState
from scheduler.admission.explanation import Explanation
from scheduler.admission.plan import decide
from scheduler.admission.start_rules import (
    added_rule,
    exclusive_names,
    never_fits,
    order,
    owner_limits,
    pool_limit,
    reserved_limits,
)
from scheduler.admission.start_rules.view import Blocked
from scheduler.admission.state import State
from scheduler.values.order import rank
from scheduler.values.pool import Ceiling, Owner, PoolSettings
from scheduler.values.reasons import Code
from scheduler.values.usage_totals import need

FOLDER = Path(str(start_rules.__file__)).parent
MODULES = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "view", "order"}


class Freeze:
    """An added rule that refuses everybody."""

    def refusal(self, *_: object, **__: object) -> str | None:
        return "frozen until Monday"

    def next_change(self, *_: object, **__: object) -> None:
        return None


def begin(make: SimpleNamespace, state: State) -> CycleState:
    """Return a cycle that has looked at nobody yet."""
    return CycleState(state, make.NOON)


def other_pool(make: SimpleNamespace, **given: Any) -> CrossPoolReservations:
    """Return what a run that arrived earlier has reserved in pool 'far'."""
    values = {"owners": (make.team(0),), "need": need(make.amounts(100), 1), "names": ()}
    place = rank(make.queued(0, minutes=900), PoolSettings())
    one = CrossPoolReservation(run=make.run_id(900), pool=PoolName("far"), rank=place, **(values | given))
    return CrossPoolReservations([one])


def never(make: SimpleNamespace) -> State:
    return make.state([make.queued(1, cpu=9000)])


def refused(make: SimpleNamespace) -> State:
    state = make.state([make.queued(1)])
    state.rules = (Freeze(),)
    return state


def team_is_full(make: SimpleNamespace) -> State:
    owners = {make.team(0): Owner(name="red", ceiling=Ceiling(runs=1))}
    return make.state([make.queued(1)], holding=[make.running(9)], owners=owners)


def team_is_reserved(make: SimpleNamespace) -> State:
    state = make.state([make.queued(1)], owners={make.team(0): Owner(name="red", ceiling=Ceiling(runs=1))})
    state.reserved = other_pool(make)
    return state


def name_is_held(make: SimpleNamespace) -> State:
    return make.state([make.queued(1, exclusive=("db",))], holding=[make.running(9, exclusive=("db",))])


def name_is_held_elsewhere(make: SimpleNamespace) -> State:
    state = make.state([make.queued(1, exclusive=("db",))])
    state.exclusive_elsewhere = frozenset({"db"})
    return state


def name_is_reserved_elsewhere(make: SimpleNamespace) -> State:
    state = make.state([make.queued(1, exclusive=("db",))])
    state.reserved = other_pool(make, owners=(), names=("db",))
    return state


def pool_is_full(make: SimpleNamespace) -> State:
    return make.state([make.queued(1)], holding=[make.running(9)], ceiling=Ceiling(runs=1))


Case = tuple[Callable[..., Blocked | None], Callable[[SimpleNamespace], State], int, Code, str]
CASES: list[Case] = [
    (never_fits.blocked, never, 8, Code.TOO_LARGE, "needs 9000m CPU; the largest node has 4000m CPU"),
    (added_rule.blocked, refused, 12, Code.RULE, "frozen until Monday"),
    (owner_limits.blocked, team_is_full, 3, Code.TEAM_LIMIT, "team red runs 1 of 1"),
    (owner_limits.blocked, team_is_reserved, 3, Code.TEAM_LIMIT, "team red runs 0 of 1; 1 kept free for run"),
    (exclusive_names.blocked, name_is_held, 3, Code.EXCLUSIVE, "db is held by run"),
    (exclusive_names.blocked, name_is_held_elsewhere, 3, Code.EXCLUSIVE, "db is held by a run of another pool"),
    (exclusive_names.blocked, name_is_reserved_elsewhere, 3, Code.EXCLUSIVE, "db is kept for run"),
    (pool_limit.blocked, pool_is_full, 3, Code.POOL_LIMIT, "the pool runs 1 of 1"),
]


@pytest.mark.parametrize("case", CASES)
def test_a_rule_answers_with_its_number_code_and_reason(make: SimpleNamespace, case: Case) -> None:
    """Rules 1, 3, 8, 10 and 12."""
    blocked, state_of, number, code, text = case
    state = state_of(make)

    found = blocked(begin(make, state), next(iter(state.queued.values())))

    assert found is not None
    assert (found.rule, found.code) == (number, code)
    assert found.reason().text.startswith(text)


@pytest.mark.parametrize("blocked", {case[0] for case in CASES} | {reserved_limits.blocked})
def test_a_rule_says_nothing_about_a_run_that_may_start(make: SimpleNamespace, blocked: Any) -> None:
    owners = {make.team(0): Owner(name="red", ceiling=Ceiling(runs=1))}
    state = make.state([make.queued(1, exclusive=("db",))], owners=owners, ceiling=Ceiling(runs=1))

    assert blocked(begin(make, state), state.queued[make.run_id(1)]) is None


def test_a_later_run_leaves_alone_what_is_reserved_of_the_pools_limit(make: SimpleNamespace) -> None:
    """Rule 6: an aged run waits for a node, and the last place of the pool is reserved for it."""
    waiting = [make.queued(1, cpu=4000, minutes=900), make.queued(2)]
    state = make.state(waiting, holding=[make.running(9, cpu=3000)], ceiling=Ceiling(runs=2))

    outcome = decide(state, make.NOON)
    found = reserved_limits.blocked(outcome.cycle, waiting[1])

    assert outcome.admitted == {}
    assert (found.rule, found.code, found.limit) == (6, Code.RESERVED, outcome.cycle.pool)
    assert found.reason().text == "the pool runs 1 of 2; 1 kept free"
    assert Explanation(outcome).reason(waiting[1]).code is Code.RESERVED


@pytest.mark.parametrize("case", [case for case in CASES if case[1] is not never])
def test_deciding_and_explaining_ask_the_same_rule(make: SimpleNamespace, case: Case) -> None:
    """The reason that is recorded is the one of the rule that stopped the run."""
    state = case[1](make)
    run = next(iter(state.queued.values()))
    expected = case[0](begin(make, state), run)

    outcome = decide(state, make.NOON)

    assert expected is not None
    assert outcome.admitted == {}
    assert Explanation(outcome).reason(run) == expected.reason()


def test_only_rules_that_can_answer_are_asked_in_a_cycle() -> None:
    assert order.of_cycle(added=True, limited=True) == order.LIMITS
    assert order.of_cycle(added=False, limited=False) == (exclusive_names.blocked,)


def test_each_rule_is_a_function_that_is_asked_and_is_tested_here() -> None:
    asked = {never_fits.blocked, reserved_limits.blocked, *order.LIMITS}

    assert {f"{FOLDER.name}.{rule.__module__.rsplit('.', 1)[1]}" for rule in asked} == {
        f"{FOLDER.name}.{name}" for name in MODULES
    }
    assert asked - {reserved_limits.blocked} == {case[0] for case in CASES}


def test_the_code_of_a_rule_is_named_in_its_own_module_only() -> None:
    """A second place that decides about exclusive names or added rules would have to name their codes."""
    elsewhere = {path.name: path.read_text() for path in Path(str(plan.__file__)).parent.glob("*.py")}

    assert {name for name, text in elsewhere.items() if "Code.EXCLUSIVE, text" in text} == set()
    assert {name for name, text in elsewhere.items() if "exclusive_elsewhere" in text} == {"cycle_state.py", "state.py"}
