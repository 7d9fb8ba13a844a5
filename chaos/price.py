"""The price of an experiment: what it costs of an error budget at most, and when it burns faster than planned.

The error budget of an SLO of kind ratio is the share of bad requests that its objective allows in its window. An
experiment spends of it (Google, The Site Reliability Workbook, 2018, chapter 5):

    burn rate = share of bad requests / (1 - objective)
    spent     = burn rate * traffic factor * time / window
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chaos.error_budget import ALL_REQUESTS, DEFAULT_WINDOW_DAYS, UNLIMITED, ErrorBudget
from chaos.experiment import Experiment
from chaos.halting import Watch
from chaos.hypothesis import HaltCondition, Slo, SloKind, Source
from chaos.recovery import BUDGET_WINDOW, Times

TOO_FAST = "the error budget burns faster than the plan allows"
ROUNDING = 1 + 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What an experiment costs of one SLO's budget at most, in percent. `bad_requests` is None without a known rate."""

    slo: str
    window: timedelta
    burn_rate: float
    percent: float
    bad_requests: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What was planned, allowed and spent of one SLO's budget, in percent. None: no limit; not known."""

    slo: str
    window: timedelta
    planned: float
    allowed: float | None
    spent: float | None

    @property
    def over(self) -> bool:
        """Say whether more was spent than planned."""
        return self.spent is not None and self.spent > self.planned * ROUNDING


def prices(experiment: Experiment) -> tuple[Price, ...]:
    """Return the price of an experiment in each budget. Its faults and the longest recovery count as equally bad."""
    return tuple(_price(experiment, slo) for slo in _ratios(experiment))


def _price(experiment: Experiment, slo: Slo) -> Price:
    budget, time = experiment.error_budget or UNLIMITED, experiment.longest_fault_window + experiment.recovery
    bad, load = budget.expected_bad_percent / 100, experiment.load
    burn_rate = bad / (1 - (slo.objective or 0.0) / 100)
    known = load is not None and load.url is not None and slo.source is Source.LOAD
    return Price(
        slo=slo.name,
        window=_window(budget),
        burn_rate=burn_rate,
        percent=100 * burn_rate * budget.traffic_factor * (time / _window(budget)),
        bad_requests=bad * load.per_second * time.total_seconds() if load and known else None,
    )


def too_expensive(experiment: Experiment, most: float | None, who_allows: str) -> tuple[str, ...]:
    """Return why an experiment costs more than `most` percent of a budget, one sentence an SLO. None: no limit."""
    if most is None:
        return ()
    return tuple(
        f"costs up to {one.percent:.3g}% of the error budget of {one.slo} ({one.window.days} days), and {who_allows} "
        f"{most:g}%: shorten it, or expect fewer bad requests (errorBudget.expectedBadPercent)"
        for one in prices(experiment)
        if one.percent > most * ROUNDING
    )


def over_its_own_limit(experiment: Experiment) -> tuple[str, ...]:
    """Return why an experiment costs more than it allows itself."""
    budget = experiment.error_budget
    return too_expensive(experiment, budget.max_percent if budget else None, "errorBudget.maxPercent allows")


def over_the_limit_of_a_team(experiment: Experiment, most: float | None, team: str) -> tuple[str, ...]:
    """Return why an experiment costs more than its team allows.

    What its file says of the window and of the traffic counts only where that makes it dearer.
    """
    budget = experiment.error_budget or UNLIMITED
    counted = replace(
        budget,
        window_days=min(budget.window_days, DEFAULT_WINDOW_DAYS),
        traffic_factor=max(budget.traffic_factor, 1.0),
    )
    return too_expensive(replace(experiment, error_budget=counted), most, f"the team {team} allows")


def burn_watches(experiment: Experiment, since: datetime) -> tuple[Watch, ...]:
    """Return what halts an experiment that burns faster than planned: nothing if all requests were expected to be bad.

    They are hard limits as `haltConditions` are: so many of the last samples, and a missing one counts.
    """
    budget = experiment.error_budget
    if budget is None or budget.expected_bad_percent >= ALL_REQUESTS:
        return ()
    most, failures, of = budget.expected_bad_percent, budget.failures, budget.of
    return tuple(
        Watch(
            condition=HaltCondition(slo=slo.name, above=most, failures=failures, of=of),
            interval=timedelta(seconds=slo.step_seconds),
            since=since,
            meaning=TOO_FAST,
        )
        for slo in _ratios(experiment)
    )


def bills(experiment: Experiment, times: Sequence[Times], team_allows: float | None = None) -> tuple[Bill, ...]:
    """Return what was planned, allowed and spent of each budget. The smaller limit counts: the file's or the team's."""
    budget = experiment.error_budget
    limits = [one for one in (budget.max_percent if budget else None, team_allows) if one is not None]
    spent = {one.slo: one.budget_spent_percent for one in times}
    return tuple(
        Bill(
            slo=price.slo,
            window=price.window,
            planned=price.percent,
            allowed=min(limits, default=None),
            spent=_in_window(spent.get(price.slo), budget or UNLIMITED),
        )
        for price in prices(experiment)
    )


def _in_window(spent: float | None, budget: ErrorBudget) -> float | None:
    """Return a share of the budget of `BUDGET_WINDOW` as one of the window that the experiment names."""
    return None if spent is None else spent * budget.traffic_factor * (BUDGET_WINDOW / _window(budget))


def _ratios(experiment: Experiment) -> list[Slo]:
    return [slo for slo in experiment.hypothesis.slos if slo.kind is SloKind.RATIO]


def _window(budget: ErrorBudget) -> timedelta:
    return timedelta(days=budget.window_days)
