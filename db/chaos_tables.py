"""The tables of experiments. Names and columns are the original design's (lld.md, section 5), with some of ours.

`chaos_executions` of the design is a view over `runs` and `chaos_runs`, as `test_executions` is one (008.2).
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Computed, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Numeric, String

from chaos.approval import ApprovalState
from chaos.provider import FaultStatus
from db.table_base import EMPTY_LIST, EMPTY_OBJECT, NEW_ID, NOW, Base

OPEN_FAULTS = text("status NOT IN ('reverted', 'residual')")
DIGEST = "md5(definition::text)"


class ChaosExperiment(Base):
    """An experiment as it was written. `definition` is all of it; the columns of the design are parts of it."""

    __tablename__ = "chaos_experiments"
    __table_args__ = (
        UniqueConstraint("created_by", "digest", name="one_experiment_a_definition"),
        Index("idx_chaos_experiments_creator", "created_by"),
    )

    experiment_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    definition: Mapped[dict[str, Any]]
    name: Mapped[str] = mapped_column(String(255), Computed("definition ->> 'name'", persisted=True))
    fault_spec: Mapped[list[Any]] = mapped_column(JSONB, Computed("definition -> 'faults'", persisted=True))
    target_selector: Mapped[dict[str, Any]] = mapped_column(Computed("definition -> 'target'", persisted=True))
    hypothesis: Mapped[dict[str, Any]] = mapped_column(Computed("definition -> 'hypothesis'", persisted=True))
    duration_seconds: Mapped[int] = mapped_column(
        Computed("(definition ->> 'durationSeconds')::integer", persisted=True)
    )
    halt_conditions: Mapped[list[Any] | None] = mapped_column(
        JSONB, Computed("definition -> 'haltConditions'", persisted=True)
    )
    digest: Mapped[str] = mapped_column(Computed(DIGEST, persisted=True))
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.user_id"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)


class ChaosRun(Base):
    """What only a run of kind `experiment` has, beside its row in `runs`."""

    __tablename__ = "chaos_runs"
    __table_args__ = (Index("idx_chaos_runs_experiment", "experiment_id"),)

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    experiment_id: Mapped[UUID] = mapped_column(ForeignKey("chaos_experiments.experiment_id"))
    state: Mapped[dict[str, Any] | None]
    resolution: Mapped[dict[str, Any] | None]
    decisions: Mapped[list[Any]] = mapped_column(JSONB, server_default=EMPTY_LIST)
    phases: Mapped[list[Any]] = mapped_column(JSONB, server_default=EMPTY_LIST)
    progress: Mapped[dict[str, Any] | None]
    ending: Mapped[str | None] = mapped_column(String(30))
    hypothesis_validated: Mapped[bool | None]
    baseline_metrics: Mapped[dict[str, Any] | None]
    chaos_metrics: Mapped[dict[str, Any] | None]
    recovery_metrics: Mapped[dict[str, Any] | None]
    journal: Mapped[dict[str, Any] | None]
    report: Mapped[str | None]


class ChaosResult(Base):
    """One metric of an execution in its three windows."""

    __tablename__ = "chaos_results"
    __table_args__ = (UniqueConstraint("execution_id", "metric_name", name="one_result_a_metric"),)

    result_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    execution_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    metric_name: Mapped[str] = mapped_column(String(255))
    baseline_value: Mapped[float | None] = mapped_column(Numeric(asdecimal=False))
    chaos_value: Mapped[float | None] = mapped_column(Numeric(asdecimal=False))
    recovery_value: Mapped[float | None] = mapped_column(Numeric(asdecimal=False))
    measured_at: Mapped[datetime] = mapped_column(server_default=NOW)


class ChaosFault(Base):
    """One fault on one target. The row is there before the fault is in the world, with the time of its expiry."""

    __tablename__ = "chaos_faults"
    __table_args__ = (
        CheckConstraint(f"status IN ({', '.join(repr(one.value) for one in FaultStatus)})", name="valid_fault_status"),
        Index("idx_chaos_faults_execution", "execution_id"),
        Index("idx_chaos_faults_open", "expires_at", postgresql_where=OPEN_FAULTS),
    )

    fault_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    execution_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    number: Mapped[int]
    name: Mapped[str]
    type: Mapped[str] = mapped_column(String(50))
    place: Mapped[str]
    service: Mapped[str]
    target: Mapped[str]
    identity: Mapped[str]
    status: Mapped[str] = mapped_column(String(20))
    written_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime]
    injected_at: Mapped[datetime | None]
    reverted_at: Mapped[datetime | None]
    effect: Mapped[str | None]
    effect_seen: Mapped[bool | None]
    remains: Mapped[list[Any]] = mapped_column(JSONB, server_default=EMPTY_LIST)


class ChaosStop(Base):
    """The stop switch: while a row has no `resumed_at`, no experiment may begin."""

    __tablename__ = "chaos_stops"

    stop_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    reason: Mapped[str]
    stopped_by: Mapped[str]
    stopped_at: Mapped[datetime] = mapped_column(server_default=NOW)
    resumed_by: Mapped[str | None]
    resumed_at: Mapped[datetime | None]


class ChaosConnection(Base):
    """A system that experiments ask: what must work without Prefect is copied here from a block of it."""

    __tablename__ = "chaos_connections"
    __table_args__ = (
        CheckConstraint("kind IN ('prometheus', 'incidents', 'webhook', 'alertmanager')", name="valid_connection_kind"),
    )

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    url: Mapped[str] = mapped_column(String(2000))
    secret: Mapped[str | None] = mapped_column(String(1000))
    options: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY_OBJECT)
    connected_at: Mapped[datetime] = mapped_column(server_default=NOW)


class ChaosApproval(Base):
    """What a second person is asked for about an execution, and what the answer was."""

    __tablename__ = "chaos_approvals"
    __table_args__ = (
        CheckConstraint(
            f"state IN ({', '.join(repr(one.value) for one in ApprovalState)})", name="valid_approval_state"
        ),
    )

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    rules: Mapped[list[Any]]
    approvers: Mapped[list[Any]]
    digest: Mapped[str] = mapped_column(String(80))
    state: Mapped[str] = mapped_column(String(20), server_default=ApprovalState.WAITING)
    requested_at: Mapped[datetime] = mapped_column(server_default=NOW)
    begins_at: Mapped[datetime]
    holds_seconds: Mapped[float]
    expires_at: Mapped[datetime]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    comment: Mapped[str] = mapped_column(server_default="")


class ChaosCordon(Base):
    """A target that no experiment may use, until a person uncordons it."""

    __tablename__ = "chaos_cordons"

    path: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    cordoned_by: Mapped[str]
    cordoned_at: Mapped[datetime] = mapped_column(server_default=NOW)
