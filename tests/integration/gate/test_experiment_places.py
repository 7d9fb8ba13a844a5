"""Rule 13 in the database: a pass of a full pool finds the experiments that may start."""

from typing import Any

import pytest

from db import pools
from db.pools import Pool
from model.ids import EXPERIMENTS, ExecutionId, PoolName
from orchestrator import admission
from scheduler.values.node import DEFAULT_BACKEND

SECOND = PoolName("second")
SERVES = (DEFAULT_BACKEND, EXPERIMENTS)


@pytest.fixture
def full(bare: Any) -> Any:
    """A pool of one slot, which a test has."""
    bare.node()
    bare.worker(serves=SERVES)
    bare.pool(max_concurrent_tests=1, max_concurrent_experiments=2)
    assert len(bare.submit()) == len(bare.admitted())
    return bare


def experiments(gate_db: Any, number: int, **given: Any) -> list[ExecutionId]:
    made: list[ExecutionId] = gate_db.submit(number, backend=EXPERIMENTS, cpu=0, **given)
    return made


def test_experiments_start_in_a_full_pool_up_to_their_own_limit(full: Any) -> None:
    waiting = full.submit(20, priority=0)
    mine = experiments(full, 3)

    assert full.admitted() == mine[:2]
    assert full.admitted() == []
    assert full.row(mine[2]).reason == "the pool runs 2 of 2 experiments"
    assert full.row(waiting[0]).reason == "the pool runs 1 of 1"


def test_the_third_starts_once_the_pool_has_a_place_for_it(full: Any) -> None:
    mine = experiments(full, 3)
    full.admitted()

    full.pool(max_concurrent_experiments=3)

    assert full.admitted() == mine[2:]


def test_an_experiment_is_read_however_many_tests_of_how_many_shapes_are_before_it(full: Any) -> None:
    for number in range(150):
        full.submit(2, priority=0, cpu=100 + number)
    mine = experiments(full, 1)

    assert full.admitted() == mine


def test_experiments_are_no_runs_of_a_team_in_other_pools(full: Any) -> None:
    """The one place of the team is free: an experiment has none of it, wherever it runs."""
    full.do(lambda conn: pools.create(conn, Pool(name=SECOND)))
    full.worker("w1", pool=SECOND, serves=SERVES)
    team = full.team("one at a time", most=1)
    ann = full.person("ann", most=1, team=team)
    full.pool(max_concurrent_tests=2)
    there = experiments(full, 1, who=ann, pool=SECOND)
    started = full.do(lambda conn: admission.request(conn, SECOND, blocking=True))
    assert [run.execution_id for run in started.admitted] == there

    [test] = full.submit(who=ann)

    assert full.admitted() == [test]
