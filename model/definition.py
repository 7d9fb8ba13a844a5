"""A test request that is kept: its identity, its version, and its forms for the database and for files."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from model.check import check
from model.document import read_yaml, write_yaml
from model.examine import LOCAL_TEST, REQUEST, refuse
from model.fields import FORBID
from model.ids import DefinitionId, UserId
from model.lenient import mapping
from model.plain import plain
from model.problems import InvalidError, Problem
from model.reading import Reader
from model.request import LocalTest, TestRequest, TestType
from model.rules import ToolRules

_RUN = ("command", "arguments", "junit", "setup", "env")
_METADATA = ("labels", "tags", "priority")
_VERSIONED = ("type", "content", "resources", "config", "run")
_LATER: Mapping[str, object] = {"apart": [], "spread": [], "exclusive": [], "restartable": False}
"""Fields of config that came after the first versions, as they are where nobody gave them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestDefinition:
    """What is run, and whose it is. `version` is a digest of everything that decides what is run (decision 7)."""

    __test__ = False

    id: DefinitionId
    name: str
    type: TestType
    owner_id: UserId
    created_at: datetime
    request: TestRequest
    version: str

    def __post_init__(self) -> None:
        if (self.name, self.type) != (self.request.name, self.request.type):
            msg = f"definition {self.name} ({self.type}) of request {self.request.name} ({self.request.type})"
            raise ValueError(msg)

    def to_yaml(self) -> str:
        """Return it as a file; `from_yaml` reads it again."""
        return write_yaml(
            {
                "id": str(self.id),
                "ownerId": str(self.owner_id),
                "createdAt": self.created_at.isoformat(),
                "version": self.version,
                "test": to_raw(self.request),
            }
        )

    @staticmethod
    def from_yaml(text: str, tools: ToolRules) -> "TestDefinition":
        """Return the definition in `text`. Raises: InvalidError with all problems; the version must be its own."""
        raw = mapping(read_yaml(text))
        head, request = _read_head(raw), _checked_test(raw.get("test"), tools)
        if version_of(request) != head.version:
            raise InvalidError([Problem(path="version", message="is not the version of this content")])
        return define(request, DefinitionId(head.id), UserId(head.owner_id), head.created_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    __pydantic_config__ = FORBID

    id: UUID
    owner_id: UUID
    created_at: datetime
    version: str


_HEAD = Reader(_Head)


def _read_head(raw: dict[str, Any]) -> _Head:
    seen = plain({key: value for key, value in raw.items() if key != "test"})
    reading = _HEAD.read(seen.value)
    refuse(seen, tuple(reading.findings))
    return reading.required()


def _checked_test(raw: object, tools: ToolRules) -> TestRequest:
    try:
        return check(raw, tools)
    except InvalidError as error:
        raise error.under("test") from None


def define(request: TestRequest, id: DefinitionId, owner: UserId, now: datetime) -> TestDefinition:  # noqa: A002  the field's word
    """Return `request` as a definition."""
    return TestDefinition(
        id=id,
        name=request.name,
        type=request.type,
        owner_id=owner,
        created_at=now,
        request=request,
        version=version_of(request),
    )


def version_of(request: TestRequest) -> str:
    """Return the SHA-256 of the canonical JSON of type, content, resources, config and run.

    Name, labels, tags and priority do not count: they change nothing in what is run. Nor does a later field that is
    not given: a test keeps its version, and its history, when Assay learns something new.
    """
    parts = to_json(request)
    config = {key: value for key, value in parts["config"].items() if _LATER.get(key) != value}
    versioned = {key: parts[key] for key in _VERSIONED} | {"config": config}
    canonical = json.dumps(versioned, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def to_raw(test: TestRequest | LocalTest) -> dict[str, Any]:
    """Return `test` as its sender would write it, every default included: `check` accepts it."""
    if isinstance(test, LocalTest):
        return mapping(LOCAL_TEST.adapter.dump_python(test, mode="json", by_alias=True, exclude_none=True))
    return mapping(REQUEST.adapter.dump_python(test, mode="json", by_alias=True, exclude_none=True))


def to_json(request: TestRequest) -> dict[str, Any]:
    """Return the parts of `request` as the columns hold them: name, type, content, resources, config, run, metadata."""
    raw = to_raw(request)
    return {
        "name": raw["name"],
        "type": raw["type"],
        "content": raw["content"],
        "resources": raw["resources"],
        "config": raw["config"],
        "run": {key: raw[key] for key in _RUN if key in raw},
        "metadata": {key: raw[key] for key in _METADATA},
    }


def from_json(parts: Mapping[str, Any]) -> TestRequest:
    """Return the request that was stored as `parts`, see `to_json`.

    Only the fields are checked: rules that came later do not make history unreadable. Raises: InvalidError.
    """
    raw = {key: parts[key] for key in ("name", "type", "content", "resources", "config")}
    reading = REQUEST.read({**raw, **parts.get("run", {}), **parts.get("metadata", {})})
    return reading.required()


def to_yaml(request: TestRequest) -> str:
    """Return `request` as a file for `assay run`."""
    return write_yaml(to_raw(request))


def from_yaml(text: str, tools: ToolRules) -> TestRequest:
    """Return the request that a file describes. Raises: InvalidError with all problems."""
    return check(read_yaml(text), tools)
