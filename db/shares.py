"""By what a pool with FAIR_SHARE orders owners now: worked out by the plan's own code, from what a pass would read."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Connection

from db import gate_owners, gate_read, nodes
from model.ids import PoolName
from scheduler.run import Running
from scheduler.standing import shares
from scheduler.state import State
from scheduler.sums import payer


def read(conn: Connection, pool: PoolName, asked: Collection[Running]) -> dict[UUID, float]:
    """Return the share of whoever pays for each of these runs, of a pool. Raises: NotFoundError."""
    known = gate_read.facts(conn, pool)
    fleet, _ = nodes.fleet(conn, pool, known.nodes_version)
    owners = gate_owners.owners(conn, pool, [*asked, *known.holding], several=False)
    state = State(limits=known.limits, fleet=fleet, owners=owners, usage_at=known.usage_at)
    for place in known.holding:
        state.start(place)
    return shares(state, known.now, {payer(run.user_id, run.team_id) for run in asked})
