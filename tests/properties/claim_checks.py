"""What claims mean, by their paths and modes, for checks that use no entries as the scheduler does."""

from collections.abc import Iterable

from model.claims import Claim, ClaimMode, EntryMode, conflict

NAMES = (("db",), ("db", "lab"), ("lab",))
"""Exclusive claims of names without parents."""
PATHS = (("env#ix", "env/a"), ("env#is", "env/a#s"), ("env#s",), ("env",), ("env#is", "env/b#s"))
"""A child exclusively and shared, its parent shared and exclusively, another child shared."""


def claims_of(entries: Iterable[str]) -> list[Claim]:
    """Return the claims that these entries stand for; intentions are none."""
    modes = {EntryMode.EXCLUSIVE: ClaimMode.EXCLUSIVE, EntryMode.SHARED: ClaimMode.SHARED}
    parts = [entry.partition("#") for entry in entries]
    return [Claim(path=path, mode=modes[EntryMode(mode)]) for path, _, mode in parts if EntryMode(mode) in modes]


def clash(held: Iterable[str], asked: Iterable[str]) -> bool:
    """Return whether a run must not have what it asks for while others hold this."""
    taken = claims_of(held)
    return any(conflict(one, other) for one in claims_of(asked) for other in taken)


def exclude_each_other(several: Iterable[Iterable[str]]) -> bool:
    """Return whether the claims of two of several runs conflict."""
    before: list[str] = []
    for entries in several:
        mine = list(entries)
        if clash(before, mine):
            return True
        before += mine
    return False


def names_of(claimed: Iterable[object]) -> list[str]:
    """Return the entries among owners and entries."""
    return [one for one in claimed if isinstance(one, str)]
