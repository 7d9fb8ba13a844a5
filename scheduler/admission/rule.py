"""The port to a rule of the gate that stands in a module of its own, beside the rules of `scheduler.admission.plan`.

A rule says which runs may not start now, for example during a freeze. It is registered in `scheduler.admission.rules`,
and it is pure: it reads no clock and does no I/O. `tests/contract/test_gate_rules.py` checks every registered rule.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from model.ids import TeamId, UserId
from scheduler.values.pool import Owner
from scheduler.values.run import Queued, Running, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFacts:
    """What all runs of one class have in common. A pass looks at classes, so a rule cannot treat runs of one apart."""

    user_id: UserId
    team_id: TeamId | None
    priority: int
    shape: Shape
    exclusive: tuple[str, ...]
    aged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFacts:
    """The pool at one moment of a pass: who holds capacity, and who was admitted earlier in the same pass.

    `owners` has the users and teams that the gate has settings of.
    """

    now: datetime
    running: Collection[Running]
    admitted: Collection[Queued]
    owners: Mapping[UUID, Owner]


class GateRule(Protocol):
    """A condition that a run has to meet before it may start.

    An admission in the same pass may close a rule for others, but never open it: a pass looks at each class once.
    """

    def refusal(self, run_class: ClassFacts, pool: PoolFacts) -> str | None:
        """Return why runs of this class may not start now, in words for their owner; None if they may.

        The text changes only when the cause does, since each change is recorded.
        """
        ...

    def next_change(self, now: datetime) -> datetime | None:
        """Return the next moment at which time alone may change an answer; None if there is none."""
        ...
