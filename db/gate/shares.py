"""By what a pool with FAIR_SHARE orders owners now: worked out by the plan's own code, from what a pass would read."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from db import nodes
from db.gate import owner_limits, pass_input
from model.ids import PoolName, TeamId, UserId
from scheduler.admission.share_view import shares
from scheduler.admission.state import State
from scheduler.values.run import payer


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """Who runs are for: a user, in a team or alone."""

    user_id: UserId
    team_id: TeamId | None


def read(conn: Connection, pool: PoolName, asked: Collection[Payer]) -> dict[UUID, float]:
    """Return the share of each of these, by team, or by user where there is none. Raises: NotFoundError."""
    known = pass_input.facts(conn, pool)
    node_usage, _ = nodes.node_usage(conn, pool, known.nodes_version)
    owners = owner_limits.owners(conn, pool, [*asked, *(place.queued for place in known.holding)], several=False)
    state = State(limits=known.limits, node_usage=node_usage, owners=owners, usage_at=known.usage_at)
    for place in known.holding:
        state.start(place)
    return shares(state, known.now, {payer(one.user_id, one.team_id) for one in asked})
