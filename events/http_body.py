"""The body of an answer over HTTP, which must be whole in time: a server that never ends must not hold up a test."""

import time

import httpx

LARGEST_BODY = 10_000_000
"""In bytes."""


class EndlessBodyError(httpx.TransportError):
    """The answer is too large, or takes too long. Somebody must look at the server."""


def read_body(answer: httpx.Response, seconds: float) -> bytes:
    """Return the body of an answer that is being streamed. Raises: EndlessBodyError; httpx.TransportError."""
    deadline = time.monotonic() + seconds
    parts: list[bytes] = []
    size = 0
    for part in answer.iter_bytes():
        parts.append(part)
        size += len(part)
        if size > LARGEST_BODY:
            raise EndlessBodyError(f"the answer has more than {LARGEST_BODY} bytes")
        if time.monotonic() > deadline:
            raise EndlessBodyError(f"the answer did not end within {seconds:g} s")
    return b"".join(parts)
