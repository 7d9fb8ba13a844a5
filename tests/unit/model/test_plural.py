"""Numbers of things in words."""

import pytest

from model.plural import counted


@pytest.mark.parametrize(("number", "said"), [(0, "0 tests"), (1, "1 test"), (2, "2 tests"), (12_345, "12,345 tests")])
def test_one_thing_is_no_plural(number: int, said: str) -> None:
    assert counted(number, "test") == said
