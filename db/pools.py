"""Pools: the capacity that one gate guards, and its settings. A change holds from the next pass on; it stops nobody."""

from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from db import gate_tables
from db.errors import ConflictError, NotFoundError
from db.gate import pass_locks
from model.ids import PoolName
from scheduler.values.pool import CANDIDATES, DEFAULT_PROFILE, Ceiling, Strategy, profile_named

P = gate_tables.Pool
YEAR = 366 * 86_400.0
CEILINGS = ("max_cpu_milli", "max_memory_bytes", "max_ephemeral_bytes", "max_gpu")
OPTIONAL = (*CEILINGS, "max_daily_tests")
"""Limits that may not be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The settings of a pool, as the original design names them. `max_daily_tests` and the sums: None is no limit."""

    name: PoolName
    max_concurrent_tests: int = 100
    max_concurrent_experiments: int = 5
    max_daily_tests: int | None = None
    scheduling_interval_seconds: float = 1.0
    default_node_selector: dict[str, str] = field(default_factory=dict)
    enable_spot_instances: bool = False
    target_node_utilization: float = 0.7
    strategy: Strategy = Strategy.PRIORITY
    ageing_limit_seconds: float = 3600.0
    fixed_nodes: bool = False
    profile: str = DEFAULT_PROFILE.name
    candidates: int = CANDIDATES[1]
    backfill_after_seconds: float = 30.0
    half_life_seconds: float = 3600.0
    preemption: bool = False
    min_runtime_seconds: float = 60.0
    max_cpu_milli: int | None = None
    max_memory_bytes: int | None = None
    max_ephemeral_bytes: int | None = None
    max_gpu: int | None = None
    version: int = 1

    def __post_init__(self) -> None:
        profile_named(self.profile)
        if not CANDIDATES[0] <= self.candidates <= CANDIDATES[1]:
            raise ValueError(f"candidates: {self.candidates} is not from {CANDIDATES[0]} to {CANDIDATES[1]}")
        if not 0 < self.target_node_utilization <= 1:
            raise ValueError(f"target_node_utilization: {self.target_node_utilization} is not above 0 and at most 1")
        for name in ("max_concurrent_tests", "max_concurrent_experiments", *OPTIONAL):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name}: {getattr(self, name)} is below 0")
        for name in ("scheduling_interval_seconds", "ageing_limit_seconds", "half_life_seconds"):
            if not 0 < getattr(self, name) <= YEAR:
                raise ValueError(f"{name}: {getattr(self, name)} is not above 0 and at most a year")
        for name in ("backfill_after_seconds", "min_runtime_seconds"):
            if not 0 <= getattr(self, name) <= YEAR:
                raise ValueError(f"{name}: {getattr(self, name)} is not from 0 to a year")

    @property
    def ceiling(self) -> Ceiling:
        """What may be in use at once."""
        return Ceiling(
            runs=self.max_concurrent_tests,
            cpu_milli=self.max_cpu_milli,
            memory_bytes=self.max_memory_bytes,
            ephemeral_bytes=self.max_ephemeral_bytes,
            gpu=self.max_gpu,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolChange:
    """What shall change; None leaves a setting as it is. The limits named in `unlimited` are taken away."""

    max_concurrent_tests: int | None = None
    max_concurrent_experiments: int | None = None
    max_daily_tests: int | None = None
    scheduling_interval_seconds: float | None = None
    default_node_selector: dict[str, str] | None = None
    enable_spot_instances: bool | None = None
    target_node_utilization: float | None = None
    strategy: Strategy | None = None
    ageing_limit_seconds: float | None = None
    fixed_nodes: bool | None = None
    profile: str | None = None
    candidates: int | None = None
    backfill_after_seconds: float | None = None
    half_life_seconds: float | None = None
    preemption: bool | None = None
    min_runtime_seconds: float | None = None
    max_cpu_milli: int | None = None
    max_memory_bytes: int | None = None
    max_ephemeral_bytes: int | None = None
    max_gpu: int | None = None
    unlimited: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.unlimited <= set(OPTIONAL):
            raise ValueError(f"unlimited: {sorted(self.unlimited)} are not among {', '.join(OPTIONAL)}")

    def values(self) -> dict[str, object]:
        """Return the columns to write."""
        given = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "unlimited"}
        return {name: value for name, value in given.items() if value is not None} | dict.fromkeys(self.unlimited)


def read(conn: Connection, name: PoolName) -> Pool:
    """Return the settings of a pool. Raises: NotFoundError."""
    row = conn.execute(select(P).where(P.name == name)).one_or_none()
    if row is None:
        raise NotFoundError("pool", name)
    return _pool(row)


def every(conn: Connection) -> list[Pool]:
    """Return the settings of all pools, by name."""
    return [_pool(row) for row in conn.execute(select(P).order_by(P.name))]


def names(conn: Connection) -> list[PoolName]:
    """Return all pools, by name."""
    return [PoolName(name) for name in conn.execute(select(P.name).order_by(P.name)).scalars()]


def update_pool(conn: Connection, name: PoolName, change: PoolChange) -> Pool:
    """Change settings, and return them all. Raises: NotFoundError; ValueError for a setting that cannot be."""
    again = {"version": P.version + 1, "annotated_at": None}  # the next pass writes all reasons anew
    statement = update(P).where(P.name == name).values(**change.values(), **again).returning(P)
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
    pass_locks.hold_all(conn, others)
    values = {f.name: getattr(pool, f.name) for f in fields(pool)}
    return _pool(conn.execute(insert(P).values(**values).returning(P)).one())


def _pool(row: Row[Any]) -> Pool:
    values = {f.name: getattr(row, f.name) for f in fields(Pool)}
    return Pool(**(values | {"strategy": Strategy(row.strategy)}))
