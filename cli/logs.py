"""Follows a log over lost connections. The byte offset of the last piece says where to continue."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import httpx

from cli.client import Client
from cli.failure import UnreachableError
from cli.output import raw, say
from cli.watch import patiently


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One server-sent event."""

    name: str
    data: str
    id: str


def events(lines: Iterable[str]) -> Iterator[Event]:
    """Read server-sent events from lines. Comments are heartbeats and are skipped."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line:
            if fields:
                yield Event(name=fields.get("event", "message"), data=fields.get("data", ""), id=fields.get("id", ""))
            fields = {}
            continue
        name, _, value = line.partition(":")
        if name:
            text = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{text}" if name == "data" and name in fields else text


def follow(client: Client, execution_id: str) -> str:
    """Write the whole log to stdout, each byte once, and return the last status of the run."""
    position = Position()
    while True:
        status: str | None = patiently(lambda: _follow_once(client, execution_id, position))
        if status is not None:
            return status
        say("the log stream was interrupted; continuing where it stopped")


@dataclass(slots=True)
class Position:
    """The offset after the last byte that was written."""

    offset: int = 0


def _follow_once(client: Client, execution_id: str, position: Position) -> str | None:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(position.offset)}
    try:
        with client.lines(f"/tests/{execution_id}/logs", headers) as lines:
            for event in events(lines):
                if event.name == "end":
                    return str(json.loads(event.data)["status"])
                if event.name == "log":
                    raw(json.loads(event.data).encode("utf-8", "surrogateescape"))
                    position.offset = int(event.id)
    except httpx.StreamError as error:
        raise UnreachableError(f"the log stream broke ({error})") from error
    return None
