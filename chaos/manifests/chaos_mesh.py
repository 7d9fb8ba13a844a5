"""The object of Chaos Mesh of a fault: the same fault gives the same manifest.

It names one pod with mode `all`: an empty selector would select everything. A fault that lasts has a duration, which
the controller counts from the creation of the object. It is longer than the fault, so that it is only the last resort.
Source: api/v1alpha1 of chaos-mesh/chaos-mesh.
"""

from chaos.fault_types import (
    ContainerKill,
    CpuStress,
    Direction,
    ExceptionInjection,
    Fault,
    MemoryStress,
    NetworkLatency,
    NetworkPacketLoss,
    NetworkPartition,
    PodDelete,
    PodKill,
    Provider,
)
from chaos.manifests.naming import FAULT_LABEL, fault_name, object_name
from chaos.provider import FaultId, refusal
from chaos.targets import Target
from model.json_values import JsonObject

GROUP = "chaos-mesh.org"
VERSION = "v1alpha1"
PLURALS = {
    "PodChaos": "podchaos",
    "NetworkChaos": "networkchaos",
    "StressChaos": "stresschaos",
    "HTTPChaos": "httpchaos",
}
LENGTH_ANNOTATION = "assay.dev/fault-seconds"
"""How long the fault lasts. The duration of the object is longer, and an object that kills has none."""
START_SECONDS = 300
"""What an injection may take after the creation, before the duration would cut the fault short."""
DIRECTIONS = {Direction.INGRESS: "from", Direction.EGRESS: "to", Direction.BOTH: "both"}


def render_chaos_mesh(fault: Fault, target: Target, fault_id: FaultId) -> JsonObject:
    """Return the object. Raises: ValueError if the fault is refused."""
    if problem := refusal(Provider.CHAOS_MESH, fault):
        raise ValueError(problem)
    kind, spec = _spec(fault)
    lasts = {} if is_one_shot(fault) else {"duration": f"{fault.duration_seconds + START_SECONDS}s"}
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": kind,
        "metadata": {
            "name": object_name(fault_id),
            "namespace": target.place,
            "labels": {FAULT_LABEL: fault_name(fault_id)},
            "annotations": {LENGTH_ANNOTATION: str(fault.duration_seconds)},
        },
        "spec": {"mode": "all", "selector": {"pods": {target.place: [target.name]}}, **lasts, **spec},
    }


def is_one_shot(fault: Fault) -> bool:
    """Say whether the object of a fault never says AllRecovered: a killed pod is not recovered."""
    return isinstance(fault.parameters, PodDelete | PodKill | ContainerKill)


def _spec(fault: Fault) -> tuple[str, JsonObject]:
    match fault.parameters:
        case PodDelete() | PodKill() | ContainerKill() as kill:
            return "PodChaos", _pod(kill)
        case NetworkLatency() | NetworkPacketLoss() | NetworkPartition() as network:
            return "NetworkChaos", _network(network)
        case CpuStress(load_percent=load, workers=workers):
            return "StressChaos", {"stressors": {"cpu": {"workers": workers, "load": round(load)}}}
        case MemoryStress(megabytes=megabytes):
            return "StressChaos", {"stressors": {"memory": {"workers": 1, "size": f"{megabytes}MB", "oomScoreAdj": 0}}}
        case ExceptionInjection() as error:
            return "HTTPChaos", _replaced(error)
        case _:
            raise ValueError(f"Chaos Mesh has no object for {fault.type}")


def _pod(kill: PodDelete | PodKill | ContainerKill) -> JsonObject:
    if isinstance(kill, ContainerKill):
        return {"action": "container-kill", "containerNames": [kill.container]}
    return {"action": "pod-kill", "gracePeriod": kill.grace_period_seconds if isinstance(kill, PodDelete) else 0}


def _network(fault: NetworkLatency | NetworkPacketLoss | NetworkPartition) -> JsonObject:
    match fault:
        case NetworkLatency(latency_ms=latency, jitter_ms=jitter):
            delay: JsonObject = {"latency": f"{latency}ms", "jitter": f"{jitter}ms", "correlation": "0"}
            return {"action": "delay", "direction": "to", "delay": delay}
        case NetworkPacketLoss(percent=percent):
            return {"action": "loss", "direction": "to", "loss": {"loss": f"{percent:g}", "correlation": "0"}}
        case NetworkPartition(direction=direction):
            return {"action": "partition", "direction": DIRECTIONS[direction]}


def _replaced(error: ExceptionInjection) -> JsonObject:
    path = f"{error.path_prefix.rstrip('*')}*"
    return {"target": "Response", "port": error.port, "path": path, "replace": {"code": error.status}}
