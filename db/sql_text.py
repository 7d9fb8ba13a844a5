"""Make SQL statements from parts: the one way to do so in `db.gate`."""

from string import Template

from sqlalchemy import TextClause, text


def sql(template: str, /, **parts: str | int) -> str:
    """Return SQL text in which each `$name` is replaced by the part of that name.

    Parts are constants of our own. What comes from elsewhere is a parameter (`:name`) of the statement, never a part.
    Raises: ValueError if the names in the template and the names of the parts are not the same.
    """
    wanted = set(Template(template).get_identifiers())
    if wanted != set(parts):
        raise ValueError(f"the template has {sorted(wanted)}, the parts are {sorted(parts)}")
    return Template(template).substitute(parts)


def statement(template: str, /, **parts: str | int) -> TextClause:
    """Return a statement that is made from parts. `db.prepared.Prepared` is for the statements of each pass."""
    return text(sql(template, **parts))
