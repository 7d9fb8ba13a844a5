"""By what owners are ordered (FAIR_SHARE), for people who ask between two passes."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from scheduler.admission.cycle_state import recall
from scheduler.admission.fair_order import Fairness
from scheduler.admission.state import State


def shares(state: State, now: datetime, owners: Iterable[UUID]) -> dict[UUID, float]:
    """Return what a pass would order these owners by: what each has now and has had lately, over its weight."""
    fairness = Fairness(state, now, recall(state, now).arrays)
    return {owner: fairness.of(owner, state.sums) for owner in owners}
