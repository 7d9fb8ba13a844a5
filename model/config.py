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
    ImageName,
    LabelKey,
    LabelValue,
    MountPath,
    ObjectName,
    RelativePath,
    ResourceName,
    TolerationKey,
)
from model.network import Network
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


Uses = Annotated[
    tuple[ResourceName, ...],
    Field(
        max_length=20,
        description="What the test uses, together with other tests, and no experiment may disturb meanwhile: "
        "k8s/CLUSTER/NAMESPACE or local/ENVIRONMENT, or /SERVICE of these. Unless given what its team uses",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSelectorRequirement:
    """One expression over a node's labels."""

    __pydantic_config__ = FORBID

    key: Annotated[LabelKey, Field(description="A label of the node")]
    operator: Annotated[Operator, Field(description="How the label is compared with the values")]
    values: Annotated[
        tuple[LabelValue, ...],
        Field(max_length=100, description="Empty for Exists and DoesNotExist; one for Gt and Lt"),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSelectorTerm:
    """Expressions that must all hold. Several terms are alternatives."""

    __pydantic_config__ = FORBID

    match_expressions: Annotated[
        tuple[NodeSelectorRequirement, ...],
        Field(min_length=1, max_length=20, description="Expressions over labels of a node; all of them must hold"),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferredTerm:
    """A term that a node should match, and its weight in the score."""

    __pydantic_config__ = FORBID

    weight: Annotated[int, Field(ge=1, le=100, description="How much it counts beside the other preferences")]
    preference: Annotated[NodeSelectorTerm, Field(description="What the node should be like")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Affinity:
    """Node affinity: one term of `required` must hold, and each of `preferred` adds to the score."""

    __pydantic_config__ = FORBID

    required: Annotated[
        tuple[NodeSelectorTerm, ...], Field(max_length=20, description="Alternatives of which one must hold")
    ] = ()
    preferred: Annotated[tuple[PreferredTerm, ...], Field(max_length=20, description="What adds to the score")] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsApart:
    """Anti-affinity: avoid each domain of `topology_key` that has an admitted run with all of `match_labels`.

    `topology_key` is a node label; nodes with the same value of it are one domain.
    """

    __pydantic_config__ = FORBID

    topology_key: Annotated[LabelKey, Field(description="Nodes with the same value of this label are one domain")] = (
        HOST_LABEL
    )
    match_labels: Annotated[
        dict[LabelKey, LabelValue], Field(min_length=1, max_length=20, description="Labels of the runs to avoid")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsSpread:
    """Topology spread of the runs with all of `match_labels`.

    The numbers of such runs in two domains of `topology_key` differ by `max_skew` at most.
    """

    __pydantic_config__ = FORBID

    topology_key: Annotated[LabelKey, Field(description="Nodes with the same value of this label are one domain")] = (
        ZONE_LABEL
    )
    match_labels: Annotated[
        dict[LabelKey, LabelValue], Field(min_length=1, max_length=20, description="Labels of the runs to spread")
    ]
    max_skew: Annotated[
        int, Field(ge=1, le=1000, description="By how many the numbers of runs in two domains may differ")
    ] = 1


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

    key: Annotated[TolerationKey, Field(description="Key of the taint; empty for all taints, with Exists")] = ""
    operator: Annotated[TolerationOperator, Field(description="Equal compares the value, Exists only the key")] = (
        TolerationOperator.EQUAL
    )
    value: Annotated[LabelValue, Field(description="Value of the taint")] = ""
    effect: Annotated[Effect | None, Field(description="Effect of the taint; null for all")] = None
    toleration_seconds: Annotated[
        int | None, Field(ge=0, description="How long the run may stay on a node that gets the taint (NoExecute)")
    ] = None


class ImagePullPolicy(StrEnum):
    """When the kubelet pulls an image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeMount:
    """A volume and its mount path. Exactly one source is set: `config_map`, `secret`, `claim` or `empty_dir`."""

    __pydantic_config__ = FORBID

    name: Annotated[str, Field(pattern=VOLUME_NAME_PATTERN, description="Name of the volume")]
    mount_path: Annotated[MountPath, Field(description="Absolute path in the container")]
    read_only: Annotated[bool, Field(description="The test cannot write to it")] = True
    config_map: Annotated[ObjectName | None, Field(description="Source: a ConfigMap")] = None
    secret: Annotated[ObjectName | None, Field(description="Source: a Secret of Kubernetes")] = None
    claim: Annotated[ObjectName | None, Field(description="Source: a PersistentVolumeClaim")] = None
    empty_dir: Annotated[bool, Field(description="Source: an empty folder that ends with the run")] = False
    sub_path: Annotated[
        RelativePath | None, Field(description="The folder or file of the volume that is mounted instead of its root")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionConfig:
    """How a run is executed. `timeout` is the limit of one attempt, in seconds."""

    __pydantic_config__ = FORBID

    parallelism: Annotated[int, Field(ge=1, le=1000, description="Number of shards that may run in parallel")] = 1
    timeout: Annotated[int, Field(ge=1, le=604_800, description="Seconds one attempt may take")] = 3600
    retry_policy: Annotated[RetryPolicy, Field(description="Which failed runs are tried again")] = field(
        default_factory=RetryPolicy
    )
    env: Annotated[
        dict[EnvName, EnvValue], Field(max_length=200, description="More environment variables; they win over `env`")
    ] = field(default_factory=dict)
    volumes: Annotated[tuple[VolumeMount, ...], Field(max_length=20, description="Volumes (Kubernetes)")] = ()
    image: Annotated[
        ImageName | None, Field(description="The image of the pod (Kubernetes); without it that of the cluster")
    ] = None
    image_pull_policy: Annotated[ImagePullPolicy, Field(description="When the image is pulled (Kubernetes)")] = (
        ImagePullPolicy.IF_NOT_PRESENT
    )
    service_account: Annotated[ObjectName | None, Field(description="Service account (Kubernetes)")] = None
    priority_class: Annotated[
        ObjectName | None,
        Field(description="Priority class of the pod, one that the cluster allows; it evicts no other pod"),
    ] = None
    runtime_class: Annotated[
        ObjectName | None, Field(description="Runtime class of the pod, one that the cluster allows, such as gvisor")
    ] = None
    network: Annotated[Network, Field(description="What the pod may connect to (Kubernetes)")] = field(
        default_factory=Network
    )
    node_selector: Annotated[
        dict[LabelKey, LabelValue], Field(max_length=50, description="Labels that the node must have")
    ] = field(default_factory=dict)
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=50, description="Taints that the run accepts")] = ()
    affinity: Annotated[Affinity, Field(description="What the node must or should be like")] = field(
        default_factory=Affinity
    )
    apart: Annotated[
        tuple[RunsApart, ...], Field(max_length=10, description="Runs whose nodes or zones this run avoids")
    ] = ()
    spread: Annotated[
        tuple[RunsSpread, ...], Field(max_length=10, description="Runs that are spread evenly over zones or nodes")
    ] = ()
    exclusive: ExclusiveNames = ()
    uses: Uses = ()
    restartable: Annotated[
        bool, Field(description="May be preempted by a more important run and started again, where the pool allows it")
    ] = False
