"""Safety checks: what must be known before a fault is injected. Anything unknown, late or stale blocks."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from model.fields import FORBID, Name

CHECK_PATIENCE = timedelta(seconds=5)
"""A check that takes longer counts as unreachable."""
BUILT_IN = ("activeIncidents", "onCall", "recentDeployments", "systemHealth")
LAPTOP_REASON = "the target is local, and no service is connected"


class Severity(StrEnum):
    """What a failed check does: stop the experiment, or stand in the record."""

    BLOCK = "block"
    WARN = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyCheckForm:
    """One check: configured by a connection, or `none` with the reason why it is not needed."""

    __pydantic_config__ = FORBID

    none: Annotated[str | None, Field(min_length=5, max_length=500, description="Why there is no such check")] = None
    connection: Annotated[Name | None, Field(description="The block that it asks (`assay chaos connect`)")] = None
    severity: Annotated[Severity, Field(description="block, or only warn")] = Severity.BLOCK
    stale_after_seconds: Annotated[int, Field(ge=1, le=3600, description="Older knowledge blocks")] = 60
    within_minutes: Annotated[int, Field(ge=1, le=10_080, description="recentDeployments: how far back")] = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyChecksForm:
    """The four checks of the original design, and those that are registered by the entry point assay.safety_checks."""

    __pydantic_config__ = FORBID

    active_incidents: Annotated[SafetyCheckForm | None, Field(description="No incident is open")] = None
    on_call: Annotated[SafetyCheckForm | None, Field(description="Somebody is on call")] = None
    recent_deployments: Annotated[SafetyCheckForm | None, Field(description="Nothing was deployed just now")] = None
    system_health: Annotated[SafetyCheckForm | None, Field(description="The SLOs hold before the fault")] = None
    registered: Annotated[dict[Name, SafetyCheckForm], Field(max_length=20, description="By name")] = field(
        default_factory=dict
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyCheck:
    """A check of an experiment. `none` has the reason if it is not made."""

    name: str
    severity: Severity
    connection: str | None
    none: str | None
    stale_after: timedelta
    within: timedelta


class Answer(StrEnum):
    """What a check found."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One answer of one check: what it saw, when it asked, how long that took, and from when the knowledge is."""

    check: str
    answer: Answer
    sentence: str
    asked_at: datetime
    took: timedelta
    known_at: datetime | None


class Outcome(StrEnum):
    """What an observation means for the experiment."""

    PASSED = "passed"
    NOT_MADE = "not made"
    WARNED = "warned"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRecord:
    """One line of the decision record."""

    check: str
    outcome: Outcome
    sentence: str
    observation: Observation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """Everything that a decision to go on was made from, at one moment."""

    at: datetime
    step: str
    lines: tuple[CheckRecord, ...]

    @property
    def allowed(self) -> bool:
        """Say whether the experiment may go on."""
        return all(line.outcome is not Outcome.BLOCKED for line in self.lines)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return what blocks, as sentences."""
        return tuple(f"{line.check}: {line.sentence}" for line in self.lines if line.outcome is Outcome.BLOCKED)


def decide(
    checks: tuple[SafetyCheck, ...], seen: tuple[Observation, ...], now: datetime, step: str = "safety-check"
) -> DecisionRecord:
    """Return the record for `checks`, given what was observed. A check without an observation is unreachable."""
    by_name = {observation.check: observation for observation in seen}
    lines = tuple(_line(check, by_name.get(check.name), now) for check in checks)
    return DecisionRecord(at=now, step=step, lines=lines)


def _line(check: SafetyCheck, seen: Observation | None, now: datetime) -> CheckRecord:
    if check.none is not None:
        return CheckRecord(check=check.name, outcome=Outcome.NOT_MADE, sentence=check.none, observation=None)
    problem = _problem(check, seen, now)
    if problem is None:
        sentence = seen.sentence if seen else ""
        return CheckRecord(check=check.name, outcome=Outcome.PASSED, sentence=sentence, observation=seen)
    outcome = Outcome.BLOCKED if check.severity is Severity.BLOCK else Outcome.WARNED
    return CheckRecord(check=check.name, outcome=outcome, sentence=problem, observation=seen)


def _problem(check: SafetyCheck, seen: Observation | None, now: datetime) -> str | None:
    """Return why the check does not pass, None if it does."""
    if seen is None:
        return "was not asked"
    if seen.answer is not Answer.SAFE:
        return seen.sentence
    if seen.took > CHECK_PATIENCE:
        return f"took {seen.took.total_seconds():.1f} s, more than {CHECK_PATIENCE.total_seconds():g} s"
    if seen.known_at is None:
        return "does not say from when its knowledge is"
    age = now - seen.known_at
    if age > check.stale_after or age < -CHECK_PATIENCE:
        return (
            f"its knowledge is {age.total_seconds():.0f} s old; {check.stale_after.total_seconds():.0f} s are allowed"
        )
    return None
