"""A node as the gate sees it: what it has, and what it is called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from model.config import Effect
from model.ids import EXPERIMENTS, BackendName, NodeName
from model.resources import Resources

DEFAULT_BACKEND = BackendName("default")
"""The one backend of a pool that has no other: that of a simulation, for example."""
DEFAULT_PODS = 110
"""What a kubelet takes unless it is told otherwise."""
NO_BACKEND = BackendName("none")
"""The backend of runs that need none. Every worker serves it."""
NO_NODE = NodeName(NO_BACKEND)
"""Where those runs are placed: on its virtual node."""
FOR_ALL = (NO_BACKEND, EXPERIMENTS)
"""The backends that every worker serves."""
_UNLIMITED = 2**40

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
    virtual: bool = False
    """It stands for a whole backend, or for none: only runs that need no node are placed here (012.2)."""

    @property
    def spot(self) -> bool:
        """True when the provider may take the node away at short notice."""
        return not _SPOT_LABELS.isdisjoint(self.labels.items())


def differ_in_amounts_only(before: Sequence[Node], after: Sequence[Node]) -> bool:
    """Return whether two lists of nodes, each in order of name, have the same nodes with other amounts at most."""
    return len(before) == len(after) and all(
        old is new or replace(old, capacity=new.capacity, pods=new.pods) == new
        for old, new in zip(before, after, strict=True)
    )


def virtual_node(backend: BackendName, places: int = _UNLIMITED) -> Node:
    """Return the node on which the gate places runs that need this backend, but no node of it (012.2).

    It is named after the backend. It limits nothing but the runs that it has `places` for: the limits of pool, team and
    user do, and exclusive names.
    """
    capacity = Resources(cpu_milli=_UNLIMITED, memory_bytes=_UNLIMITED, ephemeral_bytes=_UNLIMITED, gpu=_UNLIMITED)
    return Node(name=NodeName(backend), capacity=capacity, pods=places, backend=backend, virtual=True)
