"""What is wrong with an input: every problem at once, each with its path."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

Location: TypeAlias = tuple[str | int, ...]
"""Where something stands: keys and list positions, from the outside in."""

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_LONGEST_KEY = 80


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One thing to mend. `path` is dotted, list positions in brackets: `config.tolerations[0].key`.

    Keys that are no plain words stand in brackets and quotes: `labels["example.com/team"]`.
    """

    path: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A problem whose place is still in parts, as the checks hand it on."""

    location: Location
    message: str

    def problem(self) -> Problem:
        """Return it as its sender reads it."""
        return Problem(path=dotted(self.location), message=self.message)

    def under(self, *prefix: str | int) -> "Finding":
        """Return it as seen from further out."""
        return Finding(location=(*prefix, *self.location), message=self.message)


class InvalidError(ValueError):
    """The input is wrong; its sender must change it. `problems` says where and how, in order of path."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("; ".join(f"{p.path or '(whole)'}: {p.message}" for p in self.problems))

    def under(self, prefix: str) -> "InvalidError":
        """Return it as seen from further out."""
        return InvalidError(Problem(path=_joined(prefix, p.path), message=p.message) for p in self.problems)


def _joined(prefix: str, path: str) -> str:
    return prefix + path if path.startswith("[") or not path else f"{prefix}.{path}"


def dotted(location: Location) -> str:
    """Return a location as one path: ('config', 'volumes', 0) -> 'config.volumes[0]'."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif len(part) <= _LONGEST_KEY and _PLAIN_KEY.fullmatch(part):
            path += f".{part}" if path else part
        else:
            path += f"[{json.dumps(_cut(part))}]"
    return path


def _cut(key: str) -> str:
    return key if len(key) <= _LONGEST_KEY else key[:_LONGEST_KEY] + "..."
