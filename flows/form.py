"""Adapts the schema of a parameter to the form in the Prefect UI.

The UI shows `anyOf` as a choice and does not know `oneOf`. It orders fields by `position`, since its server does not
keep the order of the schema. It shows a constant only if that is written as a choice of one.
"""

from collections.abc import Mapping
from typing import Any

FIRST = ("name", "type", "content", "command", "arguments", "priority", "tags", "labels", "env", "resources", "config")


def arranged(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return `schema` in the form that the UI shows best. It accepts the same values."""
    return {key: _arranged(value, key) for key, value in _choices(schema).items()}


def _arranged(value: Any, key: str) -> Any:
    if key == "properties" and isinstance(value, Mapping):
        return {name: arranged(value[name]) | {"position": place} for place, name in enumerate(_ordered(value))}
    if isinstance(value, Mapping):
        return arranged(value)
    if isinstance(value, list):
        return [arranged(item) if isinstance(item, Mapping) else item for item in value]
    return value


def _choices(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return it with `anyOf` instead of `oneOf`, and with constants as choices of one."""
    changed = dict(schema)
    if "oneOf" in changed:
        changed["anyOf"] = changed.pop("oneOf")
        changed.pop("discriminator", None)
    if "const" in changed and isinstance(changed["const"], str):
        changed["enum"] = [changed["const"]]
        changed.setdefault("default", changed["const"])
    return changed


def _ordered(properties: Mapping[str, Any]) -> list[str]:
    return sorted(properties, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
