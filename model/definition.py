"""Test definitions: stored requests with an owner and a version, and their forms for the database and for files."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from model.check import check
from model.document import read_yaml, write_yaml
from model.examine import LOCAL_TEST, REQUEST, refuse
from model.fields import FORBID
from model.ids import DefinitionId, UserId
from model.json_values import JsonObject, json_object
from model.lenient import mapping
from model.plain import plain
from model.problems import InvalidError, Problem
from model.reading import Reader
from model.request import LocalTest, TestRequest, TestType
from model.rules import ToolRules

_RUN = ("command", "arguments", "junit", "setup", "env")
_METADATA = ("labels", "tags", "priority")
_LATER: Mapping[str, object] = {
    "apart": [],
    "spread": [],
    "exclusive": [],
    "uses": [],
    "restartable": False,
    "image": None,
    "imagePullPolicy": "IfNotPresent",
    "network": {"targets": []},
}
"""The fields of `config` that came after the first release, with their defaults. See `version_of`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestDefinition:
    """A stored request and its owner. `version` is a digest of everything that decides what is run (D7)."""

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
        """Return the definition as a YAML file, which `from_yaml` can read."""
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
        """Return the definition that `text` describes.

        Raises: InvalidError with all problems, also where the version is not that of the content.
        """
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


def _read_head(raw: Mapping[str, object]) -> _Head:
    seen = plain({key: value for key, value in raw.items() if key != "test"})
    reading = _HEAD.read(seen.value)
    refuse(seen, tuple(reading.findings))
    return reading.required()


def _checked_test(raw: object, tools: ToolRules) -> TestRequest:
    try:
        return check(raw, tools)
    except InvalidError as error:
        raise error.under("test") from None


def define(request: TestRequest, id: DefinitionId, owner: UserId, now: datetime) -> TestDefinition:  # noqa: A002  the name of the field
    """Make a definition of `request`."""
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

    Name, labels, tags and priority are left out, because they do not change what is run. A field of `_LATER` is left
    out while it has its default: so a test keeps its version and its history when a release adds a field.
    """
    parts = to_json(request)
    config = {key: value for key, value in parts["config"].items() if _LATER.get(key) != value}
    versioned = {
        "type": parts["type"],
        "content": parts["content"],
        "resources": parts["resources"],
        "config": config,
        "run": parts["run"],
    }
    canonical = json.dumps(versioned, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def to_raw(test: TestRequest | LocalTest) -> JsonObject:
    """Return `test` as JSON data with every default. `check` accepts it."""
    raw: JsonObject
    if isinstance(test, LocalTest):
        raw = LOCAL_TEST.adapter.dump_python(test, mode="json", by_alias=True, exclude_none=True)
    else:
        raw = REQUEST.adapter.dump_python(test, mode="json", by_alias=True, exclude_none=True)
    return raw


class RequestColumns(TypedDict):
    """A request as the columns of `test_definitions` hold it."""

    name: str
    type: str
    content: JsonObject
    resources: JsonObject
    config: JsonObject
    run: JsonObject
    metadata: JsonObject


def to_json(request: TestRequest) -> RequestColumns:
    """Return `request` as the columns of its definition hold it."""
    raw = to_raw(request)
    return {
        "name": request.name,
        "type": request.type.value,
        "content": json_object(raw["content"]),
        "resources": json_object(raw["resources"]),
        "config": json_object(raw["config"]),
        "run": {key: raw[key] for key in _RUN if key in raw},
        "metadata": {key: raw[key] for key in _METADATA},
    }


def from_json(parts: Mapping[str, object]) -> TestRequest:
    """Return the request that `to_json` wrote as `parts`. Raises: InvalidError.

    Only single fields are checked, not the rules across fields: a rule that is newer than the row must not make the
    row unreadable.
    """
    raw = {key: parts[key] for key in ("name", "type", "content", "resources", "config")}
    reading = REQUEST.read({**raw, **mapping(parts.get("run")), **mapping(parts.get("metadata"))})
    return reading.required()


def to_yaml(request: TestRequest) -> str:
    """Return `request` as a file for `assay run`."""
    return write_yaml(to_raw(request))


def from_yaml(text: str, tools: ToolRules) -> TestRequest:
    """Return the request that a file describes. Raises: InvalidError with all problems."""
    return check(read_yaml(text), tools)
