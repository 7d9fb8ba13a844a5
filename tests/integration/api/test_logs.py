"""Tests of logs: text from an offset, and a stream that sends every byte exactly once."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from harness.rest import Api, begin, end, submitted

from api.logs import whole_characters
from cli.logs import Event, events
from cluster.logs import LogStore
from model.ids import ExecutionId

NASTY = "grün ✓ 🚀\n".encode() + bytes(range(256)) * 3 + b"\r\n\r no end" + b"\xf0\x9f"


def append(api: Api, run: ExecutionId, data: bytes, source: Path) -> None:
    """Write to the log as the worker does."""
    with source.open("ab") as file:
        file.write(data)
    LogStore(api.state / "logs").append_from(source, run, 1, final=True)


def follow(api: Api, run: ExecutionId, last: str | None = None, query: str = "") -> Iterator[Event]:
    headers = {"Accept": "text/event-stream"} | ({} if last is None else {"Last-Event-ID": last})
    with api.client(**headers) as client, client.stream("GET", f"/tests/{run}/logs{query}") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield from events(answer.iter_lines())


def bytes_of(found: list[Event]) -> bytes:
    return b"".join(json.loads(event.data).encode("utf-8", "surrogateescape") for event in found if event.name == "log")


def test_text_comes_from_an_offset(api: Api, client: httpx.Client, tmp_path: Path) -> None:
    run = submitted(client)
    empty = client.get(f"/tests/{run}/logs")
    append(api, run, NASTY, tmp_path / "out")

    whole, rest = client.get(f"/tests/{run}/logs"), client.get(f"/tests/{run}/logs?offset=7")
    beyond = client.get(f"/tests/{run}/logs?offset=1000000")

    assert (empty.status_code, empty.content) == (200, b"")
    assert whole.headers["content-type"] == "text/plain; charset=utf-8"
    assert (whole.content, rest.content, beyond.content) == (NASTY, NASTY[7:], b"")
    assert whole.headers["x-log-size"] == str(len(NASTY))
    assert client.get(f"/tests/{run}/logs?offset=-1").status_code == 400


def test_a_stream_of_an_ended_run_has_every_byte_and_ends(api: Api, client: httpx.Client, tmp_path: Path) -> None:
    run = submitted(client)
    begin(api.db, run)
    append(api, run, NASTY * 200, tmp_path / "out")
    end(api.db, run)

    found = list(follow(api, run))

    assert bytes_of(found) == NASTY * 200
    assert found[-1].name == "end"
    assert json.loads(found[-1].data) == {"status": "completed", "offset": len(NASTY) * 200}


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 9, 10, 700])
def test_a_stream_can_be_resumed_at_any_byte(api: Api, client: httpx.Client, tmp_path: Path, cut: int) -> None:
    run = submitted(client)
    append(api, run, NASTY, tmp_path / "out")
    client.post(f"/tests/{run}/cancel")

    assert bytes_of(list(follow(api, run, last=str(cut)))) == NASTY[cut:]
    assert bytes_of(list(follow(api, run, query=f"?follow=true&offset={cut}"))) == NASTY[cut:]


def test_a_reader_that_reconnects_often_gets_every_byte_once(api: Api, client: httpx.Client, tmp_path: Path) -> None:
    run = submitted(client)
    begin(api.db, run)

    def write() -> None:
        for _ in range(60):
            append(api, run, NASTY, tmp_path / "out")
            time.sleep(0.01)
        end(api.db, run)

    writer = threading.Thread(target=write)
    writer.start()
    got, last, rounds, ended = b"", "0", 0, False
    while not ended:
        rounds += 1
        for count, event in enumerate(follow(api, run, last=last)):
            got += bytes_of([event])
            last, ended = event.id, event.name == "end"
            if count == 2:
                break
    writer.join()

    assert rounds > 3
    assert got == NASTY * 60


def test_a_quiet_stream_sends_keepalives(api: Api, client: httpx.Client) -> None:
    run = submitted(client)

    with client.stream("GET", f"/tests/{run}/logs?follow=true") as answer:
        first = next(line for line in answer.iter_lines() if line)

    assert first.startswith(":")


@pytest.mark.parametrize("text", ["aé", "a✓", "a🚀"])
def test_a_character_is_never_split(text: str) -> None:
    data = text.encode()

    assert [whole_characters(data[:cut]) for cut in range(2, len(data))] == [b"a"] * (len(data) - 2)
    assert whole_characters(data) == data


def test_bytes_that_are_not_utf8_are_sent() -> None:
    assert whole_characters(b"\xff\xfe") == b"\xff\xfe"
    assert whole_characters(b"a\x80") == b"a\x80"
