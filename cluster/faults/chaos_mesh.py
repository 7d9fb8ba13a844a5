"""The fault provider that asks Chaos Mesh: one object for each fault, which is deleted to revert it."""

from dataclasses import dataclass

from chaos.fault_types import Fault, Provider
from chaos.manifests import chaos_mesh
from chaos.manifests.chaos_mesh_status import MeshObject, MeshRecord, is_over, mesh_left, mesh_state
from chaos.manifests.operator_state import OperatorState
from chaos.provider import FaultId
from chaos.targets import Target
from cluster.faults.kubernetes.guard_jobs import Record
from cluster.faults.operator_faults import OperatorFaults, action_of, api_resources
from cluster.faults.provider import InjectError, Injection
from cluster.kubernetes.api_objects import ApiObject, Condition, Meta
from cluster.kubernetes.connection import Connection
from model.json_values import json_object

API = f"/apis/{chaos_mesh.GROUP}/{chaos_mesh.VERSION}"
FAILED = "Failed"


class RecordEvent(ApiObject):
    """What the daemon says about one operation."""

    type: str = ""
    operation: str = ""
    message: str = ""


class ContainerRecord(ApiObject):
    """What became of one target."""

    id: str = ""
    phase: str = ""
    injected_count: int = 0
    events: tuple[RecordEvent, ...] = ()


class MeshExperiment(ApiObject):
    """The records of an object."""

    container_records: tuple[ContainerRecord, ...] = ()


class MeshStatus(ApiObject):
    """The status of an object."""

    conditions: tuple[Condition, ...] = ()
    experiment: MeshExperiment = MeshExperiment()


class MeshApiObject(ApiObject):
    """An object of Chaos Mesh, of any kind."""

    metadata: Meta
    status: MeshStatus = MeshStatus()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosMeshFaults(OperatorFaults):
    """Faults by Chaos Mesh."""

    revert_seconds: float = 150.0
    tries: int = 120

    @property
    def provider(self) -> Provider:
        """Return which provider this is."""
        return Provider.CHAOS_MESH

    def preflight(self, fault: Fault, target: Target) -> None:
        """Look for the CRDs. Raises: InjectError with the remedy."""
        del fault, target
        if not is_there(self.connection):
            raise InjectError("Chaos Mesh is not in this cluster: install it by its Helm chart (chaos-mesh.org/docs)")

    def order(self, injection: Injection) -> tuple[str, dict[str, object], int]:
        """Return the guard's word for the action, its values, and how often it takes back."""
        manifest = chaos_mesh.render_chaos_mesh(injection.fault, injection.target, injection.id)
        plural = chaos_mesh.PLURALS[str(manifest["kind"])]
        values: dict[str, object] = {
            "path": f"{API}/namespaces/{injection.target.place}/{plural}",
            "manifest": manifest,
            "one_shot": chaos_mesh.is_one_shot(injection.fault),
        }
        return "mesh", values, self.tries

    def look(self, fault: FaultId, record: Record) -> OperatorState:
        """Return how far Chaos Mesh is. Raises: ApiError, UnavailableError."""
        del fault
        return mesh_state(self._object(record))

    def over(self, fault: FaultId, record: Record) -> bool:
        """Say whether Chaos Mesh has recovered it by itself. Raises: ApiError, UnavailableError."""
        del fault
        return is_over(self._object(record), one_shot=bool(action_of(record)["one_shot"]))

    def left(self, fault: FaultId, record: Record) -> tuple[str, ...]:
        """Return what Chaos Mesh has left. Raises: ApiError, UnavailableError."""
        del fault
        found = self._object(record)
        one_shot = bool(action_of(record)["one_shot"])
        if record.state.phase == "injected" and is_over(found, one_shot=one_shot):
            return ()
        kind = str(json_object(action_of(record)["manifest"])["kind"])
        return mesh_left(found, kind, one_shot=one_shot)

    def _object(self, record: Record) -> MeshObject | None:
        action = action_of(record)
        name = json_object(json_object(action["manifest"])["metadata"])["name"]
        found = self.connection.find(f"{action['path']}/{name}")
        if found is None:
            return None
        read = MeshApiObject.model_validate_json(found)
        return MeshObject(
            conditions={one.type: one.status == "True" for one in read.status.conditions},
            records=tuple(map(_record, read.status.experiment.container_records)),
            deleted=read.metadata.deletion_timestamp is not None,
        )


def _record(one: ContainerRecord) -> MeshRecord:
    failures = [event.message for event in one.events if event.type == FAILED]
    return MeshRecord(id=one.id, phase=one.phase, injected=one.injected_count, failure=failures[-1] if failures else "")


def is_there(connection: Connection) -> bool:
    """Say whether the cluster has the CRDs of Chaos Mesh. Raises: ApiError, UnavailableError."""
    return not api_resources(connection, API).isdisjoint(chaos_mesh.PLURALS.values())
