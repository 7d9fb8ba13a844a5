"""Look into input that may be wrong: what is not of the expected kind counts as empty, and nothing raises."""

from typing import Any


def mapping(value: object) -> dict[str, Any]:
    """Return `value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """Return `value` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: object) -> str:
    """Return `value` if it is text, a number as text, else nothing."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


MISSING = object()
"""What stands where nothing stands; None is a value."""


def at(value: Any, location: tuple[str | int, ...]) -> Any:
    """Return what stands at `location` inside `value`, MISSING if nothing does."""
    for part in location:
        try:
            value = value[part] if isinstance(value, dict | list) else MISSING  # type: ignore[index]  # TypeError is caught
        except (KeyError, IndexError, TypeError):
            return MISSING
    return value
