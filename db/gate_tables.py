"""The tables of the gate: pools, who waits, who holds a place, which workers and nodes there are, what was said."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Interval, String, Text

from db.table_base import EMPTY_LIST, EMPTY_OBJECT, NOW, Base
from scheduler.values.pool import PROFILES, Strategy

CLOCK = text("clock_timestamp()")
EXPERIMENT_WAITS = "state = 'waiting' AND constraints ->> 'backend' = 'experiments'"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


class Pool(Base):
    """Capacity that one gate guards, and its settings (SchedulerConfig of the original design)."""

    __tablename__ = "pools"
    __table_args__ = (
        CheckConstraint(f"strategy IN ({_listed(Strategy)})", name="valid_strategy"),
        CheckConstraint(f"profile IN ({_listed(PROFILES)})", name="valid_profile"),
    )

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    max_concurrent_tests: Mapped[int] = mapped_column(server_default=text("100"))
    max_daily_tests: Mapped[int | None]
    max_concurrent_experiments: Mapped[int] = mapped_column(server_default=text("5"))
    scheduling_interval_seconds: Mapped[float] = mapped_column(server_default=text("1"))
    default_node_selector: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY_OBJECT)
    enable_spot_instances: Mapped[bool] = mapped_column(server_default=text("false"))
    target_node_utilization: Mapped[float] = mapped_column(server_default=text("0.7"))
    strategy: Mapped[str] = mapped_column(String(20), server_default="PRIORITY")
    ageing_limit_seconds: Mapped[float] = mapped_column(server_default=text("3600"))
    fixed_nodes: Mapped[bool] = mapped_column(server_default=text("false"))
    profile: Mapped[str] = mapped_column(String(50), server_default="default")
    candidates: Mapped[int] = mapped_column(server_default=text("5"))
    backfill_after_seconds: Mapped[float] = mapped_column(server_default=text("30"))
    half_life_seconds: Mapped[float] = mapped_column(server_default=text("3600"))
    preemption: Mapped[bool] = mapped_column(server_default=text("false"))
    min_runtime_seconds: Mapped[float] = mapped_column(server_default=text("60"))
    max_cpu_milli: Mapped[int | None] = mapped_column(BigInteger)
    max_memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    max_ephemeral_bytes: Mapped[int | None] = mapped_column(BigInteger)
    max_gpu: Mapped[int | None] = mapped_column(BigInteger)
    usage_at: Mapped[datetime | None]
    """When a pass last let the usage of `fair_usage` decay."""
    annotated_at: Mapped[datetime | None]
    """When a pass last wrote the reasons and positions of the waiting runs."""
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))


class QueueRow(Base):
    """A run that waits or holds a place; deleted when it ends, so that the table stays small (gate facts, 13)."""

    __tablename__ = "queue"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'admitted')", name="valid_queue_state"),
        Index("idx_queue_waiting", "pool", "priority", "seq", postgresql_where=text("state = 'waiting'")),
        Index("idx_queue_oldest", "pool", "seq", postgresql_where=text("state = 'waiting'")),
        Index("idx_queue_shape", "pool", "priority", "shape", "seq", postgresql_where=text("state = 'waiting'")),
        Index("idx_queue_back", "pool", "priority", "seq", postgresql_where=text("state = 'waiting' AND epoch > 0")),
        Index("idx_queue_admitted", "pool", "turn", postgresql_where=text("state = 'admitted'")),
        Index("idx_queue_experiments", "pool", postgresql_where=text(EXPERIMENT_WAITS)),
        Index("idx_queue_group", "group_id", postgresql_where=text("group_id IS NOT NULL")),
        Index(
            "idx_queue_reserved_for", "pool", postgresql_where=text("state = 'waiting' AND reserved_for IS NOT NULL")
        ),
    )

    execution_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    """The order of arrival; kept when the run goes back to wait."""
    pool: Mapped[str] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(10), server_default="waiting")
    priority: Mapped[int]
    enqueued_at: Mapped[datetime]
    not_before: Mapped[datetime | None]
    user_id: Mapped[UUID]
    team_id: Mapped[UUID | None]
    cpu_milli: Mapped[int] = mapped_column(BigInteger)
    memory_bytes: Mapped[int] = mapped_column(BigInteger)
    ephemeral_bytes: Mapped[int] = mapped_column(BigInteger)
    gpu: Mapped[int]
    constraints: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY_OBJECT)
    """node selector, tolerations, affinity, nodes to avoid."""
    shape: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Digest of all that decides alike, its high bits of the owner: a pass reads the first few of each shape."""
    epoch: Mapped[int] = mapped_column(server_default=text("0"))
    turn: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """The number of its admission."""
    node: Mapped[str | None] = mapped_column(String(255))
    candidates: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    """The nodes that a cluster may bind the run to, best first. Its capacity is counted on `node`."""
    backend: Mapped[str | None] = mapped_column(String(300))
    """The backend of the node. Only a worker that serves it may claim the run."""
    nominated: Mapped[str | None] = mapped_column(String(255))
    """The node that is kept free for this run, which waits for longer than the ageing limit."""
    admitted_at: Mapped[datetime | None]
    began_at: Mapped[datetime | None]
    """When the test of a restartable run began to run here; before that it is not stopped for others."""
    host: Mapped[str | None] = mapped_column(String(255))
    """The worker in which this run's flow waits. It has the first right to run it, if it serves the backend."""
    reason: Mapped[str] = mapped_column(server_default="")
    position: Mapped[int | None]
    record_count: Mapped[int] = mapped_column(server_default=text("0"))
    """How many records `decisions` has of this run."""
    record_digest: Mapped[int | None] = mapped_column(BigInteger)
    """Digest of what the last record says besides numbers: a wait is recorded anew when it changes."""
    group_id: Mapped[UUID | None]
    """Its waiting members start together or not at all."""
    exclusive: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    labels: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY_OBJECT)
    limit_seconds: Mapped[float] = mapped_column(server_default=text("3600"))
    expected_seconds: Mapped[float | None]
    """The p90 of what runs of its kind take, where history knows it."""
    restartable: Mapped[bool] = mapped_column(server_default=text("false"))
    guarded: Mapped[bool] = mapped_column(server_default=text("false"))
    preempted_for: Mapped[UUID | None]
    preempted_at: Mapped[datetime | None]
    reserved_for: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid))
    """Only if there are several pools. Of an aged run that waits: the users and teams in whose limits room is reserved
    for it in all pools. Its exclusive names are then reserved, too. NULL if nothing is reserved."""


class QueueWatermark(Base):
    """The number below which a level of a pool has no live row (db/gate/queue_watermarks.py)."""

    __tablename__ = "queue_watermarks"

    pool: Mapped[str] = mapped_column(String(100), primary_key=True)
    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    lowest: Mapped[int] = mapped_column(BigInteger)


class Lease(Base):
    """Who holds an admitted run, and until when by the database's clock. No row: nobody has taken it up yet."""

    __tablename__ = "leases"
    __table_args__ = (Index("idx_leases_holder", "holder"),)

    execution_id: Mapped[UUID] = mapped_column(ForeignKey("queue.execution_id", ondelete="CASCADE"), primary_key=True)
    epoch: Mapped[int]
    holder: Mapped[str] = mapped_column(String(255))
    acquired_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime]


class Worker(Base):
    """A worker process that is alive until `expires_at`. With none alive nothing is admitted."""

    __tablename__ = "workers"

    worker_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    pool: Mapped[str] = mapped_column(String(100))
    started_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime]
    draining: Mapped[bool] = mapped_column(server_default=text("false"))
    lease: Mapped[timedelta] = mapped_column(Interval, server_default=text("'20 seconds'"))
    """How far ahead of its last sign of life `expires_at` lies."""
    serves: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    """The backends whose runs it can start, adopt and stop."""


class Backend(Base):
    """What runs attempts on some nodes of a pool, and for how long no live worker has served it.

    `absent` counts only the time in which somebody looked (scheduler/values/absence.py). All is NULL while it is
    served.
    """

    __tablename__ = "backends"

    pool: Mapped[str] = mapped_column(String(100), primary_key=True)
    name: Mapped[str] = mapped_column(String(300), primary_key=True)
    absent_since: Mapped[datetime | None]
    absent: Mapped[timedelta | None] = mapped_column(Interval)
    observed_at: Mapped[datetime | None]
    server_started_at: Mapped[datetime | None]
    """When the database server that counted was started: a count does not outlive it."""


class Node(Base):
    """The last known facts of a node, written by whoever watches it."""

    __tablename__ = "nodes"

    pool: Mapped[str] = mapped_column(String(100), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    cpu_milli: Mapped[int] = mapped_column(BigInteger)
    memory_bytes: Mapped[int] = mapped_column(BigInteger)
    ephemeral_bytes: Mapped[int] = mapped_column(BigInteger)
    gpu: Mapped[int] = mapped_column(server_default=text("0"))
    pods: Mapped[int] = mapped_column(server_default=text("110"))
    labels: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY_OBJECT)
    taints: Mapped[list[Any]] = mapped_column(server_default=EMPTY_LIST)
    ready: Mapped[bool] = mapped_column(server_default=text("true"))
    backend: Mapped[str] = mapped_column(String(300))
    """What runs the attempts that are placed here."""
    observed_at: Mapped[datetime] = mapped_column(server_default=NOW)


class FairUsage(Base):
    """The decayed average of an owner's dominant share of a pool, 0 to 1; written by the passes (FAIR_SHARE)."""

    __tablename__ = "fair_usage"

    pool: Mapped[str] = mapped_column(String(100), primary_key=True)
    owner_id: Mapped[UUID] = mapped_column(primary_key=True)
    usage: Mapped[float]


class Decision(Base):
    """What a pass said to a run, in order; it outlives the queue row, so that it explains the same days later."""

    __tablename__ = "decisions"

    execution_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=CLOCK)
    epoch: Mapped[int]
    record: Mapped[dict[str, Any]]


class Forecast(Base):
    """When a run was expected to start: as first told, and last; and when it did. Calibration is measured on these."""

    __tablename__ = "forecasts"
    __table_args__ = (Index("idx_forecasts_started", "started_at"),)

    execution_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    first_at: Mapped[datetime] = mapped_column(server_default=CLOCK)
    first_p50: Mapped[datetime]
    first_p90: Mapped[datetime]
    made_at: Mapped[datetime] = mapped_column(server_default=CLOCK)
    p50: Mapped[datetime]
    p90: Mapped[datetime]
    basis: Mapped[str] = mapped_column(String(20), server_default="history")
    """What it rests on (scheduler.forecast.estimate.Basis)."""
    started_at: Mapped[datetime | None]


class ForecastRound(Base):
    """When a pool's forecasts were last begun, by whichever worker came first; and what that cost in seconds."""

    __tablename__ = "forecast_rounds"

    pool: Mapped[str] = mapped_column(String(100), primary_key=True)
    claimed_at: Mapped[datetime] = mapped_column(server_default=CLOCK)
    seconds: Mapped[float] = mapped_column(server_default=text("0"))
    trials: Mapped[int] = mapped_column(server_default=text("0"))
    told: Mapped[int] = mapped_column(server_default=text("0"))


class NodeSnapshot(Base):
    """The nodes of a pool, packed; `version` rises with each change."""

    __tablename__ = "node_snapshots"

    pool: Mapped[str] = mapped_column(String(100), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    nodes: Mapped[int]
    packed: Mapped[bytes]
    observed_at: Mapped[datetime] = mapped_column(server_default=CLOCK)
