"""Submit a test: definition, execution and queue row in one transaction, or nothing.

What needs no lock comes first. The rows of user, team and a pool with a daily quota are locked last, in this order
(D8), and until the commit, so that submits of one user pass each other in the time of four statements.
Definitions are always written before those locks, and in one order: no two submits can wait for each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import Connection

from db import consumption, definitions, durations, executions, people, runs, seeds
from db.errors import ConflictError
from db.executions import NewExecution
from db.gate import queue
from db.gate.queue import Waiting
from db.people import User
from model.definition import TestDefinition, define
from model.execution import Door
from model.ids import DefinitionId, ExecutionId, GroupId, PoolName, SuiteRunId, UserId, WorkerId, short, uuid7
from model.problems import InvalidError, Problem
from model.request import TestRequest
from model.resources import Used
from orchestrator import claiming, submit_feasibility
from orchestrator.clusters import beyond_policy
from orchestrator.content import KnownContent, unknown_content
from orchestrator.secrets import unknown_secrets

OverQuota: TypeAlias = people.OverQuota

DEFAULT_POOL = seeds.DEFAULT_POOL


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """Submitted once however often it is sent: by a key that the sender chose, for one request as its digest tells."""

    key: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A valid request, who it counts for, and how it came in. Runs of one `group` start together or not at all."""

    request: TestRequest
    execution_id: ExecutionId
    user_id: UserId
    door: Door
    now: datetime
    pool: PoolName = DEFAULT_POOL
    flow_run_id: UUID | None = None
    suite_run_id: SuiteRunId | None = None
    group: GroupId | None = None
    retried_from: ExecutionId | None = None
    once: Once | None = None
    host: WorkerId | None = None
    """The worker in which its flow is under way already."""
    beside: tuple[str, ...] = ()
    """What the experiment that starts it has claimed, for both of them."""
    place: str | None = None
    """The place of an experiment for which it runs, without a claim of that. It uses the place if it names nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """An execution that waits now. `new` is false when it, its flow run or its key had been submitted before.

    `warnings` say what will keep it waiting until somebody changes something.
    """

    execution_id: ExecutionId
    new: bool = True
    pool: PoolName = DEFAULT_POOL
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The definition of an order whose quota was taken, with what history knows of it.

    `expected` is the p90 of its durations, `used` what a request of `auto` means.
    """

    definition_id: DefinitionId
    expected: timedelta | None = None
    used: Used | None = None


def submit(conn: Connection, order: Order, known_content: KnownContent | None = None) -> Submitted | OverQuota:
    """Take the daily quota and write everything that a run needs to wait. Idempotent by execution, flow run and key.

    Raises: InvalidError for a reference to a secret that nobody has set, or to content that nobody has sent, and for
    more than any node has where these are fixed, and for what no cluster allows; ConflictError for a key that another
    request came with; NotFoundError for an unknown pool.
    """
    if (known := _known(conn, order)) is not None:
        return known
    user = people.user(conn, order.user_id)
    fits = submit_feasibility.feasibility(submit_feasibility.empty_pool(conn, order.pool), order.request)
    problems = [*refused(conn, order.request, user, known_content), *fits.problems]
    if problems:
        raise InvalidError(problems)
    taken = take(conn, [order], order.user_id, order.now)
    if (known := _known(conn, order)) is not None:  # the same one, while we waited for the quota's lock
        return known
    if isinstance(taken, OverQuota):
        return taken
    return replace(write(conn, order, user, taken[0]), warnings=fits.warnings)


def refused(
    conn: Connection, request: TestRequest, user: User, known_content: KnownContent | None = None
) -> list[Problem]:
    """Return what a request refers to and is not there, and what it asks for and no cluster allows."""
    missing = [*unknown_secrets(conn, request, user.team_id), *unknown_content(request, known_content)]
    return [*missing, *beyond_policy(conn, request)]


def take(conn: Connection, orders: Sequence[Order], user_id: UserId, now: datetime) -> list[Taken] | OverQuota:
    """Write the definitions of `orders`, all for one pool, and take the quota for them; over quota nothing stays."""
    attempt = conn.begin_nested()
    definition_ids = _save_all(conn, [_definition(order) for order in orders])
    expected = durations.expected(conn, set(definition_ids))
    automatic = {
        known for known, order in zip(definition_ids, orders, strict=True) if order.request.resources.automatic
    }
    used = consumption.used(conn, orders[0].pool, automatic)
    over = people.take_daily(conn, user_id, orders[0].pool, len(orders), now)
    if over is not None:
        attempt.rollback()
        return over
    attempt.commit()
    return [Taken(definition_id=known, expected=expected.get(known), used=used.get(known)) for known in definition_ids]


def write(conn: Connection, order: Order, user: User, taken: Taken) -> Submitted:
    """Write execution and queue row of an order whose quota was taken."""
    inserted = executions.insert(
        conn,
        NewExecution(
            execution_id=order.execution_id,
            definition_id=taken.definition_id,
            priority=order.request.priority,
            door=order.door,
            pool=order.pool,
            submitted_by=order.user_id,
            team_id=user.team_id,
            submitted_at=order.now,
            flow_run_id=order.flow_run_id,
            suite_run_id=order.suite_run_id,
            retried_from=order.retried_from,
            idempotency_key=order.once.key if order.once else None,
            request_digest=order.once.digest if order.once else None,
        ),
    )
    if inserted:
        queue.enqueue(conn, _waiting(order, user, taken))
    return Submitted(execution_id=order.execution_id, new=inserted, pool=order.pool)


def _waiting(order: Order, user: User, taken: Taken) -> Waiting:
    config, team_uses = order.request.config, user.team_uses
    if order.place is not None:
        team_uses = claiming.uses_at(order.place, user.team_id, team_uses)
    return Waiting(
        execution_id=order.execution_id,
        pool=order.pool,
        priority=order.request.priority,
        enqueued_at=order.now,
        user_id=order.user_id,
        team_id=user.team_id,
        resources=order.request.resources.requested(taken.used),
        node_selector=config.node_selector,
        tolerations=config.tolerations,
        affinity=config.affinity,
        apart=submit_feasibility.apart(config.apart),
        spread=submit_feasibility.spread(config.spread),
        labels=order.request.labels,
        exclusive=claiming.of_test(config, user.team_id, team_uses, order.beside),
        group=order.group,
        limit=timedelta(seconds=config.timeout),
        expected=taken.expected,
        restartable=config.restartable,
        host=order.host,
    )


def _save_all(conn: Connection, wanted: Sequence[TestDefinition]) -> list[DefinitionId]:
    """Save in order of name and version, and return the ids in the order of `wanted`."""
    keys = [(definition.name, definition.version) for definition in wanted]
    by_key = dict(zip(keys, wanted, strict=True))
    saved = {key: definitions.save(conn, by_key[key]) for key in sorted(by_key)}
    return [saved[key] for key in keys]


def _definition(order: Order) -> TestDefinition:
    identifier = DefinitionId(uuid7(order.now, Random(order.execution_id.int)))
    return define(order.request, identifier, order.user_id, order.now)


def _known(conn: Connection, order: Order) -> Submitted | None:
    if order.once is not None:
        found = _by_key(conn, order.user_id, order.once)
    elif order.flow_run_id is not None:
        found = executions.by_flow_run(conn, order.flow_run_id)
    else:
        found = None
    return None if found is None else Submitted(execution_id=found, new=False)


def _by_key(conn: Connection, user_id: UserId, once: Once) -> ExecutionId | None:
    found = runs.by_key(conn, user_id, once.key)
    if found is None:
        return None
    run_id, digest = found
    if digest != once.digest:
        raise ConflictError(
            f"another request came with this Idempotency-Key and became run {short(run_id)}: "
            "send this one with a key of its own"
        )
    return ExecutionId(run_id)
