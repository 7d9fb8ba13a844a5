"""What a decision is made from: the values of one pool, and their order and sums kept between passes.

`State` is the one thing here that changes in place: `scheduler.admission.changes.apply` uses a state up and returns it
changed, so that a change costs its own run and node, not the queue. A pass changes nothing but what is remembered to be
quicker.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from model.ids import ExecutionId, NodeName
from scheduler.admission import rules as registered
from scheduler.admission.cross_pool_reservations import NOTHING_RESERVED, CrossPoolReservations
from scheduler.admission.cycle_cache import not_yet
from scheduler.admission.equivalence_classes import RunClass, RunClasses
from scheduler.admission.rule import GateRule
from scheduler.fairness.shares import Usage
from scheduler.placement.node_usage import NodeUsage
from scheduler.values.claim_holders import ClaimHolders
from scheduler.values.node import Node
from scheduler.values.pool import NO_OWNERS, Owner, PoolSettings
from scheduler.values.run import Queued, Running, owners_of, payer
from scheduler.values.usage_totals import POOL, Demand, UsageTotals, need


class State:
    """One pool: who waits, in classes; who runs; what nodes there are. `workers` counts the live ones.

    `exclusive_elsewhere` are the names held in other pools, `usage_at` the time at which the owners' usage was measured
    (None: just now). `node_usage`, where it is given, is made from `nodes`, with nothing on them yet. `reserved` is
    what aged runs of other pools have kept for them; `busy` are the waiting runs over whose owners or names another
    pool decides at this moment. `rules` are the added rules; None: those of `scheduler.admission.rules`.
    """

    def __init__(  # noqa: PLR0913  one value for each part of a pool
        self,
        *,
        limits: PoolSettings | None = None,
        nodes: Iterable[Node] = (),
        owners: Mapping[UUID, Owner] = NO_OWNERS,
        workers: int = 1,
        node_usage: NodeUsage | None = None,
        exclusive_elsewhere: frozenset[str] = frozenset(),
        usage_at: datetime | None = None,
        reserved: CrossPoolReservations = NOTHING_RESERVED,
        busy: Collection[ExecutionId] = frozenset(),
        rules: Sequence[GateRule] | None = None,
    ) -> None:
        self.limits = limits or PoolSettings()
        self.owners = owners
        self.workers = workers
        self.exclusive_elsewhere = exclusive_elsewhere
        self.usage_at = usage_at
        self.reserved = reserved
        self.busy = busy
        self.rules = registered.RULES if rules is None else tuple(rules)
        self.node_usage = NodeUsage(nodes) if node_usage is None else node_usage
        self.waiting = RunClasses()
        self.running: dict[ExecutionId, Running] = {}
        self.on_node: dict[NodeName, dict[ExecutionId, Running]] = {}
        self.holders = ClaimHolders()
        self.stopping: dict[ExecutionId, dict[ExecutionId, Running]] = {}
        """Runs that were asked to stop, by the run that waits for it."""
        self.sums = UsageTotals()
        self.usage: dict[UUID, Usage] = {}
        """By owner, from its first run under FAIR_SHARE on; before that, see `owners` and `usage_at`."""
        self.moved: set[UUID] = set()
        """Owners whose share has changed since the last pass."""
        self.cache = not_yet(self.limits)

    @property
    def queued(self) -> dict[ExecutionId, Queued]:
        """All that wait."""
        return self.waiting.queued

    @property
    def class_of(self) -> dict[ExecutionId, RunClass]:
        """The class of each waiting run that was not in backoff in the last pass."""
        return self.waiting.of

    @property
    def totals(self) -> Demand:
        """What there is of each kind: what the nodes have, or the pool's limit where that is less."""
        return self.cache.totals

    def enqueue(self, run: Queued) -> None:
        """Let `run` wait, in order of arrival. The same run again changes nothing."""
        if run.execution_id not in self.queued and run.execution_id not in self.running:
            self.waiting.add(run)

    def withdraw(self, run: ExecutionId) -> Queued | None:
        """Take a waiting run out; None if it does not wait."""
        self.cache.forget(run)
        return self.waiting.remove(run)

    def start(self, run: Running) -> None:
        """Count a place as used by `run`."""
        if run.execution_id in self.running:
            return
        self._note(run)
        self.moved.add(payer(run.queued.user_id, run.queued.team_id))
        self.sums.add((POOL, *owners_of(run.queued)), need(run.resources, run.slots))
        self.node_usage.take(run.node, run.resources, 1, run.queued.labels)
        self.holders.add(run.execution_id, run.queued.exclusive)
        self.cache.started(run)

    def end(self, run: ExecutionId) -> Running | None:
        """Free the place of a run; None if it has none."""
        running = self.running.pop(run, None)
        if running is None:
            return None
        self._forget(running)
        self.moved.add(payer(running.queued.user_id, running.queued.team_id))
        self.sums.add((POOL, *owners_of(running.queued)), need(running.resources, running.slots), -1)
        self.node_usage.take(running.node, running.resources, -1, running.queued.labels)
        self.holders.remove(run, running.queued.exclusive)
        self.cache.ended(running)
        return running

    def ask_to_stop(self, run: ExecutionId, beneficiary: ExecutionId) -> None:
        """Note that a run shall stop for another one; it holds its place until it has."""
        running = self.running.get(run)
        if running is not None:
            self._forget(running)
            self._note(replace(running, preempted_for=beneficiary))

    def see(self, nodes: Iterable[Node]) -> None:
        """Replace the nodes by what was last seen; the runs stay where they are."""
        self.node_usage = NodeUsage(nodes)
        for run in self.running.values():
            self.node_usage.take(run.node, run.resources, 1, run.queued.labels)

    def _note(self, run: Running) -> None:
        self.running[run.execution_id] = run
        if run.node is not None:
            self.on_node.setdefault(run.node, {})[run.execution_id] = run
        if run.preempted_for is not None:
            self.stopping.setdefault(run.preempted_for, {})[run.execution_id] = run

    def _forget(self, run: Running) -> None:
        if run.node is not None:
            del self.on_node[run.node][run.execution_id]
        if run.preempted_for is not None:
            others = self.stopping[run.preempted_for]
            del others[run.execution_id]
            if not others:
                del self.stopping[run.preempted_for]
