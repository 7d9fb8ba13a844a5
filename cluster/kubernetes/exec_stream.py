"""Runs a program in a container of a pod, with what it reads and prints. It blocks: call it from a thread."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

import urllib3
import yaml
from kubernetes.client.exceptions import ApiException
from kubernetes.stream.ws_client import ERROR_CHANNEL, STDERR_CHANNEL, STDOUT_CHANNEL, WSClient
from pydantic import ValidationError
from websocket import WebSocketBadStatusException, WebSocketException, setdefaulttimeout

from cluster.backend import UnavailableError
from cluster.kubernetes.api_objects import ApiStatus
from cluster.kubernetes.connection import READ_SECONDS, Connection

LOOK_SECONDS = 0.25
PIECE = 2**18
LARGEST_WORDS = 16_384
"""Bytes of the error output that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodProgram:
    """What to run where. It reads `source`. `take` gets what it prints."""

    path: str
    """The path of the pod in the API."""
    container: str
    command: Sequence[str]
    source: BinaryIO | None = None
    take: Callable[[bytes], None] = field(default=lambda _: None)
    seconds: float = 60.0
    """The time that it may take without a sign of life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a program ended, and the end of its error output."""

    exit_code: int
    words: str


class _Stream(WSClient):
    """The client's stream, a few frames at a time.

    By itself `update` reads frames as long as any is there, and copies what it has for each. So 500 MB of results would
    stay in memory, and the copies would keep all other threads waiting for minutes.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]

    def _frames_immediately_available(self) -> bool:
        return False


def run(connection: Connection, program: PodProgram, look: Callable[[], None] = lambda: None) -> Ran:
    """Run a program to its end. `look` is called now and then: if it raises, the connection is dropped.

    The program is not ended by that: only the end of its container does it.
    Raises: UnavailableError, also if the container is not there.
    """
    query = [("command", word) for word in program.command]
    query += [("container", program.container), ("stdout", "true"), ("stderr", "true")]
    query += [("stdin", "true")] if program.source is not None else []
    configuration, url, headers = connection.exec_target(f"{program.path}/exec", tuple(query))
    setdefaulttimeout(READ_SECONDS)
    try:
        stream = _Stream(configuration, url.replace("http", "ws", 1), headers, capture_all=False, binary=True)
        try:
            return _converse(stream, program, look)
        finally:
            with suppress(WebSocketException, OSError):
                stream.close()  # type: ignore[no-untyped-call]
    except WebSocketBadStatusException as refused:
        told = _message(refused.resp_body or b"") or f"HTTP {refused.status_code}"
        words = f"cluster {connection.access.name}: cannot run a program in {program.container}: {told}"
        raise UnavailableError(words) from refused
    except (WebSocketException, ApiException, OSError, urllib3.exceptions.HTTPError) as broken:
        words = f"{program.container} of {program.path.rpartition('/')[2]} cannot be reached: {str(broken)[:500]}"
        raise UnavailableError(words) from broken


def _message(body: bytes) -> str:
    """Return what the API server says to a request that it refuses; empty for what is no word of it."""
    try:
        return ApiStatus.model_validate_json(body).message[:500]
    except ValidationError:
        return ""


def _converse(stream: WSClient, program: PodProgram, look: Callable[[], None]) -> Ran:
    """Send and receive until the program has ended. Raises: UnavailableError if nothing is heard for too long."""
    words = bytearray()
    silent, source = 0.0, program.source
    while stream.is_open():
        look()
        piece = source.read(PIECE) if source is not None else b""
        if piece:
            stream.write_stdin(piece)
        else:
            source = None
        stream.update(timeout=0 if piece else LOOK_SECONDS)
        heard = _receive(stream, program, words)
        silent = 0.0 if heard or piece else silent + LOOK_SECONDS
        if silent > program.seconds:
            raise UnavailableError(f"{program.container}: nothing was heard for {program.seconds:g} s")
    _receive(stream, program, words)
    return Ran(exit_code=_exit_code(stream), words=words.decode(errors="replace").strip())


def _receive(stream: WSClient, program: PodProgram, words: bytearray) -> bool:
    """Pass on what has arrived. Return whether anything has."""
    printed = bytes(stream.read_channel(STDOUT_CHANNEL))
    said = bytes(stream.read_channel(STDERR_CHANNEL))
    if printed:
        program.take(printed)
    words += said
    del words[:-LARGEST_WORDS]
    return bool(printed or said)


def _exit_code(stream: WSClient) -> int:
    """Return the exit code. Raises: UnavailableError if the connection ended before the program."""
    told = yaml.safe_load(bytes(stream.read_channel(ERROR_CHANNEL)) or b"{}") or {}
    if told.get("status") == "Success":
        return 0
    causes = (told.get("details") or {}).get("causes") or []
    for cause in causes:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    raise UnavailableError(
        f"the program's end is not known: {str(told.get('message', 'the connection broke off'))[:500]}"
    )
