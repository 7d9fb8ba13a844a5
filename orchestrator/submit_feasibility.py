"""What is asked for against its pool, at submit: refused where it can never run, a warning where it may.

Only a pool that says that its nodes are fixed can refuse: elsewhere a larger node, or one with the label, may come.
What is larger than all that the pool may use at once is as too large as for any node.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from db import nodes, pools
from model.config import RunsApart, RunsSpread
from model.ids import ExecutionId, PoolName
from model.problems import InvalidError, Problem
from model.request import TestRequest
from scheduler.placement.ask import Ask
from scheduler.placement.feasibility import (
    beyond_pool,
    group_beyond,
    group_beyond_pool,
    group_impossible,
    group_too_large,
    too_large,
)
from scheduler.placement.filter_reasons import impossible, lasting
from scheduler.placement.node_usage import NodeUsage
from scheduler.values.pool import PoolSettings
from scheduler.values.quota_limits import QuotaLimit
from scheduler.values.run import Apart, Constraints, Labels, Shape, Spread

_PATHS = {
    "cpu_milli": "resources.cpuRequest",
    "memory_bytes": "resources.memoryRequest",
    "ephemeral_bytes": "resources.ephemeralStorage",
    "gpu": "resources.gpuRequest",
    "": "resources",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Feasibility:
    """What the sender has to change, and what he should know: `warnings` keep nothing from being queued."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()

    def refuse(self) -> None:
        """Raise InvalidError if there is a problem."""
        if self.problems:
            raise InvalidError(self.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptyPool:
    """The nodes of a pool as if nothing ran on them, and what the pool asks of them."""

    node_usage: NodeUsage
    limits: PoolSettings
    fixed: bool


def empty_pool(conn: Connection, pool: PoolName) -> EmptyPool:
    """Read the nodes of a pool. Raises: NotFoundError if there is no such pool."""
    settings = pools.read(conn, pool)
    node_usage, _ = nodes.node_usage(conn, pool)
    selector = tuple(sorted(settings.default_node_selector.items()))
    limits = PoolSettings(ceiling=settings.ceiling, default_selector=selector, spot=settings.enable_spot_instances)
    return EmptyPool(node_usage=node_usage, limits=limits, fixed=settings.fixed_nodes)


def feasibility(pool: EmptyPool, request: TestRequest) -> Feasibility:
    """Look whether a test could ever run here."""
    ask = _ask(pool, request)
    beyond = beyond_pool(pool.limits, ask)
    if pool.fixed and (found := [*too_large(pool.node_usage, ask).items(), *beyond.items()]):
        return Feasibility(problems=tuple(Problem(path=_PATHS[name], message=str(why)) for name, why in found))
    reason = lasting(pool.node_usage, ask)
    nodes_lack = () if reason is None else (f"it waits until the pool's nodes change: {reason}",)
    limit = (f"it waits until the pool's limit is raised: {why}" for why in beyond.values())
    return Feasibility(warnings=(*nodes_lack, *limit))


def feasibility_together(pool: EmptyPool, members: Sequence[tuple[ExecutionId, TestRequest]]) -> Feasibility:
    """Look whether tests that start together or not at all could ever do so here; each fits by itself."""
    asks = [(run, _ask(pool, request)) for run, request in members]
    reason = group_too_large(pool.node_usage, [ask for _, ask in asks])
    beyond = group_beyond_pool(pool.limits, [ask for _, ask in asks])
    if pool.fixed and (found := [*([] if reason is None else [reason]), *beyond]):
        return Feasibility(problems=tuple(Problem(path="tests", message=str(why)) for why in found))
    if len(pool.node_usage) and reason is None and not any(impossible(pool.node_usage, ask) for _, ask in asks):
        reason = group_impossible(pool.node_usage, asks)
    nodes_lack = () if reason is None else (f"they wait until the pool's nodes change: {reason}",)
    return Feasibility(
        warnings=(*nodes_lack, *(f"they wait until the pool's limit is raised: {why}" for why in beyond))
    )


def feasibility_under_fault(
    pool: EmptyPool, members: Sequence[tuple[ExecutionId, TestRequest]], owners: Sequence[QuotaLimit]
) -> Feasibility:
    """Look whether the tests that must run while a fault is active could ever do so at once (028.4).

    `owners`: the limits of their user and team. What only waits elsewhere is refused here: the experiment would give
    up after some minutes.
    """
    found = feasibility_together(pool, members)
    asks = [_ask(pool, request) for _, request in members]
    beyond = [*group_beyond_pool(pool.limits, asks), *(one for owner in owners for one in group_beyond(owner, asks))]
    texts = [*(problem.message for problem in found.problems), *map(str, beyond)]
    advice = "they run under the fault at the same time: let fewer say `during: fault`, or raise that limit"
    problems = tuple(Problem(path="tests", message=f"{text} ({advice})") for text in dict.fromkeys(texts))
    return Feasibility(problems=problems, warnings=() if problems else found.warnings)


def shape(request: TestRequest) -> Shape:
    """Return what placement looks at."""
    config = request.config
    constraints = Constraints(
        node_selector=tuple(sorted(config.node_selector.items())),
        tolerations=config.tolerations,
        affinity=config.affinity,
        apart=apart(config.apart),
        spread=spread(config.spread),
    )
    return Shape(request.resources.requested(), constraints)


def apart(rules: Sequence[RunsApart]) -> tuple[Apart, ...]:
    """Return anti-affinity rules as placement reads them."""
    return tuple(Apart(topology=rule.topology_key, labels=_labels(rule.match_labels)) for rule in rules)


def spread(rules: Sequence[RunsSpread]) -> tuple[Spread, ...]:
    """Return spread rules as placement reads them."""
    return tuple(
        Spread(topology=rule.topology_key, labels=_labels(rule.match_labels), max_skew=rule.max_skew) for rule in rules
    )


def _ask(pool: EmptyPool, request: TestRequest) -> Ask:
    return Ask(shape=shape(request), limits=pool.limits, labels=_labels(request.labels))


def _labels(labels: dict[str, str]) -> Labels:
    return tuple(sorted(labels.items()))
