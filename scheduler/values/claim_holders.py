"""Know which runs hold which entries of claims (`model.claims`)."""

from collections.abc import Iterable

from model.claims import conflicting
from model.ids import ExecutionId


class ClaimHolders:
    """The entries that runs hold. Each entry may have many holders, as those of shared claims have."""

    def __init__(self) -> None:
        self._of: dict[str, dict[ExecutionId, None]] = {}

    def add(self, run: ExecutionId, entries: Iterable[str]) -> None:
        """Let a run hold these entries."""
        for entry in entries:
            self._of.setdefault(entry, {})[run] = None

    def remove(self, run: ExecutionId, entries: Iterable[str]) -> None:
        """Take these entries from a run."""
        for entry in entries:
            holders = self._of.get(entry, {})
            holders.pop(run, None)
            if not holders:
                self._of.pop(entry, None)

    def rival(self, entry: str) -> ExecutionId | None:
        """Return who holds something that conflicts with an entry: of several the smallest id.

        So the same is told however the state came about.
        """
        return next((min(self._of[other]) for other in conflicting(entry) if other in self._of), None)

    def held(self) -> set[tuple[str, ExecutionId]]:
        """Return who holds what."""
        return {(entry, run) for entry, holders in self._of.items() for run in holders}
