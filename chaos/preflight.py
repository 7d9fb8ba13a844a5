"""What a preflight webhook is told right before the first fault: who does what to which targets, decided by what."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from chaos.experiment import Experiment
from chaos.safety import CheckRecord, DecisionRecord
from chaos.targets import Resolution
from model.json_values import JsonObject

EVENT = "assay.experiment.preflight"
STEP = "preflight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What is about to be done, by whose wish, and the decision that it goes on."""

    execution_id: str
    experiment: Experiment
    digest: str
    resolution: Resolution
    claims: tuple[str, ...]
    submitted_by: str
    team: str | None
    decision: DecisionRecord
    at: datetime

    @property
    def id(self) -> str:
        """Return the id of the message: after a takeover another one, since what is told is another decision."""
        return f"{self.execution_id}.{STEP}.{int(self.at.timestamp() * 1000)}"


def preflight_body(told: Preflight) -> JsonObject:
    """Return the message, in the form of Standard Webhooks: type, timestamp, data."""
    experiment = told.experiment
    return {
        "type": EVENT,
        "timestamp": told.at.isoformat(),
        "data": {
            "executionId": told.execution_id,
            "experiment": experiment.name,
            "digest": told.digest,
            "submittedBy": told.submitted_by,
            "team": told.team,
            "faults": [
                {"name": one.name, "type": one.type.value, "durationSeconds": one.duration_seconds}
                for one in experiment.faults
            ],
            "targets": [
                {"place": one.place, "service": one.service, "name": one.name} for one in told.resolution.targets
            ],
            "claims": list(told.claims),
            "decision": _decision(told.decision),
        },
    }


def _decision(record: DecisionRecord) -> JsonObject:
    return {
        "at": record.at.isoformat(),
        "step": record.step,
        "allowed": record.allowed,
        "checks": [_line(line) for line in record.lines],
    }


def _line(line: CheckRecord) -> JsonObject:
    seen = line.observation
    return {
        "check": line.check,
        "outcome": line.outcome.value,
        "sentence": line.sentence,
        "askedAt": seen.asked_at.isoformat() if seen else None,
        "tookSeconds": seen.took / timedelta(seconds=1) if seen else None,
        "knownAt": seen.known_at.isoformat() if seen and seen.known_at else None,
    }
