"""Compare a JSON value with a subset that it must contain."""

from collections.abc import Callable, Iterator

from pydantic import JsonValue


def contains(value: JsonValue, wanted: JsonValue) -> bool:
    """Say whether `value` contains `wanted`: objects may have more keys, lists must be as long."""
    return compile_subset(wanted)(value)


def compile_subset(wanted: JsonValue) -> Callable[[JsonValue], bool]:
    """Return what says whether a value contains `wanted`."""
    if isinstance(wanted, dict):
        return _object({key: compile_subset(inner) for key, inner in wanted.items()})
    if isinstance(wanted, list):
        return _list([compile_subset(inner) for inner in wanted])
    if isinstance(wanted, str) or wanted is None:
        return lambda value: value == wanted
    return lambda value: same(value, wanted)


def _object(wanted: dict[str, Callable[[JsonValue], bool]]) -> Callable[[JsonValue], bool]:
    items = tuple(wanted.items())

    def holds(value: JsonValue) -> bool:
        if not isinstance(value, dict):
            return False
        for key, inner in items:  # noqa: SIM110  a generator costs more than the comparisons
            if key not in value or not inner(value[key]):
                return False
        return True

    return holds


def _list(wanted: list[Callable[[JsonValue], bool]]) -> Callable[[JsonValue], bool]:
    def holds(value: JsonValue) -> bool:
        return (
            isinstance(value, list)
            and len(value) == len(wanted)
            and all(inner(mine) for mine, inner in zip(value, wanted, strict=True))
        )

    return holds


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
