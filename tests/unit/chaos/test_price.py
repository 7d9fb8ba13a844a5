"""The price of an experiment: the formula of the SRE Workbook, limits on it, and halting when it burns too fast."""

from datetime import timedelta
from typing import Any

import pytest
from harness.chaos_readings import counted, second
from hypothesis import given
from hypothesis import strategies as st

from chaos.error_budget import ErrorBudget
from chaos.experiment import Experiment
from chaos.experiment_reading import check_experiment
from chaos.graph import from_depends_on
from chaos.judge import Readings
from chaos.observed import Observed, advance
from chaos.plan import plan
from chaos.price import bills, burn_watches, prices, too_expensive
from chaos.recovery import times
from chaos.targets import Candidate, Target, resolve
from chaos.windows import Window


def experiment(budget: dict[str, Any] | None = None, objective: float = 99.9, **more: Any) -> Experiment:
    raw = {
        "name": "x",
        "fault": {"type": "pod-kill"},
        "target": {"environment": "shop", "service": "payments"},
        "hypothesis": {
            "slo": {"name": "orders", "kind": "ratio", "source": "load", "objective": objective, "stepSeconds": 1}
        },
        "load": {"url": "http://127.0.0.1:1/orders", "perSecond": 10.0},
        "durationSeconds": 60,
        "recoverySeconds": 12,
        "haltConditions": [{"slo": "orders", "above": 90}],
    }
    return check_experiment(raw | ({"errorBudget": budget} if budget else {}) | more)


def test_the_price_is_that_of_the_workbook() -> None:
    """A total outage of 43.2 minutes costs all of a budget of 99.9 % in 30 days."""
    [one] = prices(experiment(durationSeconds=2580))

    assert one.burn_rate == pytest.approx(1000)
    assert one.percent == pytest.approx(100)
    assert one.bad_requests == pytest.approx(25_920)


@pytest.mark.parametrize(
    ("budget", "percent"),
    [
        (None, 100 * 1000 * 72 / 2_592_000),
        ({"maxPercent": 10, "expectedBadPercent": 5}, 100 * 50 * 72 / 2_592_000),
        ({"maxPercent": 10, "windowDays": 7}, 100 * 1000 * 72 / 604_800),
        ({"maxPercent": 10, "trafficFactor": 2.5}, 250 * 1000 * 72 / 2_592_000),
    ],
)
def test_what_is_expected_the_window_and_the_traffic_change_the_price(
    budget: dict[str, Any] | None, percent: float
) -> None:
    [one] = prices(experiment(budget))

    assert one.percent == pytest.approx(percent)


def test_the_waits_of_a_sequence_for_what_was_killed_have_a_price() -> None:
    """Each fault after a kill may wait as long as the recovery, and meanwhile requests are bad."""
    kill: dict[str, Any] = {"type": "pod-kill", "durationSeconds": 5}
    slow: dict[str, Any] = {"type": "network-latency", "durationSeconds": 20, "parameters": {"latencyMs": 100}}

    def seconds(order: str, *faults: dict[str, Any]) -> float:
        named = [fault | {"name": f"f{number}"} for number, fault in enumerate(faults)]
        [one] = prices(experiment(fault=None, faults=named, order=order))
        return one.percent / (100 * 1000) * 2_592_000

    assert seconds("sequence", slow, kill) == pytest.approx(25 + 12)
    assert seconds("sequence", kill, slow, slow) == pytest.approx(45 + 2 * 12 + 12)
    assert seconds("parallel", kill, slow) == pytest.approx(20 + 12)


def test_a_plan_over_its_own_limit_is_refused_and_one_at_it_is_not() -> None:
    def problems(most: float) -> tuple[str, ...]:
        made_for = experiment({"maxPercent": most}, objective=50.0, durationSeconds=2580)
        target = Target(place="shop", service="payments", name="p", identity="u")
        seen = resolve(made_for, [Candidate(target=target, opted_in=True)], from_depends_on({"payments": []}))
        return plan(made_for, seen).problems

    assert problems(0.2) == ()
    [said] = problems(0.19)
    assert said == (
        "costs up to 0.2% of the error budget of orders (30 days), and errorBudget.maxPercent allows 0.19%: "
        "shorten it, or expect fewer bad requests (errorBudget.expectedBadPercent)"
    )


def test_without_a_limit_nothing_is_too_expensive() -> None:
    assert too_expensive(experiment(), None, "nobody allows") == ()
    assert len(too_expensive(experiment(), 2.0, "the team payments allows")) == 1


@given(
    expected=st.floats(1, 100),
    factor=st.floats(0.1, 10),
    days=st.integers(1, 366),
    bad=st.floats(0, 1),
    rate=st.floats(1, 500),
)
def test_what_is_spent_is_at_most_what_was_planned_while_it_is_as_bad_as_expected(
    expected: float, factor: float, days: int, bad: float, rate: float
) -> None:
    """The price is compared with readings of all of its time, at the same traffic."""
    budget = {"maxPercent": 100, "expectedBadPercent": expected, "trafficFactor": factor, "windowDays": days}
    priced = experiment(budget, objective=99.0)
    share = bad * expected / 100
    counts = {
        Window.FAULT: counted([share * rate] * 60, rate),
        Window.RECOVERY: counted([share * rate] * 12, rate, since=60),
    }
    found = times(priced.hypothesis.slos[0], 0.1, Readings(counts=counts), second(0), second(60))
    [bill] = bills(priced, [found])

    assert bill.spent is not None
    assert bill.spent == pytest.approx(bad * bill.planned, rel=1e-6, abs=1e-12)
    assert not bill.over


def test_more_than_planned_is_told() -> None:
    priced = experiment({"maxPercent": 1, "expectedBadPercent": 5}, objective=99.0)
    readings = Readings(counts={Window.FAULT: counted([10.0] * 72, 20)})
    [bill] = bills(priced, [times(priced.hypothesis.slos[0], 0.1, readings, second(0), second(60))])

    assert bill.over
    assert (bill.allowed, bill.spent) == (1, pytest.approx(10 * bill.planned))
    for of_team, allowed in ((0.5, 0.5), (2, 1)):
        [bill] = bills(priced, (), of_team)
        assert (bill.allowed, bill.spent) == (allowed, None)


def burning(bad: list[float], failures: int = 2, of: int = 3) -> str | None:
    """Return why an experiment with so many bad requests of 20 a second is halted, when 10 % were expected."""
    budget = {"maxPercent": 100, "expectedBadPercent": 10, "failures": failures, "of": of}
    slo = {"name": "orders", "kind": "ratio", "objective": 99, "bad": "b", "total": "t", "stepSeconds": 1}
    priced = experiment(budget, hypothesis={"slo": slo}, load=None)
    [watch] = burn_watches(priced, second(-1))
    seen = Observed(counts={"orders": counted(bad)})
    halt = advance(watch, priced.hypothesis, seen, second(len(bad) + 0.5)).halt
    return halt.sentence if halt else None


def test_what_burns_faster_than_planned_is_halted_by_k_of_m_samples() -> None:
    assert burning([2.0] * 6) is None
    assert burning([3, 0, 0, 3, 0, 0]) is None
    assert burning([0, 3, 0, 3]) == (
        "2 of the last 3 samples of orders were above 10: the error budget burns faster than the plan allows"
    )


def test_missing_samples_count_as_burning() -> None:
    assert "missing" in (burning([0, float("nan"), float("nan"), 0]) or "")


def test_nothing_burns_faster_than_all_requests() -> None:
    assert burn_watches(experiment(), second(0)) == ()
    assert burn_watches(experiment({"maxPercent": 1}), second(0)) == ()


def test_a_watch_looks_as_often_as_its_slo_is_read() -> None:
    [watch] = burn_watches(experiment({"maxPercent": 1, "expectedBadPercent": 5}), second(0))

    assert watch.interval == timedelta(seconds=1)
    assert ErrorBudget(max_percent=1).window_days == 30
