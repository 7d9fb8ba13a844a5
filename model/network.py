"""What a test may connect to from its pod, besides the name server: declared targets."""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator, Field

from model import forms
from model.fields import FORBID, LabelKey, LabelValue

Cidr = Annotated[str, Field(min_length=1, max_length=50), AfterValidator(forms.cidr)]
Labels = dict[LabelKey, LabelValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkTarget:
    """Addresses or pods that a test may connect to. Exactly one of `cidr` and the labels is set.

    Without `namespace_labels` the pods are those of the test's own namespace.
    """

    __pydantic_config__ = FORBID

    cidr: Annotated[Cidr | None, Field(description="Addresses, such as 10.20.0.0/16")] = None
    pod_labels: Annotated[Labels, Field(max_length=20, description="Pods that have all these labels")] = field(
        default_factory=dict
    )
    namespace_labels: Annotated[
        Labels, Field(max_length=20, description="Namespaces that have all these labels, in which the pods are")
    ] = field(default_factory=dict)
    ports: Annotated[
        tuple[Annotated[int, Field(ge=1, le=65_535)], ...],
        Field(max_length=20, description="TCP and UDP ports; empty for all"),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What a test may connect to, where its cluster enforces network policies."""

    __pydantic_config__ = FORBID

    targets: Annotated[
        tuple[NetworkTarget, ...], Field(max_length=20, description="What the pod may connect to, besides DNS")
    ] = ()
