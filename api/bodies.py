"""Parse JSON bodies strictly: input that two parsers could read differently is refused."""

import hashlib
import json
from collections import Counter

from fastapi import Request

from model.problems import InvalidError, Problem


async def read(request: Request) -> object:
    """Return the parsed body. Raises: InvalidError if it is not exactly one JSON value in UTF-8."""
    return parse(await request.body())


def parse(body: bytes) -> object:
    """Parse JSON without duplicate keys. NaN is accepted here, because `model.check` reports it with its path."""
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        raise _unreadable(f"not UTF-8: byte {error.start} cannot be read") from error
    except json.JSONDecodeError as error:
        raise _unreadable(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except InvalidError:
        raise
    except RecursionError as error:
        raise _unreadable("not readable: nested too deeply") from error
    except ValueError as error:  # a number of more than 4,300 digits
        raise _unreadable("not readable: a number has too many digits") from error


def digest(raw: object) -> str:
    """Return the SHA-256 of a parsed body. Blanks and the order of keys do not change it."""
    return hashlib.sha256(json.dumps(raw, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        duplicates = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        raise InvalidError(Problem(path=key, message="this key appears twice in one object") for key in duplicates)
    return value


def _unreadable(message: str) -> InvalidError:
    return InvalidError([Problem(path="", message=message)])
