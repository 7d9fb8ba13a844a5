"""What an experiment aims at, and how much it may affect."""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from model.fields import FORBID, LabelKey, LabelValue, ObjectName

PROTECTED_NAMESPACES = frozenset(
    {
        "kube-system",
        "kube-public",
        "kube-node-lease",
        "istio-system",
        "linkerd",
        "cert-manager",
        "litmus",
        "chaos-mesh",
        "monitoring",
        "assay",
        "prefect",
        "calico-system",
        "calico-apiserver",
        "tigera-operator",
        "gatekeeper-system",
        "kyverno",
    }
)
"""Namespaces that no experiment may aim at: the control plane, the mesh, what observes, and Assay itself."""
PROTECTED_PREFIXES = ("kube-", "openshift-")
OPT_IN_LABEL = "assay.dev/chaos"
OPT_IN_VALUE = "allowed"
"""The label that a namespace or a pod must have. A local service says `chaos: allowed` in its file."""


def is_protected(namespace: str) -> bool:
    """Say whether a namespace is one that no experiment may aim at."""
    return namespace in PROTECTED_NAMESPACES or namespace.startswith(PROTECTED_PREFIXES)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSelector:
    """The services that a fault is injected into. Exactly one of `environment` and `namespace` is set.

    `environment` names a file of local services. `namespace` is one of a cluster; there `labels` or `service` chooses.
    """

    __pydantic_config__ = FORBID

    environment: Annotated[ObjectName | None, Field(description="local: the name of the services' file")] = None
    cluster: Annotated[ObjectName | None, Field(description="Kubernetes: the name of the cluster")] = None
    namespace: Annotated[ObjectName | None, Field(description="Kubernetes")] = None
    labels: Annotated[
        dict[LabelKey, LabelValue], Field(max_length=20, description="Kubernetes: all of these must match")
    ] = field(default_factory=dict)
    service: Annotated[ObjectName | None, Field(description="The service")] = None
    count: Annotated[
        int | None, Field(ge=1, le=1000, description="How many of those that match, by name; default: all")
    ] = None

    @property
    def place(self) -> str:
        """Return the path of the environment or the namespace."""
        return f"local/{self.environment}" if self.environment else f"k8s/{self.cluster}/{self.namespace}"

    @property
    def claim(self) -> str:
        """Return the path of the claim: the environment or namespace, and the service if there is one."""
        return f"{self.place}/{self.service}" if self.service else self.place


@dataclass(frozen=True, slots=True, kw_only=True)
class BlastRadius:
    """The most that an experiment may affect. It is checked at the plan, at admission and at the injection."""

    __pydantic_config__ = FORBID

    max_targets: Annotated[int, Field(ge=1, le=1000, description="Pods or processes")] = 1
    max_percent: Annotated[
        float, Field(gt=0, le=100, description="Share of the pods or processes that the target selects from")
    ] = 100.0
    namespaces: Annotated[tuple[ObjectName, ...], Field(max_length=20, description="Default: the target's")] = ()
    services: Annotated[tuple[ObjectName, ...], Field(max_length=50, description="Default: any")] = ()
    max_traffic_percent: Annotated[
        float | None, Field(gt=0, le=100, description="Share of all requests that reach the targets")
    ] = None
