import pytest

from model.backoff import Backoff


@pytest.mark.parametrize(
    ("failures", "pause"), [(1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0), (6, 10.0), (7, 10.0), (10_000_000, 10.0)]
)
def test_pauses_double_up_to_the_longest(failures: int, pause: float) -> None:
    assert Backoff(first=0.5, longest=10.0).pause(failures) == pause


def test_the_first_pause_is_bounded_too() -> None:
    assert Backoff(first=20.0, longest=5.0).pause(1) == 5.0
