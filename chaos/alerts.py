"""The alerts that say that an experiment runs, for those who get alerts of its targets. Nothing is silenced.

Alertmanager cannot change the annotations of an alert of somebody else: whoever sends an alert sets them, and
Prometheus sends its own again each minute. So an experiment has an alert of its own for each service that it disturbs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chaos.experiment import Experiment
from chaos.observed import Span
from chaos.targets import Resolution
from model.json_values import JsonObject

NAME = "AssayExperimentRunning"
OUTLIVES = timedelta(seconds=90)
"""How long after the last sign of its worker an alert ends by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert as it is sent. The labels are its identity: the same labels are the same alert."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """An alert that fires, of whoever sent it. The fingerprint is that of its labels."""

    fingerprint: str
    labels: Mapping[str, str]
    starts_at: datetime

    @property
    def name(self) -> str:
        """Return its name."""
        return self.labels.get("alertname", self.fingerprint)


def alerts_of(experiment: Experiment, resolution: Resolution, execution_id: str, span: Span) -> tuple[Alert, ...]:
    """Return the alert of each service that an experiment disturbs in a time, in order of name."""
    faults = ", ".join(f"{one.name} for {one.duration_seconds} s" for one in experiment.faults)
    title = experiment.hypothesis.title or experiment.description or experiment.name
    return tuple(
        Alert(
            labels=_labels(experiment, service, execution_id),
            annotations={
                "summary": f"the experiment {experiment.name!r} disturbs {service}",
                "description": f"{faults}. Hypothesis: {title}. To end it: assay chaos abort {execution_id}",
            },
            starts_at=span.begins,
            ends_at=span.ends,
        )
        for service in sorted({target.service for target in resolution.targets})
    )


def _labels(experiment: Experiment, service: str, execution_id: str) -> dict[str, str]:
    target = experiment.target
    place = {"environment": target.environment, "cluster": target.cluster, "namespace": target.namespace}
    return {
        "alertname": NAME,
        "severity": "info",
        "service": service,
        "experiment": experiment.name,
        "execution": execution_id,
        **{key: value for key, value in place.items() if value},
    }


def alert_json(alert: Alert) -> JsonObject:
    """Return an alert as Alertmanager's API v2 takes it."""
    return {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": alert.starts_at.isoformat(),
        "endsAt": alert.ends_at.isoformat(),
    }


def about(firing: Iterable[Firing], resolution: Resolution) -> tuple[Firing, ...]:
    """Return the alerts of others that name a service of the targets or of their callers in any label."""
    names = set(resolution.claims)
    found = [one for one in firing if one.name != NAME and names & set(one.labels.values())]
    return tuple(sorted(found, key=lambda one: (one.name, one.fingerprint)))


def new_since(before: Sequence[Firing], now: Sequence[Firing]) -> tuple[Firing, ...]:
    """Return the alerts that fire now and did not before."""
    known = {one.fingerprint for one in before}
    return tuple(one for one in now if one.fingerprint not in known)
