"""The native fault provider of a cluster: what the Kubernetes API alone can do, held by a guard in the cluster.

The worker makes the guard's objects, says that it is alive, and looks. The guard does everything else.
"""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from chaos.fault_types import Provider
from chaos.manifests.kubernetes import (
    ApplyPolicy,
    DeletePod,
    EndContainer,
    KubernetesAction,
    StressContainer,
    render_kubernetes,
)
from chaos.provider import FaultId, refusal
from cluster.backend import UnavailableError
from cluster.faults.kubernetes.guard_objects import Order
from cluster.faults.kubernetes.guarded import Guarded
from cluster.faults.kubernetes.target_check import check_isolated, checked
from cluster.faults.provider import HEARTBEAT_PATIENCE, Effect, InjectError, Injection
from cluster.kubernetes import canary
from cluster.kubernetes.api_objects import Pod
from cluster.kubernetes.canary import Enforcement, Found
from cluster.kubernetes.connection import ApiError, Connection

COUNTED = {"delete": "ended", "term": "restarts", "policy": "cut"}


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesFaults(Guarded):
    """Faults of the native provider. `enforcement` finds out whether the cluster enforces network policies."""

    enforcement: Callable[[Connection], Found] = canary.look
    heartbeat_seconds: float = HEARTBEAT_PATIENCE.total_seconds()
    _seen: list[Found] = field(default_factory=list, repr=False)

    async def inject(self, injection: Injection) -> None:
        """Start the guard, which injects. Returns when the fault is active. Raises: InjectError."""
        if problem := refusal(Provider.KUBERNETES, injection.fault):
            raise InjectError(problem)
        try:
            if await asyncio.to_thread(self.guards.record, injection.id) is None:
                order = await asyncio.to_thread(self._order, injection)
                await asyncio.to_thread(self.guards.start, order)
        except (ApiError, UnavailableError) as failed:
            await self.revert(injection.id)
            raise InjectError(str(failed)) from failed
        await self.until_injected(injection)

    def _order(self, injection: Injection) -> Order:
        """Return what the guard shall do. Raises: InjectError, ApiError, UnavailableError."""
        pod = checked(self.connection, injection.target)
        action = render_kubernetes(injection.fault, injection.target, injection.id)
        if isinstance(action, ApplyPolicy):
            self._check_policies(pod, action)
        host = isinstance(action, EndContainer) and self.guards.host_allowed()
        kind, values = _described(action)
        return Order(
            fault=injection.id,
            namespace=injection.target.place,
            pod=injection.target.name,
            uid=injection.target.identity,
            kind=kind,
            action={**values, "host_pid": host},
            seconds=injection.expires_after.total_seconds(),
            heartbeat_seconds=self.heartbeat_seconds,
            node=pod.spec.node_name if host else None,
        )

    def _check_policies(self, pod: Pod, action: ApplyPolicy) -> None:
        """Refuse a partition that would cut nothing. Raises: InjectError, ApiError, UnavailableError."""
        if not self._seen:
            self._seen.append(self.enforcement(self.connection))
        found = self._seen[-1]
        if found.enforcement is not Enforcement.ENFORCED:
            self._seen.clear()  # it may be mended
            raise InjectError(f"a partition needs a network that enforces policies: {found.words}")
        spec = action.manifest["spec"]
        check_isolated(self.connection, pod, tuple(spec["policyTypes"]))  # type: ignore[index,arg-type,call-overload]

    async def effect(self, fault: FaultId) -> Effect:
        """Return what the guard has seen its fault do until now, or until its end."""
        record = await self._record(fault)
        if record is None:
            return Effect(seen=False, sentence="there is no trace of it")
        action, seen = record.spec.get("action"), record.state.effect or {}
        said = ", ".join(f"{name.replace('_', ' ')}: {value:g}" for name, value in seen.items())
        does = _does(str(record.spec.get("kind")), action if isinstance(action, dict) else {}, seen)
        return Effect(seen=does, sentence=said or "no effect was seen")


def _does(kind: str, action: dict[str, object], seen: dict[str, float]) -> bool:
    """Say whether what was counted is an effect: pods or containers that ended, connections cut, or enough used."""
    if kind != "stress":
        return seen.get(COUNTED[kind], 0) > 0
    used = {
        "cpu": seen.get("cpus_under_fault", 0.0) - seen.get("cpus_before", 0.0),
        "memory": seen.get("held_megabytes", 0.0),
        "disk": seen.get("written_megabytes", 0.0),
    }
    return used[str(action["measure"])] >= float(str(action["at_least"]))


def _described(action: KubernetesAction) -> tuple[str, dict[str, object]]:
    """Return the guard's word for an action, and its values."""
    match action:
        case DeletePod():
            return "delete", asdict(action)
        case EndContainer():
            return "term", asdict(action)
        case StressContainer():
            return "stress", asdict(action)
        case ApplyPolicy():
            return "policy", asdict(action)
