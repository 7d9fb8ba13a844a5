"""The journal of one execution: everything that its report is written from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from chaos.comparison import Comparison
from chaos.experiment import Experiment
from chaos.judge import HealthJudgement, Readings, SloJudgement
from chaos.price import Bill
from chaos.provider import FaultStatus
from chaos.recovery import Times
from chaos.safety import DecisionRecord
from chaos.targets import Resolution
from chaos.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One step of the execution, from begin to end."""

    name: str
    begins: datetime
    ends: datetime


class EventKind(StrEnum):
    """What an event is about, which is its colour in the report."""

    FAULT = "fault"
    LIMIT = "limit"
    PERSON = "person"
    ALERT = "alert"
    STEP = "step"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEvent:
    """Something that happened at one moment."""

    at: datetime
    kind: EventKind
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRecord:
    """One fault on one target: when it was active, what it was seen to do, and how it ended."""

    name: str
    type: str
    target: str
    status: FaultStatus
    injected_at: datetime | None
    reverted_at: datetime | None
    effect: str
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """One execution of an experiment. `abort_latency` is from the wish to the verified revert."""

    execution_id: str
    experiment: Experiment
    verdict: Verdict
    reason: str
    started_at: datetime
    ended_at: datetime
    phases: tuple[Phase, ...] = ()
    events: tuple[JournalEvent, ...] = ()
    readings: Mapping[str, Readings] = field(default_factory=dict)
    slos: tuple[SloJudgement, ...] = ()
    health: tuple[HealthJudgement, ...] = ()
    times: tuple[Times, ...] = ()
    bills: tuple[Bill, ...] = ()
    resolution: Resolution | None = None
    decisions: tuple[DecisionRecord, ...] = ()
    faults: tuple[FaultRecord, ...] = ()
    comparison: Comparison | None = None
    abort_latency: timedelta | None = None
    revert_latency: timedelta | None = None
