"""Follows logs over lost connections. The byte offset of the last piece says where to continue."""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from cli.client import Client
from cli.failure import UnreachableError
from cli.found_run import FoundRun
from cli.output import raw, say
from cli.watch import INTERVAL, patiently
from cli.words import TERMINAL


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


def follow(client: Client, run: FoundRun) -> Any:
    """Write the whole log to stdout, each byte once, and return the last state of the run."""
    position = Position()
    while not patiently(lambda: _follow_once(client, run.id, position)):
        say("the log stream was interrupted; continuing where it stopped")
    return patiently(lambda: client.get(run.details))


@dataclass(slots=True)
class Position:
    """The offset after the last byte that was written."""

    offset: int = 0


def _follow_once(client: Client, execution_id: str, position: Position) -> bool:
    """Write the log from `position` on. Returns: whether the run has ended and its log is complete."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(position.offset)}
    try:
        with client.lines(f"/tests/{execution_id}/logs", headers) as lines:
            for event in events(lines):
                if event.name == "end":
                    return True
                if event.name == "log":
                    raw(json.loads(event.data).encode("utf-8", "surrogateescape"))
                    position.offset = int(event.id)
    except httpx.StreamError as error:
        raise UnreachableError(f"the log stream broke ({error})") from error
    return False


def follow_suite(client: Client, suite: FoundRun) -> Any:
    """Write the logs of all tests of a suite run as they grow, and return the last state of the suite run."""
    logs: dict[str, TestLog] = {}
    while True:
        answer = patiently(lambda: client.get(suite.details))  # before the logs, since they may grow
        for test in answer["executions"]:
            log = logs.setdefault(test["executionId"], TestLog(name=test["name"]))
            _write_new(client, test, log)
        if answer["status"] in TERMINAL:
            return answer
        time.sleep(INTERVAL)


@dataclass(slots=True, kw_only=True)
class TestLog:
    """The log of one test among others: what was read of it, and the last line while it is not complete."""

    __test__ = False

    name: str
    position: Position = field(default_factory=Position)
    line: bytes = b""
    complete: bool = False


def _write_new(client: Client, test: Any, log: TestLog) -> None:
    """Write the complete lines that the log has got since the last time, and all that is left once the test ended."""
    if log.complete or (test["status"] == "queued" and not log.position.offset and not test["startedAt"]):
        return
    query = {"offset": log.position.offset}
    while piece := patiently(lambda: client.text(f"/tests/{test['executionId']}/logs", query)):
        query["offset"] += len(piece)
        lines, newline, log.line = (log.line + piece).rpartition(b"\n")
        raw(prefixed(log.name, lines + newline))
    log.position.offset = query["offset"]
    if test["status"] in TERMINAL:
        raw(prefixed(log.name, log.line))
        log.complete = True


def prefixed(name: str, content: bytes) -> bytes:
    """Return the lines of a log with the name of its test before each."""
    begin = f"{name} | ".encode()
    return b"".join(begin + line + b"\n" for line in content.removesuffix(b"\n").split(b"\n")) if content else b""
