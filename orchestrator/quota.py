"""Show and change quotas. A new limit counts from the next submit and the next gate pass on, and stops nobody."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import Field
from sqlalchemy import Connection

from db import people
from db.errors import NotFoundError
from db.people import Quota, Team, Usage, User
from model.fields import FORBID
from model.ids import UserId
from model.lenient import mapping
from model.problems import Finding
from model.reading import Reader
from orchestrator.ceilings import LARGEST, NULLABLE, CeilingForm, Change, Unknown, read_change

T = TypeVar("T")
LIGHTEST, HEAVIEST = 0.001, 1000.0
MAY_BE_NULL = NULLABLE | {"user", "team", "maxConcurrentTests", "maxDailyTests"}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaForm(CeilingForm):
    """New limits, of a team if one is named, else of a user, else of the caller. What is not given stays."""

    __pydantic_config__ = FORBID

    user: Annotated[str | None, Field(max_length=100, description="Of this user; else the caller's")] = None
    team: Annotated[str | None, Field(max_length=100, description="Of this team, instead of a user")] = None
    max_concurrent_tests: Annotated[
        int | None, Field(ge=0, le=LARGEST, description="Runs that may hold a place at once; null: no limit")
    ] = None
    max_daily_tests: Annotated[
        int | None, Field(ge=0, le=LARGEST, description="Runs that may be submitted a day (UTC); null: no limit")
    ] = None
    weight: Annotated[
        float | None,
        Field(ge=LIGHTEST, le=HEAVIEST, description="Fair share beside others (FAIR_SHARE), 1 unless given"),
    ] = None


FORM = Reader(QuotaForm)


def show(conn: Connection, user: UserId | str, now: datetime) -> tuple[Usage, Usage | None]:
    """Return what a user and the user's team may use, and have used. Raises: NotFoundError."""
    own, *team = people.quota_usage(conn, user, now)
    return own, team[0] if team else None


def show_team(conn: Connection, name: str, now: datetime) -> Usage:
    """Return what a team may use, and has used. Raises: NotFoundError."""
    return people.team_usage(conn, name, now)


def change(conn: Connection, caller: UserId, raw: object) -> User | Team:
    """Change a quota and return whose it was.

    Raises: InvalidError with all problems; NotFoundError where the only one is that nobody is called so.
    """
    asked = mapping(raw)
    user, no_user = _named(asked.get("user"), lambda name: people.user(conn, name), "user")
    team, no_team = _named(asked.get("team"), lambda name: people.team(conn, name), "team")
    wanted = read_change(FORM, raw, nullable=MAY_BE_NULL, unknown=(*no_user, *no_team), rules=(_one_owner,))
    if team is not None:
        people.set_quota(conn, "team", team.team_name, _changed(team.quota, wanted))
        return team
    owner = user or people.user(conn, caller)
    people.set_quota(conn, "user", owner.username, _changed(owner.quota, wanted))
    return owner


def _named(name: object, find: Callable[[str], T], kind: str) -> tuple[T | None, tuple[Unknown, ...]]:
    """Return whom a name means, or that nobody is called so. What is no text is told by the form."""
    if not isinstance(name, str) or "\x00" in name:
        return None, ()
    try:
        return find(name), ()
    except NotFoundError:
        return None, (Unknown(path=kind, kind=kind, name=name),)


def _one_owner(raw: dict[str, Any]) -> Iterator[Finding]:
    if raw.get("user") is not None and raw.get("team") is not None:
        yield Finding(location=("team",), message="cannot be combined with user: give one of both")


def _changed(old: Quota, wanted: Change[QuotaForm]) -> Quota:
    form, given = wanted.form, wanted.given
    new = replace(old, **wanted.ceilings())  # type: ignore[arg-type]  # by name
    if "maxConcurrentTests" in given:
        new = replace(new, max_concurrent_tests=form.max_concurrent_tests)
    if "maxDailyTests" in given:
        new = replace(new, max_daily_tests=form.max_daily_tests)
    return new if form.weight is None else replace(new, weight=form.weight)
