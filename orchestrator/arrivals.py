"""Who came to a pool lately, as the scheduler sees runs: what its forecasts count on more of."""

from dataclasses import dataclass
from datetime import timedelta

from db.arrivals import Asked, Came
from model.config import ExecutionConfig
from model.reading import Reader
from model.resources import ResourceRequirements
from orchestrator import claiming
from orchestrator.submit_feasibility import apart, spread
from scheduler.forecast.arrivals import Newcomer
from scheduler.forecast.history import History
from scheduler.values.run import Constraints, Labels, Queued, Shape

LIKELY = 0.9
"""A run is expected to take the p90 of what its kind took, as at its submit."""

_CONFIG = Reader(ExecutionConfig)
_RESOURCES = Reader(ResourceRequirements)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What all runs of a definition have in common for the gate."""

    shape: Shape
    labels: Labels
    exclusive: tuple[str, ...]
    limit: timedelta
    restartable: bool


def form(asked: Asked) -> Form:
    """Return what a definition asks for, as the scheduler reads it. Raises: InvalidError."""
    config = _CONFIG.read(asked.config).required()
    constraints = Constraints(
        node_selector=tuple(sorted(config.node_selector.items())),
        tolerations=config.tolerations,
        affinity=config.affinity,
        apart=apart(config.apart),
        spread=spread(config.spread),
    )
    return Form(
        shape=Shape(_RESOURCES.read(asked.resources).required().requested(), constraints),
        labels=tuple(sorted(asked.labels.items())),
        exclusive=claiming.of_test(config, None),
        limit=timedelta(seconds=config.timeout),
        restartable=config.restartable,
    )


def newcomer(came: Came, form: Form, history: History | None) -> Newcomer:
    """Return a run as it came, by itself: which ones start together is not kept."""
    run = Queued(
        execution_id=came.execution_id,
        seq=0,
        priority=came.priority,
        enqueued_at=came.at,
        user_id=came.user_id,
        team_id=came.kind.team_id,
        shape=form.shape,
        labels=form.labels,
        exclusive=form.exclusive,
        limit=form.limit,
        expected=None if history is None else timedelta(seconds=history.draw(LIKELY)),
        restartable=form.restartable,
    )
    return Newcomer(run=run, history=history)
