"""What an object of Chaos Mesh says about a fault: pure functions of its conditions and records.

A killed pod is never recovered, so one-shot objects never say AllRecovered; nobody may wait for it. Only an object that
is gone, by a finalizer that nobody removed by force, is reverted for sure.
Source: api/v1alpha1/status.go of chaos-mesh/chaos-mesh.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chaos.manifests.operator_state import OperatorState, Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshRecord:
    """What became of one target: its phase, how often it was injected, and the last failure."""

    id: str
    phase: str = "Not Injected"
    injected: int = 0
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshObject:
    """The status of an object. `conditions` are the values by type. `deleted`: somebody has deleted it."""

    conditions: Mapping[str, bool] = field(default_factory=dict)
    records: tuple[MeshRecord, ...] = ()
    deleted: bool = False


def mesh_state(found: MeshObject | None) -> OperatorState:
    """Return how far the injection is."""
    if found is None:
        return OperatorState(seen=Seen.FAILED, words="its object is gone")
    failures = "; ".join(record.failure for record in found.records if record.failure)
    words = f" ({failures})" if failures else ""
    if found.deleted or found.conditions.get("Paused"):
        why = "being deleted" if found.deleted else "paused"
        return OperatorState(seen=Seen.FAILED, words=f"its object is {why}{words}")
    if found.conditions.get("AllInjected") and any(record.injected for record in found.records):
        return OperatorState(seen=Seen.ACTIVE, words=", ".join(f"{one.id} {one.phase}" for one in found.records))
    if not found.conditions:
        return OperatorState(seen=Seen.WAITING, words="no controller of Chaos Mesh has taken it up")
    if not found.conditions.get("Selected"):
        return OperatorState(seen=Seen.WAITING, words=f"Chaos Mesh selects no pod{words}")
    return OperatorState(seen=Seen.WAITING, words=f"it is selected, and not injected{words}")


def is_over(found: MeshObject | None, *, one_shot: bool) -> bool:
    """Say whether the fault is over although nobody asked for that: its duration has passed, or it was deleted."""
    if found is None:
        return True
    recovered = found.conditions.get("AllRecovered", False)
    return recovered and not one_shot and all(record.phase != "Injected" for record in found.records)


def mesh_left(found: MeshObject | None, kind: str, *, one_shot: bool) -> tuple[str, ...]:
    """Return what is left of a fault after its object was deleted."""
    if found is None:
        return ()
    injected = [] if one_shot else [one for one in found.records if one.phase == "Injected"]
    left = [f"{one.id} is still injected{f': {one.failure}' if one.failure else ''}" for one in injected]
    return (f"the {kind} is still there", *left)
