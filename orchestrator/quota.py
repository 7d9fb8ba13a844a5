"""Show and change quotas. A new limit counts from the next submit and the next gate pass on."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from db import people
from db.people import Quota, Usage
from model.ids import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """New limits, of a team if one is named, else of a user, else of the caller. None leaves a limit as it is."""

    user: str | None = None
    team: str | None = None
    max_concurrent: int | None = None
    max_daily: int | None = None


def show(conn: Connection, user_id: UserId, now: datetime) -> tuple[Usage, Usage | None]:
    """Return what the user and the user's team may use, and have used."""
    own, *team = people.quota_usage(conn, user_id, now)
    return own, team[0] if team else None


def change(conn: Connection, caller: UserId, wanted: Change) -> UserId:
    """Change a quota and return the user to show. Raises: NotFoundError for an unknown user or team."""
    if wanted.team is not None:
        team = people.team(conn, wanted.team)
        people.set_quota(conn, "team", team.team_name, _changed(team.quota, wanted))
        return caller
    user = people.user(conn, wanted.user if wanted.user is not None else caller)
    people.set_quota(conn, "user", user.username, _changed(user.quota, wanted))
    return user.user_id


def _changed(old: Quota, wanted: Change) -> Quota:
    return Quota(
        max_concurrent_tests=old.max_concurrent_tests if wanted.max_concurrent is None else wanted.max_concurrent,
        max_daily_tests=old.max_daily_tests if wanted.max_daily is None else wanted.max_daily,
    )
