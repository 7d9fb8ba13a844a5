"""Definitions: one for each owner, name and version."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from db import definitions, tables
from db.definitions import DefinitionFilter
from db.engine import Database
from db.errors import NotFoundError
from db.page import Page
from db.seeds import LOCAL_USER, PREFECT_USER


def count(db: Database) -> int:
    return db.call(lambda conn: conn.execute(select(func.count()).select_from(tables.TestDefinition)).scalar_one())


def test_the_same_request_again_reuses_the_definition(db: Database, make: Any, wanted: Any) -> None:
    first = db.call(lambda conn: make.definition(conn, wanted()))
    again = db.call(lambda conn: make.definition(conn, wanted()))
    other_text = db.call(lambda conn: make.definition(conn, wanted(body="# changed")))
    other_owner = db.call(lambda conn: make.definition(conn, wanted(owner=PREFECT_USER)))

    assert first == again
    assert len({first, other_text, other_owner}) == count(db) == 3


def test_labels_and_tags_are_the_newest(db: Database, make: Any, wanted: Any) -> None:
    old = db.call(lambda conn: make.definition(conn, wanted(labels=(("team", "a"),), tags=("one", "two"))))
    new = db.call(lambda conn: make.definition(conn, wanted(labels=(("team", "b"),), tags=("two", "x=1"))))

    found = db.call(lambda conn: definitions.find(conn, old))
    assert old == new
    assert (found.request.labels, found.request.tags) == ({"team": "b"}, ("two", "x=1"))
    tags = db.call(lambda conn: conn.execute(select(tables.TestTag.tag_name, tables.TestTag.tag_value)).all())
    assert sorted(tuple(tag) for tag in tags) == [("two", ""), ("x", "1")]


def test_many_at_once_make_one(db: Database, make: Any, wanted: Any) -> None:
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: db.call(lambda conn: make.definition(conn, wanted())), range(20)))

    assert len(set(made)) == count(db) == 1


def test_a_deleted_one_is_hidden_and_comes_back_when_saved(db: Database, make: Any, wanted: Any) -> None:
    made = db.call(lambda conn: make.definition(conn, wanted()))
    db.call(lambda conn: definitions.delete(conn, made))

    for gone in (definitions.find, definitions.delete):
        with pytest.raises(NotFoundError):
            db.call(lambda conn, f=gone: f(conn, made))
    assert db.call(lambda conn: definitions.list_definitions(conn, DefinitionFilter()))[1] == 0
    assert db.call(lambda conn: definitions.list_definitions(conn, DefinitionFilter(deleted=True)))[1] == 1
    assert db.call(lambda conn: make.definition(conn, wanted())) == made
    assert db.call(lambda conn: definitions.find(conn, made)).id == made


def test_an_update_changes_labels_tags_and_priority_only(db: Database, make: Any, wanted: Any) -> None:
    made = db.call(lambda conn: make.definition(conn, wanted(tags=("old",))))
    found = db.call(lambda conn: definitions.find(conn, made))
    changed = replace(found, request=replace(found.request, tags=("new",), priority=1, labels={"a": "b"}))

    db.call(lambda conn: definitions.update(conn, changed))

    assert db.call(lambda conn: definitions.find(conn, made)) == changed
    with pytest.raises(NotFoundError):
        db.call(lambda conn: definitions.update(conn, replace(changed, version="0" * 64)))


def test_the_list_is_filtered_and_paged(db: Database, make: Any, wanted: Any, noon: Any) -> None:
    def write(conn: Any) -> None:
        for i in range(6):
            owner = PREFECT_USER if i == 5 else LOCAL_USER
            kind = "custom" if i % 2 else "pytest"
            made = wanted(name=f"t{i}", at=noon + timedelta(hours=i), tags=(f"n={i % 3}",), owner=owner)
            make.definition(conn, replace(made, type=type(made.type)(kind), labels=(("parity", kind),)))

    db.call(write)

    def listed(page: Page | None = None, **filters: Any) -> list[str]:
        asked = (DefinitionFilter(**filters), page or Page())
        return [found.name for found in db.call(lambda conn: definitions.list_definitions(conn, *asked))[0]]

    assert listed() == ["t5", "t4", "t3", "t2", "t1", "t0"]
    assert listed(Page(limit=2, offset=1)) == ["t4", "t3"]
    assert listed(types=("custom",)) == listed(labels=(("parity", "custom"),)) == ["t5", "t3", "t1"]
    assert listed(owner_id=PREFECT_USER) == ["t5"]
    assert listed(tags=("n=1",)) == ["t4", "t1"]
    assert listed(created_from=noon + timedelta(hours=1), created_to=noon + timedelta(hours=3)) == ["t2", "t1"]
