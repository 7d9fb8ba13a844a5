"""What the providers of operators share: the guard makes one object, the operator injects, and the provider looks.

An operator may be away, or refuse in a way that only its events tell. So the start has a time-out of our own, and its
message has what the operator said.
"""

import asyncio
from abc import abstractmethod
from dataclasses import dataclass

from chaos.fault_types import Fault, Provider
from chaos.manifests.operator_state import OperatorState, Seen
from chaos.provider import FaultId, FaultStatus, refusal
from chaos.targets import Target
from cluster.backend import UnavailableError
from cluster.faults.kubernetes.guard_jobs import Record
from cluster.faults.kubernetes.guard_objects import Order
from cluster.faults.kubernetes.guarded import LOOK_SECONDS, Guarded
from cluster.faults.kubernetes.target_check import checked
from cluster.faults.provider import HEARTBEAT_PATIENCE, Effect, InjectError, Injection
from cluster.kubernetes.api_objects import ApiObject
from cluster.kubernetes.connection import NOT_FOUND, ApiError, Connection
from model.json_values import JsonObject, json_object


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorFaults(Guarded):
    """Faults that an operator injects. `operator_seconds` is what it may take to begin."""

    operator_seconds: float = 120.0
    heartbeat_seconds: float = HEARTBEAT_PATIENCE.total_seconds()

    @property
    @abstractmethod
    def provider(self) -> Provider:
        """Return which provider this is."""

    @abstractmethod
    def preflight(self, fault: Fault, target: Target) -> None:
        """Look for what the operator needs. Raises: InjectError with the remedy, ApiError, UnavailableError."""

    @abstractmethod
    def order(self, injection: Injection) -> tuple[str, dict[str, object], int]:
        """Return the guard's word for the action, its values, and how often it takes back."""

    @abstractmethod
    def look(self, fault: FaultId, record: Record) -> OperatorState:
        """Return how far the operator is. Raises: ApiError, UnavailableError."""

    @abstractmethod
    def over(self, fault: FaultId, record: Record) -> bool:
        """Say whether the operator has ended the fault by itself. Raises: ApiError, UnavailableError."""

    @abstractmethod
    def left(self, fault: FaultId, record: Record) -> tuple[str, ...]:
        """Return what the operator has left. Raises: ApiError, UnavailableError."""

    async def inject(self, injection: Injection) -> None:
        """Start the guard, which makes the object, and wait until the operator has injected. Raises: InjectError."""
        if problem := refusal(self.provider, injection.fault):
            raise InjectError(problem)
        try:
            if await self._record(injection.id) is None:
                order = await asyncio.to_thread(self._order, injection)
                await asyncio.to_thread(self.guards.start, order)
        except (ApiError, UnavailableError) as failed:
            await self.revert(injection.id)
            raise InjectError(str(failed)) from failed
        await self.until_injected(injection)
        await self._until_active(injection)

    def _order(self, injection: Injection) -> Order:
        checked(self.connection, injection.target)
        self.preflight(injection.fault, injection.target)
        kind, action, tries = self.order(injection)
        return Order(
            fault=injection.id,
            namespace=injection.target.place,
            pod=injection.target.name,
            uid=injection.target.identity,
            kind=kind,
            action=action,
            seconds=injection.expires_after.total_seconds(),
            heartbeat_seconds=self.heartbeat_seconds,
            provider=self.provider,
            tries=tries,
            start_seconds=self.operator_seconds,
        )

    async def _until_active(self, injection: Injection) -> None:
        """Wait for the operator. Without it nothing of the fault may stay. Raises: InjectError."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.operator_seconds
        state = OperatorState(seen=Seen.WAITING, words="nothing was seen of it")
        while state.seen is Seen.WAITING and loop.time() < until:
            await self.beat(injection.id)  # nobody else does before the injection is over
            await asyncio.sleep(LOOK_SECONDS)
            state = await self._looked(injection.id) or state
        if state.seen is Seen.ACTIVE:
            await asyncio.to_thread(self.guards.note, injection.id, state.words)
            return
        await self.revert(injection.id)
        late = f" after {self.operator_seconds:g} s" if state.seen is Seen.WAITING else ""
        raise InjectError(f"{self.provider} has not injected {injection.fault.name}{late}: {state.words}")

    async def _looked(self, fault: FaultId) -> OperatorState | None:
        """Return how far the operator is, None if that cannot be seen now."""
        try:
            record = await self._record(fault)
            return None if record is None else await asyncio.to_thread(self.look, fault, record)
        except (ApiError, UnavailableError):
            return None

    async def status(self, fault: FaultId) -> FaultStatus:
        """Return where the fault stands, also if the operator has ended it by itself."""
        record = await self._record(fault)
        if record is not None and record.state.phase == "injected":
            if await asyncio.to_thread(self.over, fault, record):
                left = await asyncio.to_thread(self.left, fault, record)
                return FaultStatus.RESIDUAL if left else FaultStatus.REVERTED
            return FaultStatus.INJECTED
        return await super(OperatorFaults, self).status(fault)

    async def effect(self, fault: FaultId) -> Effect:
        """Return what the operator says that it did to the target."""
        record = await self._record(fault)
        if record is None:
            return Effect(seen=False, sentence="there is no trace of it")
        if record.note:
            return Effect(seen=True, sentence=record.note)  # its objects may be gone by now
        state = await asyncio.to_thread(self.look, fault, record)
        return Effect(seen=state.seen is Seen.ACTIVE, sentence=state.words)

    async def remains(self, fault: FaultId, record: Record) -> tuple[str, ...]:
        """Return what the operator has left. Raises: ApiError, UnavailableError."""
        return await asyncio.to_thread(self.left, fault, record) if record.spec else ()


def action_of(record: Record) -> JsonObject:
    """Return the values of the action that a guard was given."""
    return json_object(record.spec["action"])  # type: ignore[arg-type]


class ApiResource(ApiObject):
    """A resource of the API, by its plural."""

    name: str


class ApiResourceList(ApiObject):
    """The resources of one version of a group."""

    resources: tuple[ApiResource, ...] = ()


def api_resources(connection: Connection, path: str) -> frozenset[str]:
    """Return the plurals that the API server serves under `/apis/GROUP/VERSION`. Raises: ApiError, UnavailableError.

    The list of all groups does not do: it may keep the group of a CRD that was removed.
    """
    try:
        found = connection.get(path)
    except ApiError as refused:
        if refused.status == NOT_FOUND:
            return frozenset()
        raise
    return frozenset(one.name for one in ApiResourceList.model_validate_json(found).resources)
