"""What the API answers to the question why a run waits, or waited."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from api.schemas import Out
from model.execution import Cause, Phase, Status
from scheduler.estimate import Basis
from scheduler.pool import Strategy
from scheduler.reasons import Code


class NeighbourOut(Out):
    """Another run that matters to this one."""

    execution_id: UUID
    short_id: str
    name: str | None
    team: str | None
    priority: int | None
    share: float | None = Field(description="What its team had over its weight (FAIR_SHARE)")


class EstimateOut(Out):
    """When it will start, made in the background from what ran before."""

    p50: datetime = Field(description="With even odds before this")
    p90: datetime = Field(description="Nine times of ten before this")
    basis: Basis = Field(description="What it rests on")
    made_at: datetime


class WaitingOut(Out):
    """Where it stands now."""

    position: int | None = Field(description="1 is next; null in backoff")
    total: int | None = Field(description="How many wait, those in backoff left out")
    reason: str
    waited_seconds: float
    share: float | None = Field(description="What its team has over its weight (FAIR_SHARE); the least goes first")
    ahead: list[NeighbourOut] = Field(description="The first of those before it")
    estimate: EstimateOut | None = Field(description="null while unknown")


class CandidateOut(Out):
    """A node that it could have, and what each term of the score gave it, 0 to 1."""

    node: str
    chosen: bool
    total: float
    free: float
    utilisation: float
    affinity: float
    spot: float
    balance: float


class DecisionOut(Out):
    """What the gate said once. It is never changed; what a kind of record does not have is null."""

    number: int
    at: datetime
    epoch: int
    kind: Literal["waiting", "admitted", "preempted", "requeued", "cancelled"]
    text: str = Field(description="In one sentence, with the numbers of that moment")
    code: Code | None = Field(None, description="The rule that kept it waiting")
    strategy: Strategy | None = None
    snapshot: int | None = Field(None, description="Version of the nodes that the pass saw")
    position: int | None = None
    priority: int | None = None
    share: float | None = None
    node: str | None = None
    nominated: str | None = Field(None, description="The node that is kept free for it")
    cause: Cause | None = None
    waited_seconds: float | None = None
    held_seconds: float | None = None
    beneficiary: NeighbourOut | None = None
    blocked_by: list[NeighbourOut] = Field(default_factory=list)
    ahead: list[NeighbourOut] = Field(default_factory=list)
    candidates: list[CandidateOut] = Field(default_factory=list)


class ExplanationOut(Out):
    """Why a run waits, or how it got its place."""

    execution_id: UUID
    short_id: str
    name: str
    status: Status
    phase: Phase
    pool: str
    user: str
    team: str | None
    priority: int
    waiting: WaitingOut | None = Field(description="null once it does not wait any more")
    decisions: list[DecisionOut] = Field(description="All that was said to it, the first first; only ever longer")
