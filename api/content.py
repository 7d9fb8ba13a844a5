"""PUT /content/{sha256}: store packed folders under their digest. No path from a client is ever opened."""

import asyncio
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.problems import Refusal
from api.schemas import ContentOut
from api.services import ServicesDep
from model.ports import DigestError, Incoming

router = APIRouter(tags=["content"])
Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the body, in lower-case hex")]


@router.put(
    "/content/{sha256}",
    summary="Upload a packed folder (tar.gz)",
    status_code=201,
    responses={200: {"model": ContentOut, "description": "The folder is stored already"}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/gzip": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def upload(sha256: Digest, request: Request, response: Response, services: ServicesDep) -> ContentOut:
    """Store the body under its digest, if that is the one in the path."""
    contents = services.contents
    if await asyncio.to_thread(contents.has, sha256):
        response.status_code = HTTPStatus.OK
        size = await asyncio.to_thread(contents.size, sha256)
        return ContentOut(sha256=sha256, size_bytes=size, created=False)
    incoming = await asyncio.to_thread(contents.receive, sha256)
    return ContentOut(sha256=sha256, size_bytes=await _receive(request, incoming), created=True)


async def _receive(request: Request, incoming: Incoming) -> int:
    try:
        async for chunk in request.stream():
            await asyncio.to_thread(incoming.write, chunk)
        return await asyncio.to_thread(incoming.keep)
    except DigestError as wrong:
        raise Refusal(HTTPStatus.BAD_REQUEST, str(wrong)) from wrong
    finally:
        await asyncio.to_thread(incoming.discard)
