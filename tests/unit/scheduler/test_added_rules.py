"""What an added rule means to a pass: it stops only whom it refuses, and keeps nothing from the others."""

from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from harness.gate_rules import Freeze

from model.ids import GroupId
from scheduler.admission.cross_pool import kept_across
from scheduler.admission.decisions import Admit, Decision, Wait
from scheduler.admission.plan import decide, plan
from scheduler.admission.rule import ClassFacts, PoolFacts
from scheduler.admission.state import State
from scheduler.simulation.event_simulation import LONGEST_QUIET, Passed, Started, forward
from scheduler.values.pool import Ceiling, Owner, Strategy
from scheduler.values.reasons import Code

HOUR = timedelta(hours=1)


class Closed:
    """Refuses runs of priority 9 for ever, aged ones too."""

    def refusal(self, line: ClassFacts, _pool: PoolFacts) -> str | None:
        return "closed" if line.priority == 9 else None

    def next_change(self, now: datetime) -> datetime | None:  # noqa: ARG002  one shape for all rules
        return None


class Weekly(Closed):
    """The same, and it claims that this may change every week."""

    def next_change(self, now: datetime) -> datetime:
        return now + timedelta(days=7)


@pytest.fixture
def frozen(make: SimpleNamespace) -> Callable[..., State]:
    """A pool in which priorities 2 to 9 are frozen for an hour before and after noon."""

    def build(waiting: list[object], **given: object) -> State:
        made: State = make.state(waiting, **given)
        made.rules = (Freeze(begins=make.NOON - HOUR, ends=make.NOON + HOUR),)
        return made

    return build


def admitted(decisions: list[Decision]) -> list[int]:
    return [d.run.seq for d in decisions if isinstance(d, Admit)]


def reasons(decisions: list[Decision]) -> dict[int, str]:
    return {d.run.seq: f"{d.reason.code}: {d.reason}" for d in decisions if isinstance(d, Wait)}


def test_a_refused_run_is_passed_by_later_ones_and_is_told_why(
    make: SimpleNamespace, frozen: Callable[..., State]
) -> None:
    state = frozen([make.queued(1, priority=2), make.queued(2, priority=1), make.queued(3, priority=2)])

    decisions = plan(state, make.NOON)

    assert admitted(decisions) == [2]
    assert reasons(decisions) == dict.fromkeys((1, 3), "rule: runs of priority 2 to 9 are frozen until 13:00 UTC")


@pytest.mark.parametrize("strategy", Strategy)
def test_what_it_refuses_is_not_the_head_of_the_queue(
    make: SimpleNamespace, frozen: Callable[..., State], strategy: Strategy
) -> None:
    """A node is kept for nobody, so that a later run may start which takes all of it."""
    late = make.queued(2, cpu=4000, priority=1)
    state = frozen([make.queued(1, cpu=4000, minutes=50), late], strategy=strategy)

    assert admitted(plan(state, make.NOON)) == [2]


def test_an_aged_run_that_it_refuses_keeps_nothing_here_nor_in_other_pools(make: SimpleNamespace) -> None:
    """Rule 12."""
    old = make.queued(1, priority=9, minutes=601, exclusive=("db",), cpu=4000)
    owners = {make.team(0): Owner(name="red", ceiling=Ceiling(runs=1))}
    state = make.state([old, make.queued(2, exclusive=("db",), cpu=4000)], owners=owners)
    state.rules = (Closed(),)

    outcome = decide(state, make.NOON)

    assert list(outcome.admitted) == [make.run_id(2)]
    assert (outcome.kept, kept_across(outcome)) == ({}, {})


def test_it_asks_nobody_to_stop(make: SimpleNamespace, frozen: Callable[..., State]) -> None:
    there = make.running(
        9, cpu=4000, priority=9, restartable=True, started_at=make.NOON - timedelta(minutes=30), user_id=make.user(1)
    )
    given = {"holding": [there], "preemption": True}

    refused = decide(frozen([make.queued(10, cpu=4000, priority=2)], **given), make.NOON)
    allowed = decide(frozen([make.queued(10, cpu=4000, priority=1)], **given), make.NOON)

    assert refused.preempted == {}
    assert list(allowed.preempted) == [make.run_id(10)]


def test_it_keeps_a_group_together(make: SimpleNamespace, frozen: Callable[..., State]) -> None:
    group = GroupId(make.run_id(77))
    members = [make.queued(1, priority=1, group=group), make.queued(2, priority=2, group=group)]

    decisions = plan(frozen(members), make.NOON)

    assert admitted(decisions) == []
    assert {d.reason.code for d in decisions if isinstance(d, Wait)} == {Code.GROUP}


def test_what_lasts_longer_is_told_before_it_and_all_else_after_it(
    make: SimpleNamespace, frozen: Callable[..., State]
) -> None:
    state = frozen([make.queued(1, cpu=9000), make.queued(2, exclusive=("db",))])
    state.exclusive_elsewhere = frozenset({"db"})

    assert {seq: text.split(":")[0] for seq, text in reasons(plan(state, make.NOON)).items()} == {
        1: "too_large",
        2: "rule",
    }


def test_it_starts_when_the_rule_lets_it_in_virtual_time_too(
    make: SimpleNamespace, frozen: Callable[..., State]
) -> None:
    state = frozen([make.queued(1)], ageing_limit=timedelta(days=1))

    starts = [e.at for e in forward(state, make.NOON, lambda _: HOUR) if isinstance(e, Started)]

    assert starts == [make.NOON + HOUR]


def test_a_run_that_could_not_start_anyway_is_not_looked_at_again(make: SimpleNamespace) -> None:
    state = make.state([make.queued(1, priority=9, cpu=9000)], ageing_limit=timedelta(days=1))
    state.rules = (Weekly(),)

    passes = [event for event in forward(state, make.NOON, lambda _: HOUR) if isinstance(event, Passed)]

    assert [event.at for event in passes] == [make.NOON, make.queued(1).enqueued_at + timedelta(days=10)]


def test_a_run_that_is_refused_for_ever_is_given_up_after_a_year(make: SimpleNamespace) -> None:
    state = make.state([make.queued(1, priority=9)])
    state.rules = (Weekly(),)

    passes = [event.at for event in forward(state, make.NOON, lambda _: HOUR) if isinstance(event, Passed)]

    assert timedelta(days=366) < passes[-1] - make.NOON <= LONGEST_QUIET
    assert len(passes) < 70
