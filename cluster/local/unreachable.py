"""Tells a host that does not answer from one that answers with no, by what git, uv and pip print.

The first is infrastructure: the same may work later. The second is the matter of the request's author.
"""

import re

_OF_THE_NAME_SERVER = (
    r"temporary failure in name resolution",
    r"dns error",
    r"could ?n[o']t resolve host",
    r"name or service not known",
    r"name resolution",
)
_OF_THE_CONNECTION = (
    r"connection (?:was )?(?:refused|reset|timed out|closed|aborted)",
    r"failed to connect to",
    r"could ?n[o']t connect to server",
    r"tcp connect error",
    r"(?:network|host) is unreachable",
    r"no route to host",
    r"operation (?:too slow|timed out)",
    r"(?:request|operation|connection) time(?:d )?-?out",
    r"error sending request",
    r"empty reply from server",
    r"unexpected (?:eof|disconnect)",
    r"early eof",
    r"connection broken",
    r"recv failure",
    r"http/2 (?:stream|framing)",
)
_OF_A_BUSY_SERVER = (
    r"returned error: (?:5\d\d|429)",
    r"http status server error \(5\d\d",
    r"\b429 too many requests",
)
_DOES_NOT_ANSWER = re.compile("|".join([*_OF_THE_NAME_SERVER, *_OF_THE_CONNECTION, *_OF_A_BUSY_SERVER]), re.IGNORECASE)
_IS_ANOTHER_FAULT = re.compile(
    r"certificate|self[- ]signed|unknown ?issuer|invalid peer|failed to build|build backend", re.IGNORECASE
)
"""Words beside which a connection that fails is not mended by trying again, or is that of a package's own code."""


class HostAwayError(Exception):
    """A git host or a package registry does not answer. The same may work later."""


def is_away(words: str) -> bool:
    """Return whether a program's last words say that a host did not answer."""
    return _DOES_NOT_ANSWER.search(words) is not None and _IS_ANOTHER_FAULT.search(words) is None
