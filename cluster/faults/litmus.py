"""The fault provider that asks Litmus: one ChaosEngine for each fault, which is stopped to revert it, and stays."""

from dataclasses import dataclass

from chaos.fault_types import Fault, Provider
from chaos.manifests import litmus
from chaos.manifests.litmus_status import ENDED, Engine, Result, engine_left, engine_state
from chaos.manifests.operator_state import OperatorState
from chaos.provider import FaultId
from chaos.targets import Target
from cluster.faults.kubernetes.guard_jobs import Record
from cluster.faults.operator_faults import OperatorFaults, action_of, api_resources
from cluster.faults.provider import InjectError, Injection
from cluster.kubernetes.api_objects import ApiObject, Meta, PodList
from cluster.kubernetes.connection import Connection
from model.json_values import json_object

API = f"/apis/{litmus.GROUP}/{litmus.VERSION}"
MANIFEST = "deploy/kubernetes/litmus-rbac.yaml"
WARNING = "Warning"


class ExperimentStatus(ApiObject):
    """How far the experiment of an engine is."""

    status: str = ""


class EngineStatus(ApiObject):
    """The status of an engine."""

    engine_status: str = ""
    experiments: tuple[ExperimentStatus, ...] = ()


class EngineObject(ApiObject):
    """A ChaosEngine."""

    metadata: Meta
    status: EngineStatus = EngineStatus()


class ErrorOutput(ApiObject):
    """Why an experiment failed."""

    error_code: str = ""
    reason: str = ""


class ResultStatus(ApiObject):
    """The verdict of a result."""

    phase: str = ""
    verdict: str = ""
    error_output: ErrorOutput = ErrorOutput()


class HistoryTarget(ApiObject):
    """What became of a target."""

    name: str = ""
    chaos_status: str = ""


class History(ApiObject):
    """What a result says about targets."""

    targets: tuple[HistoryTarget, ...] = ()


class ResultDetails(ApiObject):
    """The status of a result."""

    experiment_status: ResultStatus = ResultStatus()
    history: History = History()


class ResultObject(ApiObject):
    """A ChaosResult."""

    metadata: Meta
    status: ResultDetails = ResultDetails()


class EngineEvent(ApiObject):
    """An event about an engine."""

    type: str = ""
    reason: str = ""
    message: str = ""


class EngineEvents(ApiObject):
    """Events."""

    items: tuple[EngineEvent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LitmusFaults(OperatorFaults):
    """Faults by Litmus."""

    revert_seconds: float = 330.0
    tries: int = 300
    """Litmus may take its grace period and 180 s to stop."""

    @property
    def provider(self) -> Provider:
        """Return which provider this is."""
        return Provider.LITMUS

    def preflight(self, fault: Fault, target: Target) -> None:
        """Look for CRDs, experiment and service account. Raises: InjectError with the remedy."""
        if not is_there(self.connection):
            raise InjectError("Litmus is not in this cluster: install its operator and CRDs (docs.litmuschaos.io)")
        name = litmus.experiment_of(fault).name
        if self.connection.find(f"{API}/namespaces/{target.place}/chaosexperiments/{name}") is None:
            words = f"{target.place} has no ChaosExperiment {name}: kubectl apply -n {target.place} -f fault.yaml, "
            raise InjectError(f"{words}from faults/kubernetes/{name} of litmuschaos/chaos-charts")
        if self.connection.find(f"/api/v1/namespaces/{target.place}/serviceaccounts/{litmus.ACCOUNT}") is None:
            words = f"{target.place} has no service account {litmus.ACCOUNT} for Litmus: see {MANIFEST}"
            raise InjectError(words)

    def order(self, injection: Injection) -> tuple[str, dict[str, object], int]:
        """Return the guard's word for the action, its values, and how often it takes back."""
        manifest = litmus.render_litmus(injection.fault, injection.target, injection.id)
        values: dict[str, object] = {
            "path": f"{API}/namespaces/{injection.target.place}/{litmus.PLURAL}",
            "manifest": manifest,
            "result": litmus.result_name(injection.fault, injection.id),
            "experiment": litmus.experiment_of(injection.fault).name,
        }
        return "engine", values, self.tries

    def look(self, fault: FaultId, record: Record) -> OperatorState:
        """Return how far Litmus is. Raises: ApiError, UnavailableError."""
        del fault
        engine, result = self._engine(record), self._result(record)
        return engine_state(engine, result, self._warnings(record, engine))

    def over(self, fault: FaultId, record: Record) -> bool:
        """Say whether Litmus has ended the engine. Raises: ApiError, UnavailableError."""
        del fault
        engine = self._engine(record)
        return engine is None or engine.engine_status in ENDED

    def left(self, fault: FaultId, record: Record) -> tuple[str, ...]:
        """Return what Litmus has left. Raises: ApiError, UnavailableError."""
        del fault
        engine = self._engine(record)
        pods: list[str] = []
        if engine is not None:
            query = ("labelSelector", f"chaosUID={engine.uid}")
            listed = PodList.model_validate_json(self.connection.get(f"{_place(record)}/pods", query))
            pods = [pod.metadata.name for pod in listed.items if pod.status.phase in {"Pending", "Running"}]
        return engine_left(str(action_of(record)["experiment"]), engine, self._result(record), pods)

    def _engine(self, record: Record) -> Engine | None:
        action = action_of(record)
        name = json_object(json_object(action["manifest"])["metadata"])["name"]
        found = self.connection.find(f"{action['path']}/{name}")
        if found is None:
            return None
        read = EngineObject.model_validate_json(found)
        experiment = next(iter(read.status.experiments), ExperimentStatus())
        return Engine(uid=read.metadata.uid, engine_status=read.status.engine_status, experiment=experiment.status)

    def _result(self, record: Record) -> Result | None:
        action = action_of(record)
        place = str(action["path"]).removesuffix(f"/{litmus.PLURAL}")
        found = self.connection.find(f"{place}/chaosresults/{action['result']}")
        if found is None:
            return None
        status = ResultObject.model_validate_json(found).status
        own = [one.chaos_status for one in status.history.targets if one.name == record.spec["pod"]]
        said = status.experiment_status
        return Result(verdict=said.verdict, reason=said.error_output.reason, target=own[-1] if own else "")

    def _warnings(self, record: Record, engine: Engine | None) -> list[str]:
        if engine is None:
            return []
        query = ("fieldSelector", f"involvedObject.uid={engine.uid}")
        events = EngineEvents.model_validate_json(self.connection.get(f"{_place(record)}/events", query)).items
        warnings = [f"{one.reason}: {one.message}" for one in events if one.type == WARNING]
        return list(dict.fromkeys(warnings))


def is_there(connection: Connection) -> bool:
    """Say whether the cluster has the CRDs of Litmus. Raises: ApiError, UnavailableError."""
    return litmus.PLURAL in api_resources(connection, API)


def _place(record: Record) -> str:
    return f"/api/v1/namespaces/{record.spec['namespace']}"
