"""Runs that need no node: they are placed on the virtual node of their backend, and nobody else is (012.2)."""

from types import SimpleNamespace

from model.config import Toleration, TolerationOperator
from model.ids import BackendName
from model.resources import Resources
from scheduler.admission.cycle_cache import CycleCache
from scheduler.admission.plan import Admit, Wait, plan
from scheduler.admission.state import State
from scheduler.placement.ask import Ask
from scheduler.placement.node_usage import NodeUsage
from scheduler.placement.place import place
from scheduler.values.node import NO_BACKEND, NO_NODE, virtual_node
from scheduler.values.pool import Ceiling, PoolSettings
from scheduler.values.reasons import Code, Reason
from scheduler.values.run import Constraints, Shape

CLUSTER = BackendName("kubernetes/staging")
NEEDS_NONE = Constraints(backend=NO_BACKEND)
TOLERATES_ALL = Constraints(tolerations=(Toleration(operator=TolerationOperator.EXISTS),))


def put(
    make: SimpleNamespace, fleet: NodeUsage, constraints: Constraints, limits: PoolSettings | None = None
) -> set[str] | str:
    ask = Ask(shape=Shape(Resources(), constraints), limits=limits or PoolSettings())
    placed = place(fleet, ask, make.run_id(0))
    return str(placed) if isinstance(placed, Reason) else {score.node for score in placed}


def test_a_run_that_needs_no_node_is_placed_on_the_virtual_node_only(make: SimpleNamespace) -> None:
    fleet = NodeUsage([make.node(0), virtual_node(NO_BACKEND), virtual_node(CLUSTER)])

    assert put(make, fleet, NEEDS_NONE) == {NO_NODE}
    assert put(make, fleet, Constraints(backend=CLUSTER)) == {CLUSTER}


def test_a_default_selector_of_the_pool_says_nothing_to_a_run_that_needs_no_node(make: SimpleNamespace) -> None:
    fleet = NodeUsage([make.node(0), virtual_node(NO_BACKEND)])

    assert put(make, fleet, NEEDS_NONE, PoolSettings(default_selector=(("zone", "a"),))) == {NO_NODE}


def test_no_other_run_is_placed_on_a_virtual_node_whatever_it_tolerates(make: SimpleNamespace) -> None:
    fleet = NodeUsage([make.node(0), virtual_node(NO_BACKEND)])

    assert put(make, fleet, TOLERATES_ALL) == {"n0"}
    assert put(make, NodeUsage([virtual_node(NO_BACKEND)]), TOLERATES_ALL) == "the pool has no node"


def test_a_reason_does_not_count_virtual_nodes(make: SimpleNamespace) -> None:
    fleet = NodeUsage([make.node(0), virtual_node(NO_BACKEND)])

    reason = put(make, fleet, Constraints(node_selector=(("zone", "a"),)))

    assert reason == "no node matches: of 1, 1 without label zone=a"


def test_a_backend_without_a_live_worker_keeps_a_run_waiting(make: SimpleNamespace) -> None:
    fleet = NodeUsage([virtual_node(CLUSTER)], frozenset({CLUSTER}))

    assert put(make, fleet, Constraints(backend=CLUSTER)) == f"no live worker serves backend {CLUSTER}"


def test_what_the_nodes_of_a_pool_have_together_is_without_the_virtual_ones(make: SimpleNamespace) -> None:
    """Shares of owners under FAIR_SHARE are parts of this."""
    with_virtual = CycleCache(NodeUsage([make.node(0), virtual_node(NO_BACKEND)]), PoolSettings(), {})
    without = CycleCache(NodeUsage([make.node(0)]), PoolSettings(), {})

    assert with_virtual.totals == without.totals


def test_limits_and_exclusive_names_hold_for_a_run_that_needs_no_node(make: SimpleNamespace) -> None:
    """Of four windows two ask for one name; the pool runs two at once."""
    names: list[tuple[str, ...]] = [("db",), ("db",), (), ()]
    runs = [make.queued(n, cpu=0, constraints=NEEDS_NONE, exclusive=names[n]) for n in range(4)]
    state = State(limits=PoolSettings(ceiling=Ceiling(runs=2)), node_usage=NodeUsage([virtual_node(NO_BACKEND)]))
    for run in runs:
        state.enqueue(run)

    decisions = plan(state, make.NOON)

    admitted = [decision.run.execution_id for decision in decisions if isinstance(decision, Admit)]
    assert admitted == [make.run_id(0), make.run_id(2)]
    waiting = [decision for decision in decisions if isinstance(decision, Wait)]
    assert [decision.reason.code for decision in waiting] == [Code.EXCLUSIVE, Code.POOL_LIMIT]
