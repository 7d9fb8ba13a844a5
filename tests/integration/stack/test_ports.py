import pytest

from cli.stack.ports import listen, port_of


def test_a_free_port_is_given_as_wanted() -> None:
    with listen(0) as free:
        port = port_of(free)

    with listen(port) as listener:
        assert port_of(listener) == port


def test_a_taken_port_is_replaced_by_another_one() -> None:
    with listen(0) as taken, listen(port_of(taken)) as listener:
        assert port_of(listener) != port_of(taken)


def test_a_chosen_port_is_held_before_anything_is_served() -> None:
    """Two stacks that start at the same moment never share a port."""
    with listen(20_000) as first, listen(20_000) as second, listen(20_000) as third:
        assert len({port_of(first), port_of(second), port_of(third)}) == 3


@pytest.mark.parametrize("wanted", [65_535, 0])
def test_there_is_a_port_even_at_the_end_of_the_range(wanted: int) -> None:
    with listen(wanted) as first, listen(wanted) as second:
        assert port_of(first) != port_of(second)
