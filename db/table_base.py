"""What all tables share: their base class, the types of their columns, and defaults of the server."""

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import Text, UserDefinedType

NOW = text("now()")
NEW_ID = text("gen_random_uuid()")
EMPTY_OBJECT = text("'{}'::jsonb")
EMPTY_LIST = text("'[]'::jsonb")


class Xid8(UserDefinedType[int]):
    """The number of a transaction, in 64 bits: it never wraps around."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Return the name of the type."""
        return "xid8"


ischema_names["xid8"] = Xid8
"""SQLAlchemy's PostgreSQL dialect does not know this type, and warns when it reads the tables of a database."""


class Base(DeclarativeBase):
    """All tables of Assay; Prefect's live in a database of their own."""

    __test__ = False  # no test class, whatever pytest thinks of the names

    type_annotation_map = {  # noqa: RUF012  SQLAlchemy's own form
        datetime: TIMESTAMP(timezone=True),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
        str: Text,
    }
