"""The resilience scores of all services that experiments have seen, from what their executions have shown."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from chaos.experiment import Experiment
from chaos.experiment_reading import check_experiment
from chaos.magnitude import magnitude
from chaos.resilience import ServiceScore, Trial, cluster_of, place_of, possible_types, with_trend
from chaos.verdict import End
from db import chaos_history, experiments
from db.chaos_history import PastFault
from db.errors import NotFoundError
from model.problems import InvalidError

HORIZON = timedelta(days=365)
"""Older results are not read: nothing of them would be left."""
JUDGED = frozenset({End.JUDGED, End.HALTED})


def scores(conn: Connection, now: datetime, weeks: int, service: str | None = None) -> tuple[ServiceScore, ...]:
    """Return the score of each service, the lowest first. `service` is the end of a path, or all of it.

    Raises: NotFoundError if no such service was seen.
    """
    since = now - HORIZON
    trials = _trials(conn, since)
    seen = {trial.service for trial in trials}
    seen |= {f"{_prefix(one.target)}/{one.service}" for one in chaos_history.seen_services(conn, since)}
    wanted = sorted(path for path in seen if service is None or path == service or path.endswith(f"/{service}"))
    if service is not None and not wanted:
        raise NotFoundError("service with an experiment", service)
    own: dict[str, list[Trial]] = {path: [] for path in wanted}
    for trial in trials:
        if trial.service in own:
            own[trial.service].append(trial)
    used = {(cluster_of(trial.service), trial.type) for trial in trials}
    made = [with_trend(path, own[path], possible_types(path, used), now, weeks) for path in wanted]
    return tuple(sorted(made, key=lambda one: (place_of(one.service), one.score, one.service)))


def _trials(conn: Connection, since: datetime) -> list[Trial]:
    """Return one trial for each fault and service. An experiment is read once, however often it was run.

    One that is refused by today's rules is left out: how hard it was is not known.
    """
    known: dict[UUID, Experiment | None] = {}
    trials = []
    for past in chaos_history.past_faults(conn, since):
        if past.experiment_id not in known:
            known[past.experiment_id] = _readable(conn, past.experiment_id)
        if (experiment := known[past.experiment_id]) is not None:
            trials.append(_trial(past, experiment))
    return trials


def _readable(conn: Connection, experiment_id: UUID) -> Experiment | None:
    row = experiments.find(conn, experiment_id)
    try:
        return check_experiment(dict(row.definition))
    except InvalidError:
        return None


def _trial(past: PastFault, experiment: Experiment) -> Trial:
    fault, target = experiment.faults[past.number], experiment.target
    place = f"local/{past.place}" if target.environment else f"k8s/{target.cluster}/{past.place}"
    return Trial(
        run=str(past.run_id),
        service=f"{place}/{past.service}",
        type=fault.type,
        at=past.ended_at,
        magnitude=magnitude(fault, experiment.hypothesis),
        held=past.validated if past.ending in JUDGED else None,
    )


def _prefix(target: Mapping[str, Any]) -> str:
    if target.get("environment"):
        return f"local/{target['environment']}"
    return f"k8s/{target.get('cluster')}/{target.get('namespace')}"
