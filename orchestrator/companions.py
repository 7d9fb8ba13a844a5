"""Companions: the test runs that an experiment starts before its baseline and ends at its own end.

They are its load test, and one run that makes its health checks of type command: nothing of a user runs in a worker.
A companion goes through the gate as every test does, so it has a place and an attempt of its own. Its id follows from
the experiment's run, so whoever takes the experiment over finds the same one.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from uuid import uuid5

from sqlalchemy import Connection

import executors
from chaos.experiment import Experiment
from db import definitions, executions, people, runs
from db.errors import NotFoundError
from db.people import User
from db.runs import Run
from model.execution import Door, Phase, Reason, Status
from model.ids import ExecutionId, RunId, short
from model.problems import InvalidError, Problem
from model.request import TestRequest
from orchestrator import cancel, checking
from orchestrator.content import KnownContent
from orchestrator.submit import Order, OverQuota, submit

LOAD = "load"
HEALTH_CHECKS = "health checks"
PROGRAM = Path(executors.__file__).with_name("health_check_program.py")
LONGEST_NAME = 255
LONGEST_START = timedelta(minutes=5)
"""How long a companion may wait for its place and for its launch."""
MARGIN = timedelta(minutes=1)
"""How much longer than the windows a companion must be able to run: safety checks, injection, revert."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """A companion for people, and its run."""

    purpose: str
    run_id: ExecutionId
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """The run of an experiment that starts companions. `number`: how many baselines it has ended before."""

    run_id: RunId
    experiment: Experiment
    claims: tuple[str, ...]
    number: int = 0
    near: Mapping[str, str] = field(default_factory=dict)
    """Labels of the nodes from which its target is reached."""

    def id_of(self, purpose: str, number: int) -> ExecutionId:
        """Return the id of its companion for a purpose and a baseline."""
        return ExecutionId(RunId(uuid5(self.run_id, f"{purpose}/{number}")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """A companion that does not run: what it does in words, and whether it never will."""

    sentence: str
    ended: bool


def check(conn: Connection, experiment: Experiment, user: User) -> None:
    """Refuse an experiment whose companions could not run. Raises: InvalidError."""
    if experiment.load and experiment.load.test:
        _load(conn, experiment, experiment.load.test, user)


def start(
    conn: Connection, leader: Leader, now: datetime, known_content: KnownContent | None = None
) -> tuple[Companion, ...] | OverQuota:
    """Submit the companions of an experiment, for who submitted it. The second time changes nothing.

    Raises: InvalidError with what keeps one from running.
    """
    _end(conn, leader, range(leader.number), now)
    run = runs.find(conn, leader.run_id)
    user = people.user(conn, run.submitted_by)
    started = []
    for purpose, request in _requests(conn, leader, user).items():
        order = Order(
            request=request,
            execution_id=leader.id_of(purpose, leader.number),
            user_id=user.user_id,
            door=Door.REST,
            now=now,
            pool=run.pool,
            beside=leader.claims,
        )
        outcome = submit(conn, order, known_content)
        if isinstance(outcome, OverQuota):
            return outcome
        words = f"the load {request.name!r}" if purpose == LOAD else f"the {request.name}"
        title = f"{words}, run {short(order.execution_id)}"
        started.append(Companion(purpose=purpose, run_id=order.execution_id, title=title))
    return tuple(started)


def idle(conn: Connection, companions: Iterable[Companion]) -> tuple[Idle, ...]:
    """Return the companions that do not run."""
    rows = [(one, runs.find(conn, one.run_id)) for one in companions]
    return tuple(
        Idle(sentence=f"{one.title}, {_standing(row)}", ended=row.completed_at is not None)
        for one, row in rows
        if row.phase is not Phase.RUNNING
    )


def broke_off(conn: Connection, companions: Iterable[Companion], until: datetime) -> tuple[str, ...]:
    """Return what became of each companion that did not run until a moment, or had to be started anew."""
    found = [(one, _broke_off(conn, one, until)) for one in companions]
    return tuple(f"{one.title}, {what} under the fault" for one, what in found if what)


def end_all(conn: Connection, leader: Leader, now: datetime) -> None:
    """Ask for the end of all companions of all baselines. Harmless if there are none, or they have ended."""
    _end(conn, leader, range(leader.number + 1), now)


def number_of(experiment: Experiment) -> int:
    """Return how many companions an experiment starts. Each takes a place of the pool."""
    return len(_purposes(experiment))


def has_any(experiment: Experiment) -> bool:
    """Say whether an experiment has companions."""
    return bool(_purposes(experiment))


def _purposes(experiment: Experiment) -> tuple[str, ...]:
    load = (LOAD,) if experiment.load and experiment.load.test else ()
    return (*load, HEALTH_CHECKS) if experiment.hypothesis.commands else load


def _end(conn: Connection, leader: Leader, numbers: Iterable[int], now: datetime) -> None:
    by = f"the experiment {leader.experiment.name!r}, run {short(leader.run_id)}"
    for number, purpose in product(numbers, _purposes(leader.experiment)):
        with suppress(NotFoundError):
            cancel.cancel(conn, leader.id_of(purpose, number), by=by, now=now)


def _requests(conn: Connection, leader: Leader, user: User) -> dict[str, TestRequest]:
    """Return what is submitted, by purpose. Raises: InvalidError."""
    load, wanted = leader.experiment.load, {}
    if load and load.test:
        wanted[LOAD] = _load(conn, leader.experiment, load.test, user)
    if leader.experiment.hypothesis.commands:
        wanted[HEALTH_CHECKS] = _health_checks(leader)
    return wanted


def _health_checks(leader: Leader) -> TestRequest:
    """Return the test that makes the health checks of type command. Raises: InvalidError if they are too large."""
    looks = [
        {
            "name": check.name,
            "command": list(check.command or ()),
            "interval": check.interval_seconds,
            "timeout": check.timeout_seconds,
            "above": check.above,
            "below": check.below,
        }
        for check in leader.experiment.hypothesis.commands
    ]
    files = {PROGRAM.name: PROGRAM.read_text(encoding="utf-8"), "checks.json": json.dumps(looks)}
    raw = {
        "name": f"{HEALTH_CHECKS} of {leader.experiment.name}"[:LONGEST_NAME],
        "type": "custom",
        "command": ["python3", PROGRAM.name, "checks.json"],
        "content": {"type": "inline", "files": files},
        "config": {
            "timeout": int(_longest_run(leader.experiment).total_seconds()),
            "nodeSelector": dict(leader.near),
        },
        "tags": ["health-checks"],
    }
    return checking.check(raw)


def _longest_run(experiment: Experiment) -> timedelta:
    """Return how long a companion runs at most: all windows, and the start of another one that it waits for."""
    waits = LONGEST_START if experiment.hypothesis.commands else timedelta()
    return experiment.baseline + experiment.longest_fault_window + experiment.recovery + MARGIN + waits


def _load(conn: Connection, experiment: Experiment, name: str, user: User) -> TestRequest:
    definition = definitions.newest(conn, name, user)
    if definition is None:
        whose = f"the team {user.team_name}" if user.team_name else user.username
        message = f"{whose} never submitted a test of the name {name!r}: run it once with `assay run FILE`"
        raise InvalidError([Problem(path="load.test", message=message)])
    needed = _longest_run(experiment)
    if definition.request.config.timeout < needed.total_seconds():
        message = (
            f"{name!r} may run for {definition.request.config.timeout} s, and must last through all windows: "
            f"give it a `config.timeout` of {needed.total_seconds():.0f} or more, and submit it once more"
        )
        raise InvalidError([Problem(path="load.test", message=message)])
    return definition.request


def _broke_off(conn: Connection, companion: Companion, until: datetime) -> str | None:
    """Return what became of a companion that did not run until then in one launch, None if it did."""
    row = runs.find(conn, companion.run_id)
    if row.completed_at is not None and row.completed_at < until:
        return _standing(row)
    if _launches(conn, companion.run_id) > 1:
        return "was started anew"
    alive = row.completed_at is None
    return f"did not run on (its phase is {row.phase})" if alive and row.phase is not Phase.RUNNING else None


def _launches(conn: Connection, run_id: ExecutionId) -> int:
    """Count the attempts of a run, whatever their causes. What a cluster refused to place has never run."""
    verdicts = [attempt.verdict for attempt in executions.attempts(conn, run_id)]
    return sum(verdict is None or verdict.reason is not Reason.PLACEMENT for verdict in verdicts)


def _standing(row: Run) -> str:
    if isinstance(row.status, Status) and row.status.terminal:
        return f"ended ({row.status}{f': {row.detail}' if row.detail else ''})"
    return "was started anew" if row.retry_count else f"is {row.phase}"
