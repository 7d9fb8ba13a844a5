"""The experiment as a value, and the written form that a file has."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from chaos.error_budget import ErrorBudget
from chaos.fault_types import KILLS, MOST_FAULTS, Fault, FaultForm, Provider
from chaos.hypothesis import HaltCondition, Hypothesis, HypothesisForm, Load
from chaos.instants import instant
from chaos.safety import SafetyCheck, SafetyChecksForm
from chaos.target import BlastRadius, TargetSelector
from model.fields import FORBID, Name
from model.schedule import Schedule

LONGEST_SECONDS = 3600
LONGEST_WINDOW_SECONDS = 7200


class Order(StrEnum):
    """Whether the faults are active together, or one after the other."""

    PARALLEL = "parallel"
    SEQUENCE = "sequence"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentSchedule:
    """When an experiment runs by itself: once at a time, or as a recurring game day."""

    __pydantic_config__ = FORBID

    at: Annotated[
        Annotated[str, Field(max_length=40), AfterValidator(instant)] | None,
        Field(description="A time with its zone, such as 2027-01-31T09:00:00+01:00"),
    ] = None
    recurring: Annotated[tuple[Schedule, ...], Field(max_length=20, description="Game days, as in suites")] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentForm:
    """The written form of an experiment: all keys of a file. `chaos.experiment_reading` makes an `Experiment` of it."""

    __pydantic_config__ = FORBID

    name: Annotated[Name, Field(description="Name for people")]
    description: Annotated[str, Field(max_length=2000, description="A sentence for people")] = ""
    fault: Annotated[FaultForm | None, Field(description="One fault; the same as a list with it")] = None
    faults: Annotated[tuple[FaultForm, ...], Field(max_length=MOST_FAULTS, description="What is injected")] = ()
    order: Annotated[Order, Field(description="Several faults: together, or one after the other")] = Order.PARALLEL
    target: Annotated[TargetSelector, Field(description="What the faults are injected into")]
    hypothesis: Annotated[HypothesisForm, Field(description="What must stay true")]
    duration_seconds: Annotated[
        int, Field(ge=5, le=LONGEST_SECONDS, description="How long the faults are active; also of each window")
    ]
    baseline_seconds: Annotated[
        int | None, Field(ge=5, le=LONGEST_WINDOW_SECONDS, description="Default: the duration")
    ] = None
    recovery_seconds: Annotated[
        int | None, Field(ge=5, le=LONGEST_WINDOW_SECONDS, description="Longest wait for the recovery")
    ] = None
    blast_radius: Annotated[BlastRadius, Field(description="The most that may be affected")] = field(
        default_factory=BlastRadius
    )
    halt_conditions: Annotated[
        tuple[HaltCondition, ...], Field(min_length=1, max_length=20, description="Hard limits that end it at once")
    ]
    error_budget: Annotated[
        ErrorBudget | None, Field(description="What it may cost of the error budgets of its SLOs")
    ] = None
    safety_checks: Annotated[SafetyChecksForm, Field(description="What must be safe before")] = field(
        default_factory=SafetyChecksForm
    )
    preflight: Annotated[
        tuple[Name, ...], Field(max_length=5, description="Signed webhooks that must agree before the first fault")
    ] = ()
    load: Annotated[Load | None, Field(description="What makes requests through all windows")] = None
    alpha: Annotated[
        float, Field(gt=0, le=0.2, description="False alarms that are accepted, for the whole experiment")
    ] = 0.05
    schedule: Annotated[ExperimentSchedule | None, Field(description="When it runs by itself")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A valid experiment."""

    name: str
    description: str
    faults: tuple[Fault, ...]
    order: Order
    target: TargetSelector
    hypothesis: Hypothesis
    duration: timedelta
    baseline: timedelta
    recovery: timedelta
    blast_radius: BlastRadius
    halt_conditions: tuple[HaltCondition, ...]
    error_budget: ErrorBudget | None
    safety_checks: tuple[SafetyCheck, ...]
    preflight: tuple[str, ...]
    load: Load | None
    alpha: float
    schedule: ExperimentSchedule | None

    @property
    def provider(self) -> Provider:
        """Return what injects the faults, as far as they name no other."""
        return Provider.LOCAL if self.target.environment else Provider.KUBERNETES

    @property
    def kills(self) -> bool:
        """Say whether a fault takes the target away."""
        return any(fault.type in KILLS for fault in self.faults)

    @property
    def active(self) -> timedelta:
        """Return how long faults are active: the longest one, or the sum if they come one after the other."""
        seconds = [fault.duration_seconds for fault in self.faults]
        return timedelta(seconds=sum(seconds) if self.order is Order.SEQUENCE else max(seconds))

    @property
    def longest_fault_window(self) -> timedelta:
        """Return how long it takes at most from the first fault to the last revert: with the waits after kills."""
        waits = sum(self.follows_kill(number) for number in range(len(self.faults)))
        return self.active + waits * self.recovery

    def follows_kill(self, number: int) -> bool:
        """Say whether a fault of a sequence comes after a kill. It waits up to `recovery` until targets are back."""
        return self.order is Order.SEQUENCE and any(fault.type in KILLS for fault in self.faults[:number])
