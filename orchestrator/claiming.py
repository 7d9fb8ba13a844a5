"""What runs claim: tests share what they use, experiments have to themselves what they disturb (024).

Nobody knows what a test uses that names nothing, nor its team. Such a test shares a path of its team which no one else
can name, and an experiment of another team claims a child of it. So they wait for each other, and experiments do not.
"""

from collections.abc import Iterable

from sqlalchemy import Connection

from db import people
from model.claims import UNKNOWN, Claim, ClaimMode, conflict, entries_of
from model.config import ExecutionConfig
from model.ids import RunId, TeamId

NO_TEAM = "none"


def of_test(
    config: ExecutionConfig, team: TeamId | None, team_uses: Iterable[str] = (), beside: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return the entries of a test: what it needs for itself, and what it shares with other tests.

    `beside` are the paths of the experiment that started it, and claimed these for both.
    """
    shared = config.uses or tuple(team_uses) or (_unknown(team),)
    claimed = [Claim(path=path) for path in beside]
    wanted = [Claim(path=path, mode=ClaimMode.SHARED) for path in shared]
    own = [one for one in wanted if not any(conflict(one, other) for other in claimed)]
    return entries_of([*(Claim(path=path) for path in config.exclusive), *own])


def uses_at(place: str, team: TeamId | None, team_uses: Iterable[str] = ()) -> tuple[str, ...]:
    """Return what a test uses that names nothing itself, but is made for the place of an experiment.

    It is the place, beside what the team says, or the unknown of the team. For `team_uses` of `of_test`.
    """
    return (place, *(tuple(team_uses) or (_unknown(team),)))


def of_experiment(conn: Connection, paths: Iterable[str], run: RunId, team: TeamId | None) -> tuple[str, ...]:
    """Return the entries of an experiment: what it disturbs, and the unknown of all other teams."""
    others = ({None, *people.team_ids(conn)} - {team}) if team is not None else people.team_ids(conn)
    unknown = (f"{_unknown(other)}/{run.hex}" for other in others)
    return entries_of(Claim(path=path) for path in (*paths, *unknown))


def _unknown(team: TeamId | None) -> str:
    return f"{UNKNOWN}/{NO_TEAM if team is None else team.hex}"
