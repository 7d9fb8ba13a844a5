"""Makes, reads and removes the objects of guards. It blocks: call it from a thread.

The ConfigMap of a fault stays as its record: it makes sure that the fault never begins again. It is removed by hand or
with its namespace.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter

from chaos.manifests.naming import FAULT_LABEL, fault_name, object_name
from chaos.provider import FaultId
from cluster.backend import UnavailableError
from cluster.faults.kubernetes import guard_objects
from cluster.faults.kubernetes.guard_objects import Order, Site
from cluster.kubernetes.api_objects import ApiNamespace, ApiObject, Condition, Meta, Pod, PodList
from cluster.kubernetes.connection import CONFLICT, ApiError, Call, Connection

HOST_SUFFIX = "-host"
HOST_LABEL = "assay.dev/host-faults"
VOID = '{"phase": "reverted", "reason": "it was taken back before it was injected"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardState:
    """What a guard wrote about its fault. `phase` is empty before it has begun."""

    phase: str = ""
    reason: str = ""
    error: str = ""
    at: float | None = None
    reverted_at: float | None = None
    effect: dict[str, float] | None = None
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The ConfigMap of a fault, read."""

    version: str
    spec: dict[str, object]
    state: GuardState
    note: str = ""
    """What an operator said that it did."""


class ConfigMap(ApiObject):
    """A ConfigMap."""

    metadata: Meta
    data: Mapping[str, str] = {}


class JobStatus(ApiObject):
    """How far a Job is."""

    conditions: tuple[Condition, ...] = ()


class Job(ApiObject):
    """A Job."""

    metadata: Meta
    status: JobStatus = JobStatus()

    @property
    def ended(self) -> bool:
        """Say whether it has ended: no guard runs, and none will."""
        return any(one.type in {"Complete", "Failed"} and one.status == "True" for one in self.status.conditions)


STATE = TypeAdapter(GuardState)
SPEC: TypeAdapter[dict[str, object]] = TypeAdapter(dict[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardJobs:
    """The guards of one cluster. Those with the PID namespace of their node run in `host_namespace`."""

    connection: Connection

    @property
    def host_namespace(self) -> str:
        """Return where guards run that see the processes of their node, if the cluster allows that."""
        return f"{self.connection.access.namespace}{HOST_SUFFIX}"

    def host_allowed(self) -> bool:
        """Say whether an administrator has opted in to such guards. Raises: ApiError, UnavailableError."""
        found = self.connection.find(f"/api/v1/namespaces/{self.host_namespace}")
        return (
            found is not None and ApiNamespace.model_validate_json(found).metadata.labels.get(HOST_LABEL) == "allowed"
        )

    def start(self, order: Order) -> None:
        """Make the record and the Job, as far as they are not there. Raises: ApiError, UnavailableError."""
        data = {"spec": guard_objects.spec_text(order), "heartbeat": secrets.token_hex(4)}
        self.connection.create(self._records(), guard_objects.records(order.fault, data))
        self._start_job(order.fault, order.node)

    def _start_job(self, fault: FaultId, node: str | None) -> None:
        site = self._site(node)
        program = guard_objects.program()
        name = str(program["metadata"]["name"])  # type: ignore[index]
        self.connection.create(f"/api/v1/namespaces/{site.namespace}/configmaps", program)
        self.connection.create(self._jobs(node), guard_objects.job(fault, site, name, node))

    def record(self, fault: FaultId) -> Record | None:
        """Return what is known of a fault. Raises: ApiError, UnavailableError."""
        found = self.connection.find(self._record(fault))
        if found is None:
            return None
        read = ConfigMap.model_validate_json(found)
        state = STATE.validate_json(read.data.get("state", "{}"))
        spec = SPEC.validate_json(read.data.get("spec", "{}"))
        note = read.data.get("note", "")
        return Record(version=read.metadata.resource_version, spec=spec, state=state, note=note)

    def beat(self, fault: FaultId) -> None:
        """Change the heartbeat. Raises: ApiError, UnavailableError."""
        self.connection.patch(self._record(fault), {"data": {"heartbeat": secrets.token_hex(4)}})

    def note(self, fault: FaultId, words: str) -> None:
        """Write down what an operator said that it did. Raises: ApiError, UnavailableError."""
        self.connection.patch(self._record(fault), {"data": {"note": words}})

    def ask(self, fault: FaultId) -> None:
        """Ask the guard to revert. A fault that no guard has begun never begins. Raises: ApiError, UnavailableError."""
        if self.connection.create(self._records(), guard_objects.records(fault, {"spec": "{}", "state": VOID})):
            return
        record = self.record(fault)
        if record is not None and not record.state.phase and self._void(fault, record):
            return
        self.connection.patch(self._record(fault), {"data": {"ask": "revert"}})

    def _void(self, fault: FaultId, record: Record) -> bool:
        """Write that the fault is over, if no guard was faster. Return whether it is written."""
        body = {"metadata": {"resourceVersion": record.version}, "data": {"state": VOID}}
        try:
            return self.connection.patch(self._record(fault), body) is not None
        except ApiError as refused:
            if refused.status == CONFLICT:
                return False
            raise

    def ensure_guard(self, fault: FaultId, record: Record) -> None:
        """Start the guard again if it has ended without a revert. Raises: ApiError, UnavailableError."""
        node = _node(record)
        found = self.connection.find(f"{self._jobs(node)}/{object_name(fault)}")
        job = None if found is None else Job.model_validate_json(found)
        if job is not None and job.ended:
            self.remove(fault, record)
        if job is None or job.ended:
            self._start_job(fault, node)

    def remove(self, fault: FaultId, record: Record) -> None:
        """Remove the Job and its pods. Raises: ApiError, UnavailableError."""
        path = f"{self._jobs(_node(record))}/{object_name(fault)}"
        try:
            self.connection.send(Call(method="DELETE", path=path, query=(("propagationPolicy", "Background"),)))
        except ApiError as refused:
            if refused.reason != "NotFound":
                raise

    def left(self, fault: FaultId, record: Record) -> list[str]:
        """Return what still runs of the guard itself. Raises: ApiError, UnavailableError."""
        node = _node(record)
        name = object_name(fault)
        found = self.connection.find(f"{self._jobs(node)}/{name}")
        runs = found is not None and not Job.model_validate_json(found).ended
        left = [f"the Job {name} has not ended"] if runs else []
        pods = [pod for pod in self._pods(fault, node) if pod.status.phase not in {"Succeeded", "Failed"}]
        return left + [f"the pod {pod.metadata.name} of the guard has not ended" for pod in pods]

    def _pods(self, fault: FaultId, node: str | None) -> tuple[Pod, ...]:
        place = f"/api/v1/namespaces/{self._site(node).namespace}/pods"
        listed = self.connection.get(place, ("labelSelector", f"{FAULT_LABEL}={fault_name(fault)}"))
        return PodList.model_validate_json(listed).items

    def trouble(self, fault: FaultId, node: str | None) -> str:
        """Return why the guard has not begun, as far as its pods say so."""
        try:
            items = self._pods(fault, node)
        except (ApiError, UnavailableError) as failed:
            return str(failed)
        told = [one.message for pod in items for one in pod.status.conditions if one.message]
        told += [
            f"{one.state.waiting.reason} {one.state.waiting.message}"
            for pod in items
            for one in pod.status.container_statuses
            if one.state.waiting
        ]
        account = f"does the service account {guard_objects.ACCOUNT} exist in {self._site(node).namespace}?"
        return "; ".join(told) or ("its pod gives no reason" if items else f"it has no pod: {account}")

    def _site(self, node: str | None) -> Site:
        access = self.connection.access
        place = self.host_namespace if node else access.namespace
        return Site(namespace=place, records=access.namespace, image=access.image)

    def _jobs(self, node: str | None) -> str:
        return f"/apis/batch/v1/namespaces/{self._site(node).namespace}/jobs"

    def _records(self) -> str:
        return f"/api/v1/namespaces/{self.connection.access.namespace}/configmaps"

    def _record(self, fault: FaultId) -> str:
        return f"{self._records()}/{object_name(fault)}"


def _node(record: Record) -> str | None:
    node = record.spec.get("node")
    return str(node) if node else None
