"""The written form of the chaos of a test: faults of the broker, each with its time."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from events.chaos import Chaos
from events.experiments import ExperimentChaos
from events.faults import BrokerChaos, BrokerDown, BrokerFault, BrokerSlow, Disturbance, RequestErrors


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=False)


class Request(StrEnum):
    """Requests of Kafka's protocol that can be answered with errors."""

    PRODUCE = "produce"
    FETCH = "fetch"
    METADATA = "metadata"


_NUMBERS = {Request.PRODUCE: 0, Request.FETCH: 1, Request.METADATA: 3}


class ErrorsForm(_Form):
    """Which requests are answered with which error codes, one after the other."""

    request: Request
    codes: list[int] = Field(min_length=1, max_length=1000)


class FaultForm(_Form):
    """One fault. `broker_down`, `broker_slow_ms` and `errors` are its kinds; exactly one of them is given.

    The mock cluster of a test has one broker, number 1.
    """

    name: str | None = None
    broker_down: bool | None = None
    broker_slow_ms: int | None = Field(default=None, gt=0, le=60_000)
    errors: ErrorsForm | None = None
    broker: int = Field(default=1, ge=1, le=1)
    after_ms: float = Field(ge=0, le=3_600_000)
    duration_ms: float = Field(default=0, ge=0, le=3_600_000)

    def value(self, number: int) -> BrokerFault:
        """Return the fault. Raises: ValueError if it has not one kind, or lasts no time."""
        given = [self.broker_down, self.broker_slow_ms, self.errors]
        if sum(bool(one) for one in given) != 1:
            raise ValueError("a fault has one of brokerDown, brokerSlowMs and errors")
        if self.errors is None and not self.duration_ms:
            raise ValueError("durationMs is missing")
        name = self.name or f"fault {number + 1}"
        return BrokerFault(
            name=name, disturbance=self._disturbance(), after_ms=self.after_ms, duration_ms=self.duration_ms
        )

    def _disturbance(self) -> Disturbance:
        if self.errors is not None:
            return RequestErrors(request=_NUMBERS[self.errors.request], codes=tuple(self.errors.codes))
        if self.broker_slow_ms is not None:
            return BrokerSlow(delay_ms=self.broker_slow_ms, broker=self.broker)
        return BrokerDown(broker=self.broker)


class ChaosForm(_Form):
    """Faults of the broker, and how long the test goes on after them; or an experiment of the chaos engine."""

    faults: list[FaultForm] | None = Field(default=None, min_length=1, max_length=50)
    recovery_ms: float = Field(default=1_000, ge=0, le=3_600_000)
    experiment: dict[str, JsonValue] | None = None

    def value(self) -> Chaos:
        """Return the chaos. Raises: ValueError if it is none or both, two faults have one name, or one is wrong."""
        if (self.faults is None) == (self.experiment is None):
            raise ValueError("give either faults or experiment")
        if self.experiment is not None:
            return ExperimentChaos(name=str(self.experiment.get("name", "")), definition=self.experiment)
        return self._broker_chaos(self.faults or [])

    def _broker_chaos(self, forms: list[FaultForm]) -> BrokerChaos:
        faults = tuple(fault.value(number) for number, fault in enumerate(forms))
        if len({fault.name for fault in faults}) < len(faults):
            raise ValueError("two faults have the same name")
        return BrokerChaos(faults=faults, recovery_ms=self.recovery_ms)
