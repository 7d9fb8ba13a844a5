"""A pool for suites that carry an experiment."""

from datetime import timedelta

import pytest

from db import nodes, workers
from db.engine import Database
from db.seeds import DEFAULT_POOL
from model.ids import EXPERIMENTS, NodeName, WorkerId
from model.resources import Resources
from scheduler.values.node import DEFAULT_BACKEND, Node


@pytest.fixture
def wide(db: Database) -> Database:
    """A pool with room for many tests."""
    node = Node(name=NodeName("n"), capacity=Resources(cpu_milli=64_000, memory_bytes=2**40))
    db.call(lambda conn: nodes.record(conn, DEFAULT_POOL, [node]))
    served = [DEFAULT_BACKEND, EXPERIMENTS]
    db.call(lambda conn: workers.register(conn, WorkerId("w"), DEFAULT_POOL, timedelta(minutes=5), served))
    return db
