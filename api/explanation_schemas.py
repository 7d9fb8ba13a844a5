"""Response bodies that explain why a run waits or waited."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from api.schemas import Out
from model.execution import Cause, Phase, Status
from scheduler.forecast.estimate import Basis
from scheduler.values.pool import Strategy
from scheduler.values.reasons import Code


class NeighbourOut(Out):
    """Another run that an explanation names."""

    execution_id: UUID
    short_id: str
    name: str | None
    team: str | None
    priority: int | None
    share: float | None = Field(description="Usage of its team divided by the weight of the team (FAIR_SHARE)")


class EstimateOut(Out):
    """The forecast of the start of a run. It is computed in the background from earlier runs."""

    p50: datetime = Field(description="The run starts before this time with a probability of 50 %")
    p90: datetime = Field(description="The run starts before this time with a probability of 90 %")
    basis: Basis = Field(description="The data that the forecast is based on")
    made_at: datetime


class WaitingOut(Out):
    """The position of a waiting run in the queue now."""

    position: int | None = Field(description="1 is next; null during a backoff")
    total: int | None = Field(description="Number of waiting runs, without those in a backoff")
    reason: str
    waited_seconds: float
    share: float | None = Field(
        description="Usage of its team divided by the weight of the team; the smallest is next (FAIR_SHARE)"
    )
    ahead: list[NeighbourOut] = Field(description="The first runs of the queue that are before it")
    estimate: EstimateOut | None = Field(description="null while unknown")


class CandidateOut(Out):
    """A candidate node with its score. Each term is between 0 and 1."""

    node: str
    chosen: bool
    total: float
    free: float
    utilisation: float
    affinity: float
    spot: float
    balance: float


class DecisionOut(Out):
    """One decision of the gate. It never changes. Fields that a kind of decision does not have are null."""

    number: int
    at: datetime
    epoch: int
    kind: Literal["waiting", "admitted", "preempted", "requeued", "cancelled"]
    text: str = Field(description="The decision in one sentence, with the numbers of that time")
    code: Code | None = Field(None, description="The rule that made the run wait")
    strategy: Strategy | None = None
    snapshot: int | None = Field(None, description="Version of the node table that the pass read")
    position: int | None = None
    priority: int | None = None
    share: float | None = None
    node: str | None = None
    nominated: str | None = Field(None, description="The node that is reserved for it")
    cause: Cause | None = None
    waited_seconds: float | None = None
    held_seconds: float | None = None
    beneficiary: NeighbourOut | None = None
    blocked_by: list[NeighbourOut] = Field(default_factory=list)
    ahead: list[NeighbourOut] = Field(default_factory=list)
    candidates: list[CandidateOut] = Field(default_factory=list)


class ExplanationOut(Out):
    """Why a run waits, or why it was admitted."""

    execution_id: UUID
    short_id: str
    name: str
    status: Status
    phase: Phase
    pool: str
    user: str
    team: str | None
    priority: int
    waiting: WaitingOut | None = Field(description="null if the run does not wait")
    decisions: list[DecisionOut] = Field(description="All decisions about the run, the oldest first")
