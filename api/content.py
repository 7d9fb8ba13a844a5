"""PUT /content/{sha256}: store packed folders under their digest. No path from a client is ever opened."""

import asyncio
import hashlib
import os
import tempfile
from http import HTTPStatus
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.problems import Refusal
from api.schemas import ContentOut
from api.services import ServicesDep

router = APIRouter(tags=["content"])
CHUNK = 2**20
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
    """Stream the body to disk, and store it only if its digest is the one in the path."""
    target = services.content(sha256)
    if await asyncio.to_thread(target.is_file):
        response.status_code = HTTPStatus.OK
        return ContentOut(sha256=sha256, size_bytes=target.stat().st_size, created=False)
    size = await _receive(request, target)
    return ContentOut(sha256=sha256, size_bytes=size, created=True)


async def _receive(request: Request, target: FilePath) -> int:
    await asyncio.to_thread(target.parent.mkdir, mode=0o700, parents=True, exist_ok=True)
    descriptor, name = await asyncio.to_thread(tempfile.mkstemp, dir=target.parent, prefix="incoming-")
    digest, size = hashlib.sha256(), 0
    try:
        with os.fdopen(descriptor, "wb") as file:
            async for chunk in request.stream():
                digest.update(chunk)
                size += len(chunk)
                await asyncio.to_thread(file.write, chunk)
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
        await asyncio.to_thread(_store, name, target, digest.hexdigest())
    except BaseException:
        await asyncio.to_thread(_remove, name)
        raise
    return size


def _store(received: str, target: FilePath, digest: str) -> None:
    if digest != target.name:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"the body's SHA-256 is {digest}, not {target.name}")
    FilePath(received).replace(target)


def _remove(received: str) -> None:
    FilePath(received).unlink(missing_ok=True)
