"""The database knows the same types of tests as the code."""

import re

from sqlalchemy import text

from db.engine import Database
from model.request import TestType

CONSTRAINT = """
SELECT pg_get_constraintdef(c.oid) FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
WHERE t.relname = 'test_definitions' AND c.conname LIKE '%valid_type'
"""


def test_the_databases_list_of_types_is_that_of_the_code(db: Database) -> None:
    """A new type stands in both: in `TestType`, and by a migration in the check of the column."""
    [check] = db.call(lambda conn: conn.execute(text(CONSTRAINT)).scalars().all())

    assert set(re.findall(r"'(\w+)'", check)) == {str(kind) for kind in TestType}
