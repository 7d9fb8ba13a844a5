"""What every rule of `scheduler.admission.rules` does: it answers by its arguments, and says when that changes."""

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import pytest
from harness.gate_rules import rules_under_test
from unit.scheduler.conftest import make, node, queued, running, state, team, user

from scheduler.admission.decisions import Admit, Wait
from scheduler.admission.plan import decide, plan, rules_change
from scheduler.admission.rule import ClassFacts, GateRule, PoolFacts
from scheduler.values.pool import Owner
from scheduler.values.reasons import Code
from scheduler.values.run import Queued, Running

__all__ = ["make"]
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
CASES = 400
MOST_WORDS = 200
UNDER_TEST = rules_under_test(MONDAY + timedelta(hours=8), MONDAY + timedelta(hours=20))


@pytest.fixture(params=UNDER_TEST)
def rule(request: pytest.FixtureRequest) -> GateRule:
    return UNDER_TEST[request.param]


def lines(random: Random) -> ClassFacts:
    run = any_run(random, 0)
    return ClassFacts(
        user_id=run.user_id,
        team_id=run.team_id,
        priority=run.priority,
        shape=run.shape,
        exclusive=run.exclusive,
        aged=random.random() < 0.3,
    )


def any_run(random: Random, number: int) -> Queued:
    return queued(
        number,
        cpu=random.choice([100, 500, 1000]),
        priority=random.randrange(10),
        user_id=user(random.randrange(3)),
        team_id=random.choice([None, team(0), team(1)]),
        exclusive=random.choice([(), ("db",)]),
    )


def holding(random: Random) -> list[Running]:
    return [
        running(100 + number, priority=random.randrange(10), user_id=user(random.randrange(3)), started_at=MONDAY)
        for number in range(random.randrange(4))
    ]


def pools(random: Random) -> PoolFacts:
    owners: dict[UUID, Owner] = {team(0): Owner(name="red"), user(0): Owner(name="ann")}
    return PoolFacts(
        now=MONDAY + timedelta(minutes=random.randrange(14 * 24 * 60)),
        running=holding(random),
        admitted=[any_run(random, 200 + number) for number in range(random.randrange(3))],
        owners=owners,
    )


def test_it_refuses_something_and_not_everything(rule: GateRule) -> None:
    """Otherwise the other tests would say nothing about it."""
    random = Random(1)

    refused = [rule.refusal(lines(random), pools(random)) is not None for _ in range(10 * CASES)]

    assert set(refused) == {True, False}


def test_the_same_facts_get_the_same_answer_in_one_short_line(rule: GateRule) -> None:
    random = Random(2)
    for _ in range(CASES):
        line, pool = lines(random), pools(random)

        text = rule.refusal(line, pool)

        assert rule.refusal(line, pool) == text
        assert text is None or (0 < len(text) <= MOST_WORDS and text.isprintable())


def test_an_admission_in_the_same_pass_never_opens_it(rule: GateRule) -> None:
    random = Random(3)
    for _ in range(CASES):
        line, pool = lines(random), pools(random)
        more = PoolFacts(
            now=pool.now,
            running=pool.running,
            admitted=[*pool.admitted, any_run(random, 300)],
            owners=pool.owners,
        )

        assert rule.refusal(line, pool) is None or rule.refusal(line, more) is not None


def test_time_alone_changes_its_answer_only_when_it_says_so(rule: GateRule) -> None:
    random = Random(4)
    for _ in range(CASES):
        line, pool = lines(random), pools(random)
        later = PoolFacts(
            now=pool.now + timedelta(minutes=random.randrange(2 * 24 * 60)),
            running=pool.running,
            admitted=pool.admitted,
            owners=pool.owners,
        )
        change = rule.next_change(pool.now)

        assert change is None or change > pool.now
        same = (rule.refusal(line, pool) is None) == (rule.refusal(line, later) is None)
        assert same or (change is not None and change <= later.now)


def test_the_gate_keeps_it_and_tells_its_words(rule: GateRule) -> None:
    """Nobody starts whom it refuses after all that started; whoever waits for it is told its own words."""
    random, told = Random(5), 0
    for _ in range(CASES):
        now = MONDAY + timedelta(minutes=random.randrange(24 * 60))
        waiting = [any_run(random, number) for number in range(random.randrange(1, 12))]
        pool = state(waiting, nodes=[node(0), node(1)], holding=holding(random))
        pool.rules = (rule,)
        before = tuple(pool.running.values())

        decisions = plan(pool, now)

        so_far: list[Queued] = []
        for decision in decisions:
            if isinstance(decision, Admit):
                facts = PoolFacts(now=now, running=before, admitted=so_far, owners={})
                assert rule.refusal(pool.class_of[decision.run.execution_id].facts, facts) is None
                so_far = [*so_far, decision.run]
        after = PoolFacts(now=now, running=before, admitted=so_far, owners={})
        refused = [d for d in decisions if isinstance(d, Wait) and d.reason.code is Code.RULE]
        told += len(refused)
        assert all(d.reason.text == rule.refusal(pool.class_of[d.run.execution_id].facts, after) for d in refused)
        assert all(d.nominated is None and not d.blocked_by for d in refused)

    assert told > 0


def test_the_gate_looks_again_when_it_changes_if_it_refused_a_run(rule: GateRule) -> None:
    random, refused = Random(6), 0
    for _ in range(CASES):
        now = MONDAY + timedelta(minutes=random.randrange(24 * 60))
        pool = state([any_run(random, number) for number in range(6)], nodes=[node(0)], holding=holding(random))
        pool.rules = (rule,)
        decisions = plan(pool, now)

        stopped = any(isinstance(d, Wait) and d.reason.code is Code.RULE for d in decisions)
        refused += stopped
        assert not stopped or rules_change(pool, now) == rule.next_change(now)

    assert refused > 0


def test_it_does_not_wake_a_pool_without_runs(rule: GateRule) -> None:
    pool = state([], nodes=[node(0)])
    pool.rules = (rule,)
    decide(pool, MONDAY)

    assert rules_change(pool, MONDAY) is None
