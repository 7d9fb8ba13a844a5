"""What a pass looks at: equal shapes once, a team at its limit not at all. Counted by real looks, not by time."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from scheduler import trial, walk
from scheduler.decisions import Left
from scheduler.plan import apply, apply_all, decide, plan
from scheduler.pool import Ceiling, Owner, Strategy
from scheduler.state import State

MANY = 5000
SHAPES = (1000, 2000, 3000, 4000)
TEAMS = (1, 2)
LIMITED = 3


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, Any, int]]:
    """How often the nodes were searched, and runs tried, by team and shape. What is counted does what it always does."""
    found: Counter[tuple[str, Any, int]] = Counter()
    choose, attempt = trial.choose, trial.Trial.attempt

    def counted_choose(fleet: Any, ask: Any, run: Any, *more: Any) -> Any:
        found["nodes", None, ask.shape.resources.cpu_milli] += 1
        return choose(fleet, ask, run, *more)

    def counted_attempt(self: Any, line: Any, run: Any, *more: Any) -> Any:
        found["tried", run.team_id, run.shape.resources.cpu_milli] += 1
        return attempt(self, line, run, *more)

    monkeypatch.setattr(trial, "choose", counted_choose)
    monkeypatch.setattr(trial.Trial, "attempt", counted_attempt)
    return found


def crowd(make: SimpleNamespace, **limits: Any) -> State:
    """5,000 runs of four shapes and three teams, on a full node of 4,000m; the third team is at its limit."""
    teams = (*TEAMS, LIMITED)
    waiting = [
        make.queued(
            n,
            cpu=SHAPES[n % 4],
            team_id=make.team(teams[n % 3]),
            user_id=make.user(teams[n % 3]),
            enqueued_at=make.NOON - timedelta(seconds=1),
        )
        for n in range(MANY)
    ]
    owners = {make.team(LIMITED): Owner(name="limited", ceiling=Ceiling(runs=1))}
    holding = [make.running(MANY + 1, cpu=100, team_id=make.team(LIMITED))]
    holding += [make.running(MANY + 2, cpu=3900, team_id=make.team(9))]
    made: State = make.state(waiting, owners=owners, holding=holding, ceiling=Ceiling(runs=None), **limits)
    return made
