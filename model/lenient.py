"""Read input that may be wrong. A value of the wrong kind counts as empty, and nothing raises."""


def mapping(value: object) -> dict[str, object]:
    """Return `value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """Return `value` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: object) -> str:
    """Return `value` if it is text; a number becomes text, and anything else the empty text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


MISSING = object()
"""The result of `at` where the input has no value. None is a value."""


def at(value: object, location: tuple[str | int, ...]) -> object:
    """Return the value at `location` inside `value`, or MISSING."""
    for part in location:
        try:
            value = value[part] if isinstance(value, dict | list) else MISSING  # type: ignore[index]  # TypeError is caught
        except (KeyError, IndexError, TypeError):
            return MISSING
    return value
