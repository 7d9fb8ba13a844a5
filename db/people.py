"""Users, teams and their quotas. The daily quota is taken under row locks: user, then team, then pool (D8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert

from db import gate_tables, tables
from db.errors import NotFoundError
from db.seeds import PREFECT_USER
from model.ids import EXPERIMENTS, PoolName, TeamId, UserId
from model.resources import Resources
from model.runs import RunKind

Scope = Literal["user", "team"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How many runs may be admitted at the same time, and submitted on one day (UTC); what they may hold together.

    None: no limit. `weight`: how much of a FAIR_SHARE pool is a fair share, beside the weights of others.
    """

    max_concurrent_tests: int | None
    max_daily_tests: int | None
    max_cpu_milli: int | None = None
    max_memory_bytes: int | None = None
    max_ephemeral_bytes: int | None = None
    max_gpu: int | None = None
    weight: float = 1.0

    def limits(self) -> dict[str, int | None]:
        """Return the limits by name, as the column keeps them: null is none."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "weight"}


USER_QUOTA = Quota(max_concurrent_tests=10, max_daily_tests=100)
TEAM_QUOTA = Quota(max_concurrent_tests=50, max_daily_tests=1000)
"""What the original design gives; it stands in where a row says nothing."""


USES = "uses"
"""The key of a team's settings with the paths that its tests share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person or a service that runs count for."""

    user_id: UserId
    username: str
    email: str
    team_id: TeamId | None
    team_name: str | None
    roles: tuple[str, ...]
    quota: Quota
    active: bool
    team_uses: tuple[str, ...] = ()
    """What tests of the team use that do not say it themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A team and what all its members may use together."""

    team_id: TeamId
    team_name: str
    quota: Quota


@dataclass(frozen=True, slots=True, kw_only=True)
class OverQuota:
    """The daily quota does not suffice. A value, not an error: nothing was written."""

    scope: Literal["user", "team", "pool"]
    name: str
    limit: int
    used: int
    asked: int
    resets_at: datetime

    def __str__(self) -> str:
        return (
            f"the daily quota of {self.scope} {self.name} is {self.limit} runs; {self.used} are used and {self.asked} "
            f"more were asked for. It starts anew at {self.resets_at:%Y-%m-%d %H:%M} UTC."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A quota, and how much of it is used now."""

    scope: Scope
    name: str
    quota: Quota
    concurrent: int
    held: Resources
    today: int

    @property
    def remaining_today(self) -> int | None:
        """Runs that may still be submitted today; None where there is no limit."""
        most = self.quota.max_daily_tests
        return None if most is None else max(0, most - self.today)


def user(conn: Connection, name_or_id: str | UUID) -> User:
    """Return a user by name or id. Raises: NotFoundError."""
    column = tables.User.user_id if isinstance(name_or_id, UUID) else tables.User.username
    row = conn.execute(_users().where(column == name_or_id)).one_or_none()
    if row is None:
        raise NotFoundError("user", name_or_id)
    return User(
        user_id=UserId(row.user_id),
        username=row.username,
        email=row.email,
        team_id=TeamId(row.team_id) if row.team_id else None,
        team_name=row.team_name,
        roles=tuple(row.roles),
        quota=quota_of(row.quota, row.weight, USER_QUOTA),
        active=row.active,
        team_uses=tuple((row.team_settings or {}).get(USES, ())),
    )


def team(conn: Connection, name_or_id: str | UUID) -> Team:
    """Return a team by name or id. Raises: NotFoundError."""
    column = tables.Team.team_id if isinstance(name_or_id, UUID) else tables.Team.team_name
    t = tables.Team
    row = conn.execute(select(t.team_id, t.team_name, t.quota, t.weight).where(column == name_or_id)).one_or_none()
    if row is None:
        raise NotFoundError("team", name_or_id)
    quota = quota_of(row.quota, row.weight, TEAM_QUOTA)
    return Team(team_id=TeamId(row.team_id), team_name=row.team_name, quota=quota)


def team_ids(conn: Connection) -> set[TeamId]:
    """Return all teams."""
    return {TeamId(team_id) for team_id in conn.execute(select(tables.Team.team_id)).scalars()}


def set_uses(conn: Connection, name: str, paths: Sequence[str]) -> None:
    """Say what tests of a team use that do not say it themselves. Raises: NotFoundError."""
    settings = tables.Team.settings.concat({USES: list(paths)})
    if conn.execute(update(tables.Team).where(tables.Team.team_name == name).values(settings=settings)).rowcount == 0:
        raise NotFoundError("team", name)


def set_quota(conn: Connection, scope: Scope, name: str, quota: Quota) -> None:
    """Give a user or a team a quota. Raises: NotFoundError."""
    table, column = _of(scope)
    changes = {"quota": table.quota.concat(quota.limits()), "weight": quota.weight}
    changed = conn.execute(update(table).where(column == name).values(**changes))
    if changed.rowcount == 0:
        raise NotFoundError(scope, name)


def take_daily(conn: Connection, user_id: UserId, pool: PoolName, count: int, now: datetime) -> OverQuota | None:
    """Hold the quota of a user, of his team and of a pool for `count` more runs, until this transaction wrote them.

    Whoever comes at the same time waits here, and then counts what we wrote: lock first, count in a later statement.
    The lock lets foreign keys pass, so that a transaction that has already written a definition cannot deadlock.
    """
    who = _locked(conn, "user", user_id)
    if over := _over(conn, who, count, now):
        return over
    team_over = None if who.team_id is None else _over(conn, _locked(conn, "team", who.team_id), count, now)
    return team_over or _over_pool(conn, pool, count, now)


def quota_usage(conn: Connection, name_or_id: str | UUID, now: datetime) -> tuple[Usage, ...]:
    """Return what a user, and the user's team if there is one, have used. Raises: NotFoundError."""
    who = user(conn, name_or_id)
    mine = _Owner(scope="user", key=who.user_id, name=who.username, quota=who.quota)
    if who.team_id is None:
        return (_usage(conn, mine, now),)
    return (_usage(conn, mine, now), team_usage(conn, who.team_id, now))


def team_usage(conn: Connection, name_or_id: str | UUID, now: datetime) -> Usage:
    """Return what a team has used. Raises: NotFoundError."""
    group = team(conn, name_or_id)
    ours = _Owner(scope="team", key=group.team_id, name=group.team_name, quota=group.quota)
    return _usage(conn, ours, now)


def deployment_user(conn: Connection, deployment: str) -> UserId:
    """Return the user that runs of a Prefect deployment (`flow/name`) count for."""
    query = select(tables.DeploymentUser.user_id).where(tables.DeploymentUser.deployment == deployment)
    found = conn.execute(query).scalar_one_or_none()
    return PREFECT_USER if found is None else UserId(found)


def bind_deployment(conn: Connection, deployment: str, user_id: UserId) -> None:
    """Let the runs of a deployment count for a user from now on."""
    row = insert(tables.DeploymentUser).values(deployment=deployment, user_id=user_id)
    conn.execute(row.on_conflict_do_update(index_elements=["deployment"], set_={"user_id": user_id}))


def quota_of(stored: Mapping[str, int | None], weight: float = 1.0, default: Quota = USER_QUOTA) -> Quota:
    """Read a quota column; what it does not say is `default`, and null is no limit."""
    return replace(default, weight=weight, **limits_of(stored, default))


def limits_of(stored: Mapping[str, int | None], default: Quota) -> dict[str, int | None]:
    """Return the limits of a quota column by name: those that are shown, and those that the gate enforces."""
    limits = {name: stored.get(name, value) for name, value in default.limits().items()}
    return {name: None if most is None else int(most) for name, most in limits.items()}


def day(now: datetime) -> datetime:
    """Return the last midnight in UTC, from which the daily quota counts."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owner:
    """Whose quota it is."""

    scope: Scope
    key: UUID
    name: str
    quota: Quota
    team_id: TeamId | None = None

    def submitted(self) -> ColumnElement[bool]:
        r = tables.Run
        return r.submitted_by == self.key if self.scope == "user" else r.team_id == self.key

    def queued(self) -> ColumnElement[bool]:
        q = gate_tables.QueueRow
        return q.user_id == self.key if self.scope == "user" else q.team_id == self.key


def _locked(conn: Connection, scope: Scope, key: UUID) -> _Owner:
    if scope == "user":
        columns = select(tables.User.username, tables.User.quota, tables.User.weight, tables.User.team_id)
        query = columns.where(tables.User.user_id == key)
    else:
        columns = select(tables.Team.team_name, tables.Team.quota, tables.Team.weight, tables.Team.team_id)
        query = columns.where(tables.Team.team_id == key)
    row = conn.execute(query.with_for_update(key_share=True)).one_or_none()
    if row is None:
        raise NotFoundError(scope, key)
    name, stored, weight, team_id = row
    default = USER_QUOTA if scope == "user" else TEAM_QUOTA
    return _Owner(scope=scope, key=key, name=name, quota=quota_of(stored, weight, default), team_id=team_id)


def _over(conn: Connection, who: _Owner, count: int, now: datetime) -> OverQuota | None:
    limit = who.quota.max_daily_tests
    if limit is None:
        return None
    used = _today(conn, who.submitted(), now)
    if used + count <= limit:
        return None
    resets_at = day(now) + timedelta(days=1)
    return OverQuota(scope=who.scope, name=who.name, limit=limit, used=used, asked=count, resets_at=resets_at)


def _over_pool(conn: Connection, pool: PoolName, count: int, now: datetime) -> OverQuota | None:
    """Hold a pool's quota; a pool that has none is not locked, and its submits do not wait for each other."""
    settings = gate_tables.Pool
    query = select(settings.max_daily_tests).where(settings.name == pool)
    if conn.execute(query).scalar_one_or_none() is None:
        return None
    limit = conn.execute(query.with_for_update(key_share=True)).scalar_one_or_none()
    used = 0 if limit is None else _today(conn, tables.Run.pool == pool, now)
    if limit is None or used + count <= limit:
        return None
    resets_at = day(now) + timedelta(days=1)
    return OverQuota(scope="pool", name=pool, limit=limit, used=used, asked=count, resets_at=resets_at)


def _today(conn: Connection, whose: ColumnElement[bool], now: datetime) -> int:
    """Count the tests of a day. The indexes that serve this hold tests only."""
    r = tables.Run
    query = select(func.count()).where(whose, r.submitted_at >= day(now), r.kind == RunKind.TEST)
    return conn.execute(query).scalar_one()


def _usage(conn: Connection, who: _Owner, now: datetime) -> Usage:
    q = gate_tables.QueueRow
    amounts = (func.coalesce(func.sum(c), 0) for c in (q.cpu_milli, q.memory_bytes, q.ephemeral_bytes, q.gpu))
    tests = func.count().filter(q.backend.is_distinct_from(EXPERIMENTS))
    admitted = select(tests, *amounts).where(who.queued(), q.state == "admitted")
    concurrent, cpu, memory, ephemeral, gpu = conn.execute(admitted).one()
    held = Resources(cpu_milli=int(cpu), memory_bytes=int(memory), ephemeral_bytes=int(ephemeral), gpu=int(gpu))
    today = _today(conn, who.submitted(), now)
    return Usage(scope=who.scope, name=who.name, quota=who.quota, concurrent=concurrent, held=held, today=today)


def _users() -> Any:
    settings = tables.Team.settings.label("team_settings")
    return select(tables.User, tables.Team.team_name, settings).join_from(tables.User, tables.Team, isouter=True)


def _of(scope: Scope) -> tuple[Any, Any]:
    return (tables.User, tables.User.username) if scope == "user" else (tables.Team, tables.Team.team_name)
