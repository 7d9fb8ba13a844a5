"""Recordings: the events of a test as lines of JSON, from which every assertion can be judged again.

The first line says what the file is, when the test ended, what its scope was, and what the test is, but for its
trigger. Each other line is an event.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from events.chaos import FaultWindow
from events.driven_test import EventTestResult
from events.event import Event, Milliseconds, Offset, PartitionNumber, Topic
from events.paths import as_json
from events.scope import Scope

VERSION = 1
_Model = TypeVar("_Model", bound=BaseModel)


class RecordingError(Exception):
    """The file is no recording, or is damaged. Whoever named it must name another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What a file holds. `test` is the test as its file had it, None if the recording does not come from a file."""

    name: str
    ended_at: Milliseconds
    scope: Scope | None
    events: tuple[Event, ...]
    test: JsonValue = None
    windows: tuple[FaultWindow, ...] = ()


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid")

    assay_recording: int
    name: str
    ended_at: float
    scope: tuple[str, JsonValue] | None = None
    test: JsonValue = None
    faults: list[tuple[str, float, float]] = Field(default_factory=list)


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")

    topic: str
    partition: int
    offset: int
    type: str
    key: str | None
    payload: JsonValue
    headers: dict[str, str]
    attributes: dict[str, str]
    timestamp_ms: int | None
    at: float
    poison: str | None
    schema_id: int | None = None

    def event(self) -> Event:
        return Event(
            topic=Topic(self.topic),
            type=self.type,
            partition=PartitionNumber(self.partition),
            offset=Offset(self.offset),
            key=self.key,
            payload=self.payload,
            headers=self.headers,
            attributes=self.attributes,
            timestamp_ms=self.timestamp_ms,
            at=self.at,
            poison=self.poison,
            schema_id=self.schema_id,
        )


def write_recording(path: Path, result: EventTestResult, test: JsonValue = None) -> None:
    """Write the events of a result, and the test that they were judged by."""
    path.write_text("".join(f"{line}\n" for line in _lines(result, test)), encoding="utf-8")


def read_recording(path: Path) -> Recording:
    """Return what a file holds. Raises: RecordingError, with the number of the line that is wrong."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path}: cannot be read: {error}") from error
    header = _read(_Header, path, 1, lines[0] if lines else "")
    if header.assay_recording != VERSION:
        raise RecordingError(f"{path}: version {header.assay_recording} is not known, only {VERSION}")
    events = [_read(_Line, path, number, line).event() for number, line in enumerate(lines[1:], start=2)]
    scope = None if header.scope is None else Scope(expression=header.scope[0], value=header.scope[1])
    return Recording(
        name=header.name,
        ended_at=header.ended_at,
        scope=scope,
        events=tuple(events),
        test=header.test,
        windows=tuple(FaultWindow(name=name, begins=begins, ends=ends) for name, begins, ends in header.faults),
    )


def _read(kind: type[_Model], path: Path, number: int, line: str) -> _Model:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise RecordingError(f"{path}, line {number}: not a line of a recording: {reason}") from error


def _lines(result: EventTestResult, test: JsonValue) -> Iterator[str]:
    scope = None if result.scope is None else [result.scope.expression, result.scope.value]
    header = {"assay_recording": VERSION, "name": result.name, "ended_at": result.ended_at, "scope": scope}
    faults = [[window.name, window.begins, window.ends] for window in result.windows]
    yield json.dumps({**header, "test": test, "faults": faults})
    for event in result.events:
        yield json.dumps(as_json(event))
