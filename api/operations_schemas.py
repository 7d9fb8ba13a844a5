"""Response bodies about the queue, nodes, quotas, pools and statistics."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from api.schemas import P50, P90, Out, Paged


class QueueEntry(Out):
    """A waiting run."""

    execution_id: UUID
    name: str
    user: str
    team: str | None
    priority: int
    position: int | None = Field(description="1 is next; null during a backoff")
    reason: str = Field(description="Why the run waits, in one sentence")
    enqueued_at: datetime
    waited_seconds: float
    not_before: datetime | None
    share: float | None = Field(
        description="Usage of its team divided by the weight of the team; the smallest is next (FAIR_SHARE)"
    )
    estimated_start_time: datetime | None = Field(description=P50)
    estimated_start_time_p90: datetime | None = Field(description=P90)


class QueueList(Paged):
    """The waiting runs of a pool, in the order in which they will be admitted."""

    pool: str
    entries: list[QueueEntry]


class NodeOut(Out):
    """A node: its capacity, and the amounts that admitted runs hold."""

    name: str
    ready: bool
    cpu_milli: int
    memory_bytes: int
    ephemeral_bytes: int
    gpu: int
    pods: int = Field(description="Number of runs that may be on the node at the same time")
    cpu_milli_held: int
    memory_bytes_held: int
    ephemeral_bytes_held: int
    gpu_held: int
    runs: int = Field(description="Number of admitted runs on the node")
    utilization: float = Field(description="Held share of the resource of which the largest share is held, 0 to 1")
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
    """Limits on the amounts that runs hold together, as Kubernetes quantities. null means no limit."""

    max_cpu: str | None
    max_memory: str | None
    max_ephemeral_storage: str | None
    max_gpu: int | None


class HeldAmounts(Out):
    """The amounts that admitted runs hold, as Kubernetes quantities."""

    cpu: str
    memory: str
    ephemeral_storage: str
    gpu: int


class QuotaUse(Ceilings):
    """The limits of one user or team, and what it uses."""

    name: str
    max_concurrent_tests: int | None = Field(description="null means no limit")
    max_daily_tests: int | None = Field(description="null means no limit")
    weight: float = Field(description="Weight of its share relative to others (FAIR_SHARE)")
    concurrent: int = Field(description="Number of admitted runs now")
    held: HeldAmounts
    today: int = Field(description="Number of runs submitted since midnight UTC")
    remaining_today: int | None = Field(description="null means no limit")


class Quota(Out):
    """The quota of a user and of the user's team, or of a team alone."""

    user: QuotaUse | None
    team: QuotaUse | None
    resets_at: datetime


class PoolOut(Ceilings):
    """A pool: nodes that share one queue, and its settings."""

    name: str
    max_concurrent_tests: int
    max_concurrent_experiments: int = Field(
        description="Number of chaos experiments that run at once; they take no place of a test"
    )
    max_daily_tests: int | None = Field(
        description="Number of runs that may be submitted on one day (UTC); null means no limit"
    )
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
    """The runs of one tool in the last 24 hours."""

    type: str
    total: int
    completed: int
    failed: int
    cancelled: int = 0
    timeout: int = 0
    average_duration_seconds: float | None


class Statistics(Out):
    """The runs of the last 24 hours by tool."""

    since: datetime
    types: list[TypeStatistics]


class FlakyTest(Out):
    """A test that both passed and failed with the same version of its definition, on the same commit."""

    definition: str
    version: str
    commit: str | None = Field(description="The commit, if the content is from git")
    test_name: str
    total_runs: int
    passes: int
    failures: int
    failure_rate: float = Field(description="In percent, with two digits")


class FlakyList(Out):
    """Flaky tests, those with the most failures first."""

    days: int
    tests: list[FlakyTest]


class TeamOut(Out):
    """A team."""

    name: str
    members: int = Field(description="Number of users in the team")
    created_at: datetime


class TeamUsesOut(Out):
    """What tests of a team use that do not say it themselves."""

    uses: list[str]


class TeamRulesOut(Out):
    """The rules of a team about its experiments."""

    team: str
    rules: dict[str, Any] = Field(description="The rules, as they can be sent again")


class KeyOut(Out):
    """A key of a person, without its secret."""

    key_id: str
    user: str
    created_at: datetime
    revoked_at: datetime | None


class KeyList(Out):
    """All keys of a person, the oldest first."""

    keys: list[KeyOut]


class NewKeyOut(Out):
    """A new key. It is shown this once."""

    key_id: str
    user: str
    key: str = Field(description="What the person sends as `Authorization: Bearer <key>`")


class TeamList(Paged):
    """A page of teams, in order of name."""

    teams: list[TeamOut]


class UserOut(Out):
    """A user."""

    name: str
    email: str
    team: str | None
    roles: list[str]
    active: bool
    created_at: datetime


class UserList(Paged):
    """A page of users, in order of name."""

    users: list[UserOut]
