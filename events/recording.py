"""Recordings: the events of a test as lines of JSON, from which every assertion can be judged again.

The first line says what the file is, how many events it has, when the test ended, what its scope was, and what the test
is, but for its trigger. Each other line is an event. A file that was cut is refused: without the events that are
missing, its verdict would be another one.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from events.chaos import FaultWindow
from events.driven_test import EventDrivenTest, EventTestResult
from events.event import Event, Milliseconds, Offset, PartitionNumber, Topic
from events.paths import as_json, compile_path
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
    blind: tuple[Milliseconds, ...] = ()


class _Version(BaseModel):
    assay_recording: int


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid")

    assay_recording: int
    name: str
    ended_at: float = Field(ge=0, allow_inf_nan=False)
    events: int | None = None
    """None in a file of an older version."""
    scope: tuple[str, JsonValue] | None = None
    test: JsonValue = None
    faults: list[tuple[str, float, float]] = Field(default_factory=list)
    blind: list[float] = Field(default_factory=list)


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
    at: float = Field(ge=0, allow_inf_nan=False)
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
    first = lines[0] if lines else ""
    version = _read(_Version, path, 1, first).assay_recording
    if version != VERSION:
        raise RecordingError(
            f"{path}: version {version} is not known, only {VERSION}; replay it with the Assay that wrote it"
        )
    header = _read(_Header, path, 1, first)
    events = [_read(_Line, path, number, line).event() for number, line in enumerate(lines[1:], start=2)]
    if header.events not in (None, len(events)):
        message = (
            f"it holds {len(events)} events, but its first line says {header.events}; it was cut, or edited by hand"
        )
        raise RecordingError(f"{path}: {message}. If that is meant, correct `events` there")
    _check_times(path, events, header.ended_at)
    return Recording(
        name=header.name,
        ended_at=header.ended_at,
        scope=_scope(path, header),
        events=tuple(events),
        test=header.test,
        windows=tuple(FaultWindow(name=name, begins=begins, ends=ends) for name, begins, ends in header.faults),
        blind=tuple(sorted(header.blind)),
    )


def replayed(test: EventDrivenTest, recording: Recording) -> EventTestResult:
    """Return what a test says of a recording. The scope is that of the test if it has a value, else the recorded one.

    Raises: RecordingError if the test takes its scope from a trigger, and the recording has none.
    """
    scope = test.scope if isinstance(test.scope, Scope) else recording.scope
    if scope is None and test.scope is not None:
        raise RecordingError(
            "the test takes its scope from its trigger, and the recording has no scope: write `equals`"
        )
    return test.replay(
        recording.events,
        ended_at=recording.ended_at,
        scope=scope,
        windows=recording.windows,
        blind=recording.blind,
    )


def _scope(path: Path, header: _Header) -> Scope | None:
    if header.scope is None:
        return None
    try:
        compile_path(header.scope[0])
        return Scope(expression=header.scope[0], value=header.scope[1])
    except ValueError as error:
        raise RecordingError(f"{path}, line 1: {error}") from error


def _check_times(path: Path, events: Sequence[Event], ended_at: Milliseconds) -> None:
    """Raise: RecordingError if an event arrived before the one above it, or after the end of the test."""
    latest: Milliseconds = 0.0
    for number, event in enumerate(events, start=2):
        if not latest <= event.at <= ended_at:
            bounds = f"the line above ({latest:g}) and not after ended_at ({ended_at:g})"
            raise RecordingError(f"{path}, line {number}: at {event.at:g} must not be before that of {bounds}")
        latest = event.at


def _read(kind: type[_Model], path: Path, number: int, line: str) -> _Model:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise RecordingError(f"{path}, line {number}: not a line of a recording: {reason}") from error


def _lines(result: EventTestResult, test: JsonValue) -> Iterator[str]:
    scope = None if result.scope is None else [result.scope.expression, result.scope.value]
    header = {"assay_recording": VERSION, "name": result.name, "events": len(result.events)}
    faults = [[window.name, window.begins, window.ends] for window in result.windows]
    header |= {"ended_at": result.ended_at, "scope": scope, "test": test, "faults": faults, "blind": result.blind}
    yield json.dumps(header)
    for event in result.events:
        yield json.dumps(as_json(event))
