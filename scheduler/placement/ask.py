"""What a run asks of a node."""

from dataclasses import dataclass

from scheduler.values.pool import PoolSettings
from scheduler.values.run import Constraints, Labels, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeker:
    """A run's rules, and the labels that it carries itself; None: those that its own rules name."""

    constraints: Constraints
    labels: Labels | None = None

    @property
    def free(self) -> bool:
        """True when other runs do not matter to it."""
        return not self.constraints.apart and not self.constraints.spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A shape that looks for a node under a pool's settings.

    `labels` are the run's own, by which it counts in its own spread; None: it carries those that its spread names.
    """

    shape: Shape
    limits: PoolSettings
    labels: Labels | None = None

    @property
    def free(self) -> bool:
        """True when other runs do not matter to it."""
        return not self.shape.constraints.apart and not self.shape.constraints.spread

    @property
    def selector(self) -> dict[str, str]:
        """The labels that a node must have: the pool's defaults, overridden by the run's own."""
        return {**dict(self.limits.default_selector), **dict(self.shape.constraints.node_selector)}

    @property
    def seeker(self) -> Seeker:
        """What other runs mean to it."""
        return Seeker(constraints=self.shape.constraints, labels=self.labels)
