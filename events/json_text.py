"""Read JSON so that what was read can also be judged, written down and read again.

Python's own reader takes more than JSON: `NaN`, halves of characters, and any nesting. The checkers
of schemas and the writers of reports do not.
"""

import json
import re
from collections.abc import Callable

from pydantic import JsonValue

DEEPEST = 100
"""Levels of lists and objects. Checkers of schemas and readers of recordings end at about 200."""
_MARK = "\ufeff"
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def read_json(text: str) -> JsonValue:
    """Return the value of a JSON text. Raises: ValueError with the reason why it has none."""
    return _read(text, _DECODER)


def read_written(text: str) -> JsonValue:
    """Return the value of a JSON text that we have written ourselves. Numbers that JSON lacks become texts: `NaN`."""
    return _read(text, _LENIENT)


def check_depth(value: JsonValue) -> None:
    """Raise: ValueError if a value is nested too deeply."""
    level: list[JsonValue] = [value]
    for _ in range(DEEPEST + 1):
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return
    raise ValueError(f"it is nested more than {DEEPEST} levels deep")


def _read(text: str, decoder: json.JSONDecoder) -> JsonValue:
    if not text:
        raise ValueError("it is empty")
    if text[0] == _MARK:
        raise ValueError("it begins with a byte order mark")
    try:
        value: JsonValue = decoder.decode(text)
    except RecursionError as error:
        raise ValueError(f"it is nested more than {DEEPEST} levels deep") from error
    if text.count("[") + text.count("{") > DEEPEST:
        check_depth(value)
    if _HALF.search(text):
        _check_characters(value)
    return value


def _check_characters(value: JsonValue) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("it has half of a character: a lone surrogate such as \\ud800") from error


def _inside(value: JsonValue) -> list[JsonValue]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _no_constant(name: str) -> JsonValue:
    raise ValueError(f"{name} is no number of JSON")


def _decoder(constant: Callable[[str], JsonValue]) -> json.JSONDecoder:
    return json.JSONDecoder(parse_constant=constant)


_DECODER, _LENIENT = _decoder(_no_constant), _decoder(str)
