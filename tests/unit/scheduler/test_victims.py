"""Which of the runs on one node are stopped: every set is tried here, by hand."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import combinations
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scheduler.admission.victims import EXACT, Victims, cost
from scheduler.values.run import Running


@given(
    amounts=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 4)), min_size=1, max_size=9),
    facts=st.randoms(use_true_random=False),
    lacking=st.tuples(st.integers(0, 12), st.integers(0, 8)),
)
def test_the_cheapest_of_the_smallest_sets_is_chosen(
    make: SimpleNamespace, amounts: list[tuple[int, int]], facts: Any, lacking: tuple[int, int]
) -> None:
    """All sets are tried here. Of more than three runs none is stopped in vain."""
    runs = [
        make.running(n, cpu=cpu, memory=memory, priority=facts.randrange(3), started_at=make.NOON - age(facts))
        for n, (cpu, memory) in enumerate(amounts)
    ]
    runs.sort(key=lambda run: cost([run]))
    victims = Victims((0, *lacking, 0, 0), runs)
    sets = [one for size in range(len(runs) + 1) for one in combinations(runs, size) if enough(one, lacking)]

    assert victims.suffice() == bool(sets)
    expected = min(sets, key=cost, default=None)
    found = next((one for size in range(EXACT + 1) if (one := victims.best(size)) is not None), None)
    if expected is None or len(expected) > EXACT:
        assert found is None
    else:
        assert set(found or ()) == set(expected)
    if sets:
        many = victims.many()
        assert enough(many, lacking)
        assert not any(enough([run for run in many if run is not one], lacking) for one in many)


def test_among_very_many_runs_the_search_is_bounded_and_finds_enough(make: SimpleNamespace) -> None:
    runs = [make.running(n, cpu=1000 + n, memory=1000 - n, started_at=make.NOON) for n in range(300)]

    three = Victims((0, 3300, 2800, 0, 0), runs).best(3)
    many = Victims((0, 10_000, 0, 0, 0), runs).many()

    assert three is None or len(three) == 3
    assert len(many) == 8


def age(random: Any) -> timedelta:
    return timedelta(minutes=random.randrange(1, 4))


def enough(runs: Sequence[Running], lacking: tuple[int, int]) -> bool:
    cpu, memory = sum(r.resources.cpu_milli for r in runs), sum(r.resources.memory_bytes for r in runs)
    return cpu >= lacking[0] and memory >= lacking[1]
