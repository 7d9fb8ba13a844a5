"""How a run is executed. The local backend validates and stores the Kubernetes fields, but does not use them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from model.fields import (
    FORBID,
    VOLUME_NAME_PATTERN,
    EnvName,
    EnvValue,
    LabelKey,
    LabelValue,
    MountPath,
    ObjectName,
    ResourceName,
    TolerationKey,
)
from model.retry import RetryPolicy

HOST_LABEL = "kubernetes.io/hostname"
ZONE_LABEL = "topology.kubernetes.io/zone"


class Operator(StrEnum):
    """The operator of a node selector expression."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GT = "Gt"
    LT = "Lt"


ExclusiveNames = Annotated[
    tuple[ResourceName, ...],
    Field(max_length=10, description="Names that only one run may hold at a time, such as staging-database"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSelectorRequirement:
    """One expression over a node's labels."""

    __pydantic_config__ = FORBID

    key: LabelKey
    operator: Operator
    values: Annotated[tuple[LabelValue, ...], Field(max_length=100)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSelectorTerm:
    """Expressions that must all hold. Several terms are alternatives."""

    __pydantic_config__ = FORBID

    match_expressions: Annotated[tuple[NodeSelectorRequirement, ...], Field(min_length=1, max_length=20)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferredTerm:
    """A term that a node should match, and its weight in the score."""

    __pydantic_config__ = FORBID

    weight: Annotated[int, Field(ge=1, le=100)]
    preference: NodeSelectorTerm


@dataclass(frozen=True, slots=True, kw_only=True)
class Affinity:
    """Node affinity: one term of `required` must hold, and each of `preferred` adds to the score."""

    __pydantic_config__ = FORBID

    required: Annotated[tuple[NodeSelectorTerm, ...], Field(max_length=20)] = ()
    preferred: Annotated[tuple[PreferredTerm, ...], Field(max_length=20)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsApart:
    """Anti-affinity: avoid each domain of `topology_key` that has an admitted run with all of `match_labels`.

    `topology_key` is a node label; nodes with the same value of it are one domain.
    """

    __pydantic_config__ = FORBID

    topology_key: LabelKey = HOST_LABEL
    match_labels: Annotated[dict[LabelKey, LabelValue], Field(min_length=1, max_length=20)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsSpread:
    """Topology spread of the runs with all of `match_labels`.

    The numbers of such runs in two domains of `topology_key` differ by `max_skew` at most.
    """

    __pydantic_config__ = FORBID

    topology_key: LabelKey = ZONE_LABEL
    match_labels: Annotated[dict[LabelKey, LabelValue], Field(min_length=1, max_length=20)]
    max_skew: Annotated[int, Field(ge=1, le=1000)] = 1


class TolerationOperator(StrEnum):
    """How a toleration compares its value with that of a taint."""

    EXISTS = "Exists"
    EQUAL = "Equal"


class Effect(StrEnum):
    """The effect of a taint."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Toleration:
    """A taint that the run accepts."""

    __pydantic_config__ = FORBID

    key: TolerationKey = ""
    operator: TolerationOperator = TolerationOperator.EQUAL
    value: LabelValue = ""
    effect: Effect | None = None
    toleration_seconds: Annotated[int | None, Field(ge=0)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeMount:
    """A volume and its mount path. Exactly one source is set: `config_map`, `secret`, `claim` or `empty_dir`."""

    __pydantic_config__ = FORBID

    name: Annotated[str, Field(pattern=VOLUME_NAME_PATTERN)]
    mount_path: MountPath
    read_only: bool = True
    config_map: ObjectName | None = None
    secret: ObjectName | None = None
    claim: ObjectName | None = None
    empty_dir: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionConfig:
    """How a run is executed. `timeout` is the limit of one attempt, in seconds."""

    __pydantic_config__ = FORBID

    parallelism: Annotated[int, Field(ge=1, le=1000, description="Number of shards that may run in parallel")] = 1
    timeout: Annotated[int, Field(ge=1, le=604_800, description="Seconds one attempt may take")] = 3600
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    env: Annotated[dict[EnvName, EnvValue], Field(max_length=200)] = field(default_factory=dict)
    volumes: Annotated[tuple[VolumeMount, ...], Field(max_length=20)] = ()
    service_account: ObjectName | None = None
    node_selector: Annotated[dict[LabelKey, LabelValue], Field(max_length=50)] = field(default_factory=dict)
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=50)] = ()
    affinity: Affinity = field(default_factory=Affinity)
    apart: Annotated[
        tuple[RunsApart, ...], Field(max_length=10, description="Runs whose nodes or zones this run avoids")
    ] = ()
    spread: Annotated[
        tuple[RunsSpread, ...], Field(max_length=10, description="Runs that are spread evenly over zones or nodes")
    ] = ()
    exclusive: ExclusiveNames = ()
    restartable: Annotated[
        bool, Field(description="May be preempted by a more important run and started again, where the pool allows it")
    ] = False
