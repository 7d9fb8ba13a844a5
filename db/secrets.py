"""Secrets by reference. A team's own one wins over everybody's; no value ever stands here."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, or_, select
from sqlalchemy.dialects.postgresql import insert

from db import tables
from db.errors import NotFoundError
from model.ids import TeamId

S = tables.Secret
EVERYBODY = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRow:
    """A name, the team whose it is (empty: everybody's), and where the value is kept."""

    name: str
    team: str
    reference: str


def put(conn: Connection, name: str, team: str, reference: str) -> None:
    """Name a reference, or change it. Raises: NotFoundError for an unknown team."""
    if team != EVERYBODY:
        known = conn.execute(select(tables.Team.team_id).where(tables.Team.team_name == team)).scalar_one_or_none()
        if known is None:
            raise NotFoundError("team", team)
    row = insert(S).values(name=name, team=team, reference=reference)
    conn.execute(row.on_conflict_do_update(index_elements=["name", "team"], set_={"reference": reference}))


def remove(conn: Connection, name: str, team: str = EVERYBODY) -> None:
    """Forget a reference. Raises: NotFoundError."""
    if conn.execute(delete(S).where(S.name == name, S.team == team)).rowcount == 0:
        raise NotFoundError("secret", name)


def read(conn: Connection) -> list[SecretRow]:
    """Return all references, by name."""
    return _rows(conn)


def visible(conn: Connection, team_id: TeamId | None) -> list[SecretRow]:
    """Return the references that runs of a team may use, one for each name."""
    found: dict[str, SecretRow] = {}
    for row in _rows(conn, or_(S.team == EVERYBODY, S.team == _team_name(team_id))):
        found[row.name] = row  # the team's own comes after everybody's
    return list(found.values())


def reference(conn: Connection, name: str, team_id: TeamId | None) -> str | None:
    """Return where a run of a team finds a secret, None if nobody has named it."""
    rows = _rows(conn, S.name == name, or_(S.team == EVERYBODY, S.team == _team_name(team_id)))
    return rows[-1].reference if rows else None


def _team_name(team_id: TeamId | None) -> ColumnElement[str]:
    return select(tables.Team.team_name).where(tables.Team.team_id == team_id).scalar_subquery()


def _rows(conn: Connection, *conditions: ColumnElement[bool]) -> list[SecretRow]:
    query = select(S.name, S.team, S.reference).where(*conditions).order_by(S.name, S.team)
    return [SecretRow(name=row.name, team=row.team, reference=row.reference) for row in conn.execute(query)]
