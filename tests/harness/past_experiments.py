"""Executions of experiments that have ended, written as a worker writes them, without a worker and at any time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from secrets import token_bytes
from typing import Any

from sqlalchemy import text

from chaos.experiment import Experiment, Order
from chaos.experiment_states import start
from chaos.graph import from_depends_on
from chaos.judge import Judgement
from chaos.provider import FaultId
from chaos.targets import Candidate, Target, resolve
from chaos.verdict import ENDED, JUDGED, End
from db import chaos_faults, workers
from db.chaos_faults import NewFault
from db.chaos_runs import Findings, Standing
from db.engine import Database
from db.seeds import DEFAULT_POOL, LOCAL_USER
from model.execution import Door
from model.ids import RunId, UserId, WorkerId, uuid7
from orchestrator import admission
from orchestrator import experiments as cases
from orchestrator.experiments import Prepared
from orchestrator.lifecycle import Grant
from orchestrator.submission import Sender
from scheduler.values.node import FOR_ALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """How an execution ended, how long ago, and what its journal holds."""

    end: End = End.JUDGED
    judgement: Judgement = Judgement.MET
    ago: timedelta = timedelta(0)
    journal: Mapping[str, Any] = field(default_factory=dict)
    callers: tuple[str, ...] = ()


def ended(db: Database, experiment: Experiment, past: Past) -> RunId:
    """Run an experiment on one target as far as the database sees it, and return its id."""
    now = datetime.now(UTC)  # noqa: TID251  the gate goes by the clock of the database
    run_id = RunId(uuid7(now, Random(token_bytes(8))))
    sent = Sender(run_id=run_id, user_id=UserId(LOCAL_USER), door=Door.REST, now=now)
    db.call(
        lambda conn: cases.submit(
            conn, cases.create(conn, experiment, sent.user_id), Prepared(experiment=experiment), sent
        )
    )
    db.call(lambda conn: workers.register(conn, WorkerId("w"), DEFAULT_POOL, timedelta(minutes=5), FOR_ALL))
    made = db.call(lambda conn: admission.request(conn, DEFAULT_POOL))
    assert made is not None
    [one] = made.admitted
    grant = Grant(execution_id=one.execution_id, epoch=one.epoch, node=one.node)
    db.call(lambda conn: cases.begin(conn, grant))
    _inject(db, experiment, run_id, now)
    db.call(lambda conn: cases.stand(conn, grant, _standing(experiment, past)))
    word = JUDGED[past.judgement] if past.end is End.JUDGED else ENDED[past.end]
    left = Findings(
        ending=past.end, validated=word.validated, metrics=(), journal=dict(past.journal) or {"a": 1}, report="<html>"
    )
    db.call(lambda conn: cases.end(conn, grant, cases.verdict_of(past.end, past.judgement, "why"), left))
    at = {"id": run_id, "ago": past.ago}
    db.call(lambda conn: conn.execute(text("UPDATE runs SET completed_at = now() - :ago WHERE id = :id"), at))
    return run_id


def _target(experiment: Experiment) -> Target:
    selector = experiment.target
    place = str(selector.environment or selector.namespace)
    return Target(place=place, service=str(selector.service), name=f"{selector.service}-1", identity="boot:1:1")


def _inject(db: Database, experiment: Experiment, run_id: RunId, now: datetime) -> None:
    rows = [
        NewFault(
            fault_id=FaultId(f"{run_id}-{number}-0"),
            execution_id=run_id,
            number=number,
            name=fault.name,
            type=fault.type,
            target=_target(experiment),
            expires_after=timedelta(minutes=5),
        )
        for number, fault in enumerate(experiment.faults)
    ]
    db.call(lambda conn: chaos_faults.write_down(conn, rows))
    db.call(lambda conn: chaos_faults.injected(conn, [row.fault_id for row in rows], now))


def _standing(experiment: Experiment, past: Past) -> Standing:
    target = _target(experiment)
    graph = from_depends_on({target.service: (), **dict.fromkeys(past.callers, (target.service,))})
    resolution = resolve(experiment, [Candidate(target=target, opted_in=True)], graph)
    state, _ = start(len(experiment.faults), Order.PARALLEL)
    return Standing(state=state, resolution=resolution, decisions=(), phases=(), progress={"step": "x"})
