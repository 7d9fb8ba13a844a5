"""What the API answers about the queue, nodes, quotas, pools and statistics."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from api.schemas import Out, Paged


class QueueEntry(Out):
    """A run that waits."""

    execution_id: UUID
    name: str
    user: str
    team: str | None
    priority: int
    position: int | None = Field(description="1 is next; null in backoff")
    reason: str = Field(description="Why it waits, in one sentence")
    enqueued_at: datetime
    waited_seconds: float
    not_before: datetime | None
    share: float | None = Field(description="What its team has over its weight (FAIR_SHARE); the least goes first")
    estimated_start_time: datetime | None = Field(description="With even odds before this; null while unknown")
    estimated_start_time_p90: datetime | None = Field(description="Nine times of ten before this; null while unknown")


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
    ephemeral_bytes_held: int
    gpu_held: int
    runs: int = Field(description="Runs that hold a place on it")
    utilization: float = Field(description="Part that is held of what it has, of that amount of which most is held")
    labels: dict[str, str]
    backend: str = Field(description="What runs the tests that are placed here")
    served: bool = Field(description="A live worker serves it; else nothing is started here")
    absent_since: datetime | None = Field(description="When it was first seen without a live worker; null if served")
    absent_seconds: float | None = Field(description="The time without a live worker that counts until it is lost")


class NodeForgotten(Out):
    """A node that was removed."""

    node: str
    pool: str
    runs_given_up: int = Field(description="Runs that held a place there; they are tried elsewhere")


class NodeList(Out):
    """The nodes of a pool."""

    pool: str
    nodes: list[NodeOut]


class Ceilings(Out):
    """What runs may hold together, as Kubernetes quantities; null: no limit."""

    max_cpu: str | None
    max_memory: str | None
    max_ephemeral_storage: str | None
    max_gpu: int | None


class HeldAmounts(Out):
    """What runs that have a place hold, as Kubernetes quantities."""

    cpu: str
    memory: str
    ephemeral_storage: str
    gpu: int


class QuotaUse(Ceilings):
    """Limits and use of one user or team."""

    name: str
    max_concurrent_tests: int | None = Field(description="null: no limit")
    max_daily_tests: int | None = Field(description="null: no limit")
    weight: float = Field(description="Its fair share beside others (FAIR_SHARE)")
    concurrent: int = Field(description="Runs that hold a place now")
    held: HeldAmounts
    today: int = Field(description="Runs submitted since midnight UTC")
    remaining_today: int | None = Field(description="null: no limit")


class Quota(Out):
    """The quota of a user and of the user's team, or of a team alone."""

    user: QuotaUse | None
    team: QuotaUse | None
    resets_at: datetime


class PoolOut(Ceilings):
    """Capacity that one gate guards, and its settings."""

    name: str
    max_concurrent_tests: int
    max_daily_tests: int | None = Field(description="Runs submitted a day (UTC); null: no limit")
    scheduling_interval_seconds: float
    default_node_selector: dict[str, str]
    enable_spot_instances: bool
    target_node_utilization: float
    strategy: str
    ageing_limit_seconds: float
    fixed_nodes: bool
    profile: str
    candidates: int
    backfill_after_seconds: float
    half_life_seconds: float
    preemption: bool
    min_runtime_seconds: float


class PoolList(Out):
    """All pools."""

    pools: list[PoolOut]


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
