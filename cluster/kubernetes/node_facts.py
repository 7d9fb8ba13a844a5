"""What the nodes of a cluster can still give to tests: pure functions of its nodes and pods.

The gate counts the runs that it has placed itself. So from what a node can allocate, the requests of all other pods are
taken off, those of our pods that are being ended included: a kubelet counts a pod until its containers are gone.
Source: PodRequests of the package resource of kubernetes/kubernetes (facts/placement.md, section 1).
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from cluster.kubernetes import names, pod_facts
from cluster.kubernetes.api_objects import ApiNode, Container, NodeTaint, Pod
from model.config import Effect
from model.ids import NodeName, backend_of_cluster
from model.quantity import milli, whole
from model.resources import DEFAULT_GPU, Resources
from scheduler.values.node import Node, Taint

UNSCHEDULABLE = Taint(key="node.kubernetes.io/unschedulable", effect=Effect.NO_SCHEDULE)
"""What a cordon is. The node controller sets the taint a moment after the field."""
Amounts = tuple[int, int, int, int]
"""Milli-cores, bytes of memory, bytes of scratch disk, GPUs."""
NOTHING: Amounts = (0, 0, 0, 0)


def nodes_of(nodes: Iterable[ApiNode], pods: Iterable[Pod], cluster: str, gpu: str = DEFAULT_GPU) -> list[Node]:
    """Return the nodes with what is left of them, in order of name. A node that is being removed is not there."""
    used: dict[NodeName, list[Use]] = defaultdict(list)
    for pod in pods:
        if (use := use_of(pod, cluster, gpu)) is not None:
            used[use.node].append(use)
    whole_nodes = [node_of(node, cluster, gpu) for node in nodes if node.metadata.deletion_timestamp is None]
    return sorted((left_of(node, used[node.name]) for node in whole_nodes), key=lambda node: node.name)


@dataclass(frozen=True, slots=True)
class Use:
    """What one pod takes of its node."""

    node: NodeName
    amounts: Amounts


def use_of(pod: Pod, cluster: str, gpu: str = DEFAULT_GPU) -> Use | None:
    """Return what a pod takes of its node; None if it takes nothing, or if the gate counts it."""
    if not pod.spec.node_name or _is_counted_by_gate(pod) or _is_over(pod):
        return None
    return Use(names.gate_node(pod.spec.node_name, cluster), requests(pod, gpu))


def left_of(node: Node, uses: Collection[Use]) -> Node:
    """Return what these pods leave of a node."""
    if not uses:
        return node
    cpu, memory, disk, gpu = _sum(use.amounts for use in uses)
    whole_node = node.capacity
    left = Resources(
        cpu_milli=max(0, whole_node.cpu_milli - cpu),
        memory_bytes=max(0, whole_node.memory_bytes - memory),
        ephemeral_bytes=max(0, whole_node.ephemeral_bytes - disk),
        gpu=max(0, whole_node.gpu - gpu),
    )
    return replace(node, capacity=left, pods=max(0, node.pods - len(uses)))


def node_of(node: ApiNode, cluster: str, gpu: str = DEFAULT_GPU) -> Node:
    """Return a node with all that it can allocate."""
    cpu, memory, disk, gpus = _amounts(node.status.allocatable, gpu)
    return Node(
        name=names.gate_node(node.metadata.name, cluster),
        capacity=Resources(cpu_milli=cpu, memory_bytes=memory, ephemeral_bytes=disk, gpu=gpus),
        pods=_quantity(node.status.allocatable, "pods", whole),
        labels={**node.metadata.labels, names.CLUSTER: cluster},
        taints=tuple(_taints(node)),
        ready=any(condition.type == "Ready" and condition.status == "True" for condition in node.status.conditions),
        backend=backend_of_cluster(cluster),
    )


def requests(pod: Pod, gpu: str = DEFAULT_GPU) -> Amounts:
    """Return what a pod requests of its node: containers and sidecars, or its largest init container, and overhead."""
    sidecars = NOTHING
    largest = NOTHING
    for container in pod.spec.init_containers:
        asked = _asked(container, gpu)
        if container.restart_policy == "Always":
            sidecars = _sum([sidecars, asked])
            largest = _larger(largest, sidecars)
        else:
            largest = _larger(largest, _sum([sidecars, asked]))
    running = _sum([sidecars, *(_asked(container, gpu) for container in pod.spec.containers)])
    return _sum([_larger(running, largest), _amounts(pod.spec.overhead, gpu)])


def _is_counted_by_gate(pod: Pod) -> bool:
    """Return whether the pod is that of a run which the gate holds a place for."""
    ours = names.attempt_of(pod.metadata) is not None
    return ours and pod.metadata.deletion_timestamp is None


def _is_over(pod: Pod) -> bool:
    return pod.status.phase in {"Succeeded", "Failed"} and pod_facts.is_dead(pod)


def _taints(node: ApiNode) -> Iterator[Taint]:
    known = [taint for one in node.spec.taints if (taint := _taint(one)) is not None]
    yield from known
    if node.spec.unschedulable and UNSCHEDULABLE not in known:
        yield UNSCHEDULABLE


def _taint(taint: NodeTaint) -> Taint | None:
    """Return a taint, None for an effect that this version does not know."""
    try:
        return Taint(key=taint.key, effect=Effect(taint.effect), value=taint.value)
    except ValueError:
        return None


def _asked(container: Container, gpu: str) -> Amounts:
    return _amounts(container.resources.requests, gpu)


def _amounts(quantities: Mapping[str, str], gpu: str) -> Amounts:
    return (
        _quantity(quantities, "cpu", milli),
        _quantity(quantities, "memory", whole),
        _quantity(quantities, "ephemeral-storage", whole),
        _quantity(quantities, gpu, whole),
    )


def _quantity(quantities: Mapping[str, str], name: str, unit: Callable[[str], int]) -> int:
    return unit(quantities.get(name, "0"))


def _sum(amounts: Iterable[Amounts]) -> Amounts:
    cpu, memory, disk, gpu = (sum(kind) for kind in zip(*amounts, strict=True))
    return cpu, memory, disk, gpu


def _larger(one: Amounts, other: Amounts) -> Amounts:
    cpu, memory, disk, gpu = (max(pair) for pair in zip(one, other, strict=True))
    return cpu, memory, disk, gpu
