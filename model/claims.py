"""Claims: what a run needs for itself, or shares with others, while it runs (024). A claim is a path and a mode.

Paths are names such as `staging-database`, `k8s/CLUSTER/NAMESPACE[/SERVICE]` and `local/ENVIRONMENT[/SERVICE]`. A path
conflicts with itself, with its parents and with its children, unless both claims are shared.

The gate compares no paths. It keeps the entries of a claim: one for the path, and an intention for each parent. Two
claims conflict if and only if two of their entries for the same path do, so a dictionary answers it.
Source: Gray, Lorie, Putzolu, Traiger: Granularity of Locks and Degrees of Consistency in a Shared Data Base, 1976.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

SEPARATOR = "/"
UNKNOWN = ".unknown"
"""The parent of what tests share that name nothing. A request cannot name it, so that it needs no entry of its own."""
REMEMBERED = 10_000
"""Entries of which is remembered what they conflict with: the gate asks for each run that it looks at."""
MARK = "#"
"""Between the path of an entry and its mode. No path has it. An entry without it is exclusive."""


class ClaimMode(StrEnum):
    """How a run claims a path."""

    EXCLUSIVE = "exclusive"
    SHARED = "shared"


class EntryMode(StrEnum):
    """The mode of an entry, as it is written in the rows of the queue."""

    EXCLUSIVE = ""
    SHARED = "s"
    CHILD_EXCLUSIVE = "ix"
    """A child of the path is claimed exclusively."""
    CHILD_SHARED = "is"
    """A child of the path is shared."""


_CONFLICTS: Mapping[EntryMode, tuple[EntryMode, ...]] = {
    EntryMode.EXCLUSIVE: tuple(EntryMode),
    EntryMode.SHARED: (EntryMode.EXCLUSIVE, EntryMode.CHILD_EXCLUSIVE),
    EntryMode.CHILD_EXCLUSIVE: (EntryMode.EXCLUSIVE, EntryMode.SHARED),
    EntryMode.CHILD_SHARED: (EntryMode.EXCLUSIVE,),
}
_OWN = {ClaimMode.EXCLUSIVE: EntryMode.EXCLUSIVE, ClaimMode.SHARED: EntryMode.SHARED}
_OF_PARENTS = {ClaimMode.EXCLUSIVE: EntryMode.CHILD_EXCLUSIVE, ClaimMode.SHARED: EntryMode.CHILD_SHARED}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Claim:
    """A claim of one run."""

    path: str
    mode: ClaimMode = ClaimMode.EXCLUSIVE


def entries_of(claims: Iterable[Claim]) -> tuple[str, ...]:
    """Return the entries of a run's claims, each once, sorted."""
    return tuple(sorted({entry for claim in claims for entry in _entries(claim)}))


def exclusively(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the entries of exclusive claims of these paths."""
    return entries_of(Claim(path=path) for path in paths)


@lru_cache(REMEMBERED)
def conflicting(entry: str) -> tuple[str, ...]:
    """Return the entries that a run must not hold while another one holds this."""
    path, mode = _split(entry)
    return tuple(_entry(path, other) for other in _CONFLICTS[mode])


def covers(entries: Iterable[str], path: str) -> bool:
    """Return whether entries hold a path for one run alone: by itself, or by a parent of it."""
    steps = path.split(SEPARATOR)
    return not {SEPARATOR.join(steps[:end]) for end in range(1, len(steps) + 1)}.isdisjoint(entries)


def path_of(entry: str) -> str:
    """Return the path of an entry."""
    return _split(entry)[0]


@lru_cache(REMEMBERED)
def is_exclusive(entry: str) -> bool:
    """Return whether an entry is there for an exclusive claim."""
    return _split(entry)[1] in {EntryMode.EXCLUSIVE, EntryMode.CHILD_EXCLUSIVE}


def in_words(entry: str) -> str:
    """Return for people what an entry is about."""
    path = path_of(entry)
    return "what tests use that do not say it (config.uses)" if path.startswith(UNKNOWN) else path


def conflict(first: Claim, second: Claim) -> bool:
    """Return whether two claims of different runs conflict: the meaning of paths and modes, without entries."""
    both_shared = first.mode is second.mode is ClaimMode.SHARED
    return not both_shared and (_contains(first.path, second.path) or _contains(second.path, first.path))


def _contains(parent: str, child: str) -> bool:
    return child == parent or child.startswith(parent + SEPARATOR)


def _entries(claim: Claim) -> Iterator[str]:
    yield _entry(claim.path, _OWN[claim.mode])
    steps = claim.path.split(SEPARATOR)
    first = 2 if steps[0] == UNKNOWN else 1
    for end in range(first, len(steps)):
        yield _entry(SEPARATOR.join(steps[:end]), _OF_PARENTS[claim.mode])


def _entry(path: str, mode: EntryMode) -> str:
    return f"{path}{MARK}{mode}" if mode else path


def _split(entry: str) -> tuple[str, EntryMode]:
    path, _, mode = entry.partition(MARK)
    return path, EntryMode(mode)
