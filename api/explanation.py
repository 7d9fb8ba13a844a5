"""GET /tests/{executionId}/explanation: why a run waits, which runs are before it, and the decisions of the gate."""

from typing import TypedDict

from fastapi import APIRouter
from sqlalchemy import Connection

from api import explanation_schemas as out
from api import openapi
from api.parameters import ExecutionText
from api.services import ServicesDep
from db import executions
from db.gate.decision_records import Record, Returned, Started, Stopped, Waited
from model.execution import Cause
from model.ids import short
from orchestrator import explaining
from orchestrator.explaining import Explanation, Neighbour, Now, Told
from scheduler.values.pool import Strategy
from scheduler.values.reasons import Code

router = APIRouter(tags=["tests"])


@router.get(
    "/tests/{executionId}/explanation",  # noqa: FAST003  bound by alias
    summary="Explain why a test waits, or why it was admitted",
    responses=openapi.refusals(404),
)
async def explain(execution_id: ExecutionText, services: ServicesDep) -> out.ExplanationOut:
    """Return the position of a waiting run, and all decisions of the gate about it, also long after it ended."""

    def read(conn: Connection) -> Explanation:
        return explaining.explain(conn, executions.resolve(conn, execution_id), services.now())

    return _explanation(await services.database.run(read))


def _explanation(found: Explanation) -> out.ExplanationOut:
    run = found.execution
    return out.ExplanationOut(
        execution_id=run.execution_id,
        short_id=short(run.execution_id),
        name=run.name,
        status=run.status,
        phase=run.phase,
        pool=run.pool,
        user=run.username,
        team=found.team,
        priority=run.priority,
        waiting=None if found.waiting is None else _waiting(found.waiting),
        decisions=[_decision(told) for told in found.decisions],
    )


def _waiting(now: Now) -> out.WaitingOut:
    return out.WaitingOut(
        position=now.position,
        total=now.total,
        reason=now.reason,
        waited_seconds=round(now.waited_seconds, 3),
        share=now.share,
        ahead=[_neighbour(other) for other in now.ahead],
        estimate=None if now.estimate is None else out.EstimateOut.model_validate(now.estimate),
    )


def _decision(told: Told) -> out.DecisionOut:
    said = told.said
    return out.DecisionOut(
        number=said.number,
        at=said.at,
        epoch=said.epoch,
        kind=said.record.kind,
        text=told.sentence,
        ahead=[_neighbour(other) for other in told.ahead],
        blocked_by=[_neighbour(other) for other in told.blocked_by],
        beneficiary=None if told.beneficiary is None else _neighbour(told.beneficiary),
        **_details(said.record),
    )


class _Details(TypedDict, total=False):
    """The fields of a decision that only some kinds of records have."""

    code: Code
    nominated: str | None
    strategy: Strategy
    snapshot: int
    position: int | None
    priority: int
    share: float | None
    node: str
    waited_seconds: float
    candidates: list[out.CandidateOut]
    held_seconds: float
    cause: Cause | None


def _details(record: Record) -> _Details:
    match record:
        case Waited():
            return {**_of_the_pass(record), "code": record.code, "nominated": record.nominated}
        case Started():
            candidates = _candidates(record)
            return {
                **_of_the_pass(record),
                "node": record.node,
                "waited_seconds": record.waited,
                "candidates": candidates,
            }
        case Stopped():
            return {"priority": record.priority, "held_seconds": record.held}
        case Returned():
            return {"cause": record.cause}
        case _:
            return {}


def _of_the_pass(record: Waited | Started) -> _Details:
    return {
        "strategy": record.by.strategy,
        "snapshot": record.by.snapshot,
        "position": record.position,
        "priority": record.priority,
        "share": record.share,
    }


def _candidates(record: Started) -> list[out.CandidateOut]:
    return [
        out.CandidateOut(
            node=score.node,
            chosen=score.node == record.node,
            total=score.total,
            free=score.free,
            utilisation=score.utilisation,
            affinity=score.affinity,
            spot=score.spot,
            balance=score.balance,
        )
        for score in record.candidates
    ]


def _neighbour(other: Neighbour) -> out.NeighbourOut:
    return out.NeighbourOut(
        execution_id=other.execution_id,
        short_id=short(other.execution_id),
        name=other.name,
        team=other.team,
        priority=other.priority,
        share=other.share,
    )
