"""Find a row by what people type: a whole UUID, or any beginning or end of it that only one row has (D7).

For the latest rows the beginning of the short form is enough too.
"""

import re
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, func, literal_column, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from db.errors import ConflictError, NotFoundError
from model.ids import short

HEX = re.compile(r"[0-9a-f]{1,32}")
LENGTH = 32
LATEST = 1000
"""For this many rows the short form may be cut off at its end."""
SHOWN = 10


def resolve(
    conn: Connection, kind: str, column: InstrumentedAttribute[UUID], text: str, only: ColumnElement[bool]
) -> UUID:
    """Return the identifier in `column` that `text` means, among the rows for which `only` holds.

    Raises: NotFoundError if no row has it, ConflictError with the candidates if several have it.
    """
    digits = text.strip().lower().replace("-", "")
    if not HEX.fullmatch(digits):
        raise NotFoundError(kind, text)
    query = select(column).where(or_(*_matches(column, digits)), only).order_by(column.desc()).limit(SHOWN + 1)
    found = list(conn.execute(query).scalars()) or _shortened(conn, column, digits, only)
    if not found:
        raise NotFoundError(kind, text)
    if len(found) > 1:
        raise _several(kind, text, found)
    return found[0]


def _matches(column: InstrumentedAttribute[UUID], digits: str) -> list[ColumnElement[bool]]:
    low, high = UUID(hex=digits.ljust(LENGTH, "0")), UUID(hex=digits.ljust(LENGTH, "f"))
    matches: list[ColumnElement[bool]] = [column.between(low, high)]
    if len(digits) < LENGTH:
        matches.append(_reversed(column).like(f"{digits[::-1]}%"))
    return matches


def _shortened(
    conn: Connection, column: InstrumentedAttribute[UUID], digits: str, only: ColumnElement[bool]
) -> list[UUID]:
    """Return those of the latest whose short form begins so: people cut off the end of what they are shown."""
    latest = conn.execute(select(column).where(only).order_by(column.desc()).limit(LATEST)).scalars()
    return [identifier for identifier in latest if short(identifier).startswith(digits)][: SHOWN + 1]


def _reversed(column: InstrumentedAttribute[UUID]) -> ColumnElement[Any]:
    """Return the digits from the end, in exactly the form that is indexed."""
    return func.reverse(literal_column(f"replace({column.property.columns[0].name}::text, '-', '')"))


def _several(kind: str, text: str, found: list[UUID]) -> ConflictError:
    shown = [short(identifier) for identifier in found[:SHOWN]]
    more = " and more" if len(found) > SHOWN else ""
    return ConflictError(f"{text} means several {kind}s: {', '.join(shown)}{more}. Give more of it.", shown)
