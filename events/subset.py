"""Compare a JSON value with a subset that it must contain."""

from collections.abc import Iterator

from pydantic import JsonValue


def contains(value: JsonValue, wanted: JsonValue) -> bool:
    """Say whether `value` contains `wanted`: objects may have more keys, lists must be as long."""
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(
            key in value and contains(value[key], inner) for key, inner in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(value, list)
            and len(value) == len(wanted)
            and all(contains(mine, inner) for mine, inner in zip(value, wanted, strict=True))
        )
    return same(value, wanted)


def same(value: JsonValue, wanted: JsonValue) -> bool:
    """Say whether two scalars are equal in JSON, where true is not 1."""
    return isinstance(value, bool) == isinstance(wanted, bool) and value == wanted


def differences(value: JsonValue, wanted: JsonValue, path: str = "payload") -> Iterator[str]:
    """Return what is missing or different, one line for each place."""
    if isinstance(wanted, dict) and isinstance(value, dict):
        for key, inner in wanted.items():
            if key in value:
                yield from differences(value[key], inner, f"{path}.{key}")
            else:
                yield f"{path}.{key} is missing, {inner!r} is wanted"
    elif isinstance(wanted, list) and isinstance(value, list) and len(value) == len(wanted):
        for number, (mine, inner) in enumerate(zip(value, wanted, strict=True)):
            yield from differences(mine, inner, f"{path}[{number}]")
    elif not contains(value, wanted):
        yield f"{path} is {value!r}, {wanted!r} is wanted"
