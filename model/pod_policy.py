"""What a cluster allows the pods of tests beyond the rules that hold everywhere. Its row says it; see `db.clusters`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from model.config import ExecutionConfig, Toleration, TolerationOperator
from model.problems import Finding

CONTROL_PLANE = frozenset({"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"})
"""Keys of the taints that keep pods off the nodes of the API server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPolicy:
    """What pods may ask for: classes by name, and nodes of the control plane. By default none of it."""

    priority_classes: frozenset[str] = frozenset()
    runtime_classes: frozenset[str] = frozenset()
    control_plane: bool = False


NOTHING_ALLOWED = PodPolicy()


def any_of(policies: Iterable[PodPolicy]) -> PodPolicy:
    """Return what at least one of several clusters allows."""
    known = [NOTHING_ALLOWED, *policies]
    return PodPolicy(
        priority_classes=frozenset().union(*(one.priority_classes for one in known)),
        runtime_classes=frozenset().union(*(one.runtime_classes for one in known)),
        control_plane=any(one.control_plane for one in known),
    )


def violations(config: ExecutionConfig, policy: PodPolicy) -> Iterator[Finding]:
    """Yield what a request asks for and the policy does not allow, each with its place in the request."""
    if config.priority_class is not None and config.priority_class not in policy.priority_classes:
        message = f"is none that a cluster allows; allowed are {_listed(policy.priority_classes)}"
        yield Finding(location=("config", "priorityClass"), message=message)
    if config.runtime_class is not None and config.runtime_class not in policy.runtime_classes:
        message = f"is none that a cluster allows; allowed are {_listed(policy.runtime_classes)}"
        yield Finding(location=("config", "runtimeClass"), message=message)
    for position, toleration in enumerate(config.tolerations):
        if _reaches_control_plane(toleration) and not policy.control_plane:
            message = "reaches nodes of the control plane, which no cluster allows to tests"
            yield Finding(location=("config", "tolerations", position, "key"), message=message)


def _reaches_control_plane(toleration: Toleration) -> bool:
    every = toleration.operator is TolerationOperator.EXISTS and not toleration.key
    return every or toleration.key in CONTROL_PLANE


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none"
