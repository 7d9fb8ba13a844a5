"""Check a body before it is queued. A refusal has all problems, also references to what is not there."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from api.services import Services
from model.ids import UserId
from model.problems import InvalidError
from orchestrator.references import with_missing_references

T = TypeVar("T")


async def checked(check: Callable[[object], T], raw: object, services: Services, user_id: UserId) -> T:
    """Return what `raw` describes, sent by a user. Raises: InvalidError with all problems."""
    try:
        return await asyncio.to_thread(check, raw)
    except InvalidError as error:
        wrong = error
    raise await services.database.run(
        lambda conn: with_missing_references(conn, wrong, raw, user_id, services.contents.has)
    )
