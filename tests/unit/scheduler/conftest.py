"""Builders of scheduler values with plain numbers, so that a test names only what it is about."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from model.ids import ExecutionId, NodeName, TeamId, UserId
from model.resources import Resources
from scheduler.admission.state import State
from scheduler.values.node import Node
from scheduler.values.pool import Owner, PoolSettings
from scheduler.values.run import Constraints, Queued, Running, Shape

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLACE = {field.name for field in fields(Running)} - {"queued"}
"""What is given of the place of a run that runs; all else is of the run."""
GI = 2**30


def run_id(number: int) -> ExecutionId:
    return ExecutionId(UUID(int=number + 1))


def user(number: int) -> UserId:
    return UserId(UUID(int=0xA000 + number))


def team(number: int) -> TeamId:
    return TeamId(UUID(int=0xB000 + number))


def amounts(cpu: int = 100, memory: int = 0, gpu: int = 0) -> Resources:
    return Resources(cpu_milli=cpu, memory_bytes=memory, gpu=gpu)


def queued(number: int, **given: Any) -> Queued:
    """A run that arrived `minutes` before noon, or in the order of its number."""
    waited = timedelta(minutes=given.pop("minutes", 0)) or timedelta(seconds=max(0, 60 - number))
    shape = Shape(
        amounts(given.pop("cpu", 100), given.pop("memory", 0), given.pop("gpu", 0)),
        given.pop("constraints", Constraints()),
    )
    values = {"seq": number, "priority": 5, "enqueued_at": NOON - waited, "user_id": user(0), "team_id": team(0)}
    return Queued(execution_id=run_id(number), shape=shape, **(values | given))


def running(number: int, **given: Any) -> Running:
    """A run that got its place, and began, as soon as it arrived: at `started_at`, else nobody knows when."""
    started = given.get("started_at")
    of_place = {"node": NodeName("n0"), "began_at": started}
    of_place |= {name: given.pop(name) for name in PLACE & given.keys()}
    return Running(queued=queued(number, **({"enqueued_at": started or NOON} | given)), **of_place)


def node(number: int, *, cpu: int = 4000, memory: int = 8 * GI, gpu: int = 0, **given: Any) -> Node:
    return Node(name=NodeName(f"n{number}"), capacity=amounts(cpu, memory, gpu), **given)


def state(
    waiting: Sequence[Queued],
    *,
    nodes: Sequence[Node] | None = None,
    holding: Sequence[Running] = (),
    owners: Mapping[UUID, Owner] | None = None,
    workers: int = 1,
    **limits: Any,
) -> State:
    """A pool of one node, unless `nodes` says otherwise; `limits` are fields of `PoolSettings`."""
    made = State(
        limits=PoolSettings(**limits), nodes=[node(0)] if nodes is None else nodes, owners=owners or {}, workers=workers
    )
    for run in holding:
        made.start(run)
    for run in waiting:
        made.enqueue(run)
    return made


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The builders, by name."""
    builders: list[Callable[..., Any]] = [run_id, user, team, amounts, queued, running, node, state]
    return SimpleNamespace(NOON=NOON, GI=GI, **{builder.__name__: builder for builder in builders})
