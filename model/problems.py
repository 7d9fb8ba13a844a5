"""Problems of an input, each with its path, and the error that carries all of them."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

Location: TypeAlias = tuple[str | int, ...]
"""The location of a value: keys and list positions, the outermost first."""

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_LONGEST_KEY = 80


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One thing that the sender must correct. `path` is dotted, list positions in brackets: `config.volumes[0].name`.

    A key that is not a plain word is quoted in brackets: `labels["example.com/team"]`.
    """

    path: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A problem whose location is not written as a path yet. The checks produce findings."""

    location: Location
    message: str

    def problem(self) -> Problem:
        """Return the finding as a problem for the sender."""
        return Problem(path=dotted(self.location), message=self.message)

    def under(self, *prefix: str | int) -> "Finding":
        """Return the finding with `prefix` before its location."""
        return Finding(location=(*prefix, *self.location), message=self.message)


class InvalidError(ValueError):
    """The input is wrong and its sender must change it. `problems` has all problems in order of path."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("; ".join(f"{p.path or '(whole)'}: {p.message}" for p in self.problems))

    def under(self, prefix: str) -> "InvalidError":
        """Return the error with `prefix` before each path."""
        return InvalidError(Problem(path=_joined(prefix, p.path), message=p.message) for p in self.problems)


def _joined(prefix: str, path: str) -> str:
    return prefix + path if path.startswith("[") or not path else f"{prefix}.{path}"


def dotted(location: Location) -> str:
    """Return a location as a path: ('config', 'volumes', 0) -> 'config.volumes[0]'."""
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
