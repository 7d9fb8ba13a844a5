"""Add users and teams, and put users into teams. `user_keys` has their keys. Roles and passwords come later."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from pydantic import Field
from sqlalchemy import Connection

from db import members, people
from db.errors import NotFoundError
from db.members import NewUser, TeamRow, UserRow
from db.page import Page
from model.config import Uses
from model.fields import FORBID, AccountName, EmailAddress
from model.lenient import mapping
from model.reading import Reader
from orchestrator.ceilings import Unknown, read_change

NO_MAIL = "localhost"
"""The host of the address of a user who has none: the column must have a value that nobody else has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTeamForm:
    """A team to add."""

    __pydantic_config__ = FORBID

    name: Annotated[AccountName, Field(description="Name of the team")]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUserForm:
    """A user to add."""

    __pydantic_config__ = FORBID

    name: Annotated[AccountName, Field(description="Name of the user")]
    email: Annotated[EmailAddress | None, Field(description="Mail address; unless given name@localhost")] = None
    team: Annotated[str | None, Field(max_length=100, description="A team that is there; unless given none")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamUsesForm:
    """What the tests of a team use."""

    __pydantic_config__ = FORBID

    uses: Uses


TEAM_USES = Reader(TeamUsesForm)
NEW_TEAM = Reader(NewTeamForm)
NEW_USER = Reader(NewUserForm)
MAY_BE_NULL = frozenset({"email", "team"})


def create_team(conn: Connection, raw: object, new_id: UUID) -> TeamRow:
    """Add a team. Raises: InvalidError with all problems; ConflictError if there is one of this name."""
    return members.add_team(conn, read_change(NEW_TEAM, raw, nullable=frozenset()).form.name, new_id)


def set_uses(conn: Connection, team: str, raw: object) -> tuple[str, ...]:
    """Say what tests of a team use that do not say it themselves. Raises: InvalidError, NotFoundError."""
    uses = read_change(TEAM_USES, raw, nullable=frozenset()).form.uses
    people.set_uses(conn, team, uses)
    return uses


def create_user(conn: Connection, raw: object, new_id: UUID) -> UserRow:
    """Add a user.

    Raises: InvalidError with all problems; NotFoundError where the only one is that there is no such team;
    ConflictError if the name or the mail address is taken.
    """
    team = mapping(raw).get("team")
    unknown = [Unknown(path="team", kind="team", name=str(team))] if _is_missing(conn, team) else []
    form = read_change(NEW_USER, raw, nullable=MAY_BE_NULL, unknown=unknown).form
    team_id = None if form.team is None else people.team(conn, form.team).team_id
    new = NewUser(name=form.name, email=form.email or f"{form.name}@{NO_MAIL}", team_id=team_id)
    return members.add_user(conn, new, new_id)


def add_to_team(conn: Connection, team: str, user: str) -> UserRow:
    """Put a user into a team, and out of another. Raises: NotFoundError."""
    return members.move(conn, people.user(conn, user).user_id, people.team(conn, team).team_id)


def list_teams(conn: Connection, page: Page) -> tuple[list[TeamRow], int]:
    """Return a page of the teams in order of name, and how many there are."""
    return members.teams(conn, page)


def list_users(conn: Connection, team: str | None, page: Page) -> tuple[list[UserRow], int]:
    """Return a page of the users, or of those of one team, and how many there are. Raises: NotFoundError."""
    return members.users(conn, None if team is None else people.team(conn, team).team_id, page)


def _is_missing(conn: Connection, team: object) -> bool:
    """Say whether `team` is the name of no team. What is no text is reported by the form."""
    if not isinstance(team, str) or "\x00" in team:
        return False
    try:
        people.team(conn, team)
    except NotFoundError:
        return True
    return False
