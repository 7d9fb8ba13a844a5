"""Put shared parts into SQL statements: the one way to do so in `db.gate`."""

from string import Template


def sql(template: str, **parts: str | int) -> str:
    """Return a statement in which each `$name` is replaced by the part of that name.

    Parts are constants of our own. What comes from elsewhere is a parameter (`:name`) of the statement, never a part.
    Raises: ValueError if the names in the template and the names of the parts are not the same.
    """
    statement = Template(template)
    if set(statement.get_identifiers()) != set(parts):
        raise ValueError(f"the template has {sorted(statement.get_identifiers())}, the parts are {sorted(parts)}")
    return statement.substitute(parts)
