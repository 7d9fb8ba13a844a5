"""What a cycle keeps free for one run, and how long a run counts for by which others may use it meanwhile."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from scheduler.values.run import Queued
from scheduler.values.usage_totals import Demand

NO_TIME = timedelta()


@dataclass(slots=True, kw_only=True, eq=False)
class Reservation:
    """What is kept for `run`: a node (column -1: none), its part of the sums of `owners`, its exclusive names.

    `gives_way` is how long others may use it from now on. `firm`: for an aged run, which gives way to nobody.
    """

    run: Queued
    column: int
    owners: tuple[UUID, ...]
    need: Demand
    firm: bool
    gives_way: timedelta = NO_TIME

    def binds(self, run: Queued) -> bool:
        """Return whether a later run must leave alone what is kept."""
        return self.gives_way <= NO_TIME or self.gives_way < length(run, firm=self.firm)


def length(run: Queued, *, firm: bool) -> timedelta:
    """Return how long a run counts for: what it may take at most, or what it is expected to take."""
    return run.limit if firm or run.expected is None else run.expected
