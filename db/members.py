"""Users and teams as rows: added, listed, and which user is in which team. `db.people` has their quotas."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from db import tables
from db.errors import ConflictError, NotFoundError
from db.page import Page
from model.ids import TeamId, UserId

T, U = tables.Team, tables.User
CANNOT_LOG_IN = "!"
"""A password hash that no password has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamRow:
    """A team, and how many users are in it."""

    name: str
    members: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRow:
    """A user, and the team that the user is in."""

    name: str
    email: str
    team: str | None
    roles: Sequence[str]
    active: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """A user to add."""

    name: str
    email: str
    team_id: TeamId | None = None


def add_team(conn: Connection, name: str, team_id: UUID) -> TeamRow:
    """Add a team with the default quota. Raises: ConflictError if there is one of this name."""
    made = insert(T).values(team_id=team_id, team_name=name).on_conflict_do_nothing()
    if conn.execute(made).rowcount == 0:
        raise ConflictError(f"there is a team {name} already")
    return _team(conn.execute(_teams().where(T.team_id == team_id)).one())


def add_user(conn: Connection, new: NewUser, user_id: UUID) -> UserRow:
    """Add a user with the default quota. Raises: ConflictError if the name or the mail address is taken."""
    values = {"user_id": user_id, "username": new.name, "email": new.email, "team_id": new.team_id}
    made = insert(U).values(**values, password_hash=CANNOT_LOG_IN).on_conflict_do_nothing()
    if conn.execute(made).rowcount == 0:
        taken = conn.execute(select(U.username).where(U.username == new.name)).one_or_none()
        what = f"user {new.name}" if taken else f"user with the mail address {new.email}"
        raise ConflictError(f"there is a {what} already")
    return _user(conn.execute(_users().where(U.user_id == user_id)).one())


def move(conn: Connection, user_id: UserId, team_id: TeamId) -> UserRow:
    """Put a user into a team. Raises: NotFoundError.

    Runs that were submitted before still count for the team that the user was in.
    """
    conn.execute(update(U).where(U.user_id == user_id).values(team_id=team_id))
    row = conn.execute(_users().where(U.user_id == user_id)).one_or_none()
    if row is None:
        raise NotFoundError("user", user_id)
    return _user(row)


def teams(conn: Connection, page: Page) -> tuple[list[TeamRow], int]:
    """Return a page of the teams in order of name, and how many there are."""
    total = conn.execute(select(func.count()).select_from(T)).scalar_one()
    query = _teams().order_by(T.team_name).limit(page.limit).offset(page.offset)
    return [_team(row) for row in conn.execute(query)], total


def users(conn: Connection, team_id: TeamId | None, page: Page) -> tuple[list[UserRow], int]:
    """Return a page of the users, or of those of one team, in order of name, and how many there are."""
    wanted = [] if team_id is None else [U.team_id == team_id]
    total = conn.execute(select(func.count()).select_from(U).where(*wanted)).scalar_one()
    query = _users().where(*wanted).order_by(U.username).limit(page.limit).offset(page.offset)
    return [_user(row) for row in conn.execute(query)], total


def _teams() -> Any:
    members = select(func.count()).where(U.team_id == T.team_id).scalar_subquery()
    return select(T.team_name, T.created_at, members.label("members"))


def _users() -> Any:
    columns = (U.username, U.email, U.roles, U.active, U.created_at, T.team_name)
    return select(*columns).join_from(U, T, isouter=True)


def _team(row: Row[Any]) -> TeamRow:
    return TeamRow(name=row.team_name, members=row.members, created_at=row.created_at)


def _user(row: Row[Any]) -> UserRow:
    return UserRow(
        name=row.username,
        email=row.email,
        team=row.team_name,
        roles=tuple(row.roles),
        active=row.active,
        created_at=row.created_at,
    )
