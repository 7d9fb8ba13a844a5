"""What the API answers about the house: queue, nodes, quotas, pools, statistics."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from api.schemas import Out, Paged


class QueueEntry(Out):
    """A run that waits."""

    execution_id: UUID
    name: str
    user: str
    priority: int
    position: int | None = Field(description="1 is next; null in backoff")
    reason: str = Field(description="Why it waits, in one sentence")
    enqueued_at: datetime
    not_before: datetime | None


class QueueList(Paged):
    """The waiting runs of a pool in the order of service."""

    pool: str
    entries: list[QueueEntry]


class NodeOut(Out):
    """A node: what it has, and what admitted runs hold of it."""

    name: str
    ready: bool
    cpu_milli: int
    memory_bytes: int
    ephemeral_bytes: int
    gpu: int
    pods: int = Field(description="Runs that it takes at once")
    cpu_milli_held: int
    memory_bytes_held: int
    runs: int = Field(description="Runs that hold a place on it")
    labels: dict[str, str]


class NodeList(Out):
    """The nodes of a pool."""

    pool: str
    nodes: list[NodeOut]


class QuotaUse(Out):
    """Limits and use of one user or team."""

    name: str
    max_concurrent_tests: int
    max_daily_tests: int
    concurrent: int = Field(description="Runs that hold a place now")
    today: int = Field(description="Runs submitted since midnight UTC")
    remaining_today: int


class Quota(Out):
    """The caller's quota, and that of the caller's team."""

    user: QuotaUse
    team: QuotaUse | None
    resets_at: datetime


class PoolOut(Out):
    """Capacity that one gate guards, and its settings."""

    name: str
    max_concurrent_tests: int
    scheduling_interval_seconds: float
    default_node_selector: dict[str, str]
    enable_spot_instances: bool
    target_node_utilization: float
    strategy: str
    ageing_limit_seconds: float


class TypeStatistics(Out):
    """One tool's runs of the last 24 hours."""

    type: str
    total: int
    completed: int
    failed: int
    cancelled: int = 0
    timeout: int = 0
    average_duration_seconds: float | None


class Statistics(Out):
    """The last 24 hours."""

    since: datetime
    types: list[TypeStatistics]


class FlakyTest(Out):
    """A test that both passed and failed on the same definition version."""

    definition: str
    version: str
    test_name: str
    total_runs: int
    passes: int
    failures: int
    failure_rate: float = Field(description="Percent, two digits")


class FlakyList(Out):
    """Flaky tests, most failures first."""

    days: int
    tests: list[FlakyTest]
