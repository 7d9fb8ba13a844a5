"""Submit a test: definition, execution and queue row in one transaction, or nothing."""

from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import Connection

from db import definitions, executions, gate, people
from db.executions import NewExecution
from db.gate import Waiting
from model.definition import define
from model.execution import Door
from model.ids import DefinitionId, ExecutionId, PoolName, SuiteRunId, UserId, uuid7
from model.problems import InvalidError
from model.request import TestRequest
from orchestrator.secrets import unknown_secrets

OverQuota: TypeAlias = people.OverQuota

DEFAULT_POOL = PoolName("default")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A valid request, who it counts for, and how it came in."""

    request: TestRequest
    execution_id: ExecutionId
    user_id: UserId
    door: Door
    now: datetime
    pool: PoolName = DEFAULT_POOL
    flow_run_id: UUID | None = None
    suite_run_id: SuiteRunId | None = None
    retried_from: ExecutionId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """An execution that waits now. `new` is false when this flow run had submitted it before."""

    execution_id: ExecutionId
    position: int | None
    reason: str
    new: bool = True


def submit(conn: Connection, order: Order) -> Submitted | OverQuota:
    """Take the daily quota and write everything that a run needs to wait. Idempotent by flow run.

    Raises: InvalidError for a reference to a secret that nobody has set.
    """
    if (known := _known(conn, order)) is not None:
        return known
    problems = unknown_secrets(conn, order.request, people.user(conn, order.user_id).team_id)
    if problems:
        raise InvalidError(problems)
    over = people.take_daily(conn, order.user_id, 1, order.now)
    if over is not None:
        return over
    if (known := _known(conn, order)) is not None:  # the same flow run, while we waited for the quota's lock
        return known
    return write(conn, order)


def write(conn: Connection, order: Order) -> Submitted:
    """Write the rows of an order whose quota was taken."""
    definition_id = definitions.save(conn, _definition(order))
    team_id = people.user(conn, order.user_id).team_id
    executions.insert(
        conn,
        NewExecution(
            execution_id=order.execution_id,
            definition_id=definition_id,
            priority=order.request.priority,
            door=order.door,
            pool=order.pool,
            submitted_by=order.user_id,
            team_id=team_id,
            submitted_at=order.now,
            flow_run_id=order.flow_run_id,
            suite_run_id=order.suite_run_id,
            retried_from=order.retried_from,
        ),
    )
    config = order.request.config
    gate.enqueue(
        conn,
        Waiting(
            execution_id=order.execution_id,
            pool=order.pool,
            priority=order.request.priority,
            enqueued_at=order.now,
            user_id=order.user_id,
            team_id=team_id,
            resources=order.request.resources.requested(),
            node_selector=config.node_selector,
            tolerations=config.tolerations,
            affinity=config.affinity,
        ),
    )
    return _submitted(conn, order.execution_id, new=True)


def _definition(order: Order) -> definitions.TestDefinition:
    identifier = DefinitionId(uuid7(order.now, Random(order.execution_id.int)))
    return define(order.request, identifier, order.user_id, order.now)


def _known(conn: Connection, order: Order) -> Submitted | None:
    if order.flow_run_id is None:
        return None
    found = executions.by_flow_run(conn, order.flow_run_id)
    return None if found is None else _submitted(conn, found, new=False)


def _submitted(conn: Connection, execution_id: ExecutionId, *, new: bool) -> Submitted:
    place = gate.position(conn, execution_id)
    if place is None:
        return Submitted(execution_id=execution_id, position=None, reason="", new=new)
    return Submitted(execution_id=execution_id, position=place.position, reason=place.reason, new=new)
