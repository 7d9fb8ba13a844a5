"""Read the limits of users and teams, what they use in other pools, and the exclusive names held in other pools.

It is read after the locks of these owners and names were taken, so it includes what the pass of another pool has just
admitted.
"""

from collections.abc import Collection, Iterable
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Connection, Row

from db.people import TEAM_QUOTA, USER_QUOTA, limits_of
from db.prepared import Prepared
from db.sql_text import sql, statement
from model.ids import PoolName, TeamId, UserId
from model.resources import Resources
from scheduler.values.pool import Ceiling, Owner


class Paid(Protocol):
    """Anything that belongs to a user: a run that waits or holds a place, or a payer without a run."""

    @property
    def user_id(self) -> UserId:
        """The user."""
        ...

    @property
    def team_id(self) -> TeamId | None:
        """The team, if the user has one."""
        ...


_ELSEWHERE_OF = """
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE q.backend IS DISTINCT FROM 'experiments') AS runs,
        coalesce(sum(q.cpu_milli), 0) AS cpu_milli, coalesce(sum(q.gpu), 0) AS gpu,
        coalesce(sum(q.memory_bytes), 0) AS memory_bytes, coalesce(sum(q.ephemeral_bytes), 0) AS ephemeral_bytes
    FROM queue q WHERE :several AND q.state = 'admitted' AND q.pool <> :pool AND q.$column = o.$column
) AS elsewhere
LEFT JOIN fair_usage f ON f.pool = :pool AND f.owner_id = o.$column
"""
_WANTED = "elsewhere.*, coalesce(f.usage, 0) AS usage"
_USER_ELSEWHERE = sql(_ELSEWHERE_OF, column="user_id")
_TEAM_ELSEWHERE = sql(_ELSEWHERE_OF, column="team_id")
_PEOPLE = Prepared(
    """
SELECT o.user_id AS id, o.username AS name, false AS is_team, o.quota, o.weight, $wanted
FROM users o $user_elsewhere WHERE o.user_id = ANY(CAST(:users AS uuid[]))
UNION ALL
SELECT o.team_id, o.team_name, true, o.quota, o.weight, $wanted
FROM teams o $team_elsewhere WHERE o.team_id = ANY(CAST(:teams AS uuid[]))
""",
    wanted=_WANTED,
    user_elsewhere=_USER_ELSEWHERE,
    team_elsewhere=_TEAM_ELSEWHERE,
)
_NAMES_ELSEWHERE = statement("""
SELECT DISTINCT name FROM queue q CROSS JOIN LATERAL unnest(q.exclusive) AS name
WHERE q.state = 'admitted' AND q.pool <> :pool AND name = ANY(CAST(:names AS text[]))
""")


def owners(conn: Connection, pool: PoolName, runs: Iterable[Paid], *, several: bool) -> dict[UUID, Owner]:
    """Return the users and teams of these runs. If there are `several` pools, with what they use in the others."""
    ids = {(run.user_id, run.team_id) for run in runs}
    if not ids:
        return {}
    teams = [team for team in {team for _, team in ids} if team is not None]
    asked = {"pool": pool, "several": several, "users": list({user for user, _ in ids}), "teams": teams}
    return {row.id: _owner(row) for row in _PEOPLE.execute(conn, asked)}


def names_elsewhere(conn: Connection, pool: PoolName, names: Collection[str]) -> frozenset[str]:
    """Return those of these exclusive names that a run of another pool holds."""
    if not names:
        return frozenset()
    return frozenset(conn.execute(_NAMES_ELSEWHERE, {"pool": pool, "names": list(names)}).scalars())


def _owner(row: Row[Any]) -> Owner:
    quota = limits_of(row.quota or {}, TEAM_QUOTA if row.is_team else USER_QUOTA)
    return Owner(
        name=row.name,
        ceiling=Ceiling(
            runs=quota["max_concurrent_tests"],
            cpu_milli=quota["max_cpu_milli"],
            memory_bytes=quota["max_memory_bytes"],
            ephemeral_bytes=quota["max_ephemeral_bytes"],
            gpu=quota["max_gpu"],
        ),
        elsewhere_runs=row.runs,
        elsewhere=Resources(
            cpu_milli=int(row.cpu_milli),
            memory_bytes=int(row.memory_bytes),
            ephemeral_bytes=int(row.ephemeral_bytes),
            gpu=int(row.gpu),
        ),
        weight=row.weight,
        usage=row.usage,
    )
