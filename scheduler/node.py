"""A node as the gate sees it: what it has, and what it is called."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from model.config import Effect
from model.ids import BackendName, NodeName
from model.resources import Resources

DEFAULT_BACKEND = BackendName("default")
"""The one backend of a pool that has no other: that of a simulation, for example."""
DEFAULT_PODS = 110
"""What a kubelet takes unless it is told otherwise."""

_SPOT_LABELS = frozenset(
    {
        ("spot", "true"),
        ("karpenter.sh/capacity-type", "spot"),
        ("eks.amazonaws.com/capacityType", "SPOT"),
        ("cloud.google.com/gke-spot", "true"),
        ("kubernetes.azure.com/scalesetpriority", "spot"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """What keeps runs away that do not tolerate it."""

    key: str
    effect: Effect
    value: str = ""

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The facts of one node. `capacity` is what runs may use of it, `pods` how many of them it takes at once.

    `backend` runs what is placed here: only a worker that serves it can start a run on this node.
    """

    name: NodeName
    capacity: Resources
    pods: int = DEFAULT_PODS
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    ready: bool = True
    backend: BackendName = DEFAULT_BACKEND

    @property
    def spot(self) -> bool:
        """True when the provider may take the node away at short notice."""
        return not _SPOT_LABELS.isdisjoint(self.labels.items())
