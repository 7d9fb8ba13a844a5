"""Definitions: what is run, kept once for each owner, name and version."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    exists,
    func,
    select,
)
from sqlalchemy import (
    delete as erase,
)
from sqlalchemy import (
    update as change,
)
from sqlalchemy.dialects.postgresql import insert

from db import tables
from db.errors import NotFoundError
from db.page import FIRST_PAGE, Page
from db.people import User
from model.definition import RequestColumns, TestDefinition, from_json, to_json
from model.ids import DefinitionId, UserId
from model.request import TestType

D = tables.TestDefinition


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionFilter:
    """Which definitions are wanted; what is not given does not matter."""

    types: tuple[TestType, ...] = ()
    owner_id: UserId | None = None
    name: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    created_from: datetime | None = None
    created_to: datetime | None = None
    deleted: bool = False


def save(conn: Connection, definition: TestDefinition) -> DefinitionId:
    """Keep a definition and return its id: that of the kept one where owner, name and version are the same.

    Labels, tags and priority are not part of the version; the newest ones stand. Where nothing changed nothing is
    written or locked, so that many submits of one definition do not wait for each other.
    """
    parts = to_json(definition.request)
    same = select(D.id).where(_key(definition), D.meta == parts["metadata"], ~D.deleted)
    if (known := conn.execute(same).scalar_one_or_none()) is not None:
        return DefinitionId(known)
    new = insert(D).values(_values(definition, parts))
    row = new.on_conflict_do_update(
        constraint="one_definition_a_version",
        set_={"metadata": new.excluded.metadata, "updated_at": func.now(), "deleted": False},
    ).returning(D.id)
    written = conn.execute(row).scalar_one()
    _write_tags(conn, written, definition.request.tags)
    return DefinitionId(written)


def find(conn: Connection, definition_id: DefinitionId) -> TestDefinition:
    """Return a definition that is not deleted. Raises: NotFoundError."""
    row = conn.execute(select(D).where(D.id == definition_id, ~D.deleted)).one_or_none()
    if row is None:
        raise NotFoundError("definition", definition_id)
    return _definition(row)


def newest(conn: Connection, name: str, owner: User) -> TestDefinition | None:
    """Return the newest definition of a name among those of a user's team, or of the user without one; None: none."""
    ours = D.owner_id.in_(select(tables.User.user_id).where(tables.User.team_id == owner.team_id))
    whose = D.owner_id == owner.user_id if owner.team_id is None else ours
    query = select(D).where(D.name == name, ~D.deleted, whose).order_by(D.created_at.desc(), D.id.desc()).limit(1)
    row = conn.execute(query).one_or_none()
    return None if row is None else _definition(row)


def update(conn: Connection, definition: TestDefinition) -> None:
    """Write labels, tags and priority anew; anything else would be another version. Raises: NotFoundError."""
    meta = to_json(definition.request)["metadata"]
    statement = change(D).where(D.id == definition.id, D.version == definition.version, ~D.deleted)
    if conn.execute(statement.values(meta=meta, updated_at=func.now())).rowcount == 0:
        raise NotFoundError("definition", definition.id)
    _write_tags(conn, definition.id, definition.request.tags)


def delete(conn: Connection, definition_id: DefinitionId) -> None:
    """Hide a definition from lists; its runs keep it. Saving the same again brings it back. Raises: NotFoundError."""
    statement = change(D).where(D.id == definition_id, ~D.deleted).values(deleted=True, updated_at=func.now())
    if conn.execute(statement).rowcount == 0:
        raise NotFoundError("definition", definition_id)


def list_definitions(
    conn: Connection, wanted: DefinitionFilter, page: Page = FIRST_PAGE
) -> tuple[list[TestDefinition], int]:
    """Return a page of the definitions, newest first, and how many there are in all."""
    conditions = list(_conditions(wanted))
    total = conn.execute(select(func.count()).select_from(D).where(*conditions)).scalar_one()
    query: Select[Any] = select(D).where(*conditions).order_by(D.created_at.desc(), D.id.desc())
    rows = conn.execute(query.limit(page.limit).offset(page.offset))
    return [_definition(row) for row in rows], total


def labelled(labels: Iterable[tuple[str, str]]) -> Iterable[ColumnElement[bool]]:
    """Return the conditions that a definition has all these labels."""
    return (D.meta.contains({"labels": {key: value}}) for key, value in labels)


def tagged(tags: Iterable[str]) -> Iterable[ColumnElement[bool]]:
    """Return the conditions that a definition has all these tags; `name` finds `name=value` too."""
    for tag in tags:
        name, has_value, value = tag.partition("=")
        condition = exists().where(tables.TestTag.definition_id == D.id, tables.TestTag.tag_name == name)
        yield condition.where(tables.TestTag.tag_value == value) if has_value else condition


def _conditions(wanted: DefinitionFilter) -> Iterable[ColumnElement[bool]]:
    yield D.deleted.is_(wanted.deleted)
    if wanted.types:
        yield D.type.in_(wanted.types)
    if wanted.owner_id is not None:
        yield D.owner_id == wanted.owner_id
    if wanted.name is not None:
        yield D.name == wanted.name
    if wanted.created_from is not None:
        yield D.created_at >= wanted.created_from
    if wanted.created_to is not None:
        yield D.created_at < wanted.created_to
    yield from labelled(wanted.labels)
    yield from tagged(wanted.tags)


def _values(definition: TestDefinition, parts: RequestColumns) -> dict[str, Any]:
    return {
        "id": definition.id,
        "name": definition.name,
        "type": definition.type,
        "owner_id": definition.owner_id,
        "content": parts["content"],
        "resources": parts["resources"],
        "config": parts["config"],
        "run": parts["run"],
        "meta": parts["metadata"],
        "version": definition.version,
        "created_at": definition.created_at,
        "updated_at": definition.created_at,
    }


def _key(definition: TestDefinition) -> ColumnElement[bool]:
    return and_(D.owner_id == definition.owner_id, D.name == definition.name, D.version == definition.version)


def _write_tags(conn: Connection, definition_id: Any, tags: tuple[str, ...]) -> None:
    conn.execute(erase(tables.TestTag).where(tables.TestTag.definition_id == definition_id))
    pairs = dict.fromkeys((name, value) for name, _, value in (tag.partition("=") for tag in tags))
    if pairs:
        rows = [{"definition_id": definition_id, "tag_name": name, "tag_value": value} for name, value in pairs]
        conn.execute(insert(tables.TestTag).values(rows))


def _definition(row: Row[Any]) -> TestDefinition:
    request = from_json(request_parts(row))
    return TestDefinition(
        id=DefinitionId(row.id),
        name=row.name,
        type=request.type,
        owner_id=UserId(row.owner_id),
        created_at=row.created_at,
        request=request,
        version=row.version,
    )


def request_parts(row: Row[Any]) -> dict[str, Any]:
    """Return the columns of a request as `model.definition.from_json` takes them."""
    return {
        "name": row.name,
        "type": row.type,
        "content": row.content,
        "resources": row.resources,
        "config": row.config,
        "run": row.run,
        "metadata": row.metadata,
    }
