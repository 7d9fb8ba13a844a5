"""The tables. Names and columns are the original design's (lld.md, section 5); times know their zone."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    ForeignKey,
    Identity,
    Index,
    UniqueConstraint,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import String

from db.table_base import EMPTY_LIST, EMPTY_OBJECT, NEW_ID, NOW, Base, Xid8
from model.execution import Phase, Status
from model.resources import DEFAULT_GPU
from model.suite_windows import SuiteWindow

USER_QUOTA = text("""'{"max_concurrent_tests": 10, "max_daily_tests": 100}'::jsonb""")
TEAM_QUOTA = text("""'{"max_concurrent_tests": 50, "max_daily_tests": 1000}'::jsonb""")
IS_TEST = text("kind = 'test'")

RESULT_IDENTITY = (
    "md5(COALESCE(suite, ''::text) || chr(31) || COALESCE(classname, ''::text) || chr(31)"
    " || COALESCE(case_name, test_name::text) || chr(31) || COALESCE(parameters, ''::text) || chr(31)"
    " || COALESCE(project, ''::text) || chr(31) || result_index::text)"
)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


class Team(Base):
    """A team, its quota and settings."""

    __tablename__ = "teams"
    __table_args__ = (CheckConstraint("weight > 0", name="positive_weight_of_teams"),)

    team_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    team_name: Mapped[str] = mapped_column(String(100), unique=True)
    quota: Mapped[dict[str, Any]] = mapped_column(server_default=TEAM_QUOTA)
    weight: Mapped[float] = mapped_column(server_default=text("1"))
    """Its part of a pool under FAIR_SHARE, beside that of others."""
    settings: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY_OBJECT)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class User(Base):
    """A person or a service. `password_hash` is '!' for who cannot log in."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("weight > 0", name="positive_weight_of_users"),
        Index("idx_users_email", "email"),
        Index("idx_users_team", "team_id"),
    )

    user_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    username: Mapped[str] = mapped_column(String(100), unique=True)
    email: Mapped[str] = mapped_column(String(255), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    team_id: Mapped[UUID | None] = mapped_column(ForeignKey("teams.team_id"))
    roles: Mapped[list[Any]] = mapped_column(server_default=EMPTY_LIST)
    quota: Mapped[dict[str, Any]] = mapped_column(server_default=USER_QUOTA)
    weight: Mapped[float] = mapped_column(server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    last_login: Mapped[datetime | None]
    active: Mapped[bool] = mapped_column(server_default=text("true"))


class UserKey(Base):
    """A key by which the API knows a person. Only the digest of it is kept."""

    __tablename__ = "user_keys"
    __table_args__ = (Index("idx_user_keys_user", "user_id"),)

    key_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.user_id"))
    digest: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    revoked_at: Mapped[datetime | None]


class TestDefinition(Base):
    """What is run: unique by owner, name and version, where the version is a digest of everything that is run."""

    __tablename__ = "test_definitions"
    __table_args__ = (
        CheckConstraint(
            "type IN ('selenium', 'cypress', 'postman', 'k6', 'playwright', 'pytest', 'event', 'custom')",
            name="valid_type",
        ),
        UniqueConstraint("owner_id", "name", "version", name="one_definition_a_version"),
        Index("idx_test_definitions_owner", "owner_id", postgresql_where=text("deleted = false")),
        Index("idx_test_definitions_type", "type", postgresql_where=text("deleted = false")),
        Index("idx_test_definitions_metadata", "metadata", postgresql_using="gin"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    name: Mapped[str] = mapped_column(String(255))
    type: Mapped[str] = mapped_column(String(50))
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.user_id"))
    content: Mapped[dict[str, Any]]
    resources: Mapped[dict[str, Any]]
    config: Mapped[dict[str, Any]]
    run: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY_OBJECT)
    """command, arguments, junit, setup, env: what the original design has no column for."""
    meta: Mapped[dict[str, Any]] = mapped_column("metadata", server_default=EMPTY_OBJECT)
    """labels, tags, priority."""
    version: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)
    deleted: Mapped[bool] = mapped_column(server_default=text("false"))


class TestTag(Base):
    """A tag of a definition; `tag_value` is empty for a plain tag."""

    __tablename__ = "test_tags"
    __table_args__ = (
        UniqueConstraint("definition_id", "tag_name", "tag_value", name="one_tag_once"),
        Index("idx_test_tags_name", "tag_name", "tag_value"),
    )

    tag_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    definition_id: Mapped[UUID] = mapped_column(ForeignKey("test_definitions.id", ondelete="CASCADE"))
    tag_name: Mapped[str] = mapped_column(String(255))
    tag_value: Mapped[str] = mapped_column(String(255), server_default="")


class Run(Base):
    """A run of any kind. `epoch` is the fencing token of its last admission; a holder of an older one changes nothing.

    What only one kind has is in the table of its details. The view `test_executions` joins the two for tests.
    """

    __tablename__ = "runs"
    __table_args__ = (
        CheckConstraint("kind ~ '^[a-z][a-z_]*$'", name="valid_kind"),
        CheckConstraint(
            f"status IN ({_listed(Status)}) OR (status = 'skipped' AND kind = 'suite')", name="valid_status"
        ),
        CheckConstraint(f"phase IN ({_listed(Phase)})", name="valid_phase"),
        CheckConstraint("priority BETWEEN 0 AND 9", name="valid_priority"),
        Index("idx_runs_status", "status"),
        Index("idx_runs_submitted_at", text("submitted_at DESC"), postgresql_where=IS_TEST),
        Index("idx_runs_user", "submitted_by", "submitted_at", postgresql_where=IS_TEST),
        Index("idx_runs_team", "team_id", "submitted_at", postgresql_where=IS_TEST),
        Index("idx_runs_pool", "pool", "submitted_at", postgresql_where=IS_TEST),
        Index("idx_runs_parent", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
        Index("idx_runs_suites", "submitted_at", postgresql_where=text("kind = 'suite'")),
        Index("idx_runs_open_suites", "submitted_at", postgresql_where=text("kind = 'suite' AND completed_at IS NULL")),
        Index(
            "idx_runs_suffix",
            literal_column("reverse(replace(id::text, '-', ''))").label("suffix"),
            postgresql_ops={"suffix": "text_pattern_ops"},
        ),
        Index(
            "idx_runs_unsettled",
            "completed_at",
            postgresql_where=text("settled = false AND completed_at IS NOT NULL"),
        ),
        Index(
            "idx_runs_ended_team",
            "team_id",
            "completed_at",
            postgresql_where=text("completed_at IS NOT NULL AND kind = 'test'"),
        ),
        Index(
            "one_run_a_key",
            "submitted_by",
            "idempotency_key",
            unique=True,
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    kind: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(50))
    phase: Mapped[str] = mapped_column(String(20))
    epoch: Mapped[int] = mapped_column(server_default=text("0"))
    priority: Mapped[int] = mapped_column(server_default=text("5"))
    door: Mapped[str] = mapped_column(String(20))
    pool: Mapped[str] = mapped_column(ForeignKey("pools.name"))
    submitted_by: Mapped[UUID] = mapped_column(ForeignKey("users.user_id"))
    team_id: Mapped[UUID | None] = mapped_column(ForeignKey("teams.team_id"))
    submitted_at: Mapped[datetime] = mapped_column(server_default=NOW)
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    retry_count: Mapped[int] = mapped_column(server_default=text("0"))
    infrastructure_count: Mapped[int] = mapped_column(server_default=text("0"))
    node_name: Mapped[str | None] = mapped_column(String(255))
    failure_reason: Mapped[str | None] = mapped_column(String(30))
    detail: Mapped[str] = mapped_column(server_default="")
    cancel_requested_at: Mapped[datetime | None]
    cancelled_by: Mapped[str | None]
    retried_from: Mapped[UUID | None] = mapped_column(ForeignKey("runs.id"))
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("runs.id"))
    """The suite run to which a test belongs."""
    flow_run_id: Mapped[UUID | None] = mapped_column(unique=True)
    settled: Mapped[bool] = mapped_column(server_default=text("false"))
    """True once Prefect is known to show the verdict too; the reconciler works on the others."""
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    """Chosen by the sender, who gets this run again for the same key and the same request."""
    request_digest: Mapped[str | None] = mapped_column(String(64))


class TestRunDetails(Base):
    """What only a run of kind `test` has."""

    __tablename__ = "test_run_details"
    __table_args__ = (Index("idx_test_run_details_definition", "definition_id"),)

    execution_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    definition_id: Mapped[UUID] = mapped_column(ForeignKey("test_definitions.id"))
    pod_name: Mapped[str | None] = mapped_column(String(255))
    metrics: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY_OBJECT)
    progress: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY_OBJECT)
    provenance: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY_OBJECT)
    """commit or content, and tools: what was run (`model/provenance.py`)."""


class SuiteRun(Base):
    """What only a run of kind `suite` has. Its tests have it as their parent."""

    __tablename__ = "suite_runs"
    __table_args__ = (
        CheckConstraint(f"current_window IN ({_listed(SuiteWindow)})", name="valid_suite_window"),
        Index("idx_suite_runs_name", "name", "suite_run_id"),
    )

    suite_run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    """A UUID of version 7, so that the order of these ids is the order of the submits."""
    name: Mapped[str] = mapped_column(String(255))
    definition: Mapped[dict[str, Any]]
    note: Mapped[str] = mapped_column(server_default="")
    host: Mapped[str | None] = mapped_column(String(255))
    """The worker in which the flow of this suite waits; another worker goes on when that one is gone."""
    current_window: Mapped[str | None] = mapped_column(String(20))
    """How far the experiment is that the suite carries (028); NULL for a suite without one."""


class TestAttempt(Base):
    """One launch for an execution; written when it starts, closed when it ends."""

    __tablename__ = "test_attempts"
    __table_args__ = (
        CheckConstraint("cause IN ('first', 'retry', 'infrastructure', 'preempted', 'placement')", name="valid_cause"),
        Index("idx_test_attempts_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
        Index(
            "idx_test_attempts_definition",
            "definition_id",
            "ended_at",
            postgresql_where=text("ended_at IS NOT NULL AND definition_id IS NOT NULL"),
        ),
    )

    execution_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    definition_id: Mapped[UUID | None]
    """What was launched: the definition of the run. By it the last durations of a test are found in one index."""
    epoch: Mapped[int]
    cause: Mapped[str] = mapped_column(String(20))
    node: Mapped[str | None] = mapped_column(String(255))
    started_at: Mapped[datetime] = mapped_column(server_default=NOW)
    ended_at: Mapped[datetime | None]
    exit_code: Mapped[int | None]
    status: Mapped[str | None] = mapped_column(String(50))
    failure_reason: Mapped[str | None] = mapped_column(String(30))
    detail: Mapped[str] = mapped_column(server_default="")


class TestResult(Base):
    """One test's outcome in one attempt."""

    __tablename__ = "test_results"
    __table_args__ = (
        CheckConstraint("status IN ('passed', 'failed', 'skipped')", name="valid_result_status"),
        UniqueConstraint("execution_id", "attempt", "test_name", name="one_result_a_test"),
        Index("idx_test_results_execution", "execution_id"),
        Index("idx_test_results_status", "status"),
        Index("idx_test_results_name", "test_name"),
        Index("idx_test_results_identity", "identity", "executed_at"),
        CheckConstraint("kind IN ('error', 'xfail', 'xpass', 'not_run')", name="valid_result_kind"),
    )

    result_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    execution_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    attempt: Mapped[int] = mapped_column(server_default=text("1"))
    test_name: Mapped[str] = mapped_column(String(500))
    status: Mapped[str] = mapped_column(String(20))
    duration_ms: Mapped[int]
    error_message: Mapped[str | None]
    stack_trace: Mapped[str | None]
    assertions: Mapped[list[Any]] = mapped_column(server_default=EMPTY_LIST)
    executed_at: Mapped[datetime] = mapped_column(server_default=NOW)
    kind: Mapped[str | None] = mapped_column(String(20))
    """What the status means where it does not say enough; null where it does."""
    other_failures: Mapped[list[Any]] = mapped_column(server_default=EMPTY_LIST)
    suite: Mapped[str | None]
    classname: Mapped[str | None]
    case_name: Mapped[str | None]
    parameters: Mapped[str | None]
    project: Mapped[str | None]
    result_index: Mapped[int] = mapped_column(server_default=text("1"))
    identity: Mapped[str] = mapped_column(Computed(RESULT_IDENTITY, persisted=True))
    """A digest of the parts before it: which test this is, whichever run it is of. History goes by it."""


class TestArtifact(Base):
    """A file that a run left. `s3_path` holds its URI, `file:` or `s3:`; the name is the original design's."""

    __tablename__ = "test_artifacts"
    __table_args__ = (
        CheckConstraint(
            "artifact_type IN ('screenshot', 'video', 'log', 'report', 'other')", name="valid_artifact_type"
        ),
        UniqueConstraint("execution_id", "attempt", "file_name", name="one_artifact_a_name"),
        Index("idx_test_artifacts_execution", "execution_id"),
        Index("idx_test_artifacts_type", "artifact_type"),
    )

    artifact_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=NEW_ID)
    execution_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    attempt: Mapped[int] = mapped_column(server_default=text("1"))
    artifact_type: Mapped[str] = mapped_column(String(50))
    file_name: Mapped[str] = mapped_column(String(500))
    s3_path: Mapped[str] = mapped_column(String(1000))
    file_size_bytes: Mapped[int] = mapped_column(BigInteger)
    content_type: Mapped[str | None] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Secret(Base):
    """A secret by reference (`env:`, `file:`, `kubernetes:`), never by value. An empty team means everybody's."""

    __tablename__ = "secrets"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    team: Mapped[str] = mapped_column(String(100), primary_key=True, server_default="")
    reference: Mapped[str] = mapped_column(String(1000))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Cluster(Base):
    """A Kubernetes cluster (D27). `kubeconfig` is a reference as the worker sees it; none means: in the cluster."""

    __tablename__ = "clusters"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    namespace: Mapped[str] = mapped_column(String(63))
    image: Mapped[str] = mapped_column(String(500))
    kubeconfig: Mapped[str | None] = mapped_column(String(1000))
    context: Mapped[str | None] = mapped_column(String(253))
    labels: Mapped[dict[str, str]] = mapped_column(JSONB, server_default=EMPTY_OBJECT)
    gpu: Mapped[str] = mapped_column(String(253), server_default=DEFAULT_GPU)
    priority_classes: Mapped[list[str]] = mapped_column(JSONB, server_default=EMPTY_LIST)
    runtime_classes: Mapped[list[str]] = mapped_column(JSONB, server_default=EMPTY_LIST)
    control_plane: Mapped[bool] = mapped_column(server_default=text("false"))
    network_required: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class DeploymentUser(Base):
    """The user that runs of a Prefect deployment count for; the service user `prefect` where there is no row."""

    __tablename__ = "deployment_users"

    deployment: Mapped[str] = mapped_column(String(300), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.user_id"))


class Outbox(Base):
    """Ends of runs, for subscribers (db/outbox.py). No foreign key: an entry may outlive its run."""

    __tablename__ = "outbox"

    xid: Mapped[int] = mapped_column(Xid8, primary_key=True, server_default=text("pg_current_xact_id()"))
    position: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    kind: Mapped[str] = mapped_column(String(30))
    run_id: Mapped[UUID]
    payload: Mapped[dict[str, Any]]
