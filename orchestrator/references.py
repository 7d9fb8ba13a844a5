"""Adds to a refusal what else the sender must mend: references to secrets and contents that are not there."""

from sqlalchemy import Connection

from db import people, secrets
from model.ids import UserId
from model.problems import InvalidError
from model.references import content_is_not_known, contents_wanted, secret_is_not_set, secrets_wanted
from orchestrator.content import KnownContent


def with_missing_references(
    conn: Connection, wrong: InvalidError, raw: object, user_id: UserId, known_content: KnownContent
) -> InvalidError:
    """Return `wrong` with a problem for each reference of `raw` that leads nowhere."""
    wanted = secrets_wanted(raw)
    known = {row.name for row in secrets.visible(conn, people.user(conn, user_id).team_id)} if wanted else set()
    return InvalidError(
        [
            *wrong.problems,
            *(secret_is_not_set(each) for each in wanted if each.name not in known),
            *(content_is_not_known(each) for each in contents_wanted(raw) if not known_content(each.name)),
        ]
    )
