"""For how long nodes have not been ready: only time between looks that are close counts."""

from flows.lost_nodes import TimesAway
from model.ids import BackendName, NodeName

A, B = (BackendName("kubernetes/lab"), NodeName("a.lab")), (BackendName("kubernetes/lab"), NodeName("b.lab"))


def test_the_time_counts_from_the_first_look_that_found_it_away() -> None:
    times = TimesAway()

    assert times.look([A], 100.0) == {A: 0.0}
    assert times.look([A, B], 102.0) == {A: 2.0, B: 0.0}
    assert times.look([A, B], 104.0) == {A: 4.0, B: 2.0}


def test_a_node_that_was_back_for_one_look_starts_anew() -> None:
    times = TimesAway()
    times.look([A], 100.0)
    times.look([], 102.0)

    assert times.look([A], 104.0) == {A: 0.0}


def test_time_in_which_nobody_looked_does_not_count() -> None:
    times = TimesAway()
    times.look([A], 100.0)
    times.look([A], 105.0)

    assert times.look([A], 400.0) == {A: 0.0}
    assert times.look([A], 402.0) == {A: 2.0}
