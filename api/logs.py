"""GET /tests/{executionId}/logs: the log as text from an offset, or as a stream that can be resumed at any byte.

The id of an event of the stream is the offset after its last byte, and its data is a JSON string. Bytes that are not
UTF-8 are written as the lone surrogates U+DC80 to U+DCFF (PEP 383). So every byte is sent exactly once.
"""

import asyncio
import codecs
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event

from api.parameters import ExecutionText
from api.services import Services, ServicesDep
from db import executions
from model.execution import Status
from model.ids import ExecutionId

router = APIRouter(tags=["tests"])
CHUNK = 64 * 2**10
TEXT_LIMIT = 2**20
LONGEST_CHARACTER = 4
STATUS_EVERY = 4
"""The number of reads of the log for each read of the status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """The part of the log that a request asks for, and whether it asks for a stream."""

    offset: int
    resume_at: int
    """The offset at which a stream begins."""
    stream: bool


def log_query(
    request: Request,
    *,
    offset: Annotated[int, Query(ge=0, le=2**53, description="Offset of the first byte")] = 0,
    follow: Annotated[bool, Query(description="Stream server-sent events until the run has ended")] = False,
    last_event_id: Annotated[int | None, Header(ge=0, le=2**53, description="Resume the stream at this byte")] = None,
) -> LogQuery:
    """Read the query of a request."""
    stream = follow or "text/event-stream" in request.headers.get("accept", "")
    return LogQuery(offset=offset, resume_at=max(offset, last_event_id or 0), stream=stream)


@router.get(
    "/tests/{executionId}/logs",  # noqa: FAST003  bound by alias
    summary="Read or follow the log of a test",
    response_class=Response,
    responses={
        200: {
            "description": "The log from `offset` on, at most 1 MiB; or a stream of `log` events and one `end` event",
            "content": {
                "text/plain": {"schema": {"type": "string"}},
                "text/event-stream": {"schema": {"type": "string"}},
            },
            "headers": {"X-Log-Size": {"description": "Size of the log now, in bytes", "schema": {"type": "integer"}}},
        }
    },
)
async def logs(
    execution_id: ExecutionText, services: ServicesDep, query: Annotated[LogQuery, Depends(log_query)]
) -> Response:
    """Return the log as text, or as server-sent events if `follow` or the Accept header asks for them."""
    found = await services.database.run(lambda conn: executions.resolve(conn, execution_id))
    if query.stream:
        follower = Follower(services=services, execution_id=found, offset=query.resume_at)
        return EventSourceResponse(follower.events(), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    content = await asyncio.to_thread(services.logs.read, found, query.offset, TEXT_LIMIT)
    size = await asyncio.to_thread(services.logs.size, found)
    headers = {"X-Log-Size": str(size), "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type="text/plain; charset=utf-8", headers=headers)


@dataclass(slots=True, kw_only=True)
class Follower:
    """One client that follows one log."""

    services: Services
    execution_id: ExecutionId
    offset: int

    async def events(self) -> AsyncIterator[bytes]:
        """Yield the log from `offset` on until the run has ended and the whole log is read."""
        settings = self.services.settings
        quiet, reads = 0.0, 0
        while True:
            ended = await self._ended() if reads % STATUS_EVERY == 0 else None  # before reading, since the log may grow
            sent = False
            while chunk := await self._read(last=ended is not None):
                self.offset += len(chunk)
                sent = True
                yield _log_event(chunk, self.offset)
            if ended is not None:
                data = json.dumps({"status": ended.value, "offset": self.offset})
                yield format_sse_event(data_str=data, event="end", id=str(self.offset))
                return
            quiet, reads = (0.0 if sent else quiet + settings.log_poll), reads + 1
            if quiet >= settings.heartbeat:
                quiet = 0.0
                yield KEEPALIVE_COMMENT
            await asyncio.sleep(settings.log_poll)

    async def _ended(self) -> Status | None:
        execution = await self.services.database.run_patiently(lambda conn: executions.find(conn, self.execution_id))
        return execution.status if execution.status.terminal else None

    async def _read(self, *, last: bool) -> bytes:
        chunk = await asyncio.to_thread(self.services.logs.read, self.execution_id, self.offset, CHUNK)
        return chunk if last and len(chunk) < CHUNK else whole_characters(chunk)


def whole_characters(chunk: bytes) -> bytes:
    """Return `chunk` without an incomplete character at its end, which the next read returns whole."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    decoder.decode(chunk)
    cut = len(decoder.getstate()[0])
    return chunk[: len(chunk) - cut] if 0 < cut < LONGEST_CHARACTER else chunk


def _log_event(chunk: bytes, offset: int) -> bytes:
    text = json.dumps(chunk.decode("utf-8", "surrogateescape"))
    return format_sse_event(data_str=text, event="log", id=str(offset))
