"""What the guard of the native provider does to a pod for a fault. What is not real there is refused by name."""

from dataclasses import dataclass
from typing import TypeAlias

from chaos.fault_types import (
    ContainerKill,
    CpuStress,
    Direction,
    Fault,
    MemoryStress,
    NetworkPartition,
    Parameters,
    PodDelete,
    PodKill,
    Provider,
)
from chaos.manifests import scripts
from chaos.manifests.naming import FAULT_LABEL, TARGET_LABEL, fault_name, object_name
from chaos.provider import FaultId, refusal
from chaos.targets import Target
from model.json_values import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletePod:
    """Delete a pod by name and UID, again whenever its successor runs unless `once`."""

    grace_seconds: int
    once: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EndContainer:
    """End the main process of a container, again whenever it runs again unless `once`.

    `look` prints the status of the process, which says whether it handles TERM; `argv` ends it. Both run inside.
    """

    container: str | None
    once: bool
    look: tuple[str, ...]
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StressContainer:
    """Run `argv` inside of the target container until its input ends. `clean` ends what is left, and prints it.

    `measure` is what must be seen to be used: cpu (CPUs above those used before), memory (megabytes of the cgroup), or
    disk (megabytes written). Less than `at_least` is no effect.
    """

    argv: tuple[str, ...]
    clean: tuple[str, ...]
    measure: str
    at_least: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyPolicy:
    """Label the pod and create a NetworkPolicy for the label. The revert takes both away."""

    manifest: JsonObject


KubernetesAction: TypeAlias = DeletePod | EndContainer | StressContainer | ApplyPolicy

LOOK = ("sh", "-c", 'while read -r line; do echo "$line"; done </proc/1/status')
TERM = ("sh", "-c", "kill -TERM 1")
LEAST_CPUS = 0.05
LEAST_SHARE = 0.5
"""A memory stress must be seen to hold this share of what it was asked to."""
KINDS = {Direction.INGRESS: ["Ingress"], Direction.EGRESS: ["Egress"], Direction.BOTH: ["Ingress", "Egress"]}


def render_kubernetes(fault: Fault, target: Target, fault_id: FaultId) -> KubernetesAction:
    """Return what is done to a pod. Raises: ValueError if it is refused."""
    if problem := refusal(Provider.KUBERNETES, fault):
        raise ValueError(problem)
    match fault.parameters:
        case PodDelete() as delete:
            return DeletePod(grace_seconds=delete.grace_period_seconds, once=delete.once)
        case PodKill() as kill:
            return DeletePod(grace_seconds=0, once=kill.once)
        case ContainerKill() as kill:
            return EndContainer(container=kill.container, once=kill.once, look=LOOK, argv=TERM)
        case NetworkPartition() as partition:
            return ApplyPolicy(manifest=_policy(partition, target, fault_id))
        case stress:
            return _stress(stress, fault.duration_seconds, fault_id)


def _stress(stress: Parameters, seconds: int, fault_id: FaultId) -> StressContainer:
    argv, clean = scripts.stress(stress, seconds, fault_id), scripts.clean(stress, fault_id)
    match stress:
        case CpuStress():
            return StressContainer(argv=argv, clean=clean, measure="cpu", at_least=LEAST_CPUS)
        case MemoryStress(megabytes=megabytes):
            return StressContainer(argv=argv, clean=clean, measure="memory", at_least=megabytes * LEAST_SHARE)
        case _:
            return StressContainer(argv=argv, clean=clean, measure="disk", at_least=1)


def _policy(partition: NetworkPartition, target: Target, fault_id: FaultId) -> JsonObject:
    """Return a policy that allows the labelled pod nothing in the given directions."""
    labels: JsonObject = {FAULT_LABEL: fault_name(fault_id)}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": object_name(fault_id), "namespace": target.place, "labels": labels},
        "spec": {
            "podSelector": {"matchLabels": {TARGET_LABEL: fault_name(fault_id)}},
            "policyTypes": list(KINDS[partition.direction]),
        },
    }
