"""The rules of teams about their experiments, as a part of a team's settings. `chaos.team_rules` reads them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select, update

from db import tables
from db.errors import NotFoundError
from model.ids import TeamId

T = tables.Team
KEY = "chaos_rules"


def read(conn: Connection, team: TeamId | str) -> tuple[str, Mapping[str, Any]]:
    """Return the name of a team, by its id or name, and its rules as they were written. Raises: NotFoundError."""
    column = T.team_name if isinstance(team, str) else T.team_id
    row = conn.execute(select(T.team_name, T.settings).where(column == team)).one_or_none()
    if row is None:
        raise NotFoundError("team", team)
    return row.team_name, row.settings.get(KEY) or {}


def write(conn: Connection, team: str, rules: Mapping[str, Any]) -> None:
    """Replace the rules of a team. Raises: NotFoundError."""
    settings = T.settings.concat({KEY: dict(rules)})
    if conn.execute(update(T).where(T.team_name == team).values(settings=settings)).rowcount == 0:
        raise NotFoundError("team", team)
