"""Pools: the capacity that one gate guards, and its settings. A change holds from the next pass on; it stops nobody."""

from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from db import gate_locks, gate_tables
from db.errors import ConflictError, NotFoundError
from model.ids import PoolName
from scheduler.pool import Strategy

P = gate_tables.Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The settings of a pool, as the original design names them."""

    name: PoolName
    max_concurrent_tests: int = 100
    scheduling_interval_seconds: float = 1.0
    default_node_selector: dict[str, str] = field(default_factory=dict)
    enable_spot_instances: bool = False
    target_node_utilization: float = 0.7
    strategy: Strategy = Strategy.PRIORITY
    ageing_limit_seconds: float = 3600.0
    fixed_nodes: bool = False
    version: int = 1

    def __post_init__(self) -> None:
        if self.max_concurrent_tests < 0:
            raise ValueError(f"max_concurrent_tests: {self.max_concurrent_tests} is below 0")
        if not 0 < self.target_node_utilization <= 1:
            raise ValueError(f"target_node_utilization: {self.target_node_utilization} is not above 0 and at most 1")
        for name in ("scheduling_interval_seconds", "ageing_limit_seconds"):
            if not 0 < getattr(self, name) <= _YEAR:
                raise ValueError(f"{name}: {getattr(self, name)} is not above 0 and at most a year")


_YEAR = 366 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolChange:
    """What shall change; None leaves a setting as it is."""

    max_concurrent_tests: int | None = None
    scheduling_interval_seconds: float | None = None
    default_node_selector: dict[str, str] | None = None
    enable_spot_instances: bool | None = None
    target_node_utilization: float | None = None
    strategy: Strategy | None = None
    ageing_limit_seconds: float | None = None
    fixed_nodes: bool | None = None


def read(conn: Connection, name: PoolName) -> Pool:
    """Return the settings of a pool. Raises: NotFoundError."""
    row = conn.execute(select(P).where(P.name == name)).one_or_none()
    if row is None:
        raise NotFoundError("pool", name)
    return _pool(row)


def names(conn: Connection) -> list[PoolName]:
    """Return all pools, by name."""
    return [PoolName(name) for name in conn.execute(select(P.name).order_by(P.name)).scalars()]


def update_pool(conn: Connection, name: PoolName, change: PoolChange) -> Pool:
    """Change settings, and return them all. Raises: NotFoundError; ValueError for a setting that cannot be."""
    given = {f.name: getattr(change, f.name) for f in fields(change) if getattr(change, f.name) is not None}
    again = {"version": P.version + 1, "annotated_at": None}  # the next pass writes all reasons anew
    statement = update(P).where(P.name == name).values(**given, **again).returning(P)
    row = conn.execute(statement).one_or_none()
    if row is None:
        raise NotFoundError("pool", name)
    return _pool(row)


def create(conn: Connection, pool: Pool) -> Pool:
    """Add a pool. Raises: ConflictError if there is one of that name.

    It waits for the passes of the other pools: a pass that knows of one pool only does not lock owners.
    """
    others = names(conn)
    if pool.name in others:
        raise ConflictError(f"there is a pool {pool.name} already")
    gate_locks.hold_all(conn, others)
    values = {f.name: getattr(pool, f.name) for f in fields(pool)}
    return _pool(conn.execute(insert(P).values(**values).returning(P)).one())


def _pool(row: Row[Any]) -> Pool:
    values = {f.name: getattr(row, f.name) for f in fields(Pool)}
    return Pool(**(values | {"strategy": Strategy(row.strategy)}))
