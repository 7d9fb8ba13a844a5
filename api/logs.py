"""GET /tests/{executionId}/logs: text from an offset, or a stream that resumes at the byte where it was cut.

In the stream, the id of an event is the offset behind its last byte, and its data is a JSON string. Bytes that are no
UTF-8 stand in it as the lone surrogates U+DC80 to U+DCFF (PEP 383), so that every byte comes through, once.
"""

import asyncio
import codecs
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event

from api.parameters import ExecutionText
from api.services import Here, Services
from db import executions
from model.execution import Status
from model.ids import ExecutionId

router = APIRouter(tags=["tests"])
CHUNK = 64 * 2**10
TEXT_LIMIT = 2**20
LONGEST_CHARACTER = 4
STATUS_EVERY = 4
"""Looks at the log for each look at the row."""


@router.get(
    "/tests/{executionId}/logs",  # noqa: FAST003  bound by alias
    summary="Read or follow the log of a test",
    response_class=Response,
    responses={
        200: {
            "description": "The log from `offset` on, 1 MiB at most; or a stream of `log` events and one `end`",
            "content": {
                "text/plain": {"schema": {"type": "string"}},
                "text/event-stream": {"schema": {"type": "string"}},
            },
            "headers": {"X-Log-Size": {"description": "Bytes that the log has now", "schema": {"type": "integer"}}},
        }
    },
)
async def logs(  # noqa: PLR0913  the query and headers of one route
    execution_id: ExecutionText,
    request: Request,
    services: Here,
    *,
    offset: Annotated[int, Query(ge=0, le=2**53, description="Byte to begin at")] = 0,
    follow: Annotated[bool, Query(description="Stream server-sent events until the run has ended")] = False,
    last_event_id: Annotated[int | None, Header(ge=0, le=2**53, description="Resume behind this byte")] = None,
) -> Response:
    """Answer with text, or with server-sent events to whom asks for them."""
    found = await services.database.run(lambda conn: executions.resolve(conn, execution_id))
    if follow or "text/event-stream" in request.headers.get("accept", ""):
        follower = Follower(services=services, execution_id=found, offset=max(offset, last_event_id or 0))
        return EventSourceResponse(follower.events(), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    content = await asyncio.to_thread(services.logs.read, found, offset, TEXT_LIMIT)
    size = await asyncio.to_thread(services.logs.size, found)
    headers = {"X-Log-Size": str(size), "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type="text/plain; charset=utf-8", headers=headers)


@dataclass(slots=True, kw_only=True)
class Follower:
    """One reader of one log."""

    services: Services
    execution_id: ExecutionId
    offset: int

    async def events(self) -> AsyncIterator[bytes]:
        """Yield the log from `offset` on until the run has ended and the log is read to its end."""
        settings = self.services.settings
        quiet, looks = 0.0, 0
        while True:
            ended = await self._ended() if looks % STATUS_EVERY == 0 else None  # before reading: a log only grows
            sent = False
            while chunk := await self._read(last=ended is not None):
                self.offset += len(chunk)
                sent = True
                yield _log_event(chunk, self.offset)
            if ended is not None:
                data = json.dumps({"status": ended.value, "offset": self.offset})
                yield format_sse_event(data_str=data, event="end", id=str(self.offset))
                return
            quiet, looks = (0.0 if sent else quiet + settings.log_poll), looks + 1
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
    """Return `chunk` without a character that is cut at its end: it comes with the next read."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    decoder.decode(chunk)
    cut = len(decoder.getstate()[0])
    return chunk[: len(chunk) - cut] if 0 < cut < LONGEST_CHARACTER else chunk


def _log_event(chunk: bytes, offset: int) -> bytes:
    text = json.dumps(chunk.decode("utf-8", "surrogateescape"))
    return format_sse_event(data_str=text, event="log", id=str(offset))
