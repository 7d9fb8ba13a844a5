"""Texts from outside, made fit for PostgreSQL: it takes neither NUL nor half a surrogate pair."""

import hashlib

NUL = "\x00"
_DIGEST = 8


def clean(text: str) -> str:
    """Return `text` with what cannot be stored replaced."""
    return text.replace(NUL, "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


def fitted(text: str, longest: int) -> str:
    """Return `text` clean and short enough for its column; two long texts that differ still differ."""
    text = clean(text)
    if len(text) <= longest:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]
    return f"{text[: longest - _DIGEST - 1]}~{digest}"


def told_apart(names: list[str], longest: int) -> list[str]:
    """Return `names` fitted, and numbered where two are equal: `name`, `name [2]`."""
    seen: dict[str, int] = {}
    taken: set[str] = set()
    result = []
    for name in (fitted(name, longest) for name in names):
        candidate = name
        while candidate in taken:
            seen[name] = seen.get(name, 1) + 1
            mark = f" [{seen[name]}]"
            candidate = name[: longest - len(mark)] + mark
        taken.add(candidate)
        result.append(candidate)
    return result
