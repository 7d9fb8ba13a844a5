"""References to secrets in environment values: `${secrets.name}`, as the whole value or as a part of it."""

import re
from collections.abc import Iterable, Mapping

_REFERENCE = re.compile(r"\$\{secrets\.([a-z0-9_]+)\}")
_MEANT = re.compile(r"\$\{secrets(?![A-Za-z0-9_])|\$\{\s*secrets?\s*[.\[:]", re.IGNORECASE)


def well_formed(text: str) -> str:
    """Return `text` if all its references are well formed. Raises: ValueError."""
    for meant in _MEANT.finditer(text):
        if not _REFERENCE.match(text, meant.start()):
            raise ValueError("has a malformed reference: write ${secrets.name}, the name in a-z, 0-9 and '_'")
    return text


def names(values: Iterable[str]) -> frozenset[str]:
    """Return the names of all secrets that `values` refer to."""
    return frozenset(name for value in values for name in _REFERENCE.findall(value))


def fill(text: str, secrets: Mapping[str, str]) -> str:
    """Return `text` with each reference replaced by its value. Raises: KeyError for a name that `secrets` lacks."""
    return _REFERENCE.sub(lambda match: secrets[match[1]], text)
