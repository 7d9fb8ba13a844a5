"""What a pass decides is carried out, spelled out or not (`scheduler.admission.changes`)."""

from types import SimpleNamespace

from scheduler.admission.decisions import Left
from scheduler.admission.plan import apply, apply_all, carry_out, decide, plan
from scheduler.admission.state import State


def of(state: State) -> tuple[dict[int, str | None], dict[int, str | None]]:
    """Who waits, with the node that is kept for it; and who runs where. By number."""
    return (
        {run.seq: run.nominated for run in state.queued.values()},
        {run.queued.seq: run.node for run in state.running.values()},
    )


def test_carrying_out_an_outcome_comes_to_the_same_as_the_decisions_spelled_out(make: SimpleNamespace) -> None:
    """Both nodes are kept; then one is free, its run starts on it, and the other one is kept for the next."""
    holding = [make.running(900 + number, cpu=4000, node=f"n{number}") for number in (0, 1)]

    def new() -> State:
        runs = [make.queued(number, cpu=4000, minutes=390 - number) for number in (1, 2, 3)]
        made: State = make.state(runs, nodes=[make.node(0), make.node(1)], holding=holding)
        return made

    spelled, carried = new(), new()
    for free in (None, make.run_id(900)):
        if free is not None:
            spelled, carried = (apply(state, Left(run=free)) for state in (spelled, carried))
        spelled = apply_all(spelled, plan(spelled, make.NOON))
        carried = carry_out(carried, decide(carried, make.NOON), make.NOON)
        assert of(carried) == of(spelled)

    assert of(carried) == ({2: "n0", 3: "n1"}, {901: "n1", 1: "n0"})
