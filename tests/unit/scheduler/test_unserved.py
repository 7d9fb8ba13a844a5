"""A node gets runs only while a live worker serves its backend, and the reason says so."""

from types import SimpleNamespace

import pytest

from model.ids import BackendName
from scheduler.admission.decisions import Admit, Wait
from scheduler.admission.plan import plan
from scheduler.admission.state import State
from scheduler.placement.ask import Ask
from scheduler.placement.filter_reasons import impossible, lasting
from scheduler.placement.node_usage import NodeUsage
from scheduler.values.node import Node
from scheduler.values.pool import PoolSettings
from scheduler.values.reasons import Code
from scheduler.values.run import Constraints, Queued


def backend(number: int) -> BackendName:
    return BackendName(f"local/n{number}")


def nodes_of(make: SimpleNamespace, *facts: dict[str, object]) -> list[Node]:
    return [make.node(number, backend=backend(number), **given) for number, given in enumerate(facts)]


def decided(nodes: list[Node], unserved: set[int], *runs: Queued, make: SimpleNamespace) -> list[Admit | Wait]:
    """Make a pass over runs while no live worker serves the nodes of these numbers."""
    state = State(node_usage=NodeUsage(nodes, frozenset(map(backend, unserved))))
    for run in runs:
        state.enqueue(run)
    return [one for one in plan(state, make.NOON) if isinstance(one, Admit | Wait)]


def test_a_run_goes_to_the_node_that_is_served_and_the_decision_names_its_backend(make: SimpleNamespace) -> None:
    nodes = nodes_of(make, {"cpu": 8000}, {"cpu": 1000})

    (placed,) = decided(nodes, {0}, make.queued(1), make=make)

    assert isinstance(placed, Admit)
    assert (placed.node, placed.backend, placed.candidates) == ("n1", "local/n1", ("n1",))


@pytest.mark.parametrize(
    ("facts", "unserved", "asked", "why"),
    [
        ([{}], {0}, {}, (Code.NOT_SERVED, "no live worker serves node n0")),
        ([{}, {"cpu": 50}], {0}, {}, (Code.NOT_SERVED, "no live worker serves node n0")),
        ([{}, {}], {0, 1}, {}, (Code.NOT_SERVED, "no live worker serves the nodes n0, n1")),
        ([{}] * 5, {0, 1, 2, 3, 4}, {}, (Code.NOT_SERVED, "no live worker serves the nodes n0, n1, n2 and 2 more")),
        ([{}, {"cpu": 900}], {0}, {"cpu": 9000}, (Code.TOO_LARGE, "needs 9000m CPU; the largest node has 4000m CPU")),
        ([{"ready": False}], {0}, {}, (Code.NO_NODE, "the pool's only node is not ready")),
    ],
)
def test_the_reason_names_the_nodes_that_lack_a_worker_only(
    make: SimpleNamespace,
    facts: list[dict[str, object]],
    unserved: set[int],
    asked: dict[str, int],
    why: tuple[Code, str],
) -> None:
    """A node that would not take the run anyway is not what it waits for."""
    (waits,) = decided(nodes_of(make, *facts), unserved, make.queued(1, **asked), make=make)

    assert isinstance(waits, Wait)
    assert (waits.reason.code, waits.reason.text) == why


def test_a_label_that_no_node_has_is_told_before_the_missing_worker(make: SimpleNamespace) -> None:
    picky = make.queued(1, constraints=Constraints(node_selector=(("disk", "ssd"),)))

    (waits,) = decided(nodes_of(make, {}), {0}, picky, make=make)

    assert isinstance(waits, Wait)
    assert waits.reason.code is Code.NO_MATCH


def test_a_missing_worker_passes_by_itself_so_it_is_no_lasting_reason(make: SimpleNamespace) -> None:
    fleet = NodeUsage(nodes_of(make, {}), frozenset({backend(0)}))
    ask = Ask(shape=make.queued(1).shape, limits=PoolSettings())

    assert lasting(fleet, ask) is None
    assert impossible(fleet, ask) is not None


def test_a_node_without_a_worker_is_kept_free_for_nobody(make: SimpleNamespace) -> None:
    aged = make.queued(1, minutes=600, cpu=3000)
    nodes = nodes_of(make, {"cpu": 4000}, {"cpu": 4000})
    state = State(node_usage=NodeUsage(nodes, frozenset({backend(0)})))
    state.start(make.running(9, cpu=2000, node=nodes[1].name))
    state.enqueue(aged)

    (waits,) = [one for one in plan(state, make.NOON) if isinstance(one, Wait)]

    assert waits.nominated == "n1"
