"""By what owners are ordered (FAIR_SHARE), for people who ask between two passes."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from scheduler.fairness import Fairness
from scheduler.state import State
from scheduler.trial import recall


def shares(state: State, now: datetime, owners: Iterable[UUID]) -> dict[UUID, float]:
    """Return what a pass would order these owners by: what each has now and has had lately, over its weight."""
    fairness = Fairness(state, now, recall(state, now).rows)
    return {owner: fairness.of(owner, state.sums) for owner in owners}
